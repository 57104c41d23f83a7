/* networks.h - the book of private networks: those that this node is in, and the certificates that
 * other nodes have shown. It answers who may ask this node, and whom this node may ask. Pure: never
 * touches a clock, a store or a connection. The caller proves who a peer is (the Noise key).
 *
 * All judgements hold to the second, and look at roles: the admins and providers of a network
 * serve, and every member asks. */
#ifndef TL_PTN_NETWORKS_H
#define TL_PTN_NETWORKS_H

#include "ptn/ptn.h"

#define TL_NETWORKS_MAX        64 /* ours: a person joins a handful; each peer is asked about all */
#define TL_NETWORK_MEMBERS_MAX 4096 /* certificates of others that are kept of one network */
/* Certificates of others in all, 300 bytes each: an admin of a network of ours can make as many as
 * it likes. Those of nodes that are not connected make room, the longest unseen first. */
#define TL_NETWORKS_CERTS_MAX  16384
#define TL_NETWORK_KEY_MAX     64 /* characters of an API key */
#define TL_NETWORK_PREFIX_MIN  8  /* digits of a ptnID that name a network */
#define TL_NETWORK_OLD_NAMES   8  /* kept of one network: a person renames one once or twice */

/* What this node called a network before, the oldest first. */
typedef struct {
    size_t n;
    char names[TL_NETWORK_OLD_NAMES][TL_PTN_NAME_MAX + 1];
} tl_old_names;

/* This node in one network. The book owns it. Fields are for reading; tl_networks_... change them,
 * but `checked_at`. */
typedef struct tl_membership {
    tl_node_id id;
    char name[TL_PTN_NAME_MAX + 1]; /* what this node calls it: tl_network_name_is */
    tl_old_names old;
    tl_ptn *ptn;         /* who is revoked, the price, the group key */
    json_t *certificate; /* our own; NULL: none yet, or the network was left */
    tl_cert cert;        /* the same, where it is not NULL */
    bool has_ca;
    tl_identity ca; /* the authority's key, where this node holds it */
    bool left;
    char api_key[TL_NETWORK_KEY_MAX + 1]; /* "": none */
    size_t n_members;                     /* others whose certificates are kept */
    tl_ptn_digest others;                 /* of these certificates */
    bool heard_dispute; /* a member has told of a list that its issuer's revocation refuses here */
    tl_ptn_dispute dispute;
    tl_unix checked_at; /* when an admin last told us that our list is the newest; 0: never */
} tl_membership;

/* What our own certificate makes of us. */
typedef enum {
    TL_MEMBERSHIP_JOINING, /* no certificate yet */
    TL_MEMBERSHIP_VALID,
    TL_MEMBERSHIP_EXPIRED,
    TL_MEMBERSHIP_REVOKED, /* we, or the admin that signed for us */
    TL_MEMBERSHIP_EARLY,   /* our clock is behind by more than TL_PTN_AHEAD_MAX */
    TL_MEMBERSHIP_LEFT,
    TL_MEMBERSHIP_STATES
} tl_membership_state;
/* "joining"; of EARLY: "valid"; static storage. */
const char *tl_membership_state_name(tl_membership_state s);

/* One answer of the book. Those of us come before those of the peer. */
typedef enum {
    TL_MAY_OK,
    TL_MAY_NOT_OURS,   /* this node is not in the network: it never was, left, or is joining */
    TL_MAY_WE_EXPIRED, /* our own certificate */
    TL_MAY_WE_REVOKED, /* we are */
    TL_MAY_WE_EARLY,   /* our certificate is of the future: our clock is wrong */
    TL_MAY_WE_ROLE,    /* our role does not serve */
    TL_MAY_STALE,      /* no list of revoked nodes that is new enough */
    TL_MAY_UNKNOWN,    /* the peer has shown no certificate */
    TL_MAY_EXPIRED,    /* the peer's certificate */
    TL_MAY_REVOKED,    /* the peer, or the admin that signed for it */
    TL_MAY_EARLY,      /* the peer's certificate is of the future: a clock is wrong */
    TL_MAY_ROLE,       /* the peer's role does not serve */
    TL_MAY_VERDICTS
} tl_may;
/* For a person, to follow "network lab: ": "the certificate of the other node has expired". */
const char *tl_may_words(tl_may may);

typedef struct tl_networks tl_networks;

/* `self`: this node. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_networks_new(const tl_node_id *self, tl_networks **ret_book);
void tl_networks_free(tl_networks *b);
/* tl_networks_may_ask is TL_MAY_STALE where nothing that is newer than this tells who is revoked: the
 * list itself, an admin's word (`checked_at`), our own certificate, which came with the list of its
 * day. 0: never. */
