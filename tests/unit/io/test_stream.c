#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* One end of a connection under test; what happens to it is noted. */
typedef struct {
    tl_stream *stream;
    int opened;
    tl_err error;
    tl_err end; /* what the last read returned, when not OK or AGAIN */
    char why[400];
    char got[256];
    size_t got_n, total;
    bool free_at_open, free_at_data, stop_at_end;
} end;

static tl_loop *loop;
static tl_listener *listener;
static end client, server;
static tl_timer guard;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 5 s");
}

static void on_open(void *user)
{
    end *e = user;
    e->opened++;
    if (e->free_at_open) {
        tl_stream_free(e->stream);
        e->stream = NULL;
        tl_loop_stop(loop);
    }
}

static void on_readable(void *user)
{
    end *e = user;
    uint8_t buf[65536];
    size_t n = 0;
    tl_err r = tl_stream_read(e->stream, buf, sizeof buf, &n);
    if (r == TL_OK) {
        size_t keep = n < sizeof e->got - 1 - e->got_n ? n : sizeof e->got - 1 - e->got_n;
        memcpy(e->got + e->got_n, buf, keep);
        e->got_n += keep;
        e->total += n;
        if (e->free_at_data) {
            tl_stream_free(e->stream);
            e->stream = NULL;
        }
        return;
    }
    if (r != TL_ERR_AGAIN) {
        e->end = r;
        tl_loop_stop(loop);
    }
}

static void on_error(void *user, tl_err err, const char *why)
{
    end *e = user;
    e->error = err;
    snprintf(e->why, sizeof e->why, "%s", why);
    tl_loop_stop(loop);
}

static const tl_stream_events events = {
    .on_open = on_open, .on_readable = on_readable, .on_error = on_error};

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    (void)user;
    (void)remote;
    assert_int_equal(tl_stream_accepted(loop, fd, NULL, &events, &server, &server.stream), TL_OK);
}

static int setup(void **state)
{
    (void)state;
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    listener = NULL;
    if (tl_loop_new(&loop))
        return -1;
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_stream_free(client.stream);
    tl_stream_free(server.stream);
    tl_listener_free(listener);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static tl_addr loopback(uint16_t port)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(TL_SLICE_LIT("127.0.0.1"), &a), TL_OK);
    a.port = port;
    return a;
}

static uint16_t listen_tcp(void)
{
    tl_addr a = loopback(0);
    tl_why why;
    assert_int_equal(tl_listen(loop, &a, 16, on_accept, NULL, &listener, &why), TL_OK);
    return tl_listener_addr(listener).port;
}

static tl_timer until_timer;
static bool (*until_cond)(void);

static void until_check(void *user)
{
    (void)user;
    if (until_cond())
        tl_loop_stop(loop);
    else
        tl_timer_set(&until_timer, tl_loop_now(loop) + 100 * TL_US);
}

static void run_until(bool (*cond)(void))
{
    until_cond = cond;
    tl_timer_init(&until_timer, loop, until_check, NULL);
    tl_timer_set(&until_timer, tl_loop_now(loop));
    tl_loop_run(loop);
    tl_timer_stop(&until_timer);
}

static bool both_open(void)
{
    return client.opened && server.opened;
}

static void connect_pair(void)
{
    uint16_t port = listen_tcp();
    assert_int_equal(
        tl_stream_connect(loop, "127.0.0.1", port, NULL, &events, &client, &client.stream), TL_OK);
    run_until(both_open);
    assert_string_equal(client.why, "");
    assert_true(both_open());
}

