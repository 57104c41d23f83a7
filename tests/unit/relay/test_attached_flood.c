/* Floods against a node that others are attached to: what those who proved their address still get, and what a victim
 * whose address is written as the source gets. Virtual time; forged datagrams come at even distances. */
#include "peerrelay_scene.h"

#include "relay/introducer.h"

#define MARK_AT (TL_CONTROL_NONCE_SIZE - TL_ATTACH_MARK)

/* A node that attaches as peer/introducers does: every 25 s, a try after 150, 300 and 600 ms, and a pause when four were
 * in vain. */
typedef struct {
    tl_identity id;
    tl_addr at;
    tl_time next;
    unsigned tries;
    bool marked;
    uint8_t mark[TL_ATTACH_MARK];
    unsigned answered, given_up;
} client;

typedef struct {
    scene base;
    tl_introducer *i;
    tl_introducer_output out; /* of the last call */
    uint64_t forged;          /* datagrams */
} flood_scene;

static void begin_flood(flood_scene *s)
{
    memset(s, 0, sizeof *s);
    begin(&s->base);
    assert_int_equal(tl_introducer_new(&s->base.self, s->base.config.attached, &s->i), TL_OK);
    tl_introducer_set_serving(s->i, true);
}

static void end_flood(flood_scene *s)
{
    tl_introducer_free(s->i);
    end(&s->base);
}

/* Returns the Attached that it is answered by; NULL: none. */
static const tl_control *write_it(flood_scene *s, const tl_addr *from, const tl_control *c)
{
    static tl_control reply;
    uint8_t bytes[TL_CONTROL_MAX];
    tl_burst_way way = way_from(from);
    size_t n = tl_control_write(c, bytes);
    assert_true(tl_introducer_on_control(s->i, &way, tl_slice_of(bytes, n), s->base.now,
                                         wall(&s->base), &s->out));
    bool attached = s->out.n && !tl_control_parse(tl_slice_of(s->out.bytes, s->out.n), &reply) &&
                    reply.type == TL_CONTROL_ATTACHED;
    return attached ? &reply : NULL;
}

static client client_at(flood_scene *s, const tl_addr *at)
{
    client c = {.at = *at, .next = s->base.now};
    assert_int_equal(tl_identity_new(&s->base.rand, &c.id), TL_OK);
    return c;
}

static tl_control attach_from(flood_scene *s, const client *c)
{
    tl_control a = attach_of(&s->base, A);
    memcpy(a.node, c->id.id.key, sizeof a.node);
    if (c->marked)
        memcpy(a.nonce + MARK_AT, c->mark, sizeof c->mark);
    sign_as(&a, &c->id);
    return a;
}

static bool is_attached(const flood_scene *s, const client *c)
{
    tl_time until;
    return tl_attached_has(s->base.config.attached, &c->id.id, &until) && s->base.now < until;
}

/* One Attach. */
static void say(flood_scene *s, client *c)
{
    tl_control a = attach_from(s, c);
    uint64_t unproven = attaches(&s->base, TL_ASKED_UNPROVEN);
    const tl_control *reply = write_it(s, &c->at, &a);
    bool news = reply && memcmp(reply->nonce + MARK_AT, a.nonce + MARK_AT, TL_ATTACH_MARK) != 0;
    if (news) {
        c->marked = true;
        memcpy(c->mark, reply->nonce + MARK_AT, sizeof c->mark);
    }
    if (reply && attaches(&s->base, TL_ASKED_UNPROVEN) == unproven) {
        c->answered++;
        c->tries = 0;
        c->next = s->base.now + (news ? 0 : 25 * TL_SEC);
        return;
    }
    c->next = s->base.now + (150 * TL_MS << c->tries);
    if (++c->tries < 4)
        return;
    c->tries = 0;
    c->given_up++;
    c->next = s->base.now + 5 * TL_SEC;
}

static void turn(flood_scene *s, client *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->base.now >= c[i].next)
            say(s, &c[i]);
}

