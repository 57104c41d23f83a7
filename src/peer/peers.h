/* peers.h - the connections to other nodes, one to each peer. Sans-IO: the time comes from a
 * tl_env, and datagrams go through the tl_relays and the tl_direct that it is given. Owns the
 * tl_quic.
 *
 * A connection is made over a session at the relay, when a stream is wanted. It is moved to a
 * direct way when one stands, and back when that way fails. It is kept while it is idle. When its
 * path is lost, it is moved to another path or closed.
 *
 * A path id stands for one way to reach one peer: a session at the relay, or a direct pair of
 * addresses. The client of a connection moves it by tl_quic_conn_migrate; the server follows. */
#ifndef TL_PEER_PEERS_H
#define TL_PEER_PEERS_H

#include "base/env.h"
#include "direct/direct.h"
#include "peer/introducers.h"
#include "peer/leg.h"
#include "peer/peer_table.h"
#include "peer/relayers.h"
#include "peer/relays.h"
#include "quic/quic.h"
#include "wire/streamframe.h"

#define TL_PEERS_WARM_MAX    8 /* idle connections that we dialled and keep for the next question */
#define TL_PEERS_HEARTBEAT   (25 * TL_SEC)
#define TL_PEERS_OUTAGE_MAX  (10 * TL_SEC) /* without a path; then questions under way fail */
/* An idle connection to a peer that has nothing to do here (the event `keeps`) is closed after this: the
 * certificate of a network, or the wish to join one, has come by then. */
#define TL_PEERS_IDLE_MAX    (30 * TL_SEC)
/* Of a peer that is asked for packets: longer than between two times that it is (TL_WATCH_EVERY), so that one
 * that lives is never taken for silent but by packets that are lost. */
#define TL_PEERS_SILENT      (2500 * TL_MS)
/* When a stream is wanted on a connection whose peer was silent for this long, the peer is asked
 * for a sign of life. */
#define TL_PEERS_STALE_AFTER (5 * TL_SEC)

typedef struct tl_peers tl_peers;

typedef struct {
    const tl_identity *identity; /* borrowed for the life of tl_peers, like all pointers here */
    tl_rand *rand;
    tl_peer_table *table;
    tl_relays *relays;
    tl_direct *direct;       /* NULL: everything is relayed */
    const tl_peers_udp *udp; /* NULL: the relay is reached by WebSocket alone */
    void *udp_user;
    tl_env env;
    char display_name[64];
    tl_time connect_within; /* 10 s */
} tl_peers_config;

