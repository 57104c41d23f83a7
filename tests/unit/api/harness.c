#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the loop --- */

static void on_due(void *user)
{
    harness *h = user;
    h->timed_out = true;
    tl_loop_stop(h->loop);
}

void harness_wait_begin(harness *h)
{
    h->timed_out = false;
    tl_timer_set(&h->timer, tl_loop_clock(h->loop) + WAIT_NS);
}

void harness_wait_end(harness *h)
{
    tl_timer_set(&h->timer, TL_NEVER);
}

void harness_run_for(harness *h, tl_time span)
{
    h->timed_out = false;
    tl_timer_set(&h->timer, tl_loop_clock(h->loop) + span);
    while (!h->timed_out)
        tl_loop_run(h->loop);
}

tl_api_config harness_config(void)
{
    tl_api_config config = tl_api_config_default();
    config.listen_n = 1;
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("127.0.0.1:0"), &config.listen[0]), TL_OK);
    memcpy(config.key, KEY, sizeof KEY);
    memcpy(config.client_key, CLIENT_KEY, sizeof CLIENT_KEY);
    return config;
}

void harness_init(harness *h, const tl_api_config *config)
{
    tl_api_config c = config ? *config : harness_config();
    tl_why why;
    *h = (harness){0};
    assert_int_equal(tl_loop_new(&h->loop), TL_OK);
    fake_node_init(&h->node, h->loop);
    tl_timer_init(&h->timer, h->loop, on_due, h);
    snprintf(h->dir, sizeof h->dir, "/tmp/teale-api-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    snprintf(h->unix_path, sizeof h->unix_path, "%s/s", h->dir);
    if (!c.unix_path[0])
        c.unix_path[0] = h->unix_path;
    if (tl_api_new(h->loop, &h->node, &c, &h->api, &why))
        fail_msg("%s", why.text);
}

void harness_clear(harness *h)
{
    tl_api_free(h->api);
    tl_timer_stop(&h->timer);
    fake_node_clear(&h->node);
    tl_loop_free(h->loop);
    unlink(h->unix_path);
    rmdir(h->dir);
}

/* --- clients --- */

static void flush(client *c)
{
    while (c->open && c->out.len) {
        size_t n = 0;
        struct iovec iov = {tl_buf_begin(&c->out), c->out.len};
        tl_err e = tl_stream_writev(c->stream, &iov, 1, &n);
        if (e == TL_ERR_AGAIN)
            break;
        if (e) { /* the server closed: what is left will not go */
            tl_buf_clear(&c->out);
            break;
        }
        tl_buf_consume(&c->out, n);
    }
    if (c->open)
        tl_stream_want_write(c->stream, c->out.len > 0);
}

static void on_open(void *user)
{
    client *c = user;
    c->open = true;
    flush(c);
    tl_loop_stop(c->h->loop);
}

static void on_readable(void *user)
{
    client *c = user;
    for (;;) {
        uint8_t *room;
        size_t n = 0;
        assert_int_equal(tl_buf_reserve(&c->in, 65536, &room), TL_OK);
        tl_err e = tl_stream_read(c->stream, room, 65536, &n);
        if (e == TL_ERR_AGAIN)
            break;
        if (e) {
            c->ended = true;
            break;
        }
        tl_buf_added(&c->in, n);
    }
    tl_loop_stop(c->h->loop);
}

static void on_writable(void *user)
{
    flush(user);
}

static void on_error(void *user, tl_err e, const char *why)
{
    client *c = user;
    (void)e;
    (void)why;
    c->ended = true;
    tl_loop_stop(c->h->loop);
}

static const tl_stream_events events = {on_open, on_readable, on_writable, on_error};

void client_start(harness *h, client *c)
{
    *c = (client){.h = h};
    assert_int_equal(
        tl_stream_connect(h->loop, "127.0.0.1", tl_api_port(h->api), NULL, &events, c, &c->stream),
        TL_OK);
}

void client_open(harness *h, client *c)
{
    client_start(h, c);
    WAIT_UNTIL(h, c->open);
}

void client_open_unix(harness *h, client *c)
{
    *c = (client){.h = h};
    assert_int_equal(tl_stream_connect_unix(h->loop, h->unix_path, &events, c, &c->stream), TL_OK);
    WAIT_UNTIL(h, c->open);
}

void client_close(client *c)
{
    if (c->stream)
        tl_stream_free(c->stream);
    c->stream = NULL;
    tl_buf_clear(&c->in);
    tl_buf_clear(&c->out);
}

void client_reset(client *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(tl_stream_fd(c->stream), SOL_SOCKET, SO_LINGER, &now, sizeof now),
                     0);
    client_close(c);
}

void client_deafen(client *c, bool deaf)
{
    tl_stream_want_read(c->stream, !deaf);
}

void client_send_bytes(client *c, tl_slice bytes)
{
    assert_int_equal(tl_buf_append(&c->out, bytes), TL_OK);
    flush(c);
}

void client_send(client *c, const char *text)
{
    client_send_bytes(c, tl_slice_str(text));
}

static const char *find(const client *c, const char *text)
{
    return c->in.data && c->in.len ? memmem(tl_buf_begin(&c->in), c->in.len, text, strlen(text))
                                   : NULL;
}

bool client_has(const client *c, const char *text)
{
    return find(c, text) != NULL;
}

/* --- whole exchanges --- */

bool client_answered(const client *c)
{
    const char *end = find(c, "\r\n\r\n"), *length = find(c, "\r\nContent-Length: ");
    if (c->ended)
        return true;
    if (!end)
        return false;
    size_t have = c->in.len - (size_t)(end + 4 - (const char *)tl_buf_begin(&c->in));
    if (length && length < end)
        return have >= strtoul(length + 18, NULL, 10);
    return find(c, "HTTP/1.1 204") != NULL || find(c, "HTTP/1.1 304") != NULL ||
           find(c, "\r\n0\r\n\r\n") != NULL;
}

int client_status(const client *c)
{
    if (c->in.len < 12 || memcmp(tl_buf_begin(&c->in), "HTTP/1.1 ", 9) != 0)
        return 0;
    return atoi((const char *)tl_buf_begin(&c->in) + 9);
}

const char *client_body(client *c)
{
    assert_int_equal(tl_buf_append(&c->in, tl_slice_of("", 1)), TL_OK); /* NUL */
    c->in.len--;
    const char *end = find(c, "\r\n\r\n");
    return end ? end + 4 : "";
}

void exchange(harness *h, client *c, const char *request)
{
    client_open(h, c);
    client_send(c, request);
    WAIT_UNTIL(h, client_answered(c));
}

char *post(const char *path, const char *headers, const char *body)
{
    char *text;
    if (asprintf(&text, "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
                 path, headers, strlen(body), body) < 0)
        abort();
    return text;
}

fake_ask *asked(harness *h, client *c, const char *path, const char *headers, const char *body)
{
    char *text = post(path, headers, body);
    size_t before = h->node.ask_n;
    client_open(h, c);
    client_send(c, text);
    free(text);
    WAIT_UNTIL(h, h->node.ask_n > before || client_answered(c));
    assert_int_equal(h->node.ask_n, before + 1);
    return h->node.asks[before];
}
