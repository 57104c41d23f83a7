/* rawstream RELAY-URL TARGET-ID FIRST COUNT: so many nodes, with identities made of the numbers from FIRST on, that
 * send the target whatever bytes they are told on streams of their own: what a hostile peer can do. A line on
 * standard input is one stream:
 *
 *   NAME NODE HOW HEX...   NODE: 0 to COUNT - 1; HOW: "fin" ends it, "open" leaves it open, "reset" gives it up when
 *                          all is sent. HEX "zeros:N" stands for N zero bytes
 *
 * For each of them one line comes, when it is over or nothing came for a second after all was sent:
 *
 *   NAME end HEX | NAME reset HEX | NAME open HEX | NAME failed WHY      HEX: what came
 *
 * "ready ID..." is the first line. The end of the input ends the program. */
#include "node/state.h"

#include "io/stream.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#define NODES_MAX 64
#define LINE_MAX_ (20u << 20)
#define QUIET     TL_SEC

typedef struct app app;

typedef struct sending {
    tl_stream_owner owner; /* first */
    tl_peer_wish wish;
    app *a;
    char name[32], how[8];
    tl_buf out, in;
    bool told, sent;
    tl_quic_stream *stream;
    tl_timer timer;
} sending;

struct app {
    tl_loop *loop;
    tl_node_id target;
    tl_node *node[NODES_MAX];
    unsigned n;
    tl_buf line;
    tl_timer poll;
};

static void tell(sending *s, const char *what, const char *why)
{
    if (s->told)
        return;
    s->told = true;
    tl_timer_stop(&s->timer);
    printf("%s %s ", s->name, what);
    if (why)
        fputs(why, stdout);
    else
        for (size_t i = 0; i < s->in.len; i++)
            printf("%02x", tl_buf_begin(&s->in)[i]);
    putchar('\n');
    fflush(stdout);
}

static void on_quiet(void *user)
{
    tell(user, "open", NULL);
}

static void write_on(sending *s)
{
    size_t took = 1;
    while (s->out.len && took) {
        if (tl_quic_stream_write(s->stream, tl_buf_slice(&s->out), false, &took))
            return;
        tl_buf_consume(&s->out, took);
    }
    if (s->out.len || s->sent)
        return;
    s->sent = true;
    if (!strcmp(s->how, "fin"))
        (void)!tl_quic_stream_write(s->stream, tl_slice_of(NULL, 0), true, &took);
    if (!strcmp(s->how, "reset")) {
        tl_quic_stream_reset(s->stream, 7);
        tell(s, "reset", NULL);
    }
    if (!s->told)
        tl_timer_set(&s->timer, tl_loop_now(s->a->loop) + QUIET);
}

static void on_readable(tl_stream_owner *o)
{
    sending *s = (sending *)o;
    bool fin;
    tl_slice in;
    while ((in = tl_quic_stream_peek(s->stream, &fin)).n) {
        (void)!tl_buf_append(&s->in, in);
        tl_quic_stream_consume(s->stream, in.n);
    }
    if (fin)
        tell(s, "end", NULL);
    else if (s->sent && !s->told)
        tl_timer_set(&s->timer, tl_loop_now(s->a->loop) + QUIET);
}

static void on_writable(tl_stream_owner *o)
{
    write_on((sending *)o);
}

static void on_reset(tl_stream_owner *o)
{
    tell((sending *)o, "reset", NULL);
}

/* The memory stays until the program ends: a test sends some hundred streams. */
static void on_closed(tl_stream_owner *o, const char *why)
{
    sending *s = (sending *)o;
    (void)why;
    s->stream = NULL;
    tl_buf_clear(&s->out);
    tell(s, "reset", NULL);
}

static void on_stream(tl_peer_wish *w, tl_quic_stream *stream)
{
    sending *s = (sending *)((char *)w - offsetof(sending, wish));
    s->owner = (tl_stream_owner){on_readable, on_writable, on_reset, on_closed};
    s->stream = stream;
    tl_quic_stream_set_user(stream, &s->owner);
    write_on(s);
}

