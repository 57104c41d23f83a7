#include "quic/callbacks.h"

#include "quic/budget.h"
#include "quic/cid.h"
#include "quic/conn.h"
#include "quic/door.h"
#include "quic/events.h"
#include "quic/keys.h"
#include "quic/stream.h"
#include "quic/table.h"
#include "quic/version.h"

#include <sodium.h>

enum { INBOX_INITIAL, INBOX_HANDSHAKE };

/* libngtcp2 reports every failing callback with the same error, so the reason is kept in the
 * connection. */
static int fail(tl_quic_conn *c, tl_err e)
{
    c->failure = e;
    return NGTCP2_ERR_CALLBACK_FAILURE;
}

/* --- handshake --- */

/* libngtcp2 always offers to have the fixed bit greased (RFC 9287). Then our short packets could
 * begin with the first bytes of STUN and control datagrams. So the offer is taken out. */
static tl_err encode_params(tl_quic_conn *c, uint8_t ret[TL_HANDSHAKE_PARAMS_MAX], size_t *ret_n)
{
    ngtcp2_transport_params params = *ngtcp2_conn_get_local_transport_params(c->ng);
    params.grease_quic_bit = 0;
    ngtcp2_ssize n = tl_ngtcp2_encode_params(ret, TL_HANDSHAKE_PARAMS_MAX, c->client, &params);
    if (n < 0)
        return TL_ERR_TOO_LARGE;
    *ret_n = (size_t)n;
    return TL_OK;
}

static tl_err install_level(tl_quic_conn *c, bool application)
{
    uint8_t client[32], server[32];
    tl_handshake_secret(c->handshake,
                        application ? TL_SECRET_CLIENT_APPLICATION : TL_SECRET_CLIENT_HANDSHAKE,
                        client);
    tl_handshake_secret(c->handshake,
                        application ? TL_SECRET_SERVER_APPLICATION : TL_SECRET_SERVER_HANDSHAKE,
                        server);
    tl_aead_alg alg = (tl_aead_alg)c->suite;
    tl_err e = (application ? tl_keys_install_application : tl_keys_install_handshake)(
        c->ng, alg, c->client ? server : client, c->client ? client : server, &c->keys_owner);
    sodium_memzero(client, sizeof client);
    sodium_memzero(server, sizeof server);
    return e;
}

static void choose_suite(tl_quic_conn *c)
{
    c->suite = (tl_suite)c->handshake->suite;
    ngtcp2_crypto_ctx ctx =
        tl_keys_crypto_ctx((tl_aead_alg)c->suite, c->quic->config.key_update_packets);
    ngtcp2_conn_set_crypto_ctx(c->ng, &ctx);
}

static tl_err client_start(tl_quic_conn *c)
{
    const ngtcp2_cid *dcid = ngtcp2_conn_get_dcid(c->ng);
    tl_err e = tl_keys_install_initial(c->ng, dcid, true, &c->keys_owner);
    if (e)
        return e;
    ngtcp2_crypto_aead retry_aead;
    ngtcp2_crypto_aead_ctx retry_ctx;
    e = tl_keys_retry(&retry_aead, &retry_ctx);
    if (e)
        return e;
    ngtcp2_conn_set_retry_aead(c->ng, &retry_aead, &retry_ctx); /* takes it over */

    uint8_t params[TL_HANDSHAKE_PARAMS_MAX], message[TL_HANDSHAKE_MESSAGE_MAX];
    size_t params_n, n;
    e = encode_params(c, params, &params_n);
    if (e)
        return e;
    e = tl_handshake_write_msg1(c->handshake, c->quic->config.rand, (uint64_t)c->wall,
                                tl_slice_of(params, params_n), message, &n);
    if (e)
        return e;
    if (ngtcp2_conn_submit_crypto_data(c->ng, NGTCP2_ENCRYPTION_LEVEL_INITIAL, message, n))
        return TL_ERR_NOMEM;
    return TL_OK;
}

static int on_client_initial(ngtcp2_conn *ng, void *user_data)
{
    (void)ng;
    tl_quic_conn *c = user_data;
    tl_err e = client_start(c);
    return e ? fail(c, e) : 0;
}

