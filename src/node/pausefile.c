#include "node/pausefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads a number in digits alone; -1: something else stands there. O_NONBLOCK: a FIFO must not stop
 * the node. */
static tl_unix read_number(int fd)
{
    char text[32];
    struct stat st;
    ssize_t n = !fstat(fd, &st) && S_ISREG(st.st_mode) ? read(fd, text, sizeof text) : -1;
    tl_unix number = 0;
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n < 1 || n > 15)
        return -1;
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

bool tl_pausefile_read(const char *path, tl_unix *ret_until)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    tl_unix until = read_number(fd);
    close(fd);
    *ret_until = until < 0 ? TL_PAUSE_NO_END : until;
    return true;
}

static tl_err failed(const char *path, tl_why *why)
{
    return tl_why_set(why, TL_ERR_IO, "cannot keep the pause in %s: %s", path, strerror(errno));
}

tl_err tl_pausefile_write(const char *path, tl_unix until, tl_why *why)
{
    char beside[PATH_MAX];
    int len = snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    errno = ENAMETOOLONG;
    if (len < 0 || (size_t)len >= sizeof beside)
        return failed(path, why);
    unlink(beside); /* left by a run that ended in the middle */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failed(path, why);
    bool written = dprintf(fd, "%lld\n", (long long)until) > 0 && !fsync(fd);
    if (close(fd) || !written || rename(beside, path)) {
        tl_err e = failed(path, why);
        unlink(beside);
        return e;
    }
    return TL_OK;
}

tl_err tl_pausefile_remove(const char *path, tl_why *why)
{
    return unlink(path) && errno != ENOENT ? failed(path, why) : TL_OK;
}
