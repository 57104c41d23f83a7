#include "quic/handshake.h"

#include "quic/version.h"

#include <assert.h>
#include <sodium.h>

#define NODE_ID_SIZE 32
#define PAYLOAD_MAX  (NODE_ID_SIZE + 8 + 1 + TL_HANDSHAKE_SUITES_MAX + TL_HANDSHAKE_PARAMS_MAX)

_Static_assert(2 + TL_HANDSHAKE_MAC1_SIZE + TL_NOISE_MSG1_OVERHEAD + PAYLOAD_MAX <=
                   TL_HANDSHAKE_MESSAGE_MAX,
               "message 1 fits its buffer");

/* "teale/v1", the wire version, and every suite that this version of the protocol knows. */
#define PROLOGUE                                                                                   \
    TL_SLICE_LIT("teale/v1"                                                                        \
                 "\x54\x45\x00\x01"                                                                \
                 "\x01\x02")
_Static_assert(TL_QUIC_WIRE_VERSION == 0x54450001, "the prologue names the version");

tl_err tl_handshake_init_client(tl_handshake *h, const tl_identity *identity,
                                const tl_node_id *peer, uint32_t suites)
{
    uint8_t peer_public[32];
    tl_err e = tl_node_id_noise_public(peer, peer_public);
    if (e)
        return e;
    *h = (tl_handshake){.identity = identity, .peer = *peer, .suites = suites};
    tl_noise_init_initiator(&h->noise, PROLOGUE, identity->noise_key, identity->noise_public,
                            peer_public);
    return TL_OK;
}

void tl_handshake_init_server(tl_handshake *h, const tl_identity *identity, uint32_t suites)
{
    *h = (tl_handshake){.identity = identity, .suites = suites};
    tl_noise_init_responder(&h->noise, PROLOGUE, identity->noise_key, identity->noise_public);
}

void tl_handshake_clear(tl_handshake *h)
{
    tl_noise_clear(&h->noise);
    sodium_memzero(h, sizeof *h);
}

/* Like WireGuard's mac1: it proves that the sender knows the node it calls. So random packets from
 * the internet cost us one hash, not three Diffie-Hellman. */
static void make_mac1(const uint8_t responder_public[32], tl_slice message,
                      uint8_t ret[TL_HANDSHAKE_MAC1_SIZE])
{
    uint8_t mac[32];
    tl_hmac_blake2s(responder_public, TL_SLICE_LIT("teale/v1 mac1"), message, mac);
    memcpy(ret, mac, TL_HANDSHAKE_MAC1_SIZE);
}

static void store_u16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* --- payloads --- */

static size_t write_payload1(const tl_handshake *h, tl_slice params, uint8_t ret[PAYLOAD_MAX])
{
    size_t at = 0;
    memcpy(ret, h->identity->id.key, NODE_ID_SIZE);
    at += NODE_ID_SIZE;
    for (int i = 0; i < 8; i++)
        ret[at++] = (uint8_t)(h->timestamp >> (56 - 8 * i));
    size_t count_at = at++;
    for (unsigned suite = 1; suite <= TL_HANDSHAKE_SUITES_MAX; suite++)
        if (h->suites & 1u << suite)
            ret[at++] = (uint8_t)suite;
    ret[count_at] = (uint8_t)(at - count_at - 1);
    memcpy(ret + at, params.p, params.n);
    return at + params.n;
}

/* The first suite in the offer that we accept. Each side knows its own processor: the client offers
 * AES first, and a node accepts AES only where it is fast. */
static uint8_t choose_suite(tl_slice offer, uint32_t accepted)
{
    for (size_t i = 0; i < offer.n; i++)
        if (offer.p[i] <= TL_HANDSHAKE_SUITES_MAX && accepted & 1u << offer.p[i])
            return offer.p[i];
    return 0;
}

