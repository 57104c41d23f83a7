#include "cli/files.h"

#include "base/time.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE         65536
#define WRITER_WITHIN (5 * TL_SEC) /* a command that makes a key may take a moment */
#define PIPE_WITHIN   (30 * TL_SEC)

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

/* A pipe, as the shell's <(COMMAND) makes one: whoever has its other end may write nothing, or stop in the middle. */
static tl_err await_writer(int fd, const char *path, tl_time until, tl_why *why)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    tl_time from = now(), end = from + WRITER_WITHIN < until ? from + WRITER_WITHIN : until;
    int n;
    do {
        tl_time at = now();
        n = poll(&p, 1, at < end ? (int)((end - at) / TL_MS) + 1 : 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return tl_why_set(why, TL_ERR_INVALID, "%s is a pipe into which nobody writes", path);
    return n < 0 ? tl_why_file(why, "read", path, errno) : TL_OK;
}

static tl_err read_all(int fd, const char *path, size_t max, tl_time until, tl_buf *out,
                       tl_why *why)
{
    size_t before = out->len;
    for (;;) {
        uint8_t *room;
        if (tl_buf_reserve(out, PIECE, &room))
            return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
        ssize_t n = read(fd, room, PIECE);
        tl_err e = n < 0 && errno == EAGAIN ? await_writer(fd, path, until, why) : TL_OK;
        if (e)
            return e;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return tl_why_file(why, "read", path, errno);
        if (n == 0)
            return TL_OK;
        if (out->len - before + (size_t)n > max)
            return tl_why_set(why, TL_ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
        tl_buf_added(out, (size_t)n);
        if (now() >= until)
            return tl_why_set(why, TL_ERR_INVALID,
                              "%s is a pipe that did not end within %d seconds", path,
                              (int)(PIPE_WITHIN / TL_SEC));
    }
}

tl_err tl_file_read(const char *path, size_t max, tl_buf *out, tl_why *why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return tl_why_set(why, TL_ERR_NOT_FOUND, "there is no file %s", path);
    if (fd < 0)
        return tl_why_file(why, "read", path, errno);
    tl_err e = TL_OK;
    tl_time until = TL_NEVER;
    if (fstat(fd, &st))
        e = tl_why_file(why, "read", path, errno);
    else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        e = tl_why_set(why, TL_ERR_INVALID, "%s is not a file", path);
    if (!e && S_ISFIFO(st.st_mode)) {
        until = now() + PIPE_WITHIN;
        e = await_writer(fd, path, until, why); /* without one it would read as empty */
    }
    if (!e)
        e = read_all(fd, path, max, until, out, why);
    close(fd);
    return e;
}

tl_err tl_file_create(const char *path, tl_slice bytes, tl_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return tl_why_set(why, TL_ERR_EXISTS,
                          "%s exists already, and nothing is written over it: name a new file",
                          path);
    if (fd < 0)
        return tl_why_file(why, "make", path, errno);
    /* EINVAL: a file system that cannot sync */
    bool good = tl_disk_write(fd, bytes) && (!fsync(fd) || errno == EINVAL);
    int error = errno;
    if (close(fd) && good) {
        good = false;
        error = errno;
    }
    if (good)
        return TL_OK;
    unlink(path);
    return tl_why_file(why, "write", path, error);
}

bool tl_path_expand(tl_slice typed, char ret[PATH_MAX])
{
    const char *home = getenv("HOME");
    bool tilde = home && typed.n > 1 && !memcmp(typed.p, "~/", 2);
    if (typed.n >= PATH_MAX)
        return false;
    int n = snprintf(ret, PATH_MAX, "%s%.*s", tilde ? home : "", (int)(typed.n - tilde),
                     typed.n ? (const char *)typed.p + tilde : "");
    return n > 0 && n < PATH_MAX;
}
