/* dial.h - a TCP connection to a name or IP, whichever of its addresses answers first: each gets a
 * head start of 250 ms over the next (RFC 8305 in small). Only connects; stream.c makes the rest.
 */
#ifndef TL_IO_DIAL_H
#define TL_IO_DIAL_H

#include "io/loop.h"

#define TL_DIAL_HEAD_START_NS (250 * TL_MS) /* RFC 8305 section 5 */

typedef struct tl_dial tl_dial;

/* on_done (never called from inside this) gets the connected, non-blocking descriptor, which
 * becomes the callee's, or fd = -1 with a code and words. TL_ERR_NOMEM, TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_dial_start(tl_loop *loop, const char *host, uint16_t port,
                              void (*on_done)(void *user, int fd, tl_err e, const char *why),
                              void *user, tl_dial **ret_dial);
/* The same to addresses known already (copied), 1 to TL_RESOLVE_MAX of them. */
TL_CHECK tl_err tl_dial_start_at(tl_loop *loop, const tl_addr *addrs, size_t n,
                                 void (*on_done)(void *user, int fd, tl_err e, const char *why),
                                 void *user, tl_dial **ret_dial);
/* At any time, also inside on_done. */
void tl_dial_free(tl_dial *d);

#endif
