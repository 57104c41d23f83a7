/* relayers.h - nodes that relay, as one who uses them sees them (docs/protocol.md "Through a node that
 * relays"): to which of them this node is attached, and the relay sessions that it has at them.
 * Sans-IO: datagrams go out through the functions it is given; never touches a socket or a clock.
 *
 * A path id stands for each session, as for those at a relay (peer/relays gives both out as one).
 *
 *   what goes out for one wish <= 4 RelayRequests, one a second; for all <= 16 + 8 x seconds
 *   what peers open here       <= 32 sessions by one node that relays, and by nobody but those to which
 *                                 this node is attached, as to one that relays or introduces                                              */
#ifndef TL_PEER_RELAYERS_H
#define TL_PEER_RELAYERS_H

#include "base/env.h"
#include "direct/direct.h"
#include "peer/peer_table.h"

#define TL_RELAYERS_ATTACHED     2 /* when one dies, others reach us through the second */
#define TL_RELAYERS_TRIED        4 /* at a time, of which the best are kept */
#define TL_RELAYERS_MAX          24 /* that are attached to, tried, asked, or have a session of ours */
#define TL_RELAYER_SESSIONS_MAX  128 /* in all; a node that relays grants 50 to everybody together */
#define TL_RELAYER_SESSIONS_EACH 32  /* that peers opened, by one of them */
#define TL_RELAYER_ATTACH_EVERY  (25 * TL_SEC)
#define TL_RELAYER_TRIES         4 /* RelayRequests for one session */
#define TL_RELAYER_TRY_EVERY     (1 * TL_SEC)

typedef struct tl_relayers tl_relayers;

/* What ways by UDP over a relay ask of the owner of the sockets. Called from inside functions of peers:
 * none of them may call peers. */
typedef struct {
    const tl_direct_self *(*self)(void *user);
    /* The addresses behind the HOST:PORT that the relay named as its UDP port. 0: none is known (yet),
     * or none may be asked. */
    size_t (*find)(void *user, const char *hostport, tl_addr ret_addrs[2]);
    /* As tl_udp_send_prefixed. */
    tl_err (*send)(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                   const uint8_t *data, size_t n, size_t segment);
} tl_peers_udp;

typedef struct {
    const tl_identity *identity; /* borrowed for life, as all pointers here */
    tl_rand *rand;
    tl_peer_table *table;
    const tl_peers_udp *udp;
    void *udp_user;
    tl_env env;
    /* The user of the functions below. None of them may call relayers. */
    void *user;
    bool (*is_fellow)(void *user, const tl_node_id *node); /* of a network of ours, or our own */
    bool (*is_relay)(void *user, const tl_addr *addr);     /* the UDP port of a relay that we use */
    /* Is this node attached to that one, which is there, to be introduced by it? Then it may relay for us, too,
     * if a peer asks it to. NULL: to none. */
    bool (*introduces)(void *user, const tl_node_id *node, const tl_addr *addr);
    void (*on_attached)(void *user); /* tl_relayers_attached tells others now */
    /* So many bytes of connections came through that node. Called now and then. */
    void (*on_relayed)(void *user, const tl_node_id *node, uint64_t bytes);
} tl_relayers_config;

/* As those of a link (peer/relay_link). */
typedef struct {
    tl_path_id (*on_asked)(void *user, const tl_node_id *from);
    void (*on_ready)(void *user, tl_path_id path);
    void (*on_ended)(void *user, tl_path_id path, const char *why);
    void (*on_warning)(void *user, tl_path_id path, tl_unix ends_at);
} tl_relayers_events;

TL_CHECK tl_err tl_relayers_new(const tl_relayers_config *config, tl_relayers **ret_relayers);
void tl_relayers_free(tl_relayers *r);
/* Without events nothing is opened, and what peers open is declined. */
void tl_relayers_set_events(tl_relayers *r, const tl_relayers_events *events, void *user);

/* Does this node relay for others itself? Then it is attached to nobody. */
void tl_relayers_set_relaying(tl_relayers *r, bool relaying);
/* A node was listed, or said of itself, that it relays. */
void tl_relayers_look(tl_relayers *r);
/* One that served at an earlier run. */
void tl_relayers_remember(tl_relayers *r, const tl_relayer_name *name);

