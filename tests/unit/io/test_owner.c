/* Whose the client's end of a connection on loopback is: by real sockets, of IPv4 and IPv6. */
#include "io/owner.h"
#include "ownnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static int listen_at(const char *text, struct sockaddr_storage *ret_ss, socklen_t *ret_n)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    *ret_n = tl_addr_to_sockaddr(&a, ret_ss);
    int fd = socket(ret_ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && !bind(fd, (struct sockaddr *)ret_ss, *ret_n);
    if (!bound && ret_ss->ss_family == AF_INET6) {
        if (fd >= 0)
            close(fd);
        skip_because("this machine has no IPv6");
    }
    assert_true(bound);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_ss, ret_n), 0);
    return fd;
}

/* Connects as `user` from a process of its own, which stays until `hold` is closed. */
static pid_t connect_as(uid_t user, const struct sockaddr_storage *to, socklen_t n, int hold[2])
{
    pid_t pid = fork();
    char byte;
    if (pid)
        return pid;
    close(hold[1]);
    if (user != geteuid() && setuid(user))
        _exit(2);
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)to, n))
        _exit(1);
    (void)!read(hold[0], &byte, 1);
    _exit(0);
}

static bool is_us(const char *listen_text, uid_t user)
{
    struct sockaddr_storage ss;
    socklen_t n;
    int hold[2], status;
    int listening = listen_at(listen_text, &ss, &n);
    assert_int_equal(pipe(hold), 0);
    pid_t pid = connect_as(user, &ss, n, hold);
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    bool us = tl_owner_is_us(fd);
    close(hold[1]);
    close(hold[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fd);
    close(listening);
    return us;
}

static void a_program_of_this_user_is_ours(void **state)
{
    (void)state;
    assert_true(is_us("127.0.0.1:0", geteuid()));
    assert_true(is_us("[::1]:0", geteuid()));
}

static void a_program_of_another_user_is_not(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip_because("only root can connect as another user");
    assert_false(is_us("127.0.0.1:0", NOBODY));
    assert_false(is_us("[::1]:0", NOBODY));
}

/* The kernel shows user 0 for a socket that no program holds any more. */
static void a_client_that_sent_and_closed_is_nobodys(void **state)
{
    (void)state;
    static const char *const where[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < 2; i++)
        for (int half = 0; half < 2; half++) {
            struct sockaddr_storage ss;
            socklen_t n;
            char byte;
            int listening = listen_at(where[i], &ss, &n);
            int client = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
            assert_int_equal(connect(client, (struct sockaddr *)&ss, n), 0);
            int fd = accept(listening, NULL, NULL);
            assert_true(fd >= 0);
            assert_true(tl_owner_is_us(fd));
            assert_int_equal(write(client, "x", 1), 1);
            assert_true(tl_owner_is_us(fd)); /* its twin, which has sent and holds on */
            if (half)
                assert_int_equal(shutdown(client, SHUT_WR), 0);
            else
                close(client);
            assert_int_equal(read(fd, &byte, 1), 1);
            assert_int_equal(read(fd, &byte, 1), 0);
            assert_false(tl_owner_is_us(fd));
            if (half)
                close(client);
            close(fd);
            close(listening);
        }
}

/* Does another user's program listen there, when one of `user` does? */
static bool other_listens(const char *listen_text, uid_t user, uid_t *ret_user)
{
    struct sockaddr_storage ss;
    socklen_t n;
    int told[2], hold[2], status;
    in_port_t port = 0;
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(hold), 0);
    pid_t pid = fork();
    if (!pid) {
        char byte;
        close(hold[1]);
        if (user != geteuid() && setuid(user))
            _exit(2);
        listen_at(listen_text, &ss, &n);
        port = tl_addr_from_sockaddr((struct sockaddr *)&ss).port;
        (void)!write(told[1], &port, sizeof port);
        (void)!read(hold[0], &byte, 1);
        _exit(0);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &port, sizeof port), sizeof port);
    bool other = tl_owner_other_listens(port, ret_user);
    close(hold[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(tl_owner_other_listens(port, ret_user)); /* it has gone */
    close(hold[0]);
    close(told[0]);
    return other;
}

static void a_port_that_another_user_took_is_known_with_his_name(void **state)
{
    (void)state;
    static const char *const here[] = {"127.0.0.1:0", "127.0.0.2:0", "0.0.0.0:0"};
    char text[TL_OWNER_TEXT_MAX];
    uid_t user = 0;
    if (geteuid() != 0)
        skip_because("only root can listen as another user");
    for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
        assert_false(other_listens(here[i], geteuid(), &user));
        assert_true(other_listens(here[i], NOBODY, &user));
        assert_int_equal(user, NOBODY);
    }
    tl_owner_write(NOBODY, text);
    assert_non_null(strstr(text, "(65534)"));
    tl_owner_write(4000000001u, text);
    assert_string_equal(text, "4000000001");
}

static void a_port_of_ipv6_that_another_user_took_is_known(void **state)
{
    (void)state;
    struct sockaddr_storage ss;
    socklen_t n;
    uid_t user = 0;
    if (geteuid() != 0)
        skip_because("only root can listen as another user");
    close(listen_at("[::1]:0", &ss, &n)); /* is there IPv6? */
    assert_false(other_listens("[::1]:0", geteuid(), &user));
    assert_true(other_listens("[::1]:0", NOBODY, &user));
    assert_true(other_listens("[::]:0", NOBODY, &user));
}

static void a_socket_that_is_not_there_is_nobodys(void **state)
{
    (void)state;
    tl_addr a, b, six;
    uid_t user;
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("127.0.0.1:1"), &a), TL_OK);
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("127.0.0.1:2"), &b), TL_OK);
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("[::1]:2"), &six), TL_OK);
    assert_int_equal(tl_owner_find(&a, &b, &user), TL_ERR_NOT_FOUND);
    assert_int_equal(tl_owner_find(&a, &six, &user), TL_ERR_NOT_FOUND);
    assert_false(tl_owner_is_us(0)); /* no socket at all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_of_this_user_is_ours),
        cmocka_unit_test(a_program_of_another_user_is_not),
        cmocka_unit_test(a_client_that_sent_and_closed_is_nobodys),
        cmocka_unit_test(a_port_that_another_user_took_is_known_with_his_name),
        cmocka_unit_test(a_port_of_ipv6_that_another_user_took_is_known),
        cmocka_unit_test(a_socket_that_is_not_there_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
