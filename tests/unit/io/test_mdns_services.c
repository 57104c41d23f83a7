#include "io/mdns_services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the table has looked up, and what it told last of each node. */
typedef struct {
    tl_node_id node;
    size_t n;
    tl_addr addrs[TL_MDNS_ADDRS_MAX];
} told;

static tl_mdns_services *table;
static tl_mdns_service *looked[4 * TL_MDNS_SERVICES_MAX];
static size_t n_looked, live;
static told all_told[2048];
static size_t n_told;
static bool refuse_look, refuse_tell;
static tl_time now;
static tl_identity ids[40];

static void *look(void *user, tl_mdns_service *s)
{
    (void)user;
    if (refuse_look)
        return NULL;
    looked[n_looked++] = s;
    live++;
    return s;
}

static void unlook(void *user, void *lookup)
{
    (void)user;
    (void)lookup;
    live--;
}

static told *told_of(const tl_node_id *node)
{
    for (size_t i = 0; i < n_told; i++)
        if (tl_node_id_eq(&all_told[i].node, node))
            return &all_told[i];
    return NULL;
}

static bool tell(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n)
{
    (void)user;
    if (refuse_tell && n > 0)
        return false;
    told *t = told_of(node);
    if (!t) {
        assert_true(n_told < sizeof all_told / sizeof *all_told);
        t = &all_told[n_told++];
        t->node = *node;
    }
    t->n = n;
    for (size_t i = 0; i < n; i++)
        t->addrs[i] = addrs[i];
    return true;
}

static int setup(void **state)
{
    static const tl_mdns_services_calls calls = {look, unlook, tell};
    tl_rand rand = tl_rand_seeded(3);
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_int_equal(tl_identity_new(&rand, &ids[i]), TL_OK);
    n_looked = live = n_told = 0;
    refuse_look = refuse_tell = false;
    now = TL_SEC;
    table = calloc(1, sizeof *table);
    assert_non_null(table);
    tl_mdns_services_init(table, &ids[0].id, tl_rand_seeded(7), &calls, NULL, now);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tl_mdns_services_forget(table);
    assert_int_equal(live, 0);
    for (size_t i = 0; i < n_told; i++)
        assert_int_equal(all_told[i].n, 0);
    free(table);
    return 0;
}

static void appears(const char *name)
{
    tl_mdns_services_on_new(table, 2, TL_ADDR_V4, name);
}

static void run_for(tl_time wait)
{
    tl_time until = now + wait;
    for (tl_time at = tl_mdns_services_run(table, now); at <= until;
         at = tl_mdns_services_run(table, now))
        now = at > now ? at : now + 1;
    now = until;
}

static tl_mdns_service *service(const char *name)
{
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        if (table->at[i].state != TL_MDNS_FREE && !strcmp(table->at[i].name, name))
            return &table->at[i];
    return NULL;
}

static tl_addr address(const char *text, uint16_t port)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    a.port = port;
    return a;
}

static bool answers(tl_mdns_service *s, const uint8_t id[32], tl_addr a)
{
    tl_mdns_txt txt = {.has_id = true, .valid = true};
    memcpy(txt.id, id, sizeof txt.id);
    bool kept = tl_mdns_services_on_answer(table, s, &txt, &a, now);
    (void)tl_mdns_services_run(table, now);
    return kept;
}

