/* direct.h - the direct ways to peers: offers and answers through the relay, connectivity checks,
 * and which address each path id stands for. Sans-IO: sends through the functions it is given, and
 * tells its owner nothing but through tl_direct_next_event. Never moves a connection: peer/peers
 * does, told of every way that opens or closes. */
#ifndef TL_DIRECT_DIRECT_H
#define TL_DIRECT_DIRECT_H

#include "base/env.h"
#include "nat/behaviour.h"
#include "nat/checks.h"
#include "nat/offer.h"
#include "path/via.h"
#include "wire/signal.h"

#define TL_DIRECT_AGAIN_FIRST (10 * TL_SEC)  /* after an attempt that failed; doubling */
#define TL_DIRECT_AGAIN_MAX   (300 * TL_SEC) /* PROTOCOL section 3 */
#define TL_DIRECT_ANSWERS     4              /* offers of one node answered in 10 s */

typedef struct tl_direct tl_direct;

/* What we are, at the time of asking. Borrowed until the next call. */
typedef struct {
    tl_sock sock4, sock6;
    uint16_t port;
    const tl_candidate *candidates;
    size_t n_candidates;
    const tl_interface *interfaces;
    size_t n_interfaces;
    const tl_nat_facts *facts;
    tl_time keepalive;
} tl_direct_self;

/* What direct asks of its owner, from inside its own functions: none of these may call direct. */
typedef struct {
    const tl_direct_self *(*self)(void *user);
    /* Through the relay. TL_ERR_CLOSED: it is not connected. */
    tl_err (*signal)(void *user, tl_signal_type type, const json_t *payload);
    tl_err (*send)(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data, size_t n,
                   size_t segment);
    size_t (*open_sockets)(void *user, tl_sock *ret_socks, size_t n);
    void (*close_socket)(void *user, tl_sock sock);
    /* May this node ask us, or do we deal with it already? Else its offer is not answered. */
    bool (*welcome)(void *user, const tl_node_id *peer);
    /* A path id for a new way; unique within the node. 0: none left. */
    tl_path_id (*new_path)(void *user, const tl_node_id *peer);
    /* The way of this path id is gone. Also called by tl_direct_free. */
    void (*free_path)(void *user, tl_path_id path);
} tl_direct_world;

/* What the attempts at one peer came to, for `why` and doctor. In attempt.c one function assigns it,
 * and asserts what is drawn here:
 *
 *   NEVER ───we offer───► OFFERED ──no answer──► UNANSWERED
 *     │                      │ answered
 *     └──the peer offers──► CHECKING ──no pair answers──► FAILED
 *                            │    │                         ▲
 *                     a pair │    │ not found soon          │
 *                    answers │    ▼                         │
 *                            │  SEARCHING ─────in vain──────┘
 *                            ▼    ▼
 *                            STANDS ──the last way is lost──► LOST
 *
 * From every state, our offer leads to OFFERED, the peer's to CHECKING, and a pair that answers, be
 * it late, to STANDS. STANDS holds while one way stands: what another attempt comes to meanwhile
 * shows when the last way is lost. To NEVER: nobody wants ways to the peer, or the relay is away. */
typedef enum {
    TL_DIRECT_NEVER,      /* nothing was tried, or nothing since the peer was last let go */
    TL_DIRECT_OFFERED,    /* an offer is out, unanswered */
    TL_DIRECT_CHECKING,   /* both know each other's addresses: checks run */
    TL_DIRECT_SEARCHING,  /* the birthday search runs beside them */
    TL_DIRECT_STANDS,     /* at least one pair is valid */
    TL_DIRECT_UNANSWERED, /* the peer answered no offer: it does not speak of direct paths, or will
                             not */
    TL_DIRECT_FAILED,     /* every pair was tried in vain */
    TL_DIRECT_LOST,       /* it stood, and was lost */
    TL_DIRECT_OFF,        /* the setting nat.direct is false, or there is no socket */
} tl_direct_state;
const char *tl_direct_state_name(tl_direct_state s);

typedef struct {
    tl_direct_state state;
    char session[TL_SIGNAL_SESSION_MAX + 1];
    bool ours;           /* we offered */
    tl_time began;       /* the attempt; 0 = never */
    tl_time first_valid; /* 0: none was yet, in this attempt */
    tl_time again_at;    /* the next attempt; TL_NEVER */
    unsigned attempts;
    tl_nat_type our_nat, peer_nat; /* as told in offer and answer */
    const tl_pair *pairs;          /* borrowed until the next call into direct */
    size_t n_pairs;
    uint16_t used;    /* the pair that carries traffic; 0 = none */
    unsigned refused; /* candidates to addresses that nobody may name */
    unsigned search_sockets, search_sent;
} tl_direct_report;