typedef struct {
    /* A peer opened a stream for a request. Give it a tl_stream_owner by
     * tl_quic_stream_set_user. */
    void (*on_stream)(void *user, const tl_node_id *peer, tl_quic_stream *s);
    /* on_joined: the first connection to a peer stands. on_left: the last one is gone; `why` says
     * why. on_path: the connection to a peer has moved to another way, other than from one
     * of a relay session's two to the other. */
    void (*on_joined)(void *user, const tl_peer *peer);
    void (*on_left)(void *user, const tl_peer *peer, const char *why);
    void (*on_path)(void *user, const tl_peer *peer);
    /* A connection to a peer is wanted, and the relay is not connected. NULL: the relay may come
     * soon. Otherwise the reason why it will not (borrowed until the next call). */
    const char *(*on_relay_wanted)(void *user);
    /* May datagrams leave through this relay now (tl_relays)? */
    bool (*may_send)(void *user, size_t relay);
    /* Requests we serve now, for heartbeats. */
    uint32_t (*running)(void *user);
    /* Is the node one of our own, or of a network of ours? NULL: no node is. */
    bool (*is_member)(void *user, const tl_node_id *peer);
    /* The three below may be NULL.
     * on_hello: the peer's first hello on a connection has come, so the control stream stands in both
     * directions: what is to be told to this peer goes now. on_told: a message of a type that
     * wire/cluster does not know; `payload` is an object, borrowed. From inside these calls
     * tl_peers_tell may be called. */
    void (*on_hello)(void *user, const tl_peer *peer);
    void (*on_told)(void *user, const tl_peer *peer, const char *name, const json_t *payload);
    /* What our heartbeats tell of prices: a new reference to an array, or NULL. */
    json_t *(*bids)(void *user);
    /* Is an idle connection to the peer worth keeping: may one of the two ask the other, or are they of
     * one network? NULL: every one is. */
    bool (*keeps)(void *user, const tl_node_id *peer);
    /* Nothing comes through this relay any more: is it alive? NULL: nobody asks. */
    void (*on_relay_doubted)(void *user, size_t relay);
    /* The nodes that relay for us are others now (tl_relayers_attached): to be told in our capabilities.
     * From inside this call nothing of peers may be called. NULL: nobody tells. */
    void (*on_attached)(void *user);
    /* So many bytes of connections came through that node, which relays. As on_attached. */
    void (*on_relayed)(void *user, const tl_node_id *node, uint64_t bytes);
    /* A connection to the peer is wanted, no relay carries it, and where the peer is, is not known, or is not
     * true any more. True: somebody looks for it now, and tl_peers_on_looked follows, never from inside this
     * call. It may be asked of a peer that is being looked for already. NULL: nobody looks. */
    bool (*on_sought)(void *user, const tl_node_id *peer);
    /* Did this node come into the DHT there, because its settings say so? NULL: nowhere. */
    bool (*is_door)(void *user, const tl_addr *addr);
    /* The nodes that introduce us are others now (tl_introducers_attached). As on_attached. */
    void (*on_introducible)(void *user);
} tl_peers_events;

TL_CHECK tl_err tl_peers_new(const tl_peers_config *config, const tl_peers_events *events,
                             void *user, tl_peers **ret_peers);
void tl_peers_free(tl_peers *p);
/* A question between this node and `id` was answered whole. So the node is no stranger any more,
 * and may have more streams and wider windows (tl_quic_set_known). */
void tl_peers_prove(tl_peers *p, const tl_node_id *id);

/* --- driving --- */
/* Calls the events for what happened, and sends what is ready. */
void tl_peers_run(tl_peers *p);
void tl_peers_on_timer(tl_peers *p);
tl_time tl_peers_expiry(const tl_peers *p);
/* The link's events. */
void tl_peers_on_registered(tl_peers *p);
tl_path_id tl_peers_on_asked(tl_peers *p, const tl_node_id *from);
void tl_peers_on_ready(tl_peers *p, tl_path_id path);
/* That relay will end: connections of which we are the client move to the other one, as soon as there is
 * one. */
void tl_peers_on_relay_leaving(tl_peers *p, size_t relay);
void tl_peers_on_ended(tl_peers *p, tl_path_id path, const char *why);
void tl_peers_on_datagram(tl_peers *p, tl_path_id path, uint8_t *data, size_t n);
void tl_peers_on_offer(tl_peers *p, tl_path_id path, const tl_relay_offer *offer);
/* The relay will end that relay session soon. */
void tl_peers_on_warning(tl_peers *p, tl_path_id path);
void tl_peers_on_payload(tl_peers *p, uint8_t *data, size_t n);
/* tl_direct's event: the ways to a peer changed. */
void tl_peers_on_ways(tl_peers *p, const tl_node_id *peer);
/* tl_direct's event: a way to this peer fell silent under traffic. */
void tl_peers_on_silent(tl_peers *p, const tl_node_id *peer);
/* Our own address has changed. A server sends to our old address until a datagram of ours comes
 * from the new one, and a node that only reads an answer may send nothing for long. So every
 * connection of which we are the client sends something now. */