static int on_recv_client_initial(ngtcp2_conn *ng, const ngtcp2_cid *dcid, void *user_data)
{
    tl_quic_conn *c = user_data;
    tl_err e = tl_keys_install_initial(ng, dcid, false, &c->keys_owner);
    return e ? fail(c, e) : 0;
}

static int on_retry(ngtcp2_conn *ng, const ngtcp2_pkt_hd *hd, void *user_data)
{
    tl_quic_conn *c = user_data;
    tl_err e = tl_keys_install_initial(ng, &hd->scid, true, &c->keys_owner);
    return e ? fail(c, e) : 0;
}

/* Answers message 1, which is genuine and new. */
static tl_err server_answer(tl_quic_conn *c, tl_slice client_params)
{
    if (ngtcp2_conn_decode_and_set_remote_transport_params(c->ng, client_params.p, client_params.n))
        return TL_ERR_PROTO;
    c->peer = c->handshake->peer;
    if (tl_budget_look_up(c)) {
        ngtcp2_transport_params ours = *ngtcp2_conn_get_local_transport_params(c->ng);
        tl_budget_fill(c, &ours);
        if (ngtcp2_conn_set_local_transport_params(c->ng, &ours))
            return TL_ERR_PROTO;
    }

    uint8_t message[TL_HANDSHAKE_MESSAGE_MAX], params[TL_HANDSHAKE_PARAMS_MAX];
    size_t n, params_n;
    tl_err e = tl_handshake_write_msg2(c->handshake, c->quic->config.rand, message, &n);
    if (e)
        return e;
    choose_suite(c);
    if (ngtcp2_conn_submit_crypto_data(c->ng, NGTCP2_ENCRYPTION_LEVEL_INITIAL, message, n))
        return TL_ERR_NOMEM;
    e = install_level(c, false);
    if (e)
        return e;
    /* libngtcp2 knows initial_source_connection_id only now. */
    e = encode_params(c, params, &params_n);
    if (e)
        return e;
    e = tl_handshake_frame(tl_slice_of(params, params_n), message, &n);
    if (e)
        return e;
    if (ngtcp2_conn_submit_crypto_data(c->ng, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, message, n))
        return TL_ERR_NOMEM;
    return TL_OK;
}

static tl_err server_on_initial(tl_quic_conn *c, tl_slice message)
{
    uint8_t params[TL_HANDSHAKE_MESSAGE_MAX];
    size_t params_n;
    if (c->handshake->state != TL_HANDSHAKE_NEW)
        return TL_ERR_PROTO;
    tl_err e = tl_handshake_on_msg1(c->handshake, message, params, &params_n);
    if (e)
        return e;
    const tl_noise *noise = &c->handshake->noise;
    e = tl_replay_check(&c->quic->replay, noise->rs_public, noise->re_public,
                        c->handshake->timestamp, c->now);
    if (e)
        return e;
    return server_answer(c, tl_slice_of(params, params_n));
}

static tl_err server_on_finished(tl_quic_conn *c, tl_slice message)
{
    if (c->handshake->state != TL_HANDSHAKE_KEYED)
        return TL_ERR_PROTO;
    tl_err e = tl_handshake_check_finished(c->handshake, message);
    if (e)
        return e;
    e = install_level(c, true);
    if (e)
        return e;
    ngtcp2_conn_tls_handshake_completed(c->ng);
    return TL_OK;
}

static tl_err client_on_initial(tl_quic_conn *c, tl_slice message)
{
    if (c->handshake->state != TL_HANDSHAKE_WAIT_MSG2)
        return TL_ERR_PROTO;
    tl_err e = tl_handshake_on_msg2(c->handshake, message);
    if (e)
        return e;
    choose_suite(c);
    return install_level(c, false);
}

static tl_err client_on_params(tl_quic_conn *c, tl_slice message)
{
    if (c->handshake->state != TL_HANDSHAKE_KEYED)
        return TL_ERR_PROTO;
    if (ngtcp2_conn_decode_and_set_remote_transport_params(c->ng, message.p, message.n))
        return TL_ERR_PROTO;
    tl_err e = install_level(c, true);
    if (e)
        return e;
    uint8_t finished[TL_HANDSHAKE_FINISHED_SIZE];
    tl_handshake_write_finished(c->handshake, finished);
    if (ngtcp2_conn_submit_crypto_data(c->ng, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, finished,
                                       sizeof finished))
        return TL_ERR_NOMEM;
    ngtcp2_conn_tls_handshake_completed(c->ng);
    return TL_OK;
}

