#include "cli/spawn.h"

#include "cli/logfile.h"

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
#define ARGV_MAX (TL_ARGS_MAX + 8)

extern char **environ;

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
        static const char *const own[] = {"home", "foreground", "timeout"};
        if (!strcmp(name, own[0]) || !strcmp(name, own[1]) || !strcmp(name, own[2]))
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
static bool read_line(int fd, char *line, size_t size)
{
    size_t n = 0;
    while (n + 1 < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int rc = poll(&p, 1, READY_WAIT_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0 || read(fd, line + n, 1) != 1)
            break;
        if (line[n++] == '\n') {
            line[n - 1] = 0;
            return true;
        }
    }
    return false;
}

/* Shows what the daemon wrote to its log after `from`: the reason for its failure. */
static void show_log(const char *path, off_t from)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, from);
    if (fd >= 0)
        close(fd);
    tl_out_error("the node did not start%s", n > 0 ? ":" : "");
    if (n > 0)
        tl_out_text(stderr, tl_slice_of(text, (size_t)n), true);
}

static int explain_failure(const tl_cli *cli, pid_t pid, off_t from)
{
    int status = 0;
    pid_t ended = waitpid(pid, &status, WNOHANG);
    for (int i = 0; ended == 0 && i < 20; i++) {
        poll(NULL, 0, 50);
        ended = waitpid(pid, &status, WNOHANG);
    }
    show_log(cli->paths.log, from);
    if (ended == 0) {
        tl_out_note("It still runs as process %ld without being ready; its log is %s", (long)pid,
                    cli->paths.log);
        return TL_EXIT_TIMEOUT;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : TL_EXIT_FAILED;
    return code ? code : TL_EXIT_FAILED;
}

int tl_spawn_daemon(const tl_cli *cli, const tl_args *args, tl_spawn_ready *ret_ready)
{
    int out[2] = {-1, -1}, log = -1, code = TL_EXIT_FAILED;
    char line[512];
    struct stat st = {.st_size = 0};
    tl_why why;
    pid_t pid;
    char **argv = build_argv(cli, args);
    if (!argv || pipe2(out, O_CLOEXEC)) {
        tl_out_error("cannot start the node: %s", strerror(errno));
        goto out;
    }
    if (tl_logfile_open(cli->paths.log, &log, &why)) {
        tl_out_error("%s", why.text);
        goto out;
    }
    (void)!fstat(log, &st);
    int rc = start(argv, out[1], log, &pid);
    if (rc) {
        tl_out_error("cannot start the node: %s", strerror(rc));
        goto out;
    }
    close(out[1]);
    out[1] = -1;
    tl_spawn_ready ready;
    if (!read_line(out[0], line, sizeof line))
        code = explain_failure(cli, pid, st.st_size);
    else if (sscanf(line, "ready api=%127s node=%64s", ready.api, ready.node) != 2)
        tl_out_error("the node said \"%s\" instead of being ready", line);
    else
        code = TL_EXIT_OK;
    if (!code)
        *ret_ready = ready;
out:
    for (int i = 0; i < 2; i++)
        if (out[i] >= 0)
            close(out[i]);
    if (log >= 0)
        close(log);
    if (argv)
        free_argv(argv);
    return code;
}
