#include "raw_peer.h"

#include "initial.h"
#include "quic/quic_compat.h"
#include "quic/version.h"

#include "crypto/aead.h"

#include <stdlib.h>

#define ORIGINAL_DCID TL_SLICE_LIT("original")
#define NUMBER_SIZE   4

static void must(bool ok)
{
    if (!ok)
        abort();
}

size_t raw_varint(uint8_t *ret, uint64_t value)
{
    unsigned log = value < 64 ? 0 : value < 16384 ? 1 : value < 1073741824 ? 2 : 3;
    size_t n = (size_t)1 << log;
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    ret[0] |= (uint8_t)(log << 6);
    return n;
}

/* --- packets --- */

typedef struct {
    tl_aead_alg alg;
    uint8_t key[32], iv[12], hp[32];
} keys;

static keys keys_of(const raw_peer *p, tl_handshake_secret_id id)
{
    keys k = {.alg = (tl_aead_alg)p->handshake.suite};
    uint8_t secret[32];
    tl_handshake_secret(&p->handshake, id, secret);
    tl_hkdf_expand_label(secret, "teale ", "quic key", k.key, tl_aead_key_size(k.alg));
    tl_hkdf_expand_label(secret, "teale ", "quic iv", k.iv, sizeof k.iv);
    tl_hkdf_expand_label(secret, "teale ", "quic hp", k.hp, tl_aead_key_size(k.alg));
    return k;
}

static void mask_of(const keys *k, const uint8_t *sample, uint8_t ret[5])
{
    tl_hp *hp;
    must(tl_hp_new(k->alg, k->hp, &hp) == TL_OK && tl_hp_mask(hp, sample, ret) == TL_OK);
    tl_hp_free(hp);
}

static void nonce_of(const keys *k, uint64_t number, uint8_t ret[12])
{
    memcpy(ret, k->iv, 12);
    for (int i = 0; i < 8; i++)
        ret[11 - i] ^= (uint8_t)(number >> (8 * i));
}

/* Seals `frames` behind the header (with its packet number) of head_n bytes in `packet`. */
static size_t seal(const keys *k, uint8_t *packet, size_t head_n, uint64_t number, tl_slice frames)
{
    uint8_t nonce[12], mask[5];
    tl_aead *a;
    nonce_of(k, number, nonce);
    must(tl_aead_new(k->alg, TL_AEAD_SEAL, k->key, &a) == TL_OK);
    must(tl_aead_seal(a, nonce, tl_slice_of(packet, head_n), frames, packet + head_n) == TL_OK);
    tl_aead_free(a);
    mask_of(k, packet + head_n - NUMBER_SIZE + 4, mask);
    packet[0] ^= mask[0] & (packet[0] & 0x80 ? 0x0F : 0x1F);
    for (size_t i = 0; i < NUMBER_SIZE; i++)
        packet[head_n - NUMBER_SIZE + i] ^= mask[1 + i];
    return head_n + frames.n + TL_AEAD_TAG_SIZE;
}

static size_t put_number(uint8_t *at, uint64_t number)
{
    for (int i = 0; i < NUMBER_SIZE; i++)
        at[i] = (uint8_t)(number >> (8 * (NUMBER_SIZE - 1 - i)));
    return NUMBER_SIZE;
}

/* Opens a short packet of the server's; returns the length of its frames, 0 when it is none. */
static size_t open_short(const raw_peer *p, uint8_t *packet, size_t n, uint8_t *ret_frames)
{
    keys k = keys_of(p, TL_SECRET_SERVER_APPLICATION);
    uint8_t mask[5], nonce[12];
    tl_aead *a;
    if (n < 1 + 8 + 4 + 16 || packet[0] & 0x80)
        return 0;
    mask_of(&k, packet + 9 + 4, mask);
    packet[0] ^= mask[0] & 0x1F;
    size_t number_n = (packet[0] & 3u) + 1, head_n = 9 + number_n;
    uint64_t number = 0;
    for (size_t i = 0; i < number_n; i++) {
        packet[9 + i] ^= mask[1 + i];
        number = number << 8 | packet[9 + i];
    }
    nonce_of(&k, number, nonce);
    must(tl_aead_new(k.alg, TL_AEAD_OPEN, k.key, &a) == TL_OK);
    tl_err e = tl_aead_open(a, nonce, tl_slice_of(packet, head_n),
                            tl_slice_of(packet + head_n, n - head_n), ret_frames);
    tl_aead_free(a);
    return e ? 0 : n - head_n - TL_AEAD_TAG_SIZE;
}

/* --- what the server says --- */

/* libngtcp2 writes its NEW_CONNECTION_ID frames first in a packet, in their shortest form. */
static void note_cids(raw_peer *p, const uint8_t *f, size_t n)
{
    while (n >= 1 + 1 + 1 + 1 + 8 + 16 && f[0] == 0x18 && f[3] == 8) {
        if (f[1] < RAW_CIDS_MAX) {
            memcpy(p->server_cids[f[1]], f + 4, 8);
            p->server_cids_n = f[1] >= p->server_cids_n ? f[1] + 1u : p->server_cids_n;
        }
        f += 28;
        n -= 28;
    }
}

static void note_challenge(raw_peer *p, const uint8_t *f, size_t n)
{
    if (n < 9 || f[0] != 0x1a)
        return;
    memcpy(p->challenge, f + 1, 8);
    p->challenged = true;
}