/* `finished` has no length in front: its length is known. */
static tl_err take_finished(const tl_handshake_inbox *in, tl_slice *ret_message)
{
    if (in->n < TL_HANDSHAKE_FINISHED_SIZE)
        return TL_ERR_AGAIN;
    *ret_message = tl_slice_of(in->data, in->n);
    return TL_OK;
}

static tl_err on_crypto(tl_quic_conn *c, bool initial, tl_slice bytes)
{
    if (!c->handshake)
        return TL_ERR_PROTO;
    tl_handshake_inbox *in = &c->inbox[initial ? INBOX_INITIAL : INBOX_HANDSHAKE];
    tl_slice message;
    tl_err e = tl_handshake_inbox_add(in, bytes);
    if (e)
        return e;
    e = !c->client && !initial ? take_finished(in, &message)
                               : tl_handshake_inbox_message(in, &message);
    if (e)
        return e == TL_ERR_AGAIN ? TL_OK : e;
    if (c->client)
        return initial ? client_on_initial(c, message) : client_on_params(c, message);
    return initial ? server_on_initial(c, message) : server_on_finished(c, message);
}

static int on_recv_crypto_data(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset,
                               const uint8_t *data, size_t n, void *user_data)
{
    (void)ng, (void)offset;
    tl_quic_conn *c = user_data;
    bool initial = level == NGTCP2_ENCRYPTION_LEVEL_INITIAL;
    if (!initial && level != NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE)
        return fail(c, TL_ERR_PROTO);
    tl_err e = on_crypto(c, initial, tl_slice_of(data, n));
    return e ? fail(c, e) : 0;
}

static int on_handshake_completed(ngtcp2_conn *ng, void *user_data)
{
    (void)ng;
    tl_quic_conn *c = user_data;
    c->state = TL_QUIC_OPEN;
    c->quic->counters.handshakes_done++;
    tl_qconn_end_handshake(c);
    if (!c->client && !tl_door_pass(c))
        return fail(c, TL_ERR_BUSY);
    tl_quic_note(&c->source, TL_QUIC_CONNECTED);
    return 0;
}

/* --- streams --- */

static int on_stream_open(ngtcp2_conn *ng, int64_t id, void *user_data)
{
    tl_quic_conn *c = user_data;
    tl_quic_stream *s;
    tl_err e = tl_qstream_accept(c, id, &s);
    if (e)
        return fail(c, e);
    if (ngtcp2_conn_set_stream_user_data(ng, id, s))
        return fail(c, TL_ERR_PROTO);
    tl_quic_note(&s->source, TL_QUIC_STREAM_OPENED);
    return 0;
}

static int on_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t n, void *user_data, void *stream_user_data)
{
    (void)ng, (void)id, (void)offset;
    tl_quic_conn *c = user_data;
    tl_quic_stream *s = stream_user_data;
    c->data_came = true;
    c->end_came = c->end_came || flags & NGTCP2_STREAM_DATA_FLAG_FIN;
    if (!s)
        return 0;
    tl_err e = tl_qstream_on_data(s, tl_slice_of(data, n), flags & NGTCP2_STREAM_DATA_FLAG_FIN);
    return e ? fail(user_data, e) : 0;
}

static int on_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t n, void *user_data,
                    void *stream_user_data)
{
    (void)ng, (void)id, (void)offset, (void)user_data;
    if (stream_user_data)
        tl_qstream_on_acked(stream_user_data, (size_t)n);
    return 0;
}

static int on_stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    (void)ng, (void)id, (void)final_size, (void)user_data;
    if (stream_user_data) /* else it was reset before it was opened here, and nobody knows of it */
        tl_qstream_on_reset(stream_user_data, code);
    return 0;
}

static int on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    (void)ng, (void)id, (void)user_data;
    if (stream_user_data)
        tl_qstream_on_finished(stream_user_data,
                               flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET ? &code : NULL);
    return 0;
}

