#include "io/sdnotify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket of that name ('@' in front: abstract) that a service manager would listen on. */
static int listen_on(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && n < sizeof a.sun_path);
    memcpy(a.sun_path, name, n);
    if (*name == '@')
        a.sun_path[0] = 0;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&a, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void assert_told(int fd, const char *expected)
{
    char text[100];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = 0;
    assert_string_equal(text, expected);
}

static void the_state_arrives_at_both_kinds_of_socket(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@teale-sdnotify-%ld", (long)getpid());
    int fd = listen_on(name);
    assert_int_equal(tl_sdnotify("READY=1"), TL_OK);
    assert_told(fd, "READY=1");
    close(fd);
    snprintf(name, sizeof name, "/tmp/teale-sdnotify-%ld", (long)getpid());
    fd = listen_on(name);
    assert_int_equal(tl_sdnotify("STOPPING=1"), TL_OK);
    assert_told(fd, "STOPPING=1");
    close(fd);
    assert_int_equal(tl_sdnotify("READY=1"), TL_ERR_IO);
    unlink(name);
}

static void without_a_service_manager_nothing_happens(void **state)
{
    (void)state;
    static const char *const none[] = {"", "relative/name", "vsock:2:1"};
    char big[300] = "/";
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(tl_sdnotify("READY=1"), TL_ERR_NOT_FOUND);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        setenv("NOTIFY_SOCKET", none[i], 1);
        assert_int_equal(tl_sdnotify("READY=1"), TL_ERR_NOT_FOUND);
    }
    memset(big + 1, 'a', sizeof big - 2);
    setenv("NOTIFY_SOCKET", big, 1);
    assert_int_equal(tl_sdnotify("READY=1"), TL_ERR_NOT_FOUND);
}

static void the_watchdog_is_fed_when_it_asks_for_this_process(void **state)
{
    (void)state;
    tl_loop *loop;
    tl_sdwatchdog w = {.every = 0};
    char pid[32];
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    tl_sdwatchdog_start(&w, loop);
    assert_int_equal(w.timer.at, TL_NEVER);
    tl_sdwatchdog_stop(&w);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    tl_sdwatchdog_start(&w, loop);
    assert_int_equal(w.every, 750 * TL_MS);
    assert_int_not_equal(w.timer.at, TL_NEVER);
    tl_sdwatchdog_stop(&w);
    tl_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_arrives_at_both_kinds_of_socket),
        cmocka_unit_test(without_a_service_manager_nothing_happens),
        cmocka_unit_test(the_watchdog_is_fed_when_it_asks_for_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
