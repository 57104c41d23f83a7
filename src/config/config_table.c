#include "config/config_table.h"

#include "base/log.h"
#include "base/number.h"
#include "base/suggest.h"
#include "config/config_rules.h"
#include "config/config_text.h"

#include <strings.h>

#define LIST_TEXT_MAX sizeof(((tl_string_list *)0)->item[0])

#define HEAD(field, name, kind_name, fallback, is_live, words, possible)                           \
    .info = {.key = (name),                                                                        \
             .type = (kind_name),                                                                  \
             .default_text = (fallback),                                                           \
             .meaning = (words),                                                                   \
             .live = (is_live),                                                                    \
             .choices = (possible)},                                                               \
    .offset = offsetof(tl_settings, field)
#define BOOL(field, name, fallback, live, words)                                                   \
    {                                                                                              \
        HEAD(field, name, "boolean", fallback, live, words, tl_choices_boolean),                   \
            .kind = TL_KIND_BOOL                                                                   \
    }
#define NUMBER(field, name, fallback, lowest, highest, live, words)                                \
    {                                                                                              \
        HEAD(field, name, "integer", fallback, live, words, NULL),                                 \
            .kind = TL_KIND_NUMBER, .min = (lowest), .max = (highest)                              \
    }
#define MICRO(field, name, fallback, lowest, words)                                                \
    {                                                                                              \
        HEAD(field, name, "integer", fallback, true, words, NULL),                                 \
            .kind = TL_KIND_BIG, .min = (lowest), .max = TL_NUMBER_EXACT_MAX                       \
    }
#define TEXT(field, name, fallback, must, live, words)                                             \
    {                                                                                              \
        HEAD(field, name, "string", fallback, live, words, NULL),                                  \
            .kind = TL_KIND_TEXT, .size = sizeof(((tl_settings *)0)->field), .rule = (must)        \
    }
