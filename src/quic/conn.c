#include "quic/conn.h"

#include "base/log.h"
#include "quic/acks.h"
#include "quic/budget.h"
#include "quic/callbacks.h"
#include "quic/cid.h"
#include "quic/door.h"
#include "quic/events.h"
#include "quic/heap.h"
#include "quic/mark.h"
#include "quic/paths.h"
#include "quic/quiet.h"
#include "quic/size.h"
#include "quic/stream.h"
#include "quic/table.h"
#include "quic/timed.h"
#include "quic/tomb.h"
#include "quic/version.h"
#include "quic/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define CLIENT_DCID_SIZE     16 /* RFC 9000 7.2: at least 8, unpredictable */
#define CONNECTION_IDS_MAX   8  /* libngtcp2 asserts on more */
#define CLOSE_REASON_MAX     64 /* fits `why` of the peer's event */
#define PACKET_WITHOUT_PMTUD 1200

/* Some of libngtcp2's deadlines do nothing at their very nanosecond (`<` here, `<=` there), or do
 * nothing while the congestion window is full. If libngtcp2 was told of a time and still asks for
 * that time, the next call waits this long. */
#define UNMOVED_EXPIRY TL_MS
#define BARRED_EXPIRY  (100 * TL_MS) /* only its time limits are left to wait for */

static void fill_settings(tl_quic *q, tl_time now, ngtcp2_settings *ret_settings)
{
    ngtcp2_settings_default(ret_settings);
    ret_settings->cc_algo = NGTCP2_CC_ALGO_BBR; /* in 0.12, CUBIC's window grows beyond 90 MB after
                                                   a migration */
    ret_settings->initial_ts = now;
    ret_settings->handshake_timeout = q->config.handshake_timeout;
    ret_settings->rand_ctx.native_handle = q->config.rand;
    ret_settings->no_pmtud = !q->config.pmtud;
    if (!q->config.pmtud)
        ret_settings->max_tx_udp_payload_size = PACKET_WITHOUT_PMTUD;
}

static void fill_params(const tl_quic_conn *c, ngtcp2_transport_params *ret_params)
{
    const tl_quic *q = c->quic;
    ngtcp2_transport_params_default(ret_params);
    ret_params->initial_max_stream_data_bidi_local = tl_window_first(&q->config);
    ret_params->initial_max_stream_data_bidi_remote = tl_window_first(&q->config);
    tl_budget_fill(c, ret_params);
    ret_params->max_ack_delay = TL_ACKS_MAX;
    ret_params->max_idle_timeout = q->config.idle_timeout;
    ret_params->active_connection_id_limit = CONNECTION_IDS_MAX;
}

static ngtcp2_cid random_cid(tl_rand *rand, size_t n)
{
    ngtcp2_cid cid = {.datalen = n};
    tl_quic_cid_make(rand, cid.data, n);
    return cid;
}

static tl_slice cid_slice(const ngtcp2_cid *cid)
{
    return tl_slice_of(cid->data, cid->datalen);
}

void tl_qconn_end_handshake(tl_quic_conn *c)
{
    if (c->handshake)
        tl_handshake_clear(c->handshake);
    free(c->handshake);
    free(c->inbox);
    c->handshake = NULL;
    c->inbox = NULL;
}

/* Makes a connection without its ngtcp2_conn, counted and in the list. */
static tl_quic_conn *conn_alloc(tl_quic *q, bool client, tl_path_id path, tl_time now, tl_unix wall)
{
    tl_quic_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->handshake = calloc(1, sizeof *c->handshake);
    c->inbox = calloc(2, sizeof *c->inbox);
    if (!c->handshake || !c->inbox) {
        tl_qconn_end_handshake(c);
        free(c);
        return NULL;
    }
    tl_quic_source_init(&c->source, c, NULL);
    c->quic = q;
    c->keys_owner = (tl_keys_owner){&q->counters, tl_qstream_admits, c};
    c->client = client;
    c->path = path;
    c->now = c->heard_at = now;
    c->wall = wall;
    c->heap_i = TL_HEAP_NONE;
    c->expiry = TL_NEVER;
    tl_budget_conn_init(c);
    DL_APPEND(q->conns, c);
    q->conns_n++;
    return c;
}

