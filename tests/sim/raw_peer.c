#include "raw_peer.h"

#include "initial.h"
#include "quic/quic_compat.h"
#include "quic/version.h"

#include "crypto/aead.h"

#include <stdlib.h>

#define NUMBER_SIZE 4

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

/* The varint at f[*at]; moves *at behind it. What is cut off reads as zeros. */
static uint64_t take(const uint8_t *f, size_t n, size_t *at)
{
    uint8_t first = *at < n ? f[*at] : 0;
    uint64_t value = first & 0x3F;
    size_t size = (size_t)1 << (first >> 6);
    for (size_t i = 1; i < size; i++)
        value = value << 8 | (*at + i < n ? f[*at + i] : 0);
    *at += size;
    return value;
}

static void note_cid(raw_peer *p, const uint8_t *f, size_t n, size_t *at)
{
    uint64_t seq = take(f, n, at);
    (void)take(f, n, at); /* Retire Prior To */
    uint64_t size = take(f, n, at);
    must(size == 8 && *at + 8 + 16 <= n);
    if (seq < RAW_CIDS_MAX) {
        memcpy(p->server_cids[seq], f + *at, 8);
        p->server_cids_n = seq >= p->server_cids_n ? (unsigned)seq + 1 : p->server_cids_n;
    }
    *at += 8 + 16;
}

static void note_challenge(raw_peer *p, const uint8_t *f, size_t n, size_t *at)
{
    must(*at + 8 <= n);
    memcpy(p->challenge, f + *at, 8);
    p->challenged = true;
    *at += 8;
}

static void skip_ack(const uint8_t *f, size_t n, size_t *at)
{
    (void)take(f, n, at); /* the largest, the delay */
    (void)take(f, n, at);
    uint64_t fields = 1 + 2 * take(f, n, at);
    while (fields-- && *at < n)
        (void)take(f, n, at);
}

/* The frames of one packet, in whatever order, up to the first that no server sends with those
 * that are looked for (RFC 9000 19). */
static void note_frames(raw_peer *p, const uint8_t *f, size_t n)
{
    size_t at = 0;
    while (at < n)
        switch (f[at++]) {
        case 0x00: /* PADDING */
        case 0x01: /* PING */
        case 0x1e: /* HANDSHAKE_DONE */ break;
        case 0x02: /* ACK */ skip_ack(f, n, &at); break;
        case 0x10: /* MAX_DATA */
        case 0x12: /* MAX_STREAMS */
        case 0x19: /* RETIRE_CONNECTION_ID */ (void)take(f, n, &at); break;
        case 0x1b: /* PATH_RESPONSE */ at += 8; break;
        case 0x18: note_cid(p, f, n, &at); break;
        case 0x1a: note_challenge(p, f, n, &at); break;
        default: return;
        }
}

static void read_answer(raw_peer *p, uint8_t *data, size_t n)
{
    uint8_t frames[2048];
    must(n <= sizeof frames);
    note_frames(p, frames, open_short(p, data, n, frames));
}

/* The next that the server has to say to this peer at once; what is for others goes its way. */
static bool next_answer(const raw_peer *p, uint8_t *buf, tl_quic_output *ret_out)
{
    while (tl_quic_next_output(p->server->quic, buf, sim_now(p->server->sim), ret_out)) {
        tl_path_id i = ret_out->path - p->path;
        if (i < RAW_PATHS_MAX && (p->links >> i & 1 || i == 0))
            return true;
        for (size_t at = 0; at < ret_out->n; at += ret_out->segment)
            sim_send(p->server->host, ret_out->path, buf + at,
                     ret_out->n - at < ret_out->segment ? ret_out->n - at : ret_out->segment);
    }
    return false;
}

static void read_answers(raw_peer *p)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    while (next_answer(p, buf, &out))
        for (size_t at = 0; at < out.n; at += out.segment)
            read_answer(p, buf + at, out.n - at < out.segment ? out.n - at : out.segment);
}

/* What it says later comes by a link. */
static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    (void)path;
    read_answer(user, data, n);
}

static void on_nothing(void *user)
{
    (void)user;
}

static tl_time never(void *user)
{
    (void)user;
    return TL_NEVER;
}