void tl_networks_set_max_age(tl_networks *b, int64_t seconds);
/* This node hides its networks (ptn.hide): who is revoked, or whose certificate does not hold, is
 * judged as a stranger (TL_MAY_UNKNOWN) unless tl_networks_set_met was told of it. */
void tl_networks_set_hide(tl_networks *b, bool hide);
bool tl_networks_hides(const tl_networks *b);
/* Grows with each change that may change a judgement or what we tell of our networks. */
uint64_t tl_networks_version(const tl_networks *b);

/* --- ours --- */

/* 1 to 64 of [A-Za-z0-9._-], and not what may be digits of a ptnID. */
#define TL_NETWORK_NAME_WORDS                                                                      \
    "a name is 1 to 64 of A-Z a-z 0-9 . _ -, and not 8 hex digits or more, which name an ID"
bool tl_network_name_is(const char *name);
/* A name as near to `wish`, which is not empty, as may be. */
void tl_network_name_make(const char *wish, char ret_name[TL_PTN_NAME_MAX + 1]);
/* TL_NETWORK_PREFIX_MIN to 64 digits of a ptnID. */
bool tl_network_digits_are(tl_slice text);
/* Finds or adds the network; a new one has no certificate. A network that was left is one of ours
 * again with its certificate. TL_ERR_BUSY: TL_NETWORKS_MAX, none of them left. TL_ERR_INVALID: the
 * name. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_networks_add(tl_networks *b, const tl_node_id *id, const char *name,
                                tl_membership **ret_network);
/* A network that was left, and that this node joins again: it has no certificate yet. */
void tl_networks_rejoin(tl_networks *b, tl_membership *n);
/* The name of before is one of its old ones then. TL_ERR_INVALID: the name. */
TL_CHECK tl_err tl_networks_rename(tl_networks *b, tl_membership *n, const char *name);
/* As it was before tl_networks_rename: the disk did not take it. */
void tl_networks_rename_back(tl_networks *b, tl_membership *n, const char *name,
                             const tl_old_names *old);
/* One of the store's: newer than those that are there. */
void tl_networks_add_old_name(tl_membership *n, const char *name);
/* Our own certificate, copied: of this network and this node, its signature right (its times are
 * judged when it is used). Takes the place of the one before. FOREIGN, or as tl_cert_read. */
tl_ptn_verdict tl_networks_set_certificate(tl_networks *b, tl_membership *n,
                                           const json_t *certificate);
/* The authority's key. TL_ERR_FORBIDDEN: the key of another network. */
TL_CHECK tl_err tl_networks_set_ca(tl_networks *b, tl_membership *n, const tl_identity *ca);
/* "": none any more. TL_ERR_INVALID: too long. */
TL_CHECK tl_err tl_networks_set_api_key(tl_networks *b, tl_membership *n, const char *key);
/* Forgets the certificate, the keys and the members; id and name stay. */
void tl_networks_leave(tl_networks *b, tl_membership *n);
/* Forgets everything. `n` is freed. */
void tl_networks_remove(tl_networks *b, tl_membership *n);
/* A list, a price or a group key of this network changed in `n->ptn`. */
void tl_networks_changed(tl_networks *b);

size_t tl_networks_count(const tl_networks *b);
/* In the order they were added; the left ones, too. */
tl_membership *tl_networks_at(const tl_networks *b, size_t i);
/* NULL: not in the book. */
tl_membership *tl_networks_by_id(const tl_networks *b, const tl_node_id *id);
/* Another one than `except` that is called so and was not left. NULL: none. */
tl_membership *tl_networks_named(const tl_networks *b, const char *name,
                                 const tl_membership *except);
/* By the API key, in constant time for each network. NULL: none of ours. */
tl_membership *tl_networks_by_key(const tl_networks *b, tl_slice key);
/* By what a person wrote: the ptnID, its first TL_NETWORK_PREFIX_MIN digits or more, or the name. A
 * whole ptnID means that network alone. At most two of the networks that fit are in `ret_found`; the
 * return value counts all. Networks that were left count only where no other fits. */
size_t tl_networks_find(const tl_networks *b, tl_slice text, tl_membership *ret_found[2]);
/* A network that was called so here, one that was not left before others. For words: no old name stands for
 * its network. NULL: none. */
const tl_membership *tl_networks_once_called(const tl_networks *b, tl_slice name);
tl_membership_state tl_membership_state_of(const tl_networks *b, const tl_membership *n,
                                           tl_unix now);

