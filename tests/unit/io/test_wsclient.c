#include "io/wsclient.h"
#include "wire/wsupgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a server that does as scripted --- */
typedef struct {
    const char *head; /* what answers the upgrade; NULL: a right one; "" : nothing */
    tl_slice then;    /* raw bytes right behind it */
    bool deaf;        /* reads nothing after the upgrade */
} script;

static tl_loop *loop;
static tl_rand rng;
static script play;
static struct {
    tl_listener *listener;
    tl_stream *stream;
    tl_buf in, out;
    bool upgraded;
    tl_ws_reader reader;
    tl_buf heard; /* every message, "t:" or "b:" before it and '|' behind */
    size_t heard_bytes;
    unsigned pongs, close_code;
} server;

/* --- the client under test --- */
static struct {
    tl_wsclient *ws;
    bool opened, closed;
    tl_err error;
    unsigned code, writable, pongs;
    char why[256];
    tl_buf got;
    bool free_at_message;
    bool stop_at_message;
} client;

static tl_timer guard;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 5 s");
}

static void server_flush(void)
{
    while (server.out.len) {
        struct iovec iov = {tl_buf_begin(&server.out), server.out.len};
        size_t n = 0;
        if (tl_stream_writev(server.stream, &iov, 1, &n))
            break;
        tl_buf_consume(&server.out, n);
    }
    tl_stream_want_write(server.stream, server.out.len > 0);
}

static void server_frames(void)
{
    tl_ws_event ev;
    while (server.in.len) {
        tl_ws_reader_next(&server.reader, tl_buf_begin(&server.in), server.in.len, &ev);
        if (ev.kind == TL_WS_EVENT_MORE)
            return;
        assert_int_not_equal(ev.kind, TL_WS_EVENT_FAIL); /* what we send is legal, masked */
        if (ev.kind == TL_WS_EVENT_MESSAGE) {
            server.heard_bytes += ev.n;
            if (ev.n < 100) {
                assert_int_equal(
                    tl_buf_append_str(&server.heard, ev.opcode == TL_WS_TEXT ? "t:" : "b:"), 0);
                assert_int_equal(tl_buf_append(&server.heard, tl_slice_of(ev.payload, ev.n)), 0);
                assert_int_equal(tl_buf_append_str(&server.heard, "|"), 0);
            }
            tl_loop_stop(loop);
        }
        server.pongs += ev.kind == TL_WS_EVENT_PONG;
        if (ev.kind == TL_WS_EVENT_PONG)
            tl_loop_stop(loop);
        if (ev.kind == TL_WS_EVENT_CLOSE)
            server.close_code = ev.close_code;
        tl_buf_consume(&server.in, ev.used);
    }
}

static void server_upgrade(void)
{
    tl_http1_head head;
    size_t scanned = 0;
    int status;
    if (tl_http1_request_parse(tl_buf_slice(&server.in), &scanned, &head, &status))
        return;
    char accept[TL_WS_ACCEPT_SIZE];
    assert_int_equal(tl_ws_upgrade_check(&head, accept), 0);
    assert_true(tl_slice_eq(head.target, TL_SLICE_LIT("/ws")));
    if (play.head)
        assert_int_equal(tl_buf_append_str(&server.out, play.head), 0);
    else
        assert_int_equal(tl_ws_upgrade_answer(&server.out, accept), 0);
    assert_int_equal(tl_buf_append(&server.out, play.then), 0);
    tl_buf_consume(&server.in, head.head_n);
    server.upgraded = true;
    server_flush();
    if (play.deaf)
        tl_stream_want_read(server.stream, false);
}

static void server_readable(void *user)
{
    uint8_t *room;
    size_t n = 0;
    (void)user;
    assert_int_equal(tl_buf_reserve(&server.in, 65536, &room), 0);
    if (tl_stream_read(server.stream, room, 65536, &n))
        return;
    tl_buf_added(&server.in, n);
    if (!server.upgraded)
        server_upgrade();
    if (server.upgraded)
        server_frames();
}

static void server_open(void *user)
{
    (void)user;
}

static void server_writable(void *user)
{
    (void)user;
    server_flush();
}

static void server_error(void *user, tl_err e, const char *why)
{
    (void)user;
    (void)e;
    (void)why;
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    static const tl_stream_events events = {server_open, server_readable, server_writable,
                                            server_error};
    (void)user;
    (void)remote;
    assert_int_equal(tl_stream_accepted(loop, fd, NULL, &events, NULL, &server.stream), TL_OK);
}

static void on_open(void *user)
{
    (void)user;
    client.opened = true;
    tl_loop_stop(loop);
}

