/* dht.h - this node in BitTorrent's mainline DHT (BEP 5, 32, 42, 43, 44): finds items, stores them at
 * others, keeps what we publish alive, and answers others. Sans-IO: datagrams and the time come in, and
 * datagrams go out through `send`. Resolves no names, knows nothing of peers and relays.
 *
 *   off --new--> joining --our own neighbourhood answered--> ready
 *                   ^-------------- no node is left -----------/
 *
 * Requests may be made in any state. While it is joining they wait, for ten seconds at most.
 *
 * Its bounds, whatever others send: TL_DHT_REQUESTS_MAX requests at once, TL_DHT_ASKS_PER_SEC queries
 * of ours (burst TL_DHT_ASKS_BURST), TL_DHT_KEPT_MAX items that are kept alive, and those of
 * the answers that others want of us. What liars name, or forged sources, turn on one IP that did not ask:
 *
 *   answers <= TL_DHT_SERVER_FACTOR x the bytes that were forged (dht/server.h)
 *   pings   <= TL_QUERIES_PINGS in TL_QUERIES_PINGS_FOR to its whole network, 100 bytes each
 *   queries <= two of one request of ours, and none for ten minutes to an IP and port that was silent twice */
#ifndef TL_DHT_DHT_H
#define TL_DHT_DHT_H

#include "base/env.h"
#include "crypto/identity.h"
#include "dht/item.h"
#include "wire/control.h"

#define TL_DHT_REQUESTS_MAX 32 /* at once; a request beyond is refused */
#define TL_DHT_SEEDS_MAX                                                                           \
    64 /* addresses that may be asked for first nodes; new ones push out old ones */
#define TL_DHT_KEPT_MAX        256 /* items that are kept alive: 1.3 kB each */
#define TL_DHT_ASKS_PER_SEC    64
#define TL_DHT_ASKS_BURST      256
#define TL_DHT_TABLE_BYTES_MAX 16384 /* of tl_dht_save */
#define TL_DHT_REPUBLISH_SECS  3600  /* BEP 44: holders forget after two hours */

typedef struct tl_dht tl_dht;

typedef struct {
    tl_rand *rand;           /* borrowed for life */
    const tl_env *env;       /* borrowed for life; only `wake` is used */
    bool has4, has6;         /* which sockets there are */
    bool serves;             /* false: read-only (BEP 43) */
    bool to_loopback;        /* our socket is there: nodes may be, too */
    tl_control_nat nat;      /* told in answers to pings */
    unsigned republish_secs; /* 60 to TL_DHT_REPUBLISH_SECS */
    /* Sends now. Must not call back. `datagram` is the callee's until it returns. */
    void (*send)(void *user, const tl_addr *to, tl_slice datagram);
    /* May a datagram go there? Our own addresses and those of relays may not. NULL: all may. Forbidden
     * kinds (nat/candidate.h) are refused without a question. */
    bool (*may_send)(void *user, const tl_addr *to);
    /* Nodes of Teale say in their answers to pings whether they introduce others (docs/protocol.md "The
     * DHT"). While `wants_introducers`, those that are met are pinged; on_introducer tells of each: `key`
     * is its node ID, by its own word. Neither may call back. Both NULL: nobody wants to know. */
    bool (*wants_introducers)(void *user);
    void (*on_introducer)(void *user, const tl_addr *addr, const uint8_t key[32]);
    void *user;
} tl_dht_config;

/* Copies `config`. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_dht_new(const tl_dht_config *config, tl_time now, tl_dht **ret_dht);
/* Requests under way end without a call. */
void tl_dht_free(tl_dht *d);

/* A datagram that begins with `d` and a digit and ends with `e`, which did not come through a relay. */
void tl_dht_on_datagram(tl_dht *d, const tl_addr *from, tl_slice datagram, tl_time now,
                        tl_unix wall);
void tl_dht_on_timer(tl_dht *d, tl_time now, tl_unix wall);
tl_time tl_dht_expiry(const tl_dht *d);

/* Our address as others see it; of the family NONE: not known. A new IP means a new ID (BEP 42) and a
 * table in a new order; what is published is stored again by the next timer. */
