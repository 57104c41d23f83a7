/* Introductions at direct/direct: two machines face to face, and an introducer between them that is two lines of
 * this file. What is sent reaches the other after a while, unless the wire is cut. No socket, virtual time. */
#include "direct/direct.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEP    (5 * TL_MS)
#define QUEUE_N 256
#define WALL    1800000000

enum { A, B, ENDS };

typedef struct {
    int to; /* ENDS: the introducer */
    uint8_t bytes[1500];
    size_t n;
    tl_addr source;
} parcel;

typedef struct {
    tl_identity identity;
    tl_rand rand;
    tl_direct *direct;
    tl_addr addr;
    tl_direct_self self;
    tl_nat_facts facts;
    unsigned asked; /* how often it asked to be introduced */
    bool alone;     /* nobody can be asked */
    tl_path_id next_path;
} end;

static end ends[ENDS];
static tl_identity introducer;
static tl_addr carol, victim;
static parcel queue[QUEUE_N];
static size_t queued, to_victim;
static tl_time now;
static bool wire_cut, carol_gone, refuse;
static tl_control last_intro; /* that passed the introducer */

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix env_wall(void *user)
{
    (void)user;
    return WALL + (tl_unix)(now / TL_SEC);
}

static void env_wake(void *user)
{
    (void)user;
}

static void post(int to, const tl_addr *source, const void *bytes, size_t n)
{
    assert_true(queued < QUEUE_N && n <= sizeof queue[0].bytes);
    parcel *p = &queue[queued++];
    *p = (parcel){.to = to, .n = n, .source = *source};
    memcpy(p->bytes, bytes, n);
}

static const tl_direct_self *self(void *user)
{
    return &((end *)user)->self;
}

static tl_err no_signal(void *user, tl_signal_type type, const json_t *payload)
{
    (void)user, (void)type, (void)payload;
    return TL_ERR_CLOSED;
}

static tl_err send_datagram(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                            size_t n, size_t segment)
{
    const end *e = user;
    (void)sock, (void)segment;
    to_victim += tl_addr_eq(to, &victim);
    for (int i = 0; i < ENDS && !wire_cut; i++)
        if (tl_addr_eq(to, &ends[i].addr))
            post(i, &e->addr, data, n);
    if (tl_addr_eq(to, &carol))
        post(ENDS, &e->addr, data, n);
    return TL_OK;
}

static size_t open_sockets(void *user, tl_sock *ret_socks, size_t n)
{
    (void)user, (void)ret_socks, (void)n;
    return 0;
}

static void close_socket(void *user, tl_sock sock)
{
    (void)user, (void)sock;
}

static bool welcome(void *user, const tl_node_id *peer)
{
    (void)user, (void)peer;
    return !refuse;
}

static tl_path_id new_path(void *user, const tl_node_id *peer)
{
    (void)peer;
    return ++((end *)user)->next_path;
}

static void free_path(void *user, tl_path_id path)
{
    (void)user, (void)path;
}

static void sign(tl_control *c, const tl_identity *signer)
{
    assert_int_equal(tl_control_sign(c, signer), TL_OK);
}

static tl_control intro_of(const end *from, const uint8_t *introducer_key, const tl_node_id *target,
                           const uint8_t *nonce)
{
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .addr = from->addr,
                    .nat = TL_CONTROL_NAT_CONE,
                    .timestamp = (uint64_t)env_wall(NULL)};
    memcpy(c.initiator, from->identity.id.key, sizeof c.initiator);
    memcpy(c.introducer, introducer_key, sizeof c.introducer);
    memcpy(c.target, target->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    sign(&c, &from->identity);
    return c;
}

static void post_control(int to, const tl_addr *source, const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    post(to, source, bytes, tl_control_write(c, bytes));
}

static bool introduce(void *user, const tl_node_id *peer,
                      const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    end *e = user;
    assert_int_equal(nth, e->asked % TL_DIRECT_INTRODUCTIONS);
    if (e->alone)
        return false;
    e->asked++;
    tl_control c = intro_of(e, introducer.id.key, peer, nonce);
    post_control(ENDS, &e->addr, &c);
    return true;
}

