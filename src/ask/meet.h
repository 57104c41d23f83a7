/* meet.h - connects to nodes that claim to be members of a network of ours, so that they show their
 * certificates: which of them, when, and how many at once. A question of a network leaves only when
 * the certificate was verified, and that comes over a connection. Sans-IO; reads no certificate.
 *
 * A claim costs its maker nothing, and a relay can list thousands of nodes that claim our networks.
 * So few are met at once, those that were never met come first, and those that showed nothing are left
 * alone for a while, each time for longer. */
#ifndef TL_ASK_MEET_H
#define TL_ASK_MEET_H

#include "ask/access.h"
#include "peer/peers.h"

#define TL_MEET_MAX         1024          /* nodes remembered, 250 bytes each */
#define TL_MEET_AT_ONCE     8             /* connections that are made for it at one time */
#define TL_MEET_IDLE        4             /* of them, where no question waits */
#define TL_MEET_SHOW_WITHIN (3 * TL_SEC)  /* from the connection to the certificate */
#define TL_MEET_AGAIN       (10 * TL_MIN) /* after it showed none, where no question waits */
#define TL_MEET_AGAIN_ASKED (30 * TL_SEC) /* and where one does */
#define TL_MEET_DOUBLINGS   3             /* of both, one for each time that it failed again */

typedef struct tl_meet tl_meet;

/* All pointers are borrowed for life. `on_over`: a node that was met has shown its certificate, or
 * will not; it may come inside any function below but tl_meet_begin. */
TL_CHECK tl_err tl_meet_new(const tl_env *env, const tl_access *access, tl_peer_table *table,
                            tl_peers *peers, void (*on_over)(void *user), void *user,
                            tl_meet **ret_meet);
void tl_meet_free(tl_meet *m);

/* A question waits for this node's certificate. True: it is being met, or comes next; on_over
 * follows. False: it is not worth it now. */
bool tl_meet_begin(tl_meet *m, const tl_node_id *peer);
/* Nodes were listed: meets those that claim a network of ours, list models and have shown no
 * certificate, a few at a time. */
void tl_meet_look(tl_meet *m);
/* The book changed: who was waited for may have shown its certificate. */
void tl_meet_on_book(tl_meet *m);
void tl_meet_on_timer(tl_meet *m);
tl_time tl_meet_expiry(const tl_meet *m);

#endif
