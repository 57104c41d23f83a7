/* networks.h - the rows of private networks: typed jobs of the store (store.h). Keeps and gives back
 * what it is handed; judges no signature, role or time.
 *
 * Every call copies its arguments and submits one job. `on_done` (may be NULL) comes once, by
 * tl_store_collect; with TL_OK what was asked for is on the disk. `why` has words for a person where
 * it fails, and is borrowed for the call. TL_ERR_NOMEM: nothing was submitted, on_done does not come.
 *
 * Errors of on_done, beside those that each call names: TL_ERR_IO (the disk is full, or failed),
 * TL_ERR_NOMEM, TL_ERR_BUSY and TL_ERR_CLOSED (tl_store_submit), TL_ERR_INVALID (a value that the
 * schema refuses). */
#ifndef TL_STORE_NETWORKS_H
#define TL_STORE_NETWORKS_H

#include "ptn/invite.h"
#include "ptn/networks.h"
#include "store/store.h"

typedef void (*tl_store_told)(void *user, tl_err e, const char *why);

#define TL_STORE_API_KEY_MAX 128 /* characters */
#define TL_STORE_NAME_MAX    256 /* bytes of a member's name */
/* Rows of one network: of members, those that were not seen for longest make room, so that this
 * never stops a join; of invites, those that ended a week ago do. */
#define TL_STORE_MEMBERS_MAX 4096
#define TL_STORE_INVITES_MAX 4096
#define TL_STORE_NETWORKS_MAX                                                                      \
    256 /* ours: with those that were left, far more than a person joins */

/* --- networks of ours --- */

typedef struct {
    tl_node_id network;
    char name[TL_PTN_NAME_MAX + 1]; /* as this node calls it */
    const char *certificate;        /* ours, JSON with its chain; NULL: none */
    const uint8_t *ca_seed;         /* 32 bytes; NULL: the authority is not here */
    const char *api_key;            /* NULL: none */
    bool has_left;                  /* then the three above are NULL */
    tl_unix at;
} tl_network_row;

/* Adds the row, or replaces all of it; a name that it had before is kept among its old ones, the newest
 * TL_NETWORK_OLD_NAMES of them. TL_ERR_EXISTS: the API key is another network's. TL_ERR_BUSY:
 * TL_STORE_NETWORKS_MAX. */
TL_CHECK tl_err tl_store_put_network(tl_store *s, const tl_network_row *row, tl_store_told on_done,
                                     void *user);
/* Forgets the network with all its rows. */
TL_CHECK tl_err tl_store_drop_network(tl_store *s, const tl_node_id *network, tl_store_told on_done,
                                      void *user);

/* --- what its admins signed --- */

typedef enum {
    TL_OBJECTS_REVOCATIONS,
    TL_OBJECTS_PRICE,
    TL_OBJECTS_KEY,
    TL_OBJECT_KINDS
} tl_object_kind;

/* A JSON array of signed objects, in place of the one before. The network need not be there. */
TL_CHECK tl_err tl_store_put_objects(tl_store *s, const tl_node_id *network, tl_object_kind kind,
                                     const char *objects, tl_store_told on_done, void *user);

/* --- members --- */

typedef struct {
    tl_node_id network, node;
    const char *certificate; /* JSON with its chain */
    const char *name;        /* "": not known */
    tl_unix last_seen;       /* 0: never */
} tl_member_row;

/* Adds the row, or replaces it; a name that is not known and an earlier time change nothing.
 * TL_ERR_INVALID also where the network is not there. */
TL_CHECK tl_err tl_store_put_member(tl_store *s, const tl_member_row *row, tl_store_told on_done,
                                    void *user);
/* The node left: its row goes, and when its certificate was issued is kept until a later one of it is
 * put. TL_OK also where the row, or the network, is not there. Of TL_STORE_MEMBERS_MAX that left a
 * network the one that left first is forgotten. */
typedef struct {
    tl_node_id network, node;
    tl_unix issued_at;
} tl_departed_row;
TL_CHECK tl_err tl_store_drop_member(tl_store *s, const tl_departed_row *row, tl_unix now,
                                     tl_store_told on_done, void *user);

/* A member whose row is there was seen; nothing is told. */
TL_CHECK tl_err tl_store_see_member(tl_store *s, const tl_node_id *network, const tl_node_id *node,
                                    const char *name, tl_unix last_seen);
/* All of one network, in the order of their IDs; `rows` is borrowed for the call. */
typedef struct {
    tl_node_id node;
    char name[TL_STORE_NAME_MAX + 1];
    tl_unix last_seen;
    char *certificate; /* JSON with its chain */
} tl_member_seen;
typedef void (*tl_store_members)(void *user, tl_err e, const tl_member_seen *rows, size_t n);
TL_CHECK tl_err tl_store_list_members(tl_store *s, const tl_node_id *network,
                                      tl_store_members on_done, void *user);

