/* What nodes say of themselves when they register: how much of it the relay keeps, what it passes
 * on to whom, who is found by it, and what that may cost. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static peer *join_with(world *w, const char *capabilities)
{
    peer *p = peer_connect(w, 0);
    peer_register_as(p, NULL, NULL, capabilities, ",\"features\":[\"quiet\"]");
    peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    return p;
}

static int models_kept(const peer *p)
{
    tl_signal_ack ack;
    assert_int_equal(tl_signal_read_ack(&p->signal, &ack), TL_OK);
    return ack.models_kept;
}

static size_t discover(peer *p, const char *rest)
{
    peer_send(p, "{\"discover\":{\"requestingNodeID\":\"%s\"%s}}", p->node, rest);
    peer_expect(p, TL_SIGNAL_DISCOVER_RESPONSE);
    return tl_signal_peer_count(&p->signal);
}

static size_t discover_model(peer *p, const char *model)
{
    char rest[2000];
    snprintf(rest, sizeof rest, ",\"filter\":{\"modelID\":\"%s\"}", model);
    return discover(p, rest);
}

/* The capabilities of the only other node, as `asker` is shown them. */
static char *shown_to(peer *asker)
{
    assert_int_equal(discover(asker, ""), 1);
    char *at = strstr((char *)asker->frame, "\"capabilities\":");
    char *end = strstr(at, ",\"lastSeen\":");
    assert_non_null(end);
    *end = 0;
    return at + strlen("\"capabilities\":");
}

/* `n` names of `length` digits, to be freed. `after` stands behind the list. */
static char *names(size_t n, int length, const char *after)
{
    size_t room = n * ((size_t)length + 3) + strlen(after) + 100;
    char *text = malloc(room), *to = text;
    assert_non_null(text);
    to += sprintf(to, "{\"loadedModels\":[");
    for (size_t i = 0; i < n; i++)
        to += sprintf(to, "%s\"%0*zu\"", i ? "," : "", length, i);
    sprintf(to, "]%s}", after);
    return text;
}

static void of_a_long_list_256_names_are_kept_and_the_node_is_told(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{}");
    assert_int_equal(models_kept(asker), -1);
    char *list = names(256, 5, ",\"x\" : 1");
    peer *full = join_with(&w, list);
    assert_int_equal(models_kept(full), -1);
    assert_string_equal(shown_to(asker), list); /* as it stands */
    peer_disconnect(full);
    free(list);
    list = names(15000, 5, ",\"x\":1,\"swappableModels\":[\"s\"],\"isAvailable\":true");
    peer *p = join_with(&w, list);
    assert_int_equal(models_kept(p), 257);
    assert_int_equal(discover_model(asker, "00000"), 1);
    assert_int_equal(discover_model(asker, "00255"), 1);
    assert_int_equal(discover_model(asker, "00256"), 0);
    assert_int_equal(discover_model(asker, "s"), 1);
    const char *shown = shown_to(asker);
    assert_non_null(
        strstr(shown, "\"00255\"],\"x\":1,\"swappableModels\":[\"s\"],\"isAvailable\":true"));
    free(list);
    world_clear(&w);
}

static void of_long_names_as_many_are_kept_as_32_kib_hold(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{}");
    char *list = names(450, 167, ",\"hardware\":{\"tier\":2}");
    assert_true(strlen(list) > TL_SIGNAL_SMALL_MAX); /* longer than other messages may be */
    peer *p = join_with(&w, list);
    int kept = models_kept(p);
    assert_int_equal(kept, (32768 - 50) / 170);
    size_t n = strlen(shown_to(asker));
    assert_true(n <= 32768 && n > 32768 - 170);
    assert_int_equal(discover(asker, ",\"filter\":{\"minTier\":2}"), 1);
    free(list);
    world_clear(&w);
}

static void what_has_no_room_beside_the_list_is_left_out(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{}");
    char *text = malloc(61000);
    assert_non_null(text);
    sprintf(text, "{\"junk\":\"%060000d\",\"loadedModels\":[\"a\"],\"isAvailable\":true}", 0);
    peer *p = join_with(&w, text);
    assert_int_equal(models_kept(p), -1);
    assert_string_equal(shown_to(asker), "{\"loadedModels\":[\"a\"],\"isAvailable\":true}");
    free(text);
    world_clear(&w);
}

