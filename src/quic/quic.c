#include "quic/quic.h"

#include "quic/budget.h"
#include "quic/callbacks.h"
#include "quic/cid.h"
#include "quic/conn.h"
#include "quic/door.h"
#include "quic/events.h"
#include "quic/heap.h"
#include "quic/keys.h"
#include "quic/mark.h"
#include "quic/paths.h"
#include "quic/quiet.h"
#include "quic/size.h"
#include "quic/state.h"
#include "quic/stream.h"
#include "quic/table.h"
#include "quic/timed.h"
#include "quic/tomb.h"
#include "quic/version.h"
#include "quic/writer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* The smallest packet: its head, its packet number, and what header protection samples (RFC 9001
 * 5.4.2). No packet of ours is smaller, and libngtcp2 aborts on an empty datagram. */
#define DATAGRAM_MIN (1 + TL_QUIC_CID_SIZE + 4 + 16)
#define DATAGRAM_MAX 65535

tl_quic_config tl_quic_config_default(const tl_identity *identity, tl_rand *rand)
{
    uint32_t suites = 1u << TL_SUITE_CHACHA20_POLY1305;
    if (tl_cpu_has_aes())
        suites |= 1u << TL_SUITE_AES_128_GCM;
    return (tl_quic_config){
        .identity = identity,
        .rand = rand,
        .suites = suites,
        .handshake_timeout = 10 * TL_SEC,
        .idle_timeout = 60 * TL_SEC,
        .keepalive = 25 * TL_SEC,
        .stream_window = 16 * 1024 * 1024,
        .conn_window = 16 * 1024 * 1024,
        .unread_max = 64 * 1024 * 1024,
        .streams_max = 4096,
        .stranger_streams_max = 128,
        .stranger_window = 2 * 1024 * 1024,
        .send_max = 32 * 1024 * 1024,
        .send_memory_max = 128 * 1024 * 1024,
        .memory_max = 256 * 1024 * 1024,
        .half_open_max = 1024,
        .conns_max = 4096,
        .key_update_packets = TL_KEY_UPDATE_PACKETS,
        .pmtud = true,
    };
}

static bool config_is_sane(const tl_quic_config *c)
{
    uint32_t known = 1u << TL_SUITE_AES_128_GCM | 1u << TL_SUITE_CHACHA20_POLY1305;
    return c->identity && c->rand && c->suites && !(c->suites & ~known) && c->conns_max &&
           c->half_open_max && c->memory_max && c->key_update_packets && c->handshake_timeout &&
           c->stream_window <= NGTCP2_MAX_VARINT && c->conn_window <= NGTCP2_MAX_VARINT;
}

tl_err tl_quic_new(const tl_quic_config *config, tl_quic **ret_quic)
{
    if (!config_is_sane(config))
        return TL_ERR_INVALID;
    tl_quic *q = calloc(1, sizeof *q);
    if (!q)
        return TL_ERR_NOMEM;
    q->config = *config;
    tl_quic_callbacks_init(&q->callbacks);
    tl_rand_bytes(config->rand, &q->retry_key, sizeof q->retry_key);
    q->heap = calloc(config->conns_max, sizeof(tl_quic_conn *));
    tl_err e = q->heap ? tl_keys_retry(&q->retry_aead, &q->retry_ctx) : TL_ERR_NOMEM;
    if (e) {
        tl_quic_free(q);
        return e;
    }
    *ret_quic = q;
    return TL_OK;
}

/* Frees the handles whose last event was drained. Every entry point begins with this call. */
static void bury_dead(tl_quic *q)
{
    if (q->dead_stream)
        tl_qstream_free(q->dead_stream);
    q->dead_stream = NULL;
    if (q->dead_conn)
        tl_qconn_free(q->dead_conn);
    q->dead_conn = NULL;
}