static bool is_introducer(void *user, const tl_node_id *node, const tl_addr *from,
                          tl_addr *ret_seen)
{
    *ret_seen = ((end *)user)->addr;
    return tl_node_id_eq(node, &introducer.id) && tl_addr_eq(from, &carol);
}

static const tl_direct_world world = {self,         no_signal,    send_datagram, open_sockets,
                                      close_socket, welcome,      new_path,      free_path,
                                      introduce,    is_introducer};

/* The introducer hands the PunchIntro on to the other, and the PunchReady back. */
static void at_carol(const parcel *p)
{
    tl_control c;
    if (carol_gone || tl_control_parse(tl_slice_of(p->bytes, p->n), &c))
        return;
    const uint8_t *to = c.type == TL_CONTROL_PUNCH_INTRO ? c.target : c.initiator;
    if (c.type == TL_CONTROL_PUNCH_INTRO) {
        c.type = TL_CONTROL_PUNCH_REQUEST;
        last_intro = c;
    }
    for (int i = 0; i < ENDS; i++)
        if (memcmp(to, ends[i].identity.id.key, sizeof c.target) == 0)
            post_control(i, &carol, &c);
}

static void deliver(void)
{
    static parcel now_due[QUEUE_N];
    size_t n = queued;
    memcpy(now_due, queue, n * sizeof *queue);
    queued = 0;
    for (size_t i = 0; i < n; i++) {
        const parcel *p = &now_due[i];
        tl_slice bytes = tl_slice_of(p->bytes, p->n);
        tl_stun stun;
        if (p->to == ENDS)
            at_carol(p);
        else if (tl_control_is(bytes))
            assert_true(tl_direct_on_control(ends[p->to].direct, 1, &p->source, bytes));
        else if (!tl_stun_read(bytes, &stun))
            tl_direct_on_stun(ends[p->to].direct, 1, &p->source, bytes, &stun);
    }
}

static void run_for(tl_time span)
{
    tl_direct_event ev;
    for (tl_time until = now + span; now < until; now += STEP) {
        deliver();
        for (int i = 0; i < ENDS; i++) {
            tl_direct_on_timer(ends[i].direct);
            while (tl_direct_next_event(ends[i].direct, &ev))
                ;
        }
    }
}

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int setup(void **state)
{
    static const char *const at[] = {"45.13.1.2:4000", "45.13.2.2:4000"};
    tl_rand rand = tl_rand_seeded(9);
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    assert_int_equal(tl_identity_new(&rand, &introducer), TL_OK);
    carol = addr_of("45.13.9.9:4000");
    victim = addr_of("45.13.66.6:4000");
    now = TL_SEC;
    wire_cut = carol_gone = refuse = false;
    to_victim = 0;
    for (int i = 0; i < ENDS; i++) {
        end *e = &ends[i];
        *e = (end){.rand = tl_rand_seeded((uint64_t)i + 1), .addr = addr_of(at[i])};
        assert_int_equal(tl_identity_new(&e->rand, &e->identity), TL_OK);
        e->facts = (tl_nat_facts){.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT, .public4 = e->addr};
        e->self = (tl_direct_self){
            .sock4 = 1, .port = 4000, .facts = &e->facts, .keepalive = 25 * TL_SEC};
        tl_env env = {env_now, env_wall, env_wake, e};
        assert_int_equal(tl_direct_new(&e->identity, &e->rand, &env, &world, e, &e->direct), TL_OK);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    queued = 0; /* parcels own nothing */
    for (int i = 0; i < ENDS; i++)
        tl_direct_free(ends[i].direct);
    return 0;
}

static size_t ways(int i)
{
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    return tl_direct_ways(ends[i].direct, &ends[!i].identity.id, list);
}

static tl_direct_state state_of(int i)
{
    tl_direct_report r;
    assert_true(tl_direct_report_of(ends[i].direct, &ends[!i].identity.id, &r));
    return r.state;
}

static void want(int i)
{
    tl_direct_want(ends[i].direct, &ends[!i].identity.id);
}

static uint64_t requests(int i, tl_direct_intro_result result)
{
    return tl_direct_counters_of(ends[i].direct)->intros_in[result];
}

static uint64_t readies(int i, tl_direct_intro_result result)
{
    return tl_direct_counters_of(ends[i].direct)->readies_in[result];
}

/* Given to B, as from there. Returns what became of it. */
static tl_direct_intro_result give(int to, const tl_addr *from, const tl_control *c)
{
    uint64_t before[TL_DIRECT_INTRO_RESULTS];
    uint8_t bytes[TL_CONTROL_MAX];
    const tl_direct_counters *n = tl_direct_counters_of(ends[to].direct);
    const uint64_t *after = c->type == TL_CONTROL_PUNCH_READY ? n->readies_in : n->intros_in;
    memcpy(before, after, sizeof before);
    size_t len = tl_control_write(c, bytes);
    assert_true(tl_direct_on_control(ends[to].direct, 1, from, tl_slice_of(bytes, len)));
    for (int i = 0; i < TL_DIRECT_INTRO_RESULTS; i++)
        if (after[i] != before[i])
            return (tl_direct_intro_result)i;
    fail();
    return TL_DIRECT_INTRO_RESULTS;
}

/* A new PunchRequest of A for B. */
static tl_control request(void)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    tl_rand_bytes(&ends[A].rand, nonce, sizeof nonce);
    tl_control c = intro_of(&ends[A], introducer.id.key, &ends[B].identity.id, nonce);
    c.type = TL_CONTROL_PUNCH_REQUEST;
    return c;
}

