#include "net/portfile.h"

#include "base/slice.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_MIN 1024 /* lower ports need privileges that we may not have next time */

/* Reads a small file. O_NONBLOCK: if it is a FIFO, it must not stop the node. */
static size_t read_small(const char *path, char *ret, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    struct stat st;
    ssize_t n = !fstat(fd, &st) && S_ISREG(st.st_mode) ? read(fd, ret, cap) : -1;
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

uint16_t tl_portfile_read(const char *path)
{
    char text[16];
    size_t n = read_small(path, text, sizeof text);
    if (n && text[n - 1] == '\n')
        n--;
    if (n == 0 || n > 5 || text[0] == '0')
        return 0;
    unsigned port = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port >= PORT_MIN && port <= UINT16_MAX ? (uint16_t)port : 0;
}

static tl_err write_beside(const char *beside, const char *text, size_t n)
{
    unlink(beside); /* left by a run that ended in the middle */
    return tl_disk_make(AT_FDCWD, beside, tl_slice_of(text, n)) ? TL_OK : TL_ERR_IO;
}

tl_err tl_portfile_write(const char *path, uint16_t port, tl_why *why)
{
    if (tl_portfile_read(path) == port)
        return TL_OK;
    char text[16], beside[PATH_MAX];
    int n = snprintf(text, sizeof text, "%u\n", port);
    int len = snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    errno = ENAMETOOLONG;
    if (len < 0 || (size_t)len >= sizeof beside || write_beside(beside, text, (size_t)n) ||
        rename(beside, path)) {
        tl_err e =
            tl_why_set(why, TL_ERR_IO, "cannot keep the UDP port in %s: %s", path, strerror(errno));
        if (len > 0 && (size_t)len < sizeof beside)
            unlink(beside);
        return e;
    }
    return TL_OK;
}