void tl_quic_free(tl_quic *q)
{
    if (!q)
        return;
    while (q->conns)
        tl_qconn_free(q->conns);
    tl_door_clear(q);
    tl_quic_tombs_clear(q);
    tl_replay_clear(&q->replay);
    tl_chunk_pool_clear(&q->chunks);
    tl_keys_free_ctx(&q->retry_ctx);
    free(q->heap);
    sodium_memzero(q, sizeof *q);
    free(q);
}

const tl_quic_counters *tl_quic_counters_of(const tl_quic *q)
{
    return &q->counters;
}

uint64_t tl_quic_held(const tl_quic *q)
{
    return q->memory.n;
}

void tl_quic_set_known(tl_quic *q, bool (*knows)(void *user, const tl_node_id *peer), void *user)
{
    q->knows = knows;
    q->knows_user = user;
}

void tl_quic_set_groups(tl_quic *q, uint64_t (*group_of)(void *user, tl_path_id path), void *user)
{
    q->group_of = group_of;
    q->group_user = user;
}

/* --- connections --- */

tl_err tl_quic_dial(tl_quic *q, const tl_node_id *peer, tl_path_id path, tl_time now, tl_unix wall,
                    tl_quic_conn **ret_conn)
{
    return tl_quic_dial_marked(q, peer, path, tl_slice_of(NULL, 0), now, wall, ret_conn);
}

tl_err tl_quic_dial_marked(tl_quic *q, const tl_node_id *peer, tl_path_id path, tl_slice mark,
                           tl_time now, tl_unix wall, tl_quic_conn **ret_conn)
{
    bury_dead(q);
    if (path == 0)
        return TL_ERR_INVALID;
    if (q->conns_n >= q->config.conns_max)
        return TL_ERR_BUSY;
    return tl_qconn_new_client(q, peer, path, mark, now, wall, ret_conn);
}

void tl_quic_conn_close(tl_quic_conn *c, uint64_t code, const char *reason, tl_time now)
{
    tl_qconn_close(c, code, reason, now);
}

tl_err tl_quic_conn_migrate(tl_quic_conn *c, tl_path_id path, tl_time now)
{
    if (!c->client || path == 0)
        return TL_ERR_INVALID;
    if (!c->ng)
        return TL_ERR_CLOSED;
    if (path == c->path)
        return TL_OK;
    ngtcp2_path_storage ps;
    tl_quic_path_set(&ps, true, &(tl_quic_where){.path = path});
    int rv = tl_timed_migrate(c, &ps.path, now);
    if (rv == NGTCP2_ERR_CONN_ID_BLOCKED || rv == NGTCP2_ERR_INVALID_STATE)
        return TL_ERR_AGAIN; /* there is no spare ID yet, or the handshake is not confirmed */
    if (rv)
        return TL_ERR_NOMEM;
    c->path = path;
    c->heard_here = 0;
    tl_size_on_path(c);
    tl_quiet_on_path(c);
    tl_qconn_ready(c);
    return TL_OK;
}

const tl_node_id *tl_quic_conn_peer(const tl_quic_conn *c)
{
    return &c->peer;
}

tl_path_id tl_quic_conn_path(const tl_quic_conn *c)
{
    return c->path;
}

bool tl_quic_conn_is_client(const tl_quic_conn *c)
{
    return c->client;
}

tl_suite tl_quic_conn_suite(const tl_quic_conn *c)
{
    return c->suite;
}

uint64_t tl_quic_conn_bytes_in(const tl_quic_conn *c)
{
    return c->bytes_in;
}

uint64_t tl_quic_conn_bytes_out(const tl_quic_conn *c)
{
    return c->bytes_out;
}

tl_time tl_quic_conn_rtt(const tl_quic_conn *c)
{
    if (!c->ng)
        return 0;
    tl_ngtcp2_info info;
    tl_ngtcp2_get_info(c->ng, &info);
    return info.min_rtt == UINT64_MAX ? 0 : info.smoothed_rtt;
}

uint64_t tl_quic_conn_heard_here(const tl_quic_conn *c)
{
    return c->heard_here;
}

size_t tl_quic_conn_timeouts(const tl_quic_conn *c)
{
    return c->ng ? tl_quiet_timeouts(c) : 0;
}

