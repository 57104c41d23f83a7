/* neighbours.h - whom this node connects to on its local network, and when. Members of its networks and peers that it
 * knows are connected to at once, without being asked. Strangers are connected to only while somebody looks for what
 * nobody known has: a model, or a member of a network whom this node has not met. Sans-IO: connects through the
 * functions it is given; never touches a socket, a clock or mDNS itself.
 *
 *                                       (a stranger: while wanted)
 *   IDLE --found, known--> DUE     IDLE ----------------------------> DUE
 *   DUE --its time has come, there is room--> TRYING --connected--> MET --its hello, or too late--> THERE
 *   TRYING --failed: after a pause, which doubles (a stranger: IDLE until then)--> DUE
 *   MET, THERE --its connection is gone--> DUE (a stranger: IDLE)
 *
 *   tried at once          <= TL_NEIGHBOURS_AT_ONCE known ones, TL_NEIGHBOURS_STRANGERS strangers
 *   strangers tried in t s <= TL_NEIGHBOURS_NEW_BURST + TL_NEIGHBOURS_NEW_PER_SEC x t, however many there are, and however
 *                             often they are wanted; the others wait IDLE for a later wish
 *   one that stays silent  <= 1 try each TL_NEIGHBOURS_PAUSE_MAX, once it has failed some times           */
#ifndef TL_PEER_NEIGHBOURS_H
#define TL_PEER_NEIGHBOURS_H

#include "base/err.h"
#include "base/time.h"
#include "crypto/identity.h"

#define TL_NEIGHBOURS_MAX         256 /* as many as net/lan keeps */
#define TL_NEIGHBOURS_AT_ONCE     8
#define TL_NEIGHBOURS_STRANGERS   16
#define TL_NEIGHBOURS_NEW_BURST   32
#define TL_NEIGHBOURS_NEW_PER_SEC 1
#define TL_NEIGHBOURS_PAUSE       (2 * TL_SEC) /* after the first failure; doubles */
#define TL_NEIGHBOURS_PAUSE_MAX   (5 * TL_MIN)
/* After the connection to one that we know ended: a process that starts anew is found anew. */
#define TL_NEIGHBOURS_BACK        (2 * TL_SEC)
#define TL_NEIGHBOURS_STRANGE     (60 * TL_SEC) /* a stranger that was tried is no news again before */
#define TL_NEIGHBOURS_HELLO       (1 * TL_SEC) /* from the connection to its hello */
#define TL_NEIGHBOURS_WANTED      (3 * TL_SEC) /* so long a wish for strangers lasts */

typedef struct tl_neighbours tl_neighbours;

/* None of these may call the tl_neighbours. */
typedef struct {
    /* A member of our networks, or a peer that was dealt with before? */
    bool (*is_known)(void *user, const tl_node_id *peer);
    bool (*is_connected)(void *user, const tl_node_id *peer);
    /* May one more connection be kept that nobody asked for? */
    bool (*has_room)(void *user);
    /* Begins to connect; one of tl_neighbours_on_connected and _on_failed follows, never from inside this call.
     * False: it cannot. */
    bool (*connect)(void *user, const tl_node_id *peer);
    /* What strangers there are has said what it serves, or will not. */
    void (*on_over)(void *user);
} tl_neighbours_world;

/* TL_ERR_NOMEM. `world` is copied. */
TL_CHECK tl_err tl_neighbours_new(const tl_neighbours_world *world, void *user,
                                  tl_neighbours **ret_neighbours);
void tl_neighbours_free(tl_neighbours *n);

/* It is announced, or announced otherwise than before: what failed may work now. */
void tl_neighbours_found(tl_neighbours *n, const tl_node_id *peer, tl_time now);
void tl_neighbours_gone(tl_neighbours *n, const tl_node_id *peer);
/* Who is known may be others now, or our network is another one: all are looked at anew. */
void tl_neighbours_look(tl_neighbours *n, tl_time now);
/* Somebody wants what nobody known has. True: strangers are being tried, or are there that have not said what they
 * serve; on_over follows. */
bool tl_neighbours_want(tl_neighbours *n, tl_time now);

void tl_neighbours_on_connected(tl_neighbours *n, const tl_node_id *peer, tl_time now);
void tl_neighbours_on_hello(tl_neighbours *n, const tl_node_id *peer);
void tl_neighbours_on_failed(tl_neighbours *n, const tl_node_id *peer, tl_time now);
void tl_neighbours_on_left(tl_neighbours *n, const tl_node_id *peer, tl_time now);

void tl_neighbours_on_timer(tl_neighbours *n, tl_time now);
tl_time tl_neighbours_expiry(const tl_neighbours *n);

typedef struct {
    uint64_t tried, failed, met;
    uint64_t strangers; /* of those tried */
} tl_neighbours_counters;
const tl_neighbours_counters *tl_neighbours_counters_of(const tl_neighbours *n);

#endif