/* An Attach that nobody signed. */
static void forge(flood_scene *s, const tl_addr *from, const uint8_t *node)
{
    tl_control c = {.type = TL_CONTROL_ATTACH}, model;
    static tl_control made;
    static tl_time made_at;
    if (s->base.now >= made_at + TL_SEC ||
        made_at > s->base.now) { /* signing costs more than all else */
        made = attach_of(&s->base, A);
        made_at = s->base.now;
    }
    model = made;
    c = model;
    tl_rand_bytes(&s->base.rand, c.nonce, sizeof c.nonce);
    tl_rand_bytes(&s->base.rand, c.sig, sizeof c.sig);
    if (node)
        memcpy(c.node, node, sizeof c.node);
    else
        tl_rand_bytes(&s->base.rand, c.node, sizeof c.node);
    (void)write_it(s, from, &c);
    s->forged++;
}

static tl_addr ip(unsigned b, unsigned c, unsigned d, unsigned port)
{
    char text[40];
    snprintf(text, sizeof text, "198.%u.%u.%u:%u", b, c, d, port);
    return addr_of(text);
}

static void forged_attaches_from_a_nodes_own_address_do_not_detach_it(void **state)
{
    (void)state;
    flood_scene s;
    begin_flood(&s);
    tl_addr at = ip(18, 1, 1, 4000);
    client c = client_at(&s, &at);
    turn(&s, &c, 1);
    for (int t = 0; t < 120 * 400; t++) {
        tl_addr from = c.at;
        s.base.now += TL_SEC / 400;
        if (t % 2) /* from its port as well, and in its name */
            from.port = (uint16_t)(1 + t % 60000);
        forge(&s, &from, t % 2 ? NULL : c.id.id.key);
        turn(&s, &c, 1);
        assert_true(is_attached(&s, &c));
    }
    assert_int_equal(c.given_up, 0);
    end_flood(&s);
}

static void neighbours_behind_one_address_do_not_keep_another_out(void **state)
{
    (void)state;
    flood_scene s;
    static client neighbours[64];
    begin_flood(&s);
    for (unsigned i = 0; i < 64; i++) {
        tl_addr at = ip(18, 1, 1, 5000 + i);
        neighbours[i] = client_at(&s, &at);
    }
    for (int t = 0; t < 60 * 20; t++) {
        s.base.now += TL_SEC / 20;
        turn(&s, neighbours, 64);
    }
    tl_addr at = ip(18, 1, 1, 4000);
    client c = client_at(&s, &at);
    turn(&s, &c, 1);
    assert_true(is_attached(&s, &c));
    end_flood(&s);
}

enum { HONEST = 60 };

static void proven_crowd(flood_scene *s, client c[HONEST])
{
    for (unsigned i = 0; i < HONEST; i++) {
        tl_addr at = ip(19, 200 + i / 50, 1 + i % 50, 4000);
        c[i] = client_at(s, &at);
        c[i].next += i * TL_SEC / HONEST;
    }
    for (int t = 0; t < 30 * 50; t++) {
        s->base.now += TL_SEC / 50;
        turn(s, c, HONEST);
    }
    for (unsigned i = 0; i < HONEST; i++) {
        assert_true(is_attached(s, &c[i]));
        c[i].answered = 0;
    }
    assert_int_equal(tl_attached_counters_of(s->base.config.attached)->unproven, 0);
}

static void crowd_is_well(const flood_scene *s, const client c[HONEST])
{
    for (unsigned i = 0; i < HONEST; i++) {
        assert_true(is_attached(s, &c[i]));
        assert_true(c[i].answered >= 2);
        assert_int_equal(c[i].given_up, 0);
    }
}

