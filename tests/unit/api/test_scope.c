/* What headers, key and model's name say of a question's network, price and name. */
#include "api/scope.h"

#include "members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW        1700000000
#define OWN_KEY    "tl-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
#define CLIENT_KEY "tl-fedcba9876543210fghijklmnopqrstuvwxyzABCDEFG"
#define LAB_KEY    "tl-lab456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
#define OLD_KEY    "tl-old456789abcdefghijklmnopqrstuvwxyzABCDEFGH"

typedef struct {
    members m;
    char id[TL_NODE_ID_HEX + 1]; /* of lab */
    tl_scope_view view;
    const char *listed; /* the one model that is known */
    /* of the last question */
    tl_ask ask;
    bool renamed;
    tl_scope_refusal no;
    char text[1024];
} scene;

static bool is_listed(void *user, const char *model)
{
    return strcmp(((const scene *)user)->listed, model) == 0;
}

static void scene_init(scene *s)
{
    memset(s, 0, sizeof *s);
    members_init(&s->m, TL_ROLE_CONSUMER);
    assert_int_equal(tl_networks_set_api_key(s->m.book, s->m.lab, LAB_KEY), TL_OK);
    tl_node_id_write(s->id, &s->m.lab->id);
    s->listed = "";
    s->view = (tl_scope_view){s->m.book, NOW, OWN_KEY, CLIENT_KEY, is_listed, s};
}

static tl_http1_head head_of(scene *s, const char *headers)
{
    tl_http1_head head;
    size_t scanned = 0;
    int status;
    snprintf(s->text, sizeof s->text, "POST /v1/x HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    assert_int_equal(tl_http1_request_parse(tl_slice_str(s->text), &scanned, &head, &status),
                     TL_OK);
    return head;
}

/* 200: it may be asked. */
static int ask(scene *s, const char *model, const char *headers)
{
    tl_http1_head head = head_of(s, headers);
    s->ask = (tl_ask){0};
    s->no = (tl_scope_refusal){0};
    snprintf(s->ask.model, sizeof s->ask.model, "%s", model);
    if (tl_scope_read_headers(&head, &s->ask, &s->no) &&
        tl_scope_find(&s->view, &head, &s->ask, &s->renamed, &s->no))
        return 200;
    assert_true(strlen(s->no.message) > 20);
    return s->no.status;
}

static bool is_for(const scene *s, const tl_membership *n, const char *model)
{
    return s->ask.scoped && s->ask.has_network && tl_node_id_eq(&s->ask.network, &n->id) &&
           strcmp(s->ask.model, model) == 0;
}

