#include "../support/failalloc.h"
#include "crypto/sign.h"
#include "relay/relay.h"
#include "wire/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Two nodes meet, one lists the other, they talk; everything they should receive is counted.
 * Nothing of the test itself allocates, so whatever fails is the relay's. */
#define NOW (1000 * TL_SEC)

static tl_identity identity[2];
static char node[2][65], registration[2][1000];
static size_t got[2]; /* bytes each side received */

typedef struct {
    tl_relay *relay;
    tl_relay_conn *conn[2];
    size_t expected[2]; /* what a run without failure delivers; 0: not known yet */
    char nonce[2][65];
} meeting;

static void drain(meeting *m)
{
    tl_relay_output o;
    while (tl_relay_next_output(m->relay, &o)) {
        int i = *(const int *)o.user;
        const char *nonce = o.bytes.n > 100 ? memmem(o.bytes.p, o.bytes.n, "nonce\":\"", 8) : NULL;
        if (nonce)
            memcpy(m->nonce[i], nonce + 8, 64);
        if (o.kind == TL_RELAY_CUT) {
            tl_relay_on_gone(m->relay, m->conn[i], NOW);
            m->conn[i] = NULL;
        } else {
            got[i] += o.bytes.n;
            tl_relay_on_written(m->relay, m->conn[i], o.bytes.n, NOW);
        }
        tl_relay_chunk_unref(o.shared);
    }
}

static void send_part(meeting *m, int i, const char *text, size_t n, tl_ws_opcode opcode, bool fin)
{
    static uint8_t frame[4000];
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t used, need, header_n = tl_ws_header_write(frame, opcode, fin, n, mask);
    memcpy(frame + header_n, text, n);
    tl_ws_mask(frame + header_n, n, mask, 0);
    if (m->conn[i])
        tl_relay_on_bytes(m->relay, m->conn[i], frame, header_n + n, NOW, &used, &need);
    drain(m);
    if (tl_relay_expiry(m->relay) <= NOW) { /* a connection was given up */
        tl_relay_on_timer(m->relay, NOW);
        drain(m);
    }
}

static void send_text(meeting *m, int i, const char *text)
{
    send_part(m, i, text, strlen(text), TL_WS_TEXT, true);
}

static void talk(meeting *m)
{
    static const char *const types[] = {"relayOpen", "relayReady", "relayData", "relayData",
                                        "relayClose"};
    char text[600];
    for (int i = 0; i < 5; i++) {
        int from = i == 1;
        int n = snprintf(text, sizeof text,
                         "{\"%s\":{\"fromNodeID\":\"%s\",\"toNodeID\":\"%s\",\"sessionID\":\"s\","
                         "\"data\":\"QUJD\",\"x\":[1]}}",
                         types[i], node[from], node[!from]);
        if (i == 3) {
            send_part(m, 0, text, 100, TL_WS_TEXT, false);
            send_part(m, 0, text + 100, (size_t)n - 100, TL_WS_CONTINUATION, true);
        } else {
            send_text(m, from, text);
        }
    }
}

static tl_err meet(void *user)
{
    static const int index[2] = {0, 1};
    meeting *m = user;
    char text[200];
    tl_rand rand = tl_rand_seeded(1);
    tl_relay_config config = tl_relay_config_default();
    tl_addr addr = {.family = TL_ADDR_V4, .port = 80, .bytes = {192, 0, 2, 1}};
    tl_err e = tl_relay_new(&config, &rand, &m->relay);
    if (e)
        return e;
    got[0] = got[1] = 0;
    for (int i = 0; i < 2; i++) {
        m->conn[i] = NULL;
        e = tl_relay_accept(m->relay, &addr, &addr, false, (void *)(uintptr_t)&index[i], NOW,
                            &m->conn[i]);
        if (!e)
            tl_relay_on_upgraded(m->relay, m->conn[i], NOW);
        send_text(m, i, registration[i]);
    }
    snprintf(text, sizeof text, "{\"discover\":{\"requestingNodeID\":\"%s\"}}", node[0]);
    send_text(m, 0, text);
    talk(m);
    tl_relay_on_timer(m->relay, NOW + config.presence_tick + TL_MS);
    drain(m);
    for (int i = 0; i < 2; i++)
        if (m->conn[i])
            tl_relay_on_gone(m->relay, m->conn[i], NOW);
    drain(m);
    const tl_relay_counters *c = tl_relay_counters_of(m->relay);
    assert_true(!c->conns_open && !c->nodes_registered && !c->sessions_active &&
                !c->sessions_opening && !c->queue_bytes);
    bool lost = c->presence_lost > 0; /* the first join is told to nobody */
    tl_relay_free(m->relay);
    return !lost && got[0] == m->expected[0] && got[1] == m->expected[1] ? TL_OK : TL_ERR_NOMEM;
}

static void prepare(meeting *m)
{
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = {i};
        assert_int_equal(tl_identity_from_seed(seed, &identity[i]), TL_OK);
        tl_node_id_write(node[i], &identity[i].id);
    }
    (void)!meet(m); /* learns the nonces, which are the same every time */
    for (int i = 0; i < 2; i++) {
        char body[300], hex[129];
        tl_signature signature;
        int n = snprintf(body, sizeof body, "%s:192.0.2.1:%s", m->nonce[i], node[i]);
        assert_int_equal(
            tl_sign(&identity[i], TL_SIGN_REGISTER, tl_slice_of(body, (size_t)n), &signature),
            TL_OK);
        tl_signature_write(hex, &signature);
        snprintf(registration[i], sizeof registration[i],
                 "{\"register\":{\"nodeID\":\"%s\",\"publicKey\":\"%s\",\"displayName\":\"n\","
                 "\"capabilities\":"
                 "{\"loadedModels\":[\"m\"]},\"challengeSignature\":\"%s\"}}",
                 node[i], node[i], hex);
    }
    (void)!meet(m);
    m->expected[0] = got[0];
    m->expected[1] = got[1];
    assert_true(got[0] > 800 && got[1] > 1000); /* they did meet */
    assert_int_equal(meet(m), TL_OK);
}

static void
memory_that_runs_out_anywhere_costs_a_message_or_a_connection_and_nothing_else(void **state)
{
    (void)state;
    static meeting m;
    prepare(&m);
    assert_true(failalloc_sweep(meet, &m) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            memory_that_runs_out_anywhere_costs_a_message_or_a_connection_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