uint64_t tl_quic_conn_heard(const tl_quic_conn *c)
{
    return c->heard;
}

tl_time tl_quic_conn_heard_at(const tl_quic_conn *c)
{
    return c->heard_at;
}

void tl_quic_conn_set_keepalive(tl_quic_conn *c, tl_time every)
{
    if (!c->ng)
        return;
    ngtcp2_conn_set_keep_alive_timeout(c->ng, every ? every : c->quic->config.keepalive);
    tl_qconn_ready(c); /* the writer asks for the expiry again */
}

void tl_quic_conn_know(tl_quic_conn *c)
{
    tl_budget_on_known(c);
}

void tl_quic_conn_set_user(tl_quic_conn *c, void *user)
{
    c->user = user;
}

void *tl_quic_conn_user(const tl_quic_conn *c)
{
    return c->user;
}

/* --- input --- */

static void send_retry(tl_quic *q, tl_path_id path, const ngtcp2_pkt_hd *hd, tl_time now)
{
    uint8_t token[TL_RETRY_TOKEN_MAX], packet[TL_QUIC_PACKET_MAX];
    tl_retry_context context = {.path = path, .client_scid = hd->scid};
    context.new_dcid.datalen = TL_QUIC_CID_SIZE;
    tl_quic_cid_make(q->config.rand, context.new_dcid.data, TL_QUIC_CID_SIZE);
    size_t token_n =
        tl_retry_token_write(&q->retry_key, q->config.rand, &context, &hd->dcid, now, token);
    ngtcp2_ssize n = ngtcp2_pkt_write_retry(packet, sizeof packet, NGTCP2_PROTO_VER_V1, &hd->scid,
                                            &context.new_dcid, &hd->dcid, token, token_n,
                                            tl_keys_encrypt, &q->retry_aead, &q->retry_ctx);
    if (n <= 0)
        return;
    tl_quic_version_out(packet, (size_t)n);
    tl_quic_loose_push(q, path, tl_slice_of(packet, (size_t)n));
    q->counters.retries_sent++;
}

/* True: go on, with the original DCID in *ret_odcid if a good token came. False: the packet is
 * dealt with. */
static bool admit(tl_quic *q, tl_path_id path, const ngtcp2_pkt_hd *hd, tl_time now,
                  ngtcp2_cid *ret_odcid)
{
    if (q->conns_n >= q->config.conns_max || !tl_door_may_knock(q, path, now)) {
        q->counters.dropped_limit++;
        return false;
    }
    ngtcp2_vec token = tl_ngtcp2_hd_token(hd);
    if (token.len) {
        tl_retry_context context = {.path = path, .client_scid = hd->scid, .new_dcid = hd->dcid};
        if (tl_retry_token_open(&q->retry_key, &context, tl_slice_of(token.base, token.len), now,
                                ret_odcid)) {
            q->counters.dropped_auth++;
            return false;
        }
        return true;
    }
    if (q->half_open_n >= (q->config.half_open_max + 3) / 4) {
        send_retry(q, path, hd, now);
        return false;
    }
    return true;
}

static uint64_t drops(const tl_quic_counters *n)
{
    return n->dropped_short + n->dropped_unknown + n->dropped_auth + n->dropped_replay +
           n->dropped_limit;
}

/* The first packet led to no connection: counts the reason, once. */
static void count_refusal(tl_quic *q, tl_err why, uint64_t drops_before)
{
    if (drops(&q->counters) != drops_before)
        return; /* its seal did not open, which is counted already */
    switch (why) {
    case TL_ERR_AUTH: q->counters.dropped_auth++; break;
    case TL_ERR_REPLAY: q->counters.dropped_replay++; break;
    case TL_ERR_BUSY:
    case TL_ERR_NOMEM: q->counters.dropped_limit++; break;
    default: q->counters.dropped_unknown++;
    }
}