static void on_failed(tl_peer_wish *w, tl_err e, const char *why)
{
    (void)e;
    tell((sending *)((char *)w - offsetof(sending, wish)), "failed", why);
}

static bool add_bytes(sending *s, const char *word)
{
    uint8_t *room;
    size_t n = !strncmp(word, "zeros:", 6) ? strtoul(word + 6, NULL, 10) : strlen(word) / 2;
    if (tl_buf_reserve(&s->out, n ? n : 1, &room))
        return false;
    if (!strncmp(word, "zeros:", 6))
        memset(room, 0, n);
    else if (tl_hex_parse(tl_slice_str(word), false, room, n))
        return false;
    tl_buf_added(&s->out, n);
    return true;
}

static void take_line(app *a, char *line)
{
    sending *s = calloc(1, sizeof *s);
    char *name = strsep(&line, " "), *node = strsep(&line, " "), *how = strsep(&line, " ");
    unsigned i = node ? (unsigned)strtoul(node, NULL, 10) : NODES_MAX;
    if (!s || !how || i >= a->n)
        abort();
    s->a = a;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->how, sizeof s->how, "%s", how);
    tl_timer_init(&s->timer, a->loop, on_quiet, s);
    for (char *word; (word = strsep(&line, " "));)
        if (*word && !add_bytes(s, word))
            abort();
    s->wish = (tl_peer_wish){.peer = a->target, .on_stream = on_stream, .on_failed = on_failed};
    if (tl_peers_wish(a->node[i]->peers, &s->wish))
        tell(s, "failed", "no wish");
}

/* Standard input is looked at 100 times a second: enough for a test. */
static void on_poll(void *user)
{
    app *a = user;
    uint8_t *room;
    ssize_t n = 1;
    while (!tl_buf_reserve(&a->line, 65536, &room) && (n = read(STDIN_FILENO, room, 65536)) > 0)
        tl_buf_added(&a->line, (size_t)n);
    for (uint8_t *end; a->line.len && (end = memchr(tl_buf_begin(&a->line), '\n', a->line.len));) {
        *end = 0;
        size_t len = (size_t)(end - tl_buf_begin(&a->line)) + 1;
        take_line(a, (char *)tl_buf_begin(&a->line));
        tl_buf_consume(&a->line, len);
    }
    if (n == 0 || a->line.len > LINE_MAX_)
        tl_loop_stop(a->loop);
    else
        tl_timer_set(&a->poll, tl_loop_now(a->loop) + 10 * TL_MS);
}

static void add_node(app *a, const char *relay, unsigned number)
{
    tl_settings s = tl_settings_default();
    s.lan_enabled = false;
    tl_identity identity;
    uint8_t seed[32] = {0x5e, (uint8_t)(number >> 8), (uint8_t)number};
    tl_why why = {""};
    s.wan_enabled = true;
    s.nat_direct = s.dht_enabled = s.legacy_plaintext = false;
    s.wan_relay_url.n = 1;
    snprintf(s.wan_relay_url.item[0], sizeof s.wan_relay_url.item[0], "%s", relay);
    if (tl_identity_from_seed(seed, &identity) ||
        tl_node_new(a->loop, &s, &identity, NULL, NULL, &a->node[a->n], &why) ||
        tl_node_start(a->node[a->n], &why)) {
        fprintf(stderr, "rawstream: %s\n", why.text);
        exit(1);
    }
    printf(" %s", a->node[a->n++]->hex);
}

int main(int argc, char **argv)
{
    static app a;
    unsigned count = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    if (!count || count > NODES_MAX || tl_crypto_init() || tl_loop_new(&a.loop) ||
        tl_node_id_parse_form(tl_slice_str(argv[2]), &a.target))
        return 2;
    printf("ready");
    for (unsigned i = 0; i < count; i++)
        add_node(&a, argv[1], (unsigned)strtoul(argv[3], NULL, 10) + i);
    putchar('\n');
    fflush(stdout);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    tl_timer_init(&a.poll, a.loop, on_poll, &a);
    tl_timer_set(&a.poll, tl_loop_now(a.loop));
    tl_loop_run(a.loop);
    return 0; /* streams and nodes end with the process, as a hostile peer's do */
}
