#include "offer_scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Made and signed by tests/e2e/ed25519.py from the seeds 01..01 (to 02..02), the body written by
 * Python's json with sorted keys. */
static const char foreign_offer[] =
    "{\"fromNodeID\":\"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\""
    ",\"toNodeID\":\"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\",\""
    "sessionID\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"connectionInfo\":{\"publicIP\":\""
    "203.0.113.7\",\"publicPort\":51820,\"localIP\":\"192.168.1.10\",\"localPort\":51820,\"natT"
    "ype\":\"fullCone\",\"wgPublicKey\":\"1b1b58dd50ea14b60da17b790cd02754d970c9bab864ebb3c"
    "0f3016fe51d3f57\"},\"info\":{\"nonce\":\"000102030405060708090a0b0c0d0e0f\",\"issuedAt\":"
    "1700000000,\"signature\":\"43ca531432cdd8794bcd5b6111cb9fa2f534576754e69ef4589c53a9"
    "159e1d11bd672bb82d70d54444fe6b822ec88180ac944baf7b6421c49dbdd56e9f671000\"},\"sign"
    "ature\":\"7da8520049b16c1b5a749f00da7eb61eb3c37b55d068797e892677c0527de325d70bf292"
    "21e855532afdbe6d7ccbb1dcde13f1432f6abc729a5ae53776549606\"}";
static const char foreign_candidate[] =
    "{\"fromNodeID\":\"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\""
    ",\"toNodeID\":\"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\",\""
    "sessionID\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"candidate\":{\"ip\":\"1.2.3.4\",\"p"
    "ort\":51820,\"type\":\"serverReflexive\",\"priority\":100},\"nonce\":\"0102030405060708090"
    "a0b0c0d0e0f10\",\"issuedAt\":1700000000,\"comment\":{\"é\":1.5},\"signature\":\"fddea393a7"
    "5f2c6e575a68e968f0f04424f9e3ea689f743eb52ba58e8b4c71ab6392cd325b85d6f3c99d4fe9d6"
    "0d8bb80f5da17c5747fd2ac08be375d1280b0e\"}";

static void an_offer_and_an_answer_arrive_as_they_were_sent(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_ANSWER; type++) {
        json_t *payload = made(s, (tl_offer_type)type);
        assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL), TL_OFFER_OK);
        assert_int_equal(s->got.type, type);
        assert_true(tl_node_id_eq(&s->got.from, &s->alice.id));
        assert_string_equal(s->got.session, SESSION);
        assert_addr(&s->got.info.public_addr, "203.0.113.7:51820");
        assert_addr(&s->got.info.local_addr, "192.168.1.10:4000");
        assert_int_equal(s->got.info.nat_type, TL_NAT_PORT_RESTRICTED);
        assert_int_equal(s->got.info.unreadable, 0);
        json_decref(payload);
    }
    scene_free(s);
}

static void a_candidate_arrives_as_it_was_sent(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *payload = made(s, TL_OFFER_CANDIDATE);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, payload, WALL), TL_OFFER_OK);
    assert_true(tl_node_id_eq(&s->got.from, &s->alice.id));
    assert_string_equal(s->got.session, SESSION);
    assert_addr(&s->got.candidate.addr, "[2001:db8::1]:4000");
    assert_int_equal(s->got.candidate.kind, TL_CANDIDATE_HOST);
    assert_int_equal(s->got.candidate.priority, 2130706431);
    json_decref(payload);
    scene_free(s);
}

static void addresses_that_are_not_known_are_empty_and_zero_on_the_wire(void **state)
{
    (void)state;
    scene *s = scene_new();
    tl_connection_info nothing = {.nat_type = TL_NAT_UNKNOWN};
    json_t *payload;
    assert_int_equal(tl_offer_make(TL_OFFER_OFFER, &s->alice, &s->bob.id, SESSION, &nothing,
                                   &s->rand, WALL, &payload),
                     TL_OK);
    const json_t *c = json_object_get(payload, "connectionInfo");
    assert_string_equal(tl_json_string(c, "publicIP", "?"), "");
    assert_int_equal(tl_json_number(c, "publicPort", -1), 0);
    assert_string_equal(tl_json_string(c, "localIP", "?"), "");
    assert_int_equal(tl_json_number(c, "localPort", -1), 0);
    assert_int_equal(read_at(s, TL_OFFER_OFFER, payload, WALL), TL_OFFER_OK);
    assert_int_equal(s->got.info.public_addr.family, TL_ADDR_NONE);
    assert_int_equal(s->got.info.local_addr.family, TL_ADDR_NONE);
    assert_int_equal(s->got.info.unreadable, 0);
    json_decref(payload);
    scene_free(s);
}

