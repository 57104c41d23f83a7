#include "offer_scene.h"

#include "crypto/canonical.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static tl_identity identity(uint8_t byte)
{
    uint8_t seed[32];
    tl_identity id;
    memset(seed, byte, sizeof seed);
    assert_int_equal(tl_identity_from_seed(seed, &id), TL_OK);
    return id;
}

scene *scene_new(void)
{
    scene *s = test_calloc(1, sizeof *s);
    s->alice = identity(1);
    s->bob = identity(2);
    s->carol = identity(3);
    s->rand = tl_rand_seeded(7);
    return s;
}

void scene_free(scene *s)
{
    tl_nonces_clear(&s->nonces);
    test_free(s);
}

static tl_addr address(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

tl_connection_info an_info(void)
{
    tl_connection_info info = {.public_addr = address("203.0.113.7:51820"),
                               .local_addr = address("192.168.1.10:4000"),
                               .nat_type = TL_NAT_PORT_RESTRICTED};
    return info;
}

tl_candidate a_candidate(void)
{
    return (tl_candidate){
        .kind = TL_CANDIDATE_HOST, .addr = address("[2001:db8::1]:4000"), .priority = 2130706431};
}

json_t *made(scene *s, tl_offer_type type)
{
    json_t *payload;
    tl_connection_info info = an_info();
    tl_candidate c = a_candidate();
    tl_err e =
        type == TL_OFFER_CANDIDATE
            ? tl_candidate_make(&s->alice, &s->bob.id, SESSION, &c, &s->rand, WALL, &payload)
            : tl_offer_make(type, &s->alice, &s->bob.id, SESSION, &info, &s->rand, WALL, &payload);
    assert_int_equal(e, TL_OK);
    return payload;
}

tl_offer_verdict read_at(scene *s, tl_offer_type type, const json_t *payload, tl_unix wall)
{
    tl_buf text = {0};
    assert_int_equal(tl_json_write(&text, payload), TL_OK);
    tl_offer_verdict v =
        tl_offer_read(type, tl_buf_slice(&text), &s->bob, &s->nonces, wall, &s->got);
    tl_buf_clear(&text);
    return v;
}

tl_offer_verdict read_fresh(scene *s, tl_offer_type type, const json_t *payload)
{
    tl_nonces_clear(&s->nonces);
    return read_at(s, type, payload, WALL);
}

void sign_again(json_t *payload, tl_offer_type type, const tl_identity *signer)
{
    static const tl_sign_purpose purposes[] = {TL_SIGN_OFFER, TL_SIGN_ANSWER, TL_SIGN_CANDIDATE};
    json_t *info = json_object_get(payload, "info");
    tl_buf body = {0}, legacy = {0};
    tl_signature sig;
    char hex[2 * TL_SIGNATURE_SIZE + 1];
    json_object_del(payload, "signature");
    json_object_del(info, "signature");
    assert_int_equal(tl_canonical_write(&body, payload), TL_OK);
    assert_int_equal(tl_sign(signer, purposes[type], tl_buf_slice(&body), &sig), TL_OK);
    tl_signature_write(hex, &sig);
    if (type == TL_OFFER_CANDIDATE) {
        json_object_set_new(payload, "signature", json_string(hex));
    } else {
        json_object_set_new(info, "signature", json_string(hex));
        assert_int_equal(tl_buf_printf(&legacy, "%s:%s:%s",
                                       tl_json_string(payload, "fromNodeID", ""),
                                       tl_json_string(payload, "toNodeID", ""),
                                       tl_json_string(payload, "sessionID", "")),
                         TL_OK);
        assert_int_equal(tl_sign_bare(signer, tl_buf_slice(&legacy), &sig), TL_OK);
        tl_signature_write(hex, &sig);
        json_object_set_new(payload, "signature", json_string(hex));
    }
    tl_buf_clear(&body);
    tl_buf_clear(&legacy);
}

const char *holder(json_t *payload, const char *path, json_t **ret_object)
{
    const char *dot = strchr(path, '.');
    if (!dot) {
        *ret_object = payload;
        return path;
    }
    char first[32];
    snprintf(first, sizeof first, "%.*s", (int)(dot - path), path);
    *ret_object = json_object_get(payload, first);
    return dot + 1;
}

tl_offer_verdict with(scene *s, tl_offer_type type, const char *path, const char *value)
{
    json_t *payload = made(s, type), *object;
    const char *key = holder(payload, path, &object);
    if (value)
        json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    else
        json_object_del(object, key);
    sign_again(payload, type, &s->alice);
    tl_offer_verdict v = read_fresh(s, type, payload);
    json_decref(payload);
    return v;
}

void assert_addr(const tl_addr *a, const char *text)
{
    char got[TL_ADDR_TEXT_MAX];
    tl_addr_write(got, a);
    assert_string_equal(got, text);
}
