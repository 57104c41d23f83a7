/* main.c - teale-relay, the program: lets Teale nodes find each other and carries what they cannot
 * send directly. Never touches the sockets: server.c does. */
#include "crypto/identity.h"
#include "io/coredump.h"
#include "io/sdnotify.h"
#include "relayd/check.h"
#include "relayd/loops.h"
#include "relayd/quote.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2

static tl_relayd_loops *loops;
static tl_loop *loop;
static bool ending;
static unsigned drain_secs;
static bool in_journal; /* stderr is the journal, which takes a line's priority from its front */

static void on_terminate(void *user, int signo)
{
    (void)user;
    if (ending) {
        tl_relayd_loops_stop(loops); /* asked a second time: end at once */
        return;
    }
    ending = true;
    tl_log(TL_LOG_INFO, "event=stopping signal=%s drain_secs=%u",
           signo == SIGINT ? "SIGINT" : "SIGTERM", signo == SIGINT ? 0 : drain_secs);
    (void)!tl_sdnotify("STOPPING=1");
    if (signo == SIGINT)
        tl_relayd_loops_shutdown(loops);
    else
        tl_relayd_loops_drain(loops);
}

static void on_reload(void *user, int signo)
{
    (void)user, (void)signo;
    tl_relayd_loops_reload(loops);
}

/* One line an event, `event=NAME key=value ...`; what other rooms say gets that form here. */
static void to_stderr(void *user, tl_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    bool formed = strncmp(line, "event=", 6) == 0;
    (void)user;
    fprintf(stderr, "%steale-relay: %s: %s%s\n", in_journal ? priorities[level] : "", names[level],
            formed ? "" : "event=other text=", formed ? line : tl_relayd_quote(line).text);
}

/* systemd names the device and the inode of the journal's socket. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char *rest;
    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    unsigned long long device = strtoull(stream, &rest, 10);
    return *rest == ':' && device == st.st_dev && strtoull(rest + 1, NULL, 10) == st.st_ino;
}

static tl_err say_ready(tl_why *why)
{
    tl_buf line = {0};
    tl_err e = tl_relayd_loops_write_ready(loops, &line);
    if (!e && (fwrite(tl_buf_begin(&line), 1, line.len, stdout) != line.len || fflush(stdout) != 0))
        e = tl_why_set(why, TL_ERR_IO, "cannot write the ready line to standard output");
    tl_buf_clear(&line);
    if (!e && tl_sdnotify("READY=1") == TL_ERR_IO)
        tl_log(TL_LOG_WARN,
               "event=notify_failed effect=\"the service manager does not know that this "
               "relay is ready\"");
    return e;
}

static bool all_turn(void *user)
{
    (void)user;
    return tl_relayd_loops_turn(loops);
}

static int run(const tl_relayd_options *options)
{
    enum { SIGNALS = 3 };
    tl_sigwatch *signals[SIGNALS] = {NULL};
    tl_why why = {"out of memory"};
    drain_secs = options->drain_secs;
    tl_err e = tl_loop_new(&loop);
    if (!e)
        e = tl_relayd_loops_new(loop, options, &loops, &why);
    if (!e)
        e = tl_sigwatch_new(loop, SIGTERM, on_terminate, NULL, &signals[0]);
    if (!e)
        e = tl_sigwatch_new(loop, SIGINT, on_terminate, NULL, &signals[1]);
    if (!e)
        e = tl_sigwatch_new(loop, SIGHUP, on_reload, NULL, &signals[2]);
    if (!e)
        e = say_ready(&why);
    tl_sdwatchdog watchdog = {.is_alive = all_turn};
    if (!e) {
        tl_log(TL_LOG_INFO, "event=started version=" TL_VERSION " pid=%ld threads=%u",
               (long)getpid(), options->threads);
        tl_sdwatchdog_start(&watchdog, loop);
        e = tl_relayd_loops_run(loops, &why);
        tl_sdwatchdog_stop(&watchdog);
    }
    if (e)
        tl_log(TL_LOG_ERROR, "event=failed why=%s", tl_relayd_quote(why.text).text);
    else
        tl_log(TL_LOG_INFO, "event=stopped");
    tl_relayd_loops_free(loops);
    sigset_t
        late; /* a second SIGTERM, when nobody watches for it any more: it would be a failed end */
    sigemptyset(&late);
    sigaddset(&late, SIGTERM);
    sigaddset(&late, SIGINT);
    sigprocmask(SIG_BLOCK, &late, NULL);
    for (size_t i = 0; i < SIGNALS; i++)
        tl_sigwatch_free(signals[i]);
    tl_loop_free(loop);
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    tl_relayd_options options;
    tl_why why;
    in_journal = is_journal();
    tl_log_set_sink(to_stderr, NULL);
    if (tl_crypto_init()) {
        fprintf(stderr, "teale-relay: libsodium cannot find a source of randomness\n");
        return EXIT_FAILURE;
    }
    tl_err e = tl_relayd_options_parse(argc, argv, &options, &why);
    if (e) {
        if (argc > 1 && strcmp(argv[1], "check") == 0) {
            printf("FAIL configuration: %s\n", why.text);
            return EXIT_FAILURE;
        }
        fprintf(stderr, "teale-relay: %s\nSee teale-relay --help.\n", why.text);
        return e == TL_ERR_NOMEM ? EXIT_FAILURE : EXIT_USAGE;
    }
    int status = EXIT_SUCCESS;
    if (options.action == TL_RELAYD_HELP) {
        fputs(tl_relayd_help(), stdout);
    } else if (options.action == TL_RELAYD_CHECK) {
        signal(SIGPIPE, SIG_IGN);
        status = tl_relayd_check(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else if (options.action == TL_RELAYD_VERSION) {
        puts("teale-relay " TL_VERSION);
    } else {
        signal(SIGPIPE, SIG_IGN);
        tl_coredump_forbid(); /* this memory shows which node talks to which */
        tl_log_set_level(options.log_level);
        status = run(&options);
    }
    tl_relayd_options_clear(&options);
    return status;
}