static void a_service_is_looked_up_and_told_until_it_is_gone(void **state)
{
    (void)state;
    appears("one");
    appears("one"); /* it is told of twice */
    run_for(0);
    assert_int_equal(n_looked, 1);
    assert_true(answers(looked[0], ids[1].id.key, address("192.168.1.7", 5000)));
    told *t = told_of(&ids[1].id);
    assert_int_equal(t->n, 1);
    assert_int_equal(t->addrs[0].port, 5000);
    assert_true(answers(looked[0], ids[1].id.key, address("192.168.1.7", 5000))); /* nothing new */
    assert_int_equal(n_looked, 1);
    run_for(TL_MDNS_CALM);
    /* what changes is looked up afresh */
    assert_false(answers(looked[0], ids[1].id.key, address("192.168.1.7", 5001)));
    assert_int_equal(n_looked, 2);
    assert_true(answers(looked[1], ids[1].id.key, address("192.168.1.7", 5001)));
    assert_int_equal(t->addrs[0].port, 5001);
    assert_false(
        answers(looked[1], ids[2].id.key, address("192.168.1.7", 5001))); /* another node's now */
    run_for(TL_MDNS_PAUSE - 1);
    assert_int_equal(n_looked, 2); /* it changes too often */
    run_for(1);
    assert_int_equal(n_looked, 3);
    assert_true(answers(looked[2], ids[2].id.key, address("192.168.1.7", 5001)));
    assert_int_equal(t->n, 0);
    assert_int_equal(told_of(&ids[2].id)->n, 1);
    tl_mdns_services_on_gone(table, 2, TL_ADDR_V6, "one"); /* another one */
    assert_int_equal(told_of(&ids[2].id)->n, 1);
    tl_mdns_services_on_gone(table, 2, TL_ADDR_V4, "one");
    assert_int_equal(told_of(&ids[2].id)->n, 0);
    assert_int_equal(live, 0);
}

static void
the_services_of_a_node_are_told_together_each_with_the_interface_that_heard_it(void **state)
{
    (void)state;
    tl_mdns_services_on_new(table, 2, TL_ADDR_V4, "one");
    tl_mdns_services_on_new(table, 2, TL_ADDR_V6, "one");
    tl_mdns_services_on_new(table, 5, TL_ADDR_V6, "one");
    run_for(0);
    assert_int_equal(n_looked, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(answers(looked[i], ids[1].id.key,
                            looked[i]->by == TL_ADDR_V4 ? address("192.168.1.7", 5000)
                                                        : address("fe80::7", 5000)));
    told *t = told_of(&ids[1].id);
    assert_int_equal(t->n, 3);
    uint32_t scopes = 0;
    for (size_t i = 0; i < 3; i++)
        scopes += t->addrs[i].scope;
    assert_int_equal(scopes, 2 + 2 + 5);
}

static void what_is_no_node_is_not_told_and_asked_ever_more_seldom(void **state)
{
    (void)state;
    static const uint8_t small_order[32] = {1};
    tl_mdns_txt none = {0};
    tl_addr a = address("192.168.1.7", 5000);
    appears("one");
    run_for(0);
    assert_false(tl_mdns_services_on_answer(table, looked[0], &none, &a, now));
    run_for(TL_MDNS_REST_LEAST - 1);
    assert_int_equal(n_looked, 1);
    run_for(1);
    assert_int_equal(n_looked, 2);
    assert_false(answers(looked[1], small_order, a));
    run_for(2 * TL_MDNS_REST_LEAST);
    assert_int_equal(n_looked, 3);
    assert_false(answers(looked[2], ids[1].id.key, address("192.168.1.7", 0)));
    assert_int_equal(table->malformed, 3);
    assert_int_equal(n_told, 0);
    size_t before = n_looked;
    for (int i = 0; i < 24 * 60; i++) { /* a day of silence */
        run_for(TL_MIN);
        if (n_looked + 8 > sizeof looked / sizeof *looked)
            break;
    }
    assert_true(n_looked - before <= 24 * 6 + 8);
    assert_true(table->silent >= 24 * 5);
}

static void our_own_announcement_and_whoever_claims_our_id_is_nobody(void **state)
{
    (void)state;
    appears("ours");
    run_for(0);
    assert_false(answers(looked[0], ids[0].id.key, address("192.168.1.2", 5000)));
    run_for(60 * TL_MIN);
    assert_int_equal(n_looked, 1);
    assert_int_equal(n_told, 0);
}

static void silence_makes_room_for_others(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "s%d", i);
        appears(name);
    }
    run_for(0);
    assert_int_equal(n_looked, TL_MDNS_LOOKING_MAX / 2); /* strangers have half */
    run_for(TL_MDNS_LOOK_NS);
    assert_int_equal(n_looked, TL_MDNS_LOOKING_MAX);
    assert_int_equal(table->silent, TL_MDNS_LOOKING_MAX / 2);
    refuse_look = true;
    run_for(TL_MDNS_LOOK_NS); /* a backend that cannot */
    assert_int_equal(live, 0);
}

