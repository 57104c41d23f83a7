#include "io/sdnotify.h"

#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

tl_err tl_sdnotify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!name || (*name != '/' && *name != '@') || strlen(name) >= sizeof to.sun_path)
        return TL_ERR_NOT_FOUND;
    size_t n = strlen(name);
    memcpy(to.sun_path, name, n);
    if (*name == '@')
        to.sun_path[0] = 0; /* the abstract namespace: the length tells where the name ends */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return TL_ERR_IO;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                          (const struct sockaddr *)(const void *)&to, size);
    close(fd);
    return sent == (ssize_t)strlen(state) ? TL_OK : TL_ERR_IO;
}

static void on_due(void *user)
{
    tl_sdwatchdog *w = user;
    /* If a datagram is lost, or somebody does not answer once, the next one is early enough. */
    bool alive = !w->is_alive || w->is_alive(w->user);
    if (alive && tl_sdnotify("WATCHDOG=1") == TL_ERR_NOT_FOUND)
        return;
    tl_timer_set(&w->timer, tl_loop_now(w->timer.loop) + w->every);
}

/* The time that the environment asks for, of this process or of any; 0: none is asked for. */
static tl_time asked_for(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    unsigned long long v = strtoull(usec, NULL, 10);
    return v && v < UINT64_MAX / TL_US ? v * TL_US : 0;
}

void tl_sdwatchdog_start(tl_sdwatchdog *w, tl_loop *loop)
{
    w->every = asked_for() / 4;
    tl_timer_init(&w->timer, loop, on_due, w);
    if (w->every)
        tl_timer_set(&w->timer, tl_loop_now(loop) + w->every);
}

void tl_sdwatchdog_stop(tl_sdwatchdog *w)
{
    tl_timer_stop(&w->timer);
}
