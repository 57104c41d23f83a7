/* Private networks at the local API: scoped questions, keys, and what answers and lists tell. */
#include "harness.h"

#include "members.h"

#include <stdio.h>
#include <stdlib.h>

#define CHAT    "/v1/chat/completions"
#define HELLO   "{\"model\":\"m1\"}"
#define LAB_KEY "tl-lab456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
#define OLD_KEY "tl-old456789abcdefghijklmnopqrstuvwxyzABCDEFGH"

typedef struct {
    harness h;
    members m;
    char id[TL_NODE_ID_HEX + 1]; /* of lab */
} scene;

/* The node is in the network "lab", which has a key. */
static void scene_init(scene *s)
{
    harness_init(&s->h, NULL);
    members_init(&s->m, TL_ROLE_CONSUMER);
    tl_networks_free(s->h.node.book);
    s->h.node.book = s->m.book;
    assert_int_equal(tl_networks_set_api_key(s->m.book, s->m.lab, LAB_KEY), TL_OK);
    tl_node_id_write(s->id, &s->m.lab->id);
}

static void answer(scene *s, client *c, fake_ask *a, bool private)
{
    tl_answer_head head = {.status = 200,
                           .via = TL_VIA_RELAYED,
                           .content_type = "application/json",
                           .has_network = private,
                           .network = s->m.lab->id};
    if (private)
        head.price = tl_maybe_of(1500);
    a->sink.on_head(a->user, &head);
    fake_body(a, "{}");
    fake_end(a);
    WAIT_UNTIL(&s->h, client_answered(c));
    assert_int_equal(client_status(c), 200);
}

static void a_scoped_question_says_so_to_the_node_and_its_answer_to_the_client(void **state)
{
    (void)state;
    for (int private = 0; private < 2; private ++) {
        scene s;
        client c;
        char line[128];
        scene_init(&s);
        fake_ask *a = asked(&s.h, &c, CHAT, private ? "X-Teale-PTN: lab\r\n" : "", HELLO);
        assert_int_equal(a->ask.scoped, private);
        assert_true(!private || tl_node_id_eq(&a->ask.network, &s.m.lab->id));
        assert_true(tl_slice_eq(a->ask.body, TL_SLICE_LIT(HELLO)));
        answer(&s, &c, a, private);
        snprintf(line, sizeof line, "\r\nX-Teale-PTN: %s\r\n", s.id);
        assert_int_equal(client_has(&c, line), private);
        assert_int_equal(client_has(&c, "\r\nX-Teale-Price: 1500\r\n"), private);
        assert_int_equal(client_has(&c, "X-Teale-PTN"), private);
        client_close(&c);
        harness_clear(&s.h);
    }
}

