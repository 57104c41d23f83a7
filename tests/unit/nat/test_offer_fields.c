#include "offer_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_field_must_be_there_and_of_its_type(void **state)
{
    (void)state;
    static const char *const of_offer[] = {"fromNodeID",
                                           "toNodeID",
                                           "sessionID",
                                           "connectionInfo",
                                           "connectionInfo.publicIP",
                                           "connectionInfo.publicPort",
                                           "connectionInfo.localIP",
                                           "connectionInfo.localPort",
                                           "connectionInfo.natType",
                                           "connectionInfo.wgPublicKey",
                                           "info.nonce",
                                           "info.issuedAt"};
    static const char *const of_candidate[] = {
        "fromNodeID",     "toNodeID",       "sessionID",          "candidate", "candidate.ip",
        "candidate.port", "candidate.type", "candidate.priority", "nonce",     "issuedAt"};
    static const char *const wrong[] = {NULL, "null", "[]", "{}", "1.5", "true"};
    scene *s = scene_new();
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        for (size_t i = 0; i < sizeof of_offer / sizeof *of_offer; i++)
            assert_int_equal(with(s, TL_OFFER_OFFER, of_offer[i], wrong[w]), TL_OFFER_MALFORMED);
        for (size_t i = 0; i < sizeof of_candidate / sizeof *of_candidate; i++)
            assert_int_equal(with(s, TL_OFFER_CANDIDATE, of_candidate[i], wrong[w]),
                             TL_OFFER_MALFORMED);
    }
    scene_free(s);
}

static void without_a_signature_it_is_malformed(void **state)
{
    (void)state;
    static const struct {
        tl_offer_type type;
        const char *path;
    } v[] = {{TL_OFFER_OFFER, "signature"},
             {TL_OFFER_OFFER, "info.signature"},
             {TL_OFFER_OFFER, "info"},
             {TL_OFFER_CANDIDATE, "signature"}};
    scene *s = scene_new();
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        json_t *payload = made(s, v[i].type), *object;
        const char *key = holder(payload, v[i].path, &object);
        assert_int_equal(read_fresh(s, v[i].type, payload), TL_OFFER_OK);
        json_object_del(object, key);
        assert_int_equal(read_fresh(s, v[i].type, payload), TL_OFFER_MALFORMED);
        json_decref(payload);
    }
    scene_free(s);
}