static void two_that_are_introduced_have_a_way(void **state)
{
    (void)state;
    tl_direct_report r;
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    assert_int_equal(ends[A].asked, 1);
    assert_int_equal(requests(B, TL_DIRECT_INTRO_TAKEN), 1);
    assert_int_equal(readies(A, TL_DIRECT_INTRO_TAKEN), 1);
    assert_int_equal(readies(A, TL_DIRECT_INTRO_FOREIGN), 1); /* the second, by the other way */
    assert_true(tl_direct_report_of(ends[A].direct, &ends[B].identity.id, &r) && r.introduced);
    assert_int_equal(tl_direct_punches(ends[A].direct)->attempts[r.our_nat][r.peer_nat], 1);
    assert_int_equal(tl_direct_punches(ends[A].direct)->successes[r.our_nat][r.peer_nat], 1);
}

static void an_introduction_is_asked_for_three_times_and_then_given_up(void **state)
{
    (void)state;
    carol_gone = true;
    want(A);
    run_for(900 * TL_MS);
    assert_int_equal(ends[A].asked, 1);
    run_for(200 * TL_MS);
    assert_int_equal(ends[A].asked, 2);
    run_for(2 * TL_SEC);
    assert_int_equal(ends[A].asked, 3);
    assert_int_equal(state_of(A), TL_DIRECT_OFFERED);
    run_for(3 * TL_SEC);
    assert_int_equal(state_of(A), TL_DIRECT_UNANSWERED);
    assert_int_equal(ends[A].asked, 3);
    carol_gone = false;
    tl_direct_hurry(ends[A].direct, &ends[B].identity.id);
    run_for(TL_SEC);
    assert_true(ways(A));
}

static void a_lost_introduction_is_made_up_for(void **state)
{
    (void)state;
    carol_gone = true;
    want(A);
    run_for(500 * TL_MS);
    carol_gone = false;
    run_for(TL_SEC);
    assert_int_equal(ends[A].asked, 2);
    assert_true(ways(A) && ways(B));
}

