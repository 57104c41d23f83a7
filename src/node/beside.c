#include "node/beside.h"

#include "base/log.h"
#include "io/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool tl_beside_path(const char *port_file, const char *name, char ret_path[TL_BESIDE_PATH_MAX])
{
    const char *slash = strrchr(port_file, '/');
    int dir = slash ? (int)(slash - port_file) + 1 : 0;
    return port_file[0] && (size_t)snprintf(ret_path, TL_BESIDE_PATH_MAX, "%.*s%s", dir, port_file,
                                            name) < TL_BESIDE_PATH_MAX;
}

void tl_beside_write(const char *path, tl_slice bytes)
{
    char beside[PATH_MAX];
    int len = snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof beside)
        return;
    unlink(beside); /* left by a run that ended in the middle */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool written = fd >= 0 && tl_disk_write(fd, bytes);
    if (fd >= 0 && (close(fd) || !written || rename(beside, path))) {
        tl_log(TL_LOG_DEBUG, "cannot keep %s", path);
        unlink(beside);
    }
}

tl_err tl_beside_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return TL_ERR_NOT_FOUND;
    uint8_t *bytes = malloc(max);
    ssize_t n = bytes && !fstat(fd, &st) && S_ISREG(st.st_mode) ? read(fd, bytes, max) : -1;
    close(fd);
    if (!bytes)
        return TL_ERR_NOMEM;
    if (n <= 0) {
        free(bytes);
        return TL_ERR_NOT_FOUND;
    }
    *ret_bytes = bytes;
    *ret_n = (size_t)n;
    return TL_OK;
}
