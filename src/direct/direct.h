/* direct.h - the direct ways to peers: offers and answers through the relay, or introductions by another node
 * (docs/protocol.md "Introducers"), connectivity checks, and which address each path id stands for. Sans-IO: sends through the functions it is given. Its
 * events wait until the owner takes them (tl_direct_next_event). Never moves a connection:
 * peer/peers does that, after an event says that the ways have changed. */
#ifndef TL_DIRECT_DIRECT_H
#define TL_DIRECT_DIRECT_H

#include "base/env.h"
#include "nat/behaviour.h"
#include "nat/checks.h"
#include "nat/offer.h"
#include "path/via.h"
#include "wire/control.h"
#include "wire/signal.h"

#define TL_DIRECT_AGAIN_FIRST   (10 * TL_SEC)  /* after an attempt that failed; doubling */
#define TL_DIRECT_AGAIN_MAX     (300 * TL_SEC) /* docs/protocol.md "Direct paths" */
/* Offers and PunchIntros of one node answered in 10 s: two attempts of it. One that starts anew asks again. */
#define TL_DIRECT_ANSWERS       8
/* Of one attempt: at once, after 1, 2 and 4 s. Where a fifth of all datagrams is lost on each leg, one in two or
 * three is answered. */
#define TL_DIRECT_INTRODUCTIONS 4

#define TL_DIRECT_STRANGERS_MAX                                                                    \
    128 /* that this node does not know, at once; the oldest makes room */

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
    /* Neighbours on the local network are answered, whoever they are: mDNS has told them our address. */
    bool lan;
} tl_direct_self;

#define TL_DIRECT_NEAR_MAX  8 /* addresses of one peer on the local network */
#define TL_DIRECT_PIPES_MAX 6 /* to one peer */
/* A connection on the local network that carries datagrams (net/lantcp); the checks take it for a socket. */
typedef struct {
    tl_sock sock;
    tl_addr remote;
} tl_direct_pipe;

/* What direct asks of its owner. It calls these from inside its own functions: none of them may
 * call direct. */
typedef struct {
    const tl_direct_self *(*self)(void *user);
    /* Through the relay. TL_ERR_CLOSED: it is not connected. */
    tl_err (*signal)(void *user, tl_signal_type type, const json_t *payload);
    tl_err (*send)(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data, size_t n,
                   size_t segment);
    size_t (*open_sockets)(void *user, tl_sock *ret_socks, size_t n);
    void (*close_socket)(void *user, tl_sock sock);
    /* May this node ask us, or do we deal with it already? If neither, its offer is not
     * answered. */
    bool (*welcome)(void *user, const tl_node_id *peer);
    /* A path id for a new way; unique within the node. 0: there is none left. */
    tl_path_id (*new_path)(void *user, const tl_node_id *peer);
    /* The way of this path id is gone. Also called by tl_direct_free. */
    void (*free_path)(void *user, tl_path_id path);
    /* Asks to be introduced to the peer: PunchIntros with this nonce go out, now or as soon as it is known where
     * others see us. `nth`: of this attempt, from 0. False: nobody can be asked. NULL: as if it said so. */
    bool (*introduce)(void *user, const tl_node_id *peer,
                      const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth);
    /* Does that node introduce others to us, from there? `ret_seen`: our address, as it sees us; of the family
     * NONE: not known. NULL: none does. */
    bool (*is_introducer)(void *user, const tl_node_id *node, const tl_addr *from,
                          tl_addr *ret_seen);
    /* Is an introduction the only way to this node for those whom it does not know, and may they come? Then
     * introductions by nodes that are not welcome are answered, too, within the bounds of direct/strangers.h.
     * NULL: as if it said no. */
    bool (*greets)(void *user);
    /* Do we deal with this node, or is it of a network of ours? Of others few are remembered at once, none for longer
     * than its attempt, and none learns where we move. NULL: nobody is known, and nobody forgotten. */
    bool (*knows)(void *user, const tl_node_id *node);
    /* Has this node proven that it is at this address, and may one more signature of it be checked
     * (tl_attached_vouches)? NULL: as if it said no. */
    bool (*vouches)(void *user, const tl_node_id *node, const tl_addr *from);
    /* The local network; all NULL where there is none (src/direct/near.c).
     * near: where somebody announces that the peer is: its port is that of its TCP, and most likely of its UDP.
     * Returns how many there are. greet: sends PunchIntros with this nonce there, by UDP and through pipes, which are
     * made where there are none; without a nonce, only makes the pipes. False: the peer is not near. */
    size_t (*near)(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX]);
    bool (*greet)(void *user, const tl_node_id *peer, const uint8_t nonce[TL_CONTROL_NONCE_SIZE]);
    /* The pipes to the peer that we dialled and that stand. */
    size_t (*pipes)(void *user, const tl_node_id *peer,
                    tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX]);
    /* This pipe is the peer's: it has said there what only the peer can say. */
    void (*pipe_proven)(void *user, tl_sock pipe, const tl_node_id *peer);
    /* Does the pipe take nothing now? */
    bool (*pipe_full)(void *user, tl_sock pipe);
} tl_direct_world;

