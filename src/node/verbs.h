/* verbs.h - what a person has the node do, by name: the handler's side of tl_node_call. The handlers
 * themselves are in the files of their subject (node_members.c, ...); verbs.c names them all. */
#ifndef TL_NODE_VERBS_H
#define TL_NODE_VERBS_H

#include "node/node.h"

#define TL_CALLS_MAX                                                                               \
    64 /* that are not answered yet: a person starts a few, 50 joins at once are a test */

/* Handles one call. It answers by tl_call_ok or tl_call_fail, once, now or later, and must not use the
 * call after that. The caller may be gone meanwhile: the handler need not know. When the node is freed,
 * calls that were not answered are freed, too: their handlers' state must not answer any more. */
typedef void (*tl_verb_fn)(tl_node *n, const json_t *args, tl_call *call);

/* node_serving.c: what is shared, who is served and who waits */
void tl_verb_serving(tl_node *n, const json_t *args, tl_call *call);

/* node_wallet.c */
void tl_verb_wallet_show(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_wallet_history(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_wallet_audit(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_wallet_settle(tl_node *n, const json_t *args, tl_call *call);

/* node_backup_verbs.c */
void tl_verb_backup_create(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_backup_shown(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_backup_status(tl_node *n, const json_t *args, tl_call *call);
/* node_backup_drop.c */
void tl_verb_backup_drop(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_backup_takeover(tl_node *n, const json_t *args, tl_call *call);

/* NULL: no such verb. */
tl_verb_fn tl_verb_find(const char *name);

/* `on_drop` is called, once, when the caller is gone before the answer: then the handler may answer at
 * once, to free the place. */
void tl_call_on_drop(tl_call *call, void (*on_drop)(void *user), void *user);
/* Takes the reference; NULL: out of memory. */
void tl_call_ok(tl_call *call, json_t *result);
/* `code` is one of the table in verbs.c. The message is one sentence with cause and remedy. */
void tl_call_fail(tl_call *call, const char *code, const char *fmt, ...) TL_PRINTF(3, 4);

/* Hands the answers to their callers. */
void tl_calls_run(tl_node *n);
/* The node leaves: every call that waits fails. */
void tl_calls_end(tl_node *n);
/* Frees them all; nobody is told. */
void tl_calls_clear(tl_node *n);

/* node_ptn.c, node_ptn_lists.c, node_ptn_keys.c: private networks */
void tl_verb_ptn_create(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_rename(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_list(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_show(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_invite(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_invites(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_withdraw(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_join(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_members(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_revoke(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_promote(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_renew(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_leave(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_price(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_key(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_export_ca(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_ptn_import_ca(tl_node *n, const json_t *args, tl_call *call);

#endif