static tl_err parse_payload1(tl_handshake *h, tl_slice p, tl_slice *ret_params)
{
    if (p.n < NODE_ID_SIZE + 8 + 1)
        return TL_ERR_SHORT;
    size_t at = NODE_ID_SIZE;
    uint64_t timestamp = 0;
    for (int i = 0; i < 8; i++)
        timestamp = timestamp << 8 | p.p[at++];
    size_t suites_n = p.p[at++];
    if (suites_n == 0 || suites_n > TL_HANDSHAKE_SUITES_MAX)
        return TL_ERR_PROTO;
    if (p.n - at < suites_n)
        return TL_ERR_SHORT;
    uint8_t suite = choose_suite(tl_slice_of(p.p + at, suites_n), h->suites);
    if (!suite)
        return TL_ERR_PROTO;
    at += suites_n;
    if (p.n - at > TL_HANDSHAKE_PARAMS_MAX)
        return TL_ERR_TOO_LARGE;

    tl_node_id peer;
    uint8_t expected[32];
    if (tl_node_id_from_bytes(p.p, &peer) || tl_node_id_noise_public(&peer, expected) ||
        sodium_memcmp(expected, h->noise.rs_public, sizeof expected) != 0)
        return TL_ERR_AUTH;
    h->peer = peer;
    h->timestamp = timestamp;
    h->suite = suite;
    *ret_params = tl_slice_of(p.p + at, p.n - at);
    return TL_OK;
}

/* --- messages --- */

tl_err tl_handshake_write_msg1(tl_handshake *h, tl_rand *rand, uint64_t timestamp, tl_slice params,
                               uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX], size_t *ret_n)
{
    assert(h->state == TL_HANDSHAKE_NEW);
    if (params.n > TL_HANDSHAKE_PARAMS_MAX)
        return TL_ERR_TOO_LARGE;
    uint8_t payload[PAYLOAD_MAX];
    h->timestamp = timestamp;
    size_t payload_n = write_payload1(h, params, payload);

    uint8_t *mac1 = ret + 2, *message = mac1 + TL_HANDSHAKE_MAC1_SIZE;
    size_t n, cap = TL_HANDSHAKE_MESSAGE_MAX - 2 - TL_HANDSHAKE_MAC1_SIZE;
    tl_err e = tl_noise_write(&h->noise, rand, tl_slice_of(payload, payload_n), message, cap, &n);
    if (e)
        return e;
    make_mac1(h->noise.rs_public, tl_slice_of(message, n), mac1);
    store_u16(ret, TL_HANDSHAKE_MAC1_SIZE + n);
    *ret_n = 2 + TL_HANDSHAKE_MAC1_SIZE + n;
    h->state = TL_HANDSHAKE_WAIT_MSG2;
    return TL_OK;
}

tl_err tl_handshake_on_msg1(tl_handshake *h, tl_slice message, uint8_t *ret_params,
                            size_t *ret_params_n)
{
    assert(h->state == TL_HANDSHAKE_NEW);
    if (message.n < TL_HANDSHAKE_MAC1_SIZE + TL_NOISE_MSG1_OVERHEAD)
        return TL_ERR_SHORT;
    if (message.n > TL_HANDSHAKE_MESSAGE_MAX)
        return TL_ERR_TOO_LARGE;
    uint8_t mac1[TL_HANDSHAKE_MAC1_SIZE];
    tl_slice noise = tl_slice_of(message.p + sizeof mac1, message.n - sizeof mac1);
    make_mac1(h->identity->noise_public, noise, mac1);
    if (sodium_memcmp(mac1, message.p, sizeof mac1) != 0)
        return TL_ERR_AUTH;

    uint8_t payload[TL_HANDSHAKE_MESSAGE_MAX];
    size_t payload_n;
    tl_err e = tl_noise_read(&h->noise, noise, payload, &payload_n);
    if (e)
        return e;
    tl_slice params;
    e = parse_payload1(h, tl_slice_of(payload, payload_n), &params);
    if (e)
        return e;
    memcpy(ret_params, params.p, params.n);
    *ret_params_n = params.n;
    h->state = TL_HANDSHAKE_GOT_MSG1;
    return TL_OK;
}

tl_err tl_handshake_write_msg2(tl_handshake *h, tl_rand *rand,
                               uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX], size_t *ret_n)
{
    assert(h->state == TL_HANDSHAKE_GOT_MSG1);
    size_t n;
    tl_err e = tl_noise_write(&h->noise, rand, tl_slice_of(&h->suite, 1), ret + 2,
                              TL_HANDSHAKE_MESSAGE_MAX - 2, &n);
    if (e)
        return e;
    store_u16(ret, n);
    *ret_n = 2 + n;
    h->state = TL_HANDSHAKE_KEYED;
    return TL_OK;
}

