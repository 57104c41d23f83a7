#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool tl_disk_write(int fd, tl_slice bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return false;
        bytes = tl_slice_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

bool tl_disk_make(int dir, const char *name, tl_slice bytes)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool ok = !fchmod(fd, 0600) && tl_disk_write(fd, bytes) && !fsync(fd);
    int error = errno;
    if (close(fd) && ok) {
        ok = false;
        error = errno;
    }
    if (!ok)
        (void)unlinkat(dir, name, 0);
    errno = error;
    return ok;
}

bool tl_disk_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = !fsync(fd) || errno == EINVAL; /* some file systems know no such thing */
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

bool tl_disk_sync_above(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof dir) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)n : 1, slash ? path : ".");
    return tl_disk_sync(dir);
}
