#include "io/secretask.h"

#include "base/log.h"
#include "io/libexec.h" /* where the installation has the program: the build makes this file */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "teale-keychain"

extern char **environ;

/* --- the program --- */

/* Beside this program (where both were built), then where the installation has it, wherever that was
 * unpacked (bin/../libexec), then where it was built for. */
static bool find_program(char ret[PATH_MAX])
{
    static const char *const below[] = {"", "../libexec/teale/"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = 0;
    for (size_t i = 0; slash && i < sizeof below / sizeof *below; i++)
        if (snprintf(ret, PATH_MAX, "%s%s%s", self, below[i], PROGRAM) < PATH_MAX &&
            !access(ret, X_OK))
            return true;
    snprintf(ret, PATH_MAX, "%s/%s", TL_LIBEXEC, PROGRAM);
    return !access(ret, X_OK);
}

/* One run of it. */
typedef struct {
    pid_t pid;
    int in, out; /* our ends of its standard input and output; -1: closed */
    tl_time began, until;
    const tl_secret_wait *wait;
} run_of;

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

/* Returns 0 or an errno. The program gets default signals: ours may be blocked or ignored. */
static int start(const char *program, run_of *r)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc;
    char *argv[] = {(char[]){PROGRAM}, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
        rc = errno;
        goto out;
    }
    if (posix_spawn_file_actions_init(&files) || posix_spawnattr_init(&attr)) {
        rc = ENOMEM;
        goto out;
    }
    rc = posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!rc)
        rc = posix_spawnattr_setsigmask(&attr, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(&attr, &all);
    if (!rc)
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!rc)
        rc = posix_spawn(&r->pid, program, &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
out:
    if (in[0] >= 0)
        close(in[0]);
    if (out[1] >= 0)
        close(out[1]);
    r->in = in[1];
    r->out = out[0];
    return rc;
}

