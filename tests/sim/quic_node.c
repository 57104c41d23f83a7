#include "quic_node.h"

#include <stdlib.h>
#include <utlist.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static uint8_t pattern(uint64_t seed, uint64_t at)
{
    uint64_t x = (seed ^ at >> 3) * 0x9E3779B97F4A7C15u;
    return (uint8_t)(x >> (8 * (at & 7)));
}

/* --- jobs --- */

static quic_job *job_of(quic_node *n, tl_quic_stream *s)
{
    (void)n;
    return tl_quic_stream_user(s);
}

static quic_job *job_new(quic_node *n, tl_quic_stream *s, bool mine)
{
    quic_job *j = must(calloc(1, sizeof *j));
    j->stream = s;
    j->mine = mine;
    tl_quic_stream_set_user(s, j);
    LL_PREPEND(n->jobs, j);
    return j;
}

static void job_write(quic_job *j)
{
    uint8_t buf[4096];
    while (j->stream && !j->fin_sent) {
        size_t n = j->total - j->sent < sizeof buf ? (size_t)(j->total - j->sent) : sizeof buf;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(j->seed, j->sent + i);
        bool last = j->sent + n == j->total;
        size_t taken;
        if (tl_quic_stream_write(j->stream, tl_slice_of(buf, n), last, &taken))
            return;
        j->sent += taken;
        j->fin_sent = last && taken == n;
        if (taken < n)
            return;
    }
}

static void job_check(quic_job *j)
{
    bool fin;
    tl_slice bytes;
    while ((bytes = tl_quic_stream_peek(j->stream, &fin)).n || fin) {
        for (size_t i = 0; i < bytes.n; i++)
            j->wrong = j->wrong || bytes.p[i] != pattern(j->seed, j->received + i);
        j->received += bytes.n;
        j->fin_received = j->fin_received || fin;
        tl_quic_stream_consume(j->stream, bytes.n);
        if (fin)
            return;
    }
}

static void job_echo(quic_job *j)
{
    bool fin;
    tl_slice bytes;
    while (!j->fin_sent && ((bytes = tl_quic_stream_peek(j->stream, &fin)).n || fin)) {
        size_t taken;
        if (tl_quic_stream_write(j->stream, bytes, fin, &taken))
            return;
        j->received += taken;
        j->fin_sent = fin && taken == bytes.n;
        j->fin_received = j->fin_sent;
        bool all = taken == bytes.n;
        tl_quic_stream_consume(j->stream, taken);
        if (!all)
            return; /* back-pressure */
    }
}

static void job_read(quic_node *n, quic_job *j)
{
    if (n->hold_reading || n->mute)
        return;
    if (j->mine)
        job_check(j);
    else
        job_echo(j);
}

/* --- events --- */

static void on_connected(quic_node *n, tl_quic_conn *c)
{
    n->connected++;
    n->connected_peer = *tl_quic_conn_peer(c);
    n->connected_at = sim_now(n->sim);
    if (n->conns_n == QUIC_NODE_CONNS_MAX)
        abort();
    n->conns[n->conns_n++] = c;
}

static void on_closed(quic_node *n, const tl_quic_event *e)
{
    n->closed++;
    n->close_error = e->error;
    n->close_code = e->code;
    memcpy(n->close_why, e->why, sizeof e->why);
    for (unsigned i = 0; i < n->conns_n; i++)
        if (n->conns[i] == e->conn)
            n->conns[i--] = n->conns[--n->conns_n];
}

static void on_event(quic_node *n, const tl_quic_event *e)
{
    quic_job *j = e->stream ? job_of(n, e->stream) : NULL;
    switch (e->type) {
    case TL_QUIC_CONNECTED: on_connected(n, e->conn); break;
    case TL_QUIC_STREAM_OPENED:
        n->opened++;
        job_new(n, e->stream, false);
        break;
    case TL_QUIC_STREAM_READABLE:
        n->readable++;
        n->readable_at = sim_now(n->sim);
        job_read(n, j);
        break;
    case TL_QUIC_STREAM_WRITABLE:
        if (j->mine)
            job_write(j);
        else
            job_read(n, j);
        break;
    case TL_QUIC_STREAM_RESET:
        j->reset = true;
        j->reset_code = e->code;
        break;
    case TL_QUIC_STREAM_CLOSED:
        j->closed = true;
        j->stream = NULL;
        break;
    case TL_QUIC_STREAMS_AVAILABLE: n->streams_available++; break;
    case TL_QUIC_PATH_CHANGED: n->path_changes++; break;
    case TL_QUIC_CLOSED: on_closed(n, e); break;
    }
}

static void drain_events(quic_node *n)
{
    tl_quic_event e;
    while (tl_quic_next_event(n->quic, &e))
        on_event(n, &e);
}