/* In t seconds at most burst + rate x t. */
static void questions_to_the_network_are_bounded(void **state)
{
    (void)state;
    char name[16];
    size_t answered = 0;
    tl_mdns_txt none = {0};
    tl_addr a = address("192.168.1.7", 5000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        appears(name);
    }
    tl_time end = now + 10 * TL_SEC;
    while (now < end) {
        (void)tl_mdns_services_run(table, now);
        for (; answered < n_looked; answered++)
            if (looked[answered]->state == TL_MDNS_LOOKING)
                (void)tl_mdns_services_on_answer(table, looked[answered], &none, &a, now);
        now += 10 * TL_MS;
    }
    assert_true(n_looked <= TL_MDNS_LOOK_BURST + 10 * TL_MDNS_LOOK_PER_SEC + 1);
    assert_true(n_looked >= TL_MDNS_LOOK_BURST + 9 * TL_MDNS_LOOK_PER_SEC);
}

static void preferred(size_t i, char ret_name[TL_MDNS_NAME_SIZE])
{
    tl_mdns_name_write(ret_name, ids[i].id.key);
}

static void a_flood_leaves_room_for_the_preferred(void **state)
{
    (void)state;
    char name[TL_MDNS_NAME_SIZE];
    tl_mdns_services_prefer(table, (const tl_node_id[]){ids[1].id, ids[2].id}, 2);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        appears(name);
        if (i % 1000 == 0)
            run_for(100 * TL_MS);
    }
    assert_int_equal(table->n, TL_MDNS_SERVICES_MAX);
    assert_true(table->dropped >= 10000 - TL_MDNS_SERVICES_MAX);
    for (size_t i = 1; i <= 3; i++) {
        preferred(i, name);
        appears(name);
    }
    preferred(1, name);
    assert_true(service(name)->preferred);
    run_for(100 * TL_MS);
    assert_int_equal(service(name)->state, TL_MDNS_LOOKING);
    assert_true(answers(service(name), ids[1].id.key, address("192.168.1.7", 5000)));
    preferred(3, name); /* it is nobody's friend: it waits with the others, or found no room */
    assert_true(!service(name) || service(name)->state == TL_MDNS_WAITING ||
                !service(name)->preferred);
}

static void who_becomes_preferred_is_asked_at_once(void **state)
{
    (void)state;
    char name[TL_MDNS_NAME_SIZE];
    preferred(1, name);
    appears(name);
    run_for(TL_MDNS_LOOK_NS); /* silent */
    assert_int_equal(service(name)->state, TL_MDNS_RESTING);
    size_t before = n_looked;
    tl_mdns_services_prefer(table, &ids[1].id, 1);
    run_for(0);
    assert_int_equal(n_looked, before + 1);
}

