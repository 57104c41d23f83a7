#include "cli/spawn.h"

#include "cli/lock.h"
#include "cli/logfile.h"
#include "cli/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_WAIT_MS                                                                              \
    20000 /* a start takes well under a second; a full disk or swap may make it longer */
#define TICK_MS        200
#define REASON_WAIT_MS 1000 /* a daemon that ends has written its reason before */
#define ARGV_MAX       (TL_ARGS_MAX + 8)

/* One start of a daemon. */
typedef struct {
    int out[2], err[2]; /* pipes: its standard output, and its standard error until it logs */
    pid_t pid;
    off_t log_size; /* before the start */
    long owner;     /* of the lock, before the start */
} start_of;

extern char **environ;

/* Of this command alone, or given to each daemon anyway. */
static bool is_of_up(const char *option)
{
    static const char *const names[] = {"home", "foreground", "timeout", "json", "log-file"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(option, names[i]))
            return true;
    return false;
}

/* `--name=value` for each option that `serve` knows too. */
static char **build_argv(const tl_cli *cli, const tl_args *args)
{
    char **argv = calloc(ARGV_MAX, sizeof *argv), here[PATH_MAX];
    size_t n = 0;
    if (!argv || !getcwd(here, sizeof here))
        goto fail;
    if (!(argv[n++] = strdup("teale")) || !(argv[n++] = strdup("serve")) ||
        asprintf(&argv[n++], "--log-file=%s", cli->paths.log) < 0)
        goto fail;
    if (*cli->paths.home && asprintf(&argv[n++], "--home=%s", cli->paths.home) < 0)
        goto fail;
    for (size_t i = 0; i < args->option_n; i++) {
        const char *name = args->option[i]->name, *value = args->value[i];
        if (is_of_up(name))
            continue;
        bool relative = !strcmp(name, "share-key-file") && *value && *value != '/';
        int rc = value ? asprintf(&argv[n++], "--%s=%s%s%s", name, relative ? here : "",
                                  relative ? "/" : "", value)
                       : asprintf(&argv[n++], "--%s", name);
        if (rc < 0)
            goto fail;
    }
    return argv;
fail:
    if (argv)
        for (size_t i = 0; i < n; i++)
            free(argv[i]);
    free(argv);
    return NULL;
}

static void free_argv(char **argv)
{
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
    free(argv);
}

static int start(char **argv, int out, int err, pid_t *ret_pid)
{
    char self[PATH_MAX];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    if (n <= 0 || access(self, X_OK)) /* the file was replaced after this program started */
        snprintf(self, sizeof self, "/proc/self/exe");
    if (posix_spawn_file_actions_init(&files) || posix_spawnattr_init(&attr))
        return ENOMEM;
    int rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    if (!rc) /* what a shell had open is not the daemon's: a lock, a pipe whose end somebody waits for */
        rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!rc)
        rc = posix_spawn_file_actions_addchdir_np(&files, "/");
    if (!rc)
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
    if (!rc)
        rc = posix_spawn(ret_pid, self, &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

/* Reads one line of the daemon's stdout. False: stdout ended, or no line came in time. */
static bool read_line(const tl_cli *cli, int fd, char *line, size_t size)
{
    tl_waiting waiting = tl_waiting_for(cli, "the node to start");
    size_t n = 0;
    int waited_ms = 0;
    while (n + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int rc = poll(&p, 1, TICK_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc == 0 && (waited_ms += TICK_MS) < READY_WAIT_MS) {
            tl_waiting_tick(&waiting, (tl_time)waited_ms * TL_MS);
            continue;
        }
        tl_waiting_end(&waiting);
        if (rc <= 0 || read(fd, line + n, 1) != 1)
            break;
        if (line[n++] == '\n') {
            line[n - 1] = 0;
            return true;
        }
    }
    return false;
}

/* Shows what the daemon wrote to its log after `from`: it ended without giving a reason. */
static void show_log(const char *path, off_t from)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, from);
    if (fd >= 0)
        close(fd);
    if (n > 0)
        tl_out_text(stderr, tl_slice_of(text, (size_t)n), true);
}

