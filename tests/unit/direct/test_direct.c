/* Machines of direct/direct face to face: what one signals or sends reaches the other after a
 * while, unless the wire is cut. No relay, no socket, virtual time. */
#include "direct/direct.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEP    (5 * TL_MS)
#define QUEUE_N 256 /* packets and messages on their way */
#define ENDS    3

typedef struct {
    int from, to;
    tl_signal_type type; /* of a message; UNKNOWN: a datagram */
    uint8_t *bytes;
    size_t n;
    tl_addr source;
} parcel;

typedef struct {
    tl_identity identity;
    tl_rand rand;
    tl_direct *direct;
    tl_addr addr;
    tl_candidate candidate;
    tl_direct_self self;
    unsigned ways_told, silent_told, spins;
    tl_addr forges; /* what it sends seems to come from there; family NONE: from itself */
    tl_path_id next_path;
} end;

static end ends[ENDS];
static parcel queue[QUEUE_N];
static size_t queued;
static tl_time now;
static bool relay_up, wire_cut;
static tl_nat_facts facts = {.mapping = TL_MAPPING_NONE};

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return 1800000000 + (tl_unix)(now / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

static void post(const end *from, const end *to, tl_signal_type type, const void *bytes, size_t n)
{
    assert_true(queued < QUEUE_N);
    uint8_t *copy = malloc(n);
    memcpy(copy, bytes, n);
    const tl_addr *source = from->forges.family ? &from->forges : &from->addr;
    queue[queued++] = (parcel){(int)(from - ends), (int)(to - ends), type, copy, n, *source};
}

static const tl_direct_self *self(void *user)
{
    return &((end *)user)->self;
}

static tl_err signal(void *user, tl_signal_type type, const json_t *payload)
{
    if (!relay_up)
        return TL_ERR_CLOSED;
    char *text = json_dumps(payload, JSON_COMPACT), hex[TL_NODE_ID_HEX + 1];
    const char *to = json_string_value(json_object_get(payload, "toNodeID"));
    for (int i = 0; i < ENDS; i++) {
        tl_node_id_write(hex, &ends[i].identity.id);
        if (strcmp(hex, to) == 0)
            post(user, &ends[i], type, text, strlen(text));
    }
    free(text);
    return TL_OK;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                            size_t n, size_t segment)
{
    (void)sock;
    (void)segment;
    for (int i = 0; i < ENDS && !wire_cut; i++)
        if (tl_addr_eq(to, &ends[i].addr))
            post(user, &ends[i], TL_SIGNAL_UNKNOWN, data, n);
    return TL_OK;
}

static size_t open_sockets(void *user, tl_sock *ret_socks, size_t n)
{
    (void)user;
    (void)ret_socks;
    (void)n;
    return 0;
}

static void close_socket(void *user, tl_sock sock)
{
    (void)user;
    (void)sock;
}

static bool welcome(void *user, const tl_node_id *peer)
{
    (void)user;
    (void)peer;
    return true;
}

static size_t paths_freed;

static void free_path(void *user, tl_path_id path)
{
    (void)user;
    assert_true(path != 0);
    paths_freed++;
}

static tl_path_id new_path(void *user, const tl_node_id *peer)
{
    (void)peer;
    return ++((end *)user)->next_path;
}

static const tl_direct_world world = {self,         signal,  send_datagram, open_sockets,
                                      close_socket, welcome, new_path,      free_path};

static void deliver(void)
{
    size_t n = queued;
    parcel now_due[QUEUE_N];
    memcpy(now_due, queue, n * sizeof *queue);
    queued = 0;
    for (size_t i = 0; i < n; i++) {
        const parcel *p = &now_due[i];
        end *to = &ends[p->to], *from = &ends[p->from];
        tl_stun stun;
        tl_slice bytes = tl_slice_of(p->bytes, p->n);
        if (p->type != TL_SIGNAL_UNKNOWN)
            tl_direct_on_signal(to->direct, p->type, &from->identity.id, bytes);
        else if (!tl_stun_read(bytes, &stun))
            tl_direct_on_stun(to->direct, 1, &p->source, bytes, &stun);
        free(p->bytes);
    }
}

static void drain(end *e)
{
    tl_direct_event ev;
    while (tl_direct_next_event(e->direct, &ev)) {
        if (ev.type == TL_DIRECT_WAYS)
            e->ways_told++;
        else
            e->silent_told++;
    }
}

static void run_for(tl_time span)
{
    for (tl_time until = now + span; now < until; now += STEP) {
        deliver();
        for (int i = 0; i < ENDS; i++) {
            tl_direct_on_timer(ends[i].direct);
            drain(&ends[i]);
            /* due again and again at a time past: a loop that never rests */
            ends[i].spins = tl_direct_expiry(ends[i].direct) > now ? 0 : ends[i].spins + 1;
            assert_true(ends[i].spins < 3);
        }
    }
}

static void start(end *e)
{
    tl_env env = {env_now, env_wall, env_wake, e};
    assert_int_equal(tl_direct_new(&e->identity, &e->rand, &env, &world, e, &e->direct), TL_OK);
}

/* The process ends, and another begins with the same key. */
static void restart(end *e)
{
    tl_direct_free(e->direct);
    start(e);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    now = TL_SEC;
    relay_up = true;
    wire_cut = false;
    for (int i = 0; i < ENDS; i++) {
        end *e = &ends[i];
        *e = (end){.rand = tl_rand_seeded((uint64_t)i + 1)};
        assert_int_equal(tl_identity_new(&e->rand, &e->identity), TL_OK);
        char text[32];
        snprintf(text, sizeof text, "45.13.%d.2:4000", i + 1);
        assert_int_equal(tl_addr_parse(tl_slice_str(text), &e->addr), TL_OK);
        e->candidate = (tl_candidate){TL_CANDIDATE_HOST, e->addr, 100};
        e->self = (tl_direct_self){.sock4 = 1,
                                   .port = 4000,
                                   .candidates = &e->candidate,
                                   .n_candidates = 1,
                                   .facts = &facts,
                                   .keepalive = 25 * TL_SEC};
        start(e);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < queued; i++)
        free(queue[i].bytes);
    queued = 0;
    size_t given = 0;
    for (int i = 0; i < ENDS; i++) {
        tl_direct_free(ends[i].direct);
        given += ends[i].next_path;
    }
    assert_int_equal(paths_freed, given); /* every path id is given back, whatever happened */
    paths_freed = 0;
    return 0;
}

static tl_direct_state state_of(int i)
{
    tl_direct_report r;
    assert_true(tl_direct_report_of(ends[i].direct, &ends[!i].identity.id, &r));
    return r.state;
}

static void want(void)
{
    tl_direct_want(ends[0].direct, &ends[1].identity.id);
}

static void two_that_reach_each_other_have_a_way(void **state)
{
    (void)state;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    want();
    run_for(TL_SEC);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_of(i), TL_DIRECT_STANDS);
        assert_int_equal(tl_direct_ways(ends[i].direct, &ends[!i].identity.id, ways), 1);
        assert_true(tl_addr_eq(&ways[0].remote, &ends[!i].addr));
        assert_true(ends[i].ways_told > 0);
    }
}