static void read_answers(raw_peer *p)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    uint8_t frames[2048];
    tl_quic_output out;
    while (tl_quic_next_output(p->server->quic, buf, sim_now(p->server->sim), &out))
        for (size_t at = 0; at < out.n; at += out.segment) {
            size_t n = out.n - at < out.segment ? out.n - at : out.segment;
            n = open_short(p, buf + at, n, frames);
            note_cids(p, frames, n);
            note_challenge(p, frames, n);
        }
}

static void deliver(raw_peer *p, tl_path_id path, uint8_t *data, size_t n)
{
    sim *s = p->server->sim;
    tl_quic_on_datagram(p->server->quic, path, data, n, sim_now(s), sim_wall(s));
}

/* --- handshake --- */

static size_t crypto_frame(uint8_t *ret, tl_slice data)
{
    size_t at = 0;
    ret[at++] = 0x06;
    ret[at++] = 0;
    at += raw_varint(ret + at, data.n);
    memcpy(ret + at, data.p, data.n);
    return at + data.n;
}

static void send_message_1(raw_peer *p)
{
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    uint8_t encoded[512], message[TL_HANDSHAKE_MESSAGE_MAX], datagram[1500];
    size_t n;
    ngtcp2_transport_params_default(&params);
    ngtcp2_cid_init(&scid, p->scid, sizeof p->scid);
    tl_ngtcp2_set_initial_scid(&params, &scid);
    params.initial_max_data = params.initial_max_stream_data_bidi_local =
        params.initial_max_stream_data_bidi_remote = 1 << 20;
    params.initial_max_streams_bidi = 100;
    params.active_connection_id_limit = 8;
    ngtcp2_ssize encoded_n = tl_ngtcp2_encode_params(encoded, sizeof encoded, true, &params);
    must(encoded_n > 0);
    must(tl_handshake_write_msg1(&p->handshake, sim_rand(p->server->sim),
                                 (uint64_t)sim_wall(p->server->sim),
                                 tl_slice_of(encoded, (size_t)encoded_n), message, &n) == TL_OK);
    initial in = {.dcid_n = 8, .scid_n = 8};
    memcpy(in.dcid, ORIGINAL_DCID.p, 8);
    memcpy(in.scid, p->scid, 8);
    in.plain_n = crypto_frame(in.plain, tl_slice_of(message, n));
    n = initial_seal(&in, ORIGINAL_DCID, true, datagram, sizeof datagram);
    deliver(p, p->path, datagram, n);
}

static void read_message_2(raw_peer *p)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    initial in;
    uint8_t *crypto;
    size_t n;
    must(tl_quic_next_output(p->server->quic, buf, sim_now(p->server->sim), &out));
    must(initial_open(buf, out.segment, ORIGINAL_DCID, false, &in) &&
         initial_crypto(&in, &crypto, &n));
    memcpy(p->dcid, in.scid, 8);
    must(tl_handshake_on_msg2(&p->handshake, tl_slice_of(crypto + 2, n - 2)) == TL_OK);
}

static void send_finished(raw_peer *p)
{
    keys k = keys_of(p, TL_SECRET_CLIENT_HANDSHAKE);
    uint8_t finished[TL_HANDSHAKE_FINISHED_SIZE], frames[64], packet[256];
    tl_handshake_write_finished(&p->handshake, finished);
    size_t frames_n = crypto_frame(frames, tl_slice_of(finished, sizeof finished)), at = 0;
    memcpy(packet, "\xE3\0\0\0\1\x08", 6); /* Handshake, four bytes of number */
    memcpy(packet + 6, p->dcid, 8);
    packet[14] = 8;
    memcpy(packet + 15, p->scid, 8);
    at = 23;
    at += raw_varint(packet + at, NUMBER_SIZE + frames_n + TL_AEAD_TAG_SIZE);
    at += put_number(packet + at, 0);
    size_t n = seal(&k, packet, at, 0, tl_slice_of(frames, frames_n));
    tl_quic_version_out(packet, n);
    deliver(p, p->path, packet, n);
}

void raw_peer_connect(raw_peer *p, quic_node *server, tl_path_id path)
{
    *p = (raw_peer){.server = server, .path = path};
    unsigned before = server->connected;
    must(tl_identity_new(sim_rand(server->sim), &p->identity) == TL_OK);
    tl_rand_bytes(sim_rand(server->sim), p->scid, sizeof p->scid);
    must(tl_handshake_init_client(&p->handshake, &p->identity, &server->identity.id, 6) == TL_OK);
    send_message_1(p);
    read_message_2(p);
    send_finished(p);
    read_answers(p);
    sim_wake(server->host);
    sim_run_for(server->sim, TL_MS);
    must(server->connected == before + 1);
}

void raw_peer_send(raw_peer *p, tl_path_id path, const uint8_t *dcid, tl_slice frames)
{
    keys k = keys_of(p, TL_SECRET_CLIENT_APPLICATION);
    uint8_t packet[1500];
    must(frames.n >= 4 && frames.n < 1400);
    packet[0] = 0x43; /* short, four bytes of number */
    memcpy(packet + 1, dcid ? dcid : p->dcid, 8);
    size_t at = 9 + put_number(packet + 9, p->next_number);
    size_t n = seal(&k, packet, at, p->next_number++, frames);
    deliver(p, path, packet, n);
    read_answers(p);
    sim_wake(p->server->host);
}