static void values_out_of_range_are_malformed(void **state)
{
    (void)state;
    static const struct {
        tl_offer_type type;
        const char *path, *good, *bad;
    } v[] = {
        {TL_OFFER_OFFER, "connectionInfo.publicPort", "65535", "65536"},
        {TL_OFFER_OFFER, "connectionInfo.publicPort", "1", "-1"},
        {TL_OFFER_OFFER, "connectionInfo.localPort", "65535", "65536"},
        {TL_OFFER_OFFER, "connectionInfo.localPort", "4000", "4000.0"},
        {TL_OFFER_OFFER, "connectionInfo.natType", "\"fullCone\"", "\"FullCone\""},
        {TL_OFFER_OFFER, "connectionInfo.natType", "\"restrictedCone\"", "\"\""},
        {TL_OFFER_OFFER, "connectionInfo.natType", "\"symmetric\"", "\"symmetric\\u0000\""},
        {TL_OFFER_OFFER, "connectionInfo.natType", "\"unknown\"", "\"a very long type of a NAT\""},
        {TL_OFFER_OFFER, "sessionID", "\"A-9\"", "\"\""},
        {TL_OFFER_OFFER, "sessionID", "\"a\"", "\"a_b\""},
        {TL_OFFER_OFFER, "sessionID",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
        {TL_OFFER_OFFER, "info.nonce", "\"00000000000000000000000000000000\"",
         "\"000000000000000000000000000000\""},
        {TL_OFFER_OFFER, "info.nonce", "\"0000000000000000000000000000000a\"",
         "\"0000000000000000000000000000000A\""},
        {TL_OFFER_OFFER, "info.issuedAt", "1700000000", "-1"},
        {TL_OFFER_OFFER, "info.issuedAt", "1700000001", "1700000001.0"},
        {TL_OFFER_CANDIDATE, "candidate.port", "65535", "65536"},
        {TL_OFFER_CANDIDATE, "candidate.priority", "4294967295", "4294967296"},
        {TL_OFFER_CANDIDATE, "candidate.priority", "0", "-1"},
        {TL_OFFER_CANDIDATE, "candidate.type", "\"relayed\"", "\"peerReflexive\""},
        {TL_OFFER_CANDIDATE, "candidate.type", "\"host\"", "\"host\\u0000\""},
        {TL_OFFER_CANDIDATE, "issuedAt", "1700000000", "9007199254740993"},
    };
    scene *s = scene_new();
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        if (with(s, v[i].type, v[i].path, v[i].good) != TL_OFFER_OK)
            fail_msg("%s: %s is refused", v[i].path, v[i].good);
        /* signing a number that canonical JSON has not is not possible, and not needed */
        json_t *payload = made(s, v[i].type), *object;
        const char *key = holder(payload, v[i].path, &object);
        json_object_set_new(object, key,
                            json_loads(v[i].bad, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        if (read_fresh(s, v[i].type, payload) != TL_OFFER_MALFORMED)
            fail_msg("%s: %s is not malformed", v[i].path, v[i].bad);
        json_decref(payload);
    }
    scene_free(s);
}

/* As inet_pton reads them and no other way: other readers take these for loopback and the like. */
static const char *const not_addresses[] = {
    "\"0177.0.0.1\"",
    "\"127.1\"",
    "\"2130706433\"",
    "\"0x7f.0.0.1\"",
    "\"0x7f000001\"",
    "\"127.0.0.1 \"",
    "\" 127.0.0.1\"",
    "\"127.0.0.01\"",
    "\"127.0.0.1.\"",
    "\"256.0.0.1\"",
    "\"1.2.3\"",
    "\"1.2.3.4.5\"",
    "\"localhost\"",
    "\"[::1]\"",
    "\"::1%lo\"",
    "\"fe80::1%2\"",
    "\"1:2:3\"",
    "\"::ffff:1.2.3\"",
    "\"1.2.3.4\\u0000\"",
    "\"1.2.3.4\\u00005\"",
    "\"example.org\"",
    "\"1.2.3.4:80\"",
    "\"\xEF\xBC\x91.2.3.4\"",
};

static void an_address_that_is_strict_text_of_none_is_void_alone(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (size_t i = 0; i < sizeof not_addresses / sizeof *not_addresses; i++) {
        assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.publicIP", not_addresses[i]),
                         TL_OFFER_OK);
        assert_int_equal(s->got.info.public_addr.family, TL_ADDR_NONE);
        assert_int_equal(s->got.info.unreadable, 1);
        assert_addr(&s->got.info.local_addr, "192.168.1.10:4000");
        assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.ip", not_addresses[i]),
                         TL_OFFER_MALFORMED);
    }
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.publicIP", "\"2001:db8::7\""),
                     TL_OFFER_OK);
    assert_addr(&s->got.info.public_addr, "[2001:db8::7]:51820");
    assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.ip", "\"1.2.3.4\""), TL_OFFER_OK);
    assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.ip", "\"\""), TL_OFFER_MALFORMED);
    /* half of an address is none */
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.publicPort", "0"), TL_OFFER_OK);
    assert_int_equal(s->got.info.public_addr.family, TL_ADDR_NONE);
    assert_int_equal(s->got.info.unreadable, 1);
    scene_free(s);
}