#define CHOICE(field, name, fallback, must, live, words)                                           \
    {                                                                                              \
        HEAD(field, name, "string", fallback, live, words, tl_choices_##field),                    \
            .kind = TL_KIND_TEXT, .size = sizeof(((tl_settings *)0)->field), .rule = (must)        \
    }
#define LIST(field, name, fallback, least, bare, must, live, words)                                \
    {                                                                                              \
        HEAD(field, name, "strings", fallback, live, words, NULL),                                 \
            .kind = TL_KIND_LIST, .min = (least), .max = TL_SETTING_LIST_MAX, .bare_ok = (bare),   \
            .rule = (must)                                                                         \
    }

#define DAY_SECS 86400 /* no wait needs to be longer than a day */

static const tl_setting_def table[] = {
    BOOL(wan_enabled, "wan_enabled", "false", true,
         "Connect to the relay, and through it to peers across the internet."),
    BOOL(lan_enabled, "lan_enabled", "true", true,
         "Find nodes on the local network, be found there, and connect straight to them."),
    LIST(wan_relay_url, "wan_relay_url", "wss://relay.teale.com/ws", 0, true, tl_rule_relay_url,
         true,
         "The relay's URL, or a list: the node is at two of them at a time; empty is no relay."),
    BOOL(wan_allow_insecure_relay, "wan_allow_insecure_relay", "false", true,
         "Allow a plain ws:// relay that is not on this machine."),
    TEXT(wan_relay_ca_file, "wan_relay_ca_file", "", tl_rule_file, true,
         "A file of CA certificates (PEM) to trust for the relay besides the system's."),
    {HEAD(wan_proxy, "wan_proxy", "string", "", true,
          "The proxy for the relay's connection: http://, socks5:// or socks5h://, \"none\", or "
          "empty "
          "for the environment's (https_proxy, all_proxy, no_proxy).",
          NULL),
     .kind = TL_KIND_TEXT, .size = sizeof(((tl_settings *)0)->wan_proxy), .rule = tl_rule_proxy,
     .login = true},
    TEXT(display_name, "display_name", "", tl_rule_any, false,
         "The name other nodes are shown; empty takes the host's name."),
    TEXT(share, "share", "", tl_rule_share, true,
         "The model server to share: its URL, \"auto\" to look for one, empty to share nothing."),
    LIST(share_models, "share_models", "[]", 0, false, tl_rule_model, true,
         "The models to share; an empty list shares all that the server has."),
    TEXT(backend_key_file, "backend_key_file", "", tl_rule_file, true,
         "A file holding the key that the model server wants."),
    CHOICE(share_with, "share_with", "public", tl_rule_share_with, true,
           "Who may ask this node: \"public\" is anyone on the relay and the local network, "
           "\"networks\" members of yours."),
    CHOICE(
        ask, "ask", "any", tl_rule_ask, true,
        "Whom this node asks: \"any\" peer that serves the model, or \"networks\" members only."),
    BOOL(legacy_plaintext, "legacy_plaintext", "false", true,
         "Also ask and serve nodes of the old protocol, in clear: the relay can read and change "
         "it."),
    TEXT(api_listen, "api_listen", "127.0.0.1:11435", tl_rule_listen, false,
         "Where the HTTP API listens; beyond loopback every request needs the key."),
    LIST(api_allowed_hosts, "api_allowed_hosts", "[]", 0, false, tl_rule_host, true,
         "Names, besides loopback's, that a request's Host header may carry."),
    LIST(api_allowed_origins, "api_allowed_origins", "[]", 0, false, tl_rule_origin, true,
         "Web origins, besides the API's own, whose pages may ask and read, and change nothing."),
    NUMBER(udp_port, "udp_port", "0", 0, 65535, false,
           "The UDP port for connections between nodes; 0 takes any."),
    NUMBER(timeout_connect_secs, "timeout_connect_secs", "10", 1, DAY_SECS, false,
           "Seconds a connection to a peer may take."),
    NUMBER(timeout_first_byte_secs, "timeout_first_byte_secs", "300", 1, DAY_SECS, true,
           "Seconds the model server may take to begin its answer."),
    NUMBER(timeout_silence_secs, "timeout_silence_secs", "120", 1, DAY_SECS, true,
           "Seconds of silence allowed inside an answer."),
    NUMBER(timeout_request_head_secs, "timeout_request_head_secs", "10", 1, DAY_SECS, false,
           "Seconds a client of the API may take to send a request's head."),
    NUMBER(timeout_body_idle_secs, "timeout_body_idle_secs", "30", 1, DAY_SECS, true,
           "Seconds a client of the API may pause inside a request's body."),
    NUMBER(timeout_stalled_client_secs, "timeout_stalled_client_secs", "60", 1, DAY_SECS, false,
           "Seconds a client of the API may stop reading its answer before it is cut off."),
    NUMBER(requests_max, "requests_max", "1024", 1, 100000, true,
           "Requests of other nodes running here at once; more are told that the queue is full."),
    NUMBER(share_slots, "share_slots", "0", 0, 1024, true,
           "Requests of others that the model server works at at once; 0 takes what the server "
           "tells, else 4."),
    NUMBER(share_queue_max, "share_queue_max", "64", 0, 4096, true,
           "Requests of others that may wait for it, of private networks and of the public each."),
    NUMBER(share_queue_wait_secs, "share_queue_wait_secs", "300", 1, DAY_SECS, true,
           "Seconds a request may wait for it; after that it is told that the queue is full."),
    BOOL(share_pause, "share_pause", "false", true,
         "Serve nobody else (teale pause, teale resume)."),
    NUMBER(store_quota, "store_quota", "64", 0, 1048576, true,
           "MiB that this node keeps of other nodes' backups, encrypted by them; 0 keeps nothing."),
    CHOICE(key_store, "key_store", "auto", tl_rule_key_store, false,
           "Where a new node's key goes: the session's \"keychain\", a \"file\", or \"auto\", "
           "which is "
           "the keychain where that is open and the node needs no start without a login. "
           "`teale key move` moves one that is there."),
    CHOICE(
        log_level, "log_level", "info", tl_rule_log_level, true,
        "What is logged: \"error\", \"warn\", \"info\" or \"debug\", each with those before it."),
    LIST(nat_stun_servers, "nat.stun_servers",
         "[\"stun.l.google.com:19302\", \"stun1.l.google.com:19302\", "
         "\"stun.cloudflare.com:3478\"]",
         0, false, tl_rule_host, true,
         "STUN servers (HOST:PORT) that tell the NAT's type and the public address."),
    BOOL(nat_direct, "nat.direct", "true", true,
         "Go straight to peers where the NATs allow it; false opens no UDP port at all, and "
         "everything goes through the relay by its WebSocket."),
    BOOL(nat_port_mapping, "nat.port_mapping", "true", true,
         "Ask the router for a port mapping (PCP, NAT-PMP, UPnP)."),
    BOOL(nat_relay_enabled, "nat.relay_enabled", "false", true,
         "Forward traffic for other nodes behind NATs; needs a public address."),
    CHOICE(nat_relay_for, "nat.relay_for", "any", tl_rule_relay_for, true,
           "For whom: \"any\" node, or \"networks\", for two members of one network of yours."),
    NUMBER(nat_relay_max_sessions, "nat.relay_max_sessions", "50", 1, 100000, true,
           "Sessions relayed for others at once."),
    NUMBER(nat_relay_reciprocal_kbps, "nat.relay_reciprocal_kbps", "256", 1, 10000000, true,
           "KB/s that a node may send through this one if it gives as well as it takes."),
    NUMBER(nat_relay_bootstrap_kbps, "nat.relay_bootstrap_kbps", "64", 1, 10000000, true,
           "KB/s that any other node may send."),
    NUMBER(nat_relay_idle_timeout_secs, "nat.relay_idle_timeout_secs", "60", 1, DAY_SECS, true,
           "Seconds after which an idle relayed session ends."),
    NUMBER(nat_relay_session_max_secs, "nat.relay_session_max_secs", "600", 1, 604800, true,
           "Seconds that two nodes, neither of which gives as it takes, may have sessions."),
    NUMBER(nat_relay_session_warn_secs, "nat.relay_session_warn_secs", "30", 0, DAY_SECS, true,
           "Seconds before that end at which both are warned."),
    NUMBER(nat_relay_pause_secs, "nat.relay_pause_secs", "60", 0, DAY_SECS, true,
           "Seconds after that end before the two may begin anew."),
    NUMBER(nat_relay_burst_ms, "nat.relay_burst_ms", "500", 20, 60000, true,
           "How much of its rate a node may send at once, in milliseconds."),
    CHOICE(nat_introduce, "nat.introduce", "auto", tl_rule_switch, true,
           "Introduce nodes behind NATs to each other: \"auto\" does where strangers reach this "
           "node, or nat.relay_enabled is set."),
    LIST(nat_introducers, "nat.introducers", "[]", 0, false, tl_rule_introducer, true,
         "Nodes (NODE_ID@ADDRESS:PORT) to be introduced by, besides those that the DHT names."),
    BOOL(dht_enabled, "dht.enabled", "true", true,
         "Be in the DHT, over the UDP port: find nodes of which only the ID is known."),
    CHOICE(dht_publish, "dht.publish", "auto", tl_rule_switch, true,
           "Publish there how this node is reached: \"auto\" does where no relay is set."),
    CHOICE(dht_serve, "dht.serve", "auto", tl_rule_switch, true,
           "Answer the DHT's questions: \"auto\" does where strangers reach this node."),
    LIST(dht_bootstrap, "dht.bootstrap",
         "[\"router.bittorrent.com:6881\", \"dht.transmissionbt.com:6881\", "
         "\"router.utorrent.com:6881\", \"dht.libtorrent.org:25401\"]",
         0, false, tl_rule_host, true, "Nodes (HOST:PORT) through which the DHT is entered."),
    NUMBER(dht_republish_secs, "dht.republish_secs", "3600", 60, 3600, true,
           "Seconds between two times that what is published is published again."),
    NUMBER(
        backup_challenge_secs, "backup.challenge_secs", "14400", 1, 604800, false,
        "Seconds in the mean until a node that holds a part of your backup must prove it again."),
    NUMBER(backup_gone_secs, "backup.gone_secs", "604800", 1, 31536000, false,
           "Seconds that such a node may be away before its part goes to another one, too."),
    BOOL(ptn_hide, "ptn.hide", "false", true,
         "Show the relay tags that only members recognise, instead of your networks."),
    NUMBER(ptn_revocation_max_age_hours, "ptn.revocation_max_age_hours", "0", 0, 8760, true,
           "Refuse a network's members when its list of revoked nodes is older; 0 never does."),
    MICRO(price_floor_micro, "price.floor_micro", "0", 0,
          "The lowest price that this node asks of the public: micro-credits for 1000 tokens."),
    MICRO(price_kwh_micro, "price.kwh_micro", "0", 0,
          "What a kilowatt-hour costs, in micro-credits; with price.watts it raises the price."),
    NUMBER(price_watts, "price.watts", "0", 0, 100000, true,
           "What this machine draws while it answers, in watts."),
    MICRO(price_max_micro, "price.max_micro", "-1", -1,
          "The highest price that this node pays: micro-credits for 1000 tokens; -1 is any."),
    MICRO(credit_stranger_micro, "credit.stranger_micro", "1000000", 0,
          "How much a node of none of your networks may owe, in micro-credits."),
    MICRO(credit_member_micro, "credit.member_micro", "100000000", 0,
          "How much a member of your networks may owe, in micro-credits."),
};

_Static_assert(sizeof table / sizeof *table <= TL_SETTINGS_MAX,
               "arrays beside the table are too short");

const tl_setting_def *tl_setting_def_at(size_t i)
{
    return i < sizeof table / sizeof *table ? &table[i] : NULL;
}

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

static bool ends_with(const char *name, const char *part)
{
    size_t n = strlen(name), k = strlen(part);
    return n > k && name[n - k - 1] == '_' && !strcmp(name + n - k, part);
}

tl_err tl_setting_find(const char *key, const tl_setting_def **ret_def, tl_why *why)
{
    tl_suggest s = tl_suggest_begin(key), bare = tl_suggest_begin(last_part(key));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *name = table[i].info.key;
        if (!strcmp(name, key)) {
            *ret_def = &table[i];
            return TL_OK;
        }
        tl_suggest_offer(&s, name);
        tl_suggest_offer_as(&bare, last_part(name), name);
        if (ends_with(name, key)) /* only its front was left out */
            tl_suggest_offer_as(&bare, key, name);
    }
    const char *best = bare.distance < s.distance ? bare.best : s.best;
    tl_safe safe = tl_log_safe(tl_slice_str(key));
    if (!best)
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "unknown setting \"%s\" (teale config list shows all)", safe.text);
    return tl_why_set(why, TL_ERR_NOT_FOUND, "unknown setting \"%s\"; did you mean \"%s\"?",
                      safe.text, best);
}

