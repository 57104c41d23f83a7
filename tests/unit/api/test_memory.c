/* Memory runs out at every single allocation in turn: each time the client gets an answer or a
 * closed connection, never silence, and the next client is served as if nothing had been. */
#include "harness.h"
#include "ownnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* the sanitizer has an allocator of its own */
#else
#define SANITIZED 0

/* glibc's own, under the names by which a program may put something before them. */
void *__libc_malloc(size_t n);              /* NOLINT(bugprone-reserved-identifier) */
void *__libc_calloc(size_t n, size_t size); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_realloc(void *p, size_t n);    /* NOLINT(bugprone-reserved-identifier) */
#endif

static long countdown; /* allocations until one fails; 0: none does */
static bool failed;

#if !SANITIZED
static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return fails() ? NULL : __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    return fails() ? NULL : __libc_realloc(p, n);
}
#endif

/* --- a client that allocates nothing --- */

static char got[65536];
static size_t got_n;
static bool ended;

static int plain_connect(const harness *h)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(tl_api_port(h->api))};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    got[got_n = 0] = 0;
    ended = false;
    return fd;
}

static void plain_read(int fd)
{
    ssize_t n = recv(fd, got + got_n, sizeof got - 1 - got_n, MSG_DONTWAIT);
    if (n > 0)
        got_n += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        ended = true;
    got[got_n] = 0;
}

static bool plain_has(const char *text)
{
    return strstr(got, text) != NULL;
}

static void turn(harness *h)
{
    tl_timer_set(&h->timer, tl_loop_now(h->loop));
    tl_loop_run(h->loop);
}

/* What the node answers to a question, as far as memory lets it. */
static void play_node(harness *h, size_t before)
{
    if (h->node.ask_n == before)
        return;
    fake_ask *a = h->node.asks[before];
    if (!a->over)
        fake_head(a, 200, a->ask.streaming ? "text/event-stream" : "application/json");
    if (!a->over)
        fake_body(a, "data: 1\n\n");
    if (!a->over)
        fake_end(a);
}

/* Sends `request` while the allocation `nth` from now fails. False: no allocation was left to fail.
 */
static bool one_round(harness *h, const char *request, const char *wanted, long nth)
{
    size_t before = h->node.ask_n;
    int fd = plain_connect(h);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    failed = false;
    countdown = nth;
    bool played = false;
    for (int i = 0; i < 200 && !ended && !plain_has(wanted); i++) {
        turn(h);
        if (!played && h->node.ask_n > before) {
            play_node(h, before);
            played = true;
        }
        plain_read(fd);
        if (plain_has("HTTP/1.1 500 ") || plain_has("HTTP/1.1 502 ") || plain_has("HTTP/1.1 404 "))
            break;
    }
    countdown = 0;
    if (!ended && !plain_has(wanted) && !plain_has("HTTP/1.1 5") && !plain_has("HTTP/1.1 404 "))
        fail_msg("silence when allocation %ld failed: %s", nth, got);
    if (!failed && !plain_has(wanted))
        fail_msg("no allocation failed, and yet: %s", got);
    close(fd);
    for (int i = 0; i < 5; i++)
        turn(h);
    return failed;
}

static void sweep(const char *request, const char *wanted)
{
    harness h;
    harness_init(&h, NULL);
    h.node.models = "{\"models\":[{\"id\":\"m1\",\"local\":true,\"peers\":[]}]}";
    one_round(&h, request, wanted, 0); /* what is allocated once for all is there now */
    long n = 1;
    while (one_round(&h, request, wanted, n)) {
        one_round(&h, request, wanted, 0);
        n++;
    }
    assert_true(n > 5);
    harness_clear(&h);
}

#define QUESTION(body, length)                                                                     \
    "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " length             \
    "\r\n\r\n" body

static void every_allocation_of_a_streamed_answer_may_fail(void **state)
{
    (void)state;
    if (SANITIZED)
        skip_because("a sanitizer allocates, too");
    sweep(QUESTION("{\"model\":\"m1\",\"stream\":true}", "28"), "data: 1\n\n\r\n0\r\n\r\n");
}

static void every_allocation_of_a_whole_answer_may_fail(void **state)
{
    (void)state;
    if (SANITIZED)
        skip_because("a sanitizer allocates, too");
    sweep(QUESTION("{\"model\":\"m1\"}", "14"), "\r\n\r\ndata: 1\n\n");
}

static void every_allocation_of_a_page_may_fail(void **state)
{
    (void)state;
    if (SANITIZED)
        skip_because("a sanitizer allocates, too");
    sweep("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", "\"id\":\"m1\"");
    sweep("GET /v1/models/m1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "\"id\":\"m1\"");
    sweep("GET /v1/app HTTP/1.1\r\nHost: localhost\r\n\r\n", "\"status\":");
    sweep("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "teale_api_first_byte_seconds_count");
    sweep("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n", ": connected\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_streamed_answer_may_fail),
        cmocka_unit_test(every_allocation_of_a_whole_answer_may_fail),
        cmocka_unit_test(every_allocation_of_a_page_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
