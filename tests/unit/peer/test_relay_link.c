#include "peer/relay_link.h"

#include "base/base64.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static tl_rand rng;
static tl_identity own, other;
static char own_hex[65], other_hex[65];
static tl_relay_link *link_;
static tl_buf said; /* the last message */
static unsigned said_n;
static size_t begun;
static bool wire_full;

static struct {
    unsigned registered, peers, ready, ended, datagrams, asked, discovered;
    bool discovered_ok;
    char refused[32], model[64], name[64], why[96];
    tl_path_id path, accept_as;
    tl_node_id peer;
    tl_buf data;
    unsigned signals, failed;
    tl_signal_type signal;
    char payload[512], session[80];
} told;

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    (void)wire;
    if (wire_full)
        return TL_ERR_BUSY;
    tl_buf_clear(&said);
    begun = n;
    return tl_buf_reserve(&said, n, ret_room);
}

static void wire_commit(void *wire)
{
    (void)wire;
    tl_buf_added(&said, begun);
    said_n++;
}

static void on_registered(void *user)
{
    (void)user;
    told.registered++;
}

static void on_refused(void *user, const char *code, const char *message)
{
    (void)user;
    (void)message;
    snprintf(told.refused, sizeof told.refused, "%s", code);
}

static void on_peer(void *user, const tl_relay_peer *peer)
{
    (void)user;
    told.peers++;
    told.peer = peer->id;
    snprintf(told.name, sizeof told.name, "%s", peer->name);
}

static void on_discovered(void *user, const char *model, bool ok)
{
    (void)user;
    told.discovered++;
    told.discovered_ok = ok;
    snprintf(told.model, sizeof told.model, "%s", model);
}

static tl_path_id on_asked(void *user, const tl_node_id *from)
{
    (void)user;
    told.asked++;
    told.peer = *from;
    return told.accept_as;
}

static void on_ready(void *user, tl_path_id path)
{
    (void)user;
    told.ready++;
    told.path = path;
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    (void)user;
    told.ended++;
    told.path = path;
    snprintf(told.why, sizeof told.why, "%s", why);
}

static void on_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    (void)user;
    told.datagrams++;
    told.path = path;
    tl_buf_clear(&told.data);
    assert_int_equal(tl_buf_append(&told.data, tl_slice_of(data, n)), TL_OK);
}

static void on_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    (void)user;
    told.signals++;
    told.signal = type;
    told.peer = *from;
    snprintf(told.payload, sizeof told.payload, "%.*s", (int)payload.n, (const char *)payload.p);
}

static void on_signal_failed(void *user, const char *session)
{
    (void)user;
    told.failed++;
    snprintf(told.session, sizeof told.session, "%s", session);
}

static void hear(const char *fmt, ...) TL_PRINTF(1, 2);
static void hear(const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tl_relay_link_on_text(link_, (uint8_t *)text, (size_t)n, 1 * TL_SEC);
}

/* What was said last, as JSON; the payload of `type`. */
static json_t *said_payload(const char *type, json_t **ret_root)
{
    assert_int_equal(tl_json_parse(tl_buf_slice(&said), 16, ret_root, NULL), TL_OK);
    json_t *payload = json_object_get(*ret_root, type);
    assert_non_null(payload);
    return payload;
}

static int setup(void **state)
{
    (void)state;
    static const tl_relay_link_events events = {
        on_registered, on_refused, on_peer,     on_discovered, on_asked,
        on_ready,      on_ended,   on_datagram, on_signal,     on_signal_failed};
    static const tl_relay_wire wire = {wire_begin, wire_commit};
    rng = tl_rand_seeded(1);
    memset(&told, 0, sizeof told);
    said_n = 0;
    wire_full = false;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &own), TL_OK);
    assert_int_equal(tl_identity_new(&rng, &other), TL_OK);
    tl_node_id_write(own_hex, &own.id);
    tl_node_id_write(other_hex, &other.id);
    assert_int_equal(tl_relay_link_new(&own, &rng, "me", &events, NULL, &link_), TL_OK);
    tl_relay_link_set_capabilities(link_, json_pack("{s:[]}", "loadedModels"));
    tl_relay_link_on_open(link_, "relay.example:8443", &wire, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_relay_link_free(link_);
    tl_buf_clear(&said);
    tl_buf_clear(&told.data);
    return 0;
}