void tl_peers_on_moved(tl_peers *p);
/* What one peer's connection was at a moment. */
typedef struct {
    tl_node_id peer;
    size_t streams, asked; /* questions under way, both directions; those of ours */
    bool dialled;          /* by us */
    tl_time connected_at;
    uint64_t heard; /* packets */
} tl_peers_mark;
/* Calls `on_mark` for each connection that stands. It may not call tl_peers. */
void tl_peers_mark_each(const tl_peers *p, void (*on_mark)(void *user, const tl_peers_mark *mark),
                        void *user);
/* False: no connection to it stands. */
bool tl_peers_mark_of(const tl_peers *p, const tl_node_id *peer, tl_peers_mark *ret_mark);
/* Did something of that peer come since the mark was made, by that connection or by a newer one? */
bool tl_peers_heard_since(const tl_peers *p, const tl_peers_mark *m);
/* Sends the peer a heartbeat, which it acknowledges. A server may not choose the path, but what it sends
 * tells its client where it is now. The caller bounds how often. */
void tl_peers_call(tl_peers *p, const tl_node_id *peer);
/* Peers whose last connection broke a short while ago, for want of a way, and to whom none stands: of each
 * `peer` and `dialled`. Those that we dialled are forgotten last. */
#define TL_PEERS_LOST_MAX 16
#define TL_PEERS_LOST_FOR                                                                          \
    (10 * TL_MIN) /* whoever is back on a network after that has others to ask */
size_t tl_peers_lost(const tl_peers *p, tl_peers_mark ret_marks[TL_PEERS_LOST_MAX]);
/* Nothing passes to the peer since our network has changed. A connection with questions under way is kept,
 * and every way is looked for; an idle one is closed. The caller wishes for another one. */
void tl_peers_renew(tl_peers *p, const tl_node_id *peer);
/* A path id for a new direct way to this peer; 0: out of memory. */
tl_path_id tl_peers_new_path(tl_peers *p, const tl_node_id *peer);
/* The direct way is gone. Its id is not given again while a connection names it. */
void tl_peers_free_path(tl_peers *p, tl_path_id path);
/* Sessions at the relay that carry something else than QUIC, and belong to the caller then: what comes
 * over them must not be given to tl_peers_on_datagram. tl_peers_on_ready and tl_peers_on_ended are told
 * of them all the same.
 * tl_peers_lend: true, when the session is one that a peer opened, and over which no connection ever
 * came. tl_peers_lend_new: opens one; TL_ERR_CLOSED: the relay is not connected. TL_ERR_BUSY,
 * TL_ERR_NOMEM. */
bool tl_peers_lend(tl_peers *p, tl_path_id path, tl_node_id *ret_peer);
TL_CHECK tl_err tl_peers_lend_new(tl_peers *p, const tl_node_id *peer, tl_path_id *ret_path);
bool tl_peers_is_lent(const tl_peers *p, tl_path_id path);
/* Closes it. */
void tl_peers_end_lent(tl_peers *p, tl_path_id path);
/* A STUN message or a control datagram from a UDP socket. False: it is not from a relay that we use,
 * and another module must look at it. */
bool tl_peers_on_stun(tl_peers *p, const tl_addr *from, tl_slice datagram, const tl_stun *stun);
bool tl_peers_on_control(tl_peers *p, const tl_addr *from, tl_slice datagram);
/* Does a relay of ours write to us from there? Whatever comes from there, some peer chose. */
bool tl_peers_is_relay(tl_peers *p, const tl_addr *from);
/* Datagrams from a UDP socket, back to back, `segment` bytes each but the last. */
void tl_peers_on_train(tl_peers *p, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                       size_t segment);
/* The look for a peer (the event on_sought) has ended: where it is. NULL: it was not found; `why` is a literal
 * that says why. */
void tl_peers_on_looked(tl_peers *p, const tl_node_id *peer, const tl_whereabouts *where,
                        const char *why);
/* A way to the peer through a relay may be known now: a dial that waits for another way tries it. */
void tl_peers_retry(tl_peers *p, const tl_node_id *peer);
/* Does a connection to this peer exist, or is one being made or wanted? */
bool tl_peers_deals_with(const tl_peers *p, const tl_node_id *peer);