static void each_way_of_naming_a_network_scopes_the_question(void **state)
{
    (void)state;
    scene s;
    char header[256], model[TL_MODEL_MAX];
    scene_init(&s);
    assert_int_equal(ask(&s, "m", ""), 200);
    assert_false(s.ask.scoped || s.ask.has_network || s.renamed);

    assert_int_equal(ask(&s, "m", "X-Teale-PTN: lab\r\n"), 200);
    assert_true(is_for(&s, s.m.lab, "m") && !s.renamed);
    snprintf(header, sizeof header, "x-teale-ptn: %s\r\n", s.id);
    assert_int_equal(ask(&s, "m", header), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    snprintf(header, sizeof header, "X-Teale-PTN: %.8s\r\n", s.id);
    assert_int_equal(ask(&s, "m", header), 200);
    assert_true(is_for(&s, s.m.lab, "m"));

    assert_int_equal(ask(&s, "m@lab", ""), 200);
    assert_true(is_for(&s, s.m.lab, "m") && s.renamed);
    snprintf(model, sizeof model, "org/m@v1@%s", s.id);
    assert_int_equal(ask(&s, model, ""), 200);
    assert_true(is_for(&s, s.m.lab, "org/m@v1") && s.renamed); /* the last @ alone */

    assert_int_equal(ask(&s, "m", "Authorization: Bearer " LAB_KEY "\r\n"), 200);
    assert_true(is_for(&s, s.m.lab, "m") && !s.renamed);
    assert_int_equal(ask(&s, "m", "authorization: bearer " LAB_KEY "\r\n"), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    members_clear(&s.m);
}

static void what_is_not_of_a_networks_form_stays_a_part_of_the_name(void **state)
{
    (void)state;
    static const char *const names[] = {"m@", "@", "m@lab ", "m@a/b", "m@caf\xc3\xa9"};
    scene s;
    scene_init(&s);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(ask(&s, names[i], ""), 200);
        assert_string_equal(s.ask.model, names[i]);
        assert_false(s.ask.scoped || s.renamed);
    }
    members_clear(&s.m);
}

/* What was meant for members must not reach strangers, under the whole name. */
static void a_network_that_is_none_of_ours_is_asked_only_where_it_ends_a_listed_name(void **state)
{
    (void)state;
    static const char *const names[] = {"m@home", "m@lab2",     "m@LAB",
                                        "m@0123", "m@01234567", "m@-home"};
    scene s;
    scene_init(&s);
    s.listed = "other";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(ask(&s, names[i], ""), 403);
        assert_string_equal(s.no.param, "model");
        assert_non_null(strstr(s.no.message, names[i] + 2));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        s.listed = names[i];
        assert_int_equal(ask(&s, names[i], ""), 200);
        assert_string_equal(s.ask.model, names[i]);
        assert_false(s.ask.scoped || s.renamed);
    }
    s.listed = "m@lab"; /* but what names one of ours is that network's, whoever lists what */
    assert_int_equal(ask(&s, "m@lab", ""), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    members_clear(&s.m);
}

/* What was meant for members reaches no stranger that lists the name which a network had here. */
static void an_old_name_is_refused_with_the_new_one_whoever_lists_what(void **state)
{
    (void)state;
    static const char *const ways[][2] = {{"m@lab", ""}, {"m", "X-Teale-PTN: lab\r\n"}};
    scene s;
    scene_init(&s);
    s.listed = "m@lab";
    assert_int_equal(tl_networks_rename(s.m.book, s.m.lab, "den"), TL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(&s, ways[i][0], ways[i][1]), 403);
        assert_string_equal(s.no.code, "forbidden");
        assert_non_null(strstr(s.no.message, "\"lab\" is called den here now"));
    }
    assert_int_equal(ask(&s, "m@den", ""), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    s.listed = "m@other"; /* the twin: no network was ever called so */
    assert_int_equal(ask(&s, "m@other", ""), 200);
    assert_int_equal(tl_networks_rename(s.m.book, s.m.lab, "lab"), TL_OK);
    assert_int_equal(ask(&s, "m@lab", ""), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    members_clear(&s.m);
}

/* A whole ID means that network, whatever others are called. */
static void no_name_hides_a_network_from_its_id(void **state)
{
    (void)state;
    scene s;
    char header[128], name[TL_PTN_NAME_MAX + 1];
    tl_node_id evil = {{7}};
    tl_membership *n;
    scene_init(&s);
    snprintf(header, sizeof header, "X-Teale-PTN: %s\r\n", s.id);
    assert_int_equal(tl_networks_add(s.m.book, &evil, s.id, &n), TL_ERR_INVALID);
    tl_network_name_make(s.id, name); /* as a join does with the name in an invite */
    assert_int_equal(tl_networks_add(s.m.book, &evil, name, &n), TL_OK);
    assert_int_equal(ask(&s, "m", header), 200);
    assert_true(is_for(&s, s.m.lab, "m"));
    members_clear(&s.m);
}

static void a_name_without_its_model_is_refused(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    assert_int_equal(ask(&s, "@lab", ""), 400);
    assert_string_equal(s.no.param, "model");
    members_clear(&s.m);
}

static void two_that_differ_are_refused_and_two_that_agree_are_not(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    (void)members_also(&s.m, 1, "home");
    static const struct {
        const char *model, *headers;
        int status;
    } rows[] = {
        {"m@lab", "X-Teale-PTN: lab\r\nAuthorization: Bearer " LAB_KEY "\r\n", 200},
        {"m@home", "X-Teale-PTN: lab\r\n", 400},
        {"m@home", "Authorization: Bearer " LAB_KEY "\r\n", 400},
        {"m", "X-Teale-PTN: home\r\nAuthorization: Bearer " LAB_KEY "\r\n", 400},
        {"m", "X-Teale-PTN: lab\r\nX-Teale-PTN: lab\r\n", 400},
        {"m", "Authorization: Bearer " LAB_KEY "\r\nAuthorization: Bearer x\r\n", 400},
        {"m@home", "X-Teale-PTN: home\r\nAuthorization: Bearer " OWN_KEY "\r\n", 200},
        {"m@home", "X-Teale-PTN: home\r\nAuthorization: Bearer " CLIENT_KEY "\r\n", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ask(&s, rows[i].model, rows[i].headers), rows[i].status);
        if (rows[i].status == 400)
            assert_string_equal(s.no.code, "invalid_value");
    }
    members_clear(&s.m);
}

static void a_network_that_is_none_of_ours_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *model, *headers;
    } rows[] = {
        {"m", "X-Teale-PTN: home\r\n"},
        {"m", "X-Teale-PTN:\r\n"},
        {"m", "X-Teale-PTN: "
              "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n"},
        {"m@00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", ""},
        {"m", "Authorization: Bearer " OLD_KEY "\r\n"}, /* of our form: perhaps a network's */
    };
    scene s;
    scene_init(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ask(&s, rows[i].model, rows[i].headers), 403);
        assert_string_equal(s.no.code, "forbidden");
    }
    members_clear(&s.m);
}

