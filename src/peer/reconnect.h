/* reconnect.h - carries out what peer/phases decides after a change of our network: looks which
 * connections carry again, has the others renewed in order, asks the owner to announce where this
 * node is now, and tells it of each phase. Sans-IO, like tl_peers, whose connections it looks at. */
#ifndef TL_PEER_RECONNECT_H
#define TL_PEER_RECONNECT_H

#include "peer/peers.h"
#include "peer/phases.h"

#define TL_RECONNECT_LOOK (50 * TL_MS)  /* while something is awaited, so often it is looked for */
#define TL_RECONNECT_CALL (200 * TL_MS) /* so often who is not heard is called: 50 times a change */

typedef struct tl_reconnect tl_reconnect;

/* What is known of our public address since a change. */
typedef enum {
    TL_RECONNECT_ASKED, /* servers were asked for it */
    TL_RECONNECT_KNOWN,
    TL_RECONNECT_NOBODY, /* there is nobody to ask */
} tl_reconnect_address;

typedef struct {
    tl_reconnect_address (*address)(void *user);
    /* Is the peer of one of our networks? */
    bool (*is_member)(void *user, const tl_node_id *peer);
    /* Does the peer hold fragments of ours? Do we hold some of the peer's? */
    bool (*holds_ours)(void *user, const tl_node_id *peer);
    bool (*we_hold)(void *user, const tl_node_id *peer);
    /* Tells the DHT where this node is now. */
    void (*announce)(void *user);
    /* Asks the nodes by which this one finds others. False: there are none. */
    bool (*bootstrap)(void *user);
    /* Has one of them answered since then? */
    bool (*joined)(void *user);
    /* A phase begins or ends. May call anything but tl_reconnect_free. */
    void (*on_phase)(void *user, const tl_step *step);
} tl_reconnect_world;

/* Borrows peers, env and world. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_reconnect_new(tl_peers *peers, const tl_env *env,
                                 const tl_reconnect_world *world, void *user,
                                 tl_reconnect **ret_reconnect);
/* Before tl_peers_free. */
void tl_reconnect_free(tl_reconnect *r);

/* Our network is another one, or may be: an interface or a route changed, or this machine slept.
 * Begins anew. After tl_peers_on_moved. */
void tl_reconnect_on_moved(tl_reconnect *r);
/* Our public address is another one than before, as servers see it. Where nothing is under way, this
 * is a change of network, too, and begins. */
void tl_reconnect_on_address(tl_reconnect *r);
tl_phase tl_reconnect_phase(const tl_reconnect *r);
void tl_reconnect_on_timer(tl_reconnect *r);
tl_time tl_reconnect_expiry(const tl_reconnect *r);

/* How often each phase ended, done and failed. */
typedef struct {
    uint64_t done[TL_PHASE_REESTABLISH + 1], failed[TL_PHASE_REESTABLISH + 1];
} tl_reconnect_counters;
const tl_reconnect_counters *tl_reconnect_counters_of(const tl_reconnect *r);

#endif