static int on_more_streams(ngtcp2_conn *ng, uint64_t max_streams, void *user_data)
{
    (void)ng, (void)max_streams;
    tl_quic_conn *c = user_data;
    if (c->want_streams)
        tl_quic_note(&c->source, TL_QUIC_STREAMS_AVAILABLE);
    c->want_streams = false;
    return 0;
}

static int on_more_stream_data(ngtcp2_conn *ng, int64_t id, uint64_t max_data, void *user_data,
                               void *stream_user_data)
{
    (void)ng, (void)id, (void)max_data, (void)user_data;
    if (stream_user_data)
        tl_qstream_schedule(stream_user_data);
    return 0;
}

/* --- connection IDs, keys, randomness --- */

static int on_new_connection_id(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t n,
                                void *user_data)
{
    (void)ng;
    tl_quic_conn *c = user_data;
    tl_quic_cid_make(c->quic->config.rand, cid->data, n);
    cid->datalen = n;
    tl_rand_bytes(c->quic->config.rand, token, NGTCP2_STATELESS_RESET_TOKENLEN);
    tl_err e = tl_quic_table_add(c, tl_slice_of(cid->data, n));
    return e ? fail(c, e) : 0;
}

static int on_remove_connection_id(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *user_data)
{
    (void)ng;
    tl_quic_table_remove(user_data, tl_slice_of(cid->data, cid->datalen));
    return 0;
}

static int on_update_key(ngtcp2_conn *ng, uint8_t *rx_secret, uint8_t *tx_secret,
                         ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
                         ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv, const uint8_t *current_rx,
                         const uint8_t *current_tx, size_t secret_n, void *user_data)
{
    (void)ng, (void)secret_n;
    tl_quic_conn *c = user_data;
    tl_err e = tl_keys_next((tl_aead_alg)c->suite, current_rx, current_tx, rx_secret, tx_secret,
                            rx_ctx, rx_iv, tx_ctx, tx_iv, &c->keys_owner);
    if (e)
        return fail(c, e);
    /* The first call only prepares. Each later one follows an update. */
    if (c->first_keys_made)
        c->quic->counters.key_updates++;
    c->first_keys_made = true;
    return 0;
}

static int on_path_challenge(ngtcp2_conn *ng, uint8_t *data, void *user_data)
{
    (void)ng;
    tl_quic_conn *c = user_data;
    tl_rand_bytes(c->quic->config.rand, data, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

/* There is one version, and version.c lets no other version in. */
static int on_version_negotiation(ngtcp2_conn *ng, uint32_t version, const ngtcp2_cid *dcid,
                                  void *user_data)
{
    (void)ng, (void)version, (void)dcid;
    return fail(user_data, TL_ERR_PROTO);
}

void tl_quic_callback_rand(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *rand_ctx)
{
    tl_rand_bytes(rand_ctx->native_handle, dest, n);
}

void tl_quic_callbacks_init(ngtcp2_callbacks *ret_callbacks)
{
    *ret_callbacks = (ngtcp2_callbacks){
        .client_initial = on_client_initial,
        .recv_client_initial = on_recv_client_initial,
        .recv_crypto_data = on_recv_crypto_data,
        .handshake_completed = on_handshake_completed,
        .encrypt = tl_keys_encrypt,
        .decrypt = tl_keys_decrypt,
        .hp_mask = tl_keys_hp_mask,
        .recv_stream_data = on_stream_data,
        .acked_stream_data_offset = on_acked,
        .stream_open = on_stream_open,
        .stream_close = on_stream_close,
        .recv_retry = on_retry,
        .extend_max_local_streams_bidi = on_more_streams,
        .rand = tl_quic_callback_rand,
        .get_new_connection_id = on_new_connection_id,
        .remove_connection_id = on_remove_connection_id,
        .update_key = on_update_key,
        .stream_reset = on_stream_reset,
        .extend_max_stream_data = on_more_stream_data,
        .delete_crypto_aead_ctx = tl_keys_delete_aead,
        .delete_crypto_cipher_ctx = tl_keys_delete_cipher,
        .get_path_challenge_data = on_path_challenge,
        .version_negotiation = on_version_negotiation,
    };
}