static void hear_ack(void)
{
    hear("{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":300}}", own_hex);
}

static int setup_registered(void **state)
{
    setup(state);
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\",\"features\":[]}}");
    hear_ack();
    assert_true(tl_relay_link_is_registered(link_));
    return 0;
}

/* --- registering --- */

static void the_challenge_is_signed_for_this_relay_alone(void **state)
{
    (void)state;
    json_t *root;
    tl_signature bare, proof;
    assert_int_equal(said_n, 0);
    hear("{\"challenge\":{\"_0\":{\"nonce\":\"" NONCE "\",\"features\":[]}}}");
    json_t *r = said_payload("register", &root);
    assert_string_equal(tl_json_string(r, "nodeID", ""), own_hex);
    assert_string_equal(tl_json_string(r, "publicKey", ""), own_hex);
    assert_string_equal(tl_json_string(r, "displayName", ""), "me");
    assert_null(json_object_get(r, "features")); /* it wants to be told who joins and leaves */
    assert_int_equal(tl_signature_parse(tl_slice_str(tl_json_string(r, "signature", "")), &bare),
                     TL_OK);
    assert_int_equal(tl_sign_bare_verify(&own.id, tl_slice_str(own_hex), &bare), TL_OK);
    assert_int_equal(
        tl_signature_parse(tl_slice_str(tl_json_string(r, "challengeSignature", "")), &proof),
        TL_OK);
    char body[300];
    snprintf(body, sizeof body, NONCE ":relay.example:8443:%s", own_hex);
    assert_int_equal(tl_sign_verify(&own.id, TL_SIGN_REGISTER, tl_slice_str(body), &proof), TL_OK);
    json_decref(root);
    assert_int_equal(told.registered, 0);
    hear_ack();
    assert_int_equal(told.registered, 1);
    assert_int_equal(tl_relay_link_ttl(link_), 300);
}

static void without_a_challenge_it_registers_after_two_seconds(void **state)
{
    (void)state;
    json_t *root;
    assert_int_equal(tl_relay_link_expiry(link_), TL_RELAY_GREETING_WITHIN);
    tl_relay_link_on_timer(link_, TL_RELAY_GREETING_WITHIN - 1);
    assert_int_equal(said_n, 0);
    tl_relay_link_on_timer(link_, TL_RELAY_GREETING_WITHIN);
    json_t *r = said_payload("register", &root);
    assert_null(json_object_get(r, "challengeSignature"));
    json_decref(root);
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\"}}"); /* too late: it registered already */
    assert_int_equal(said_n, 1);
    tl_relay_link_on_timer(link_, TL_RELAY_GREETING_WITHIN + TL_RELAY_REGISTER_WITHIN);
    assert_string_equal(told.refused, "timeout");
    assert_true(tl_relay_link_expiry(link_) == TL_NEVER); /* until the connection is closed */
}

static void an_ack_for_somebody_else_is_not_ours(void **state)
{
    (void)state;
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\"}}");
    hear("{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1,\"ttlSeconds\":300}}", other_hex);
    assert_int_equal(told.registered, 0);
    hear_ack();
    assert_int_equal(told.registered, 1);
}

static void refusals_are_told_by_their_code(void **state)
{
    (void)state;
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\"}}");
    hear("{\"error\":{\"code\":\"unauthorized\",\"message\":\"no\",\"about\":\"register\"}}");
    assert_string_equal(told.refused, "unauthorized");
    hear_ack();
    hear("{\"error\":{\"code\":\"replaced\",\"message\":\"x\"}}");
    assert_string_equal(told.refused, "replaced");
}

static void changed_capabilities_are_registered_anew_and_the_same_are_not(void **state)
{
    (void)state;
    unsigned before = said_n;
    tl_relay_link_set_capabilities(link_, json_pack("{s:[]}", "loadedModels"));
    assert_int_equal(said_n, before);
    tl_relay_link_set_capabilities(link_, json_pack("{s:[s]}", "loadedModels", "m"));
    assert_int_equal(said_n, before + 1);
    assert_non_null(memmem(tl_buf_begin(&said), said.len, "[\"m\"]", 5));
    hear_ack();
    assert_int_equal(told.registered, 1); /* said once */
}