/* One attached node makes no source a known one: it takes false sources and one good signature each. */
static void sources_where_somebody_attached_use_up_nothing_of_proven_nodes(void **state)
{
    (void)state;
    flood_scene s;
    static client c[HONEST];
    static tl_addr sources[100];
    begin_flood(&s);
    proven_crowd(&s, c);
    for (unsigned i = 0; i < 100; i++) {
        sources[i] = ip(18, i, 1, 1000);
        client one = client_at(&s, &sources[i]);
        tl_control a = attach_from(&s, &one);
        s.base.now += 10 * TL_MS;
        assert_non_null(write_it(&s, &sources[i], &a));
    }
    uint64_t before = attaches(&s.base, TL_ASKED_FORGED);
    for (int t = 0; t < 60 * 1000; t++) {
        s.base.now += TL_MS;
        forge(&s, &sources[t % 100], NULL);
        turn(&s, c, HONEST);
    }
    crowd_is_well(&s, c);
    uint64_t checked = attaches(&s.base, TL_ASKED_FORGED) - before;
    assert_true(checked <=
                TL_ATTACHED_STRANGERS_BURST + 60 * (uint64_t)TL_ATTACHED_STRANGERS_PER_SEC);
    end_flood(&s);
}

static void forged_attaches_in_the_names_and_from_the_addresses_of_all_detach_nobody(void **state)
{
    (void)state;
    flood_scene s;
    static client c[HONEST];
    begin_flood(&s);
    proven_crowd(&s, c);
    for (int t = 0; t < 60 * 1000; t++) {
        s.base.now += TL_MS;
        forge(&s, &c[t % HONEST].at, c[t % HONEST].id.id.key);
        turn(&s, c, HONEST);
    }
    crowd_is_well(&s, c);
    end_flood(&s);
}

static void one_network_does_not_fill_the_table(void **state)
{
    (void)state;
    flood_scene s;
    begin_flood(&s);
    for (unsigned i = 0; i < 64; i++)
        for (unsigned k = 0; k < 16; k++) {
            tl_addr at = ip(18, 5, i + 1, 100 + k);
            client c = client_at(&s, &at);
            turn(&s, &c, 1);
            turn(&s, &c, 1);
            s.base.now += 16 * TL_MS;
        }
    const tl_attached_counters *n = tl_attached_counters_of(s.base.config.attached);
    assert_true(n->attached <= TL_ATTACHED_PER_NETWORK + TL_ATTACHED_UNPROVEN_PER_NETWORK);
    tl_addr at = ip(18, 6, 1, 4000);
    client c = client_at(&s, &at);
    turn(&s, &c, 1);
    assert_true(is_attached(&s, &c));
    end_flood(&s);
}

/* What nobody is known to have signed for. */
static void a_false_source_is_told_little_and_so_is_its_network(void **state)
{
    (void)state;
    enum { SECONDS = 10 };
    flood_scene s;
    unsigned to_victim = 0, to_network = 0;
    begin_flood(&s);
    for (unsigned t = 0; t < SECONDS * 1000; t++) {
        tl_addr other = ip(19, t / 250 % 250, t % 250 + 1, 9), victim = ip(18, 7, 7, 53);
        tl_addr neighbour = ip(18, 9, t % 250 + 1, 53);
        s.base.now += TL_MS;
        forge(&s, &other, NULL); /* so that the strangers' checks are used up */
        forge(&s, &victim, NULL);
        to_victim += s.out.n > 0;
        forge(&s, &neighbour, NULL);
        to_network += s.out.n > 0;
    }
    assert_true(to_victim > 0 && to_network > to_victim);
    assert_true(to_victim <= TL_ATTACHED_TOLD_BURST + SECONDS * TL_ATTACHED_TOLD_PER_SEC);
    assert_true(to_network <= TL_ATTACHED_NETWORK_TIMES *
                                  (TL_ATTACHED_TOLD_BURST + SECONDS * TL_ATTACHED_TOLD_PER_SEC));
    end_flood(&s);
}

/* --- PunchIntros --- */

static tl_control intro_from(flood_scene *s, const client *c, const tl_node_id *target, bool sign)
{
    tl_control i = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = c->at,
                    .nat = TL_CONTROL_NAT_CONE,
                    .timestamp = (uint64_t)wall(&s->base)};
    memcpy(i.initiator, c->id.id.key, sizeof i.initiator);
    memcpy(i.introducer, s->base.self.id.key, sizeof i.introducer);
    memcpy(i.target, target->key, sizeof i.target);
    tl_rand_bytes(&s->base.rand, i.nonce, sizeof i.nonce);
    if (sign)
        sign_as(&i, &c->id);
    else
        tl_rand_bytes(&s->base.rand, i.sig, sizeof i.sig);
    return i;
}

