/* seek.h - looks for peers of which nothing but the ID is known, and decides in which order to try what
 * their record in the DHT names. Sans-IO: asks, tells and connects through the functions it is given; never
 * touches a socket, a clock or the DHT itself.
 *
 *                             WAITING --a relay is free--\
 *                                ^ a visit to another     |
 *                                | peer's is under way    v
 *   LOOKING --a record--> TRYING --its time is over--> RELAY --its time is over--> NODES
 *      |                    |                            |                          |
 *      | no record,         | no relay is named          | it stands, or            | it stands, or
 *      v no way             v                            v the time is over         v the time is over
 *    over                 over                         over                       over
 *
 * Three tiers, the cheapest first: straight to a public address; introduced by a node that both reach, the
 * NATs opened from both sides (these two are TRYING, and go on through all that follows); through a relay
 * (RELAY: one at which the peer is; NODES: the nodes that introduce it, which may relay, too). The relay
 * waits for the others TL_SEEK_RELAY_AFTER. It waits for nothing where punching is not worth an attempt (both
 * NATs symmetric), or one NAT is unknown: then the attempt is made on top of the relay. */
#ifndef TL_PEER_SEEK_H
#define TL_PEER_SEEK_H

#include "dht/record.h"
#include "peer/introducers.h"

#define TL_SEEKS_MAX        16             /* peers looked for at once */
#define TL_SEEK_RELAY_AFTER (1500 * TL_MS) /* an introduction takes 1.5 round trips */
#define TL_SEEK_RELAY_FOR   (5 * TL_SEC)   /* to connect to a relay, and to open a session there */
/* A relay that does not answer gives its place back after TL_SEEK_RELAY_FOR: two of them may be before this one. */
#define TL_SEEK_RELAY_WAIT  (2 * TL_SEEK_RELAY_FOR + TL_SEC)
#define TL_SEEK_RELAY_AGAIN (500 * TL_MS) /* so often it is asked whether a relay may be visited */
#define TL_SEEK_PER_IP      2             /* ways to one IP that are taken from one record */
#define TL_SEEK_NODES_FOR   (4 * TL_SEC)  /* a RelayRequest is sent four times, one a second */

typedef struct tl_seek tl_seek;

typedef enum {
    TL_SEEK_REFUSES, /* this node does not visit that relay */
    TL_SEEK_BUSY,    /* it is at the relay of another peer */
    TL_SEEK_VISITS,  /* it is there, or on its way */
} tl_seek_visit;

/* None of these may call the tl_seek. */
typedef struct {
    /* Begins to look for the peer's record; tl_seek_on_record follows, never from inside this call.
     * False: nobody can be asked. */
    bool (*look)(void *user, const tl_node_id *peer);
    void (*unlook)(void *user, const tl_node_id *peer);
    /* May datagrams go there because a record says so? */
    bool (*may_send)(void *user, const tl_addr *addr);
    tl_control_nat (*own_nat)(void *user);
    /* Where the peer is; the look goes on. */
    void (*know)(void *user, const tl_node_id *peer, const tl_whereabouts *where);
    /* Connect to that relay. Where it does not come to that, the next one is tried, and later this one again. */
    tl_seek_visit (*relay)(void *user, const tl_node_id *peer, const char *url);
    /* Ask these nodes to relay. */
    void (*nodes)(void *user, const tl_node_id *peer, const tl_relayer_name *names, size_t n);
    /* The look is over. NULL: nothing to try is left, for the reason `why`, a literal. */
    void (*over)(void *user, const tl_node_id *peer, const tl_whereabouts *where, const char *why);
} tl_seek_world;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_seek_new(const tl_node_id *own, const tl_seek_world *world, void *user,
                            tl_seek **ret_seek);
/* Looks under way end without a word. */
void tl_seek_free(tl_seek *s);

/* False: nobody looks (TL_SEEKS_MAX, or the DHT cannot be asked). True also where somebody does already;
 * `over` follows, never from inside this call. */
bool tl_seek_start(tl_seek *s, const tl_node_id *peer);
/* The record, as the DHT had it. NULL: none, for the reason `why`, a literal. */
void tl_seek_on_record(tl_seek *s, const tl_node_id *peer, const tl_dht_record *record,
                       const char *why, tl_time now);
/* A connection to the peer stands, or is not wanted any more: nothing more is tried. `over` is not
 * called. */
void tl_seek_end(tl_seek *s, const tl_node_id *peer);
/* Nobody can be asked any more: each look is over, for the reason `why`, a literal. */
void tl_seek_end_all(tl_seek *s, const char *why);
bool tl_seek_is_on(const tl_seek *s, const tl_node_id *peer);
/* Where the peer is, as its record says. False: nobody looks, or no record is there yet. */
bool tl_seek_where(const tl_seek *s, const tl_node_id *peer, tl_whereabouts *ret_where);

void tl_seek_on_timer(tl_seek *s, tl_time now);
tl_time tl_seek_expiry(const tl_seek *s);

typedef struct {
    uint64_t started, found, not_found, refused; /* refused: TL_SEEKS_MAX, or nobody to ask */
    uint64_t relays, nodes;                      /* how often it came to these */
    uint64_t addrs_refused;                      /* that records named and nothing is sent to */
} tl_seek_counters;
const tl_seek_counters *tl_seek_counters_of(const tl_seek *s);

#endif
