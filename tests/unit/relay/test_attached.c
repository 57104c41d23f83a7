/* The table of attached nodes, against strangers: each attempt beside its accepted twin. */
#include "peerrelay_scene.h"

static void an_attach_that_is_forged_old_or_replayed_moves_nobody(void **state)
{
    (void)state;
    scene s;
    tl_control c, captured, offers[2];
    begin(&s);
    captured = attach_of(&s, B); /* never delivered: held back by somebody on the way */
    tick(&s, 2 * TL_SEC);
    attach(&s, B);
    refused_attach(&s, &s.at[C], &captured, TL_ASKED_LATE);
    c = attach_of(&s, B);
    sign_as(&c, &s.id[C]);
    refused_attach(&s, &s.at[C], &c, TL_ASKED_FORGED);
    c = attach_of(&s, B);
    write_signed(&s, &s.at[B], &c);
    refused_attach(&s, &s.at[C], &c, TL_ASKED_REPLAYED);
    memcpy(c.introducer, s.id[C].id.key, 32);
    sign_as(&c, &s.id[B]);
    refused_attach(&s, &s.at[B], &c, TL_ASKED_ELSEWHERE);
    request(&s, A, B, offers); /* its offer goes where B is */
    s.at[B] = addr_of("198.18.8.8:8");
    attach(&s, B); /* the twin: B itself has moved */
    tick(&s, TL_SEC);
    request(&s, A, B, offers);
    end(&s);
}

/* Somebody says that he is this node, and hands on what is sent to him for it. */
static void an_attach_that_was_sent_elsewhere_moves_nobody(void **state)
{
    (void)state;
    scene s;
    tl_time until;
    tl_addr eve = addr_of("198.18.66.6:6881");
    begin(&s);
    tl_control c = attach_of(&s, B);
    c.addr = eve;
    sign_as(&c, &s.id[B]);
    refused_attach(&s, &eve, &c, TL_ASKED_ADDRESS);
    c.addr = addr_of("198.18.0.1:4434"); /* another port of ours */
    sign_as(&c, &s.id[B]);
    refused_attach(&s, &eve, &c, TL_ASKED_ADDRESS);
    c.addr = addr_of("198.18.0.1:4433"); /* changed by the one who hands it on */
    refused_attach(&s, &eve, &c, TL_ASKED_FORGED);
    assert_false(tl_attached_has(s.config.attached, &s.id[B].id, &until));
    attach(&s, B); /* the twin */
    end(&s);
}

/* The datagram came to an address of this machine that its NAT, or a cloud, shows as another one. */
static void an_attach_to_the_address_it_came_to_is_taken(void **state)
{
    (void)state;
    scene s;
    tl_time until;
    begin(&s);
    tl_addr shown = addr_of("203.0.113.1:4433"), none = {0};
    tl_attached_set_address(s.config.attached, &shown, &none);
    attach(&s, B); /* to 198.18.0.1:4433, where it comes to */
    tl_control c = attach_of(&s, C);
    c.addr = shown;
    sign_as(&c, &s.id[C]);
    write_signed(&s, &s.at[C], &c);
    assert_true(tl_attached_has(s.config.attached, &s.id[C].id, &until));
    end(&s);
}

static tl_control attach_by(scene *s, const tl_identity *id)
{
    tl_control c = {.type = TL_CONTROL_ATTACH,
                    .addr = addr_of("198.18.0.1:4433"),
                    .timestamp = (uint64_t)wall(s)};
    memcpy(c.introducer, s->self.id.key, sizeof c.introducer);
    memcpy(c.node, id->id.key, sizeof c.node);
    tl_rand_bytes(&s->rand, c.nonce, sizeof c.nonce);
    sign_as(&c, id);
    return c;
}