/* It asks at once, and then, like any initiator whose first try was in vain, attaches and asks again. */
static bool gets_through(flood_scene *s, client *c, const tl_node_id *target)
{
    tl_control i = intro_from(s, c, target, true);
    (void)write_it(s, &c->at, &i);
    if (s->out.n)
        return true;
    for (int tries = 0; tries < 3; tries++)
        turn(s, c, 1), c->next = 0;
    i = intro_from(s, c, target, true);
    (void)write_it(s, &c->at, &i);
    return s->out.n > 0;
}

/* Some come from sources where one node is attached, each with a good key and without a proof. */
static void forged_punch_intros_keep_out_nobody_who_attaches_first(void **state)
{
    (void)state;
    enum { SECONDS = 10 };
    flood_scene s;
    static tl_addr sources[100];
    tl_addr at = ip(19, 1, 1, 4000);
    unsigned all = 0;
    begin_flood(&s);
    client target = client_at(&s, &at), forger = {0};
    for (unsigned i = 0; i < 100; i++) {
        sources[i] = ip(18, i, 1, 1000);
        client one = client_at(&s, &sources[i]);
        tl_control a = attach_from(&s, &one);
        s.base.now += 10 * TL_MS;
        assert_non_null(write_it(&s, &sources[i], &a));
    }
    for (int t = 0; t < SECONDS * 3000; t++) {
        forger.at = t % 4 ? sources[t % 100] : ip(18, 100 + t / 250 % 100, t % 250 + 1, 1000);
        s.base.now += TL_SEC / 3000;
        turn(&s, &target, 1);
        tl_rand_bytes(&s.base.rand, forger.id.id.key, sizeof forger.id.id.key);
        tl_control i = intro_from(&s, &forger, &target.id.id, false);
        (void)write_it(&s, &forger.at, &i);
        assert_int_equal(s.out.n, 0);
        if (t % 375 != 374)
            continue;
        at = ip(19, 2 + all, 1, 4000);
        client c = client_at(&s, &at);
        assert_true(gets_through(&s, &c, &target.id.id));
        all++;
    }
    assert_int_equal(all, 80);
    uint64_t checked = tl_introducer_counters_of(s.i)->intros[TL_ASKED_FORGED];
    assert_true(checked <=
                TL_ATTACHED_STRANGERS_BURST + SECONDS * (uint64_t)TL_ATTACHED_STRANGERS_PER_SEC);
    end_flood(&s);
}

/* Their keys are good, and their addresses false. */
static void those_who_seek_a_node_without_a_proof_leave_room_for_the_proven(void **state)
{
    (void)state;
    flood_scene s;
    tl_addr at = ip(19, 1, 1, 4000);
    begin_flood(&s);
    client target = client_at(&s, &at);
    turn(&s, &target, 1);
    for (unsigned i = 0; i < 2 * TL_ATTACHED_SOUGHT_BURST; i++) {
        at = ip(18, i, 1, 4000);
        client c = client_at(&s, &at);
        tl_control intro = intro_from(&s, &c, &target.id.id, true);
        (void)write_it(&s, &at, &intro);
        assert_int_equal(s.out.n > 0, i < TL_ATTACHED_SOUGHT_BURST);
    }
    at = ip(19, 2, 1, 4000);
    client c = client_at(&s, &at);
    assert_true(gets_through(&s, &c, &target.id.id));
    end_flood(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_attaches_from_a_nodes_own_address_do_not_detach_it),
        cmocka_unit_test(neighbours_behind_one_address_do_not_keep_another_out),
        cmocka_unit_test(sources_where_somebody_attached_use_up_nothing_of_proven_nodes),
        cmocka_unit_test(forged_attaches_in_the_names_and_from_the_addresses_of_all_detach_nobody),
        cmocka_unit_test(one_network_does_not_fill_the_table),
        cmocka_unit_test(a_false_source_is_told_little_and_so_is_its_network),
        cmocka_unit_test(forged_punch_intros_keep_out_nobody_who_attaches_first),
        cmocka_unit_test(those_who_seek_a_node_without_a_proof_leave_room_for_the_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
