#include "cli/passphrase.h"

#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <termios.h>
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

static tl_err read_line(int fd, char *ret, tl_why *why)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || c == 3)
            return tl_why_set(why, TL_ERR_CANCELLED, "no passphrase was given");
        if (c == '\n')
            break;
        if (n == TL_PASSPHRASE_MAX)
            return tl_why_set(why, TL_ERR_INVALID, "the passphrase is longer than %d bytes",
                              TL_PASSPHRASE_MAX);
        ret[n++] = c;
    }
    ret[n] = 0;
    return check(ret, n, why);
}

/* Signals by key are off meanwhile, so that the terminal is always set back: Ctrl-C is read. */
static tl_err ask(int fd, const char *question, char *ret, tl_why *why)
{
    struct termios before, quiet;
    if (tcgetattr(fd, &before))
        return tl_why_set(why, TL_ERR_UNREACHABLE, "there is no terminal to ask for it");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_lflag |= ICANON;
    quiet.c_cc[VEOL] = 3; /* Ctrl-C ends the line at once */
    if (tcsetattr(fd, TCSAFLUSH, &quiet))
        return tl_why_set(why, TL_ERR_UNREACHABLE, "the terminal cannot hide what is typed");
    dprintf(fd, "%s: ", question);
    tl_err e = read_line(fd, ret, why);
    tcsetattr(fd, TCSAFLUSH, &before);
    dprintf(fd, "\n");
    return e;
}

static tl_err from_terminal(bool twice, char *ret, tl_why *why)
{
    char again[TL_PASSPHRASE_MAX + 1];
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return tl_why_set(why, TL_ERR_UNREACHABLE,
                          "there is no terminal to ask for the passphrase: --passphrase-file FILE");
    tl_err e = ask(fd, "Passphrase", ret, why);
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