/* All attempts that this end counted, and all successes, are by these NATs. */
static void counted_once(int i, tl_control_nat initiator, tl_control_nat target)
{
    const tl_punch_counters *n = tl_direct_punches(ends[i].direct);
    for (int x = 0; x < TL_CONTROL_NATS; x++)
        for (int y = 0; y < TL_CONTROL_NATS; y++) {
            uint64_t count = x == (int)initiator && y == (int)target;
            assert_int_equal(n->attempts[x][y], count);
            assert_int_equal(n->successes[x][y], count);
        }
}

static void both_sides_count_an_attempt_by_the_nat_of_who_offered(void **state)
{
    static const struct {
        tl_nat_mapping mapping;
        tl_control_nat nat;
    } rows[] = {{TL_MAPPING_NONE, TL_CONTROL_NAT_PUBLIC},
                {TL_MAPPING_ENDPOINT_INDEPENDENT, TL_CONTROL_NAT_CONE},
                {TL_MAPPING_ADDRESS_DEPENDENT, TL_CONTROL_NAT_SYMMETRIC},
                {TL_MAPPING_UNKNOWN, TL_CONTROL_NAT_UNKNOWN}};
    enum { ROWS = sizeof rows / sizeof *rows };
    tl_nat_facts own[2];
    tl_candidate two[2] = {{.kind = TL_CANDIDATE_HOST, .priority = 200}};
    assert_int_equal(tl_addr_parse(TL_SLICE_LIT("192.168.7.7:4000"), &two[0].addr), TL_OK);
    for (int x = 0; x < ROWS; x++)
        for (int y = 0; y < ROWS; y++) {
            teardown(state); /* a world of its own for each pair */
            setup(state);
            own[0] = (tl_nat_facts){.mapping = rows[x].mapping, .public4 = ends[0].addr};
            own[1] = (tl_nat_facts){.mapping = rows[y].mapping, .public4 = ends[1].addr};
            for (int i = 0; i < 2; i++)
                ends[i].self.facts = &own[i];
            for (int i = 0; i < 2; i++) /* behind a NAT, the host's own address is another one */
                if (own[i].mapping != TL_MAPPING_NONE)
                    ends[i].candidate.kind = TL_CANDIDATE_SERVER_REFLEXIVE;
            two[1] = ends[0].candidate; /* and a public host may have a private address, too */
            ends[0].self.candidates = two;
            ends[0].self.n_candidates = 2;
            want();
            run_for(TL_SEC);
            for (int i = 0; i < 2; i++) {
                assert_int_equal(state_of(i), TL_DIRECT_STANDS);
                counted_once(i, rows[x].nat, rows[y].nat);
            }
        }
}

