#include "api/key.h"

#include "base/rand.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_SIZE 32 /* 256 bits */
#define RANDOM_TEXT 44 /* in base64url, with NUL */

bool tl_api_key_is(const char *key, tl_slice given)
{
    size_t n = strlen(key);
    return n > 0 && given.n == n && sodium_memcmp(key, given.p, n) == 0;
}

/* --- reading --- */

static tl_err check_file(int fd, const char *path, tl_why *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return tl_why_file(why, "read", path, errno);
    if (!S_ISREG(st.st_mode))
        return tl_why_set(why, TL_ERR_FORBIDDEN, "%s is not a regular file: move it away", path);
    if (st.st_uid != geteuid())
        return tl_why_set(why, TL_ERR_FORBIDDEN, "%s belongs to another user: chown it", path);
    if (st.st_mode & 077)
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "%s is open to others: chmod 600 it, or delete it for a new key", path);
    return TL_OK;
}

static bool is_key(tl_slice s)
{
    if (s.n < 20 || s.n >= TL_API_KEY_MAX || memcmp(s.p, "tl-", 3) != 0)
        return false;
    for (size_t i = 3; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '_')
            return false;
    }
    return true;
}

static tl_err load(const char *path, char ret_key[TL_API_KEY_MAX], tl_why *why)
{
    /* O_NONBLOCK: opening a FIFO of that name must not block */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TL_ERR_NOT_FOUND;
    if (fd < 0 && errno == ELOOP)
        return tl_why_set(why, TL_ERR_FORBIDDEN, "%s is a symbolic link: put a file there", path);
    if (fd < 0)
        return tl_why_file(why, "read", path, errno);
    uint8_t bytes[TL_API_KEY_MAX + 1];
    tl_err e = check_file(fd, path, why);
    if (e)
        goto out;
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n > 0 && bytes[n - 1] == '\n')
        n--;
    if (n <= 0 || !is_key(tl_slice_of(bytes, (size_t)n))) {
        e = tl_why_set(why, TL_ERR_PROTO, "%s holds no key: delete it, and a new one is made",
                       path);
        goto out;
    }
    memcpy(ret_key, bytes, (size_t)n);
    ret_key[n] = 0;
out:
    sodium_memzero(bytes, sizeof bytes);
    close(fd);
    return e;
}

/* --- making --- */

/* Writes the whole key under a temporary name, then links it. So the file never holds half a key,
 * and a key that another process has just made is never overwritten. */
static tl_err create(const char *path, tl_why *why)
{
    tl_rand rand = tl_rand_system();
    uint8_t secret[RANDOM_SIZE];
    char text[RANDOM_TEXT], line[TL_API_KEY_MAX], temp[PATH_MAX];
    if (snprintf(temp, sizeof temp, "%s.%016llx", path, (unsigned long long)tl_rand_u64(&rand)) >=
        (int)sizeof temp)
        return tl_why_set(why, TL_ERR_IO, "the path of the key file is too long");
    tl_rand_bytes(&rand, secret, sizeof secret);
    sodium_bin2base64(text, sizeof text, secret, sizeof secret,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(line, sizeof line, "tl-%s\n", text);
    tl_err e = TL_OK;
    bool made = tl_disk_make(AT_FDCWD, temp, tl_slice_str(line));
    if (!made || (link(temp, path) != 0 && errno != EEXIST))
        e = tl_why_file(why, "make", path, errno);
    if (made)
        unlink(temp);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(line, sizeof line);
    sodium_memzero(text, sizeof text);
    return e;
}

tl_err tl_api_key_load_or_create(const char *path, char ret_key[TL_API_KEY_MAX], tl_why *why)
{
    tl_err e = load(path, ret_key, why);
    if (e != TL_ERR_NOT_FOUND)
        return e;
    e = create(path, why);
    return e ? e : load(path, ret_key, why);
}