static void listen_at(raw_peer *p, tl_path_id path)
{
    tl_path_id i = path - p->path;
    must(i < RAW_PATHS_MAX);
    if (!(p->links >> i & 1))
        sim_link_new(p->server->sim, p->host, path, p->server->host, path, &(sim_faults){0});
    p->links |= (uint64_t)1 << i;
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

static tl_slice original(const raw_peer *p)
{
    return tl_slice_of(p->original, sizeof p->original);
}

static void make_message_1(raw_peer *p)
{
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    uint8_t encoded[512];
    ngtcp2_transport_params_default(&params);
    ngtcp2_cid_init(&scid, p->scid, sizeof p->scid);
    tl_ngtcp2_set_initial_scid(&params, &scid);
    params.initial_max_data = params.initial_max_stream_data_bidi_local =
        params.initial_max_stream_data_bidi_remote = 1 << 20;
    params.initial_max_streams_bidi = 100;
    params.active_connection_id_limit = 8;
    ngtcp2_ssize encoded_n = tl_ngtcp2_encode_params(encoded, sizeof encoded, true, &params);
    must(encoded_n > 0);
    must(tl_handshake_write_msg1(
             &p->handshake, sim_rand(p->server->sim), (uint64_t)sim_wall(p->server->sim),
             tl_slice_of(encoded, (size_t)encoded_n), p->message, &p->message_n) == TL_OK);
}

static void begin(raw_peer *p)
{
    tl_rand *rand = sim_rand(p->server->sim);
    must(tl_identity_new(rand, &p->identity) == TL_OK);
    tl_rand_bytes(rand, p->scid, sizeof p->scid);
    tl_rand_bytes(rand, p->original, sizeof p->original);
    must(tl_handshake_init_client(&p->handshake, &p->identity, &p->server->identity.id, 6) ==
         TL_OK);
    make_message_1(p);
}

static void send_message_1(raw_peer *p, tl_slice token)
{
    uint8_t datagram[1500];
    initial in = {.dcid_n = 8, .scid_n = 8, .token = token};
    memcpy(in.dcid, p->original, 8);
    memcpy(in.scid, p->scid, 8);
    in.plain_n = crypto_frame(in.plain, tl_slice_of(p->message, p->message_n));
    size_t n = initial_seal(&in, original(p), true, datagram, sizeof datagram);
    deliver(p, p->path, datagram, n);
}

/* A Retry: 0xF0, version, our ID, the ID to use now, the token, 16 bytes of tag. */
static bool is_retry(raw_peer *p, const uint8_t *d, size_t n, tl_slice *ret_token)
{
    if (n < 23 + 16 || (d[0] & 0xF0) != 0xF0 || d[5] != 8 || memcmp(d + 6, p->scid, 8) != 0 ||
        d[14] != 8)
        return false;
    memcpy(p->original, d + 15, 8);
    *ret_token = tl_slice_of(d + 23, n - 23 - 16);
    return true;
}

void raw_peer_knock(quic_node *server, tl_path_id path)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    raw_peer p = {.server = server, .path = path};
    tl_quic_output out;
    tl_slice token;
    begin(&p);
    send_message_1(&p, (tl_slice){NULL, 0});
    while (next_answer(&p, buf, &out))
        if (is_retry(&p, buf, out.n, &token)) {
            uint8_t copy[INITIAL_TOKEN_MAX];
            must(token.n <= sizeof copy);
            memcpy(copy, token.p, token.n);
            send_message_1(&p, tl_slice_of(copy, token.n));
        }
    tl_handshake_clear(&p.handshake);
    sim_wake(server->host);
}

/* The answer to message 1 is among what the server has to send to all. */
static void read_message_2(raw_peer *p)
{
    static uint8_t buf[TL_QUIC_OUTPUT_MAX];
    tl_quic_output out;
    initial in;
    uint8_t *crypto;
    size_t n;
    do
        must(next_answer(p, buf, &out));
    while (!initial_open(buf, out.segment, original(p), false, &in));
    must(initial_crypto(&in, &crypto, &n));
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
    static const sim_host_ops ops = {on_datagram, on_nothing, never, on_nothing};
    p->host = sim_host_new(server->sim, &ops, p);
    listen_at(p, path);
    unsigned before = server->connected;
    begin(p);
    send_message_1(p, (tl_slice){NULL, 0});
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
    listen_at(p, path);
    packet[0] = 0x43; /* short, four bytes of number */
    memcpy(packet + 1, dcid ? dcid : p->dcid, 8);
    size_t at = 9 + put_number(packet + 9, p->next_number);
    size_t n = seal(&k, packet, at, p->next_number++, frames);
    deliver(p, path, packet, n);
    read_answers(p);
    sim_wake(p->server->host);
}