static void a_change_that_the_relay_does_not_take_is_told_again_and_ends_nothing(void **state)
{
    (void)state;
    tl_relay_link_set_capabilities(link_, json_pack("{s:[s]}", "loadedModels", "m"));
    unsigned before = said_n;
    hear("{\"error\":{\"code\":\"rate_limited\",\"message\":\"x\",\"about\":\"register\"}}");
    assert_string_equal(told.refused, "");
    assert_int_equal(said_n, before);
    tl_relay_link_on_timer(link_, tl_relay_link_expiry(link_));
    assert_int_equal(said_n, before + 1);
}

/* --- discovery --- */

static void hear_peers(const char *wg, const char *cursor)
{
    hear("{\"discoverResponse\":{\"peers\":[{\"nodeID\":\"%s\",\"publicKey\":\"%s\","
         "\"wgPublicKey\":\"%s\","
         "\"displayName\":\"gpu\",\"capabilities\":{\"loadedModels\":[\"m\"]},\"lastSeen\":1,"
         "\"natType\":\"unknown\",\"endpoints\":[]}]%s}}",
         other_hex, other_hex, wg, cursor);
}

static void a_discovery_reads_every_page(void **state)
{
    (void)state;
    char wg[65];
    tl_hex_write(wg, other.noise_public, 32);
    assert_int_equal(tl_relay_link_discover(link_, "m", 0), TL_OK);
    assert_non_null(memmem(tl_buf_begin(&said), said.len, "\"modelID\":\"m\"", 13));
    unsigned before = said_n;
    assert_int_equal(tl_relay_link_discover(link_, "m", 0), TL_OK); /* under way */
    assert_int_equal(said_n, before);
    hear_peers(wg, ",\"cursor\":\"c1\"");
    assert_non_null(memmem(tl_buf_begin(&said), said.len, "\"cursor\":\"c1\"", 13));
    assert_int_equal(told.discovered, 0);
    hear_peers(wg, "");
    assert_int_equal(told.peers, 2);
    assert_int_equal(told.discovered, 1);
    assert_true(told.discovered_ok);
    assert_string_equal(told.model, "m");
    assert_string_equal(told.name, "gpu");
    hear_peers(wg, ""); /* nobody asked */
    assert_int_equal(told.peers, 2);
}

static void questions_wait_their_turn_and_one_unanswered_fails_alone(void **state)
{
    (void)state;
    char model[16];
    for (int i = 0; i < TL_RELAY_QUERIES_MAX; i++) {
        snprintf(model, sizeof model, "m%d", i);
        assert_int_equal(tl_relay_link_discover(link_, model, 0), TL_OK);
    }
    assert_int_equal(tl_relay_link_discover(link_, "more", 0), TL_ERR_BUSY);
    tl_relay_link_on_timer(link_, TL_RELAY_DISCOVER_WITHIN);
    assert_int_equal(told.discovered, 1);
    assert_false(told.discovered_ok);
    assert_string_equal(told.model, "m0");
    assert_non_null(memmem(tl_buf_begin(&said), said.len, "\"m1\"", 4));
    hear(
        "{\"error\":{\"code\":\"rate_limited\",\"message\":\"slow down\",\"about\":\"discover\"}}");
    assert_int_equal(told.discovered, 2);
    assert_false(told.discovered_ok);
    tl_relay_link_on_closed(link_);
    assert_int_equal(told.discovered, TL_RELAY_QUERIES_MAX);
    assert_int_equal(tl_relay_link_discover(link_, "m", 0), TL_ERR_CLOSED);
}

/* --- sessions --- */

/* The session ID of the last message said. */
static void said_session(const char *type, char ret[65])
{
    json_t *root, *p = said_payload(type, &root);
    assert_string_equal(tl_json_string(p, "fromNodeID", ""), own_hex);
    assert_string_equal(tl_json_string(p, "toNodeID", ""), other_hex);
    snprintf(ret, 65, "%s", tl_json_string(p, "sessionID", ""));
    json_decref(root);
}