/* Those to which this node is attached now. */
typedef struct {
    tl_relayer_name name;
    tl_time rtt;  /* 0: not measured */
    tl_addr seen; /* our address, as it sees us */
} tl_relayer_facts;
size_t tl_relayers_attached(const tl_relayers *r, tl_relayer_facts ret[TL_RELAYERS_ATTACHED]);

/* Can a session with the peer be asked for? `guess`: also where only we are attached, and the peer did not
 * say that it is. `but`: not at the node that relays the session with this path id; 0: at any. */
bool tl_relayers_can_open(const tl_relayers *r, const tl_node_id *peer, bool guess, tl_path_id but);
/* The round trip to the peer through the best of them, as far as it is known; 0: it is not. */
tl_time tl_relayers_rtt(const tl_relayers *r, const tl_node_id *peer);
/* As tl_relay_link_open: on_ready or on_ended follows, never during this call. TL_ERR_CLOSED: there is
 * nobody to ask. TL_ERR_BUSY: TL_RELAYER_SESSIONS_MAX. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayers_open(tl_relayers *r, const tl_node_id *peer, tl_path_id path,
                                 bool guess, tl_path_id but);
/* Forgets the session; the node that relays forgets it when it is idle. */
void tl_relayers_close(tl_relayers *r, tl_path_id path);
/* No connection came about over the session, whatever came over it: the node there is the last to be asked
 * for this peer for a while. */
void tl_relayers_blame(tl_relayers *r, tl_path_id path);
bool tl_relayers_has(const tl_relayers *r, tl_path_id path);
/* Who relays the session. False: there is no such session, or it is not ready. */
bool tl_relayers_of(const tl_relayers *r, tl_path_id path, tl_relayer_name *ret_name);
/* What both ends of the session know, and no other peer (quic/mark). Empty: as above. */
tl_slice tl_relayers_mark(const tl_relayers *r, tl_path_id path);
/* Datagrams back to back, `segment` bytes each but the last. TL_ERR_NOT_FOUND: as above. */
TL_CHECK tl_err tl_relayers_send(tl_relayers *r, tl_path_id path, const uint8_t *data, size_t n,
                                 size_t segment);

/* --- what comes --- */
/* Has this node sessions at the node that relays from this address? Notes that it lives. */
bool tl_relayers_heard(tl_relayers *r, const tl_addr *from);
/* What came over the session, so many bytes, is of a connection. */
void tl_relayers_arrived(tl_relayers *r, tl_path_id path, size_t n);
/* Is the session one of those there? */
bool tl_relayers_is_at(const tl_relayers *r, tl_path_id path, const tl_addr *from);
/* Is `node` the one that relays from there? */
bool tl_relayers_is(const tl_relayers *r, const tl_node_id *node, const tl_addr *from);
/* The session there with this peer; 0: none. */
tl_path_id tl_relayers_with(const tl_relayers *r, const tl_addr *from, const tl_node_id *peer);
/* The session there whose mark a first datagram bears; 0: none. */
tl_path_id tl_relayers_marked(const tl_relayers *r, const tl_addr *from, tl_slice datagram);
/* False: it is not from a node that relays for us, or of a type that others look at. */
bool tl_relayers_on_control(tl_relayers *r, const tl_addr *from, tl_slice datagram);

/* Our own address has changed, or may have. */
void tl_relayers_on_moved(tl_relayers *r);
/* Something fell silent: this node attaches anew where it is attached, and did not a second ago. */
void tl_relayers_doubt(tl_relayers *r);
void tl_relayers_on_timer(tl_relayers *r);
tl_time tl_relayers_expiry(const tl_relayers *r);

typedef struct {
    uint64_t requests, offers, offers_refused; /* refused: forged, foreign, stale, or too many */
    uint64_t asked, lost, migrations; /* asked: sessions that peers opened; lost: with their node */
    uint64_t loops; /* nodes that were not asked, for they would have been a loop */
} tl_relayers_counters;
const tl_relayers_counters *tl_relayers_counters_of(const tl_relayers *r);
size_t tl_relayers_sessions(const tl_relayers *r);

#endif
