/* How many of our models a registration names, and what the user hears of the rest; and who of those
 * that a relay lists speaks Noise; and the members of a network. */
#include "peer/relay_link.h"

#include "base/log.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static tl_rand rng;
static tl_identity own;
static char own_hex[65];
static tl_relay_link *link_;
static tl_buf said; /* the last message */
static size_t begun;
static char logged[200];
static unsigned logged_n;

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    (void)wire;
    tl_buf_clear(&said);
    begun = n;
    return tl_buf_reserve(&said, n, ret_room);
}

static void wire_commit(void *wire)
{
    (void)wire;
    tl_buf_added(&said, begun);
}

static void on_registered(void *user)
{
    (void)user;
}

static struct {
    unsigned peers, discovered;
    bool in_clear; /* the last one */
} listed;

static void on_peer(void *user, const tl_relay_peer *peer)
{
    (void)user;
    listed.peers++;
    listed.in_clear = peer->in_clear;
}

static unsigned ended;

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user, (void)path, (void)why;
    ended++;
}

static void on_discovered(void *user, const char *model, bool ok)
{
    (void)user, (void)model;
    listed.discovered += ok;
}

static void keep_line(void *user, tl_log_level level, const char *line)
{
    (void)user, (void)level;
    snprintf(logged, sizeof logged, "%s", line);
    logged_n++;
}

static void hear(const char *text)
{
    char copy[400];
    int n = snprintf(copy, sizeof copy, "%s", text);
    tl_relay_link_on_text(link_, (uint8_t *)copy, (size_t)n, TL_SEC);
}

/* `kept` negative: the relay kept all. */
static void hear_ack(int kept)
{
    char text[300], more[40] = "";
    if (kept >= 0)
        snprintf(more, sizeof more, ",\"modelsKept\":%d", kept);
    snprintf(text, sizeof text, "{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5%s}}",
             own_hex, more);
    hear(text);
}

static void set_models(int n, int length)
{
    json_t *models = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(models, json_sprintf("%0*d", length, i));
    tl_relay_link_set_capabilities(link_, json_pack("{s:o}", "loadedModels", models));
}

static size_t models_said(void)
{
    json_t *root;
    assert_int_equal(tl_json_parse(tl_buf_slice(&said), 16, &root, NULL), TL_OK);
    const json_t *c = json_object_get(json_object_get(root, "register"), "capabilities");
    size_t n = json_array_size(json_object_get(c, "loadedModels"));
    json_decref(root);
    return n;
}

static int setup(void **state)
{
    (void)state;
    static const tl_relay_link_events events = {.on_registered = on_registered,
                                                .on_peer = on_peer,
                                                .on_discovered = on_discovered,
                                                .on_ended = on_ended};
    static const tl_relay_wire wire = {wire_begin, wire_commit};
    rng = tl_rand_seeded(1);
    logged_n = 0;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    tl_node_id_write(own_hex, &own.id);
    assert_int_equal(tl_relay_link_new(&own, &rng, "me", &events, NULL, &link_), TL_OK);
    tl_relay_link_on_open(link_, "relay.example", &wire, NULL, TL_SEC);
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\",\"features\":[]}}");
    hear_ack(-1);
    tl_log_set_sink(keep_line, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_log_set_sink(NULL, NULL);
    tl_relay_link_free(link_);
    tl_buf_clear(&said);
    return 0;
}

static void of_a_long_list_256_are_registered_and_the_user_is_told(void **state)
{
    (void)state;
    set_models(256, 10);
    assert_int_equal(models_said(), 256);
    hear_ack(-1);
    assert_int_equal(logged_n, 0);
    set_models(1000, 10);
    assert_int_equal(models_said(), 256);
    hear_ack(-1);
    assert_non_null(strstr(logged, "first 256 of our 1000"));
}

static void a_message_that_is_too_long_for_some_relays_is_never_sent(void **state)
{
    (void)state;
    set_models(250, 250);
    assert_true(models_said() > 150 && models_said() < 250);
    assert_true(said.len < 60000);
}

static void what_the_relay_cut_is_told_once(void **state)
{
    (void)state;
    set_models(200, 10);
    hear_ack(100);
    assert_non_null(strstr(logged, "first 100 of our 200"));
    hear_ack(100);
    assert_int_equal(logged_n, 1);
    hear_ack(0);
    assert_non_null(strstr(logged, "first 0 of our 200"));
    hear_ack(-1);
    assert_int_equal(logged_n, 2);
}

