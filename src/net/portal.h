/* portal.h - asks, in clear, whether a captive portal stands before a relay that could not be used
 * (wire/portal judges). One question, one verdict; never asks again by itself. */
#ifndef TL_NET_PORTAL_H
#define TL_NET_PORTAL_H

#include "io/stream.h"
#include "wire/portal.h"

#define TL_PORTAL_WITHIN (5 * TL_SEC) /* then there is no portal: one on this network is near */

typedef struct tl_portal tl_portal;

/* Asks the relay's host: at port 80 for a wss:// relay, which portals watch, else at its own port. on_done
 * comes once, never from inside this call, with the login's address, or NULL where no portal
 * answered; there the owner may free the handle. `strange` as in tl_portal_answered. TL_ERR_NOMEM,
 * TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_portal_start(tl_loop *loop, tl_rand *rand, const tl_wsurl *url, bool strange,
                                void (*on_done)(void *user, const char *login), void *user,
                                tl_portal **ret_portal);
void tl_portal_free(tl_portal *p);

#endif