static void an_attempt_ends_once_whatever_becomes_of_its_way(void **state)
{
    (void)state;
    const tl_direct_counters *n = tl_direct_counters_of(ends[0].direct);
    want();
    run_for(TL_SEC);
    assert_true(n->attempts == 1 && n->succeeded == 1);
    wire_cut = true;
    relay_up = false;
    tl_direct_on_change(ends[0].direct, true); /* every pair is asked anew, in vain */
    run_for(60 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_NEVER); /* the relay is awaited for another offer */
    assert_true(n->attempts == 1 && n->succeeded == 1);
    assert_int_equal(n->failed, 0);
}

static void an_offer_that_nobody_answers_is_given_up_and_repeated(void **state)
{
    (void)state;
    tl_direct_set_enabled(ends[1].direct, false); /* it does not answer */
    want();
    run_for(6 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_UNANSWERED);
    tl_direct_set_enabled(ends[1].direct, true);
    run_for(TL_DIRECT_AGAIN_FIRST);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

static void an_offer_waits_for_the_relay(void **state)
{
    (void)state;
    relay_up = false;
    want();
    run_for(TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_NEVER);
    relay_up = true;
    tl_direct_on_registered(ends[0].direct);
    run_for(TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

/* The way is spare (nothing uses it), so the session it belongs to ends with the next offer: that
 * must not be while it tells of the loss. */
static void a_spare_way_lost_after_a_move_is_offered_anew_at_once(void **state)
{
    (void)state;
    want();
    run_for(TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
    tl_direct_on_change(ends[0].direct, true);
    wire_cut = true;
    for (int i = 0; i < 60 && state_of(0) == TL_DIRECT_STANDS; i++)
        run_for(TL_SEC);
    run_for(100 * TL_MS);
    assert_int_equal(tl_direct_counters_of(ends[0].direct)->lost, 1);
    assert_int_equal(tl_direct_counters_of(ends[0].direct)->offers_out, 2);
    wire_cut = false;
    run_for(2 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

static void a_lost_way_is_told_by_the_call_that_finds_it_lost(void **state)
{
    (void)state;
    tl_direct_event ev;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    want();
    run_for(TL_SEC);
    assert_int_equal(tl_direct_ways(ends[0].direct, &ends[1].identity.id, ways), 1);
    tl_direct_using(ends[0].direct, &ends[1].identity.id, ways[0].path, true);
    run_for(TL_SEC);
    wire_cut = true;
    while (state_of(0) == TL_DIRECT_STANDS) {
        assert_false(tl_direct_next_event(ends[0].direct, &ev) && ev.type == TL_DIRECT_WAYS);
        now += STEP;
        tl_direct_on_timer(ends[0].direct);
    }
    assert_int_equal(state_of(0), TL_DIRECT_LOST);
    assert_true(tl_direct_next_event(ends[0].direct, &ev));
    assert_int_equal(ev.type, TL_DIRECT_SILENT);
    assert_true(tl_direct_next_event(ends[0].direct, &ev));
    assert_int_equal(ev.type, TL_DIRECT_WAYS);
    assert_true(tl_node_id_eq(&ev.peer, &ends[1].identity.id));
    assert_false(tl_direct_next_event(ends[0].direct, &ev));
}

static void an_owner_may_let_the_peer_go_while_it_is_told(void **state)
{
    (void)state;
    tl_direct_event ev;
    want();
    for (now += STEP; !tl_direct_next_event(ends[0].direct, &ev); now += STEP)
        deliver();
    tl_direct_drop(ends[0].direct, &ev.peer);
    assert_int_equal(state_of(0), TL_DIRECT_NEVER);
    drain(&ends[0]);
    run_for(TL_SEC);
}

/* What the peer's new attempt comes to does not hide that the old way stands, nor that it is lost
 * afterwards. */
static void an_attempt_that_fails_beside_a_way_leaves_it_standing(void **state)
{
    (void)state;
    want();
    run_for(TL_SEC);
    wire_cut = true;
    restart(&ends[1]);
    tl_direct_want(ends[1].direct, &ends[0].identity.id);
    run_for(4 * TL_SEC);
    assert_int_equal(state_of(1), TL_DIRECT_FAILED);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
    tl_direct_drop(ends[1].direct, &ends[0].identity.id);
    for (int i = 0; i < 60 && state_of(0) == TL_DIRECT_STANDS; i++)
        run_for(TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_LOST);
    wire_cut = false;
    run_for(TL_DIRECT_AGAIN_FIRST + 2 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

/* Both offer, the relay goes, and the one whose offer gives way cannot answer the other's. */
static void an_offer_that_could_not_be_answered_is_made_up_for(void **state)
{
    (void)state;
    want();
    tl_direct_want(ends[1].direct, &ends[0].identity.id);
    relay_up = false;
    run_for(TL_SEC);
    int gives_way = tl_node_id_cmp(&ends[0].identity.id, &ends[1].identity.id) < 0;
    assert_int_equal(state_of(gives_way), TL_DIRECT_NEVER);
    assert_int_equal(state_of(!gives_way), TL_DIRECT_OFFERED);
    relay_up = true;
    for (int i = 0; i < 2; i++)
        tl_direct_on_registered(ends[i].direct);
    run_for(TL_SEC);
    for (int i = 0; i < 2; i++)
        assert_int_equal(state_of(i), TL_DIRECT_STANDS);
}

static void a_peer_that_is_not_needed_any_more_is_not_asked(void **state)
{
    (void)state;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    want();
    run_for(TL_SEC);
    tl_direct_drop(ends[0].direct, &ends[1].identity.id);
    assert_int_equal(tl_direct_ways(ends[0].direct, &ends[1].identity.id, ways), 0);
    run_for(TL_MIN);
    assert_int_equal(tl_direct_counters_of(ends[0].direct)->offers_out, 1);
}

static void a_pause_that_ends_while_disabled_is_over_when_enabled_again(void **state)
{
    (void)state;
    tl_direct_set_enabled(ends[1].direct, false);
    want();
    run_for(6 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_UNANSWERED);
    tl_direct_set_enabled(ends[0].direct, false);
    run_for(2 * TL_DIRECT_AGAIN_FIRST); /* run_for looks at the expiry */
    assert_int_equal(tl_direct_counters_of(ends[0].direct)->offers_out, 1);
    tl_direct_set_enabled(ends[1].direct, true);
    tl_direct_set_enabled(ends[0].direct, true);
    run_for(TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

/* The path that a datagram from there is put to, when its connection ID is at home on `known`. */
static tl_path_id path_from(const tl_addr *from, tl_path_id known)
{
    return tl_direct_path_of(ends[0].direct, 1, from, known, false);
}

static tl_path_id path_to(int i)
{
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    return tl_direct_ways(ends[0].direct, &ends[i].identity.id, ways) ? ways[0].path : 0;
}

/* A peer with a session of its own sends checks whose source address is another peer's. */
static void an_address_is_not_taken_from_a_peer_by_forged_checks(void **state)
{
    (void)state;
    want();
    run_for(TL_SEC);
    tl_path_id honest = path_to(1);
    assert_true(honest);
    tl_direct_using(ends[0].direct, &ends[1].identity.id, honest, true);
    ends[2].forges = ends[1].addr;
    tl_direct_want(ends[2].direct, &ends[0].identity.id);
    for (int i = 0; i < 200; i++) {
        run_for(50 * TL_MS);
        assert_int_equal(path_from(&ends[1].addr, honest), honest);
        assert_int_equal(path_from(&ends[1].addr, 0), honest);
    }
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
}

/* The same before the honest peer has a way: the forger was there first. */
static void an_address_that_a_forger_named_first_goes_to_the_peer_that_answers(void **state)
{
    (void)state;
    ends[2].forges = ends[1].addr;
    tl_direct_want(ends[2].direct, &ends[0].identity.id);
    run_for(TL_SEC);
    assert_true(path_from(&ends[1].addr, 0)); /* the forger's, in whose name a check came */
    want();
    run_for(2 * TL_SEC);
    assert_int_equal(state_of(0), TL_DIRECT_STANDS);
    assert_true(path_to(1));
    assert_int_equal(path_from(&ends[1].addr, 0), path_to(1));
}

/* A NAT gives a mapping to another machine: who answers there has it, once its owner is silent. */
static void an_address_whose_owner_is_gone_goes_to_the_peer_that_answers_there(void **state)
{
    (void)state;
    want();
    run_for(TL_SEC);
    tl_path_id first = path_to(1);
    assert_true(first);
    tl_addr at = ends[1].addr, elsewhere = ends[2].addr;
    ends[1].addr = elsewhere;
    ends[2].addr = ends[2].candidate.addr = at;
    tl_direct_want(ends[2].direct, &ends[0].identity.id);
    run_for(100 * TL_MS);
    assert_int_equal(path_from(&at, 0), first); /* its owner is asked, and has some time */
    run_for(5 * TL_SEC);
    assert_true(path_to(2));
    assert_int_equal(path_from(&at, 0), path_to(2));
}

/* The same when its owner is let go of: nothing comes from there that would tell. */
static void
an_address_whose_owner_is_dropped_goes_at_once_to_the_peer_that_answers_there(void **state)
{
    (void)state;
    want();
    run_for(TL_SEC);
    tl_path_id first = path_to(1);
    assert_true(first);
    tl_addr at = ends[1].addr, elsewhere = ends[2].addr;
    ends[1].addr = elsewhere;
    ends[2].addr = ends[2].candidate.addr = at;
    tl_direct_want(ends[2].direct, &ends[0].identity.id);
    run_for(100 * TL_MS);
    assert_int_equal(path_from(&at, 0), first);
    assert_int_equal(path_to(2), 0); /* it answers there, and waits */
    wire_cut = true;
    tl_direct_drop(ends[0].direct, &ends[1].identity.id);
    run_for(2 * STEP);
    assert_true(path_to(2));
    assert_int_equal(path_from(&at, 0), path_to(2));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_that_reach_each_other_have_a_way),
        TEST(both_sides_count_an_attempt_by_the_nat_of_who_offered),
        TEST(an_attempt_ends_once_whatever_becomes_of_its_way),
        TEST(an_offer_that_nobody_answers_is_given_up_and_repeated),
        TEST(a_pause_that_ends_while_disabled_is_over_when_enabled_again),
        TEST(an_offer_waits_for_the_relay),
        TEST(a_spare_way_lost_after_a_move_is_offered_anew_at_once),
        TEST(a_lost_way_is_told_by_the_call_that_finds_it_lost),
        TEST(an_owner_may_let_the_peer_go_while_it_is_told),
        TEST(an_attempt_that_fails_beside_a_way_leaves_it_standing),
        TEST(an_offer_that_could_not_be_answered_is_made_up_for),
        TEST(a_peer_that_is_not_needed_any_more_is_not_asked),
        TEST(an_address_is_not_taken_from_a_peer_by_forged_checks),
        TEST(an_address_that_a_forger_named_first_goes_to_the_peer_that_answers),
        TEST(an_address_whose_owner_is_gone_goes_to_the_peer_that_answers_there),
        TEST(an_address_whose_owner_is_dropped_goes_at_once_to_the_peer_that_answers_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