const tl_setting_def *tl_setting_section(const char *section)
{
    size_t n = strlen(section);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (n && !strncmp(table[i].info.key, section, n) && table[i].info.key[n] == '.')
            return &table[i];
    return NULL;
}

static bool has_control_characters(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return true;
    return false;
}

/* Copies the string if it fits and obeys the rule. */
static tl_err take_text(const tl_setting_def *def, const json_t *value, char *ret, size_t size,
                        tl_why *why)
{
    const char *text = json_string_value(value);
    if (!text)
        return tl_why_set(why, TL_ERR_INVALID, "must be text in quotes");
    size_t n = json_string_length(value);
    if (n >= size)
        return tl_why_set(why, TL_ERR_INVALID, "must be at most %zu bytes", size - 1);
    if (strlen(text) != n || has_control_characters(text))
        return tl_why_set(why, TL_ERR_INVALID, "must not contain control characters");
    const char *must = def->rule(text);
    char meant[TL_SETTING_TEXT_MAX];
    if (must && tl_rule_meant(def->rule, text, meant, sizeof meant))
        return tl_why_set(why, TL_ERR_INVALID, "must be %s; did you mean \"%.250s\"?", must, meant);
    if (must)
        return tl_why_set(why, TL_ERR_INVALID, "must be %s", must);
    memcpy(ret, text, n + 1);
    return TL_OK;
}