static size_t send_text(end *e, const char *text)
{
    size_t n = 0;
    struct iovec iov[2] = {{(void *)(uintptr_t)text, 1},
                           {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
    assert_int_equal(tl_stream_writev(e->stream, iov, 2, &n), TL_OK);
    return n;
}

static bool server_got(void)
{
    return server.total > 0;
}

static bool client_got(void)
{
    return client.total > 0;
}

static void bytes_go_both_ways_and_addresses_agree(void **state)
{
    (void)state;
    connect_pair();
    assert_int_equal(client.opened, 1);
    assert_int_equal(server.opened, 1);
    assert_int_equal(send_text(&client, "question"), 8);
    run_until(server_got);
    assert_string_equal(server.got, "question");
    assert_int_equal(send_text(&server, "answer"), 6);
    run_until(client_got);
    assert_string_equal(client.got, "answer");
    tl_addr a = tl_stream_local(client.stream), b = tl_stream_remote(server.stream);
    assert_true(tl_addr_eq(&a, &b));
    assert_true(a.port != 0);
}

static void a_refused_connection_says_where_to_and_why(void **state)
{
    (void)state;
    uint16_t port = listen_tcp();
    tl_listener_free(listener); /* now nothing listens there */
    listener = NULL;
    assert_int_equal(
        tl_stream_connect(loop, "127.0.0.1", port, NULL, &events, &client, &client.stream), TL_OK);
    assert_int_equal(client.error, TL_OK); /* told later, not from inside the call */
    tl_loop_run(loop);
    assert_int_equal(client.error, TL_ERR_UNREACHABLE);
    char expected[40];
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
    assert_non_null(strstr(client.why, expected));
    assert_non_null(strstr(client.why, "refused"));
    assert_int_equal(client.opened, 0);
}

static void localhost_connects_though_one_of_its_addresses_refuses(void **state)
{
    (void)state;
    uint16_t port = listen_tcp(); /* IPv4 alone: ::1, where there is one, refuses */
    assert_int_equal(
        tl_stream_connect(loop, "localhost", port, NULL, &events, &client, &client.stream), TL_OK);
    run_until(both_open);
    assert_int_equal(client.error, TL_OK);
    assert_int_equal(client.opened, 1);
}

static void a_name_that_does_not_resolve_is_named(void **state)
{
    (void)state;
    assert_int_equal(
        tl_stream_connect(loop, "no..such..name", 80, NULL, &events, &client, &client.stream),
        TL_OK);
    tl_loop_run(loop);
    assert_int_equal(client.error, TL_ERR_UNREACHABLE);
    assert_non_null(strstr(client.why, "no..such..name"));
}

static void a_stream_freed_while_it_connects_calls_nobody(void **state)
{
    (void)state;
    uint16_t port = listen_tcp();
    assert_int_equal(
        tl_stream_connect(loop, "127.0.0.1", port, NULL, &events, &client, &client.stream), TL_OK);
    tl_stream_free(client.stream);
    client.stream = NULL;
    tl_stream *other;
    assert_int_equal(tl_stream_connect(loop, "localhost", port, NULL, &events, &client, &other),
                     TL_OK);
    tl_stream_free(other);
    tl_listener_free(listener);
    listener = NULL;
    tl_timer_stop(&guard);
    tl_loop_run(loop);
    assert_int_equal(client.opened, 0);
    assert_int_equal(client.error, TL_OK);
}

static bool client_ended(void)
{
    return client.end != TL_OK;
}

static void a_stream_may_be_freed_inside_its_own_callbacks(void **state)
{
    (void)state;
    uint16_t port = listen_tcp();
    server.free_at_data = true;
    assert_int_equal(
        tl_stream_connect(loop, "127.0.0.1", port, NULL, &events, &client, &client.stream), TL_OK);
    run_until(both_open);
    send_text(&client, "bye");
    run_until(server_got);
    assert_null(server.stream);
    run_until(client_ended);
    assert_int_equal(client.end, TL_ERR_CLOSED);
}

static void a_half_closed_stream_still_carries_the_other_way(void **state)
{
    (void)state;
    connect_pair();
    send_text(&client, "last words");
    tl_stream_shutdown(client.stream);
    tl_loop_run(loop);
    assert_int_equal(server.end, TL_ERR_CLOSED);
    assert_string_equal(server.got, "last words");
    send_text(&server, "heard");
    run_until(client_got);
    assert_string_equal(client.got, "heard");
    size_t n;
    struct iovec iov = {(void *)(uintptr_t) "x", 1};
    assert_int_equal(tl_stream_writev(client.stream, &iov, 1, &n), TL_ERR_IO);
}

/* The peer does not read: writing stops with AGAIN after what the kernel holds, and goes on when it
 * reads. */
static size_t filled;
static const uint8_t zeros[65536];

static void fill(void)
{
    size_t n;
    struct iovec iov = {(void *)(uintptr_t)zeros, sizeof zeros};
    tl_err e;
    while ((e = tl_stream_writev(client.stream, &iov, 1, &n)) == TL_OK)
        filled += n;
    assert_int_equal(e, TL_ERR_AGAIN);
}

static bool was_writable;

static void on_writable(void *user)
{
    end *e = user;
    was_writable = true;
    tl_stream_want_write(e->stream, false);
}

static bool writable_again(void)
{
    return was_writable;
}

static bool all_received(void)
{
    return server.total == filled;
}

static void a_peer_that_does_not_read_is_waited_for_and_loses_nothing(void **state)
{
    (void)state;
    connect_pair();
    tl_stream_events with_write = events;
    with_write.on_writable = on_writable;
    tl_stream_set_events(client.stream, &with_write, &client);
    tl_stream_want_read(server.stream, false);
    filled = 0;
    was_writable = false;
    fill();
    assert_true(filled > 0);
    assert_int_equal(server.total, 0);
    tl_stream_want_write(client.stream, true);
    tl_stream_want_read(server.stream, true);
    run_until(writable_again);
    run_until(all_received);
    assert_int_equal(server.total, filled);
    assert_int_equal(client.error, TL_OK);
}

static void a_peer_reset_is_noticed_while_reading_is_off(void **state)
{
    (void)state;
    connect_pair();
    tl_stream_want_read(server.stream, false);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(tl_stream_fd(client.stream), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    tl_stream_free(client.stream);
    client.stream = NULL;
    tl_loop_run(loop);
    assert_int_equal(server.error, TL_ERR_CLOSED);
    assert_non_null(strstr(server.why, "reset"));
}

static void stop(void *user)
{
    (void)user;
    tl_loop_stop(loop);
}

/* No node of ours sends urgent data. A stranger that sends it must not make us spin. */
static void urgent_data_while_reading_is_off_costs_no_processor_time(void **state)
{
    (void)state;
    connect_pair();
    tl_stream_want_read(server.stream, false);
    assert_int_equal(send(tl_stream_fd(client.stream), "!", 1, MSG_OOB), 1);
    tl_timer wait;
    tl_timer_init(&wait, loop, stop, NULL);
    tl_timer_set(&wait, tl_loop_clock(loop) + 20 * TL_MS);
    clock_t before = clock();
    tl_loop_run(loop);
    assert_true(clock() - before < CLOCKS_PER_SEC / 100);
    assert_int_equal(server.error, TL_OK);
}

static void a_port_in_use_is_told_with_the_port(void **state)
{
    (void)state;
    tl_addr a = loopback(listen_tcp());
    tl_listener *second = NULL;
    tl_why why;
    assert_int_equal(tl_listen(loop, &a, 16, on_accept, NULL, &second, &why), TL_ERR_EXISTS);
    assert_null(second);
    char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, &a);
    assert_non_null(strstr(why.text, text));
}

static void an_address_that_is_not_ours_is_told(void **state)
{
    (void)state;
    tl_addr a;
    tl_why why;
    assert_int_equal(tl_addr_parse_ip(TL_SLICE_LIT("192.0.2.1"), &a), TL_OK);
    assert_int_equal(tl_listen(loop, &a, 16, on_accept, NULL, &listener, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "does not have that address"));
}

/* --- Unix sockets --- */

static char dir[64], path[96];

static int unix_setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/teale-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/sock", dir);
    return setup(state);
}

static int unix_teardown(void **state)
{
    teardown(state);
    unlink(path);
    return rmdir(dir);
}

static void a_unix_socket_is_private_carries_bytes_and_goes_with_its_listener(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &listener, &why), TL_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tl_stream_connect_unix(loop, path, &events, &client, &client.stream), TL_OK);
    run_until(both_open);
    send_text(&client, "hello");
    run_until(server_got);
    assert_string_equal(server.got, "hello");
    assert_int_equal(tl_stream_remote(server.stream).family, TL_ADDR_NONE);
    tl_listener_free(listener);
    listener = NULL;
    assert_int_equal(stat(path, &st), -1);
}