void tl_dht_set_address(tl_dht *d, const tl_addr *v4, const tl_addr *v6, tl_time now);
void tl_dht_set_sockets(tl_dht *d, bool has4, bool has6, tl_time now);
void tl_dht_set_nat(tl_dht *d, tl_control_nat nat);
/* This node introduces others, under this node ID; NULL: it does not. Copies. */
void tl_dht_set_introduces(tl_dht *d, const uint8_t key[32]);
void tl_dht_set_serving(tl_dht *d, bool serves);
void tl_dht_set_republish(tl_dht *d, unsigned secs);
/* The network changed: asks the table's nodes anew, and publishes at once. */
void tl_dht_network_changed(tl_dht *d, tl_time now);

/* An address at which a node of the DHT may be: from the bootstrap list, a member of a network of ours,
 * a relay. It is asked when nodes are needed. */
void tl_dht_add_node(tl_dht *d, const tl_addr *addr, tl_time now);

/* --- requests --- */

/* Names a request; 0 none. It is never used twice. */
typedef uint64_t tl_dht_request;

typedef struct {
    unsigned asked, answered; /* nodes */
    unsigned hops;            /* of the longest chain of nodes that named each other */
    unsigned
        values; /* nodes that had an item of this target that verified; of a put: that took it */
    unsigned refused; /* items that did not verify; of a put: nodes that answered with an error */
    int64_t newer;    /* of a put: the highest `seq` that a node holds instead; 0 none */
    tl_time took;
} tl_dht_result;

/* Called from inside tl_dht_on_datagram and tl_dht_on_timer, never from inside the function that began
 * the request. They may begin and cancel requests, this one, too; they must not free the tl_dht. */
typedef struct {
    /* An item that verified, with a higher `seq` than those before. Valid during the call. NULL: not
     * called. */
    void (*on_item)(void *user, tl_dht_request request, const tl_dht_item *item);
    /* The request ends: with the item of the highest `seq`, or NULL, for a put always NULL. Not called
     * after tl_dht_cancel. */
    void (*on_done)(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result);
    void *user;
} tl_dht_ask;

/* The item that `key` signed under `salt` (at most TL_DHT_SALT_MAX bytes). `quorum` ends it before all
 * were asked: as soon as so many nodes had that item, and none a newer one; 0: all are asked. `ask` is
 * copied. TL_ERR_BUSY: as many requests as may be. TL_ERR_NOMEM. TL_ERR_INVALID: the salt is too long. */
TL_CHECK tl_err tl_dht_get(tl_dht *d, const uint8_t key[32], tl_slice salt, unsigned quorum,
                           const tl_dht_ask *ask, tl_time now, tl_dht_request *ret_request);
/* The bytes with this SHA-1. The first that fit end it. Errors as above. */
TL_CHECK tl_err tl_dht_get_immutable(tl_dht *d, const tl_dht_id *target, const tl_dht_ask *ask,
                                     tl_time now, tl_dht_request *ret_request);
/* Stores a whole item (signed, where it is mutable) at the nodes nearest to its target, once. Copies.
 * TL_ERR_INVALID: no right item (dht/item.h). */
TL_CHECK tl_err tl_dht_put(tl_dht *d, const tl_dht_item *item, const tl_dht_ask *ask, tl_time now,
                           tl_dht_request *ret_request);
void tl_dht_cancel(tl_dht *d, tl_dht_request request);

/* --- what is kept alive --- */

/* No `seq` of ours is later than this after the time, nor after the earliest time at which this program can run:
 * a clock may be wrong at first. A later one is a broken file's or a thief's, and to follow it would end in
 * a number that nothing can be above. It is passed over, from the file and from the DHT alike. */
#define TL_DHT_SEQ_AHEAD    (INT64_C(10) * 365 * 24 * 3600)
#define TL_DHT_SEQ_EARLIEST INT64_C(1767225600) /* 2026-01-01 */
static inline bool tl_dht_seq_may_be(int64_t seq, tl_unix wall)
{
    tl_unix from = wall > TL_DHT_SEQ_EARLIEST ? wall : TL_DHT_SEQ_EARLIEST;
    return seq >= 0 && seq - TL_DHT_SEQ_AHEAD <= from;
}

