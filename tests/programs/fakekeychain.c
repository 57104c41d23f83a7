/* fakekeychain.c - in place of teale-keychain: keeps items as files in the directory $FAKE_KEYCHAIN, or
 * misbehaves as $FAKE_MODE says. */
#include "io/secretask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *mode;

static bool is(const char *name)
{
    return !strcmp(mode, name);
}

/* A file, whole or not at all, as a real keychain would keep it. */
static tl_secret_outcome do_it(const tl_secret_request *r, tl_secret_answer *a)
{
    char path[600], temp[620];
    const char *dir = getenv("FAKE_KEYCHAIN");
    snprintf(path, sizeof path, "%s/%s-%s", dir, r->node, r->home);
    snprintf(temp, sizeof temp, "%s.%ld", path, (long)getpid());
    if (r->op == TL_SECRET_STORE) {
        int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
        const char *secret = is("forgetful") ? "00" : r->secret;
        bool ok = fd >= 0 && write(fd, secret, strlen(secret)) == (ssize_t)strlen(secret);
        return ok && !rename(temp, path) ? TL_SECRET_OK : TL_SECRET_FAILED;
    }
    if (r->op == TL_SECRET_ERASE)
        return !unlink(path) || errno == ENOENT ? TL_SECRET_OK : TL_SECRET_FAILED;
    if (r->op == TL_SECRET_PROBE)
        return TL_SECRET_OK;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return TL_SECRET_ABSENT;
    ssize_t n = read(fd, a->secret, TL_SECRET_HEX);
    a->secret[n > 0 ? n : 0] = 0;
    return TL_SECRET_OK;
}

static tl_secret_outcome named(void)
{
    for (int o = TL_SECRET_OK; o <= TL_SECRET_FAILED; o++)
        if (is(tl_secret_outcome_name((tl_secret_outcome)o)))
            return (tl_secret_outcome)o;
    return TL_SECRET_OK;
}

int main(void)
{
    static tl_secret_question q;
    static tl_secret_reply reply = {.mark = TL_SECRET_MARK};
    mode = getenv("FAKE_MODE") ? getenv("FAKE_MODE") : "";
    if (is("deaf"))
        return 0; /* before it has read anything */
    if (read(STDIN_FILENO, &q, sizeof q) != (ssize_t)sizeof q || is("mute"))
        return 3;
    if (is("hang"))
        pause();
    if (is("silent")) { /* ends its answer, but not itself */
        close(STDOUT_FILENO);
        pause();
    }
    if (is("crash"))
        raise(SIGKILL); /* a sanitizer would report any other */
    reply.answer.outcome = named();
    snprintf(reply.answer.text, sizeof reply.answer.text, "it says\033[31m so");
    if (reply.answer.outcome == TL_SECRET_OK)
        reply.answer.outcome = do_it(&q.request, &reply.answer);
    if (is("other")) /* the key of another node */
        memset(reply.answer.secret, 'e', TL_SECRET_HEX);
    if (is("nohex"))
        memset(reply.answer.secret, 'E', TL_SECRET_HEX);
    if (is("endless"))
        memset(reply.answer.text, 'x', sizeof reply.answer.text);
    if (is("version"))
        reply.mark[6] = '0';
    if (is("number"))
        reply.answer.outcome = (tl_secret_outcome)99;
    size_t n = is("short") ? sizeof reply - 1 : sizeof reply;
    return write(STDOUT_FILENO, &reply, n) != (ssize_t)n;
}
