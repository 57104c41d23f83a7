#include "cli/logfile.h"

#include "base/log.h"
#include "config/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char path_in_use[TL_PATH_MAX];

tl_err tl_logfile_open(const char *path, int *ret_fd, tl_why *why)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return tl_why_file(why, "open the log", path, errno);
    *ret_fd = fd;
    return TL_OK;
}

static tl_err take_stderr(const char *path, tl_why *why)
{
    int fd = -1;
    tl_err e = tl_logfile_open(path, &fd, why);
    if (e)
        return e;
    if (dup2(fd, STDERR_FILENO) < 0)
        e = tl_why_file(why, "write to the log", path, errno);
    close(fd);
    return e;
}

static void turn_over_when_full(void)
{
    struct stat st;
    char old[TL_PATH_MAX + 2];
    if (fstat(STDERR_FILENO, &st) || st.st_size < TL_LOGFILE_MAX)
        return;
    snprintf(old, sizeof old, "%s.1", path_in_use);
    if (rename(path_in_use, old) || take_stderr(path_in_use, NULL))
        (void)!ftruncate(STDERR_FILENO, 0); /* keeps the bound, but loses the old lines */
}

static void sink(void *user, tl_log_level level, const char *line)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    struct timespec now;
    struct tm tm;
    char at[32];
    (void)user;
    turn_over_when_full();
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &tm);
    dprintf(STDERR_FILENO, "%s.%03ldZ %s: %s\n", at, now.tv_nsec / 1000000, name[level], line);
}

tl_err tl_logfile_use(const char *path, tl_why *why)
{
    int n = snprintf(path_in_use, sizeof path_in_use, "%s", path);
    if (n < 0 || n >= TL_PATH_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "the log's path is too long");
    tl_err e = take_stderr(path, why);
    if (!e)
        tl_log_set_sink(sink, NULL);
    return e;
}
