/* sdnotify.h - tells systemd how the service is (sd_notify(3)'s datagrams to $NOTIFY_SOCKET). Does
 * nothing where no service manager asked. */
#ifndef TL_IO_SDNOTIFY_H
#define TL_IO_SDNOTIFY_H

#include "io/loop.h"

/* "READY=1", "STOPPING=1", "STATUS=...": one datagram. TL_ERR_NOT_FOUND: nobody asked. TL_ERR_IO.
 */
TL_CHECK tl_err tl_sdnotify(const char *state);

/* Says WATCHDOG=1 at half the time the service manager allows, as long as the loop turns. */
typedef struct {
    tl_timer timer;
    tl_time every;
} tl_sdwatchdog;
void tl_sdwatchdog_start(tl_sdwatchdog *w, tl_loop *loop);
void tl_sdwatchdog_stop(tl_sdwatchdog *w);

#endif