/* The mark that it was told, or NULL. */
static const uint8_t *told_mark(const scene *s, const tl_control *attach)
{
    static tl_control reply;
    size_t at = sizeof reply.nonce - TL_ATTACH_MARK;
    bool told = s->n_sent == 1 &&
                !tl_control_parse(tl_slice_of(s->sent[0].bytes, s->sent[0].n), &reply) &&
                reply.type == TL_CONTROL_ATTACHED;
    if (told)
        assert_memory_equal(reply.nonce, attach->nonce, at);
    return told && memcmp(reply.nonce + at, attach->nonce + at, TL_ATTACH_MARK) != 0
               ? reply.nonce + at
               : NULL;
}

static void bear_mark(scene *s, tl_control *c, const tl_identity *id, const uint8_t *mark)
{
    *c = attach_by(s, id);
    memcpy(c->nonce + sizeof c->nonce - TL_ATTACH_MARK, mark, TL_ATTACH_MARK);
    sign_as(c, id);
}

/* `count` nodes from one address, each of which proves its address where it is asked to, if `honest`. Returns how
 * many are attached then. */
static size_t flood_by(scene *s, const char *from, size_t count, bool honest)
{
    tl_addr at = addr_of(from);
    for (size_t i = 0; i < count; i++) {
        tl_identity id;
        assert_int_equal(tl_identity_new(&s->rand, &id), TL_OK);
        tl_control c = attach_by(s, &id);
        at.port++;
        write_signed(s, &at, &c);
        const uint8_t *mark = told_mark(s, &c);
        if (!mark || !honest)
            continue;
        bear_mark(s, &c, &id, mark);
        write_signed(s, &at, &c);
    }
    return tl_attached_counters_of(s->config.attached)->attached;
}

static size_t flood(scene *s, const char *from, size_t count)
{
    return flood_by(s, from, count, true);
}

static size_t attached(const scene *s)
{
    return tl_attached_counters_of(s->config.attached)->attached;
}

static bool is_attached(const scene *s, const tl_node_id *id)
{
    tl_time until;
    return tl_attached_has(s->config.attached, id, &until);
}

static void one_address_and_one_network_have_a_share_of_the_places_and_push_nobody_out(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    attach(&s, B);
    size_t most = TL_ATTACHED_PER_SOURCE + TL_ATTACHED_UNPROVEN_PER_SOURCE;
    for (int i = 0; i < 4; i++) { /* at B's address, B among them */
        char from[32];
        snprintf(from, sizeof from, "198.18.1.2:%d", 100 + 100 * i);
        (void)flood(&s, from, 50);
        s.now += 5 * TL_SEC;
    }
    assert_int_equal(attached(&s), most);
    assert_true(is_attached(&s, &s.id[B].id));
    tick(&s, TL_SEC);
    attach(&s, B);                                                /* who is there may come again */
    assert_int_equal(flood(&s, "198.19.3.3:100", 10), most + 10); /* another address */
    for (int i = 0; i < 8; i++) {
        char from[32];
        snprintf(from, sizeof from, "198.18.1.%d:1000", 20 + i);
        (void)flood(&s, from, 50);
        s.now += 2 * TL_SEC;
    }
    most = TL_ATTACHED_PER_NETWORK + TL_ATTACHED_UNPROVEN_PER_NETWORK;
    assert_int_equal(attached(&s), most + 10);
    assert_true(is_attached(&s, &s.id[B].id));
    end(&s);
}

static void all_addresses_together_have_a_bounded_number_of_places(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    attach(&s, B);
    for (int i = 0; i < 70; i++) {
        char from[32];
        snprintf(from, sizeof from, "198.19.%d.1:1", i);
        (void)flood(&s, from, 80);
        s.now += TL_SEC / 2; /* so many signatures may be checked */
    }
    assert_int_equal(attached(&s), TL_ATTACHED_PROVEN_MAX + TL_ATTACHED_UNPROVEN_MAX);
    assert_true(attaches(&s, TL_ASKED_FULL) > 0);
    attach(&s, B);
    end(&s);
}