static void what_another_implementation_signed_is_accepted(void **state)
{
    (void)state;
    scene *s = scene_new();
    assert_int_equal(tl_offer_read(TL_OFFER_OFFER, tl_slice_str(foreign_offer), &s->bob, &s->nonces,
                                   WALL, &s->got),
                     TL_OFFER_OK);
    assert_true(tl_node_id_eq(&s->got.from, &s->alice.id));
    assert_int_equal(tl_offer_read(TL_OFFER_CANDIDATE, tl_slice_str(foreign_candidate), &s->bob,
                                   &s->nonces, WALL, &s->got),
                     TL_OFFER_OK);
    assert_addr(&s->got.candidate.addr, "1.2.3.4:51820");
    assert_int_equal(s->got.candidate.kind, TL_CANDIDATE_SERVER_REFLEXIVE);
    scene_free(s);
}

/* Every bit of the text: whatever it makes of the message, it is not accepted. */
static void a_bit_altered_anywhere_is_refused(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        json_t *payload = made(s, (tl_offer_type)type);
        tl_buf text = {0};
        assert_int_equal(tl_json_write(&text, payload), TL_OK);
        for (size_t bit = 0; bit < 8 * text.len; bit++) {
            text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (tl_offer_read((tl_offer_type)type, tl_buf_slice(&text), &s->bob, &s->nonces, WALL,
                              &s->got) == TL_OFFER_OK)
                fail_msg("accepted: %.*s", (int)text.len, (const char *)text.data);
            text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL), TL_OFFER_OK);
        tl_buf_clear(&text);
        json_decref(payload);
    }
    scene_free(s);
}

static void a_text_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (size_t n = 0; n <= strlen(foreign_offer); n++) {
        uint8_t *cut = test_malloc(n + 1);
        memcpy(cut, foreign_offer, n);
        assert_int_equal(
            tl_offer_read(TL_OFFER_OFFER, tl_slice_of(cut, n), &s->bob, &s->nonces, WALL, &s->got),
            n < strlen(foreign_offer) ? TL_OFFER_MALFORMED : TL_OFFER_OK);
        test_free(cut);
    }
    scene_free(s);
}

static void a_type_is_good_for_itself_alone(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        json_t *payload = made(s, (tl_offer_type)type);
        for (int as = TL_OFFER_OFFER; as <= TL_OFFER_CANDIDATE; as++) {
            bool alike = type != TL_OFFER_CANDIDATE && as != TL_OFFER_CANDIDATE;
            assert_int_equal(read_fresh(s, (tl_offer_type)as, payload), as == type ? TL_OFFER_OK
                                                                        : alike
                                                                            ? TL_OFFER_SIGNATURE
                                                                            : TL_OFFER_MALFORMED);
        }
        json_decref(payload);
    }
    scene_free(s);
}

static void what_was_meant_for_another_is_not_ours(void **state)
{
    (void)state;
    scene *s = scene_new();
    tl_connection_info info = an_info();
    for (int i = 0; i < 2; i++) {
        json_t *payload;
        assert_int_equal(tl_offer_make(TL_OFFER_OFFER, &s->alice, i ? &s->bob.id : &s->carol.id,
                                       SESSION, &info, &s->rand, WALL, &payload),
                         TL_OK);
        assert_int_equal(read_fresh(s, TL_OFFER_OFFER, payload),
                         i ? TL_OFFER_OK : TL_OFFER_NOT_OURS);
        json_decref(payload);
    }
    scene_free(s);
}

static void our_own_words_come_back_are_not_ours_to_read(void **state)
{
    (void)state;
    scene *s = scene_new();
    tl_connection_info info = an_info();
    json_t *payload;
    assert_int_equal(tl_offer_make(TL_OFFER_OFFER, &s->bob, &s->bob.id, SESSION, &info, &s->rand,
                                   WALL, &payload),
                     TL_OK);
    assert_int_equal(read_fresh(s, TL_OFFER_OFFER, payload), TL_OFFER_NOT_OURS);
    json_decref(payload);
    scene_free(s);
}