static void who_has_nobody_to_ask_tries_when_somebody_was_found(void **state)
{
    (void)state;
    ends[A].alone = true;
    want(A);
    assert_int_equal(state_of(A), TL_DIRECT_NEVER);
    assert_false(tl_direct_is_on(ends[A].direct, &ends[B].identity.id));
    ends[A].alone = false;
    tl_direct_hurry(ends[A].direct, &ends[B].identity.id);
    assert_true(tl_direct_is_on(ends[A].direct, &ends[B].identity.id));
    run_for(300 * TL_MS);
    assert_true(ways(A));
}

static void both_may_ask_at_once(void **state)
{
    (void)state;
    want(A);
    want(B);
    run_for(2 * TL_SEC);
    assert_true(ways(A) && ways(B));
}

static void a_public_peer_introduces_itself(void **state)
{
    (void)state;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {1};
    const end *b = &ends[B];
    tl_control c = intro_of(&ends[A], b->identity.id.key, &b->identity.id, nonce);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN); /* not from where it says */
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(queued && queue[0].to == A);
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_REPLAYED);
}

static void a_request_counts_only_from_an_introducer_of_ours_and_for_us(void **state)
{
    (void)state;
    tl_control c = request();
    assert_int_equal(give(B, &victim, &c), TL_DIRECT_INTRO_FOREIGN);
    memcpy(c.introducer, ends[A].identity.id.key, sizeof c.introducer);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    memcpy(c.target, introducer.id.key, sizeof c.target);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    memcpy(c.initiator, ends[B].identity.id.key, sizeof c.initiator);
    sign(&c, &ends[B].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    c.type = TL_CONTROL_PUNCH_INTRO; /* as if this node introduced others */
    assert_int_equal(give(B, &ends[A].addr, &c), TL_DIRECT_INTRO_FOREIGN);
    c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void a_request_that_is_forged_late_or_replayed_makes_nothing_go_out(void **state)
{
    (void)state;
    tl_control c = request();
    sign(&c, &introducer);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FORGED);
    c = request();
    c.addr = victim; /* not what was signed */
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_FORGED);
    for (int by = -31; by <= 31; by += 62) {
        c = request();
        c.timestamp = (uint64_t)(env_wall(NULL) + by);
        sign(&c, &ends[A].identity);
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_LATE);
    }
    assert_int_equal(queued, 0);
    c = request();
    c.timestamp = (uint64_t)(env_wall(NULL) - 30);
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    assert_true(queued);
    queued = 0;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_REPLAYED);
    assert_int_equal(queued, 0);
}

static void who_may_not_ask_us_learns_nothing(void **state)
{
    (void)state;
    tl_control c = request();
    refuse = true;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_UNWELCOME);
    assert_int_equal(queued, 0);
    refuse = false;
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void an_address_that_stays_silent_gets_five_datagrams(void **state)
{
    (void)state;
    tl_control c = request();
    c.addr = victim;
    sign(&c, &ends[A].identity);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
    run_for(20 * TL_SEC);
    assert_true(to_victim > 1 && to_victim <= 5);
}

static void one_initiator_is_answered_four_times_in_ten_seconds(void **state)
{
    (void)state;
    tl_control c;
    for (int i = 0; i <= TL_DIRECT_ANSWERS; i++) {
        c = request();
        assert_int_equal(give(B, &carol, &c),
                         i < TL_DIRECT_ANSWERS ? TL_DIRECT_INTRO_TAKEN : TL_DIRECT_INTRO_UNWELCOME);
    }
    now += 10 * TL_SEC;
    c = request();
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void addresses_to_which_nothing_is_sent_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"127.0.0.1:80", "224.0.0.1:80", "169.254.169.254:80"};
    for (size_t i = 0; i < 3; i++) {
        tl_control c = request();
        c.addr = addr_of(bad[i]);
        sign(&c, &ends[A].identity);
        assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_ADDRESS);
        assert_int_equal(queued, 0);
    }
}