/* OpenAI clients always send one. */
static void any_other_key_says_nothing(void **state)
{
    (void)state;
    static const char *const keys[] = {"Bearer sk-abc", "Bearer tl-short", "Bearer " OWN_KEY,
                                       "Bearer",        "Basic " LAB_KEY,  "Bearer  " LAB_KEY};
    scene s;
    scene_init(&s);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char header[128];
        snprintf(header, sizeof header, "Authorization: %s\r\n", keys[i]);
        assert_int_equal(ask(&s, "m", header), 200);
        assert_false(s.ask.scoped);
        tl_http1_head head = head_of(&s, header);
        assert_false(tl_scope_has_network_key(s.m.book, &head));
    }
    tl_http1_head head = head_of(&s, "Authorization: Bearer " LAB_KEY "\r\n");
    assert_true(tl_scope_has_network_key(s.m.book, &head));
    members_clear(&s.m);
}

static void where_we_are_no_member_now_the_reason_is_told(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    tl_membership *n;
    tl_identity authority = s.m.authority;
    assert_int_equal(tl_networks_add(s.m.book, &s.m.self.id, "soon", &n), TL_OK);
    assert_int_equal(ask(&s, "m@soon", ""), 403);
    assert_non_null(strstr(s.no.message, "network soon ("));
    assert_non_null(strstr(s.no.message, "joining"));

    json_t *own;
    tl_cert wish = {.network = authority.id,
                    .node = s.m.self.id,
                    .issuer = s.m.self.id,
                    .issued_at = 1,
                    .expires_at = NOW};
    assert_int_equal(tl_cert_make(&wish, &authority, NULL, &own), TL_OK);
    assert_int_equal(tl_networks_set_certificate(s.m.book, s.m.lab, own), TL_PTN_OK);
    json_decref(own);
    assert_int_equal(ask(&s, "m@lab", ""), 200); /* its last second */
    s.view.now++;
    assert_int_equal(ask(&s, "m@lab", ""), 403);
    assert_non_null(strstr(s.no.message, "expired"));

    tl_networks_leave(s.m.book, s.m.lab);
    assert_int_equal(ask(&s, "m@lab", ""), 403); /* not a name: it was a network of ours */
    assert_non_null(strstr(s.no.message, "has left"));
    assert_int_equal(ask(&s, "m", "Authorization: Bearer " LAB_KEY "\r\n"), 403);
    members_clear(&s.m);
}