/* One peer, listed with these fields beside its ID. */
static void hear_listed(const tl_identity *peer, const char *fields)
{
    char text[400], hex[65];
    tl_node_id_write(hex, &peer->id);
    snprintf(text, sizeof text,
             "{\"discoverResponse\":{\"peers\":[{\"nodeID\":\"%s\",%s\"capabilities\":{}}]}}", hex,
             fields);
    listed.peers = 0;
    assert_int_equal(tl_relay_link_discover(link_, "", TL_SEC), TL_OK);
    hear(text);
}

static void a_peer_without_the_key_of_its_id_is_one_of_the_old_protocol(void **state)
{
    (void)state;
    tl_identity other;
    char wg[65], fields[100];
    assert_int_equal(tl_identity_new(&rng, &other), TL_OK);
    tl_hex_write(wg, other.noise_public, 32);
    snprintf(fields, sizeof fields, "\"wgPublicKey\":\"%s\",", wg);
    hear_listed(&other, fields);
    assert_true(listed.peers == 1 && !listed.in_clear);
    /* None; and one of another seed, or made of the seed in another way. */
    hear_listed(&other, "");
    assert_true(listed.peers == 1 && listed.in_clear);
    tl_hex_write(wg, own.noise_public, 32);
    snprintf(fields, sizeof fields, "\"wgPublicKey\":\"%s\",", wg);
    hear_listed(&other, fields);
    assert_true(listed.peers == 1 && listed.in_clear);
    assert_int_equal(tl_relay_link_counters_of(link_)->peers_in_clear, 2);
    assert_int_equal(tl_relay_link_counters_of(link_)->peers_refused, 0);
    /* The public key of somebody else is nonsense, whatever is spoken. */
    snprintf(fields, sizeof fields, "\"publicKey\":\"%s\",", own_hex);
    hear_listed(&other, fields);
    assert_int_equal(listed.peers, 0);
    assert_int_equal(tl_relay_link_counters_of(link_)->peers_refused, 1);
    assert_int_equal(listed.discovered, 4);
}

static bool asks_for(const char *filter)
{
    return memmem(tl_buf_begin(&said), said.len, filter, strlen(filter)) != NULL;
}

static void the_members_of_a_network_are_asked_for_by_its_id(void **state)
{
    (void)state;
    char by_network[128];
    memset(&listed, 0, sizeof listed);
    snprintf(by_network, sizeof by_network, "\"filter\":{\"ptnID\":\"%s\"}", own_hex);
    assert_int_equal(tl_relay_link_discover_network(link_, &own.id, TL_SEC), TL_OK);
    assert_true(asks_for(by_network));
    assert_int_equal(tl_relay_link_discover_network(link_, &own.id, TL_SEC), TL_OK); /* under way */
    assert_int_equal(tl_relay_link_discover(link_, "m", TL_SEC), TL_OK);             /* next */
    assert_true(asks_for(by_network));
    hear("{\"discoverResponse\":{\"peers\":[]}}");
    assert_int_equal(listed.discovered, 0); /* nobody waits for it */
    assert_true(asks_for("\"filter\":{\"modelID\":\"m\"}"));
    hear("{\"discoverResponse\":{\"peers\":[]}}");
    assert_int_equal(listed.discovered, 1);
    tl_relay_link_on_closed(link_);
    assert_int_equal(tl_relay_link_discover_network(link_, &own.id, TL_SEC), TL_ERR_CLOSED);
}

/* As the public network's relay says it: without the message's type, and without the session. */
static void an_absent_peer_is_known_by_the_public_relays_words(void **state)
{
    (void)state;
    tl_identity other, third;
    char hex[65], text[200];
    assert_int_equal(tl_identity_new(&rng, &other), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &third), TL_OK);
    tl_node_id_write(hex, &other.id);
    assert_int_equal(tl_relay_link_open(link_, &other.id, 1), TL_OK);
    assert_int_equal(tl_relay_link_open(link_, &other.id, 2), TL_OK);
    assert_int_equal(tl_relay_link_open(link_, &third.id, 3), TL_OK);
    hear("{\"error\":{\"code\":\"peer_not_found\",\"message\":\"Peer x is not connected\"}}");
    hear("{\"error\":{\"code\":\"peer_not_found\",\"message\":\"no such node\"}}");
    assert_int_equal(ended, 0);
    snprintf(text, sizeof text,
             "{\"error\":{\"code\":\"peer_not_found\",\"message\":\"Peer %s is not connected\"}}",
             hex);
    hear(text);
    assert_int_equal(ended, 2); /* and not the third's */
}

