/* Who is met first, among thousands that claim to be members. tl_peers is the test's: it connects to
 * everybody at once, and nobody shows a certificate but whom the test lets in. */
#include "ask/meet.h"
#include "fake_env.h"
#include "members.h"
#include "peer/claims.h"

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
    tl_peer_table table;
    tl_meet *meet;
    tl_peer_wish *wishes[TL_MEET_AT_ONCE];
    size_t dials;
    tl_node_id last; /* whom was dialled */
} scene;

static scene *the;

tl_err tl_peers_wish(tl_peers *peers, tl_peer_wish *w)
{
    (void)peers;
    for (size_t i = 0; i < TL_MEET_AT_ONCE; i++)
        if (!the->wishes[i]) {
            the->wishes[i] = w;
            the->last = w->peer;
            the->dials++;
            return TL_OK;
        }
    fail();
    return TL_ERR_BUSY;
}

void tl_peers_unwish(tl_peers *peers, tl_peer_wish *w)
{
    (void)peers;
    for (size_t i = 0; i < TL_MEET_AT_ONCE; i++)
        if (the->wishes[i] == w)
            the->wishes[i] = NULL;
}

static void on_over(void *user)
{
    (void)user;
}

static tl_node_id node_of(unsigned i)
{
    return (tl_node_id){.key = {3, (uint8_t)i, (uint8_t)(i >> 8)}};
}

static void list_claimers(scene *s, unsigned from, unsigned to)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &s->of.authority.id);
    json_t *capabilities = json_pack("{s:[s],s:[s]}", "loadedModels", "m", "ptnIDs", hex);
    for (; from < to; from++) {
        tl_node_id id = node_of(from);
        tl_peer *p = tl_peer_table_get(&s->table, &id);
        assert_non_null(p);
        p->listed = true;
        assert_true(tl_peer_describe(p, "x", capabilities));
    }
    json_decref(capabilities);
}

static void scene_init(scene *s, unsigned claimers)
{
    *s = (scene){.env = {.now = TL_SEC}};
    the = s;
    members_init(&s->of, TL_ROLE_PROVIDER);
    s->as_env = fake_env_of(&s->env);
    s->access =
        (tl_access){.env = &s->as_env, .book = s->of.book, .ask_any = true, .running = true};
    list_claimers(s, 0, claimers);
    assert_int_equal(tl_meet_new(&s->as_env, &s->access, &s->table, NULL, on_over, NULL, &s->meet),
                     TL_OK);
}

static void scene_clear(scene *s)
{
    tl_meet_free(s->meet);
    tl_peer_table_clear(&s->table);
    members_clear(&s->of);
}

/* A second passes; who is dialled is connected at its end. */
static void second_passes(scene *s)
{
    s->env.now += TL_SEC;
    (void)tl_claims_go_on(s->of.book, &s->table, s->as_env.wall(s->as_env.user));
    for (size_t i = 0; i < TL_MEET_AT_ONCE; i++) {
        tl_peer_wish *w = s->wishes[i];
        s->wishes[i] = NULL;
        if (w)
            w->on_stream(w, NULL);
    }
    tl_meet_on_timer(s->meet);
}

/* So many are dialled until this one is; `most`: it is not. A list comes each minute. */
static size_t dials_until(scene *s, const tl_node_id *who, size_t most)
{
    size_t before = s->dials;
    for (unsigned sec = 0; s->dials - before < most && sec < 4 * 3600; sec++) {
        if (sec % 60 == 0)
            tl_meet_look(s->meet);
        for (size_t i = 0; i < TL_MEET_AT_ONCE; i++)
            if (s->wishes[i] && tl_node_id_eq(&s->wishes[i]->peer, who))
                return s->dials - before;
        second_passes(s);
    }
    return most;
}

/* Ten minutes suffice to be at the first ones again, long before all were met. */
static void strangers_that_show_nothing_do_not_keep_a_member_from_being_met(void **state)
{
    (void)state;
    for (unsigned n = 900; n <= 3600; n += 2700) {
        scene s;
        scene_init(&s, n + 1);
        tl_node_id member = node_of(n);
        assert_in_range(dials_until(&s, &member, 3 * n), 1, n + n / 4);
        scene_clear(&s);
    }
}

static void who_is_listed_later_is_met_before_those_that_failed(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, 20);
    for (unsigned i = 0; i < 120; i++) {
        if (i % 60 == 0)
            tl_meet_look(s.meet);
        second_passes(&s);
    }
    assert_int_equal(s.dials, 20); /* each once */
    s.env.now += TL_MEET_AGAIN;
    list_claimers(&s, 20, 21);
    tl_node_id member = node_of(20);
    assert_int_equal(dials_until(&s, &member, 20), TL_MEET_IDLE); /* one of the first few */
    scene_clear(&s);
}

static void who_fails_again_is_left_alone_for_longer(void **state)
{
    (void)state;
    scene s;
    scene_init(&s, 1);
    for (unsigned failed = 0; failed < 6; failed++) {
        unsigned twice = failed < TL_MEET_DOUBLINGS ? failed : TL_MEET_DOUBLINGS;
        tl_meet_look(s.meet);
        assert_int_equal(s.dials, failed + 1);
        for (unsigned i = 0; i < 5; i++)
            second_passes(&s);
        s.env.now += (TL_MEET_AGAIN << twice) - 5 * TL_SEC;
        tl_meet_look(s.meet);
        assert_int_equal(s.dials, failed + 1);
        s.env.now += 5 * TL_SEC;
    }
    /* and is met as soon as its certificate is there */
    tl_meet_look(s.meet);
    tl_node_id id = node_of(0);
    members_add(&s.of, &id, TL_ROLE_PROVIDER, TL_PTN_NO_END);
    tl_meet_on_book(s.meet);
    assert_null(s.wishes[0]);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_that_show_nothing_do_not_keep_a_member_from_being_met),
        cmocka_unit_test(who_is_listed_later_is_met_before_those_that_failed),
        cmocka_unit_test(who_fails_again_is_left_alone_for_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