static tl_err take_number(const tl_setting_def *def, const json_t *value, int64_t *ret, tl_why *why)
{
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < def->min || v > def->max)
        return tl_why_set(why, TL_ERR_INVALID, "must be a whole number from %lld to %lld",
                          (long long)def->min, (long long)def->max);
    *ret = v;
    return TL_OK;
}

static tl_err take_list(const tl_setting_def *def, const json_t *value, tl_string_list *ret,
                        tl_why *why)
{
    tl_string_list list = {0};
    bool bare = def->bare_ok && json_is_string(value);
    if (!bare && !json_is_array(value))
        return tl_why_set(why, TL_ERR_INVALID, "must be a list such as [\"a\", \"b\"]%s",
                          def->bare_ok ? ", or one text in quotes" : "");
    bool nothing = bare && !json_string_length(value) && def->min == 0;
    size_t n = nothing ? 0 : bare ? 1 : json_array_size(value);
    if ((int64_t)n < def->min || (int64_t)n > def->max)
        return tl_why_set(why, TL_ERR_INVALID, "must have from %lld to %lld items",
                          (long long)def->min, (long long)def->max);
    for (; list.n < n; list.n++) {
        const json_t *item = bare ? value : json_array_get(value, list.n);
        tl_why item_why;
        tl_err e = take_text(def, item, list.item[list.n], LIST_TEXT_MAX, &item_why);
        if (e)
            return bare ? tl_why_set(why, e, "%s", item_why.text)
                        : tl_why_set(why, e, "item %zu %s", list.n + 1, item_why.text);
    }
    *ret = list;
    return TL_OK;
}