static void a_name_of_two_networks_is_refused_with_both_ids(void **state)
{
    (void)state;
    scene s;
    char other[TL_NODE_ID_HEX + 1], model[TL_MODEL_MAX];
    scene_init(&s);
    tl_node_id_write(other, &members_also(&s.m, 1, "lab")->id);
    assert_int_equal(ask(&s, "m@lab", ""), 400);
    assert_string_equal(s.no.code, "ambiguous_network");
    assert_non_null(strstr(s.no.message, s.id));
    assert_non_null(strstr(s.no.message, other));
    assert_int_equal(ask(&s, "m", "X-Teale-PTN: lab\r\n"), 400);
    snprintf(model, sizeof model, "m@%.12s", other);
    assert_int_equal(ask(&s, model, ""), 200);
    members_clear(&s.m);
}

static void a_maximum_price_is_a_whole_number(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t price; /* -1: refused */
    } rows[] = {{"0", 0},     {"1500", 1500}, {"9007199254740991", 9007199254740991},
                {"-1", -1},   {"1.5", -1},    {"9007199254740992", -1},
                {"", -1},     {"1e3", -1},    {"99999999999999999999999", -1},
                {"0x10", -1}, {"NaN", -1},    {"1 000", -1}};
    scene s;
    scene_init(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[128];
        snprintf(header, sizeof header, "X-Teale-Max-Price: %s\r\n", rows[i].value);
        assert_int_equal(ask(&s, "m", header), rows[i].price < 0 ? 400 : 200);
        if (rows[i].price >= 0)
            assert_true(s.ask.max_price.given && s.ask.max_price.value == rows[i].price);
        else
            assert_string_equal(s.no.code, "invalid_value");
    }
    assert_int_equal(ask(&s, "m", "X-Teale-Max-Price: 1\r\nX-Teale-Max-Price: 1\r\n"), 400);
    assert_int_equal(ask(&s, "m", ""), 200);
    assert_false(s.ask.max_price.given);
    members_clear(&s.m);
}

static void a_client_names_its_question(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool good;
    } rows[] = {{"a", true},
                {"Order-7_2.b", true},
                {"0123456789012345678901234567890123456789012345678901234567890123", true},
                {"01234567890123456789012345678901234567890123456789012345678901234", false},
                {"", false},
                {"a b", false},
                {"a/b", false},
                {"\xc3\xa9", false}};
    scene s;
    scene_init(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[128];
        snprintf(header, sizeof header, "X-Teale-Request: %s\r\n", rows[i].value);
        assert_int_equal(ask(&s, "m", header), rows[i].good ? 200 : 400);
        if (rows[i].good)
            assert_string_equal(s.ask.id, rows[i].value);
    }
    assert_int_equal(ask(&s, "m", "X-Teale-Request: a\r\nX-Teale-Request: a\r\n"), 400);
    assert_int_equal(ask(&s, "m", ""), 200);
    assert_string_equal(s.ask.id, "");
    members_clear(&s.m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_of_naming_a_network_scopes_the_question),
        cmocka_unit_test(what_is_not_of_a_networks_form_stays_a_part_of_the_name),
        cmocka_unit_test(a_network_that_is_none_of_ours_is_asked_only_where_it_ends_a_listed_name),
        cmocka_unit_test(an_old_name_is_refused_with_the_new_one_whoever_lists_what),
        cmocka_unit_test(no_name_hides_a_network_from_its_id),
        cmocka_unit_test(a_name_without_its_model_is_refused),
        cmocka_unit_test(two_that_differ_are_refused_and_two_that_agree_are_not),
        cmocka_unit_test(a_network_that_is_none_of_ours_is_refused),
        cmocka_unit_test(any_other_key_says_nothing),
        cmocka_unit_test(where_we_are_no_member_now_the_reason_is_told),
        cmocka_unit_test(a_name_of_two_networks_is_refused_with_both_ids),
        cmocka_unit_test(a_maximum_price_is_a_whole_number),
        cmocka_unit_test(a_client_names_its_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
