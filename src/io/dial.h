/* dial.h - makes a TCP connection to a name or IP. It tries all addresses and keeps the one that
 * answers first; each address gets a head start of 250 ms over the next (a small form of RFC 8305).
 * Only connects; neither reads nor writes. */
#ifndef TL_IO_DIAL_H
#define TL_IO_DIAL_H

#include "io/loop.h"

#define TL_DIAL_HEAD_START_NS (250 * TL_MS) /* RFC 8305 section 5 */

typedef struct tl_dial tl_dial;

/* on_done gets the connected, non-blocking descriptor and then owns it, or gets fd = -1 with an
 * error and words for a person. It is never called from inside this call. TL_ERR_NOMEM,
 * TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_dial_start(tl_loop *loop, const char *host, uint16_t port,
                              void (*on_done)(void *user, int fd, tl_err e, const char *why),
                              void *user, tl_dial **ret_dial);
/* Does the same with addresses that are known already: 1 to TL_RESOLVE_MAX of them, copied. */
TL_CHECK tl_err tl_dial_start_at(tl_loop *loop, const tl_addr *addrs, size_t n,
                                 void (*on_done)(void *user, int fd, tl_err e, const char *why),
                                 void *user, tl_dial **ret_dial);
/* Allowed at any time, also inside on_done. */
void tl_dial_free(tl_dial *d);

#endif