static void the_clock_may_be_thirty_seconds_off_and_not_one_more(void **state)
{
    (void)state;
    scene *s = scene_new();
    static const struct {
        tl_unix off;
        tl_offer_verdict verdict;
    } v[] = {{-30, TL_OFFER_OK},   {30, TL_OFFER_OK},   {0, TL_OFFER_OK},
             {-31, TL_OFFER_LATE}, {31, TL_OFFER_LATE}, {-WALL, TL_OFFER_LATE},
             {3600, TL_OFFER_LATE}};
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        json_t *payload = made(s, (tl_offer_type)type);
        for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
            tl_nonces_clear(&s->nonces);
            assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL + v[i].off),
                             v[i].verdict);
        }
        json_decref(payload);
    }
    scene_free(s);
}

static void a_replay_is_refused_for_as_long_as_its_time_is_right(void **state)
{
    (void)state;
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        json_t *payload = made(s, (tl_offer_type)type), *other = made(s, (tl_offer_type)type);
        assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL - 30), TL_OFFER_OK);
        for (tl_unix off = -30; off <= 30; off++)
            assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL + off),
                             TL_OFFER_REPLAYED);
        assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL + 31), TL_OFFER_LATE);
        /* a clock that was set back brings no replay back */
        assert_int_equal(read_at(s, (tl_offer_type)type, payload, WALL), TL_OFFER_REPLAYED);
        assert_int_equal(read_at(s, (tl_offer_type)type, other, WALL), TL_OFFER_OK);
        json_decref(payload);
        json_decref(other);
    }
    scene_free(s);
}

/* Else anybody could spoil a nonce before its owner's message arrives. */
static void a_nonce_is_remembered_of_signed_messages_only(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *payload = made(s, TL_OFFER_OFFER), *forged = json_deep_copy(payload);
    json_object_set_new(json_object_get(forged, "connectionInfo"), "publicPort", json_integer(1));
    assert_int_equal(read_at(s, TL_OFFER_OFFER, forged, WALL), TL_OFFER_SIGNATURE);
    assert_int_equal(s->nonces.n, 0);
    assert_int_equal(read_at(s, TL_OFFER_OFFER, payload, WALL), TL_OFFER_OK);
    assert_int_equal(s->nonces.n, 1);
    json_decref(payload);
    json_decref(forged);
    scene_free(s);
}

static void the_same_nonce_of_two_senders_is_two(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *payload = made(s, TL_OFFER_CANDIDATE), *of_carol = json_deep_copy(payload);
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->carol.id);
    json_object_set_new(of_carol, "fromNodeID", json_string(hex));
    sign_again(of_carol, TL_OFFER_CANDIDATE, &s->carol);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, payload, WALL), TL_OFFER_OK);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_carol, WALL), TL_OFFER_OK);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_carol, WALL), TL_OFFER_REPLAYED);
    json_decref(payload);
    json_decref(of_carol);
    scene_free(s);
}

static json_t *candidate_of(scene *s, const tl_identity *from)
{
    json_t *payload;
    tl_candidate c = a_candidate();
    assert_int_equal(tl_candidate_make(from, &s->bob.id, SESSION, &c, &s->rand, WALL, &payload),
                     TL_OK);
    return payload;
}

static void feed(scene *s, const tl_identity *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *payload = candidate_of(s, from);
        assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, payload, WALL), TL_OFFER_OK);
        json_decref(payload);
    }
}

static void the_memory_is_bounded_and_one_node_fills_only_its_share(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *of_alice = candidate_of(s, &s->alice);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_alice, WALL), TL_OFFER_OK);
    feed(s, &s->carol, TL_NONCES_MAX + 50);
    assert_int_equal(s->nonces.n, TL_NONCES_MAX);
    assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_alice, WALL), TL_OFFER_REPLAYED);
    json_decref(of_alice);
    scene_free(s);
}

