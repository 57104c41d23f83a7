/* A socket on a machine with several addresses: in a network of its own, where it has two of each
 * family, number 1 and number 2. */
#include "io/udp.h"
#include "ownnet.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool wait_for(const tl_udp *u)
{
    struct pollfd p = {tl_udp_fd(u), POLLIN, 0};
    return poll(&p, 1, 5000) == 1;
}

static tl_addr host(tl_addr_family family, uint8_t number, uint16_t port)
{
    tl_addr a = {.family = family, .port = port};
    if (family == TL_ADDR_V4)
        memcpy(a.bytes, (const uint8_t[4]){192, 0, 2, number}, 4);
    else
        a.bytes[15] = number;
    return a;
}

/* Asks both addresses of a server on a wildcard, 40 datagrams each, and answers each from where it was
 * asked. Returns 0, or the number of the step that went wrong. */
static int asked_at_two_addresses(tl_addr_family family, bool gso)
{
    tl_addr any = {.family = family}, own = host(family, 1, 0);
    tl_udp *server, *client;
    tl_why why;
    uint8_t data[40 * 100];
    memset(data, 7, sizeof data);
    if (tl_udp_open(&any, (256 * 1024), &server, &why) ||
        tl_udp_open(&own, (256 * 1024), &client, &why))
        return 1;
    int on = 1; /* the kernel then refuses UDP_SEGMENT, as without checksum offload */
    if (!gso && setsockopt(tl_udp_fd(server), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on))
        return 1;
    for (uint8_t number = 1; number <= 2; number++) {
        tl_addr to = host(family, number, tl_udp_local(server).port);
        if (tl_udp_send(client, &to, data, sizeof data, 100))
            return 2;
    }
    size_t bytes[3] = {0};
    unsigned trains_in = 0;
    while (bytes[1] + bytes[2] < 2 * sizeof data) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t n;
        if (!wait_for(server) || tl_udp_receive(server, trains, &n))
            return 3;
        for (size_t i = 0; i < n; i++, trains_in++) {
            uint8_t number = trains[i].to.bytes[family == TL_ADDR_V4 ? 3 : 15];
            tl_addr to = host(family, number, tl_udp_local(server).port);
            if (number < 1 || number > 2 || !tl_addr_eq(&trains[i].to, &to))
                return 4;
            bytes[number] += trains[i].n;
            if (tl_udp_send_from(server, &trains[i].to, &trains[i].from, trains[i].data,
                                 trains[i].n, trains[i].segment))
                return 5;
        }
    }
    if (bytes[1] != sizeof data || bytes[2] != sizeof data)
        return 6; /* a train of two addresses would show here */
    if (gso && trains_in > 40)
        return 7; /* the datagrams came one by one */
    size_t back[3] = {0};
    while (back[1] + back[2] < 2 * sizeof data) {
        tl_udp_train trains[TL_UDP_TRAINS_MAX];
        size_t n;
        if (!wait_for(client) || tl_udp_receive(client, trains, &n))
            return 8;
        for (size_t i = 0; i < n; i++)
            back[trains[i].from.bytes[family == TL_ADDR_V4 ? 3 : 15] % 3] += trains[i].n;
    }
    /* An address that went away: the kernel chooses. */
    tl_addr gone = host(family, 9, 0), to = tl_udp_local(client);
    if (tl_udp_send_from(server, &gone, &to, data, 200, 100))
        return 9;
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    if (!wait_for(client) || tl_udp_receive(client, trains, &n) || trains[0].n == 0)
        return 10;
    tl_udp_close(server);
    tl_udp_close(client);
    return back[1] == sizeof data && back[2] == sizeof data ? 0 : 11;
}

static int two_addresses(void)
{
    if (!own_network() || system("ip link set lo up && ip address add 192.0.2.1/32 dev lo && "
                                 "ip address add 192.0.2.2/32 dev lo && "
                                 "ip address add ::2/128 dev lo nodad"))
        return 77;
    for (int i = 0; i < 4; i++) {
        int step = asked_at_two_addresses(i & 1 ? TL_ADDR_V6 : TL_ADDR_V4, !(i & 2));
        if (step)
            return 16 * (i + 1) + step;
    }
    return 0;
}

static void what_came_to_one_of_our_addresses_is_answered_from_there(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(two_addresses());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip_because("no network namespace can be made");
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_to_one_of_our_addresses_is_answered_from_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
