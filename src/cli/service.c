#include "cli/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNIT        "teale.service"
#define MANAGER_MS  5000 /* a user's manager starts within a second, even on a slow disk */
#define POLL_MS     50
#define ARGUMENTS   6
#define SAID_MAX    400
#define NOT_STARTED 127 /* as a shell says it */

extern char **environ;

/* Runs a program of the system to its end, and keeps the end of what it says on standard error. Returns its exit code. */
static int run(const char *argv[], char said[SAID_MAX])
{
    int err[2], status = 0;
    size_t n = 0;
    pid_t pid;
    posix_spawn_file_actions_t files;
    said[0] = 0;
    if (pipe2(err, O_CLOEXEC))
        return NOT_STARTED;
    if (posix_spawn_file_actions_init(&files)) {
        close(err[0]);
        close(err[1]);
        return NOT_STARTED;
    }
    int rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    if (!rc)
        rc = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)(void *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(err[1]);
    while (!rc) {
        char part[SAID_MAX];
        ssize_t k = read(err[0], part, sizeof part);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            break;
        for (ssize_t i = 0; i < k && n + 1 < SAID_MAX; i++)
            said[n++] = part[i];
    }
    close(err[0]);
    while (n && said[n - 1] == '\n')
        n--;
    said[n] = 0;
    if (rc) {
        snprintf(said, SAID_MAX, "cannot run %s: %s", argv[0], strerror(rc));
        return NOT_STARTED;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : NOT_STARTED;
}

static int systemctl(tl_service s, const char *verb, const char *option, char said[SAID_MAX])
{
    const char *argv[ARGUMENTS + 1] = {"systemctl", s.system ? "--system" : "--user", verb, UNIT,
                                       option};
    return run(argv, said);
}

tl_service tl_service_of_caller(void)
{
    return (tl_service){.system = geteuid() == 0};
}

/* A shell that `su` started knows no runtime directory, although the user's manager runs. */
static void find_manager(void)
{
    char dir[64];
    struct stat st;
    snprintf(dir, sizeof dir, "/run/user/%ld", (long)geteuid());
    if (!getenv("XDG_RUNTIME_DIR") && !stat(dir, &st) && st.st_uid == geteuid())
        (void)setenv("XDG_RUNTIME_DIR", dir, 1);
}

tl_err tl_service_find(tl_service s, tl_why *why)
{
    char said[SAID_MAX];
    if (access("/run/systemd/system", F_OK))
        return tl_why_set(
            why, TL_ERR_UNREACHABLE,
            "systemd does not run on this machine: have whatever starts programs here run `teale "
            "serve`, which stays in the foreground");
    if (!s.system)
        find_manager();
    const char *argv[] = {"systemctl", s.system ? "--system" : "--user", "daemon-reload", NULL};
    if (run(argv, said))
        return tl_why_set(
            why, TL_ERR_UNREACHABLE, "systemd does not answer%s: %.300s",
            s.system ? "" : " for this user (su and sudo make no session: log in, or ssh)", said);
    if (systemctl(s, "cat", NULL, said))
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "systemd has no unit " UNIT
                          ": install the package teale, or `make install`");
    return TL_OK;
}

bool tl_service_is_active(tl_service s)
{
    char said[SAID_MAX];
    return systemctl(s, "is-active", NULL, said) == 0;
}

bool tl_service_is_enabled(tl_service s)
{
    char said[SAID_MAX];
    return systemctl(s, "is-enabled", NULL, said) == 0;
}

tl_err tl_service_do(const char *verb, tl_service s, tl_why *why)
{
    char said[SAID_MAX];
    if (systemctl(s, verb,
                  strcmp(verb, "enable") != 0 && strcmp(verb, "disable") != 0 ? NULL : "--quiet",
                  said))
        return tl_why_set(why, TL_ERR_IO,
                          "systemctl %s " UNIT " failed: %.300s. Its log: journalctl %s-u teale",
                          verb, said, s.system ? "" : "--user ");
    return TL_OK;
}

/* --- lingering --- */

static const char *own_name(void)
{
    const struct passwd *pw = getpwuid(geteuid());
    return pw ? pw->pw_name : NULL;
}

bool tl_service_lingers(void)
{
    char path[256];
    const char *name = own_name();
    if (!name)
        return false;
    snprintf(path, sizeof path, "/var/lib/systemd/linger/%.200s", name);
    return !access(path, F_OK);
}

tl_err tl_service_linger(bool on, tl_why *why)
{
    char said[SAID_MAX], bus[64];
    const char *argv[] = {"loginctl", "--no-ask-password", on ? "enable-linger" : "disable-linger",
                          NULL};
    if (run(argv, said))
        return tl_why_set(why, TL_ERR_FORBIDDEN, "%.300s", said);
    snprintf(bus, sizeof bus, "/run/user/%ld/bus", (long)geteuid());
    for (int waited = 0; on && waited < MANAGER_MS && access(bus, F_OK); waited += POLL_MS)
        poll(NULL, 0, POLL_MS);
    return TL_OK;
}

tl_err tl_service_make_user(const char *user, const char *home, tl_why *why)
{
    const char *users[] = {"systemd-sysusers", "teale.conf", NULL};
    const char *files[] = {"systemd-tmpfiles", "--create", "teale.conf", NULL};
    char said[SAID_MAX];
    const struct passwd *pw = getpwnam(user);
    if (!pw && (run(users, said) || !(pw = getpwnam(user))))
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "there is no user %s, and it cannot be made: %.300s", user, said);
    if (!pw->pw_uid || strcmp(pw->pw_dir, home) != 0)
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "the user %s is not the one of the system's service: its home is %.200s, "
                          "not %s. Give that account another name",
                          user, pw->pw_dir, home);
    if (run(files, said))
        return tl_why_set(why, TL_ERR_NOT_FOUND,
                          "the directory %s of the system's node cannot be made: %.300s. Correct "
                          "what stands there, "
                          "and run this again",
                          home, said);
    return TL_OK;
}