tl_err tl_setting_apply(tl_settings *s, const tl_setting_def *def, const json_t *value, tl_why *why)
{
    void *field = (char *)s + def->offset;
    int64_t number = 0;
    tl_err e;
    switch (def->kind) {
    case TL_KIND_BOOL:
        if (!json_is_boolean(value))
            return tl_why_set(why, TL_ERR_INVALID, "must be true or false");
        *(bool *)field = json_is_true(value);
        return TL_OK;
    case TL_KIND_NUMBER:
        if (!(e = take_number(def, value, &number, why)))
            *(uint32_t *)field = (uint32_t)number;
        return e;
    case TL_KIND_BIG: return take_number(def, value, field, why);
    case TL_KIND_TEXT: return take_text(def, value, field, def->size, why);
    case TL_KIND_LIST: return take_list(def, value, field, why);
    }
    return TL_ERR_INVALID;
}

/* What people write for true and false; the one that is meant, else NULL. */
static const char *boolean_meant(const char *text)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "y", "enable", "enabled", NULL};
    static const char *const no[] = {"false", "no", "off", "0", "n", "disable", "disabled", NULL};
    for (size_t i = 0; yes[i]; i++)
        if (!strcasecmp(text, yes[i]))
            return "true";
    for (size_t i = 0; no[i]; i++)
        if (!strcasecmp(text, no[i]))
            return "false";
    return NULL;
}

/* It is no value at all. To say what the setting wants helps more than to say where a parser
 * stopped. */
static tl_err no_value(const tl_setting_def *def, const char *text, tl_why *why)
{
    tl_settings scratch;
    tl_why must = {""};
    const char *meant = def->kind == TL_KIND_BOOL ? boolean_meant(text) : NULL;
    if (!tl_setting_apply(&scratch, def, NULL, &must))
        return TL_ERR_INVALID;
    if (meant)
        return tl_why_set(why, TL_ERR_INVALID, "%s; for %s write %s", must.text, text, meant);
    return tl_why_set(why, TL_ERR_INVALID, "%s", must.text);
}

tl_err tl_setting_value_of_text(const tl_setting_def *def, const char *text, json_t **ret_value,
                                tl_why *why)
{
    bool textual = def->kind == TL_KIND_TEXT || (def->kind == TL_KIND_LIST && def->bare_ok);
    bool quoted = *text == '"' || (def->kind == TL_KIND_LIST && *text == '[');
    if (!tl_utf8_is(tl_slice_str(text)))
        return tl_why_set(why, TL_ERR_INVALID, "must be valid UTF-8");
    const char *meant = def->kind == TL_KIND_BOOL ? boolean_meant(text) : NULL;
    if (meant && strcmp(text, meant) != 0)
        return no_value(def, text, why);
    tl_err e = TL_ERR_PROTO;
    if (!textual || quoted || *text == '\'')
        e = tl_config_value_read(tl_slice_str(text), ret_value);
    if (e == TL_ERR_PROTO && textual && !quoted) {
        *ret_value = json_string(text);
        return *ret_value ? TL_OK : TL_ERR_NOMEM;
    }
    return e && e != TL_ERR_NOMEM ? no_value(def, text, why) : e;
}

tl_err tl_setting_value(const tl_settings *s, const tl_setting_def *def, json_t **ret_value)
{
    const void *field = (const char *)s + def->offset;
    json_t *v = NULL;
    if (def->kind == TL_KIND_BOOL)
        v = json_boolean(*(const bool *)field);
    else if (def->kind == TL_KIND_NUMBER)
        v = json_integer(*(const uint32_t *)field);
    else if (def->kind == TL_KIND_BIG)
        v = json_integer(*(const int64_t *)field);
    else if (def->kind == TL_KIND_TEXT)
        v = json_string(field);
    else {
        const tl_string_list *list = field;
        v = json_array();
        for (size_t i = 0; v && i < list->n; i++)
            v = tl_json_append(v, json_string(list->item[i]));
    }
    if (!v)
        return TL_ERR_NOMEM;
    *ret_value = v;
    return TL_OK;
}
