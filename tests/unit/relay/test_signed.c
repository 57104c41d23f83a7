#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { INITIATOR = 1, TARGET, INTRODUCER, RELAY };

static tl_identity identity_of(int seed)
{
    uint8_t bytes[32];
    tl_identity id;
    memset(bytes, seed, sizeof bytes);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(bytes, &id), TL_OK);
    return id;
}

static int signer_of(tl_control_type type)
{
    switch (type) {
    case TL_CONTROL_PUNCH_READY:
    case TL_CONTROL_ATTACH: return TARGET;
    case TL_CONTROL_ATTACHED: return INTRODUCER;
    case TL_CONTROL_RELAY_OFFER:
    case TL_CONTROL_RELAY_WARNING: return RELAY;
    default: return INITIATOR;
    }
}

/* Calls `with` for each signed datagram of the other program. */
static void for_each_example(void (*with)(const tl_control *c, const uint8_t *bytes, size_t n))
{
    char line[2 * TL_CONTROL_MAX + 64], name[32], hex[2 * TL_CONTROL_MAX + 1];
    size_t count = 0;
    FILE *f = fopen(TL_TEST_DATA "/control.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        uint8_t bytes[TL_CONTROL_MAX];
        tl_control c;
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%31s %2400s", name, hex), 2);
        size_t n = strlen(hex) / 2;
        assert_int_equal(tl_hex_parse(tl_slice_str(hex), false, bytes, n), TL_OK);
        assert_int_equal(tl_control_parse(tl_slice_of(bytes, n), &c), TL_OK);
        if (!tl_control_is_signed(c.type))
            continue;
        with(&c, bytes, n);
        count++;
    }
    fclose(f);
    assert_true(count >= 8);
}

static void judge(const tl_control *c, const uint8_t *bytes, size_t n)
{
    (void)bytes, (void)n;
    tl_identity right = identity_of(signer_of(c->type));
    assert_int_equal(tl_control_verify(c, &right.id), TL_OK);
    for (int other = INITIATOR; other <= RELAY; other++) {
        tl_identity wrong = identity_of(other);
        if (other != signer_of(c->type))
            assert_int_equal(tl_control_verify(c, &wrong.id), TL_ERR_AUTH);
    }
    /* the same signature, made by us */
    tl_control ours = *c;
    memset(ours.sig, 0, sizeof ours.sig);
    assert_int_equal(tl_control_verify(&ours, &right.id), TL_ERR_AUTH);
    assert_int_equal(tl_control_sign(&ours, &right), TL_OK);
    assert_memory_equal(ours.sig, c->sig, sizeof c->sig);
}

static void signatures_of_the_other_program_verify_and_only_for_their_signer(void **state)
{
    (void)state;
    for_each_example(judge);
}

static void alter(const tl_control *c, const uint8_t *bytes, size_t n)
{
    tl_identity right = identity_of(signer_of(c->type));
    for (size_t at = 1; at < n; at++) {
        uint8_t altered[TL_CONTROL_MAX];
        tl_control other;
        memcpy(altered, bytes, n);
        altered[at] ^= 1;
        if (tl_control_parse(tl_slice_of(altered, n), &other))
            continue;
        /* a PunchRequest is the map of the PunchIntro: only there another type is as good */
        bool is_twin = at == 1 && c->type <= TL_CONTROL_PUNCH_REQUEST && other.type <= 2;
        assert_int_equal(tl_control_verify(&other, &right.id), is_twin ? TL_OK : TL_ERR_AUTH);
    }
}

static void an_altered_byte_ends_the_signature(void **state)
{
    (void)state;
    for_each_example(alter);
}

static void a_signature_of_one_type_is_none_of_another_with_the_same_keys(void **state)
{
    (void)state;
    tl_identity id = identity_of(INITIATOR);
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = {.family = TL_ADDR_V4, .port = 5, .bytes = {192, 0, 2, 1}},
                    .timestamp = 1};
    assert_int_equal(tl_control_sign(&c, &id), TL_OK);
    assert_int_equal(tl_control_verify(&c, &id.id), TL_OK);
    c.type = TL_CONTROL_PUNCH_READY;
    assert_int_equal(tl_control_verify(&c, &id.id), TL_ERR_AUTH);
    c.type = TL_CONTROL_RELAY_PATH; /* nobody signs it */
    assert_int_equal(tl_control_verify(&c, &id.id), TL_ERR_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_the_other_program_verify_and_only_for_their_signer),
        cmocka_unit_test(an_altered_byte_ends_the_signature),
        cmocka_unit_test(a_signature_of_one_type_is_none_of_another_with_the_same_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