/* The nodes that relay for this one. NULL: there is no UDP. */
tl_relayers *tl_peers_relayers(const tl_peers *p);
/* The nodes that introduce this one. NULL: there is no UDP. */
tl_introducers *tl_peers_introducers(const tl_peers *p);

/* How many connections that we dialled stand: TL_PEERS_WARM_MAX of them are kept when they are idle. */
size_t tl_peers_warm(const tl_peers *p);

/* --- streams --- */
/* The owner of a stream gets the stream's events. This is the first member of the owner's struct,
 * and is given to tl_quic_stream_set_user. An owner that is done with a stream sets the stream's
 * user to NULL. */
typedef struct tl_stream_owner tl_stream_owner;
struct tl_stream_owner {
    void (*on_readable)(tl_stream_owner *o);
    void (*on_writable)(tl_stream_owner *o);
    void (*on_reset)(tl_stream_owner *o); /* the peer gave the stream up */
    /* The stream's handle is invalid after this call: both sides are done, or the connection has
     * ended, and `why` says why. */
    void (*on_closed)(tl_stream_owner *o, const char *why);
};

/* A wish for a stream to a peer. The memory is the caller's. */
typedef struct tl_peer_wish {
    tl_node_id peer;
    bool connection_only; /* on_stream is called with NULL as soon as a connection stands */
    void (*on_stream)(struct tl_peer_wish *w, tl_quic_stream *s);
    void (*on_failed)(struct tl_peer_wish *w, tl_err e, const char *why);
    struct tl_peer_wish *prev, *next; /* the contact's list */
    struct tl_contact *contact;       /* NULL: not waiting */
    unsigned turn;                    /* the contact's wish_turn when the wish was made */
} tl_peer_wish;
/* Connects to the peer if no connection stands. Later one of the wish's two functions is called,
 * once. TL_ERR_BUSY: TL_PEERS_MAX, or out of memory. */
TL_CHECK tl_err tl_peers_wish(tl_peers *p, tl_peer_wish *w);
void tl_peers_unwish(tl_peers *p, tl_peer_wish *w);

/* Measures a round trip over the present path of a connection that stands. `pong` is the caller's
 * memory. TL_ERR_NOT_FOUND: no connection. */
typedef struct tl_peer_pong {
    void (*on_pong)(struct tl_peer_pong *g, tl_time rtt); /* 0: the connection ended */
    uint64_t sequence;
    tl_time sent;
    struct tl_peer_pong *prev, *next;
    struct tl_peer_conn *conn; /* NULL: not waiting */
} tl_peer_pong;
TL_CHECK tl_err tl_peers_ping(tl_peers *p, const tl_node_id *peer, tl_peer_pong *g);
void tl_peers_unping(tl_peer_pong *g);

/* --- what is told and asked --- */
/* Takes the reference. Tells every connected peer. */
void tl_peers_set_capabilities(tl_peers *p, json_t *capabilities);
/* Writes `{name: payload}` on the control stream of the best connection to the peer. `payload` is
 * borrowed. TL_ERR_NOT_FOUND: no connection stands, or its hello has not come yet. TL_ERR_TOO_LARGE: over
 * TL_FRAME_MESSAGE_MAX. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_peers_tell(tl_peers *p, const tl_node_id *peer, const char *name,
                              json_t *payload);
/* Sends every connected peer a heartbeat: the bids have changed. The caller bounds how often. Returns how
 * many were told. */
size_t tl_peers_beat(tl_peers *p);
/* We take no new work: says goodbye to every peer. Streams under way go on. */
void tl_peers_say_goodbye(tl_peers *p, const char *reason);
/* Closes every connection. Sends what is queued before that, if the link takes it. */
void tl_peers_close_all(tl_peers *p, const char *reason);

