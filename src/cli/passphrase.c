#include "cli/passphrase.h"

#include "cli/files.h"
#include "cli/hidden.h"

#include <sodium.h>
#include <unistd.h>

void tl_passphrase_clear(char text[TL_PASSPHRASE_MAX + 1])
{
    sodium_memzero(text, TL_PASSPHRASE_MAX + 1);
}

static tl_err check(const char *text, size_t n, tl_why *why)
{
    if (n == 0)
        return tl_why_set(why, TL_ERR_INVALID, "the passphrase is empty");
    if (!tl_utf8_is(tl_slice_of(text, n)) || memchr(text, 0, n))
        return tl_why_set(why, TL_ERR_INVALID, "the passphrase is not text");
    return TL_OK;
}

/* --- from a file --- */

static tl_err from_file(const char *file, char *ret, tl_why *why)
{
    tl_buf b = {0};
    tl_err e = tl_file_read(file, TL_PASSPHRASE_MAX + 2, &b, why);
    tl_slice s = tl_buf_slice(&b);
    const uint8_t *end = s.p ? memchr(s.p, '\n', s.n) : NULL;
    size_t n = end ? (size_t)(end - s.p) : s.n;
    if (end && n && s.p[n - 1] == '\r')
        n--;
    if (!e && n > TL_PASSPHRASE_MAX)
        e = tl_why_set(why, TL_ERR_INVALID, "the passphrase in %s is longer than %d bytes", file,
                       TL_PASSPHRASE_MAX);
    if (!e)
        e = check((const char *)s.p, n, why);
    if (!e && s.p) {
        memcpy(ret, s.p, n);
        ret[n] = 0;
    }
    if (b.data)
        sodium_memzero(b.data, b.cap);
    tl_buf_clear(&b);
    return e;
}

/* --- from the terminal --- */

static tl_err ask(int fd, const char *question, char *ret, tl_why *why)
{
    tl_err e = tl_hidden_ask(fd, question, ret, TL_PASSPHRASE_MAX + 1, why);
    if (e == TL_ERR_CANCELLED)
        return tl_why_set(why, e, "no passphrase was given");
    if (e == TL_ERR_INVALID)
        return tl_why_set(why, e, "the passphrase is longer than %d bytes, or not text",
                          TL_PASSPHRASE_MAX);
    return e ? e : check(ret, strlen(ret), why);
}

static tl_err from_terminal(bool twice, char *ret, tl_why *why)
{
    char again[TL_PASSPHRASE_MAX + 1];
    int fd;
    tl_err e = tl_hidden_open("the passphrase", "--passphrase-file FILE", &fd, why);
    if (e)
        return e;
    e = ask(fd, "Passphrase", ret, why);
    if (!e && twice) {
        e = ask(fd, "The same again", again, why);
        if (!e && strcmp(ret, again) != 0)
            e = tl_why_set(why, TL_ERR_INVALID, "the two passphrases differ");
        sodium_memzero(again, sizeof again);
    }
    close(fd);
    return e;
}

tl_err tl_passphrase_get(const char *file, bool twice, char ret[TL_PASSPHRASE_MAX + 1], tl_why *why)
{
    tl_err e = file ? from_file(file, ret, why) : from_terminal(twice, ret, why);
    if (e)
        tl_passphrase_clear(ret);
    return e;
}
