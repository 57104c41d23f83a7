/* main.c - teale-keychain: does one thing with the session's keychain for teale, and ends. Reads a
 * tl_secret_question from standard input, and writes a tl_secret_reply to standard output. */
#include "io/coredump.h"
#include "secrets/service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECONDS_MAX 150 /* longer than a person is waited for (io/secretask.h) */

static bool read_question(tl_secret_question *q)
{
    size_t n = 0;
    while (n < sizeof *q) {
        ssize_t k = read(STDIN_FILENO, (char *)q + n, sizeof *q - n);
        if (k <= 0)
            return false;
        n += (size_t)k;
    }
    tl_secret_request *r = &q->request;
    r->node[sizeof r->node - 1] = r->home[sizeof r->home - 1] = 0;
    r->label[sizeof r->label - 1] = r->secret[sizeof r->secret - 1] = 0;
    return !memcmp(q->mark, TL_SECRET_MARK, sizeof q->mark);
}

int main(void)
{
    static tl_secret_question q;
    static tl_secret_reply reply = {.mark = TL_SECRET_MARK};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody hears the answer then */
    alarm(SECONDS_MAX);
    tl_coredump_forbid();
    if (isatty(STDIN_FILENO) || !read_question(&q)) {
        fprintf(stderr, "teale-keychain: teale runs this program; see: teale key --help\n");
        return 2;
    }
    tl_service_run(&q.request, &reply.answer);
    ssize_t n = write(STDOUT_FILENO, &reply, sizeof reply);
    explicit_bzero(&q, sizeof q);
    explicit_bzero(&reply, sizeof reply);
    _exit(n == (ssize_t)sizeof reply ? 0 : 1); /* not by way of GLib's threads */
}
