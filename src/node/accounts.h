/* accounts.h - what questions cost and who did what for whom: accounts with peers, bids, reciprocity. No other room
 * includes it.
 *
 *   node_credit.c       accounts with peers; till.c what they are told; node_wallet.c the wallet's verbs
 *   node_bids.c         what this node asks for its work
 *   node_reciprocity.c  who helped whom */
#ifndef TL_NODE_ACCOUNTS_H
#define TL_NODE_ACCOUNTS_H

#include "node/state.h"

/* node_credit.c */
/* After server and asker. The errors of the store. */
TL_CHECK tl_err tl_node_wire_credit(tl_node *n);
/* After the store is closed. */
void tl_node_free_credit(tl_node *n);
/* node_wallet.c; before tl_peers_free. */
void tl_node_stop_credit(tl_node *n);
void tl_node_apply_credit(tl_node *n);
void tl_node_credit_hello(tl_node *n, const tl_node_id *peer);
/* True: the message was for credit. */
bool tl_node_credit_told(tl_node *n, const tl_node_id *peer, const char *what,
                         const json_t *payload);
/* As tl_node_ask, of a question whose client named it. TL_ERR_EXISTS: it did so before. */
TL_CHECK tl_err tl_node_ask_named(tl_node *n, const tl_ask *ask, const tl_exchange_sink *sink,
                                  void *user, tl_exchange **ret_exchange);
/* node_bids.c */
/* Makes the bids anew where what they are made of has changed. */
void tl_node_refresh_bids(tl_node *n);
/* Speeds, models or settings have changed. */
void tl_node_bids_are_stale(tl_node *n);
/* Tells every connected peer when they have changed, at most once a second. */
void tl_node_beat_bids(tl_node *n);
tl_time tl_node_bids_expiry(const tl_node *n);
/* For heartbeats: a new reference, or NULL. */
json_t *tl_node_bids_json(void *user);
/* For capabilities: the same while nothing runs. NULL: all is free, or there is no public. */
json_t *tl_node_idle_bids(tl_node *n);
/* As tl_server_backend.price. */
int64_t tl_node_price(void *user, const tl_ask *ask, int64_t *ret_version);
void tl_node_bids_clear(tl_node *n);

/* node_reciprocity.c */
/* Makes the table; after the book. tl_node_load_reciprocity comes after tl_node_open_members. */
TL_CHECK tl_err tl_node_open_reciprocity(tl_node *n);
/* The errors of the store. */
TL_CHECK tl_err tl_node_load_reciprocity(tl_node *n);
/* Hands to the store what has changed. */
void tl_node_keep_deeds(tl_node *n);
/* Memberships may have ended: what no fellow member has signed is forgotten. */
void tl_node_sweep_deeds(tl_node *n);
void tl_node_reciprocity_on_timer(tl_node *n);
tl_time tl_node_reciprocity_expiry(const tl_node *n);
/* Tokens that the peer served to us, and for which we have signed. */
void tl_node_note_served(tl_node *n, const tl_node_id *peer, int64_t tokens, tl_unix at);
/* Payload that came to us through a node as a relay, in a connection that its sender secured; what we sent is none. */
void tl_node_note_relayed(tl_node *n, const tl_node_id *relaying_node, uint64_t bytes);
/* So many fragments of ours the node was seen to hold. */
void tl_node_note_held(tl_node *n, const tl_node_id *holder, unsigned fragments, tl_unix at);
/* A new statement is in the table: it goes to the store, too. */
void tl_node_save_deeds(tl_node *n, const tl_deeds *d);
/* Does the node help us, or fellow members, as far as is known now? Where it does not, members are asked
 * about it, once in ten minutes: the answer may be another one a moment later. A few microseconds. */
bool tl_node_is_reciprocal(const tl_node *n, const tl_node_id *node);
/* {"reciprocal", "worth", "own", "told", "because"}; null of ourselves. Asks members about the node. A new
 * reference; NULL: out of memory. */
json_t *tl_node_reciprocity_json(const tl_node *n, const tl_node_id *node);

#endif
