#include "store/fragment_files.h"

#include "io/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH ".new" /* of a file that is not whole yet */

typedef struct {
    char text[1024 + TL_FRAGMENT_NAME_MAX + sizeof FRESH];
} path;

static path path_of(const char *folder, const char *name, const char *suffix)
{
    path p;
    snprintf(p.text, sizeof p.text, "%s/%s%s", folder, name, suffix);
    return p;
}

void tl_fragment_name(char ret_name[TL_FRAGMENT_NAME_MAX], const tl_node_id *owner,
                      const uint8_t id[32])
{
    char owner_hex[TL_NODE_ID_HEX + 1] = "own", id_hex[65];
    if (owner)
        tl_node_id_write(owner_hex, owner);
    tl_hex_write(id_hex, id, 32);
    snprintf(ret_name, TL_FRAGMENT_NAME_MAX, "%s-%s", owner_hex, id_hex);
}

tl_err tl_fragment_folder(const char *folder)
{
    return mkdir(folder, 0700) && errno != EEXIST ? TL_ERR_IO : TL_OK;
}

tl_err tl_fragment_write(const char *folder, const char *name, tl_slice bytes)
{
    path fresh = path_of(folder, name, FRESH), whole = path_of(folder, name, "");
    int fd = open(fresh.text, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return TL_ERR_IO;
    bool ok = tl_disk_write(fd, bytes) && !fsync(fd);
    ok = !close(fd) && ok;
    if (ok && !rename(fresh.text, whole.text) && tl_disk_sync(folder))
        return TL_OK;
    (void)unlink(fresh.text);
    return TL_ERR_IO;
}

tl_err tl_fragment_read(const char *folder, const char *name, size_t max, tl_buf *out)
{
    path whole = path_of(folder, name, "");
    int fd = open(whole.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    uint8_t *room;
    if (fd < 0)
        return errno == ENOENT ? TL_ERR_NOT_FOUND : TL_ERR_IO;
    tl_err e = fstat(fd, &st) || st.st_size < 0 ? TL_ERR_IO
               : (uint64_t)st.st_size > max     ? TL_ERR_TOO_LARGE
                                                : TL_OK;
    size_t size = e ? 0 : (size_t)st.st_size, at = 0;
    if (!e)
        e = tl_buf_reserve(out, size + 1, &room);
    while (!e && at < size) {
        ssize_t n = read(fd, room + at, size - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            e = TL_ERR_IO;
    }
    if (!e)
        tl_buf_added(out, size);
    close(fd);
    return e;
}

void tl_fragment_remove(const char *folder, const char *name)
{
    (void)unlink(path_of(folder, name, "").text);
}

void tl_fragment_sweep(const char *folder, bool (*keeps)(void *user, const char *name), void *user)
{
    DIR *d = opendir(folder);
    const struct dirent *entry;
    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.' && strlen(entry->d_name) < TL_FRAGMENT_NAME_MAX &&
            !keeps(user, entry->d_name))
            tl_fragment_remove(folder, entry->d_name);
    if (d)
        closedir(d);
}
