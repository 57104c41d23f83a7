#include "store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD      "teale-mark 1 "
#define HEAD_SIZE (sizeof HEAD - 1)
#define ID_HEX    (2 * (size_t)TL_MARK_ID)
#define DIGITS    20 /* of 2^64 - 1 */
#define SIZE      (HEAD_SIZE + ID_HEX + 1 + DIGITS + 1)

tl_mark_verdict tl_mark_judge(const tl_mark *mark, const tl_mark *database)
{
    if (!mark)
        return database->commits ? TL_MARK_MISSING : TL_MARK_FITS;
    bool same = !memcmp(mark->id, database->id, TL_MARK_ID);
    return same && mark->commits <= database->commits ? TL_MARK_FITS : TL_MARK_SET_BACK;
}

static void write_text(char ret[SIZE + 1], const tl_mark *mark)
{
    char id[ID_HEX + 1];
    tl_hex_write(id, mark->id, TL_MARK_ID);
    snprintf(ret, SIZE + 1, HEAD "%s %020llu\n", id, (unsigned long long)mark->commits);
}

static tl_err read_text(tl_slice text, tl_mark *ret)
{
    tl_mark mark = {.commits = 0};
    if (text.n != SIZE || memcmp(text.p, HEAD, HEAD_SIZE) != 0 || text.p[SIZE - 1] != '\n' ||
        text.p[HEAD_SIZE + ID_HEX] != ' ' ||
        tl_hex_parse(tl_slice_of(text.p + HEAD_SIZE, ID_HEX), false, mark.id, TL_MARK_ID))
        return TL_ERR_PROTO;
    for (size_t i = SIZE - 1 - DIGITS; i < SIZE - 1; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return TL_ERR_PROTO;
        if (__builtin_mul_overflow(mark.commits, 10, &mark.commits) ||
            __builtin_add_overflow(mark.commits, text.p[i] - '0', &mark.commits))
            return TL_ERR_PROTO;
    }
    *ret = mark;
    return TL_OK;
}

tl_err tl_mark_read(const char *path, tl_mark *ret_mark, tl_why *why)
{
    char text[SIZE + 1];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TL_ERR_NOT_FOUND;
    if (fd < 0)
        return tl_why_file(why, "read", path, errno);
    ssize_t n = read(fd, text, sizeof text);
    int error = errno;
    close(fd);
    if (n < 0)
        return tl_why_file(why, "read", path, error);
    return read_text(tl_slice_of(text, (size_t)n), ret_mark);
}

tl_err tl_mark_write(int fd, const tl_mark *mark)
{
    char text[SIZE + 1];
    write_text(text, mark);
    ssize_t n = pwrite(fd, text, SIZE, 0);
    if (n >= 0 && n != (ssize_t)SIZE)
        errno = ENOSPC;
    return n == (ssize_t)SIZE ? TL_OK : TL_ERR_IO;
}

static bool write_whole(int fd, const tl_mark *mark)
{
    return !tl_mark_write(fd, mark) && !ftruncate(fd, SIZE) && !fsync(fd);
}

/* It gets its name when its words are there: a mark without them would be taken for a damaged one. */
static int make(const char *path, const tl_mark *mark)
{
    char made[PATH_MAX];
    if ((size_t)snprintf(made, sizeof made, "%s.new", path) >= sizeof made) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(made, O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0 || (write_whole(fd, mark) && !rename(made, path)))
        return fd;
    int error = errno;
    (void)unlink(made);
    close(fd);
    errno = error;
    return -1;
}

tl_err tl_mark_open(const char *path, const tl_mark *mark, int *ret_fd, tl_why *why)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        fd = make(path, mark);
    else if (fd >= 0 && !write_whole(fd, mark)) {
        int error = errno;
        close(fd);
        return tl_why_file(why, "write", path, error);
    }
    if (fd < 0)
        return tl_why_file(why, "open", path, errno);
    *ret_fd = fd;
    return TL_OK;
}
