/* behind.h - connections that a trusted proxy passes on: reads the PROXY header in front of them and
 * X-Forwarded-For in their request, and tells the relay machine whose they are. Decides nothing about
 * their bytes. */
#ifndef TL_RELAYD_BEHIND_H
#define TL_RELAYD_BEHIND_H

#include "relayd/hub.h"
#include "wire/http1.h"

/* Waits for the header of the connection `c`, then makes its stream. Takes over `fd` if it succeeds.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_door_new(tl_relayd_conn *c, int fd, tl_tls *tls);
void tl_relayd_door_free(tl_relayd_door *d);

/* The request of `c` was read: tells whose it is. Returns the status with which it is refused; 0: it
 * goes on. */
int tl_relayd_behind_request(tl_relayd_conn *c, const tl_http1_head *head);
/* `bytes` are no request: counts and logs it if they are a PROXY header. */
void tl_relayd_behind_refused(tl_relayd_conn *c, tl_slice bytes);

#endif