static void a_name_with_digits_of_another_id_is_malformed_and_preferred_no_more(void **state)
{
    (void)state;
    char name[TL_MDNS_NAME_SIZE];
    tl_mdns_services_prefer(table, &ids[1].id, 1);
    preferred(1, name);
    appears(name);
    run_for(0);
    assert_true(service(name)->preferred);
    assert_false(answers(service(name), ids[2].id.key, address("192.168.1.7", 5000)));
    assert_int_equal(table->malformed, 1);
    assert_int_equal(service(name)->state, TL_MDNS_RESTING);
    assert_false(service(name)->preferred);
    tl_mdns_services_prefer(table, &ids[1].id, 1); /* the name counts no more */
    assert_false(service(name)->preferred);
    assert_int_equal(service(name)->state, TL_MDNS_RESTING);
    assert_int_equal(n_told, 0);
    run_for(TL_MDNS_REST_LEAST); /* the truth counts at any time */
    assert_int_equal(service(name)->state, TL_MDNS_LOOKING);
    assert_true(answers(service(name), ids[1].id.key, address("192.168.1.7", 5000)));
    assert_true(service(name)->preferred);
    assert_int_equal(told_of(&ids[1].id)->n, 1);
    assert_false(answers(service(name), ids[2].id.key, address("192.168.1.7", 5000)));
    assert_int_equal(table->malformed, 2);
    assert_int_equal(told_of(&ids[1].id)->n, 0);
    assert_null(told_of(&ids[2].id));
}

static void the_id_says_who_is_preferred_under_any_name(void **state)
{
    (void)state;
    tl_mdns_services_prefer(table, &ids[1].id, 1);
    appears("one");
    appears("two");
    run_for(0);
    assert_true(answers(service("one"), ids[1].id.key, address("192.168.1.7", 5000)));
    assert_true(answers(service("two"), ids[2].id.key, address("192.168.1.8", 5000)));
    assert_true(service("one")->preferred);
    assert_false(service("two")->preferred);
    tl_mdns_services_prefer(table, &ids[2].id, 1);
    assert_false(service("one")->preferred);
    assert_true(service("two")->preferred);
}

static size_t count_of_found(void)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++)
        n += table->at[i].state == TL_MDNS_FOUND;
    return n;
}

/* A made-up key; it is one of the curve's in half of all cases. */
static void made_up(tl_rand *rand, uint8_t ret_id[32])
{
    tl_node_id id;
    do
        tl_rand_bytes(rand, ret_id, 32);
    while (tl_node_id_from_bytes(ret_id, &id));
}

/* Answers whatever is looked up at all but the member's address with an ID that nobody has. */
static void lie_to_all(tl_rand *rand, const char *member)
{
    for (size_t i = 0; i < TL_MDNS_SERVICES_MAX; i++) {
        uint8_t id[32];
        if (table->at[i].state != TL_MDNS_LOOKING || !strcmp(table->at[i].name, member))
            continue;
        made_up(rand, id);
        (void)answers(&table->at[i], id, address("192.168.1.66", (uint16_t)(2000 + i)));
    }
}

/* As a neighbour does that knows the digits: many names with them, and all others that find room. */
static void a_flood_under_the_digits_of_a_member_keeps_it_away_for_a_second_at_most(void **state)
{
    (void)state;
    char name[TL_MDNS_NAME_SIZE], other[TL_MDNS_NAME_MAX];
    tl_rand rand = tl_rand_seeded(11);
    tl_mdns_services_prefer(table, (const tl_node_id[]){ids[1].id, ids[2].id}, 2);
    preferred(1, name);
    for (int i = 0; i < 6000; i++) {
        if (i % 3 == 0)
            snprintf(other, sizeof other, "%s #%d", name, i / 3);
        else if (i % 3 == 1)
            snprintf(other, sizeof other, "%s-%d", name, i);
        else
            snprintf(other, sizeof other, "s%d", i);
        appears(other);
        run_for(10 * TL_MS);
        lie_to_all(&rand, name);
    }
    assert_true(count_of_found() <= TL_MDNS_STRANGERS_MAX);
    assert_true(count_of_found() > 0);
    appears(name);
    tl_time came = now;
    while (service(name)->state == TL_MDNS_WAITING) {
        run_for(10 * TL_MS);
        lie_to_all(&rand, name);
        assert_true(now - came <= TL_SEC);
    }
    assert_true(answers(service(name), ids[1].id.key, address("192.168.1.7", 5000)));
    assert_int_equal(told_of(&ids[1].id)->n, 1);
}

