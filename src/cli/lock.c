#include "cli/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

tl_err tl_lock_take(const char *path, int *ret_fd, tl_why *why)
{
    char pid[32] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tl_why_file(why, "open the lock", path, errno);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int reason = errno;
        ssize_t n = read(fd, pid, sizeof pid - 1);
        close(fd);
        if (reason != EWOULDBLOCK)
            return tl_why_file(why, "lock", path, reason);
        pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
        return tl_why_set(
            why, TL_ERR_EXISTS,
            "a node is already running here (process %s, lock %s). Stop it with teale down, "
            "or use another --home",
            *pid ? pid : "unknown", path);
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* Only people need the number: on a full disk the lock holds without it. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
        (void)!ftruncate(fd, 0);
    *ret_fd = fd;
    return TL_OK;
}

void tl_lock_note(int fd, const char *why)
{
    char text[600];
    int n = snprintf(text, sizeof text, "%ld\n%s%s", (long)getpid(), why, *why ? "\n" : "");
    if (n >= (int)sizeof text)
        n = sizeof text - 1;
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
        (void)!ftruncate(fd, 0);
}

void tl_lock_why(const char *path, char *ret, size_t size)
{
    char text[600];
    *ret = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    bool taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ssize_t n = taken ? read(fd, text, sizeof text - 1) : 0;
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *why = strchr(text, '\n');
    if (why)
        snprintf(ret, size, "%.*s", (int)strcspn(why + 1, "\n"), why + 1);
}

/* The process's number in the file, and whether a process has the lock. */
static long look(const char *path, bool *ret_taken)
{
    char pid[32];
    *ret_taken = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    *ret_taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ssize_t n = read(fd, pid, sizeof pid - 1);
    close(fd);
    pid[n > 0 ? n : 0] = 0;
    long number = strtol(pid, NULL, 10);
    return number > 1 ? number : 0;
}

bool tl_lock_is_taken(const char *path)
{
    bool taken;
    (void)look(path, &taken);
    return taken;
}

long tl_lock_holder(const char *path)
{
    bool taken;
    long pid = look(path, &taken);
    return taken ? pid : 0;
}

long tl_lock_last_holder(const char *path)
{
    bool taken;
    return look(path, &taken);
}
