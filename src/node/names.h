/* names.h - names of other nodes inside of node/: who is meant by one, and what reports say (node_names.c). No other
 * room includes it. */
#ifndef TL_NODE_NAMES_H
#define TL_NODE_NAMES_H

#include "node/state.h"
#include "peer/naming.h"

struct tl_node_names {
    tl_naming naming;             /* aliases, and names of members that are away */
    struct tl_find_call *finding; /* searches that wait */
};

/* What the owner has called other nodes; after the store, before the book is read. */
TL_CHECK tl_err tl_node_open_names(tl_node *n, tl_why *why);
/* The display name of a node: as it says now, or as a member said when it was here; "": not known. */
const char *tl_node_called(const tl_node *n, const tl_node_id *node);
/* Gives each object in `value` that has `node_id`, or `peer`, its `alias`, or null. Returns `value`, which may be NULL. */
json_t *tl_node_add_aliases(const tl_node *n, json_t *value);
/* The same for what is inside of `value`, but not for itself. */
json_t *tl_node_add_aliases_inside(const tl_node *n, json_t *value);
/* The argument `key` of a verb names a node (tl_node_find_peer). False: the call has failed. */
bool tl_node_peer_arg(const tl_node *n, const json_t *args, const char *key, tl_call *call,
                      tl_node_id *ret);
/* The same of another node than this one (tl_node_find_other). */
bool tl_node_other_arg(const tl_node *n, const json_t *args, const char *key, tl_call *call,
                       tl_node_id *ret);
void tl_verb_alias_list(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_alias_set(tl_node *n, const json_t *args, tl_call *call);
void tl_verb_alias_remove(tl_node *n, const json_t *args, tl_call *call);
/* {peer, net?, ledger?, other?}: who is meant. With `net` a member of that network comes first, with `ledger` a node
 * with which there are accounts. With `other` it must not be this node. */
void tl_verb_peer_find(tl_node *n, const json_t *args, tl_call *call);
/* Searches that wait are not answered any more. */
void tl_node_free_names(tl_node *n);
/* What completion offers: {peers, models, ptns}, at once, as it is known. */
void tl_verb_known(tl_node *n, const json_t *args, tl_call *call);

/* node_report.c */
/* Is the peer one that lists show: present, or known and away? */
bool tl_node_is_about(const tl_node *n, const tl_peer *p);
/* node_keeping.c */
/* What a backup holds has changed. */
void tl_node_keeping_stale(tl_node *n);

#endif
