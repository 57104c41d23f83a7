#include "io/seedfile.h"

#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- reading --- */

static tl_err check_file(const char *path, const struct stat *st, tl_why *why)
{
    if (!S_ISREG(st->st_mode))
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "%s is not a regular file: move it away, or name another place for the key", path);
    if (st->st_uid != geteuid())
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "%s belongs to user %u, not to user %u, who runs this program: chown %u %s", path,
            (unsigned)st->st_uid, (unsigned)geteuid(), (unsigned)geteuid(), path);
    if (st->st_mode & 077)
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "%s is open to others (mode %04o): chmod 600 %s, and if others use this "
                          "machine, make a new key",
                          path, (unsigned)st->st_mode & 07777, path);
    if (st->st_size != TL_SEED_SIZE)
        return tl_why_set(why, TL_ERR_PROTO,
                          "%s holds %lld bytes, a key has 32: restore it from a backup, or move it "
                          "away to begin with a new identity",
                          path, (long long)st->st_size);
    return TL_OK;
}

static tl_err open_key(const char *path, int *ret_fd, tl_why *why)
{
    /* O_NONBLOCK: open must not wait if the name is that of a FIFO */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        *ret_fd = fd;
        return TL_OK;
    }
    switch (errno) {
    case ENOENT:
        return tl_why_set(why, TL_ERR_NOT_FOUND, "%s does not exist: `teale up` makes it", path);
    case ELOOP:
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "%s is a symbolic link: put the key file itself there", path);
    case ENXIO: /* a socket */
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "%s is not a regular file: move it away, or name another place for the key", path);
    default: return tl_why_file(why, "read", path, errno);
    }
}

/* Reads exactly `n` bytes. */
static bool read_all(int fd, uint8_t *ret, size_t n)
{
    while (n) {
        ssize_t k = read(fd, ret, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        ret += k;
        n -= (size_t)k;
    }
    return true;
}

tl_err tl_seedfile_load(const char *path, tl_identity *ret_identity, tl_why *why)
{
    uint8_t seed[TL_SEED_SIZE];
    struct stat st;
    int fd = -1;
    tl_err e = open_key(path, &fd, why);
    if (e)
        return e;
    if (fstat(fd, &st) != 0) {
        e = tl_why_file(why, "read", path, errno);
        goto out;
    }
    e = check_file(path, &st, why);
    if (e)
        goto out;
    if (!read_all(fd, seed, sizeof seed)) {
        e = tl_why_set(why, TL_ERR_IO, "cannot read %s to its end", path);
        goto out;
    }
    e = tl_identity_from_seed(seed, ret_identity);
    if (e)
        tl_why_set(why, e, "%s holds no usable key: restore it from a backup", path);
out:
    sodium_memzero(seed, sizeof seed);
    close(fd);
    return e;
}

/* --- making --- */

typedef struct {
    int dir;               /* the directory's descriptor, or -1 */
    const char *name;      /* the key's name in it */
    char temp[NAME_MAX];   /* the file's name until it is whole */
    char parent[PATH_MAX]; /* the directory's path, for messages */
} place;

/* False: errno tells why. */
static bool have_directory(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return true;
    int error = errno; /* the directory may exist where we have no right to make it (/home) */
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    errno = error == EEXIST ? ENOTDIR : error;
    return false;
}

/* Makes `path` and the directories missing above it; nobody else can read them. */
static tl_err make_directory(char *path, tl_why *why)
{
    for (char *p = path + 1;; p++) {
        char here = *p;
        if (here && here != '/')
            continue;
        *p = 0;
        if (!have_directory(path))
            return tl_why_file(why, "make the directory", path, errno);
        *p = here;
        if (!here)
            return TL_OK;
    }
}

static tl_err open_place(const char *path, tl_rand *rand, place *ret, tl_why *why)
{
    const char *slash = strrchr(path, '/');
    ret->name = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!*ret->name || strlen(ret->name) > NAME_MAX / 2 || n >= sizeof ret->parent)
        return tl_why_set(why, TL_ERR_INVALID, "\"%s\" is not a name for a key file", path);
    if (slash && n)
        snprintf(ret->parent, sizeof ret->parent, "%.*s", (int)n, path);
    else
        snprintf(ret->parent, sizeof ret->parent, "%s", slash ? "/" : ".");
    snprintf(ret->temp, sizeof ret->temp, ".%s.%016llx", ret->name,
             (unsigned long long)tl_rand_u64(rand));
    tl_err e = make_directory(ret->parent, why);
    if (e)
        return e;
    ret->dir = open(ret->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->dir < 0)
        return tl_why_file(why, "open the directory", ret->parent, errno);
    return TL_OK;
}

/* Gives the temporary file its final name. TL_ERR_EXISTS: the name is taken. In any case the
 * temporary name is gone afterwards. */
static tl_err publish(const place *at, tl_why *why)
{
    int error = 0;
    if (renameat2(at->dir, at->temp, at->dir, at->name, RENAME_NOREPLACE) != 0) {
        error = errno;
        if (error == EINVAL || error == ENOSYS) /* the file system does not know this flag */
            error = linkat(at->dir, at->temp, at->dir, at->name, 0) == 0 ? 0 : errno;
        unlinkat(at->dir, at->temp, 0);
    }
    if (error == EEXIST)
        return TL_ERR_EXISTS;
    if (error)
        return tl_why_file(why, "write a key into", at->parent, error);
    return TL_OK;
}

tl_err tl_seedfile_write(const char *path, tl_rand *rand, const uint8_t seed[TL_SEED_SIZE],
                         tl_why *why)
{
    place at = {.dir = -1};
    tl_err e = open_place(path, rand, &at, why);
    if (!e && !tl_disk_make(at.dir, at.temp, tl_slice_of(seed, TL_SEED_SIZE)))
        e = tl_why_file(why, "write a key into", at.parent, errno);
    if (!e)
        e = publish(&at, why);
    /* the file's name must be on the disk before anybody hears of this identity, whichever process
     * made the file */
    if ((!e || e == TL_ERR_EXISTS) && fsync(at.dir) != 0)
        e = tl_why_file(why, "write to", at.parent, errno);
    else if (e == TL_ERR_EXISTS)
        (void)tl_why_set(why, e, "%s exists already, and is not replaced", path);
    if (at.dir >= 0)
        close(at.dir);
    return e;
}

tl_err tl_seedfile_load_or_create(const char *path, tl_rand *rand, tl_identity *ret_identity,
                                  bool *ret_created, tl_why *why)
{
    tl_identity made = {0};
    tl_err e = tl_seedfile_load(path, ret_identity, why);
    if (e != TL_ERR_NOT_FOUND) {
        if (!e)
            *ret_created = false;
        return e;
    }
    e = tl_identity_new(rand, &made);
    if (!e)
        e = tl_seedfile_write(path, rand, made.seed, why);
    if (!e)
        *ret_identity = made;
    bool ours = !e;
    if (e == TL_ERR_EXISTS) /* another process was quicker */
        e = tl_seedfile_load(path, ret_identity, why);
    if (!e)
        *ret_created = ours;
    tl_identity_clear(&made);
    return e;
}