static void hear_session(const char *type, const char *from, const char *session, const char *more)
{
    hear("{\"%s\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"%s\"%s}}", type, from,
         own_hex, session, more);
}

static void data_flows_once_the_peer_is_ready(void **state)
{
    (void)state;
    char id[65];
    tl_slice hi = TL_SLICE_LIT("hi");
    assert_int_equal(tl_relay_link_open(link_, &other.id, 7), TL_OK);
    said_session("relayOpen", id);
    assert_int_equal(tl_relay_link_send(link_, 7, hi), TL_ERR_NOT_FOUND);
    hear_session("relayData", other_hex, id, ",\"data\":\"aGk=\"");
    assert_int_equal(told.datagrams, 0);
    hear_session("relayReady", own_hex, id, ""); /* from the wrong node */
    assert_int_equal(told.ready, 0);
    hear_session("relayReady", other_hex, id, "");
    assert_int_equal(told.ready, 1);
    assert_int_equal(told.path, 7);
    assert_int_equal(tl_relay_link_send(link_, 7, hi), TL_OK);
    json_t *root, *p = said_payload("relayData", &root);
    assert_string_equal(tl_json_string(p, "data", ""), "aGk=");
    assert_string_equal(tl_json_string(p, "sessionID", ""), id);
    json_decref(root);
    hear_session("relayData", other_hex, id, ",\"data\":\"\\/\\/8=\"");
    assert_int_equal(told.datagrams, 1);
    assert_true(tl_slice_eq(tl_buf_slice(&told.data), TL_SLICE_LIT("\xff\xff")));
    hear_session("relayData", other_hex, id, ",\"data\":\"aGk\""); /* no padding */
    assert_int_equal(told.datagrams, 1);
    hear_session("relayClose", other_hex, id, "");
    assert_int_equal(told.ended, 1);
    assert_int_equal(tl_relay_link_send(link_, 7, hi), TL_ERR_NOT_FOUND);
}

static void a_peers_session_is_answered_if_it_is_wanted(void **state)
{
    (void)state;
    char id[65];
    hear_session("relayOpen", other_hex, "S-1", "");
    assert_int_equal(told.asked, 1);
    said_session("relayClose", id); /* accept_as is 0 */
    assert_string_equal(id, "S-1");
    told.accept_as = 9;
    hear_session("relayOpen", other_hex, "S-1", "");
    said_session("relayReady", id);
    assert_string_equal(id, "S-1");
    hear_session("relayOpen", other_hex, "S-1", ""); /* in use */
    assert_int_equal(told.asked, 2);
    hear_session("relayData", other_hex, "S-1", ",\"data\":\"aGk=\"");
    assert_int_equal(told.path, 9);
    tl_relay_link_close(link_, 9);
    said_session("relayClose", id);
    assert_int_equal(told.ended, 0); /* not for our own close */
}

static void errors_and_a_lost_connection_end_sessions_with_a_reason(void **state)
{
    (void)state;
    assert_int_equal(tl_relay_link_open(link_, &other.id, 7), TL_OK);
    hear("{\"error\":{\"code\":\"peer_not_found\",\"message\":\"\",\"about\":\"relayOpen\"}}");
    assert_int_equal(told.ended, 1);
    assert_string_equal(told.why, "the peer is not at the relay");
    /* With two under way only the one that the relay names is meant. */
    char id[65];
    assert_int_equal(tl_relay_link_open(link_, &other.id, 8), TL_OK);
    assert_int_equal(tl_relay_link_open(link_, &other.id, 10), TL_OK);
    said_session("relayOpen", id);
    hear("{\"error\":{\"code\":\"peer_not_found\",\"about\":\"relayOpen\"}}");
    assert_int_equal(told.ended, 1);
    hear("{\"error\":{\"code\":\"peer_not_found\",\"about\":\"relayOpen\",\"sessionID\":\"%s\"}}",
         id);
    assert_int_equal(told.ended, 2);
    assert_int_equal(told.path, 10);
    told.ended = 1;
    told.accept_as = 9;
    hear_session("relayOpen", other_hex, "S-1", "");
    tl_relay_link_on_closed(link_);
    assert_int_equal(told.ended, 3);
    assert_int_equal(tl_relay_link_open(link_, &other.id, 8), TL_ERR_CLOSED);
}