static void on_message(void *user, tl_ws_opcode opcode, uint8_t *bytes, size_t n)
{
    (void)user;
    assert_int_equal(tl_buf_append_str(&client.got, opcode == TL_WS_TEXT ? "t:" : "b:"), 0);
    assert_int_equal(tl_buf_append(&client.got, tl_slice_of(bytes, n)), 0);
    assert_int_equal(tl_buf_append_str(&client.got, "|"), 0);
    if (client.free_at_message) {
        tl_wsclient_free(client.ws);
        client.ws = NULL;
    }
    if (client.free_at_message || client.stop_at_message)
        tl_loop_stop(loop);
}

static void on_pong(void *user, tl_slice payload)
{
    (void)user;
    assert_true(tl_slice_eq(payload, TL_SLICE_LIT("hi")));
    client.pongs++;
    tl_loop_stop(loop);
}

static void on_writable(void *user)
{
    (void)user;
    client.writable++;
    tl_loop_stop(loop);
}

static void on_closed(void *user, tl_err e, unsigned code, const char *why)
{
    (void)user;
    client.closed = true;
    client.error = e;
    client.code = code;
    snprintf(client.why, sizeof client.why, "%s", why);
    tl_loop_stop(loop);
}

static const tl_wsclient_events events = {on_open, on_message, on_pong, on_writable, on_closed};

static void run(void)
{
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    tl_loop_run(loop);
    tl_timer_set(&guard, TL_NEVER);
}

static int setup(void **state)
{
    (void)state;
    tl_addr any = {.family = TL_ADDR_V4, .bytes = {127, 0, 0, 1}};
    tl_why why;
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    play = (script){0};
    rng = tl_rand_system();
    assert_int_equal(tl_loop_new(&loop), TL_OK);
    assert_int_equal(tl_listen(loop, &any, 4, on_accept, NULL, &server.listener, &why), TL_OK);
    tl_ws_reader_init(&server.reader, true, 4 << 20);
    tl_timer_init(&guard, loop, timed_out, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_wsclient_free(client.ws);
    tl_stream_free(server.stream);
    tl_listener_free(server.listener);
    tl_ws_reader_clear(&server.reader);
    tl_buf_clear(&server.in);
    tl_buf_clear(&server.out);
    tl_buf_clear(&server.heard);
    tl_buf_clear(&client.got);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static void dial(void)
{
    char text[64];
    tl_wsurl url;
    snprintf(text, sizeof text, "ws://127.0.0.1:%u/ws", tl_listener_addr(server.listener).port);
    assert_int_equal(tl_wsurl_parse(text, &url, NULL), TL_OK);
    assert_int_equal(tl_wsclient_connect(loop, &url, NULL, NULL, &rng, &events, NULL, &client.ws),
                     TL_OK);
    run();
}

static tl_slice got(void)
{
    return tl_buf_slice(&client.got);
}

static void messages_pass_both_ways(void **state)
{
    (void)state;
    play.then =
        TL_SLICE_LIT("\x81\x02hi\x02\x01x\x80\x01y"); /* text, and binary in two fragments */
    dial();
    assert_true(client.opened);
    assert_int_equal(tl_wsclient_send(client.ws, TL_WS_TEXT, TL_SLICE_LIT("one")), TL_OK);
    assert_int_equal(tl_wsclient_send(client.ws, TL_WS_BINARY, TL_SLICE_LIT("two")), TL_OK);
    assert_int_equal(tl_wsclient_send(client.ws, TL_WS_TEXT, TL_SLICE_LIT("")), TL_OK);
    while (server.heard.len < 14)
        run();
    assert_true(tl_slice_eq(tl_buf_slice(&server.heard), TL_SLICE_LIT("t:one|b:two|t:|")));
    assert_true(tl_slice_eq(got(), TL_SLICE_LIT("t:hi|b:xy|")));
}

static void a_ping_is_answered_and_a_pong_is_told(void **state)
{
    (void)state;
    play.then = TL_SLICE_LIT("\x89\x02hi");
    dial();
    while (!server.pongs)
        run();
    assert_int_equal(tl_wsclient_send(client.ws, TL_WS_PING, TL_SLICE_LIT("hi")), TL_OK);
    assert_int_equal(tl_buf_append(&server.out, TL_SLICE_LIT("\x8a\x02hi")), 0);
    server_flush();
    while (!client.pongs)
        run();
}

static void a_wrong_upgrade_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        setup(NULL);
        play.head = heads[i];
        dial();
        assert_false(client.opened);
        assert_true(client.closed);
        assert_int_equal(client.error, TL_ERR_PROTO);
        assert_true(strlen(client.why) > 0);
        if (i == 0)
            assert_non_null(strstr(client.why, "404"));
        teardown(NULL);
    }
}

