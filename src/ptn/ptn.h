/* ptn.h - what this node knows of one private network: who is revoked, what it costs, how new
 * that is; and the one judgement of a certificate. Pure: the caller has clock, store and
 * connections. */
#ifndef TL_PTN_PTN_H
#define TL_PTN_PTN_H

#include "ptn/cert.h"
#include "ptn/groupkey.h"
#include "ptn/price.h"
#include "ptn/revocations.h"

typedef struct tl_ptn tl_ptn;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_ptn_new(const tl_node_id *id, tl_ptn **ret_ptn);
void tl_ptn_free(tl_ptn *n);
const tl_node_id *tl_ptn_id(const tl_ptn *n);

/* A list from a member, an admin or the store. Nodes that were revoked stay revoked: a list only
 * adds. OK: it adds a node, or its sequence is the highest so far; it is to be stored before it is
 * told of, and then handed on. OLD: nothing new, and `*ret_stale` tells whether its holder lacks
 * what we have. Other verdicts: nothing changes; REVOKED: signed by an admin that is revoked.
 * EXPIRED is the issuer's. Of two lists with one sequence both count. A list is never EARLY: it only
 * takes rights away. */
tl_ptn_verdict tl_ptn_take_revocations(tl_ptn *n, const json_t *list, tl_unix now, bool *ret_stale);
/* The last list that was refused as its issuer is revoked here: who that is, and the first node of the
 * list that is not revoked here. False: there was none with such a node. */
typedef struct {
    tl_node_id by, node;
} tl_ptn_dispute;
bool tl_ptn_disputed(const tl_ptn *n, tl_ptn_dispute *ret_dispute);
/* A list that this node took once and stored. Only its signature is checked: its issuer was judged
 * then, and may be revoked since, by this list's neighbours too. So their order makes no difference to
 * who is revoked. */
tl_ptn_verdict tl_ptn_load_revocations(tl_ptn *n, const json_t *list, tl_unix now);
bool tl_ptn_is_revoked(const tl_ptn *n, const tl_node_id *node);
/* Since when; 0: it is not revoked. */
tl_unix tl_ptn_revoked_at(const tl_ptn *n, const tl_node_id *node);
/* The highest sequence so far; 0: no list yet. */
int64_t tl_ptn_sequence(const tl_ptn *n);
/* When it was issued; 0: no list yet. */
tl_unix tl_ptn_listed_at(const tl_ptn *n);
/* All that are revoked, as the next list must hold them: the highest sequence + 1, and `node`, too
 * (NULL: nobody else). `delegated`: an admin signs it with its own key. Where the sequence has
 * reached its end it stays there: a list that adds a node counts whatever its sequence. The caller
 * clears *ret. TL_ERR_EXISTS: `node` is revoked already. TL_ERR_BUSY: TL_REVOCATIONS_MAX are, or
 * TL_REVOCATIONS_ADMIN_MAX where it is delegated. */
TL_CHECK tl_err tl_ptn_next_list(const tl_ptn *n, const tl_node_id *node, bool delegated,
                                 tl_unix now, tl_revocations *ret);
/* The signed list with the highest sequence, borrowed; NULL: none yet. Where two have it, the one
 * that this node took first. */
const json_t *tl_ptn_list(const tl_ptn *n);
/* The lists that together hold all who are revoked, borrowed: the one above first, and those that
 * tell of others. Two admins that revoke at once make two. They are stored and handed on together;
 * an admin replaces them by the next list, which holds all. */
#define TL_PTN_LISTS_MAX 9
size_t tl_ptn_list_count(const tl_ptn *n);
const json_t *tl_ptn_list_at(const tl_ptn *n, size_t i);
/* Equal at two nodes that know of the same revoked nodes; zeros: of none. */
typedef struct {
    uint8_t bytes[16];
} tl_ptn_digest;
tl_ptn_digest tl_ptn_revoked_digest(const tl_ptn *n);

/* As tl_ptn_take_revocations: OLD where the version is not above the one that is known. Of two
 * prices with one version the lower counts everywhere, so that all members agree. */
tl_ptn_verdict tl_ptn_take_price(tl_ptn *n, const json_t *price, tl_unix now);
/* Micro-credits for 1000 tokens; 0 until one is set. */
int64_t tl_ptn_price_of(const tl_ptn *n, int64_t *ret_version);
const json_t *tl_ptn_price_object(const tl_ptn *n);

/* As tl_ptn_take_price: OLD where this key is known, or the newest is above it. Of two keys with
 * one version the lower is the newest everywhere. */
tl_ptn_verdict tl_ptn_take_groupkey(tl_ptn *n, const json_t *object, tl_unix now);
/* The newest; 0 and NULL: none yet. */
int64_t tl_ptn_groupkey_version(const tl_ptn *n);
const json_t *tl_ptn_groupkey_object(const tl_ptn *n);
/* The newest key and those that it replaced, newest first: a member that missed one still shows
 * the tag of the one before. */
#define TL_PTN_GROUPKEYS_MAX 3
size_t tl_ptn_hide_keys(const tl_ptn *n, const tl_hide_key **ret_keys);

/* May the holder of `node`'s key act by this certificate, in this network, now? OK, FOREIGN (of
 * another network, or another node's), EARLY, EXPIRED, REVOKED. A look-up or two, no signature:
 * a connection keeps the certificate that it read once. */
tl_ptn_verdict tl_ptn_judge(const tl_ptn *n, const tl_cert *cert, const tl_node_id *node,
                            tl_unix now);

#endif
