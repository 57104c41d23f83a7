/* again.h - connects to peers that this node knows, where no relay tells who is there: members of its networks, and
 * peers that answered it. Decides whom to try, when, and how many at once. Sans-IO: connects through the functions
 * it is given; never touches a socket, a clock or the DHT itself.
 *
 *   DUE --its time has come, there is room--> TRYING --it is connected--> RESTING --its connection is gone--> DUE
 *    ^-----------------it failed: after a pause, which doubles---/
 *
 *   tries                     <= 1 each TL_AGAIN_APART, TL_AGAIN_AT_ONCE at once
 *   of a peer that stays away <= 1 each TL_AGAIN_MAX, once it has failed some times                           */
#ifndef TL_PEER_AGAIN_H
#define TL_PEER_AGAIN_H

#include "base/err.h"
#include "base/time.h"
#include "crypto/identity.h"

#define TL_AGAIN_PEERS   64            /* as many as are kept over a restart */
#define TL_AGAIN_AT_ONCE 3             /* of the 16 that may be looked for at once */
#define TL_AGAIN_APART   (500 * TL_MS) /* a look in the DHT asks some dozens of nodes */
#define TL_AGAIN_FIRST                                                                             \
    (2 * TL_SEC) /* after its connection ended: a process that starts anew takes so long */
#define TL_AGAIN_PAUSE (5 * TL_SEC) /* after the first failure; doubles */
#define TL_AGAIN_MAX   (10 * TL_MIN)
#define TL_AGAIN_LOOK  (1 * TL_SEC) /* so often it is looked whether anybody can be sought */

typedef enum {
    TL_AGAIN_NEVER,  /* it is forgotten */
    TL_AGAIN_DEALT,  /* it answered, or was asked */
    TL_AGAIN_MEMBER, /* both are of one network: these come first */
} tl_again_rank;

typedef struct tl_again tl_again;

/* None of these may call the tl_again. */
typedef struct {
    /* Has it to be done now: does no relay tell who is there, and is there a way to find somebody? */
    bool (*may_seek)(void *user);
    /* May one more connection be kept? */
    bool (*has_room)(void *user);
    tl_again_rank (*rank)(void *user, const tl_node_id *peer);
    bool (*is_connected)(void *user, const tl_node_id *peer);
    /* Begins to connect; tl_again_on_failed may follow, never from inside this call. False: it cannot. */
    bool (*connect)(void *user, const tl_node_id *peer);
} tl_again_world;

/* TL_ERR_NOMEM. `world` is copied. */
TL_CHECK tl_err tl_again_new(const tl_again_world *world, void *user, tl_again **ret_again);
void tl_again_free(tl_again *a);

/* This peer is known: it is connected to, unless it is, and again whenever its connection is gone. No effect where
 * its rank is NEVER. Where all places are taken, one of a lower rank makes room, or of the same one that failed more
 * often. */
void tl_again_add(tl_again *a, const tl_node_id *peer, tl_time now);
void tl_again_on_connected(tl_again *a, const tl_node_id *peer);
void tl_again_on_left(tl_again *a, const tl_node_id *peer, tl_time now);
void tl_again_on_failed(tl_again *a, const tl_node_id *peer, tl_time now);
/* What was tried was tried from another network: all that are not connected are due now. */
void tl_again_hurry(tl_again *a, tl_time now);
/* Is it looked for: does it stand in the table, and is it not connected? */
bool tl_again_seeks(const tl_again *a, const tl_node_id *peer);

void tl_again_on_timer(tl_again *a, tl_time now);
tl_time tl_again_expiry(const tl_again *a);

typedef struct {
    uint64_t tried, failed, back;
} tl_again_counters;
const tl_again_counters *tl_again_counters_of(const tl_again *a);

#endif