tl_err tl_qconn_new_client(tl_quic *q, const tl_node_id *peer, tl_path_id path, tl_slice mark,
                           tl_time now, tl_unix wall, tl_quic_conn **ret_conn)
{
    tl_quic_conn *c = conn_alloc(q, true, path, now, wall);
    if (!c)
        return TL_ERR_NOMEM;
    c->peer = *peer;
    (void)tl_budget_look_up(c);
    ngtcp2_cid dcid = random_cid(q->config.rand, CLIENT_DCID_SIZE);
    ngtcp2_cid scid = random_cid(q->config.rand, TL_QUIC_CID_SIZE);
    if (mark.n)
        tl_quic_mark_write(mark, scid.data);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage ps;
    fill_settings(q, now, &settings);
    fill_params(c, &params);
    tl_quic_path_set(&ps, true, &(tl_quic_where){.path = path});

    tl_err e = tl_handshake_init_client(c->handshake, q->config.identity, peer, q->config.suites);
    if (!e)
        e = tl_quic_table_add(c, cid_slice(&scid));
    ngtcp2_conn *ng; /* if libngtcp2 fails, it leaves a useless pointer here */
    if (!e && ngtcp2_conn_client_new(&ng, &dcid, &scid, &ps.path, NGTCP2_PROTO_VER_V1,
                                     &q->callbacks, &settings, &params, &c->mem, c))
        e = TL_ERR_NOMEM;
    if (e) {
        tl_qconn_free(c);
        return e;
    }
    c->ng = ng;
    ngtcp2_conn_set_keep_alive_timeout(ng, q->config.keepalive);
    tl_qconn_ready(c);
    *ret_conn = c;
    return TL_OK;
}

tl_err tl_qconn_new_server(tl_quic *q, const tl_qconn_accept *a, tl_time now, tl_unix wall,
                           tl_quic_conn **ret_conn)
{
    tl_quic_conn *c = conn_alloc(q, false, a->path, now, wall);
    if (!c)
        return TL_ERR_NOMEM;
    ngtcp2_cid scid = random_cid(q->config.rand, TL_QUIC_CID_SIZE);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage ps;
    fill_settings(q, now, &settings);
    fill_params(c, &params);
    tl_quic_path_set(&ps, false, &(tl_quic_where){.path = a->path});
    tl_ngtcp2_set_original_dcid(&params, a->original_dcid ? a->original_dcid : &a->hd->dcid);
    if (a->original_dcid) {
        ngtcp2_vec token = tl_ngtcp2_hd_token(a->hd);
        tl_ngtcp2_set_token(&settings, token.base, token.len);
        params.retry_scid = a->hd->dcid;
        params.retry_scid_present = 1;
    }
    params.stateless_reset_token_present = 1;
    tl_rand_bytes(q->config.rand, params.stateless_reset_token,
                  sizeof params.stateless_reset_token);

    tl_handshake_init_server(c->handshake, q->config.identity, q->config.suites);
    tl_err e = tl_quic_table_add(c, cid_slice(&scid));
    if (!e)
        e = tl_quic_table_add(c, cid_slice(&a->hd->dcid));
    ngtcp2_conn *ng;
    if (!e && ngtcp2_conn_server_new(&ng, &a->hd->scid, &scid, &ps.path, NGTCP2_PROTO_VER_V1,
                                     &q->callbacks, &settings, &params, &c->mem, c))
        e = TL_ERR_NOMEM;
    if (e) {
        tl_qconn_free(c);
        return e;
    }
    tl_quic_table_bind(c, a->path);
    c->ng = ng;
    /* Later than the client's, so that one side asks and the other only answers. */
    ngtcp2_conn_set_keep_alive_timeout(ng, q->config.keepalive + q->config.keepalive / 8);
    *ret_conn = c;
    return TL_OK;
}

/* --- ready list and timer --- */

void tl_qconn_ready(tl_quic_conn *c)
{
    if (c->ready || !c->ng)
        return;
    DL_APPEND2(c->quic->ready, c, ready_prev, ready_next);
    c->ready = true;
}

