/* The way of an invite through a page: drawn as a QR code, found in a picture, and read before it is
 * taken. */
#include "harness.h"

#include "ptn/invite.h"
#include "ptn/networks.h"
#include "qr/code.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static harness h;
static tl_identity inviter;

static int begin(void **state)
{
    static const uint8_t seed[32] = {9};
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed, &inviter), TL_OK);
    harness_init(&h, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    harness_clear(&h);
    return 0;
}

/* Sends it, and gives the JSON of the answer, a new reference. */
static json_t *ask_bytes(const char *path, tl_slice body, int wanted)
{
    client c;
    char head[300];
    client_open(&h, &c);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
             "Content-Length: %zu\r\n\r\n",
             path, body.n);
    client_send(&c, head);
    client_send_bytes(&c, body);
    WAIT_UNTIL(&h, client_answered(&c));
    if (client_status(&c) != wanted)
        fail_msg("%s: %d instead of %d: %s", path, client_status(&c), wanted, client_body(&c));
    json_t *answer = json_loads(client_body(&c), 0, NULL);
    assert_non_null(answer);
    client_close(&c);
    return answer;
}

static json_t *ask_json(const char *path, const char *field, const char *text, int wanted)
{
    json_t *body = json_pack("{s:s}", field, text);
    char *dump = json_dumps(body, 0);
    json_t *answer = ask_bytes(path, tl_slice_str(dump), wanted);
    free(dump);
    json_decref(body);
    return answer;
}

static void expect_code(json_t *answer, const char *code)
{
    assert_string_equal(tl_json_string(json_object_get(answer, "error"), "code", ""), code);
    json_decref(answer);
}

/* --- drawn and found --- */

/* The picture that a page shows for the answer of /v1/app/qr/draw, `scale` pixels a module. */
static tl_buf picture_of(const char *text, size_t scale, size_t *ret_side)
{
    json_t *answer = ask_json("/v1/app/qr/draw", "text", text, 200);
    json_t *rows = json_object_get(answer, "rows");
    size_t modules = (size_t)json_integer_value(json_object_get(answer, "side"));
    size_t quiet = (size_t)json_integer_value(json_object_get(answer, "quiet"));
    size_t side = (modules + 2 * quiet) * scale;
    tl_buf out = {0};
    assert_int_equal(json_array_size(rows), modules);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) {
            size_t my = y / scale - quiet, mx = x / scale - quiet; /* wraps outside */
            bool dark = my < modules && mx < modules &&
                        json_string_value(json_array_get(rows, my))[mx] == '1';
            assert_int_equal(tl_buf_append(&out, tl_slice_of(dark ? "\0" : "\xff", 1)), TL_OK);
        }
    json_decref(answer);
    *ret_side = side;
    return out;
}

static json_t *look_for(const tl_buf *picture, size_t side, int wanted)
{
    char path[80];
    snprintf(path, sizeof path, "/v1/app/qr?width=%zu&height=%zu", side, side);
    return ask_bytes(path, tl_buf_slice(picture), wanted);
}

static void what_is_drawn_is_found_and_an_invite_is_told_from_something_else(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool invite;
    } rows[] = {{"teale:inv1:abc", true},
                {"https://example.org/teale:inv1:x", false},
                {"WIFI:S:caf\xC3\xA9;;", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t side;
        tl_buf picture = picture_of(rows[i].text, 4, &side);
        json_t *found = look_for(&picture, side, 200);
        assert_true(tl_json_bool(found, "found", false));
        assert_string_equal(tl_json_string(found, "text", ""), rows[i].text);
        assert_int_equal(tl_json_bool(found, "invite", false), rows[i].invite);
        json_decref(found);
        tl_buf_clear(&picture);
    }
}

