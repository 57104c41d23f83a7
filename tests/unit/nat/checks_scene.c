#include "checks_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

tl_addr addr(const char *ip, uint16_t port)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(ip), &a), TL_OK);
    a.port = port;
    return a;
}

tl_checks *scene_checks(scene *s, const tl_identity *self, const tl_identity *peer,
                        const char *session, uint32_t tag)
{
    tl_checks_config config = {
        .rand = &s->rand,
        .self = self,
        .peer = &peer->id,
        .session = session,
        .tag = tag,
        .sock4 = SOCK4,
        .sock6 = SOCK6,
        .keepalive = 25 * TL_SEC,
    };
    tl_checks *c;
    assert_int_equal(tl_checks_new(&config, &c), TL_OK);
    return c;
}

void scene_init(scene *s)
{
    static const uint8_t seed_a[32] = {1}, seed_b[32] = {2};
    memset(s, 0, sizeof *s);
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed_a, &s->a_identity), TL_OK);
    assert_int_equal(tl_identity_from_seed(seed_b, &s->b_identity), TL_OK);
    s->rand = tl_rand_seeded(5);
    s->a = scene_checks(s, &s->a_identity, &s->b_identity, SESSION, 0xA0A1A2A3);
    s->b = scene_checks(s, &s->b_identity, &s->a_identity, SESSION, 0xB0B1B2B3);
    s->at_a = addr("198.51.100.1", 1001);
    s->at_b = addr("203.0.113.2", 2002);
    s->now = T0;
}

void scene_clear(scene *s)
{
    tl_checks_free(s->a);
    tl_checks_free(s->b);
    tl_identity_clear(&s->a_identity);
    tl_identity_clear(&s->b_identity);
}

void add(scene *s, tl_checks *c, tl_candidate_kind kind, const tl_addr *a)
{
    tl_candidate candidate = {kind, *a, tl_candidate_priority(kind, a, 0)};
    tl_checks_add_remote(c, &candidate, s->now);
}

void give_bytes(scene *s, tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice bytes)
{
    tl_stun stun;
    if (tl_stun_is(bytes) && tl_stun_read(bytes, &stun) == TL_OK)
        tl_checks_on_stun(c, sock, from, bytes, &stun, s->now);
}

void give(scene *s, tl_checks *c, tl_sock sock, const tl_addr *from, const tl_checks_output *o)
{
    give_bytes(s, c, sock, from, tl_slice_of(o->bytes, o->n));
}

tl_checks_output take(scene *s, tl_checks *c)
{
    tl_checks_output o;
    assert_true(tl_checks_next_output(c, s->now, &o));
    return o;
}

void expect_silent(scene *s, tl_checks *c)
{
    tl_checks_output o;
    assert_false(tl_checks_next_output(c, s->now, &o));
}

size_t drain(scene *s, tl_checks *c)
{
    tl_checks_output o;
    size_t n = 0;
    while (tl_checks_next_output(c, s->now, &o))
        n++;
    return n;
}

size_t pass(scene *s, tl_checks *c, tl_time span)
{
    tl_time end = s->now + span;
    size_t n = drain(s, c);
    for (tl_time at; (at = tl_checks_expiry(c)) <= end;) {
        s->now = at > s->now ? at : s->now;
        tl_checks_on_timer(c, s->now);
        n += drain(s, c);
    }
    s->now = end;
    return n;
}

bool is_request(const tl_checks_output *o)
{
    tl_stun stun;
    assert_int_equal(tl_stun_read(tl_slice_of(o->bytes, o->n), &stun), TL_OK);
    return stun.class == TL_STUN_REQUEST;
}

unsigned events_of(tl_checks *c, tl_checks_event_type type)
{
    tl_checks_event e;
    unsigned n = 0;
    while (tl_checks_next_event(c, &e))
        n += e.type == type;
    return n;
}

tl_checks_output a_check(scene *s)
{
    size_t n;
    tl_checks_pairs(s->a, &n);
    if (!n)
        add(s, s->a, TL_CANDIDATE_SERVER_REFLEXIVE, &s->at_b);
    tl_checks_start(s->a, s->now);
    tl_checks_output o = take(s, s->a);
    assert_true(is_request(&o));
    return o;
}

void make_valid(scene *s)
{
    tl_checks_output check = a_check(s);
    give(s, s->b, SOCK4, &s->at_a, &check);
    tl_checks_output answer = take(s, s->b);
    s->now += 40 * TL_MS;
    give(s, s->a, SOCK4, &s->at_b, &answer);
    assert_int_equal(tl_checks_find(s->a, SOCK4, &s->at_b)->state, TL_PAIR_VALID);
    drain(s, s->b);
}
