/* Which providers stand by, and when they are connected to. tl_peers is the test's: it connects to
 * whom the test lets it. */
#include "ask/standby.h"
#include "fake_env.h"
#include "members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    fake_env env;
    tl_env as_env;
    members of;
    tl_access access;
    tl_merits merits;
    tl_peer_table table;
    tl_standby *standby;
    tl_peer_wish *wish, *other; /* that waits; NULL: none */
    size_t dials, warm;
    tl_node_id last; /* who was dialled */
} scene;

static scene *the;
static char contact; /* what a connected peer has */

tl_err tl_peers_wish(tl_peers *peers, tl_peer_wish *w)
{
    (void)peers;
    *(the->wish ? &the->other : &the->wish) = w;
    w->contact = (struct tl_contact *)(void *)&contact;
    the->last = w->peer;
    the->dials++;
    return TL_OK;
}

void tl_peers_unwish(tl_peers *peers, tl_peer_wish *w)
{
    (void)peers;
    if (the->wish == w)
        the->wish = NULL;
    if (the->other == w)
        the->other = NULL;
}

size_t tl_peers_warm(const tl_peers *peers)
{
    (void)peers;
    return the->warm;
}

static tl_node_id node_of(unsigned i)
{
    return (tl_node_id){.key = {3, (uint8_t)i, (uint8_t)(i >> 8)}};
}

static tl_peer *list_one(scene *s, const tl_node_id *id)
{
    json_t *capabilities = json_pack("{s:[s]}", "loadedModels", "m");
    tl_peer *p = tl_peer_table_get(&s->table, id);
    assert_non_null(p);
    p->listed = true;
    assert_true(tl_peer_describe(p, "x", capabilities));
    json_decref(capabilities);
    return p;
}

/* One that gave a whole answer. */
static tl_peer *list_served(scene *s, unsigned i)
{
    tl_node_id id = node_of(i);
    tl_peer *p = list_one(s, &id);
    p->proven = true;
    tl_merits_praise(&s->merits, &id);
    return p;
}

static void scene_init(scene *s)
{
    tl_node_id own = {.key = {1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252}};
    *s = (scene){.env = {.now = TL_SEC}};
    the = s;
    members_init(&s->of, TL_ROLE_PROVIDER);
    s->as_env = fake_env_of(&s->env);
    s->access =
        (tl_access){.env = &s->as_env, .book = s->of.book, .ask_any = true, .running = true};
    assert_int_equal(
        tl_standby_new(&own, &s->as_env, &s->access, &s->merits, &s->table, NULL, &s->standby),
        TL_OK);
}

static void scene_clear(scene *s)
{
    tl_standby_free(s->standby);
    tl_merits_clear(&s->merits);
    tl_peer_table_clear(&s->table);
    members_clear(&s->of);
}

/* Time passes to what comes next. False: nothing does. */
static bool next(scene *s)
{
    tl_time at = tl_standby_expiry(s->standby);
    if (at == TL_NEVER)
        return false;
    s->env.now = at > s->env.now ? at : s->env.now;
    tl_standby_on_timer(s->standby);
    return true;
}

/* The wish that waits is over. */
static void end_wish(scene *s, bool connected)
{
    tl_peer_wish *w = s->wish;
    assert_non_null(w);
    s->wish = NULL;
    w->contact = NULL;
    if (connected) {
        tl_peer_table_find(&s->table, &w->peer)->contact = (struct tl_contact *)(void *)&contact;
        s->warm++;
        w->on_stream(w, NULL);
    } else {
        w->on_failed(w, TL_ERR_UNREACHABLE, "");
    }
}

/* Connects to all that are dialled; how many they were. */
static size_t connect_all(scene *s)
{
    size_t before = s->dials;
    while (next(s))
        if (s->wish)
            end_wish(s, true);
    return s->dials - before;
}

static void those_that_served_stand_by_and_strangers_do_not(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (unsigned i = 10; i < 20; i++) {
        tl_node_id id = node_of(i);
        list_one(&s, &id)->n_ptns = 0;
    }
    list_served(&s, 1);
    list_served(&s, 2)->available = false;
    list_served(&s, 3)->in_clear = true;
    list_served(&s, 4)->listed = false;
    assert_int_equal(tl_standby_expiry(s.standby), TL_NEVER);
    tl_standby_look(s.standby);
    assert_int_equal(s.dials, 0); /* a pause first */
    assert_int_equal(connect_all(&s), 1);
    tl_node_id one = node_of(1);
    assert_true(tl_node_id_eq(&s.last, &one));
    scene_clear(&s);
}

static void a_member_comes_before_others_that_served(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    list_served(&s, 1);
    list_served(&s, 2);
    tl_node_id member = node_of(30);
    list_one(&s, &member)->proven = true;
    members_add(&s.of, &member, TL_ROLE_PROVIDER, TL_PTN_NO_END);
    tl_standby_look(s.standby);
    while (!s.wish)
        assert_true(next(&s));
    assert_true(tl_node_id_eq(&s.last, &member));
    end_wish(&s, true);
    assert_int_equal(connect_all(&s), 2);
    scene_clear(&s);
}