/* They write addresses as their source at which nobody reads. */
static void forged_sources_take_a_quarter_of_the_places_and_others_still_attach(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    for (int i = 0; i < 70; i++) {
        char from[32];
        snprintf(from, sizeof from, "198.19.%d.1:1", i);
        (void)flood_by(&s, from, 64, false);
        s.now += TL_SEC / 2;
    }
    assert_int_equal(attached(&s), TL_ATTACHED_UNPROVEN_MAX);
    tl_control c = attach_of(&s, B);
    write_signed(&s, &s.at[B], &c);
    assert_false(is_attached(&s, &s.id[B].id));
    const uint8_t *mark = told_mark(&s, &c);
    assert_non_null(mark);
    tl_addr other = s.at[B];
    other.port++;
    bear_mark(&s, &c, &s.id[B], mark); /* from where it was not told */
    write_signed(&s, &other, &c);
    assert_false(is_attached(&s, &s.id[B].id));
    bear_mark(&s, &c, &s.id[B], mark);
    write_signed(&s, &s.at[B], &c);
    assert_true(is_attached(&s, &s.id[B].id));
    assert_null(told_mark(&s, &c));
    assert_int_equal(tl_attached_counters_of(s.config.attached)->unproven,
                     TL_ATTACHED_UNPROVEN_MAX);
    end(&s);
}

static void a_flood_from_many_addresses_uses_up_no_checks_of_those_that_prove_theirs(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    tl_control forged = attach_of(&s, A);
    sign_as(&forged, &s.id[D]);
    for (int i = 0; i < 1800; i++) {
        tl_addr from = addr_of("198.19.0.1:1");
        from.bytes[2] = (uint8_t)(i >> 8);
        from.bytes[3] = (uint8_t)i;
        tl_rand_bytes(&s.rand, forged.nonce, sizeof forged.nonce);
        write_signed(&s, &from, &forged);
    }
    assert_int_equal(attaches(&s, TL_ASKED_FORGED), TL_ATTACHED_STRANGERS_BURST);
    tl_control c = attach_of(&s, B);
    write_signed(&s, &s.at[B], &c);
    assert_false(is_attached(&s, &s.id[B].id));
    const uint8_t *mark = told_mark(&s, &c);
    assert_non_null(mark);
    bear_mark(&s, &c, &s.id[B], mark);
    write_signed(&s, &s.at[B], &c);
    assert_true(is_attached(&s, &s.id[B].id));
    end(&s);
}

/* B attaches, and is told a mark, which it bears when it attaches again. */
static bool is_proven_after(scene *s, tl_time pause)
{
    uint8_t mark[TL_ATTACH_MARK];
    s->at[B].port++; /* elsewhere it is not proven */
    tl_control c = attach_of(s, B);
    write_signed(s, &s->at[B], &c);
    assert_non_null(told_mark(s, &c));
    memcpy(mark, told_mark(s, &c), sizeof mark);
    s->now += pause;
    bear_mark(s, &c, &s->id[B], mark);
    write_signed(s, &s->at[B], &c);
    assert_true(is_attached(s, &s->id[B].id));
    return !tl_attached_counters_of(s->config.attached)->unproven;
}

static void a_mark_holds_for_a_minute_and_not_for_two(void **state)
{
    (void)state;
    scene s;
    begin(&s);
    assert_true(is_proven_after(&s, 59 * TL_SEC));
    s.now += 120 * TL_SEC;
    assert_false(is_proven_after(&s, 121 * TL_SEC));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attach_that_is_forged_old_or_replayed_moves_nobody),
        cmocka_unit_test(an_attach_that_was_sent_elsewhere_moves_nobody),
        cmocka_unit_test(an_attach_to_the_address_it_came_to_is_taken),
        cmocka_unit_test(
            one_address_and_one_network_have_a_share_of_the_places_and_push_nobody_out),
        cmocka_unit_test(all_addresses_together_have_a_bounded_number_of_places),
        cmocka_unit_test(forged_sources_take_a_quarter_of_the_places_and_others_still_attach),
        cmocka_unit_test(a_flood_from_many_addresses_uses_up_no_checks_of_those_that_prove_theirs),
        cmocka_unit_test(a_mark_holds_for_a_minute_and_not_for_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