/* What became of the UDP relay way of a relay session. In udp_ways.c one function assigns it:
 *
 *   NONE --the relay offers a token, and names its UDP port--> RESTING
 *   RESTING --a connection has the relay session--> WAITING
 *   WAITING --UDP passes to the relay--> PROVING   (it sees us where it bound us, or never bound us)
 *   WAITING --UDP passes, and the relay sees another address than it bound--> MOVING
 *   MOVING --it has bound the new address--> PROVING; --no answer--> WAITING
 *   PROVING --the peer answers a check over it--> STANDS; --no answer--> WAITING
 *   STANDS --no check is answered, or UDP does not pass to the relay any more--> WAITING
 *   PROVING, STANDS --the relay sees us elsewhere--> MOVING
 *
 * Only in PROVING and STANDS the relay sends by UDP to us. In each of the others it has been told, by
 * a token alone over our WebSocket, to send there. */
typedef enum {
    TL_UDP_NONE,    /* no token, or no UDP port at the relay */
    TL_UDP_RESTING, /* nothing is sent for it */
    TL_UDP_WAITING, /* for UDP to pass, or for the end of a pause */
    TL_UDP_MOVING,  /* RelayMigrate is under way */
    TL_UDP_PROVING, /* checks ask the peer */
    TL_UDP_STANDS,  /* the peer has answered by it */
} tl_udp_state;

tl_via tl_peers_via(const tl_peers *p, tl_quic_stream *s);
typedef struct {
    tl_via via;
    tl_time rtt;           /* 0 = unknown */
    tl_time since;         /* when this path came into use */
    size_t streams, asked; /* questions under way, both directions; those of ours */
    size_t relay;          /* the relay of its session (tl_relays); TL_RELAYS_MAX: it has none */
    bool by_node;          /* a node that relays has its session instead: */
    tl_relayer_name node;
    tl_addr remote;  /* the far end of a direct path; else of the family NONE */
    const char *why; /* the rule that chose the path; a literal */
    tl_time connected_at;
    bool dialled; /* by us; else by the peer, who chooses the path */
    bool lost;    /* nothing gets through by this path any more, and another is being looked for */
    /* Lost; or while questions are under way, nothing came for TL_PEERS_SILENT and two round trips, although the peer
     * is asked for a packet every TL_WATCH_EVERY. */
    bool silent;
    bool by_udp;      /* of a relayed one: it reaches the relay by UDP */
    bool by_tcp;      /* of one on the local network: it goes by TCP */
    tl_leg_state leg; /* does UDP pass to the relay of its session? */
    tl_udp_state udp; /* what became of the UDP relay way */
    /* of its datagrams, since it has been connected without a break */
    uint64_t bytes_in, bytes_out;
} tl_peer_facts;
/* Does UDP pass to a relay, as far as relay sessions have found out? OPEN where one answers. */
tl_leg_state tl_peers_relay_leg(const tl_peers *p);
/* False: not connected. */
bool tl_peers_facts(const tl_peers *p, const tl_peer *peer, tl_peer_facts *ret_facts);

typedef struct {
    uint64_t dials, dial_failures, accepted, outages, recovered, goodbyes_in, control_errors;
    uint64_t pathless; /* datagrams for a path that is gone: they are lost, as on any network */
    uint64_t relays_changed; /* connections that moved from one relay to another while both stood */
    uint64_t upgrades, fallbacks, switches; /* to direct, back to the relay, between direct ways */
    uint64_t udp_upgrades, udp_fallbacks;   /* at the relay: to UDP, back to the WebSocket */
    uint64_t udp_lost, migrations; /* UDP relay ways that fell silent; addresses told anew */
    /* From a relay's UDP address, and of no connection, session or question. */
    uint64_t relay_strays;
} tl_peers_counters;
const tl_peers_counters *tl_peers_counters_of(const tl_peers *p);
const tl_quic_counters *tl_peers_quic_counters(const tl_peers *p);

#endif