/* What the daemon said on its first standard error: why it did not start. */
static size_t read_reason(int fd, char *text, size_t size)
{
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n + 1 < size && poll(&p, 1, REASON_WAIT_MS) > 0) {
        ssize_t k = read(fd, text + n, size - 1 - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    text[n] = 0;
    while (n && text[n - 1] == '\n')
        text[--n] = 0;
    return n;
}

static int wait_end(pid_t pid, bool *ret_ended)
{
    int status = 0;
    pid_t ended = waitpid(pid, &status, WNOHANG);
    for (int i = 0; ended == 0 && i < 20; i++) {
        poll(NULL, 0, 50);
        ended = waitpid(pid, &status, WNOHANG);
    }
    *ret_ended = ended != 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : TL_EXIT_FAILED;
    return code ? code : TL_EXIT_FAILED;
}

static int explain_failure(const tl_cli *cli, const start_of *s, tl_spawn_ready *ret_ready)
{
    char reason[2048];
    bool ended;
    size_t n = read_reason(s->err[0], reason, sizeof reason);
    int code = wait_end(s->pid, &ended);
    if (!ended) {
        tl_out_error("the node is not ready after %d s; it still runs as process %ld",
                     READY_WAIT_MS / 1000, (long)s->pid);
        tl_out_note("Its log: %s. To end it: teale down", cli->paths.log);
        return TL_EXIT_TIMEOUT;
    }
    long owner = tl_lock_last_holder(cli->paths.lock);
    ret_ready->taken = owner != s->pid && (tl_lock_is_taken(cli->paths.lock) || owner != s->owner);
    if (ret_ready->taken)
        return TL_EXIT_FAILED;
    tl_out_error("the node did not start%s", n ? ":" : "; its log says:");
    if (n) {
        tl_out_text(stderr, tl_slice_of(reason, n), true);
        fputc('\n', stderr);
    } else {
        show_log(cli->paths.log, s->log_size);
    }
    return code;
}

static void close_pipes(start_of *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->out[i] >= 0)
            close(s->out[i]);
        if (s->err[i] >= 0)
            close(s->err[i]);
        s->out[i] = s->err[i] = -1;
    }
}

/* Opens the log, too, only to see that the daemon will be able to. */
static bool prepare(const tl_cli *cli, start_of *s)
{
    tl_why why;
    struct stat st = {.st_size = 0};
    int log = -1;
    if (pipe2(s->out, O_CLOEXEC) || pipe2(s->err, O_CLOEXEC)) {
        tl_out_error("cannot start the node: %s", strerror(errno));
        return false;
    }
    if (tl_logfile_open(cli->paths.log, &log, &why)) {
        tl_out_error("%s", why.text);
        return false;
    }
    (void)!fstat(log, &st);
    close(log);
    s->log_size = st.st_size;
    s->owner = tl_lock_last_holder(cli->paths.lock);
    return true;
}

int tl_spawn_daemon(const tl_cli *cli, const tl_args *args, tl_spawn_ready *ret_ready)
{
    start_of s = {.out = {-1, -1}, .err = {-1, -1}};
    char line[512];
    int code = TL_EXIT_FAILED;
    char **argv = build_argv(cli, args);
    *ret_ready = (tl_spawn_ready){.taken = false};
    if (!argv)
        tl_out_error("cannot start the node: out of memory, or no current directory");
    if (!argv || !prepare(cli, &s))
        goto out;
    int rc = start(argv, s.out[1], s.err[1], &s.pid);
    if (rc) {
        tl_out_error("cannot start the node: %s", strerror(rc));
        goto out;
    }
    close(s.out[1]);
    close(s.err[1]);
    s.out[1] = s.err[1] = -1;
    if (!read_line(cli, s.out[0], line, sizeof line))
        code = explain_failure(cli, &s, ret_ready);
    else if (sscanf(line, "ready api=%127s node=%64s", ret_ready->api, ret_ready->node) != 2)
        tl_out_error("the node said \"%s\" instead of being ready", line);
    else
        code = TL_EXIT_OK;
out:
    close_pipes(&s);
    if (argv)
        free_argv(argv);
    return code;
}