static void a_stale_unix_socket_is_replaced(void **state)
{
    (void)state;
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    memcpy(sun.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
    close(fd); /* the file stays, as after a crash */
    tl_why why;
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &listener, &why), TL_OK);
}

static void a_live_unix_socket_is_left_alone(void **state)
{
    (void)state;
    tl_why why;
    tl_listener *second = NULL;
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &listener, &why), TL_OK);
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &second, &why), TL_ERR_EXISTS);
    assert_null(second);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    tl_why why;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &listener, &why),
                     TL_ERR_EXISTS);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_unix_socket_that_is_not_there_is_an_error_told_later(void **state)
{
    (void)state;
    assert_int_equal(tl_stream_connect_unix(loop, path, &events, &client, &client.stream), TL_OK);
    assert_int_equal(client.error, TL_OK);
    tl_loop_run(loop);
    assert_int_equal(client.error, TL_ERR_UNREACHABLE);
    assert_non_null(strstr(client.why, path));
}

static void a_unix_peer_that_closed_is_noticed_while_reading_is_off(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(tl_listen_unix(loop, path, 8, on_accept, NULL, &listener, &why), TL_OK);
    assert_int_equal(tl_stream_connect_unix(loop, path, &events, &client, &client.stream), TL_OK);
    run_until(both_open);
    tl_stream_want_read(server.stream, false);
    tl_stream_free(client.stream);
    client.stream = NULL;
    tl_loop_run(loop);
    assert_int_equal(server.error, TL_ERR_CLOSED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define U(name) cmocka_unit_test_setup_teardown(name, unix_setup, unix_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_and_addresses_agree),
        T(a_refused_connection_says_where_to_and_why),
        T(localhost_connects_though_one_of_its_addresses_refuses),
        T(a_name_that_does_not_resolve_is_named),
        T(a_stream_freed_while_it_connects_calls_nobody),
        T(a_stream_may_be_freed_inside_its_own_callbacks),
        T(a_half_closed_stream_still_carries_the_other_way),
        T(a_peer_that_does_not_read_is_waited_for_and_loses_nothing),
        T(a_peer_reset_is_noticed_while_reading_is_off),
        T(urgent_data_while_reading_is_off_costs_no_processor_time),
        T(a_port_in_use_is_told_with_the_port),
        T(an_address_that_is_not_ours_is_told),
        U(a_unix_socket_is_private_carries_bytes_and_goes_with_its_listener),
        U(a_stale_unix_socket_is_replaced),
        U(a_live_unix_socket_is_left_alone),
        U(a_file_that_is_no_socket_is_left_alone),
        U(a_unix_socket_that_is_not_there_is_an_error_told_later),
        U(a_unix_peer_that_closed_is_noticed_while_reading_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