/* An Initial packet that belongs to no connection. Message 1 must be whole in it (it takes a third
 * of the room). So a stranger without a genuine message 1 gets no answer, and nothing is kept for
 * it. */
static void accept_initial(tl_quic *q, tl_path_id path, uint8_t *data, size_t n, tl_time now,
                           tl_unix wall)
{
    ngtcp2_pkt_hd hd;
    ngtcp2_cid odcid = {0};
    uint64_t drops_before = drops(&q->counters);
    uint64_t failed_before = q->counters.handshakes_failed;
    if (ngtcp2_accept(&hd, data, n) != 0 || hd.version != NGTCP2_PROTO_VER_V1) {
        q->counters.dropped_unknown++;
        return;
    }
    if (!admit(q, path, &hd, now, &odcid))
        return;
    tl_qconn_accept a = {.path = path, .hd = &hd, .original_dcid = odcid.datalen ? &odcid : NULL};
    tl_quic_conn *c;
    tl_err e = tl_qconn_new_server(q, &a, now, wall, &c);
    if (e) {
        count_refusal(q, e, drops_before);
        return;
    }
    tl_err why = TL_ERR_PROTO;
    c->refusal = &why;
    tl_quic_where where = {.path = path};
    if (tl_qconn_read(c, &where, data, n, now, wall)) {
        c->refusal = NULL;
        bool genuine = c->handshake && c->handshake->state == TL_HANDSHAKE_KEYED;
        if (genuine && tl_door_enter(c, now))
            return;
        why = genuine ? TL_ERR_BUSY : why;
        tl_qconn_free(c);
    }
    q->counters.handshakes_failed = failed_before; /* a refused handshake never began */
    count_refusal(q, why, drops_before);
}

/* A datagram of a connection that stands. What anybody can send under its ID is not its traffic. */
static void read_own(tl_quic *q, const tl_quic_owner *owner, uint8_t *data, size_t n, tl_time now,
                     tl_unix wall)
{
    tl_quic_conn *c = owner->conn;
    uint64_t heard = c->heard;
    if (!tl_qconn_read(c, &owner->where, data, n, now, wall))
        return;
    if (c->heard != heard)
        c->bytes_in += n;
    tl_budget_enforce(q, c, now);
}

void tl_quic_on_datagram(tl_quic *q, tl_path_id path, uint8_t *data, size_t n, tl_time now,
                         tl_unix wall)
{
    bury_dead(q);
    q->counters.datagrams_in++;
    q->counters.bytes_in += n;
    tl_quic_head head;
    if (n < DATAGRAM_MIN || n > DATAGRAM_MAX || path == 0) {
        q->counters.dropped_short++;
        return;
    }
    if (tl_quic_head_parse(tl_slice_of(data, n), &head) ||
        (head.is_long && tl_quic_version_in(data, n))) {
        q->counters.dropped_unknown++;
        return;
    }
    tl_quic_owner owner;
    if (tl_quic_table_find(q, head.dcid, path, &owner)) {
        if (owner.tomb)
            tl_quic_tomb_on_datagram(q, owner.tomb, path);
        else if (owner.misplaced)
            q->counters.dropped_auth++;
        else
            read_own(q, &owner, data, n, now, wall);
    } else if (head.is_long) {
        accept_initial(q, path, data, n, now, wall);
        tl_budget_enforce(q, NULL, now);
    } else {
        q->counters.dropped_unknown++;
    }
}

tl_path_id tl_quic_path_of(tl_quic *q, tl_slice datagram, bool *ret_client)
{
    tl_quic_head head;
    *ret_client = false;
    return tl_quic_head_parse(datagram, &head) ? 0 : tl_quic_table_path(q, head.dcid, ret_client);
}

bool tl_quic_is_marked(tl_slice datagram, tl_slice mark)
{
    tl_quic_head head;
    return !tl_quic_head_parse(datagram, &head) && head.is_long && tl_quic_mark_is(mark, head.scid);
}