static void a_code_of_bytes_that_are_no_text_is_told_as_none(void **state)
{
    (void)state;
    static tl_qr qr;
    assert_int_equal(tl_qr_make("\xff\xfe\x01\x02", &qr), TL_OK);
    size_t scale = 4, side = (qr.side + 8) * scale;
    tl_buf picture = {0};
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) {
            size_t my = y / scale - 4, mx = x / scale - 4;
            bool dark = my < qr.side && mx < qr.side && qr.dark[my * qr.side + mx];
            assert_int_equal(tl_buf_append(&picture, tl_slice_of(dark ? "\0" : "\xff", 1)), TL_OK);
        }
    json_t *found = look_for(&picture, side, 200); /* zbar may take it for some old charset */
    assert_false(tl_json_bool(found, "invite", true));
    json_decref(found);
    tl_buf_clear(&picture);
}

static void
a_picture_without_a_code_has_none_and_one_of_another_size_than_said_is_refused(void **state)
{
    (void)state;
    static uint8_t grey[200 * 100];
    memset(grey, 200, sizeof grey);
    tl_slice body = tl_slice_of(grey, sizeof grey);
    json_t *none = ask_bytes("/v1/app/qr?width=200&height=100", body, 200);
    assert_false(tl_json_bool(none, "found", true));
    assert_true(json_is_null(json_object_get(none, "text")));
    assert_true(*tl_json_string(none, "message", ""));
    json_decref(none);
    static const char *const wrong[] = {
        "/v1/app/qr",
        "/v1/app/qr?width=200",
        "/v1/app/qr?width=200&height=99",
        "/v1/app/qr?width=200&height=101",
        "/v1/app/qr?width=0&height=100",
        "/v1/app/qr?width=-200&height=-100",
        "/v1/app/qr?width=200&height=4097",
        "/v1/app/qr?width=18446744073709551616&height=1",
        "/v1/app/qr?width=2e2&height=100",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_code(ask_bytes(wrong[i], body, 400), "invalid_value");
    expect_code(ask_bytes("/v1/app/qr?width=4096&height=1025", body, 413), "request_too_large");
    expect_code(ask_bytes("/v1/app/qr?width=200&height=100", tl_slice_of(grey, 0), 400),
                "invalid_value");
}

static void a_text_that_no_code_holds_is_not_drawn_and_the_longest_is(void **state)
{
    (void)state;
    static char text[TL_QR_TEXT_MAX + 2];
    memset(text, 'a', TL_QR_TEXT_MAX);
    json_decref(ask_json("/v1/app/qr/draw", "text", text, 200));
    text[TL_QR_TEXT_MAX] = 'a';
    expect_code(ask_json("/v1/app/qr/draw", "text", text, 400), "invalid_value");
    expect_code(ask_json("/v1/app/qr/draw", "text", "", 400), "invalid_value");
}

/* Noise is what zbar has most to do with. */
static void fill_with_noise(uint8_t *pixels, size_t n)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++)
        pixels[i] = (x = x * 1664525 + 1013904223) >> 31 ? 255 : 0;
}

static void a_picture_that_takes_too_long_is_504_and_its_thread_ends_by_itself(void **state)
{
    (void)state;
    tl_api_config config = harness_config();
    size_t n = 1024 * 1024;
    uint8_t *pixels = malloc(n);
    assert_non_null(pixels);
    fill_with_noise(pixels, n);
    harness_clear(&h);
    config.scan_wait = 1;
    harness_init(&h, &config);
    expect_code(ask_bytes("/v1/app/qr?width=1024&height=1024", tl_slice_of(pixels, n), 504),
                "timeout");
    free(pixels);
}

static void a_client_that_leaves_while_its_picture_is_looked_at_costs_nothing_more(void **state)
{
    (void)state;
    client c;
    size_t n = 512 * 512;
    uint8_t *pixels = malloc(n);
    assert_non_null(pixels);
    fill_with_noise(pixels, n);
    for (int i = 0; i < 3; i++) {
        client_open(&h, &c);
        client_send(&c, "POST /v1/app/qr?width=512&height=512 HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: 262144\r\n\r\n");
        client_send_bytes(&c, tl_slice_of(pixels, n));
        harness_run_for(&h, 5 * TL_MS);
        client_close(&c);
        harness_run_for(&h, 5 * TL_MS);
    }
    free(pixels);
}

/* --- read before it is taken --- */