/* What the attempts at one peer came to, for `teale why` and `teale doctor`. One function in
 * attempt.c assigns it, and asserts what is drawn here:
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
 * From every state, our offer leads to OFFERED and the peer's offer to CHECKING. A pair that
 * answers leads to STANDS, also when its answer is late. STANDS holds while at least one way
 * stands. What another attempt comes to in that time shows when the last way is lost. Any state
 * becomes NEVER when nobody wants ways to the peer any more, or when the relay is away. */
typedef enum {
    TL_DIRECT_NEVER,      /* nothing was tried, or nothing since the peer was last dropped */
    TL_DIRECT_OFFERED,    /* our offer is sent and not answered yet */
    TL_DIRECT_CHECKING,   /* both sides know each other's addresses: checks run */
    TL_DIRECT_SEARCHING,  /* the birthday search runs beside the checks */
    TL_DIRECT_STANDS,     /* at least one pair is valid */
    TL_DIRECT_UNANSWERED, /* the peer answered no offer: it cannot open direct ways, or will not */
    TL_DIRECT_FAILED,     /* every pair was tried in vain */
    TL_DIRECT_LOST,       /* a way stood, and was lost */
    TL_DIRECT_OFF,        /* the setting nat.direct is false, or there is no socket */
} tl_direct_state;
const char *tl_direct_state_name(tl_direct_state s);

typedef struct {
    tl_direct_state state;
    char session[TL_SIGNAL_SESSION_MAX + 1];
    bool ours;           /* we offered */
    bool introduced;     /* by a PunchIntro, and not through a relay */
    tl_time began;       /* when the attempt began; 0 = never */
    tl_time first_valid; /* when the first pair of this attempt was valid; 0: none yet */
    tl_time again_at;    /* when the next attempt begins; TL_NEVER: none is planned */
    unsigned attempts;
    tl_nat_type our_nat, peer_nat; /* as told in offer and answer */
    const tl_pair *pairs;          /* borrowed until the next call into direct */
    size_t n_pairs;
    uint16_t used;    /* the pair that carries traffic; 0 = none */
    unsigned refused; /* candidates whose address no peer may name */
    unsigned search_sockets, search_sent;
} tl_direct_report;

TL_CHECK tl_err tl_direct_new(const tl_identity *identity, tl_rand *rand, const tl_env *env,
                              const tl_direct_world *world, void *user, tl_direct **ret_direct);
void tl_direct_free(tl_direct *d);
void tl_direct_set_enabled(tl_direct *d, bool enabled);

/* A connection to this peer is being made, or stands over the relay. Looks for a direct way, unless
 * one stands, a search for one goes on, or one failed a short while ago. */
void tl_direct_want(tl_direct *d, const tl_node_id *peer);
/* The same, without the pause after an attempt that failed, and with another offer where one is not
 * answered yet: what was tried was tried from another network. No effect on a peer nobody deals with. */
