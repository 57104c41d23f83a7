#include "io/putback.h"

#include "io/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_CHUNK 65536

typedef struct {
    char text[PATH_MAX];
} name;

static name in(const char *dir, const char *suffix, size_t i)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s%s/%zu", dir, suffix, i);
    return n;
}

static name beside(const char *path, const char *suffix)
{
    name n;
    snprintf(n.text, sizeof n.text, "%s%s", path, suffix);
    return n;
}

static bool is_there(const char *path)
{
    struct stat st;
    return !lstat(path, &st) || errno != ENOENT;
}

/* --- writing --- */

static void remove_all(const char *dir, const char *suffix)
{
    for (size_t i = 0; i < TL_PUTBACK_MAX; i++)
        (void)unlink(in(dir, suffix, i).text);
    (void)rmdir(beside(dir, suffix).text);
}

static tl_err check_free(const tl_putback *files, size_t n, tl_why *why)
{
    for (size_t i = 0; i < n; i++)
        if (!files[i].spare && is_there(files[i].path))
            return tl_why_set(why, TL_ERR_EXISTS, "%.300s is there already, and is not replaced",
                              files[i].path);
    return TL_OK;
}

tl_err tl_putback_write(const char *dir, const tl_putback *files, size_t n, tl_why *why)
{
    bool done;
    name fresh = beside(dir, ".new");
    assert(n <= TL_PUTBACK_MAX);
    tl_err e = check_free(files, n, why);
    if (e)
        return e;
    if (is_there(dir))
        return tl_why_set(why, TL_ERR_EXISTS,
                          "%.300s is there already: an earlier restore was not "
                          "finished; `teale up` finishes it",
                          dir);
    remove_all(dir, ".new");
    if (mkdir(fresh.text, 0700))
        return tl_why_file(why, "make the directory", fresh.text, errno);
    for (size_t i = 0; !e && i < n; i++)
        if (!files[i].absent && !tl_disk_make(AT_FDCWD, in(dir, ".new", i).text, files[i].bytes))
            e = tl_why_file(why, "write", in(dir, ".new", i).text, errno);
    if (!e && (!tl_disk_sync(fresh.text) || rename(fresh.text, dir) || !tl_disk_sync_above(dir)))
        e = tl_why_file(why, "make", dir, errno);
    if (e) {
        remove_all(dir, ".new");
        return e;
    }
    return tl_putback_finish(dir, files, n, &done, why);
}

/* --- moving --- */

/* Into another file system: there it is whole under its name, or not there. */
static bool copy_over(const char *from, const char *to)
{
    tl_buf bytes = {0};
    uint8_t *room;
    name fresh = beside(to, ".new");
    int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t k = 1;
    if (fd < 0)
        return false;
    while (k > 0 && !tl_buf_reserve(&bytes, COPY_CHUNK, &room))
        if ((k = read(fd, room, COPY_CHUNK)) > 0)
            tl_buf_added(&bytes, (size_t)k);
    close(fd);
    (void)unlink(fresh.text);
    bool ok = k == 0 && tl_disk_make(AT_FDCWD, fresh.text, tl_buf_slice(&bytes));
    if (ok && renameat2(AT_FDCWD, fresh.text, AT_FDCWD, to, RENAME_NOREPLACE))
        ok = (errno == EINVAL || errno == ENOSYS) && !link(fresh.text, to);
    int error = errno;
    (void)unlink(fresh.text);
    tl_buf_clear(&bytes);
    errno = error;
    return ok && !unlink(from);
}

/* False: errno tells. */
static bool move_file(const char *from, const char *to)
{
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
        return true;
    if (errno == EXDEV)
        return copy_over(from, to);
    /* some file systems (NFS) know no such rename */
    return (errno == EINVAL || errno == ENOSYS) && !link(from, to) && !unlink(from);
}

tl_err tl_putback_finish(const char *dir, const tl_putback *files, size_t n, bool *ret_done,
                         tl_why *why)
{
    *ret_done = false;
    remove_all(dir, ".new");
    if (!is_there(dir))
        return TL_OK;
    for (size_t i = 0; i < n; i++) {
        name from = in(dir, "", i);
        if (!is_there(from.text)) { /* it was moved before the machine died */
            if (files[i].spare || is_there(files[i].path))
                continue;
            return tl_why_set(why, TL_ERR_NOT_FOUND,
                              "%.300s was restored, and is gone, before the restore was finished: "
                              "put it back; or remove %.300s, and restore anew",
                              files[i].path, dir);
        }
        if (files[i].spare && is_there(files[i].path)) {
            (void)unlink(from.text);
            continue;
        }
        if (!move_file(from.text, files[i].path)) {
            int error = errno;
            if (error == EEXIST)
                return tl_why_set(
                    why, TL_ERR_EXISTS,
                    "%.200s is there, and a restored one waits in %.200s: move one of "
                    "the two away",
                    files[i].path, from.text);
            return tl_why_file(why, "move a restored file to", files[i].path, error);
        }
        if (!tl_disk_sync_above(files[i].path))
            return tl_why_file(why, "write into the directory of", files[i].path, errno);
    }
    if (rmdir(dir) || !tl_disk_sync_above(dir))
        return tl_why_file(why, "remove", dir, errno);
    *ret_done = true;
    return TL_OK;
}
