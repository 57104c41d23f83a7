#include "cli/hidden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

tl_err tl_hidden_open(const char *what, const char *otherwise, int *ret_fd, tl_why *why)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return tl_why_set(why, TL_ERR_UNREACHABLE, "there is no terminal to ask for %s: %s", what,
                          otherwise);
    *ret_fd = fd;
    return TL_OK;
}

static tl_err read_line(int fd, char *ret, size_t size, tl_why *why)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || c == 3)
            return tl_why_set(why, TL_ERR_CANCELLED, "nothing was given");
        if (c == '\n')
            break;
        if (n + 1 == size)
            return tl_why_set(why, TL_ERR_INVALID, "the line is longer than %zu bytes", size - 1);
        ret[n++] = c;
    }
    ret[n] = 0;
    return memchr(ret, 0, n) ? tl_why_set(why, TL_ERR_INVALID, "the line is not text") : TL_OK;
}

/* Signals by key are off meanwhile, so that the terminal is always set back: Ctrl-C is read. */
tl_err tl_hidden_ask(int fd, const char *question, char *ret, size_t size, tl_why *why)
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
    tl_err e = read_line(fd, ret, size, why);
    tcsetattr(fd, TCSAFLUSH, &before);
    dprintf(fd, "\n");
    return e;
}