/* False: not in time, or the other end is closed. */
static bool wait_for(const run_of *r, int fd, short events)
{
    for (;;) {
        tl_time at = now();
        struct pollfd p = {.fd = fd, .events = events};
        if (at >= r->until)
            return false;
        int n = poll(&p, 1, (int)(tl_time_min(r->until - at, TL_SECRET_TICK) / TL_MS) + 1);
        if (n > 0)
            return true;
        if (r->wait->on_tick)
            r->wait->on_tick(r->wait->user, now() - r->began);
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* The question fits into the pipe (4096 bytes on every Linux), so this cannot wait. SIGPIPE is kept
 * away: the caller may not ignore it. */
static bool send_question(run_of *r, const tl_secret_request *request)
{
    tl_secret_question q = {.mark = TL_SECRET_MARK, .request = *request};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before);
    ssize_t n = write(r->in, &q, sizeof q);
    sigaction(SIGPIPE, &before, NULL);
    sodium_memzero(&q, sizeof q);
    close(r->in);
    r->in = -1;
    return n == (ssize_t)sizeof q;
}

/* How many bytes came until the end; more than `size` are not read. */
static size_t read_reply(const run_of *r, void *to, size_t size)
{
    size_t n = 0;
    while (n < size && wait_for(r, r->out, POLLIN)) {
        ssize_t k = read(r->out, (char *)to + n, size - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    return n;
}

/* Gives the program the rest of its time to end, then ends it. *ret_late: it did not end by itself. */
static int reap(const run_of *r, bool *ret_late)
{
    int status = 0;
    pid_t done = 0;
    *ret_late = false;
    while (done != r->pid) {
        done = waitpid(r->pid, &status, *ret_late ? 0 : WNOHANG);
        if (done < 0 && errno != EINTR)
            break; /* somebody ignores SIGCHLD: it is gone */
        if (done == 0 && now() >= r->until) {
            *ret_late = true;
            kill(r->pid, SIGKILL);
        } else if (done == 0) {
            poll(NULL, 0, 2);
        }
    }
    return status;
}

static bool is_hex(const char *s)
{
    return strlen(s) == TL_SECRET_HEX && strspn(s, "0123456789abcdef") == TL_SECRET_HEX;
}

/* The reply as an answer; false: it is none. Only the program's text may be other people's words. */
static bool take_reply(const tl_secret_request *request, tl_secret_reply *reply,
                       tl_secret_answer *ret)
{
    tl_secret_answer *a = &reply->answer;
    if (memcmp(reply->mark, TL_SECRET_MARK, sizeof reply->mark) != 0 ||
        (unsigned)a->outcome > TL_SECRET_FAILED)
        return false;
    a->text[sizeof a->text - 1] = 0;
    a->secret[sizeof a->secret - 1] = 0;
    if (a->outcome == TL_SECRET_OK && request->op == TL_SECRET_LOOKUP && !is_hex(a->secret))
        return false;
    ret->outcome = a->outcome;
    memcpy(ret->secret, a->secret, sizeof ret->secret);
    tl_log_safe_write(tl_slice_str(a->text), ret->text, sizeof ret->text);
    return true;
}

static void say(tl_secret_answer *ret, tl_secret_outcome o, const char *fmt, ...) TL_PRINTF(3, 4);
static void say(tl_secret_answer *ret, tl_secret_outcome o, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    *ret = (tl_secret_answer){.outcome = o};
    vsnprintf(ret->text, sizeof ret->text, fmt, args);
    va_end(args);
}

void tl_secret_ask(const char *program, const tl_secret_request *request, tl_time within,
                   const tl_secret_wait *wait, tl_secret_answer *ret_answer)
{
    char found[PATH_MAX];
    tl_secret_reply reply = {.mark = ""};
    run_of r = {.in = -1, .out = -1, .wait = wait};
    if (!program && !find_program(found)) {
        say(ret_answer, TL_SECRET_NO_HELPER, "%s/%s is not there", TL_LIBEXEC, PROGRAM);
        return;
    }
    r.began = now();
    r.until = r.began + within;
    int rc = start(program ? program : found, &r);
    if (rc) {
        say(ret_answer, TL_SECRET_NO_HELPER, "%.120s: %s", program ? program : found, strerror(rc));
        goto out;
    }
    bool sent = send_question(&r, request);
    size_t n = read_reply(&r, &reply, sizeof reply);
    bool late;
    int status = reap(&r, &late);
    *ret_answer = (tl_secret_answer){.outcome = TL_SECRET_BROKEN};
    if (sent && n == sizeof reply && take_reply(request, &reply, ret_answer))
        goto out;
    if (late)
        say(ret_answer, TL_SECRET_HUNG, "%d s", (int)(within / TL_SEC));
    else if (WIFSIGNALED(status))
        say(ret_answer, TL_SECRET_BROKEN, "signal %d", WTERMSIG(status));
    else
        say(ret_answer, TL_SECRET_BROKEN, "status %d, %zu bytes", WEXITSTATUS(status), n);
out:
    if (r.in >= 0)
        close(r.in);
    if (r.out >= 0)
        close(r.out);
    sodium_memzero(&reply, sizeof reply);
}

/* --- words --- */

const char *tl_secret_outcome_name(tl_secret_outcome o)
{
    switch (o) {
    case TL_SECRET_OK: return "open";
    case TL_SECRET_ABSENT: return "absent";
    case TL_SECRET_NO_BUS: return "no bus";
    case TL_SECRET_NO_SERVICE: return "no keychain";
    case TL_SECRET_NOT_OURS: return "another user's";
    case TL_SECRET_LOCKED: return "locked";
    case TL_SECRET_DISMISSED: return "not unlocked";
    case TL_SECRET_NO_COLLECTION: return "no keyring";
    case TL_SECRET_GARBAGE: return "garbage";
    case TL_SECRET_FAILED: return "failed";
    case TL_SECRET_HUNG: return "no answer";
    case TL_SECRET_NO_HELPER: return "no teale-keychain";
    case TL_SECRET_BROKEN: return "broken";
    }
    return "?";
}

bool tl_secret_may_pass(tl_secret_outcome o)
{
    return o == TL_SECRET_NO_BUS || o == TL_SECRET_NO_SERVICE || o == TL_SECRET_LOCKED ||
           o == TL_SECRET_DISMISSED || o == TL_SECRET_NO_COLLECTION || o == TL_SECRET_HUNG ||
           o == TL_SECRET_FAILED;
}

tl_err tl_secret_explain(const tl_secret_answer *a, tl_why *why)
{
    const char *more = a->text;
    switch (a->outcome) {
    case TL_SECRET_OK: return TL_OK;
    case TL_SECRET_ABSENT:
        return tl_why_set(why, TL_ERR_NOT_FOUND, "the keychain is open, and has no such key");
    case TL_SECRET_NO_BUS:
        return tl_why_set(why, TL_ERR_UNREACHABLE,
                          "there is no session bus here (%s): log in to the desktop, or run this "
                          "where DBUS_SESSION_BUS_ADDRESS is set",
                          more);
    case TL_SECRET_NO_SERVICE:
        return tl_why_set(why, TL_ERR_UNREACHABLE,
                          "the session bus has no keychain (%s): install or start gnome-keyring, "
                          "KWallet or KeePassXC",
                          more);
    case TL_SECRET_NOT_OURS:
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "the session bus is another user's (%s), and so is its keychain: unset "
                          "DBUS_SESSION_BUS_ADDRESS, or log in as the user who runs this",
                          more);
    case TL_SECRET_LOCKED:
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "the keychain is locked: log in to the desktop, or unlock it with "
            "`gnome-keyring-daemon --replace --unlock` (the password, then Ctrl-D) or its own "
            "window");
    case TL_SECRET_DISMISSED:
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "the keychain asked for its password and was not unlocked: try again, "
                          "or unlock it in its own window");
    case TL_SECRET_NO_COLLECTION:
        return tl_why_set(why, TL_ERR_UNREACHABLE,
                          "the keychain has no keyring that outlives the session: make a default "
                          "keyring in its own window (Passwords and Keys, KWalletManager)");
    case TL_SECRET_GARBAGE:
        return tl_why_set(why, TL_ERR_PROTO, "the keychain gave something else than a key (%s)",
                          more);
    case TL_SECRET_HUNG:
        return tl_why_set(why, TL_ERR_TIMEOUT,
                          "the keychain did not answer within %s: see whether a window of it "
                          "waits for an answer, or restart it",
                          more);
    case TL_SECRET_NO_HELPER:
        return tl_why_set(why, TL_ERR_IO,
                          "this installation cannot use keychains (%s): install teale whole, with "
                          "libsecret",
                          more);
    case TL_SECRET_BROKEN:
        return tl_why_set(why, TL_ERR_IO,
                          "teale-keychain ended without an answer (%s): is it of the same version "
                          "as teale?",
                          more);
    case TL_SECRET_FAILED: break;
    }
    return tl_why_set(why, TL_ERR_IO, "the keychain failed: %s", more);
}
