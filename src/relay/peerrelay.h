/* peerrelay.h - a node that relays for others (docs/protocol.md "A node that relays"): which nodes
 * are attached, who asks for a relay session with whom, and the packets of these sessions.
 * Sans-IO: datagrams come in with their source and the time, and go out as bursts. Knows no QUIC,
 * and takes nothing that came over a relay.
 *
 *   initiator                 this node                  target
 *       |                        | <------- Attach -------- |   every 25 s; kept for 60 s
 *       |                        | ------- Attached ------> |
 *       | ---- RelayRequest ---> |                          |   at least 800 bytes
 *       | <---- RelayOffer ----- | ------ RelayOffer -----> |   a token for each
 *       | -- token || payload -> | ------- payload -------> |
 *       |          ...           |                          |
 *       | <--- RelayWarning ---- | ----- RelayWarning ----> |   before the time is over
 *
 * Nothing amplifies. An Attached is shorter than its Attach. Both RelayOffers together are shorter
 * than their RelayRequest. Payloads, which are shorter than their packets, and RelayWarnings go
 * only where a packet with the side's token came from. A refusal is silent, and counted. */
#ifndef TL_RELAY_PEERRELAY_H
#define TL_RELAY_PEERRELAY_H

#include "relay/attached.h"
#include "relay/relay.h"

#define TL_PEERRELAY_OFFER_MAX      400 /* bytes: two are no longer than a RelayRequest */
/* What a node may send at once when it comes: a handshake. The rest of the burst it earns. */
#define TL_PEERRELAY_FIRST_BYTES    8192
/* RelayRequests of one pair: a node repeats one that was not answered, once a second. */
#define TL_PEERRELAY_OFFERS_PER_SEC 2
#define TL_PEERRELAY_OFFERS_BURST   4
/* Payloads for a side whose first packet has not come: the beginning of a handshake. */
#define TL_PEERRELAY_HELD_MAX       3
#define TL_PEERRELAY_HELD_BYTES     1500
#define TL_PEERRELAY_HELD_FOR       (2 * TL_SEC)
/* While there is no room for a new session, the oldest one goes to which a side has not come for so long.
 * Without it, requests from forged addresses would hold all places, each for a minute. */
#define TL_PEERRELAY_COME_WITHIN    (2 * TL_SEC)
#define TL_PEERRELAY_WARNINGS       3 /* one may be lost */
#define TL_PEERRELAY_WARN_EVERY     (1 * TL_SEC)

typedef struct tl_peerrelay tl_peerrelay;

/* What this node knows. Called from inside the functions below; must not call back. */
typedef struct {
    /* May the two have a relay session here? */
    bool (*serves)(void *user, const tl_node_id *a, const tl_node_id *b);
    /* Asked again and again: the answer may become another one. */
    bool (*is_reciprocal)(void *user, const tl_node_id *node);
    /* Is it an address of this node, or of a relay of ours? Nothing from there is taken, and nothing
     * goes there. */
    bool (*is_ours)(void *user, const tl_addr *addr);
} tl_peerrelay_world;

typedef struct {
    const tl_identity *identity; /* borrowed for life */
    tl_attached *attached;       /* the nodes that are attached; borrowed for life */
    tl_relay_limits limits;      /* `on`, and the list of reciprocal nodes, are not looked at */
    uint16_t port4, port6;       /* of our sockets number 0 and 1; 0: no such socket */
} tl_peerrelay_config;

/* `rand` and `world` are borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_peerrelay_new(const tl_peerrelay_config *config, const tl_peerrelay_world *world,
                                 void *user, tl_rand *rand, tl_time now, tl_peerrelay **ret_relay);
void tl_peerrelay_free(tl_peerrelay *r);

/* Where others reach us, as is proven; of the family NONE: nowhere. New nodes and relay sessions are
 * taken only by a family that has an address. Those that are there stay. */
void tl_peerrelay_set_address(tl_peerrelay *r, const tl_addr *v4, const tl_addr *v6);
/* What `world` says may have changed: ends what is not served any more, sets rates anew, and limits the
 * time of sessions in which nobody is reciprocal any more. */
void tl_peerrelay_review(tl_peerrelay *r, tl_time now, tl_unix wall);
/* This node shuts down at `ends`: takes nothing new, and warns all sides. */
void tl_peerrelay_leave(tl_peerrelay *r, tl_time now, tl_unix ends);

/* Datagrams of one sender that each begin with 0x80 to 0xBF. Borrows them until tl_peerrelay_sent. */
void tl_peerrelay_on_datagrams(tl_peerrelay *r, const tl_burst_way *way, uint8_t *bytes, size_t n,
                               size_t segment, tl_time now);
/* A control datagram. False: it is of a type that says nothing here, and not counted. */
bool tl_peerrelay_on_control(tl_peerrelay *r, const tl_burst_way *way, tl_slice datagram,
                             tl_time now, tl_unix wall);
void tl_peerrelay_on_timer(tl_peerrelay *r, tl_time now);
tl_time tl_peerrelay_expiry(const tl_peerrelay *r);

/* What is to be sent now. Look after each call above. */
const tl_bursts *tl_peerrelay_bursts(const tl_peerrelay *r);
void tl_peerrelay_sent(tl_peerrelay *r);

typedef struct {
    uint64_t requests[TL_ASKED_RESULTS]; /* RelayRequests, by what became of them */
    uint64_t ended_idle, ended_max, ended_policy, ended_moved; /* relay sessions */
    uint64_t warnings;                                         /* RelayWarnings sent */
    uint64_t packets_loop;        /* dropped: they came from an address of ours, or of a relay */
    uint64_t bytes_in, bytes_out; /* of all datagrams, without headers of IP and UDP */
    size_t sessions, reciprocal;  /* now; `reciprocal` of the sessions */
} tl_peerrelay_counters;
const tl_peerrelay_counters *tl_peerrelay_counters_of(const tl_peerrelay *r);
const tl_tokens_counters *tl_peerrelay_tokens(const tl_peerrelay *r);

/* One relay session, for the owner of this node. */
typedef struct {
    tl_node_id node[2]; /* the initiator first */
    bool reciprocal[2];
    tl_time since, ends_at; /* TL_NEVER: it does not end */
    tl_time heard;
    uint64_t bytes; /* of payloads, both ways */
} tl_peerrelay_session;
/* The number of sessions that were written, the oldest first. */
size_t tl_peerrelay_list(const tl_peerrelay *r, tl_peerrelay_session *ret_list, size_t max);

#endif