TL_CHECK tl_err tl_direct_new(const tl_identity *identity, tl_rand *rand, const tl_env *env,
                              const tl_direct_world *world, void *user, tl_direct **ret_direct);
void tl_direct_free(tl_direct *d);
void tl_direct_set_enabled(tl_direct *d, bool enabled);

/* A connection to this peer is being made, or stands over the relay: find a direct way, unless one
 * stands, is being looked for, or failed a short while ago. */
void tl_direct_want(tl_direct *d, const tl_node_id *peer);
/* No connection any more: its ways are closed. */
void tl_direct_drop(tl_direct *d, const tl_node_id *peer);
/* Our addresses changed: peers we have ways to are told, pairs asked anew. */
void tl_direct_on_change(tl_direct *d, bool moved);

/* offer, answer or iceCandidate that the relay says is of `from`; the signature tells. */
void tl_direct_on_signal(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload);
/* The relay could not pass on what was said in this session. */
void tl_direct_on_signal_failed(tl_direct *d, const char *session);
/* A STUN message that was not a server's answer. */
void tl_direct_on_stun(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun);
/* Whose is a datagram from there? The path id it belongs to, 0: nobody we know. `known` and
 * `client` are what tl_quic_path_of says of it: at a server, a connection ID at home on one of the
 * peer's ways that comes from another of its addresses is a NAT's doing, and that way leads there
 * from now on; from an address we do not know, it is asked whether it is the peer's. */
tl_path_id tl_direct_path_of(tl_direct *d, tl_sock sock, const tl_addr *from, tl_path_id known,
                             bool client);
TL_CHECK tl_err tl_direct_send(tl_direct *d, tl_path_id path, const uint8_t *data, size_t n,
                               size_t segment);

/* The ways to a peer that stand. */
typedef struct {
    tl_path_id path;
    bool lan;
    tl_time rtt, since;
    unsigned losses;
    tl_addr remote;
} tl_direct_way;
#define TL_DIRECT_WAYS_MAX 8
size_t tl_direct_ways(const tl_direct *d, const tl_node_id *peer,
                      tl_direct_way ret_ways[TL_DIRECT_WAYS_MAX]);
/* False: it leads nowhere any more. */
bool tl_direct_way_of(const tl_direct *d, tl_path_id path, tl_direct_way *ret_way);
/* Checks of this way are answered, but it carried nothing: it comes last for a while. */
void tl_direct_on_barren(tl_direct *d, tl_path_id path);
/* Which way carries this peer's connection now (0: none, the relay does), and whether traffic
 * flows. */
void tl_direct_using(tl_direct *d, const tl_node_id *peer, tl_path_id path, bool active);
bool tl_direct_report_of(const tl_direct *d, const tl_node_id *peer, tl_direct_report *ret_report);

/* The relay is connected: what waited for it is offered. */
void tl_direct_on_registered(tl_direct *d);
void tl_direct_on_timer(tl_direct *d);
tl_time tl_direct_expiry(const tl_direct *d);

typedef enum {
    TL_DIRECT_WAYS,   /* the ways to this peer are not what they were: choose again */
    TL_DIRECT_SILENT, /* a way to it fell silent under traffic, or was lost while in use */
} tl_direct_event_type;
typedef struct {
    tl_direct_event_type type;
    tl_node_id peer;
} tl_direct_event;
/* To be drained until false, after every env.wake. At most one of each type waits for each peer.
 * Whatever is called between two events may call direct. */
bool tl_direct_next_event(tl_direct *d, tl_direct_event *ret_event);

typedef struct {
    uint64_t offers_out, offers_in, offers_refused[TL_OFFER_VERDICTS], unwelcome, rate_limited;
    uint64_t candidates_refused, attempts, succeeded, failed, rebinds, lost, strays;
} tl_direct_counters;
const tl_direct_counters *tl_direct_counters_of(const tl_direct *d);
/* Attempts by the NATs of (the one who offered, the other): counts of begun and of succeeded. */
typedef struct {
    uint64_t attempts[TL_NAT_TYPES][TL_NAT_TYPES], successes[TL_NAT_TYPES][TL_NAT_TYPES];
} tl_punch_counters;
const tl_punch_counters *tl_direct_punches(const tl_direct *d);

#endif