/* Publishes `value` (bencode, at most TL_DHT_VALUE_MAX bytes) under the key of `identity`, which is
 * borrowed until tl_dht_unpublish, and `salt`; keeps it alive, and signs it anew when the value changes,
 * when others hold a later `seq`, and each TL_DHT_RECORD_RENEW (dht/freshness.h): seq = max(wall, last seq + 1). `last_seq` is the one kept from before, 0
 * none. Publishing the same value again changes nothing. TL_ERR_INVALID: too long, or not bencode.
 * TL_ERR_BUSY: TL_DHT_KEPT_MAX. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_dht_publish(tl_dht *d, const tl_identity *identity, tl_slice salt,
                               tl_slice value, int64_t last_seq, tl_time now);
void tl_dht_unpublish(tl_dht *d, const tl_node_id *key, tl_slice salt);
/* Keeps another one's signed item alive; one with a higher `seq` takes its place, also when it is found
 * at other nodes. Copies. TL_ERR_AUTH: it does not verify. TL_ERR_REPLAY: older than the one held.
 * TL_ERR_BUSY, TL_ERR_NOMEM as above. */
TL_CHECK tl_err tl_dht_hold(tl_dht *d, const tl_dht_item *item, tl_time now);
void tl_dht_release(tl_dht *d, const tl_dht_id *target);

typedef struct {
    tl_dht_id target;
    int64_t seq;      /* of the last item that was signed; 0 none */
    unsigned holders; /* nodes that have it, as far as known */
    tl_time stored;   /* when it was last stored; 0 never */
    bool is_ours;     /* by tl_dht_publish; else by tl_dht_hold */
    unsigned outdone; /* so often a later one of our key was found, which this run did not sign */
    bool cannot_sign; /* ours, and it failed: nothing is published */
} tl_dht_kept;
/* False: nothing is kept under this target. */
bool tl_dht_kept_of(const tl_dht *d, const tl_dht_id *target, tl_dht_kept *ret_kept);

/* --- the table over a restart --- */

/* The nodes that answered lately, and our IDs. Returns the number of bytes. */
size_t tl_dht_save(const tl_dht *d, uint8_t ret[TL_DHT_TABLE_BYTES_MAX]);
/* Nodes to ask first. Call it once, before anything else. Bytes that are not by tl_dht_save are refused
 * as a whole: TL_ERR_PROTO. */
TL_CHECK tl_err tl_dht_load(tl_dht *d, tl_slice bytes, tl_time now);

/* --- what is told of it --- */

typedef enum { TL_DHT_JOINING, TL_DHT_READY } tl_dht_state;

typedef enum {
    TL_DHT_DROP_FORM,     /* no KRPC */
    TL_DHT_DROP_STRANGER, /* an answer to no query of ours, or from another address */
    TL_DHT_DROP_ADDRESS,  /* from an address that nothing is sent to */
    TL_DHT_DROP_RATE,     /* a query beyond what its sender may have */
    TL_DHT_DROP_RO,       /* a query while we are read-only */
    TL_DHT_DROPS,
} tl_dht_drop;
/* "form", "stranger", "address", "rate", "read_only". */
const char *tl_dht_drop_name(tl_dht_drop drop);

typedef struct {
    uint64_t bytes_in, bytes_out; /* UDP payloads */
    uint64_t dropped[TL_DHT_DROPS];
    uint64_t queries_out, answers_in, timeouts, errors_in, queries_in;
    uint64_t lookups;                                        /* ended, of all kinds */
    uint64_t requests, found, not_found, stored, not_stored; /* gets and puts that ended */
} tl_dht_counters;
const tl_dht_counters *tl_dht_counters_of(const tl_dht *d);

typedef struct {
    tl_dht_state state;
    tl_dht_id id4, id6;
    bool has_id4, has_id6;
    size_t nodes4, nodes6; /* in the tables */
    size_t stored;         /* items of others that we hold */
    size_t kept;           /* items that we keep alive */
    bool read_only;
    double network; /* how many nodes the DHT seems to have; 0 not known */
} tl_dht_report;
void tl_dht_report_of(const tl_dht *d, tl_dht_report *ret_report);

#endif