tl_err tl_handshake_on_msg2(tl_handshake *h, tl_slice message)
{
    assert(h->state == TL_HANDSHAKE_WAIT_MSG2);
    if (message.n < TL_NOISE_MSG2_OVERHEAD)
        return TL_ERR_SHORT;
    if (message.n > TL_HANDSHAKE_MESSAGE_MAX)
        return TL_ERR_TOO_LARGE;
    uint8_t payload[TL_HANDSHAKE_MESSAGE_MAX];
    size_t n;
    tl_err e = tl_noise_read(&h->noise, message, payload, &n);
    if (e)
        return e;
    if (n != 1 || payload[0] == 0 || payload[0] > TL_HANDSHAKE_SUITES_MAX ||
        !(h->suites & 1u << payload[0]))
        return TL_ERR_PROTO;
    h->suite = payload[0];
    h->state = TL_HANDSHAKE_KEYED;
    return TL_OK;
}

void tl_handshake_write_finished(const tl_handshake *h, uint8_t ret[TL_HANDSHAKE_FINISHED_SIZE])
{
    assert(h->state >= TL_HANDSHAKE_KEYED);
    tl_noise_export(&h->noise, TL_SLICE_LIT("teale/v1 finished"), ret);
}

tl_err tl_handshake_check_finished(tl_handshake *h, tl_slice message)
{
    assert(h->state == TL_HANDSHAKE_KEYED);
    uint8_t expected[TL_HANDSHAKE_FINISHED_SIZE];
    tl_handshake_write_finished(h, expected);
    bool ok =
        message.n == sizeof expected && sodium_memcmp(expected, message.p, sizeof expected) == 0;
    sodium_memzero(expected, sizeof expected);
    if (!ok)
        return TL_ERR_AUTH;
    h->state = TL_HANDSHAKE_DONE;
    return TL_OK;
}

tl_err tl_handshake_frame(tl_slice message, uint8_t ret[TL_HANDSHAKE_MESSAGE_MAX], size_t *ret_n)
{
    if (message.n > TL_HANDSHAKE_MESSAGE_MAX - 2)
        return TL_ERR_TOO_LARGE;
    store_u16(ret, message.n);
    memcpy(ret + 2, message.p, message.n);
    *ret_n = 2 + message.n;
    return TL_OK;
}

void tl_handshake_secret(const tl_handshake *h, tl_handshake_secret_id id, uint8_t ret_secret[32])
{
    static const char *const label[] = {
        [TL_SECRET_CLIENT_HANDSHAKE] = "teale/v1 client handshake",
        [TL_SECRET_SERVER_HANDSHAKE] = "teale/v1 server handshake",
        [TL_SECRET_CLIENT_APPLICATION] = "teale/v1 client application",
        [TL_SECRET_SERVER_APPLICATION] = "teale/v1 server application",
    };
    assert(h->state >= TL_HANDSHAKE_KEYED);
    tl_noise_export(&h->noise, tl_slice_str(label[id]), ret_secret);
}

/* --- inbox --- */

tl_err tl_handshake_inbox_add(tl_handshake_inbox *in, tl_slice bytes)
{
    if (bytes.n > sizeof in->data - in->n)
        return TL_ERR_TOO_LARGE;
    memcpy(in->data + in->n, bytes.p, bytes.n);
    in->n += bytes.n;
    return TL_OK;
}

tl_err tl_handshake_inbox_message(const tl_handshake_inbox *in, tl_slice *ret_message)
{
    if (in->n < 2)
        return TL_ERR_AGAIN;
    size_t n = (size_t)in->data[0] << 8 | in->data[1];
    if (n > sizeof in->data - 2)
        return TL_ERR_TOO_LARGE;
    if (in->n < 2 + n)
        return TL_ERR_AGAIN;
    if (in->n > 2 + n)
        return TL_ERR_PROTO;
    *ret_message = tl_slice_of(in->data + 2, n);
    return TL_OK;
}