static void a_punch_ready_that_nobody_waits_for_is_dropped(void **state)
{
    (void)state;
    tl_control c = request();
    c.type = TL_CONTROL_PUNCH_READY;
    c.addr = victim;
    sign(&c, &ends[B].identity);
    assert_int_equal(give(A, &ends[B].addr, &c), TL_DIRECT_INTRO_FOREIGN);
    wire_cut = true; /* so that the answer is this one */
    want(A);
    deliver(); /* to carol, */
    deliver(); /* and to B */
    tl_control other = last_intro;
    other.type = TL_CONTROL_PUNCH_READY;
    other.addr = ends[B].addr;
    other.timestamp = (uint64_t)env_wall(NULL);
    queued = 0;
    tl_control wrong = other; /* another nonce */
    wrong.nonce[0] ^= 1;
    sign(&wrong, &ends[B].identity);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FOREIGN);
    wrong = other; /* of another target */
    memcpy(wrong.target, introducer.id.key, sizeof wrong.target);
    sign(&wrong, &introducer);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FOREIGN);
    wrong = other;
    sign(&wrong, &introducer);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_FORGED);
    wrong = other;
    wrong.timestamp -= 31;
    sign(&wrong, &ends[B].identity);
    assert_int_equal(give(A, &carol, &wrong), TL_DIRECT_INTRO_LATE);
    sign(&other, &ends[B].identity);
    assert_int_equal(give(A, &carol, &other), TL_DIRECT_INTRO_TAKEN);
    assert_int_equal(give(A, &carol, &other), TL_DIRECT_INTRO_FOREIGN);
}

static void truncated_datagrams_and_other_types_do_nothing(void **state)
{
    (void)state;
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = request();
    size_t n = tl_control_write(&c, bytes);
    for (size_t i = 2; i < n; i++)
        assert_true(tl_direct_on_control(ends[B].direct, 1, &carol, tl_slice_of(bytes, i)));
    assert_int_equal(requests(B, TL_DIRECT_INTRO_MALFORMED), n - 2);
    bytes[1] = TL_CONTROL_ATTACHED;
    assert_false(tl_direct_on_control(ends[B].direct, 1, &carol, tl_slice_of(bytes, n)));
    bytes[1] = TL_CONTROL_PUNCH_REQUEST;
    tl_direct_set_enabled(ends[B].direct, false);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_USELESS);
    tl_direct_set_enabled(ends[B].direct, true);
    assert_int_equal(give(B, &carol, &c), TL_DIRECT_INTRO_TAKEN);
}

static void after_a_move_both_are_introduced_anew_at_once(void **state)
{
    (void)state;
    want(A);
    run_for(300 * TL_MS);
    assert_true(ways(A) && ways(B));
    assert_int_equal(ends[A].asked, 1);
    ends[A].addr = ends[A].facts.public4 = addr_of("45.13.1.77:4000");
    ends[A].asked = 0;
    tl_direct_on_change(ends[A].direct, true);
    assert_int_equal(ends[A].asked, 1);
    run_for(300 * TL_MS);
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    size_t n = tl_direct_ways(ends[B].direct, &ends[A].identity.id, list), there = 0;
    for (size_t i = 0; i < n; i++)
        there += tl_addr_eq(&list[i].remote, &ends[A].addr);
    assert_int_equal(there, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_that_are_introduced_have_a_way),
        TEST(an_introduction_is_asked_for_three_times_and_then_given_up),
        TEST(a_lost_introduction_is_made_up_for),
        TEST(who_has_nobody_to_ask_tries_when_somebody_was_found),
        TEST(both_may_ask_at_once),
        TEST(a_public_peer_introduces_itself),
        TEST(a_request_counts_only_from_an_introducer_of_ours_and_for_us),
        TEST(a_request_that_is_forged_late_or_replayed_makes_nothing_go_out),
        TEST(who_may_not_ask_us_learns_nothing),
        TEST(an_address_that_stays_silent_gets_five_datagrams),
        TEST(one_initiator_is_answered_four_times_in_ten_seconds),
        TEST(addresses_to_which_nothing_is_sent_are_refused),
        TEST(a_punch_ready_that_nobody_waits_for_is_dropped),
        TEST(truncated_datagrams_and_other_types_do_nothing),
        TEST(after_a_move_both_are_introduced_anew_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
