/* config_rules.h - what the text of a setting must look like: addresses, URLs, choices. Pure
 * functions; they touch no file and no network. */
#ifndef TL_CONFIG_CONFIG_RULES_H
#define TL_CONFIG_CONFIG_RULES_H

#include <stdbool.h>
#include <stddef.h>

/* What the rules of the same name allow; NULL at the end. */
extern const char *const tl_choices_boolean[];
extern const char *const tl_choices_share_with[];
extern const char *const tl_choices_ask[];
extern const char *const tl_choices_nat_relay_for[];
extern const char *const tl_choices_nat_introduce[];
extern const char *const tl_choices_dht_publish[];
extern const char *const tl_choices_dht_serve[];
extern const char *const tl_choices_key_store[];
extern const char *const tl_choices_log_level[];

/* Each returns NULL when `text` is right, else words that follow "must be". */
const char *tl_rule_any(const char *text);
const char *tl_rule_relay_url(const char *text);  /* ws:// or wss:// */
const char *tl_rule_proxy(const char *text);      /* "", "none", http:// socks5:// socks5h:// */
const char *tl_rule_share(const char *text);      /* "", "auto", http:// or https:// */
const char *tl_rule_share_with(const char *text); /* public networks */
const char *tl_rule_ask(const char *text);        /* any networks */
const char *tl_rule_relay_for(const char *text);  /* any networks */
const char *tl_rule_switch(const char *text);     /* auto on off */
const char *tl_rule_introducer(const char *text); /* NODE_ID@ADDRESS:PORT */
const char *tl_rule_key_store(const char *text);  /* auto keychain file */
const char *tl_rule_log_level(const char *text);  /* error warn info debug */
const char *tl_rule_file(const char *text);       /* "" or an absolute path */
const char *tl_rule_listen(const char *text);     /* HOST:PORT */
const char *tl_rule_host(const char *text);       /* HOST or HOST:PORT */
const char *tl_rule_origin(const char *text);     /* http://HOST[:PORT] */
const char *tl_rule_model(const char *text);      /* not empty */

/* What was meant by a text against its rule, where only the scheme (or a relay's path) is missing or
 * wrong: "http://localhost:11434" for "localhost:11434". False: something else is wrong. */
bool tl_rule_meant(const char *(*rule)(const char *text), const char *text, char *ret, size_t size);

#endif
