/* ask.h - requests about fragments over streams to peers: a tl_exchanges (exchange.h). Sans-IO. A connection
 * is made where none stands. */
#ifndef TL_BACKUP_ASK_H
#define TL_BACKUP_ASK_H

#include "backup/exchange.h"
#include "base/env.h"
#include "peer/peers.h"

/* Between two signs of progress: bytes that go, or come. A holder reads sixteen fragments for a proof. */
#define TL_FRAGMENT_ASK_IDLE (20 * TL_SEC)
/* The whole: the largest fragment at 64 KiB/s, over a node that relays for a stranger. */
#define TL_FRAGMENT_ASK_MAX  (5 * TL_MIN)

typedef struct tl_fragment_asker tl_fragment_asker;

/* `peers` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_asker_new(const tl_env *env, tl_peers *peers,
                                      tl_fragment_asker **ret_asker);
/* Before tl_peers_free. Every call is over, or cancelled, by then. NULL is allowed. */
void tl_fragment_asker_free(tl_fragment_asker *a);
/* Borrowed; for the asker's life. */
tl_exchanges *tl_fragment_asker_exchanges(tl_fragment_asker *a);
void tl_fragment_asker_on_timer(tl_fragment_asker *a);
tl_time tl_fragment_asker_expiry(const tl_fragment_asker *a);

#endif