/* --- a long list --- */

/* A page of `n` nodes, each with a key of its own, as one text. */
static void write_long_page(tl_buf *out, size_t n)
{
    tl_rand keys = tl_rand_seeded(7);
    assert_int_equal(tl_buf_append_str(out, "{\"discoverResponse\":{\"peers\":["), TL_OK);
    for (size_t i = 0; i < n; i++) {
        tl_identity node;
        char hex[65], wg[65];
        assert_int_equal(tl_identity_new(&keys, &node), TL_OK);
        tl_node_id_write(hex, &node.id);
        tl_hex_write(wg, node.noise_public, 32);
        assert_int_equal(
            tl_buf_printf(out,
                          "%s{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"wgPublicKey\":\"%s\","
                          "\"displayName\":\"n\",\"capabilities\":{}}",
                          i ? "," : "", hex, hex, wg),
            TL_OK);
    }
    assert_int_equal(tl_buf_append_str(out, "]}}"), TL_OK);
}

/* How many calls it takes to read the page; *ret_most: nodes told of in one call. */
static unsigned turns_for(const tl_buf *page, unsigned *ret_most)
{
    tl_buf text = {0};
    unsigned turns = 1, before = listed.peers;
    assert_int_equal(tl_buf_append(&text, tl_buf_slice(page)), TL_OK);
    assert_int_equal(tl_relay_link_discover(link_, "", TL_SEC), TL_OK);
    tl_relay_link_on_text(link_, tl_buf_begin(&text), text.len, TL_SEC);
    tl_buf_clear(&text);
    *ret_most = listed.peers - before;
    for (; tl_relay_link_expiry(link_) <= TL_SEC; turns++) {
        before = listed.peers;
        tl_relay_link_on_timer(link_, TL_SEC);
        *ret_most = listed.peers - before > *ret_most ? listed.peers - before : *ret_most;
    }
    return turns;
}

static void
a_long_list_is_read_a_few_new_keys_a_turn_and_known_keys_are_not_checked_again(void **state)
{
    (void)state;
    tl_buf page = {0};
    unsigned most, peers = listed.peers, discovered = listed.discovered;
    write_long_page(&page, 60);
    assert_int_equal(turns_for(&page, &most), 1 + 60 / 3);
    assert_int_equal(most, 3);
    assert_int_equal(listed.peers, peers + 60);
    assert_int_equal(listed.discovered, discovered + 1);
    assert_false(listed.in_clear);
    assert_int_equal(turns_for(&page, &most), 1 + 2);
    assert_int_equal(most, 48);
    assert_int_equal(listed.peers, peers + 120);
    assert_int_equal(listed.discovered, discovered + 2);
    tl_buf_clear(&page);
}

static void a_list_that_is_being_read_ends_with_the_connection(void **state)
{
    (void)state;
    tl_buf page = {0};
    unsigned peers = listed.peers, discovered = listed.discovered;
    write_long_page(&page, 60);
    assert_int_equal(tl_relay_link_discover(link_, "", TL_SEC), TL_OK);
    tl_relay_link_on_text(link_, tl_buf_begin(&page), page.len, TL_SEC);
    tl_relay_link_on_timer(link_, TL_SEC);
    assert_int_equal(listed.peers, peers + 3);
    tl_relay_link_on_closed(link_);
    assert_int_equal(listed.discovered, discovered); /* it has failed */
    assert_int_equal(tl_relay_link_expiry(link_), TL_NEVER);
    tl_relay_link_on_timer(link_, 2 * TL_SEC);
    assert_int_equal(listed.peers, peers + 3);
    tl_buf_clear(&page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(of_a_long_list_256_are_registered_and_the_user_is_told),
        TEST(a_message_that_is_too_long_for_some_relays_is_never_sent),
        TEST(what_the_relay_cut_is_told_once),
        TEST(a_peer_without_the_key_of_its_id_is_one_of_the_old_protocol),
        TEST(the_members_of_a_network_are_asked_for_by_its_id),
        TEST(an_absent_peer_is_known_by_the_public_relays_words),
        TEST(a_long_list_is_read_a_few_new_keys_a_turn_and_known_keys_are_not_checked_again),
        TEST(a_list_that_is_being_read_ends_with_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