void tl_qconn_not_ready(tl_quic_conn *c)
{
    if (c->ready)
        DL_DELETE2(c->quic->ready, c, ready_prev, ready_next);
    c->ready = false;
}

void tl_qconn_update_expiry(tl_quic_conn *c)
{
    tl_time expiry = tl_acks_expiry(c);
    if (expiry <= c->now)
        expiry = c->now + (c->barred ? BARRED_EXPIRY : UNMOVED_EXPIRY);
    tl_quic_heap_set(c, tl_time_min(expiry, tl_budget_expiry(c)));
}

void tl_qconn_bar(tl_quic_conn *c)
{
    c->barred = true;
    tl_qconn_not_ready(c);
    tl_qconn_update_expiry(c);
}

/* --- input --- */

static void notice_path(tl_quic_conn *c)
{
    tl_path_id path = tl_quic_path_get(ngtcp2_conn_get_path(c->ng), c->client);
    if (path == c->path)
        return;
    c->path = path;
    tl_size_on_path(c);
    tl_quiet_on_path(c);
    if (!c->client && c->state == TL_QUIC_OPEN)
        tl_quic_note(&c->source, TL_QUIC_PATH_CHANGED);
}

bool tl_qconn_read(tl_quic_conn *c, const tl_quic_where *where, const uint8_t *data, size_t n,
                   tl_time now, tl_unix wall)
{
    ngtcp2_path_storage ps;
    tl_quic_path_set(&ps, c->client, where);
    c->wall = wall;
    uint64_t opened = c->quic->counters.packets_opened;
    int rv = tl_timed_read(c, &ps.path, data, n, now);
    opened = c->quic->counters.packets_opened - opened;
    c->heard += opened;
    c->heard_at = opened ? now : c->heard_at;
    c->heard_here += where->path == c->path ? opened : 0;
    if (rv) {
        tl_qconn_fail(c, rv, now);
        return false;
    }
    c->barred = false;
    tl_acks_on_read(c);
    if (tl_quiet_on_read(c))
        tl_size_on_ack(c);
    notice_path(c);
    tl_qconn_ready(c);
    return true;
}

bool tl_qconn_on_timer(tl_quic_conn *c, tl_time now)
{
    int rv = tl_timed_expire(c, now);
    c->expired_at = c->now;
    if (rv) {
        tl_qconn_fail(c, rv, now);
        return false;
    }
    tl_size_on_timer(c, now);
    tl_budget_on_timer(c);
    tl_qconn_ready(c);
    return true;
}

/* --- the end --- */

static void release_lib(tl_quic_conn *c)
{
    tl_door_leave(c);
    tl_qconn_not_ready(c);
    tl_quic_heap_set(c, TL_NEVER);
    ngtcp2_conn_del(c->ng);
    c->ng = NULL;
    tl_qconn_end_handshake(c);
    tl_quic_table_remove_all(c->quic, &c->cids);
}

void tl_qconn_free(tl_quic_conn *c)
{
    tl_quic *q = c->quic;
    while (c->streams)
        tl_qstream_free(c->streams);
    release_lib(c);
    tl_quic_source_remove(&c->source);
    DL_DELETE(q->conns, c);
    q->conns_n--;
    free(c);
}

void tl_qconn_end(tl_quic_conn *c, tl_err error, uint64_t code, const char *why)
{
    if (c->state == TL_QUIC_HANDSHAKING) {
        c->quic->counters.handshakes_failed++;
        if (!c->client) {
            tl_qconn_free(c);
            return;
        }
    }
    c->state = TL_QUIC_ENDED;
    c->error = error;
    c->code = code;
    snprintf(c->why, sizeof c->why, "%s", why);
    release_lib(c);
    tl_quic_stream *s;
    DL_FOREACH (c->streams, s)
        tl_qstream_on_conn_ended(s);
    tl_quic_note(&c->source, TL_QUIC_CLOSED);
}

/* Writes CONNECTION_CLOSE and leaves a tomb that repeats it. */
static void send_close(tl_quic_conn *c, const ngtcp2_ccerr *err, tl_time now)
{
    uint8_t packet[TL_QUIC_PACKET_MAX];
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    ngtcp2_ssize n = tl_timed_close(c, &ps.path, packet, sizeof packet, err, now);
    if (n <= 0)
        return; /* nothing was received or sent yet: there is nobody to tell */
    tl_quic_version_out(packet, (size_t)n);
    tl_quic_tomb_raise(c, tl_quic_path_get(&ps.path, c->client), tl_slice_of(packet, (size_t)n),
                       now);
}