/* Claims of the IDs of all members, at as many addresses as are believed, fill the places; the lot gives one up. */
static void a_member_finds_room_among_claims_of_members(void **state)
{
    (void)state;
    enum { MEMBERS = 36 };
    char name[TL_MDNS_NAME_SIZE], other[TL_MDNS_NAME_MAX];
    tl_node_id nodes[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++)
        nodes[i] = ids[1 + i].id;
    tl_mdns_services_prefer(table, nodes, MEMBERS);
    for (size_t i = 1; i < MEMBERS; i++)
        for (int k = 0; k < 2 * TL_MDNS_NAMES_MAX; k++) {
            preferred(1 + i, name);
            int number = k % TL_MDNS_NAMES_MAX + 1;
            snprintf(other, sizeof other, number > 1 ? "%s #%d" : "%s", name, number);
            tl_mdns_services_on_new(table, k < TL_MDNS_NAMES_MAX ? 2 : 3, TL_ADDR_V4, other);
            run_for(TL_SEC);
            for (size_t at = 0; at < TL_MDNS_SERVICES_MAX; at++)
                if (table->at[at].state == TL_MDNS_LOOKING)
                    (void)answers(&table->at[at], nodes[i].key,
                                  address("192.168.1.66", (uint16_t)(2000 + at)));
        }
    assert_int_equal(count_of_found(), TL_MDNS_FOUND_MAX);
    preferred(1, name);
    appears(name);
    run_for(TL_SEC);
    assert_int_equal(service(name)->state, TL_MDNS_LOOKING);
    assert_true(answers(service(name), ids[1].id.key, address("192.168.1.7", 5000)));
    assert_int_equal(told_of(&ids[1].id)->n, 1);
    assert_int_equal(count_of_found(), TL_MDNS_FOUND_MAX);
}

static void claims_of_one_node_are_bounded(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i);
        appears(name);
        run_for(TL_SEC);
        tl_mdns_service *s = service(name);
        if (s && s->state == TL_MDNS_LOOKING)
            (void)answers(s, ids[1].id.key, address("192.168.1.7", (uint16_t)(5000 + i)));
    }
    assert_int_equal(told_of(&ids[1].id)->n, TL_MDNS_ADDRS_MAX);
    assert_true(live <= TL_MDNS_ADDRS_MAX + TL_MDNS_LOOKING_MAX);
}

static void what_could_not_be_told_is_told_later(void **state)
{
    (void)state;
    appears("one");
    run_for(0);
    refuse_tell = true;
    assert_true(answers(looked[0], ids[1].id.key, address("192.168.1.7", 5000)));
    assert_int_equal(n_told, 0);
    refuse_tell = false;
    run_for(2 * TL_SEC);
    assert_int_equal(told_of(&ids[1].id)->n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_service_is_looked_up_and_told_until_it_is_gone),
        T(the_services_of_a_node_are_told_together_each_with_the_interface_that_heard_it),
        T(what_is_no_node_is_not_told_and_asked_ever_more_seldom),
        T(our_own_announcement_and_whoever_claims_our_id_is_nobody),
        T(silence_makes_room_for_others),
        T(questions_to_the_network_are_bounded),
        T(a_flood_leaves_room_for_the_preferred),
        T(who_becomes_preferred_is_asked_at_once),
        T(a_name_with_digits_of_another_id_is_malformed_and_preferred_no_more),
        T(the_id_says_who_is_preferred_under_any_name),
        T(a_flood_under_the_digits_of_a_member_keeps_it_away_for_a_second_at_most),
        T(a_member_finds_room_among_claims_of_members),
        T(claims_of_one_node_are_bounded),
        T(what_could_not_be_told_is_told_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