void tl_direct_again(tl_direct *d, const tl_node_id *peer);
/* The connection to this peer has lost its path and no relay carries it, or somebody has found where the peer is:
 * asks to be introduced now, whatever failed a short while ago, unless an attempt is under way. */
void tl_direct_hurry(tl_direct *d, const tl_node_id *peer);
/* It has just become known where the peer is. As tl_direct_hurry; and an introduction that is not answered was asked
 * of nodes that may not know the peer: others are asked now. */
void tl_direct_found(tl_direct *d, const tl_node_id *peer);
/* Is an attempt under way, or does a way stand? */
bool tl_direct_is_on(const tl_direct *d, const tl_node_id *peer);
/* There is no connection to this peer any more: closes its ways. */
void tl_direct_drop(tl_direct *d, const tl_node_id *peer);
/* This machine slept, or its public address changed: the peers of the connections that we dialled have backed off
 * for as long as nothing passed, and their measure of the round trip may be spoilt. Each way that stands gets
 * another path id, so that its connection moves there, which begins both anew (RFC 9000 section 9.4).
 * TL_DIRECT_WAYS follows. */
void tl_direct_renew(tl_direct *d);
/* Our addresses changed: tells them to the peers we have sessions with. `moved`: the network is
 * another one, so every pair is asked anew. */
void tl_direct_on_change(tl_direct *d, bool moved);

/* An offer, an answer or an iceCandidate. The relay says that it is from `from`; the signature
 * proves it. */
void tl_direct_on_signal(tl_direct *d, tl_signal_type type, const tl_node_id *from,
                         tl_slice payload);
/* The relay could not pass on one of our messages of the session `session`. */
void tl_direct_on_signal_failed(tl_direct *d, const char *session);
/* A STUN message that was not a server's answer. */
void tl_direct_on_stun(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun);
/* A PunchRequest, a PunchReady, or a PunchIntro for this node. False: it is of another type. */
bool tl_direct_on_control(tl_direct *d, tl_sock sock, const tl_addr *from, tl_slice datagram);
/* Does somebody announce the peer on the local network? */
bool tl_direct_is_near(const tl_direct *d, const tl_node_id *peer);
/* The local network: the peer was found there, or somewhere else there, or is to be looked for there again. It is
 * tried at once where ways to it are wanted. */
void tl_direct_on_near(tl_direct *d, const tl_node_id *peer);
/* A pipe that we dialled to the peer stands. True: the PunchIntro of the present attempt, with this nonce, is to go
 * through it. */
bool tl_direct_on_pipe(tl_direct *d, const tl_node_id *peer, const tl_direct_pipe *pipe,
                       uint8_t ret_nonce[TL_CONTROL_NONCE_SIZE]);
/* The pipe is gone, and with it each way through it. */
void tl_direct_on_pipe_closed(tl_direct *d, tl_sock pipe);
/* May nothing be sent by this way now? */
bool tl_direct_is_held(const tl_direct *d, tl_path_id path);
/* The path id that a datagram from this address belongs to; 0: we do not know this
 * address. `known` and `client` are what tl_quic_path_of says of the datagram.
 *
 * At a server, a connection ID is at home on one way. When it comes from another address of the
 * same peer, a NAT has changed its mapping: that way leads to the new address from now on. When it
 * comes from an address we do not know, a check asks whether that address is the peer's. */
tl_path_id tl_direct_path_of(tl_direct *d, tl_sock sock, const tl_addr *from, tl_path_id known,
                             bool client);
TL_CHECK tl_err tl_direct_send(tl_direct *d, tl_path_id path, const uint8_t *data, size_t n,
                               size_t segment);