void tl_qconn_close(tl_quic_conn *c, uint64_t code, const char *reason, tl_time now)
{
    if (!c->ng)
        return;
    size_t n = strlen(reason);
    ngtcp2_ccerr err = {0};
    ngtcp2_ccerr_set_application_error(&err, code, (const uint8_t *)reason,
                                       n < CLOSE_REASON_MAX ? n : CLOSE_REASON_MAX);
    send_close(c, &err, now);
    tl_qconn_end(c, TL_OK, code, reason);
}

void tl_qconn_refuse(tl_quic_conn *c, const char *why, tl_time now)
{
    ngtcp2_ccerr err = {0};
    ngtcp2_ccerr_set_transport_error(&err, NGTCP2_INTERNAL_ERROR, (const uint8_t *)why,
                                     strlen(why));
    if (c->state == TL_QUIC_OPEN) /* a peer that has not proven itself gets no answer */
        send_close(c, &err, now);
    tl_qconn_end(c, TL_ERR_BUSY, 0, why);
}

/* The peer's CONNECTION_CLOSE came. Before the handshake is done, anybody between us and the peer
 * can write one, so then its words are not shown. */
static void end_closed_by_peer(tl_quic_conn *c)
{
    ngtcp2_ccerr err = tl_ngtcp2_get_ccerr(c->ng);
    char why[sizeof c->why];
    if (c->state == TL_QUIC_HANDSHAKING) {
        tl_qconn_end(c, TL_ERR_PROTO, 0,
                     "refused during the handshake, by a sender that proved nothing");
        return;
    }
    tl_safe reason = tl_log_safe(tl_slice_of(err.reason, err.reasonlen));
    if (err.type == NGTCP2_CCERR_TYPE_APPLICATION) {
        tl_qconn_end(c, TL_OK, err.error_code, reason.text);
        return;
    }
    snprintf(why, sizeof why, "the peer reports QUIC error 0x%llx%s%.48s",
             (unsigned long long)err.error_code, err.reasonlen ? ": " : "", reason.text);
    tl_qconn_end(c, err.error_code == NGTCP2_NO_ERROR ? TL_OK : TL_ERR_PROTO, 0, why);
}

static const char *failure_text(const tl_quic_conn *c)
{
    if (c->failure == TL_ERR_AUTH && c->client)
        return "the answer is not from the node that was dialled";
    return tl_err_name(c->failure);
}

void tl_qconn_fail(tl_quic_conn *c, int liberr, tl_time now)
{
    ngtcp2_ccerr err = {0};
    if (c->refusal && liberr == NGTCP2_ERR_CALLBACK_FAILURE)
        *c->refusal = c->failure;
    switch (liberr) {
    case NGTCP2_ERR_DRAINING: end_closed_by_peer(c); return;
    case NGTCP2_ERR_IDLE_CLOSE: tl_qconn_end(c, TL_ERR_TIMEOUT, 0, "nothing heard"); return;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        tl_qconn_end(c, TL_ERR_TIMEOUT, 0, "the handshake took too long");
        return;
    case NGTCP2_ERR_CLOSING:
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY: tl_qconn_end(c, TL_ERR_PROTO, 0, "dropped"); return;
    case NGTCP2_ERR_NOMEM: c->failure = TL_ERR_NOMEM; break;
    case NGTCP2_ERR_CALLBACK_FAILURE: break;
    default: c->failure = TL_ERR_PROTO;
    }
    /* A peer that has not proven itself gets no answer. */
    if (c->state == TL_QUIC_OPEN) {
        ngtcp2_ccerr_set_liberr(&err, liberr, NULL, 0);
        send_close(c, &err, now);
    }
    bool ours = liberr == NGTCP2_ERR_CALLBACK_FAILURE;
    tl_qconn_end(c, c->failure, 0, ours ? failure_text(c) : ngtcp2_strerror(liberr));
}