static void the_model_server_never_sees_the_network_behind_the_models_name(void **state)
{
    (void)state;
    static const struct {
        const char *body, *passed, *model;
    } rows[] = {
        {"{\"a\":1,\"model\":\"m1@lab\", \"b\":[ ]}", "{\"a\":1,\"model\":\"m1\", \"b\":[ ]}",
         "m1"},
        {"{\"model\":\"o/m@2@lab\"}", "{\"model\":\"o/m@2\"}", "o/m@2"},
        {"{\"model\":\"m1@o/x\"}", "{\"model\":\"m1@o/x\"}", "m1@o/x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene s;
        client c;
        scene_init(&s);
        fake_ask *a = asked(&s.h, &c, CHAT, "", rows[i].body);
        assert_true(tl_slice_eq(a->ask.body, tl_slice_str(rows[i].passed)));
        assert_string_equal(a->ask.model, rows[i].model);
        assert_int_equal(a->ask.scoped, i < 2);
        answer(&s, &c, a, false);
        client_close(&c);
        harness_clear(&s.h);
    }
}

static int refused(scene *s, const char *headers, const char *body, const char *code)
{
    client c;
    char *text = post(CHAT, headers, body), expected[64];
    exchange(&s->h, &c, text);
    snprintf(expected, sizeof expected, "\"code\":\"%s\"", code);
    int status = client_status(&c);
    assert_true(client_has(&c, expected));
    client_close(&c);
    free(text);
    return status;
}

static void what_is_refused_does_not_reach_the_node(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    assert_int_equal(refused(&s, "X-Teale-PTN: elsewhere\r\n", HELLO, "forbidden"), 403);
    assert_int_equal(refused(&s, "Authorization: Bearer " OLD_KEY "\r\n", HELLO, "forbidden"), 403);
    (void)members_also(&s.m, 1, "home");
    assert_int_equal(refused(&s, "X-Teale-PTN: home\r\n", "{\"model\":\"m@lab\"}", "invalid_value"),
                     400);
    assert_int_equal(refused(&s, "X-Teale-Max-Price: much\r\n", HELLO, "invalid_value"), 400);
    assert_int_equal(refused(&s, "X-Teale-Request: a b\r\n", HELLO, "invalid_value"), 400);
    assert_int_equal(s.h.node.ask_n, 0);
    harness_clear(&s.h);
}

static void a_networks_key_scopes_on_loopback_and_any_other_key_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        bool scoped;
    } rows[] = {{"Authorization: Bearer " LAB_KEY "\r\n", true},
                {"Authorization: Bearer " KEY "\r\n", false},
                {"Authorization: Bearer sk-any\r\n", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene s;
        client c;
        scene_init(&s);
        fake_ask *a = asked(&s.h, &c, CHAT, rows[i].headers, HELLO);
        assert_int_equal(a->ask.scoped, rows[i].scoped);
        answer(&s, &c, a, false);
        client_close(&c);
        harness_clear(&s.h);
    }
}

static void the_client_names_its_question_and_a_maximum(void **state)
{
    (void)state;
    scene s;
    client c;
    scene_init(&s);
    fake_ask *a =
        asked(&s.h, &c, CHAT, "X-Teale-Request: order-7_2.b\r\nX-Teale-Max-Price: 0\r\n", HELLO);
    assert_string_equal(a->ask.id, "order-7_2.b");
    assert_true(a->ask.max_price.given && a->ask.max_price.value == 0);
    answer(&s, &c, a, false);
    assert_true(client_has(&c, "\r\nX-Teale-Request: order-7_2.b\r\n"));
    client_close(&c);
    harness_clear(&s.h);
}

/* What the node says of a network's members is shown: no hint changes it. */
static void a_failure_of_a_network_keeps_its_status(void **state)
{
    (void)state;
    static const struct {
        tl_fail fail;
        int status;
    } rows[] = {
        {TL_FAIL_NO_PROVIDER, 503}, {TL_FAIL_MODEL_NOT_LOADED, 404}, {TL_FAIL_FORBIDDEN, 403}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene s;
        client c;
        scene_init(&s);
        s.h.node.models = "{\"models\":[{\"id\":\"another\"}]}";
        fake_ask *a = asked(&s.h, &c, CHAT, "X-Teale-PTN: lab\r\n", HELLO);
        fake_fail(a, rows[i].fail, "network lab: so it is");
        WAIT_UNTIL(&s.h, client_answered(&c));
        assert_int_equal(client_status(&c), rows[i].status);
        assert_true(client_has(&c, "network lab: so it is"));
        client_close(&c);
        harness_clear(&s.h);
    }
}

static void get(scene *s, client *c, const char *path, const char *headers)
{
    char text[512];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, headers);
    exchange(&s->h, c, text);
}