tl_quic_conn *tl_quic_conn_of(tl_quic *q, tl_slice datagram)
{
    tl_quic_head head;
    return tl_quic_head_parse(datagram, &head) ? NULL : tl_quic_table_conn(q, head.dcid);
}

/* --- time --- */

void tl_quic_on_timer(tl_quic *q, tl_time now)
{
    bury_dead(q);
    tl_quic_tombs_on_timer(q, now);
    tl_quic_conn *c;
    while ((c = tl_quic_heap_top(q)) && c->expiry <= now) {
        tl_quic_heap_set(c, TL_NEVER); /* the writer sets the next expiry */
        (void)tl_qconn_on_timer(c, now);
    }
}

tl_time tl_quic_expiry(const tl_quic *q)
{
    const tl_quic_conn *c = tl_quic_heap_top(q);
    return tl_time_min(c ? c->expiry : TL_NEVER, tl_quic_tombs_expiry(q));
}

/* --- output --- */

static bool pop_held(tl_quic *q, uint8_t *buf, tl_quic_output *ret_output)
{
    if (q->held.n == 0)
        return false;
    memcpy(buf, q->held.packet, q->held.n);
    *ret_output = (tl_quic_output){.path = q->held.path, .n = q->held.n, .segment = q->held.n};
    q->held.n = 0;
    return true;
}

void tl_quic_set_held(tl_quic *q, bool (*held)(void *user, tl_path_id path), void *user)
{
    q->path_held = held;
    q->held_user = user;
}

static bool fill_in_turn(tl_quic *q, uint8_t *buf, tl_time now, tl_quic_output *ret_output)
{
    const tl_quic_conn *first_held = NULL;
    while (q->ready && q->ready != first_held) {
        tl_quic_conn *c = q->ready;
        tl_qconn_not_ready(c); /* taken out here and put at the end of the list, */
        tl_qconn_ready(c);
        if (q->path_held && q->path_held(q->held_user, c->path)) {
            first_held = first_held ? first_held : c;
            continue;
        }
        if (tl_writer_fill(c, buf, now,
                           ret_output)) { /* the writer takes it out when it has nothing
                                                          to send */
            c->bytes_out += ret_output->n;
            return true;
        }
    }
    return false;
}

bool tl_quic_next_output(tl_quic *q, uint8_t *buf, tl_time now, tl_quic_output *ret_output)
{
    bury_dead(q);
    if (!pop_held(q, buf, ret_output) && !tl_quic_loose_pop(q, buf, ret_output) &&
        !fill_in_turn(q, buf, now, ret_output))
        return false;
    q->counters.datagrams_out += (ret_output->n + ret_output->segment - 1) / ret_output->segment;
    q->counters.bytes_out += ret_output->n;
    return true;
}

/* --- events --- */

static void fill_event(const tl_quic_source *s, tl_quic_event_type type, tl_quic_event *ret_event)
{
    *ret_event = (tl_quic_event){.type = type, .conn = s->conn, .stream = s->stream};
    if (type == TL_QUIC_STREAM_RESET)
        ret_event->code = s->stream->code;
    if (type == TL_QUIC_CLOSED) {
        ret_event->code = s->conn->code;
        ret_event->error = s->conn->error;
        memcpy(ret_event->why, s->conn->why, sizeof ret_event->why);
    }
}

bool tl_quic_next_event(tl_quic *q, tl_quic_event *ret_event)
{
    bury_dead(q);
    tl_quic_source *s;
    tl_quic_event_type type;
    if (!tl_quic_events_next(q, &s, &type))
        return false;
    fill_event(s, type, ret_event);
    switch (type) {
    case TL_QUIC_STREAM_READABLE: tl_qstream_settle(s->stream); break;
    case TL_QUIC_STREAM_CLOSED:
        if (s->conn->ng && !ngtcp2_conn_is_local_stream(s->conn->ng, s->stream->id))
            tl_budget_on_stream_over(s->conn);
        q->dead_stream = s->stream;
        break;
    case TL_QUIC_CLOSED: q->dead_conn = s->conn; break;
    default: break;
    }
    return true;
}