/* --- host --- */

/* What this node takes for the present time. */
static tl_time now_of(quic_node *n)
{
    uint64_t r = n->clock_unsteady ? tl_rand_u64(&n->rand) : 0;
    return sim_now(n->sim) - (r & 1 ? (r >> 1) % n->clock_unsteady : 0);
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t len)
{
    quic_node *n = user;
    tl_quic_on_datagram(n->quic, path, data, len, now_of(n), sim_wall(n->sim));
}

static void on_timer(void *user)
{
    quic_node *n = user;
    tl_quic_on_timer(n->quic, now_of(n));
}

static tl_time expiry(void *user)
{
    quic_node *n = user;
    return tl_quic_expiry(n->quic);
}

static void flush(void *user)
{
    quic_node *n = user;
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    drain_events(n);
    while (tl_quic_next_output(n->quic, buf, now_of(n), &out)) {
        for (size_t at = 0; at < out.n; at += out.segment) {
            size_t k = out.n - at < out.segment ? out.n - at : out.segment;
            sim_send(n->host, out.path, buf + at, k);
        }
        drain_events(n);
    }
    drain_events(n);
}

/* --- for tests --- */

tl_quic_config quic_node_config(void)
{
    return tl_quic_config_default(NULL, NULL);
}

static bool knows(void *user, const tl_node_id *peer)
{
    (void)peer;
    return !((const quic_node *)user)->strangers;
}

static tl_quic_config completed(quic_node *n, const tl_quic_config *config)
{
    tl_quic_config c = config ? *config : quic_node_config();
    c.identity = &n->identity;
    c.rand = &n->rand;
    return c;
}

quic_node *quic_node_new(sim *s, const tl_quic_config *config)
{
    static const sim_host_ops ops = {on_datagram, on_timer, expiry, flush};
    quic_node *n = must(calloc(1, sizeof *n));
    n->sim = s;
    n->rand = tl_rand_seeded(tl_rand_u64(sim_rand(s)));
    tl_quic_config c = completed(n, config);
    if (tl_crypto_init() || tl_identity_new(&n->rand, &n->identity) || tl_quic_new(&c, &n->quic))
        abort();
    tl_quic_set_known(n->quic, knows, n);
    n->host = sim_host_new(s, &ops, n);
    return n;
}

void quic_node_restart(quic_node *n)
{
    tl_quic_free(n->quic);
    n->conns_n = 0;
    quic_job *j;
    LL_FOREACH (n->jobs, j)
        j->stream = NULL;
    tl_quic_config c = completed(n, NULL);
    if (tl_quic_new(&c, &n->quic))
        abort();
    tl_quic_set_known(n->quic, knows, n);
}

void quic_node_free(quic_node *n)
{
    tl_quic_free(n->quic);
    while (n->jobs) {
        quic_job *next = n->jobs->next;
        free(n->jobs);
        n->jobs = next;
    }
    tl_identity_clear(&n->identity);
    free(n);
}

tl_quic_conn *quic_node_dial(quic_node *n, const quic_node *peer, tl_path_id path)
{
    tl_quic_conn *c;
    if (tl_quic_dial(n->quic, &peer->identity.id, path, now_of(n), sim_wall(n->sim), &c))
        return NULL;
    sim_wake(n->host);
    return c;
}

tl_quic_conn *quic_node_conn(const quic_node *n)
{
    return n->conns_n ? n->conns[0] : NULL;
}

quic_job *quic_node_send(quic_node *n, tl_quic_conn *c, uint64_t total)
{
    tl_quic_stream *s;
    if (tl_quic_stream_open(c, &s))
        return NULL;
    quic_job *j = job_new(n, s, true);
    j->total = total;
    j->seed = tl_rand_u64(&n->rand);
    job_write(j);
    sim_wake(n->host);
    return j;
}

void quic_node_resume_reading(quic_node *n)
{
    n->hold_reading = false;
    quic_job *j;
    LL_FOREACH (n->jobs, j)
        if (j->stream)
            job_read(n, j);
    sim_wake(n->host);
}

bool quic_job_done(const quic_job *j)
{
    return j->received == j->total && j->fin_received && j->closed && !j->wrong && !j->reset;
}

bool quic_node_all_done(void *node)
{
    const quic_node *n = node;
    const quic_job *j;
    LL_FOREACH (n->jobs, j)
        if (j->mine && !quic_job_done(j))
            return false;
    return true;
}

bool quic_node_is_connected(void *node)
{
    return ((const quic_node *)node)->connected > 0;
}

bool quic_node_is_closed(void *node)
{
    return ((const quic_node *)node)->closed > 0;
}