/* --- certificates of others --- */

/* A certificate that `peer` showed over a connection that its key secured. The signature is checked
 * once, and the certificate is kept, also where it has expired; but where there is no room, one that
 * has ended or is revoked is not. OLD: a newer one of the peer is
 * known, which stays. FOREIGN: another node's, or of a network that is not ours. Otherwise what
 * tl_ptn_judge says of it. `*ret_checked` (may be NULL): a signature was checked, which costs time. */
tl_ptn_verdict tl_networks_take_certificate(tl_networks *b, const tl_node_id *peer,
                                            const json_t *certificate, tl_unix now,
                                            bool *ret_checked);
/* One whose signature was checked before: the store's, or one that this node made. OLD, FOREIGN,
 * NO_MEMORY as above; times are not judged. */
tl_ptn_verdict tl_networks_keep(tl_networks *b, const tl_cert *cert);
/* The node, whose certificate is known, has been told that we are a member, as its certificate held. */
void tl_networks_set_met(tl_networks *b, const tl_membership *n, const tl_node_id *peer);
/* Was that so, in this life of the node or an earlier one? */
bool tl_networks_has_met(const tl_networks *b, const tl_membership *n, const tl_node_id *peer);
/* Is nothing of the node known, or, where we hide, nothing for which it may be told that we are a
 * member? */
bool tl_networks_is_stranger(const tl_networks *b, const tl_membership *n, const tl_node_id *peer,
                             tl_unix now);
/* A connection to the peer stands: its certificates do not make room for others. */
void tl_networks_set_connected(tl_networks *b, const tl_node_id *peer, bool connected);
/* The certificate that is kept. NULL: none. */
const tl_cert *tl_networks_cert_of(const tl_networks *b, const tl_membership *n,
                                   const tl_node_id *peer);
/* Those of one network, the longest unseen first. `visit` must not change the book. */
void tl_networks_each(const tl_networks *b, const tl_membership *n,
                      void (*visit)(void *user, const tl_cert *cert), void *user);
/* Equal at two nodes that know of the same certificates of this network, their own among them. */
tl_ptn_digest tl_networks_members_digest(const tl_membership *n);
/* When the newest certificate of the peer that this book has seen was issued, also where the peer has
 * left; 0: none. */
tl_unix tl_networks_issued_last(const tl_networks *b, const tl_membership *n,
                                const tl_node_id *peer);
/* The peer left the network: of its certificates only one that is issued later will count. */
void tl_networks_forget(tl_networks *b, const tl_membership *n, const tl_node_id *peer);

/* The same of a node that left before this node started. */
void tl_networks_load_left(tl_networks *b, tl_membership *n, const tl_node_id *peer,
                           tl_unix issued_at);

/* --- judgements: a look-up or two, no signature --- */

/* Do members disagree on who is revoked: two admins have revoked each other? It lasts until the node of
 * the dispute is revoked here, too. */
bool tl_membership_is_disputed(const tl_membership *n);
/* Does the certificate end with its issuer: did `issuer`, an admin, sign it with its own key? True also
 * where the issuer is revoked; false where the certificate would not hold without that. */
bool tl_networks_rests_on(const tl_membership *n, const tl_cert *cert, const tl_node_id *issuer,
                          tl_unix now);
/* Is the admin revoked that signed our certificate, and we are not? Then another admin can sign a new one. */
bool tl_membership_lost_issuer(const tl_networks *b, const tl_membership *n);
/* The certificate of an admin whom one may ask, rather one that is connected. NULL: none is known. */
const tl_cert *tl_networks_an_admin(const tl_networks *b, const tl_membership *n, tl_unix now);

/* May the peer ask this node, for this network? Both certificates hold, and our role serves. */
tl_may tl_networks_may_ask(const tl_networks *b, const tl_node_id *network, const tl_node_id *peer,
                           tl_unix now);
/* May this node ask the peer, for this network? Both certificates hold, and the peer's role
 * serves. */
tl_may tl_networks_may_serve(const tl_networks *b, const tl_node_id *network,
                             const tl_node_id *peer, tl_unix now);
/* Are both members of this network, whatever their roles? */
tl_may tl_networks_are_members(const tl_networks *b, const tl_node_id *network,
                               const tl_node_id *peer, tl_unix now);
/* Are both members of any network? */
bool tl_networks_is_member(const tl_networks *b, const tl_node_id *peer, tl_unix now);
/* Is this node in the network, and does its certificate hold? */
tl_may tl_networks_are_we(const tl_networks *b, const tl_node_id *network, tl_unix now);

#endif
