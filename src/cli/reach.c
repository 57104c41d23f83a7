#include "cli/reach.h"

#include "cli/lock.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* 0, or the errno of a connection to the socket. */
static int try_socket(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sun.sun_path)
        return ENAMETOOLONG;
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, (const struct sockaddr *)&sun, sizeof sun) ? errno : 0;
    close(fd);
    return error == EAGAIN ? 0 : error; /* its queue is full: somebody listens */
}

const char *tl_reach_socket(const tl_paths *p)
{
    bool second = *p->socket_beside && try_socket(p->socket) && !try_socket(p->socket_beside);
    return second ? p->socket_beside : p->socket;
}

/* The socket that must not be used; NULL: there is none. */
static const char *barred(const tl_paths *p)
{
    if (try_socket(p->socket) == EACCES)
        return p->socket;
    return *p->socket_beside && try_socket(p->socket_beside) == EACCES ? p->socket_beside : NULL;
}

bool tl_reach_is_barred(const tl_paths *p)
{
    return barred(p) != NULL;
}

/* Who owns the file, or of the directories above it the first that can be seen. */
static void owner_of(const char *path, char *ret, size_t size)
{
    char part[TL_PATH_MAX];
    struct stat st;
    snprintf(part, sizeof part, "%s", path);
    while (lstat(part, &st) && strrchr(part, '/') > part)
        *strrchr(part, '/') = 0;
    const struct passwd *pw = lstat(part, &st) ? NULL : getpwuid(st.st_uid);
    if (pw)
        snprintf(ret, size, "%s", pw->pw_name);
    else
        snprintf(ret, size, "user %ld", (long)st.st_uid);
}

int tl_reach_explain(const tl_paths *p)
{
    const char *closed = barred(p);
    char owner[64];
    if (closed) {
        owner_of(closed, owner, sizeof owner);
        tl_out_error("the node at %s belongs to another user (%s)", closed, owner);
        tl_out_note("Run this as %s, or give a directory of your own: --home DIR", owner);
        return TL_EXIT_DENIED;
    }
    long pid = tl_lock_holder(p->lock);
    char why[600];
    tl_lock_why(p->lock, why, sizeof why);
    if (pid && *why) {
        tl_out_error("a node runs here (process %ld), and %s", pid, why);
        tl_out_note("It goes on by itself then. To end it: teale down");
        return TL_EXIT_FAILED;
    }
    if (pid) {
        tl_out_error("a node runs here (process %ld), but does not answer at %s", pid, p->socket);
        tl_out_note("It may be starting or ending. If that lasts: teale down, then teale up.");
        return TL_EXIT_FAILED;
    }
    tl_out_error("no daemon is running (nothing answers at %s%s%s)", p->socket,
                 *p->socket_beside ? " or " : "", p->socket_beside);
    tl_out_note("Start it: teale up");
    const char *sudo = getenv("SUDO_USER");
    if (geteuid() == 0 && sudo && strcmp(sudo, "root") != 0)
        tl_out_note("This asked for root's node; without sudo it is %.64s's.", sudo);
    return TL_EXIT_NOT_RUNNING;
}
