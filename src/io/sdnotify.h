/* sdnotify.h - tells systemd the state of the service (datagrams to $NOTIFY_SOCKET, as sd_notify(3)
 * sends). Does nothing if no service manager asked; never waits. */
#ifndef TL_IO_SDNOTIFY_H
#define TL_IO_SDNOTIFY_H

#include "io/loop.h"

/* Sends one datagram: "READY=1", "STOPPING=1" or "STATUS=...". TL_ERR_NOT_FOUND: nobody asked.
 * TL_ERR_IO. */
TL_CHECK tl_err tl_sdnotify(const char *state);

/* Says WATCHDOG=1 while the loop turns: each time when a quarter of the time that the service manager
 * allows has passed. */
typedef struct {
    /* Does the rest of the process turn, too? May be NULL. Where it does not, nothing is said. Set
     * before tl_sdwatchdog_start. */
    bool (*is_alive)(void *user);
    void *user;
    tl_timer timer;
    tl_time every;
} tl_sdwatchdog;
void tl_sdwatchdog_start(tl_sdwatchdog *w, tl_loop *loop);
void tl_sdwatchdog_stop(tl_sdwatchdog *w);

#endif
