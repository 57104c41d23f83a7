/* What proves that a node holds its key, now and for this relay; each refusal beside its twin. */
#include "relay/admission.h"

#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static tl_identity node;
static char node_hex[TL_NODE_ID_HEX + 1], proof[2 * TL_SIGNATURE_SIZE + 1];
static tl_relay_config config;
static tl_addr local;

static int setup(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {1};
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed, &node), TL_OK);
    tl_node_id_write(node_hex, &node.id);
    memset(&config, 0, sizeof config);
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.0.2.1:8443"), &local), TL_OK);
    return 0;
}

static void sign_for(const char *authority)
{
    char body[500];
    tl_signature signature;
    int n = snprintf(body, sizeof body, NONCE ":%s:%s", authority, node_hex);
    assert_int_equal(tl_sign(&node, TL_SIGN_REGISTER, tl_slice_of(body, (size_t)n), &signature),
                     TL_OK);
    tl_signature_write(proof, &signature);
}

/* Admits with this proof, and checks that the result is touched only on success. */
static tl_err admit_as(const char *node_id, const char *signature, const char *bare, bool tls)
{
    tl_signal_register r = {
        .node_id = node_id, .challenge_signature = signature, .signature = bare};
    tl_node_id id, untouched;
    memset(&id, 0xEE, sizeof id);
    untouched = id;
    tl_err e = tl_relay_admit(&config, &local, tls, NONCE, &r, &id);
    assert_true(tl_node_id_eq(&id, e ? &untouched : &node.id));
    return e;
}

static tl_err admit(const char *authority)
{
    sign_for(authority);
    return admit_as(node_hex, proof, NULL, true);
}

static void name_relay(const char *name)
{
    snprintf(config.names[config.name_count++], sizeof config.names[0], "%s", name);
}

static void a_proof_is_for_one_of_the_relays_names(void **state)
{
    (void)state;
    name_relay("relay.example");
    name_relay("relay.example:8443");
    assert_int_equal(admit("relay.example"), TL_OK);
    assert_int_equal(admit("relay.example:8443"), TL_OK);
    assert_int_equal(admit("relay.exampl"), TL_ERR_AUTH);
    assert_int_equal(admit("192.0.2.1:8443"), TL_ERR_AUTH); /* it has names */
    config.name_count = 0;
    assert_int_equal(admit("192.0.2.1:8443"), TL_OK);
    assert_int_equal(admit("relay.example"), TL_ERR_AUTH);
}

static void the_longest_name_there_may_be_is_proven_like_any_other(void **state)
{
    (void)state;
    char name[TL_HOST_MAX + 6];
    memset(name, 'a', sizeof name);
    memcpy(name + sizeof name - 7, ":65535", 7);
    name_relay(name);
    assert_int_equal(strlen(config.names[0]), sizeof name - 1);
    assert_int_equal(admit(name), TL_OK);
    name[0] = 'b';
    assert_int_equal(admit(name), TL_ERR_AUTH);
}

static void a_proof_that_is_no_signature_proves_nothing(void **state)
{
    (void)state;
    static const char *const nonsense[] = {"", "00", "x"};
    sign_for("192.0.2.1:8443");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(admit_as(node_hex, nonsense[i], NULL, true), TL_ERR_AUTH);
    proof[0] = 'g'; /* no hex digit */
    assert_int_equal(admit_as(node_hex, proof, NULL, true), TL_ERR_AUTH);
    assert_int_equal(admit_as(node_hex, NULL, NULL, true), TL_ERR_AUTH);
    sign_for("192.0.2.1:8443");
    assert_int_equal(admit_as(node_hex, proof, NULL, true), TL_OK);
}

static void a_node_id_must_be_a_key(void **state)
{
    (void)state;
    static const char zero[] = "0000000000000000000000000000000000000000000000000000000000000000";
    sign_for("192.0.2.1:8443");
    assert_int_equal(admit_as("nonsense", proof, NULL, true), TL_ERR_PROTO);
    assert_int_equal(admit_as(zero, proof, NULL, true), TL_ERR_AUTH);
    assert_int_equal(admit_as(node_hex, proof, NULL, true), TL_OK);
}

static void without_a_name_the_address_counts_and_its_port_unless_it_is_the_schemes(void **state)
{
    (void)state;
    static const struct {
        const char *local, *authority;
        bool tls, admitted;
    } rows[] = {
        {"192.0.2.1:443", "192.0.2.1", true, true},
        {"192.0.2.1:443", "192.0.2.1:443", true, false},
        {"192.0.2.1:443", "192.0.2.1:443", false, true},
        {"192.0.2.1:443", "192.0.2.1", false, false},
        {"192.0.2.1:80", "192.0.2.1", false, true},
        {"192.0.2.1:80", "192.0.2.1", true, false},
        {"[2001:db8::1]:443", "[2001:db8::1]", true, true},
        {"[2001:db8::1]:8443", "[2001:db8::1]:8443", true, true},
        {"[::ffff:192.0.2.1]:443", "192.0.2.1", true, true},
        {"127.0.0.1:443", "localhost", true, true},
        {"127.0.0.1:8443", "localhost:8443", true, true},
        {"127.0.0.1:8443", "localhost", true, false},
        {"127.0.0.1:8443", "127.0.0.1:8443", true, true},
        {"192.0.2.1:8443", "localhost:8443", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(tl_addr_parse(tl_slice_str(rows[i].local), &local), TL_OK);
        sign_for(rows[i].authority);
        tl_err e = admit_as(node_hex, proof, NULL, rows[i].tls);
        if (e != (rows[i].admitted ? TL_OK : TL_ERR_AUTH))
            fail_msg("row %zu: error %d", i, e);
    }
}

static void an_old_clients_signature_counts_where_the_operator_says_so(void **state)
{
    (void)state;
    tl_signature signature;
    char bare[2 * TL_SIGNATURE_SIZE + 1];
    assert_int_equal(tl_sign_bare(&node, tl_slice_str(node_hex), &signature), TL_OK);
    tl_signature_write(bare, &signature);
    assert_int_equal(admit_as(node_hex, NULL, bare, true), TL_ERR_AUTH);
    config.legacy_clients = true;
    assert_int_equal(admit_as(node_hex, NULL, bare, true), TL_OK);
    assert_int_equal(admit_as(node_hex, NULL, NULL, true), TL_ERR_AUTH);
    assert_int_equal(admit_as(node_hex, "", bare, true), TL_ERR_AUTH); /* no way around a proof */
    sign_for("elsewhere");
    assert_int_equal(admit_as(node_hex, proof, bare, true), TL_ERR_AUTH);
    bare[5] = bare[5] == '0' ? '1' : '0';
    assert_int_equal(admit_as(node_hex, NULL, bare, true), TL_ERR_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_proof_is_for_one_of_the_relays_names, setup),
        cmocka_unit_test_setup(the_longest_name_there_may_be_is_proven_like_any_other, setup),
        cmocka_unit_test_setup(a_proof_that_is_no_signature_proves_nothing, setup),
        cmocka_unit_test_setup(a_node_id_must_be_a_key, setup),
        cmocka_unit_test_setup(
            without_a_name_the_address_counts_and_its_port_unless_it_is_the_schemes, setup),
        cmocka_unit_test_setup(an_old_clients_signature_counts_where_the_operator_says_so, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
