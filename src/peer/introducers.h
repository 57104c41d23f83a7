/* introducers.h - nodes that introduce, as one who uses them sees them (docs/protocol.md "Introducers"): to
 * which of them this node is attached, so that others find it; and whom it asks to be introduced to a peer.
 * Sans-IO: datagrams go out through the functions it is given; never touches a socket or a clock. Makes no
 * direct way: direct/ does, with what is said here.
 *
 *   this node                     introducer                     peer
 *       | ------ Attach ------------> |                            |   every 25 s
 *       | <----- Attached ----------- |                            |
 *       | ------ PunchIntro --------> | ----- PunchRequest ------> |
 *       | <----- PunchReady --------- | <---- PunchReady --------- |
 *       | <----------------- PunchReady, then checks ------------- |
 *
 * A peer with a public address is its own introducer: the PunchIntro goes to it.
 *
 *   what goes out for one wish   <= TL_INTRODUCTION_ASKED x TL_DIRECT_INTRODUCTIONS PunchIntros, and as many
 *                                   Attaches, where our address is not known
 *   for all together             <= 32 + 16 x seconds datagrams                                            */
#ifndef TL_PEER_INTRODUCERS_H
#define TL_PEER_INTRODUCERS_H

#include "base/env.h"
#include "direct/direct.h"
#include "peer/peer_table.h"
#include "peer/relayers.h"
#include "wire/control.h"

#define TL_INTRODUCERS_GIVEN_MAX                                                                   \
    8 /* by the setting nat.introducers: this node attaches to all of them */
#define TL_INTRODUCERS_FOUND                                                                       \
    2 /* of those found elsewhere; when one dies, others find us through the second */
/* A restore wishes for 16 holders at once. Where some are gone, the others must not wait for their places. */
#define TL_INTRODUCERS_MAX (TL_INTRODUCERS_GIVEN_MAX + 16)
#define TL_INTRODUCERS_KNOWN_MAX                                                                   \
    512 /* peers of which it is remembered where they are; the oldest makes room */
#define TL_INTRODUCTION_ASKED          4 /* nodes that are asked at once for one wish */
#define TL_WHEREABOUTS_ADDRS_MAX       8
#define TL_WHEREABOUTS_INTRODUCERS_MAX 8

typedef struct tl_introducers tl_introducers;

/* Where a peer is, as it said itself: its item in the DHT. */
typedef struct {
    tl_control_nat nat;
    size_t n_addrs, n_introducers;
    tl_addr addrs[TL_WHEREABOUTS_ADDRS_MAX]; /* public ones */
    tl_relayer_name introducers[TL_WHEREABOUTS_INTRODUCERS_MAX];
} tl_whereabouts;

/* One to which this node is attached now. */
typedef struct {
    tl_relayer_name name;
    tl_time rtt;  /* 0: not measured */
    tl_addr seen; /* our address, as it sees us */
    bool given;   /* by the setting */
} tl_introducer_facts;

typedef struct {
    const tl_identity *identity; /* borrowed for life, as all pointers here */
    tl_rand *rand;
    tl_peer_table *table;
    const tl_peers_udp *udp;
    void *udp_user;
    const tl_relayers *relayers; /* those to which this node is attached introduce it, too */
    tl_env env;
    /* The user of the functions below. None of them may call introducers. */
    void *user;
    bool (*is_relay)(void *user, const tl_addr *addr); /* the UDP port of a relay that we use */
    /* Have we a reason to trust it: is it of our networks, or a place where we came into the DHT? NULL: nobody. */
    bool (*is_ours)(void *user, const tl_relayer_name *name);
    void (*on_changed)(void *user); /* tl_introducers_attached tells others now */
} tl_introducers_config;

TL_CHECK tl_err tl_introducers_new(const tl_introducers_config *config,
                                   tl_introducers **ret_introducers);
void tl_introducers_free(tl_introducers *r);

/* Those of the setting nat.introducers. Copies. More than TL_INTRODUCERS_GIVEN_MAX are left out. */
void tl_introducers_give(tl_introducers *r, const tl_relayer_name *names, size_t n);
/* "NODEID@IP:PORT". TL_ERR_PROTO: it is not that. */
TL_CHECK tl_err tl_introducer_parse(tl_slice text, tl_relayer_name *ret_name);
/* A node that introduces was found: in the DHT item of a peer, say. It is tried when this node is attached to
 * fewer than TL_INTRODUCERS_FOUND and publishes its own item. No effect where that node is known already, here or
 * at another address. */
void tl_introducers_found(tl_introducers *r, const tl_relayer_name *name);
/* Does this node publish in the DHT to which nodes it is attached? It begins with false. Where it does not, nobody
 * would find it by strangers that introduce, and they would only learn its ID and address: it is attached to none. */
void tl_introducers_set_published(tl_introducers *r, bool published);
/* An introduction by a node at this address was taken, and what was signed for it was right. */
void tl_introducers_worked(tl_introducers *r, const tl_addr *from);
/* Would another one be attached to, if it were found? */
bool tl_introducers_wants(const tl_introducers *r);
/* Where the peer is: remembered for the attempts at it. Its introducers are not attached to. */
void tl_introducers_know(tl_introducers *r, const tl_node_id *peer, const tl_whereabouts *where);
/* Is something known of where the peer is, so that it can be asked, or others be asked for it? */
bool tl_introducers_can_ask(const tl_introducers *r, const tl_node_id *peer);
/* Those to which this node is attached now, nodes that relay for it among them: what its own item in the DHT
 * names. */
size_t tl_introducers_attached(const tl_introducers *r,
                               tl_introducer_facts ret[TL_INTRODUCERS_MAX]);
/* Do we let that node introduce others to us, from there: are we attached to it? `ret_seen`: our address, as it
 * sees us. */
bool tl_introducers_is(const tl_introducers *r, const tl_node_id *node, const tl_addr *from,
                       tl_addr *ret_seen);

/* Asks to be introduced to the peer, with this nonce; `nth` counts the attempt's tries from 0: others are asked
 * each time. False: nobody can be asked. */
bool tl_introducers_ask(tl_introducers *r, const tl_node_id *peer,
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth);

/* An Attached. False: it answers no question of ours. */
bool tl_introducers_on_attached(tl_introducers *r, const tl_addr *from, const tl_control *c);
/* Our own address has changed, or may have. */
void tl_introducers_on_moved(tl_introducers *r);
/* Something fell silent: a NAT may have forgotten the ways from those to which this node is attached, too. So it
 * attaches anew, at most once in a second. */
void tl_introducers_doubt(tl_introducers *r);
void tl_introducers_on_timer(tl_introducers *r);
tl_time tl_introducers_expiry(const tl_introducers *r);

typedef struct {
    uint64_t intros, attaches; /* sent */
    uint64_t limited;          /* not sent: there were too many */
} tl_introducers_counters;
const tl_introducers_counters *tl_introducers_counters_of(const tl_introducers *r);

#endif
