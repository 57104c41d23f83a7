/* Offers, answers and candidates of a peer: the text as it came, and (so that what lies behind the
 * signatures is reached) the same with the peer's signatures put on it. */
#include "crypto/canonical.h"
#include "crypto/sign.h"
#include "nat/offer.h"
#include "wire/signal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WALL INT64_C(1700000000)

static tl_identity alice, bob; /* of the seeds 01..01 and 02..02 */

static void make_identities(void)
{
    uint8_t seed[32];
    if (alice.seed[0])
        return;
    memset(seed, 2, sizeof seed);
    if (tl_crypto_init() || tl_identity_from_seed(seed, &bob))
        abort();
    memset(seed, 1, sizeof seed);
    if (tl_identity_from_seed(seed, &alice))
        abort();
}

/* What is accepted keeps its promises, and is accepted once. */
static void read_one(tl_offer_type type, tl_slice text)
{
    tl_nonces nonces = {0};
    tl_offer o;
    if (tl_offer_read(type, text, &bob, &nonces, WALL, &o) == TL_OFFER_OK) {
        const tl_addr *a = &o.info.public_addr, *c = &o.candidate.addr;
        if (!tl_node_id_eq(&o.from, &alice.id) || !tl_signal_session_is(tl_slice_str(o.session)))
            abort();
        if (type == TL_OFFER_CANDIDATE ? c->family == TL_ADDR_NONE || c->scope != 0
                                       : (a->family == TL_ADDR_NONE) != (a->port == 0))
            abort();
        if (tl_offer_read(type, text, &bob, &nonces, WALL, &o) != TL_OFFER_REPLAYED)
            abort();
    }
    tl_nonces_clear(&nonces);
}

static void put_hex(json_t *object, const char *key, const void *bytes, size_t n)
{
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_hex_write(hex, bytes, n);
    json_object_set_new(object, key, json_string(hex));
}

static void put_signatures(json_t *payload, tl_offer_type type)
{
    static const tl_sign_purpose purposes[] = {TL_SIGN_OFFER, TL_SIGN_ANSWER, TL_SIGN_CANDIDATE};
    json_t *fresh = type == TL_OFFER_CANDIDATE ? payload : json_object_get(payload, "info");
    tl_buf body = {0}, legacy = {0};
    tl_signature whole, bare;
    put_hex(payload, "fromNodeID", alice.id.key, 32);
    put_hex(payload, "toNodeID", bob.id.key, 32);
    put_hex(fresh, "nonce", alice.seed, 16);
    json_object_set_new(fresh, "issuedAt", json_integer(WALL));
    put_hex(json_object_get(payload, "connectionInfo"), "wgPublicKey", alice.noise_public, 32);
    json_object_del(payload, "signature");
    json_object_del(fresh, "signature");
    if (!tl_canonical_write(&body, payload) &&
        !tl_sign(&alice, purposes[type], tl_buf_slice(&body), &whole) &&
        !tl_buf_printf(&legacy, "%s:%s:%s", tl_json_string(payload, "fromNodeID", ""),
                       tl_json_string(payload, "toNodeID", ""),
                       tl_json_string(payload, "sessionID", "")) &&
        !tl_sign_bare(&alice, tl_buf_slice(&legacy), &bare)) {
        put_hex(payload, "signature", bare.bytes, sizeof bare.bytes);
        put_hex(fresh, "signature", whole.bytes, sizeof whole.bytes);
    }
    tl_buf_clear(&body);
    tl_buf_clear(&legacy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *payload;
    make_identities();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        read_one((tl_offer_type)type, tl_slice_of(data, n));
        if (tl_json_parse(tl_slice_of(data, n), TL_SIGNAL_DEPTH_MAX, &payload, NULL))
            return 0;
        tl_buf text = {0};
        put_signatures(payload, (tl_offer_type)type);
        if (!tl_json_write(&text, payload))
            read_one((tl_offer_type)type, tl_buf_slice(&text));
        tl_buf_clear(&text);
        json_decref(payload);
    }
    return 0;
}