static void in_a_full_memory_the_oldest_makes_room(void **state)
{
    (void)state;
    scene *s = scene_new();
    feed(s, &s->carol, TL_NONCES_MAX);
    /* a little later, when Carol's are the older ones */
    json_t *of_alice[3];
    tl_candidate c = a_candidate();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            tl_candidate_make(&s->alice, &s->bob.id, SESSION, &c, &s->rand, WALL + 5, &of_alice[i]),
            TL_OK);
        assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_alice[i], WALL + 5), TL_OFFER_OK);
    }
    assert_int_equal(s->nonces.n, TL_NONCES_MAX);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, of_alice[i], WALL + 5), TL_OFFER_REPLAYED);
        json_decref(of_alice[i]);
    }
    scene_free(s);
}

static void the_key_on_the_wire_must_be_the_image_of_the_node_id(void **state)
{
    (void)state;
    scene *s = scene_new();
    char wg[70];
    memcpy(wg, "\"", 2);
    tl_hex_write(wg + 1, s->alice.noise_public, 32);
    strcat(wg, "\"");
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.wgPublicKey", wg), TL_OFFER_OK);
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.wgPublicKey", NULL),
                     TL_OFFER_MALFORMED);
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.wgPublicKey", "7"),
                     TL_OFFER_MALFORMED);
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.wgPublicKey", "\"\""), TL_OFFER_KEY);
    tl_hex_write(wg + 1, s->carol.noise_public, 32);
    strcat(wg, "\"");
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.wgPublicKey", wg), TL_OFFER_KEY);
    assert_int_equal(with(s, TL_OFFER_ANSWER, "connectionInfo.wgPublicKey", wg), TL_OFFER_KEY);
    scene_free(s);
}

/* libsodium's list of points of small order, and encodings that are not canonical. */
static void keys_of_small_order_and_odd_encodings_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        "\"0100000000000000000000000000000000000000000000000000000000000000\"",
        "\"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05\"",
        "\"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\"",
        "\"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\"",
        "\"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\"",
        "\"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\"",
        "\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"",
    };
    scene *s = scene_new();
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(with(s, (tl_offer_type)type, "fromNodeID", bad[i]), TL_OFFER_KEY);
    scene_free(s);
}

static void each_of_both_signatures_must_be_right(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *good = made(s, TL_OFFER_OFFER), *other = made(s, TL_OFFER_OFFER);
    static const char *const wheres[] = {"signature", "info.signature"};
    assert_int_equal(read_fresh(s, TL_OFFER_OFFER, good), TL_OFFER_OK);
    /* the legacy one is the same for every offer of the session; by another key it is not */
    sign_again(other, TL_OFFER_OFFER, &s->carol);
    for (size_t i = 0; i < 2; i++) {
        json_t *mixed = json_deep_copy(good), *to, *from;
        const char *key = holder(mixed, wheres[i], &to);
        holder(other, wheres[i], &from);
        json_object_set(to, key, json_object_get(from, key));
        assert_int_equal(read_fresh(s, TL_OFFER_OFFER, mixed), TL_OFFER_SIGNATURE);
        json_decref(mixed);
    }
    json_t *candidate = made(s, TL_OFFER_CANDIDATE);
    assert_int_equal(read_fresh(s, TL_OFFER_CANDIDATE, candidate), TL_OFFER_OK);
    sign_again(candidate, TL_OFFER_CANDIDATE, &s->carol);
    assert_int_equal(read_fresh(s, TL_OFFER_CANDIDATE, candidate), TL_OFFER_SIGNATURE);
    json_decref(candidate);
    json_decref(good);
    json_decref(other);
    scene_free(s);
}

static void unknown_fields_pass_and_are_under_the_signature(void **state)
{
    (void)state;
    scene *s = scene_new();
    assert_int_equal(with(s, TL_OFFER_OFFER, "future", "{\"a\":[1,2.5,null]}"), TL_OFFER_OK);
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.future", "true"), TL_OFFER_OK);
    assert_int_equal(with(s, TL_OFFER_OFFER, "info.future", "\"x\""), TL_OFFER_OK);
    assert_int_equal(with(s, TL_OFFER_CANDIDATE, "candidate.future", "7"), TL_OFFER_OK);
    for (int type = TL_OFFER_OFFER; type <= TL_OFFER_CANDIDATE; type++) {
        json_t *payload = made(s, (tl_offer_type)type);
        json_object_set_new(payload, "future", json_true());
        sign_again(payload, (tl_offer_type)type, &s->alice);
        assert_int_equal(read_fresh(s, (tl_offer_type)type, payload), TL_OFFER_OK);
        json_object_set_new(payload, "future", json_false());
        assert_int_equal(read_fresh(s, (tl_offer_type)type, payload), TL_OFFER_SIGNATURE);
        json_object_del(payload, "future");
        assert_int_equal(read_fresh(s, (tl_offer_type)type, payload), TL_OFFER_SIGNATURE);
        json_decref(payload);
    }
    scene_free(s);
}