/* What is forbidden reads well, and then no clothes hide it. */
static void a_forbidden_address_is_known_as_one_in_any_clothes(void **state)
{
    (void)state;
    static const char *const forbidden[] = {
        "\"127.0.0.1\"",
        "\"::1\"",
        "\"0.0.0.0\"",
        "\"::\"",
        "\"169.254.169.254\"",
        "\"fe80::1\"",
        "\"224.0.0.1\"",
        "\"ff02::1\"",
        "\"255.255.255.255\"",
        "\"0.1.2.3\"",
        "\"240.0.0.1\"",
        "\"::ffff:127.0.0.1\"",
        "\"::ffff:7f00:1\"",
        "\"::FFFF:169.254.169.254\"",
        "\"0:0:0:0:0:ffff:7f00:0001\"",
        "\"::127.0.0.1\"",
        "\"2002:7f00:0001::\"",
        "\"64:ff9b::7f00:1\"",
        "\"64:ff9b::169.254.169.254\"",
        "\"fd00:ec2::254\"",
        "\"2001:0:102:304::80ff:fffe\"",
        "\"100.100.100.200\"",
    };
    scene *s = scene_new();
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.ip", forbidden[i]), TL_OFFER_OK);
        assert_int_equal(tl_addr_kind_of(&s->got.candidate.addr), TL_ADDR_FORBIDDEN);
        assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.localIP", forbidden[i]),
                         TL_OFFER_OK);
        assert_int_equal(tl_addr_kind_of(&s->got.info.local_addr), TL_ADDR_FORBIDDEN);
    }
    assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.ip", "\"::ffff:192.0.2.1\""),
                     TL_OFFER_OK);
    assert_addr(&s->got.candidate.addr, "192.0.2.1:4000");
    assert_int_equal(tl_addr_kind_of(&s->got.candidate.addr), TL_ADDR_GLOBAL);
    assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.port", "0"), TL_OFFER_OK);
    assert_int_equal(tl_addr_kind_of(&s->got.candidate.addr), TL_ADDR_FORBIDDEN);
    scene_free(s);
}

/* An offer of exactly `n` bytes, rightly signed. */
static tl_offer_verdict read_of_size(scene *s, size_t n)
{
    json_t *payload = made(s, TL_OFFER_OFFER);
    tl_buf text = {0};
    json_object_set_new(payload, "pad", json_string(""));
    assert_int_equal(tl_json_write(&text, payload), TL_OK);
    char *pad = test_malloc(n);
    size_t missing = n - text.len;
    memset(pad, 'x', missing);
    json_object_set_new(payload, "pad", json_stringn(pad, missing));
    test_free(pad);
    sign_again(payload, TL_OFFER_OFFER, &s->alice);
    tl_buf_clear(&text);
    assert_int_equal(tl_json_write(&text, payload), TL_OK);
    assert_int_equal(text.len, n);
    tl_buf_clear(&text);
    tl_offer_verdict v = read_fresh(s, TL_OFFER_OFFER, payload);
    json_decref(payload);
    return v;
}

static void more_than_64_kib_are_not_read(void **state)
{
    (void)state;
    scene *s = scene_new();
    assert_int_equal(read_of_size(s, 65536), TL_OFFER_OK);
    assert_int_equal(read_of_size(s, 65537), TL_OFFER_MALFORMED);
    scene_free(s);
}

static void what_is_no_strict_json_object_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "null",
                                      "[]",
                                      "7",
                                      "\"offer\"",
                                      "{}",
                                      "{",
                                      "{\"a\":1,}",
                                      "{\"a\":1}x",
                                      "\xFF",
                                      "{\"signature\":\"a\",\"signature\":\"b\"}"};
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(tl_offer_read((tl_offer_type)type, tl_slice_str(bad[i]), &s->bob,
                                           &s->nonces, WALL, &s->got),
                             TL_OFFER_MALFORMED);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_must_be_there_and_of_its_type),
        cmocka_unit_test(without_a_signature_it_is_malformed),
        cmocka_unit_test(values_out_of_range_are_malformed),
        cmocka_unit_test(an_address_that_is_strict_text_of_none_is_void_alone),
        cmocka_unit_test(a_forbidden_address_is_known_as_one_in_any_clothes),
        cmocka_unit_test(more_than_64_kib_are_not_read),
        cmocka_unit_test(what_is_no_strict_json_object_is_malformed),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