/* The ways to a peer that stand. */
typedef struct {
    tl_path_id path;
    bool lan;
    bool tcp; /* of the local network, through a pipe */
    tl_time rtt, since;
    tl_time least; /* the shortest round trip since then: what the way takes without a load */
    unsigned losses;
    tl_addr remote;
} tl_direct_way;
#define TL_DIRECT_WAYS_MAX 8
size_t tl_direct_ways(const tl_direct *d, const tl_node_id *peer,
                      tl_direct_way ret_ways[TL_DIRECT_WAYS_MAX]);
/* False: the way leads nowhere any more. */
bool tl_direct_way_of(const tl_direct *d, tl_path_id path, tl_direct_way *ret_way);
/* This way carried nothing, although its checks are answered: it is chosen last for a while. */
void tl_direct_on_barren(tl_direct *d, tl_path_id path);
/* `path` is the way that carries this peer's connection now; 0: the relay carries it. `active`:
 * traffic flows. */
void tl_direct_using(tl_direct *d, const tl_node_id *peer, tl_path_id path, bool active);
bool tl_direct_report_of(const tl_direct *d, const tl_node_id *peer, tl_direct_report *ret_report);

/* The relay is connected: sends the offers and candidates that waited for it. */
void tl_direct_on_registered(tl_direct *d);
void tl_direct_on_timer(tl_direct *d);
tl_time tl_direct_expiry(const tl_direct *d);

typedef enum {
    TL_DIRECT_WAYS,   /* the ways to this peer have changed: choose again */
    TL_DIRECT_SILENT, /* a way to this peer fell silent under traffic, or was lost while in use */
} tl_direct_event_type;
typedef struct {
    tl_direct_event_type type;
    tl_node_id peer;
} tl_direct_event;
/* Call until it returns false, after every env.wake. At most one event of each type waits for each
 * peer. Between two events the caller may call any function of direct. */
bool tl_direct_next_event(tl_direct *d, tl_direct_event *ret_event);

/* What became of a PunchRequest or a PunchReady. */
typedef enum {
    TL_DIRECT_INTRO_TAKEN,
    TL_DIRECT_INTRO_AGAIN, /* taken before, and answered through another introducer, too */
    TL_DIRECT_INTRO_MALFORMED,
    TL_DIRECT_INTRO_FOREIGN, /* for another node, or not from one that introduces us there; of a PunchReady:
                                  no introduction of ours is open */
    TL_DIRECT_INTRO_LATE, /* not within 30 s of our clock */
    TL_DIRECT_INTRO_REPLAYED,
    TL_DIRECT_INTRO_UNWELCOME, /* it may not ask us, or asks too often */
    TL_DIRECT_INTRO_FORGED,
    TL_DIRECT_INTRO_ADDRESS, /* nothing is ever sent there */
    TL_DIRECT_INTRO_USELESS, /* no socket, no memory, or our own attempt goes on instead */
    TL_DIRECT_INTRO_RESULTS,
} tl_direct_intro_result;
const char *tl_direct_intro_name(tl_direct_intro_result r);

typedef struct {
    uint64_t offers_out, offers_in, offers_refused[TL_OFFER_VERDICTS], unwelcome, rate_limited;
    uint64_t candidates_refused, attempts, succeeded, failed, rebinds, lost, strays;
    uint64_t intros_out;                         /* attempts to be introduced */
    uint64_t intros_in[TL_DIRECT_INTRO_RESULTS]; /* PunchRequests and PunchIntros for us */
    uint64_t strangers;                          /* of those taken: by nodes that are not welcome */
    uint64_t readies_in[TL_DIRECT_INTRO_RESULTS]; /* PunchReadys */
} tl_direct_counters;
const tl_direct_counters *tl_direct_counters_of(const tl_direct *d);
/* How many attempts began and how many succeeded, by [NAT of the initiator][NAT of the target], whichever of the
 * two this node was. The initiator is who offered, or asked to be introduced. */
typedef struct {
    uint64_t attempts[TL_CONTROL_NATS][TL_CONTROL_NATS];
    uint64_t successes[TL_CONTROL_NATS][TL_CONTROL_NATS];
} tl_punch_counters;
const tl_punch_counters *tl_direct_punches(const tl_direct *d);

#endif