static void illegal_frames_end_the_connection_with_the_right_code(void **state)
{
    (void)state;
    const struct {
        tl_slice bytes;
        unsigned code;
    } cases[] = {
        {TL_SLICE_LIT("\xc1\x02hi"), TL_WS_PROTOCOL_ERROR},                 /* reserved bit */
        {TL_SLICE_LIT("\x81\x82\x01\x02\x03\x04ik"), TL_WS_PROTOCOL_ERROR}, /* masked by a server */
        {TL_SLICE_LIT("\x80\x02hi"), TL_WS_PROTOCOL_ERROR},                 /* continues nothing */
        {TL_SLICE_LIT("\x81\x02\xff\xff"), TL_WS_INVALID_DATA},
        {TL_SLICE_LIT("\x82\x7f\0\0\0\0\x01\0\0\0"), TL_WS_TOO_BIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup(NULL);
        play.then = cases[i].bytes;
        dial();
        while (!client.closed)
            run();
        assert_int_equal(client.error, TL_ERR_PROTO);
        assert_int_equal(tl_wsclient_send(client.ws, TL_WS_TEXT, TL_SLICE_LIT("x")), TL_ERR_CLOSED);
        for (int turns = 0; turns < 100 && !server.close_code; turns++)
            server_readable(NULL);
        assert_int_equal(server.close_code, cases[i].code);
        teardown(NULL);
    }
}

static void the_peers_close_is_told_with_its_words_made_safe(void **state)
{
    (void)state;
    play.then = TL_SLICE_LIT("\x88\x09\x03\xf4"
                             "a\x1b[2Jb\n");
    dial();
    while (!client.closed)
        run();
    assert_int_equal(client.code, TL_WS_SERVICE_RESTART);
    assert_int_equal(client.error, TL_ERR_CLOSED);
    assert_null(strchr(client.why, '\x1b'));
    assert_non_null(strstr(client.why, "1012"));
}

static void a_full_queue_is_told_refuses_at_its_bound_and_drains(void **state)
{
    (void)state;
    static uint8_t big[1 << 20];
    size_t sent = 0;
    play.deaf = true;
    dial();
    assert_false(tl_wsclient_is_full(client.ws));
    while (tl_wsclient_send(client.ws, TL_WS_BINARY, tl_slice_of(big, sizeof big)) == TL_OK)
        sent += sizeof big;
    assert_true(tl_wsclient_is_full(client.ws));
    assert_true(tl_wsclient_queued(client.ws) <= TL_WSCLIENT_QUEUE_MAX);
    assert_true(sent >= 5 << 20);
    tl_stream_want_read(server.stream, true);
    while (!client.writable)
        run();
    assert_false(tl_wsclient_is_full(client.ws));
    while (server.heard_bytes < sent)
        run();
    assert_int_equal(tl_wsclient_queued(client.ws), 0);
}

static void closing_sends_what_is_queued_and_a_reason(void **state)
{
    (void)state;
    dial();
    assert_int_equal(tl_wsclient_send(client.ws, TL_WS_TEXT, TL_SLICE_LIT("last")), TL_OK);
    tl_wsclient_close(client.ws, TL_WS_GOING_AWAY, "bye");
    assert_false(client.closed); /* never from inside the call */
    while (!client.closed)
        run();
    assert_int_equal(client.error, TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&server.heard), TL_SLICE_LIT("t:last|")));
    assert_int_equal(server.close_code, TL_WS_GOING_AWAY);
}

static void it_may_be_freed_inside_a_message(void **state)
{
    (void)state;
    client.free_at_message = true;
    play.then = TL_SLICE_LIT("\x81\x01"
                             "a\x81\x01"
                             "b");
    dial();
    while (client.ws)
        run();
    assert_true(tl_slice_eq(got(), TL_SLICE_LIT("t:a|")));
}

static void a_refused_connection_is_told_in_words(void **state)
{
    (void)state;
    tl_wsurl url;
    char text[64];
    snprintf(text, sizeof text, "ws://127.0.0.1:%u/ws", tl_listener_addr(server.listener).port);
    tl_listener_free(server.listener);
    server.listener = NULL;
    assert_int_equal(tl_wsurl_parse(text, &url, NULL), TL_OK);
    assert_int_equal(tl_wsclient_connect(loop, &url, NULL, NULL, &rng, &events, NULL, &client.ws),
                     TL_OK);
    assert_false(client.closed);
    run();
    assert_true(client.closed);
    assert_int_equal(client.error, TL_ERR_UNREACHABLE);
    assert_true(strlen(client.why) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_pass_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ping_is_answered_and_a_pong_is_told, setup, teardown),
        cmocka_unit_test(a_wrong_upgrade_is_refused),
        cmocka_unit_test(illegal_frames_end_the_connection_with_the_right_code),
        cmocka_unit_test_setup_teardown(the_peers_close_is_told_with_its_words_made_safe, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_is_told_refuses_at_its_bound_and_drains, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(closing_sends_what_is_queued_and_a_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(it_may_be_freed_inside_a_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_connection_is_told_in_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