static void what_the_relay_cannot_read_is_absent_and_passed_on_untouched(void **state)
{
    (void)state;
    static const struct {
        const char *capabilities;
        size_t of_tier, of_memory, of_model; /* found by minTier 255, by minRAMGB 1, by model "m" */
    } cases[] = {
        {"{\"hardware\":{\"tier\":1,\"totalRAMGB\":8},\"loadedModels\":[\"m\"]}", 1, 1, 1},
        {"{\"hardware\":{\"tier\":0,\"totalRAMGB\":8},\"loadedModels\":[\"m\"]}", 0, 1, 1},
        {"{\"hardware\":{\"tier\":1.0,\"totalRAMGB\":8}}", 0, 1, 0},
        {"{\"hardware\":{\"tier\":-1,\"totalRAMGB\":\"8\"}}", 0, 0, 0},
        {"{\"hardware\":{\"tier\":4294967297}}", 0, 0, 0},
        {"{\"hardware\":null,\"loadedModels\":[\"m\"]}", 0, 0, 1},
        {"{\"hardware\":[],\"loadedModels\":null}", 0, 0, 0},
        {"{\"loadedModels\":[1,{},null,\"\",\"a\\u0000\",\"m\"],\"isAvailable\":1}", 0, 0, 1},
        {"{\"loadedModels\":\"m\",\"swappableModels\":{\"m\":1},\"ptnIDs\":7}", 0, 0, 0},
        {"{ \"ptnIDs\" : [ 5, { \"ptnName\" : \"x\" }, [] ] }", 0, 0, 0},
    };
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        peer *p = join_with(&w, cases[i].capabilities);
        assert_int_equal(discover(asker, ",\"filter\":{\"minTier\":255}"), cases[i].of_tier);
        assert_int_equal(discover(asker, ",\"filter\":{\"minRAMGB\":1}"), cases[i].of_memory);
        assert_int_equal(discover_model(asker, "m"), cases[i].of_model);
        assert_string_equal(shown_to(asker), cases[i].capabilities);
        peer_disconnect(p);
    }
    world_clear(&w);
}

#define STRINGS "{\"a\":1, \"ptnIDs\": [\"p\" ,\"q\\\"\"],\"z\":2}"
#define OBJECTS "{\"ptnIDs\":[{\"ptnID\":\"p\",\"ptnName\":\"Home\",\"r\":1}] ,\"z\":2}"

static void each_is_shown_networks_in_the_shape_that_it_registered_with(void **state)
{
    (void)state;
    static const struct {
        const char *shown, *to_strings, *to_objects;
    } cases[] = {
        {STRINGS, STRINGS,
         "{\"a\":1, \"ptnIDs\": [{\"ptnID\":\"p\",\"ptnName\":\"\"},"
         "{\"ptnID\":\"q\\\"\",\"ptnName\":\"\"}],\"z\":2}"},
        {OBJECTS, "{\"ptnIDs\":[\"p\"] ,\"z\":2}", OBJECTS},
        {"{\"ptnIDs\":[\"p\",{\"ptnID\":\"q\",\"ptnName\":\"Q\"},3]}", "{\"ptnIDs\":[\"p\",\"q\"]}",
         "{\"ptnIDs\":[{\"ptnID\":\"p\",\"ptnName\":\"\"},{\"ptnID\":\"q\",\"ptnName\":\"Q\"}]}"},
        {"{\"ptnIDs\":[] }", "{\"ptnIDs\":[] }", "{\"ptnIDs\":[] }"},
        {"{}", "{}", "{}"},
    };
    static const char *const askers[] = {"{}", STRINGS, "{\"ptnIDs\":[]}", OBJECTS};
    for (size_t k = 0; k < sizeof askers / sizeof *askers; k++) {
        world w;
        world_init(&w, NULL);
        peer *asker = join_with(&w, askers[k]);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            peer *p = join_with(&w, cases[i].shown);
            assert_string_equal(shown_to(asker),
                                k == 3 ? cases[i].to_objects : cases[i].to_strings);
            if (i < 3)
                assert_int_equal(discover(asker, ",\"filter\":{\"ptnID\":\"p\"}"), 1);
            peer_disconnect(p);
        }
        world_clear(&w);
    }
}

static void a_node_that_registers_anew_is_found_by_its_new_names_alone(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{\"loadedModels\":[\"both\"]}");
    peer *p = join_with(&w, "{\"loadedModels\":[\"both\",\"old\",\"old\"],\"ptnIDs\":[\"old\"]}");
    assert_int_equal(discover_model(asker, "old"), 1);
    peer_register_as(p, NULL, NULL, "{\"loadedModels\":[\"new\",\"both\"]}",
                     ",\"features\":[\"quiet\"]");
    assert_int_equal(discover_model(asker, "old"), 0);
    assert_int_equal(discover(asker, ",\"filter\":{\"ptnID\":\"old\"}"), 0);
    assert_int_equal(discover_model(asker, "new"), 1);
    assert_int_equal(discover_model(asker, "both"), 1);
    peer_disconnect(p);
    assert_int_equal(discover_model(asker, "both"), 0);
    world_clear(&w);
}

static void the_nodes_of_a_model_come_in_pages_each_once(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    peer *asker = join_with(&w, "{}");
    for (int i = 0; i < 30; i++)
        join_with(&w, i % 3 ? "{\"loadedModels\":[\"m\"]}" : "{\"loadedModels\":[\"x\"]}");
    char rest[100] = ",\"limit\":6,\"filter\":{\"modelID\":\"m\"}";
    size_t found = 0;
    for (const char *cursor = ""; cursor;) {
        found += discover(asker, rest);
        cursor = tl_signal_next_cursor(&asker->signal);
        if (cursor)
            snprintf(rest, sizeof rest,
                     ",\"limit\":6,\"filter\":{\"modelID\":\"m\"},\"cursor\":\"%s\"", cursor);
        if (found == 6) /* the last one shown goes; its place stays */
            for (size_t i = 0; i < w.n; i++)
                if (w.peers[i]->conn && w.peers[i] == w.peers[9])
                    peer_disconnect(w.peers[i]);
    }
    assert_int_equal(found, 20);
    world_clear(&w);
}