static void lists_name_a_members_model_with_its_network(void **state)
{
    (void)state;
    scene s;
    client c;
    char list[512];
    scene_init(&s);
    snprintf(list, sizeof list,
             "{\"models\":[{\"id\":\"m1\",\"local\":false,\"peers\":[\"aa\",\"bb\"],\"ptns\":"
             "{\"%s\":[\"bb\"]}},{\"id\":\"m2\",\"local\":true,\"peers\":[],\"ptns\":{}}]}",
             s.id);
    s.h.node.models = list;
    get(&s, &c, "/v1/models", "");
    assert_true(client_has(&c, "\"id\":\"m1\"") && client_has(&c, "\"id\":\"m1@lab\"") &&
                client_has(&c, "\"id\":\"m2\""));
    assert_false(client_has(&c, "m2@lab"));
    client_close(&c);
    get(&s, &c, "/v1/models", "Authorization: Bearer " LAB_KEY "\r\n");
    assert_true(client_has(&c, "\"id\":\"m1\"") && client_has(&c, "\"peers\":[\"bb\"]"));
    assert_false(client_has(&c, "m2") || client_has(&c, "@lab") || client_has(&c, "\"aa\""));
    client_close(&c);
    get(&s, &c, "/v1/models/m1@lab", "");
    assert_int_equal(client_status(&c), 200);
    assert_true(client_has(&c, "\"peers\":[\"bb\"]"));
    client_close(&c);
    get(&s, &c, "/v1/models/m2@lab", "");
    assert_int_equal(client_status(&c), 404);
    client_close(&c);
    get(&s, &c, "/v1/models", "X-Teale-PTN: elsewhere\r\n");
    assert_int_equal(client_status(&c), 403);
    client_close(&c);
    (void)members_also(&s.m, 1, "lab"); /* now the name means two */
    get(&s, &c, "/v1/models", "");
    char entry[128];
    snprintf(entry, sizeof entry, "\"id\":\"m1@%s\"", s.id);
    assert_true(client_has(&c, entry));
    client_close(&c);
    harness_clear(&s.h);
}

static void beyond_loopback_a_networks_key_asks_and_looks_and_no_more(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } rows[] = {{"/v1/models", 200}, {"/v1/models/m1", 404}, {"/v1/app", 401}, {"/v1/app/ptn", 401},
                {"/v1/events", 401}, {"/metrics", 401},      {"/nowhere", 401}};
    scene s;
    client c;
    tl_api_config config = harness_config();
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("0.0.0.0:0"), &config.listen[0]), TL_OK);
    harness_init(&s.h, &config);
    members_init(&s.m, TL_ROLE_CONSUMER);
    tl_networks_free(s.h.node.book);
    s.h.node.book = s.m.book;
    assert_int_equal(tl_networks_set_api_key(s.m.book, s.m.lab, LAB_KEY), TL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        get(&s, &c, rows[i].path, "Authorization: Bearer " LAB_KEY "\r\n");
        assert_int_equal(client_status(&c), rows[i].status);
        client_close(&c);
        get(&s, &c, rows[i].path, "Authorization: Bearer " OLD_KEY "\r\n");
        assert_int_equal(client_status(&c), 401);
        client_close(&c);
    }
    fake_ask *a = asked(&s.h, &c, CHAT, "Authorization: Bearer " LAB_KEY "\r\n", HELLO);
    assert_true(a->ask.scoped);
    answer(&s, &c, a, false);
    client_close(&c);
    harness_clear(&s.h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scoped_question_says_so_to_the_node_and_its_answer_to_the_client),
        cmocka_unit_test(the_model_server_never_sees_the_network_behind_the_models_name),
        cmocka_unit_test(what_is_refused_does_not_reach_the_node),
        cmocka_unit_test(a_networks_key_scopes_on_loopback_and_any_other_key_does_not),
        cmocka_unit_test(the_client_names_its_question_and_a_maximum),
        cmocka_unit_test(a_failure_of_a_network_keeps_its_status),
        cmocka_unit_test(beyond_loopback_a_networks_key_asks_and_looks_and_no_more),
        cmocka_unit_test(lists_name_a_members_model_with_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