static void two_hundred_candidates_are_read_each_by_itself(void **state)
{
    (void)state;
    scene *s = scene_new();
    json_t *bad = made(s, TL_OFFER_CANDIDATE);
    json_object_set_new(bad, "issuedAt", json_integer(WALL + 1));
    for (unsigned i = 0; i < 200; i++) {
        feed(s, &s->alice, 1);
        assert_int_equal(read_at(s, TL_OFFER_CANDIDATE, bad, WALL), TL_OFFER_SIGNATURE);
    }
    assert_int_equal(s->nonces.n, 200);
    json_decref(bad);
    scene_free(s);
}

static void a_failed_reading_leaves_the_result_as_it_was(void **state)
{
    (void)state;
    scene *s = scene_new();
    memset(&s->got, 0x5A, sizeof s->got);
    tl_offer before = s->got;
    assert_int_equal(with(s, TL_OFFER_OFFER, "connectionInfo.natType", "\"x\""),
                     TL_OFFER_MALFORMED);
    assert_memory_equal(&before, &s->got, sizeof before);
    scene_free(s);
}

static void a_session_is_a_random_uuid_of_version_4(void **state)
{
    (void)state;
    tl_rand rand = tl_rand_seeded(3);
    char one[TL_SESSION_TEXT + 1], two[TL_SESSION_TEXT + 1];
    tl_session_new(&rand, one);
    tl_session_new(&rand, two);
    assert_string_not_equal(one, two);
    for (int i = 0; i < 64; i++) {
        tl_session_new(&rand, one);
        assert_int_equal(strlen(one), TL_SESSION_TEXT);
        assert_int_equal(strspn(one, "0123456789abcdef-"), TL_SESSION_TEXT);
        assert_true(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
        assert_true(one[14] == '4' && strchr("89ab", one[19]));
    }
}

static void every_verdict_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < TL_OFFER_VERDICTS; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(tl_offer_verdict_name((tl_offer_verdict)i),
                                    tl_offer_verdict_name((tl_offer_verdict)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_and_an_answer_arrive_as_they_were_sent),
        cmocka_unit_test(a_candidate_arrives_as_it_was_sent),
        cmocka_unit_test(addresses_that_are_not_known_are_empty_and_zero_on_the_wire),
        cmocka_unit_test(what_another_implementation_signed_is_accepted),
        cmocka_unit_test(a_bit_altered_anywhere_is_refused),
        cmocka_unit_test(a_text_cut_anywhere_is_malformed),
        cmocka_unit_test(a_type_is_good_for_itself_alone),
        cmocka_unit_test(what_was_meant_for_another_is_not_ours),
        cmocka_unit_test(our_own_words_come_back_are_not_ours_to_read),
        cmocka_unit_test(the_clock_may_be_thirty_seconds_off_and_not_one_more),
        cmocka_unit_test(a_replay_is_refused_for_as_long_as_its_time_is_right),
        cmocka_unit_test(a_nonce_is_remembered_of_signed_messages_only),
        cmocka_unit_test(the_same_nonce_of_two_senders_is_two),
        cmocka_unit_test(the_memory_is_bounded_and_one_node_fills_only_its_share),
        cmocka_unit_test(in_a_full_memory_the_oldest_makes_room),
        cmocka_unit_test(the_key_on_the_wire_must_be_the_image_of_the_node_id),
        cmocka_unit_test(keys_of_small_order_and_odd_encodings_are_refused),
        cmocka_unit_test(each_of_both_signatures_must_be_right),
        cmocka_unit_test(unknown_fields_pass_and_are_under_the_signature),
        cmocka_unit_test(two_hundred_candidates_are_read_each_by_itself),
        cmocka_unit_test(a_failed_reading_leaves_the_result_as_it_was),
        cmocka_unit_test(a_session_is_a_random_uuid_of_version_4),
        cmocka_unit_test(every_verdict_has_a_name_of_its_own),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
