/* The handshake's codecs. The first byte chooses: 0 message 1 as bytes, 1 a message 1 whose payload
 * is the input, sealed by one who holds a key, 2 message 2 likewise, 3 the CRYPTO stream, cut as
 * the input says, 4 packet heads and versions, 5 Retry tokens. */
#include "quic/handshake.h"
#include "quic/retry.h"
#include "quic/version.h"

#include <assert.h>
#include <stdlib.h>

static tl_identity client_id, server_id;

static void setup(void)
{
    static bool done;
    tl_rand rand = tl_rand_seeded(5);
    if (done)
        return;
    if (tl_crypto_init() || tl_identity_new(&rand, &client_id) ||
        tl_identity_new(&rand, &server_id))
        abort();
    done = true;
}

static void message_1(tl_slice message)
{
    tl_handshake server;
    uint8_t params[TL_HANDSHAKE_MESSAGE_MAX];
    size_t params_n;
    tl_handshake_init_server(&server, &server_id, 6);
    if (tl_handshake_on_msg1(&server, message, params, &params_n) == TL_OK) {
        assert(params_n <= TL_HANDSHAKE_PARAMS_MAX && (server.suite == 1 || server.suite == 2));
        /* The node ID, or the one of the negative point: both are its holder's. */
        uint8_t public[32];
        assert(tl_node_id_noise_public(&server.peer, public) == TL_OK);
        assert(memcmp(public, client_id.noise_public, sizeof public) == 0);
    }
    tl_handshake_clear(&server);
}

static void payload_1(tl_slice payload)
{
    tl_handshake client;
    tl_rand rand = tl_rand_seeded(6);
    uint8_t message[1500], mac[32];
    size_t n;
    if (tl_handshake_init_client(&client, &client_id, &server_id.id, 6))
        abort();
    if (tl_noise_write(&client.noise, &rand, payload, message + TL_HANDSHAKE_MAC1_SIZE,
                       sizeof message - TL_HANDSHAKE_MAC1_SIZE, &n))
        return;
    tl_hmac_blake2s(server_id.noise_public, TL_SLICE_LIT("teale/v1 mac1"),
                    tl_slice_of(message + TL_HANDSHAKE_MAC1_SIZE, n), mac);
    memcpy(message, mac, TL_HANDSHAKE_MAC1_SIZE);
    message_1(tl_slice_of(message, TL_HANDSHAKE_MAC1_SIZE + n));
}

static void payload_2(tl_slice payload)
{
    tl_handshake client, server;
    tl_rand rand = tl_rand_seeded(7);
    uint8_t message[TL_HANDSHAKE_MESSAGE_MAX], params[TL_HANDSHAKE_MESSAGE_MAX], answer[1500];
    size_t n, params_n;
    if (tl_handshake_init_client(&client, &client_id, &server_id.id, 6) ||
        tl_handshake_write_msg1(&client, &rand, 1, TL_SLICE_LIT("p"), message, &n))
        abort();
    tl_handshake_init_server(&server, &server_id, 6);
    if (tl_handshake_on_msg1(&server, tl_slice_of(message + 2, n - 2), params, &params_n))
        abort();
    if (tl_noise_write(&server.noise, &rand, payload, answer, sizeof answer, &n) == TL_OK &&
        tl_handshake_on_msg2(&client, tl_slice_of(answer, n)) == TL_OK)
        assert(client.suite == 1 || client.suite == 2);
}

static void crypto_stream(tl_slice bytes)
{
    tl_handshake_inbox in = {.n = 0};
    tl_slice message;
    size_t at = 0;
    while (at < bytes.n) {
        size_t k = 1 + bytes.p[at] % 64;
        if (k > bytes.n - at)
            k = bytes.n - at;
        if (tl_handshake_inbox_add(&in, tl_slice_of(bytes.p + at, k)))
            return;
        if (tl_handshake_inbox_message(&in, &message) == TL_OK)
            message_1(message);
        at += k;
    }
}

static void heads(tl_slice bytes)
{
    tl_quic_head head;
    uint8_t *copy = malloc(bytes.n ? bytes.n : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes.p, bytes.n);
    if (tl_quic_head_parse(bytes, &head) == TL_OK)
        assert(head.dcid.n <= TL_QUIC_CID_MAX && head.scid.n <= TL_QUIC_CID_MAX);
    if (tl_quic_version_in(copy, bytes.n) == TL_OK) {
        tl_quic_version_out(copy, bytes.n); /* and back to what it was */
        assert(bytes.n == 0 || memcmp(copy, bytes.p, bytes.n) == 0);
    }
    free(copy);
}

static void token(tl_slice bytes)
{
    static const tl_retry_key key;
    tl_retry_context context = {.path = 1};
    ngtcp2_cid cid;
    assert(tl_retry_token_open(&key, &context, bytes, TL_SEC, &cid) != TL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    setup();
    if (n == 0)
        return 0;
    tl_slice rest = tl_slice_of(data + 1, n - 1);
    switch (data[0] % 6) {
    case 0: message_1(rest); break;
    case 1: payload_1(rest); break;
    case 2: payload_2(rest); break;
    case 3: crypto_stream(rest); break;
    case 4: heads(rest); break;
    default: token(rest);
    }
    return 0;
}