static void a_full_wire_drops_datagrams_and_opens_nothing(void **state)
{
    (void)state;
    told.accept_as = 9;
    hear_session("relayOpen", other_hex, "S-1", "");
    wire_full = true;
    assert_int_equal(tl_relay_link_send(link_, 9, TL_SLICE_LIT("hi")), TL_ERR_BUSY);
    assert_int_equal(tl_relay_link_counters_of(link_)->datagrams_dropped, 1);
    assert_int_equal(tl_relay_link_open(link_, &other.id, 7), TL_ERR_BUSY);
    wire_full = false;
    assert_int_equal(tl_relay_link_open(link_, &other.id, 7), TL_OK);
}

static void nonsense_is_counted_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"registerAck\":1}",
        "{\"relayOpen\":{}}",
        "{\"error\":{}}",
        "{\"challenge\":{\"nonce\":\"x\"}}",
        "{\"peerJoined\":{\"nodeID\":\"x\",\"displayName\":\"y\"}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hear("%s", texts[i]);
    const tl_relay_link_counters *c = tl_relay_link_counters_of(link_);
    assert_int_equal(c->malformed + c->ignored, sizeof texts / sizeof *texts);
    assert_true(tl_relay_link_is_registered(link_));
}

#define TEST(name, before) cmocka_unit_test_setup_teardown(name, before, teardown)

/* --- offers, answers, candidates --- */

#define OFFER_OF                                                                                   \
    "{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"S-1\",\"connectionInfo\":{},"      \
    "\"candidate\":{\"y\":[1.5]}}"

static const tl_signal_type signals[] = {TL_SIGNAL_OFFER, TL_SIGNAL_ANSWER,
                                         TL_SIGNAL_ICE_CANDIDATE};

static void nothing_goes_out_or_comes_in_before_we_are_registered(void **state)
{
    (void)state;
    json_t *root, *payload = json_pack("{s:s, s:{s:i}}", "sessionID", "S-1", "info", "issuedAt", 7);
    assert_int_equal(tl_relay_link_signal(link_, TL_SIGNAL_OFFER, payload), TL_ERR_CLOSED);
    hear("{\"offer\":" OFFER_OF "}", other_hex, own_hex);
    assert_int_equal(said_n + told.signals, 0);
    hear("{\"challenge\":{\"nonce\":\"" NONCE "\",\"features\":[]}}");
    hear_ack();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tl_relay_link_signal(link_, signals[i], payload), TL_OK);
        assert_true(json_equal(said_payload(tl_signal_type_name(signals[i]), &root), payload));
        json_decref(root);
    }
    wire_full = true;
    assert_int_equal(tl_relay_link_signal(link_, TL_SIGNAL_OFFER, payload), TL_ERR_BUSY);
    tl_relay_link_on_closed(link_);
    assert_int_equal(tl_relay_link_signal(link_, TL_SIGNAL_OFFER, payload), TL_ERR_CLOSED);
    json_decref(payload);
}

static void a_peers_come_in_as_they_were_sent(void **state)
{
    (void)state;
    char payload[400];
    snprintf(payload, sizeof payload, OFFER_OF, other_hex, own_hex);
    for (unsigned i = 0; i < 6; i++) {
        hear(i % 2 ? "{\"%s\":{\"_0\":%s}}" : "{\"%s\":%s}", tl_signal_type_name(signals[i / 2]),
             payload);
        assert_int_equal(told.signals, i + 1);
        assert_int_equal(told.signal, signals[i / 2]);
        assert_string_equal(told.payload, payload);
        assert_true(tl_node_id_eq(&told.peer, &other.id));
    }
    assert_int_equal(tl_relay_link_counters_of(link_)->signals_in, 6);
}