static void eight_stand_by_and_another_follows_one_that_left(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    for (unsigned i = 0; i < 20; i++)
        list_served(&s, i);
    tl_standby_look(s.standby);
    assert_int_equal(connect_all(&s), TL_STANDBY_MAX);
    assert_int_equal(tl_standby_expiry(s.standby), TL_NEVER);
    tl_peer_table_find(&s.table, &s.last)->contact = NULL;
    tl_node_id left = s.last;
    s.warm--;
    tl_standby_look(s.standby);
    assert_int_equal(connect_all(&s), 1);
    assert_false(tl_node_id_eq(&s.last, &left)); /* not the same again within a minute */
    scene_clear(&s);
}

static void one_that_fails_is_left_alone_for_longer_and_longer(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    list_served(&s, 1);
    for (unsigned failed = 1; failed <= 6; failed++) {
        tl_standby_look(s.standby);
        while (!s.wish)
            assert_true(next(&s));
        end_wish(&s, false);
        unsigned twice = failed < TL_STANDBY_DOUBLINGS ? failed : TL_STANDBY_DOUBLINGS;
        assert_int_equal(connect_all(&s), 0);
        s.env.now += (TL_STANDBY_AGAIN << twice) - 5 * TL_SEC;
        tl_standby_look(s.standby);
        assert_int_equal(connect_all(&s), 0);
        s.env.now += 5 * TL_SEC;
    }
    scene_clear(&s);
}

/* A relay with ten thousand nodes has started again: everybody's list comes at once. */
static void ten_thousand_nodes_that_are_listed_at_once_do_not_connect_at_once(void **state)
{
    (void)state;
    enum { KNOWN = TL_PEERS_MAX, SAMPLE = 400 };
    static unsigned in_second[600];
    tl_time span = 0;
    memset(in_second, 0, sizeof in_second);
    for (unsigned n = 0; n < SAMPLE; n++) {
        scene s;
        scene_init(&s);
        tl_standby_free(s.standby);
        tl_rand rng = tl_rand_seeded(n + 1);
        tl_node_id own;
        tl_rand_bytes(&rng, own.key, sizeof own.key);
        assert_int_equal(
            tl_standby_new(&own, &s.as_env, &s.access, &s.merits, &s.table, NULL, &s.standby),
            TL_OK);
        for (unsigned i = 0; i < KNOWN; i += i < 40 ? 1 : 97)
            list_served(&s, i);
        size_t known = tl_peer_table_count(&s.table);
        tl_standby_look(s.standby);
        while (next(&s))
            if (s.wish) {
                /* as if all of the table were full: the spread grows with it */
                double full = TL_STANDBY_SPREAD + (double)KNOWN * TL_STANDBY_SPREAD_NODE;
                double here = TL_STANDBY_SPREAD + (double)known * TL_STANDBY_SPREAD_NODE;
                tl_time after = (tl_time)((double)(s.env.now - TL_SEC) * full / here);
                in_second[after / TL_SEC < 600 ? after / TL_SEC : 599]++;
                span = tl_time_max(span, after);
                end_wish(&s, true);
            }
        assert_int_equal(s.dials, TL_STANDBY_MAX);
        scene_clear(&s);
    }
    unsigned most = 0;
    for (unsigned i = 0; i < 600; i++)
        most = in_second[i] > most ? in_second[i] : most;
    print_message("of %d nodes %u at most connect in one second, the last after %lu s\n", SAMPLE,
                  most, (unsigned long)(span / TL_SEC));
    assert_true(most <= SAMPLE / 6); /* of 10 000: under 1700 a second */
}

static void a_wish_of_a_client_connects_at_once_and_not_too_often(void **state)
{
    (void)state;
    scene s;
    scene_init(&s);
    size_t wanted = 0;
    for (unsigned i = 0; i < 3 * TL_STANDBY_WANTS; i++) {
        tl_node_id id = node_of(100 + i);
        list_one(&s, &id);
        tl_standby_want(s.standby, &id);
        if (s.wish) {
            wanted++;
            assert_true(tl_node_id_eq(&s.last, &id));
            tl_standby_want(s.standby, &id); /* under way already */
            end_wish(&s, true);
            tl_standby_want(s.standby, &id); /* connected */
        }
    }
    assert_int_equal(wanted, TL_STANDBY_WANTS);
    assert_int_equal(s.dials, wanted);
    s.env.now += TL_SEC;
    tl_node_id id = node_of(100 + 2 * TL_STANDBY_WANTS);
    tl_standby_want(s.standby, &id);
    assert_int_equal(s.dials, wanted + 1);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_served_stand_by_and_strangers_do_not),
        cmocka_unit_test(a_member_comes_before_others_that_served),
        cmocka_unit_test(eight_stand_by_and_another_follows_one_that_left),
        cmocka_unit_test(one_that_fails_is_left_alone_for_longer_and_longer),
        cmocka_unit_test(ten_thousand_nodes_that_are_listed_at_once_do_not_connect_at_once),
        cmocka_unit_test(a_wish_of_a_client_connects_at_once_and_not_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