/* --- what this node tries to join --- */

typedef struct {
    tl_node_id network;
    const char *invite;
    const char *name; /* as this node shall call it; "": as in the invite */
    tl_unix at;
} tl_join_row;

TL_CHECK tl_err tl_store_put_join(tl_store *s, const tl_join_row *row, tl_store_told on_done,
                                  void *user);
TL_CHECK tl_err tl_store_drop_join(tl_store *s, const tl_node_id *network, tl_store_told on_done,
                                   void *user);

/* --- invites that this node made ---
 *
 *   OPEN --spend--> USED
 *     \--withdraw--> WITHDRAWN      also all that are open, when a copy of the store is taken back */
typedef enum {
    TL_INVITE_OPEN,
    TL_INVITE_USED,
    TL_INVITE_WITHDRAWN,
    TL_INVITE_STATES
} tl_invite_state;
/* "open"; static storage. That an open one has expired is the caller's to say. */
const char *tl_invite_state_name(tl_invite_state s);

typedef struct {
    tl_node_id network;
    uint8_t nonce[TL_INVITE_NONCE];
    tl_role role;
    tl_unix expires_at;
    int64_t valid_seconds; /* of the certificate; 0: no end */
    bool bound;
    tl_node_id bound_to;
    tl_invite_state state;
    tl_node_id used_by; /* where it is USED */
} tl_invite_row;

/* Adds an open one; `state` is not looked at. TL_ERR_EXISTS: the nonce is there. TL_ERR_BUSY:
 * TL_STORE_INVITES_MAX. */
TL_CHECK tl_err tl_store_put_invite(tl_store *s, const tl_invite_row *row, tl_unix now,
                                    tl_store_told on_done, void *user);
/* OK also where it is withdrawn already. TL_ERR_NOT_FOUND. TL_ERR_EXISTS: it was used. */
TL_CHECK tl_err tl_store_withdraw_invite(tl_store *s, const tl_node_id *network,
                                         const uint8_t nonce[TL_INVITE_NONCE],
                                         tl_store_told on_done, void *user);
/* Spends an invite: in one transaction the nonce is used by `node`, and `member` (of which only
 * certificate, name and last_seen are looked at) is its row. The same node again: nothing changes.
 * `certificate` is what the node is to get: the one that was handed in, or, for the same node again,
 * the one that is there; borrowed for the call, NULL where it fails.
 *
 * Where none is handed in (NULL: the invite has ended), only the node that used it gets its own.
 *
 * TL_ERR_NOT_FOUND: this node made no such invite, or forgot it; or nobody used it, and no certificate
 * was handed in. TL_ERR_EXISTS: another node used
 * it, or this one, which is no member any more. TL_ERR_FORBIDDEN: it was withdrawn. */
typedef void (*tl_store_spent)(void *user, tl_err e, const char *certificate, const char *why);
TL_CHECK tl_err tl_store_spend_invite(tl_store *s, const uint8_t nonce[TL_INVITE_NONCE],
                                      const tl_member_row *member, tl_store_spent on_done,
                                      void *user);
/* All of one network, the earliest end first; `rows` is borrowed for the call. */
typedef void (*tl_store_invites)(void *user, tl_err e, const tl_invite_row *rows, size_t n);
TL_CHECK tl_err tl_store_list_invites(tl_store *s, const tl_node_id *network,
                                      tl_store_invites on_done, void *user);

/* --- at start --- */

typedef struct {
    tl_node_id network;
    tl_object_kind kind;
    const char *objects;
} tl_objects_row;

typedef struct {
    tl_node_id network;
    const char *name;
} tl_old_name_row;

/* Gets every row but the invites: networks first, then their old names, the oldest of each first, their
 * objects, members, who left, and joins. Texts are borrowed for the call. Called on the store's thread while the caller of tl_store_each waits. An
 * error ends it, and is returned. NULL: not wanted. */
typedef struct {
    tl_err (*network)(void *user, const tl_network_row *row);
    tl_err (*old_name)(void *user, const tl_old_name_row *row);
    tl_err (*objects)(void *user, const tl_objects_row *row);
    tl_err (*member)(void *user, const tl_member_row *row);
    tl_err (*departed)(void *user, const tl_departed_row *row);
    tl_err (*join)(void *user, const tl_join_row *row);
    void *user;
} tl_store_visitor;
/* Waits. TL_ERR_PROTO: a row that no version of this program wrote. */
TL_CHECK tl_err tl_store_each(tl_store *s, const tl_store_visitor *visitor, tl_why *why);

#endif