static void those_for_others_and_of_no_key_go_nowhere(void **state)
{
    (void)state;
    uint64_t before = tl_relay_link_counters_of(link_)->ignored;
    hear("{\"offer\":" OFFER_OF "}", other_hex, other_hex);
    hear("{\"offer\":" OFFER_OF "}",
         "0100000000000000000000000000000000000000000000000000000000000000", own_hex);
    assert_int_equal(told.signals, 0);
    assert_int_equal(tl_relay_link_counters_of(link_)->ignored, before + 2);
    hear("{\"offer\":" OFFER_OF "}", other_hex, own_hex);
    assert_int_equal(told.signals, 1);
}

static void what_the_relay_did_not_deliver_is_told_by_its_session(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        hear("{\"error\":{\"code\":\"peer_not_found\",\"message\":\"no\",\"about\":\"%s\","
             "\"sessionID\":\"S-%u\"}}",
             tl_signal_type_name(signals[i]), i);
        assert_int_equal(told.failed, i + 1);
        assert_int_equal(told.session[2], '0' + i);
    }
    /* one that names no session helps nobody, and ends nothing */
    hear("{\"error\":{\"code\":\"peer_not_found\",\"message\":\"no\",\"about\":\"offer\"}}");
    assert_int_equal(told.failed, 3);
    assert_string_equal(told.refused, "");
    assert_true(tl_relay_link_is_registered(link_));
}

static void the_relays_addresses_are_kept_while_they_are_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *udp, *observed, *kept_udp, *kept_observed;
    } v[] = {
        {"[2001:db8::1]:3478", "[2001:db8::2]:9", "[2001:db8::1]:3478", "[2001:db8::2]:9"},
        {"", "", "", ""},
        {"relay.example", "198.51.100.7", "", ""},
        {"relay.example:0", "relay.example:4000", "", ""},
        {"rel ay:3478", "[2001:db8::2:9", "", ""},
        {"relay.example:3478", "198.51.100.7:4000", "relay.example:3478", "198.51.100.7:4000"}};
    assert_string_equal(tl_relay_link_udp(link_), "");
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        hear("{\"registerAck\":{\"nodeID\":\"%s\",\"registeredAt\":1.5,\"ttlSeconds\":300,"
             "\"udp\":\"%s\",\"observed\":\"%s\"}}",
             own_hex, v[i].udp, v[i].observed);
        assert_string_equal(tl_relay_link_udp(link_), v[i].kept_udp);
        assert_string_equal(tl_relay_link_observed(link_), v[i].kept_observed);
    }
    tl_relay_link_on_closed(link_);
    assert_string_equal(tl_relay_link_udp(link_), "");
    assert_string_equal(tl_relay_link_observed(link_), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_challenge_is_signed_for_this_relay_alone, setup),
        TEST(without_a_challenge_it_registers_after_two_seconds, setup),
        TEST(an_ack_for_somebody_else_is_not_ours, setup),
        TEST(refusals_are_told_by_their_code, setup),
        TEST(changed_capabilities_are_registered_anew_and_the_same_are_not, setup_registered),
        TEST(a_change_that_the_relay_does_not_take_is_told_again_and_ends_nothing,
             setup_registered),
        TEST(a_discovery_reads_every_page, setup_registered),
        TEST(questions_wait_their_turn_and_one_unanswered_fails_alone, setup_registered),
        TEST(data_flows_once_the_peer_is_ready, setup_registered),
        TEST(a_peers_session_is_answered_if_it_is_wanted, setup_registered),
        TEST(errors_and_a_lost_connection_end_sessions_with_a_reason, setup_registered),
        TEST(a_full_wire_drops_datagrams_and_opens_nothing, setup_registered),
        TEST(nonsense_is_counted_and_changes_nothing, setup_registered),
        TEST(nothing_goes_out_or_comes_in_before_we_are_registered, setup),
        TEST(a_peers_come_in_as_they_were_sent, setup_registered),
        TEST(those_for_others_and_of_no_key_go_nowhere, setup_registered),
        TEST(what_the_relay_did_not_deliver_is_told_by_its_session, setup_registered),
        TEST(the_relays_addresses_are_kept_while_they_are_well_formed, setup_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