static void pages_keep_to_the_longest_message_where_that_is_short(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.message_max = 64u << 10;
    world w;
    world_init(&w, &config);
    peer *asker = join_with(&w, "{}");
    char *list = names(200, 100, "");
    for (int i = 0; i < 5; i++)
        join_with(&w, list);
    free(list);
    assert_int_equal(discover(asker, ""), 3);
    assert_true(strlen((char *)asker->frame) <= 64u << 10);
    assert_non_null(tl_signal_next_cursor(&asker->signal));
    world_clear(&w);
}

/* How many questions for model and network an address may ask at once, among 200 nodes that have
 * that model and `n` others. */
static size_t asked_until_refused(size_t n)
{
    tl_relay_config config = tl_relay_config_default();
    config.discover_burst = config.control_burst = 1000000;
    size_t answered = 0;
    world w;
    world_init(&w, &config);
    char *list = names(n, 6, "");
    for (int i = 0; i < 200; i++)
        join_with(&w, list);
    free(list);
    join_with(&w, "{\"ptnIDs\":[\"p\"]}");
    w.remote.bytes[3] ^= 1;
    peer *flood = join_with(&w, "{}");
    char junk[8001]; /* most of the work is the relay's reading, unless names are looked at */
    memset(junk, ' ', sizeof junk - 1);
    junk[sizeof junk - 1] = 0;
    for (;; answered++) {
        peer_send(flood,
                  "{\"discover\":{\"requestingNodeID\":\"%s\",%s\"filter\":"
                  "{\"modelID\":\"000000\",\"ptnID\":\"p\"}}}",
                  flood->node, junk);
        if (peer_take(flood)->type == TL_SIGNAL_ERROR)
            break;
        assert_true(answered < 1000000);
    }
    world_clear(&w);
    return answered;
}

static void the_names_that_are_looked_at_are_work(void **state)
{
    (void)state;
    size_t few = asked_until_refused(1), many = asked_until_refused(256);
    assert_true(many < few / 2);
}

static void an_address_that_makes_much_work_is_refused_and_others_are_not(void **state)
{
    (void)state;
    tl_relay_config config = tl_relay_config_default();
    config.discover_burst = 1000000;
    config.control_burst = 1000000;
    world w;
    world_init(&w, &config);
    peer *flood = join_with(&w, "{}"), *b;
    w.remote.bytes[3] ^= 1;
    b = join_with(&w, "{}");
    char junk[60002] = "[";
    for (size_t i = 1; i < sizeof junk - 1; i++)
        junk[i] = i % 2 ? '0' : ',';
    junk[sizeof junk - 2] = ']';
    size_t answered = 0;
    for (;; answered++) {
        peer_send(flood, "{\"discover\":{\"requestingNodeID\":\"%s\",\"x\":%s}}", flood->node,
                  junk);
        if (peer_take(flood)->type == TL_SIGNAL_ERROR)
            break;
        assert_true(answered < 10000);
    }
    assert_true(answered > 300); /* two seconds' worth */
    assert_int_equal(discover(b, ""), 1);
    peer_send_session(flood, "relayOpen", b, "s", NULL); /* what costs little goes on */
    peer_expect(b, TL_SIGNAL_RELAY_OPEN);
    peer_disconnect(flood); /* and coming back helps it nothing */
    w.remote.bytes[3] ^= 1;
    peer *again = peer_connect(&w, 0);
    peer_register_as(again, NULL, NULL, "{}", NULL);
    peer_expect_error(again, TL_SIGNAL_RATE_LIMITED);
    world_run(&w, TL_SEC);
    peer_register_as(again, NULL, NULL, "{}", NULL);
    peer_expect(again, TL_SIGNAL_REGISTER_ACK);
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_long_list_256_names_are_kept_and_the_node_is_told),
        cmocka_unit_test(of_long_names_as_many_are_kept_as_32_kib_hold),
        cmocka_unit_test(what_has_no_room_beside_the_list_is_left_out),
        cmocka_unit_test(what_the_relay_cannot_read_is_absent_and_passed_on_untouched),
        cmocka_unit_test(each_is_shown_networks_in_the_shape_that_it_registered_with),
        cmocka_unit_test(a_node_that_registers_anew_is_found_by_its_new_names_alone),
        cmocka_unit_test(the_nodes_of_a_model_come_in_pages_each_once),
        cmocka_unit_test(pages_keep_to_the_longest_message_where_that_is_short),
        cmocka_unit_test(the_names_that_are_looked_at_are_work),
        cmocka_unit_test(an_address_that_makes_much_work_is_refused_and_others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