static tl_invite an_invite(void)
{
    tl_invite v = {.network = inviter.id,
                   .inviter = inviter.id,
                   .name = "caf\xC3\xA9 <b>&",
                   .relay = "wss://relay.example.org/ws",
                   .role = TL_ROLE_PROVIDER,
                   .nonce = {1},
                   .expires_at = tl_loop_unix() + 3600,
                   .valid_seconds = 86400};
    return v;
}

static char *written(const tl_invite *v)
{
    tl_buf out = {0};
    assert_int_equal(tl_invite_write(&out, v, &inviter), TL_OK);
    char *text = strndup((const char *)tl_buf_begin(&out), out.len);
    assert_non_null(text);
    tl_buf_clear(&out);
    return text;
}

static json_t *preview(const tl_invite *v, int wanted)
{
    char *text = written(v);
    json_t *answer = ask_json("/v1/app/ptn/join/preview", "invite", text, wanted);
    free(text);
    return answer;
}

static void a_preview_tells_what_the_invite_says_and_asks_nobody(void **state)
{
    (void)state;
    tl_invite v = an_invite();
    json_t *p = preview(&v, 200);
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &inviter.id);
    assert_string_equal(tl_json_string(p, "ptn_id", ""), hex);
    assert_string_equal(tl_json_string(p, "inviter", ""), hex);
    assert_string_equal(tl_json_string(p, "name", ""), v.name);
    assert_true(tl_network_name_is(tl_json_string(p, "as", "")));
    assert_string_equal(tl_json_string(p, "role", ""), "provider");
    assert_string_equal(tl_json_string(p, "relay", ""), v.relay);
    assert_int_equal(json_integer_value(json_object_get(p, "valid_s")), 86400);
    assert_false(tl_json_bool(p, "bound", true));
    assert_true(json_is_null(json_object_get(p, "member_as")));
    assert_null(h.node.on_call);
    json_decref(p);
}

/* Gives itself another role; the form stays right. */
static void alter(char *text)
{
    uint8_t bytes[TL_INVITE_MAX];
    size_t prefix = strlen(TL_INVITE_PREFIX), n, room = strlen(text) - prefix + 1;
    assert_int_equal(sodium_base642bin(bytes, sizeof bytes, text + prefix, room - 1, NULL, &n, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    uint8_t *role = memmem(bytes, n, "provider", 8);
    assert_non_null(role);
    memcpy(role, "consumer", 8);
    sodium_bin2base64(text + prefix, room, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void a_preview_refuses_what_a_join_would_refuse_with_the_same_words(void **state)
{
    (void)state;
    tl_invite v = an_invite();
    v.expires_at = tl_loop_unix() - 1;
    expect_code(preview(&v, 403), "invite_expired");
    v = an_invite();
    v.bound = true;
    v.node = inviter.id; /* the fake node is another */
    expect_code(preview(&v, 403), "invite_other_node");
    h.node.id = v.node;
    json_decref(preview(&v, 200));
    v = an_invite();
    char *text = written(&v);
    alter(text);
    expect_code(ask_json("/v1/app/ptn/join/preview", "invite", text, 403), "invite_altered");
    free(text);
    text = written(&v);
    text[strlen(text) / 2] = 0;
    expect_code(ask_json("/v1/app/ptn/join/preview", "invite", text, 400), "invite_malformed");
    free(text);
    expect_code(ask_json("/v1/app/ptn/join/preview", "invite", "https://example.org", 400),
                "invite_malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_drawn_is_found_and_an_invite_is_told_from_something_else, begin, end),
        cmocka_unit_test_setup_teardown(a_code_of_bytes_that_are_no_text_is_told_as_none, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            a_picture_without_a_code_has_none_and_one_of_another_size_than_said_is_refused, begin,
            end),
        cmocka_unit_test_setup_teardown(a_text_that_no_code_holds_is_not_drawn_and_the_longest_is,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            a_picture_that_takes_too_long_is_504_and_its_thread_ends_by_itself, begin, end),
        cmocka_unit_test_setup_teardown(
            a_client_that_leaves_while_its_picture_is_looked_at_costs_nothing_more, begin, end),
        cmocka_unit_test_setup_teardown(a_preview_tells_what_the_invite_says_and_asks_nobody, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            a_preview_refuses_what_a_join_would_refuse_with_the_same_words, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
