/* Neighbours at direct/direct: two machines on one link, with UDP and a pipe between them, each of which may be blocked.
 * No socket, virtual time. */
#include "direct/direct.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STEP    (5 * TL_MS)
#define WALL    1800000000
#define QUEUE_N 256
#define UDP     1
#define PORT    4000

enum { A, B, ENDS };

typedef struct {
    int to;
    bool by_pipe;
    size_t n;
    uint8_t bytes[1500];
} parcel;

typedef struct {
    tl_identity identity;
    tl_rand rand;
    tl_direct *direct;
    tl_addr addr;
    tl_interface own;
    tl_direct_self self;
    tl_nat_facts facts;
    tl_path_id next_path;
    unsigned greeted, dialled;
    bool announced; /* the other is, on the local network */
    bool proven;    /* our end of the pipe */
    bool refuses;   /* it welcomes nobody */
    tl_unix clock_off;
} end;

static end ends[ENDS];
static parcel queue[QUEUE_N];
static size_t queued;
static tl_time now;
static bool udp_blocked, tcp_blocked, pipe_open, pipe_is_full;
static tl_addr pipe_at[ENDS]; /* each side's end, with its TCP port */

static tl_time env_now(void *user)
{
    (void)user;
    return now;
}

static tl_unix env_wall(void *user)
{
    return WALL + (tl_unix)(now / TL_SEC) + ((end *)user)->clock_off;
}

static void env_wake(void *user)
{
    (void)user;
}

static tl_sock pipe_of(int i)
{
    return tl_sock_pipe((tl_sock)i + 7);
}

static int index_of(const end *e)
{
    return (int)(e - ends);
}

static tl_addr addr_of(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse(tl_slice_str(text), &a), TL_OK);
    return a;
}

/* --- the world --- */

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
    int other = !index_of(e);
    bool by_pipe = tl_sock_is_pipe(sock);
    (void)segment;
    bool there = tl_addr_eq(to, by_pipe ? &pipe_at[other] : &ends[other].addr);
    if (!there || (by_pipe ? tcp_blocked || !pipe_open : udp_blocked))
        return TL_OK;
    assert_true(queued < QUEUE_N && n <= sizeof queue[0].bytes);
    parcel *p = &queue[queued++];
    *p = (parcel){.to = other, .by_pipe = by_pipe, .n = n};
    memcpy(p->bytes, data, n);
    return TL_OK;
}

static bool welcome(void *user, const tl_node_id *peer)
{
    (void)peer;
    return !((end *)user)->refuses;
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

static size_t near(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX])
{
    const end *e = user;
    (void)peer;
    ret_addrs[0] = ends[!index_of(e)].addr;
    return e->announced;
}

static tl_control greeting(end *e, const tl_node_id *peer, const uint8_t *nonce)
{
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = e->addr,
                    .nat = TL_CONTROL_NAT_UNKNOWN,
                    .timestamp = (uint64_t)env_wall(e)};
    c.addr.scope = 0;
    memcpy(c.initiator, e->identity.id.key, sizeof c.initiator);
    memcpy(c.introducer, peer->key, sizeof c.introducer);
    memcpy(c.target, peer->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    assert_int_equal(tl_control_sign(&c, &e->identity), TL_OK);
    return c;
}

static void send_greeting(end *e, bool by_pipe, const tl_node_id *peer, const uint8_t *nonce)
{
    uint8_t bytes[TL_CONTROL_MAX];
    tl_control c = greeting(e, peer, nonce);
    size_t n = tl_control_write(&c, bytes);
    int other = !index_of(e);
    const tl_addr *to = by_pipe ? &pipe_at[other] : &ends[other].addr;
    assert_int_equal(send_datagram(e, by_pipe ? pipe_of(index_of(e)) : UDP, to, bytes, n, n),
                     TL_OK);
}

static bool greet(void *user, const tl_node_id *peer, const uint8_t nonce[TL_CONTROL_NONCE_SIZE])
{
    end *e = user;
    if (!e->announced)
        return false;
    e->dialled++;
    if (!nonce)
        return true;
    e->greeted++;
    send_greeting(e, false, peer, nonce);
    if (pipe_open)
        send_greeting(e, true, peer, nonce);
    return true;
}

static size_t pipes(void *user, const tl_node_id *peer,
                    tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX])
{
    int i = index_of(user);
    (void)peer;
    ret_pipes[0] = (tl_direct_pipe){pipe_of(i), pipe_at[!i]};
    return pipe_open && i == A; /* A dials */
}

static void pipe_proven(void *user, tl_sock pipe, const tl_node_id *peer)
{
    end *e = user;
    assert_int_equal(pipe, pipe_of(index_of(e)));
    assert_true(tl_node_id_eq(peer, &ends[!index_of(e)].identity.id));
    e->proven = true;
}

static bool pipe_full(void *user, tl_sock pipe)
{
    (void)user, (void)pipe;
    return pipe_is_full;
}

static const tl_direct_world world = {.self = self,
                                      .signal = no_signal,
                                      .send = send_datagram,
                                      .welcome = welcome,
                                      .new_path = new_path,
                                      .free_path = free_path,
                                      .near = near,
                                      .greet = greet,
                                      .pipes = pipes,
                                      .pipe_proven = pipe_proven,
                                      .pipe_full = pipe_full};

/* --- time --- */

static void deliver(void)
{
    static parcel due[QUEUE_N];
    size_t n = queued;
    memcpy(due, queue, n * sizeof *queue);
    queued = 0;
    for (size_t i = 0; i < n; i++) {
        const parcel *p = &due[i];
        tl_slice bytes = tl_slice_of(p->bytes, p->n);
        tl_sock sock = p->by_pipe ? pipe_of(p->to) : UDP;
        const tl_addr *from = p->by_pipe ? &pipe_at[!p->to] : &ends[!p->to].addr;
        tl_stun stun;
        if (tl_control_is(bytes))
            assert_true(tl_direct_on_control(ends[p->to].direct, sock, from, bytes));
        else if (!tl_stun_read(bytes, &stun))
            tl_direct_on_stun(ends[p->to].direct, sock, from, bytes, &stun);
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

/* The connection that A dialled stands. */
static void open_pipe(void)
{
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    tl_direct_pipe pipe = {pipe_of(A), pipe_at[B]};
    pipe_open = true;
    if (tl_direct_on_pipe(ends[A].direct, &ends[B].identity.id, &pipe, nonce))
        send_greeting(&ends[A], true, &ends[B].identity.id, nonce);
}

static void close_pipe(void)
{
    pipe_open = false;
    for (int i = 0; i < ENDS; i++)
        tl_direct_on_pipe_closed(ends[i].direct, pipe_of(i));
}

static void want(void)
{
    tl_direct_want(ends[A].direct, &ends[B].identity.id);
}

/* The ways that stand at that end: by UDP, and through the pipe. */
static size_t ways(int i, bool tcp)
{
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    size_t n = tl_direct_ways(ends[i].direct, &ends[!i].identity.id, list), count = 0;
    for (size_t k = 0; k < n; k++) {
        assert_true(list[k].lan);
        count += list[k].tcp == tcp;
    }
    return count;
}

static uint64_t intros(tl_direct_intro_result r)
{
    return tl_direct_counters_of(ends[B].direct)->intros_in[r];
}

static void place(const char *a, const char *b, uint32_t scope, uint8_t prefix)
{
    const char *at[] = {a, b};
    for (int i = 0; i < ENDS; i++) {
        end *e = &ends[i];
        e->addr = addr_of(at[i]);
        e->addr.scope = scope;
        e->own = (tl_interface){.addr = e->addr, .prefix = prefix};
        e->own.addr.port = 0;
        pipe_at[i] = e->addr;
        pipe_at[i].port = (uint16_t)(i == A ? 50123 : PORT); /* A's is the kernel's choice */
    }
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tl_crypto_init(), TL_OK);
    now = TL_SEC;
    queued = 0;
    udp_blocked = tcp_blocked = pipe_open = pipe_is_full = false;
    memset(ends, 0, sizeof ends);
    place("10.0.0.1:4000", "10.0.0.2:4000", 0, 24);
    for (int i = 0; i < ENDS; i++) {
        end *e = &ends[i];
        e->rand = tl_rand_seeded((uint64_t)i + 1);
        assert_int_equal(tl_identity_new(&e->rand, &e->identity), TL_OK);
        e->self = (tl_direct_self){.sock4 = UDP,
                                   .sock6 = UDP,
                                   .port = PORT,
                                   .interfaces = &e->own,
                                   .n_interfaces = 1,
                                   .facts = &e->facts,
                                   .keepalive = 25 * TL_SEC,
                                   .lan = true};
        tl_env env = {env_now, env_wall, env_wake, e};
        assert_int_equal(tl_direct_new(&e->identity, &e->rand, &env, &world, e, &e->direct), TL_OK);
    }
    ends[A].announced = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < ENDS; i++)
        tl_direct_free(ends[i].direct);
    return 0;
}

/* --- tests --- */

static void a_neighbour_is_reached_by_udp_with_nobody_between(void **state)
{
    (void)state;
    want();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false), 1);
    assert_int_equal(ways(B, false), 1);
    assert_int_equal(intros(TL_DIRECT_INTRO_TAKEN), 1);
}

static void where_only_tcp_passes_the_pipe_is_the_way(void **state)
{
    (void)state;
    udp_blocked = true;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false), 0);
    assert_int_equal(ways(A, true), 1);
    assert_int_equal(ways(B, true), 1);
    assert_true(ends[A].proven && ends[B].proven);
}

static void both_stand_where_both_pass(void **state)
{
    (void)state;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false) * ways(A, true), 1);
    assert_int_equal(ways(B, false) * ways(B, true), 1);
    assert_int_equal(intros(TL_DIRECT_INTRO_TAKEN), 1); /* one nonce, by both */
    assert_int_equal(intros(TL_DIRECT_INTRO_REPLAYED), 1);
}

static void a_pipe_that_comes_late_joins_what_stands(void **state)
{
    (void)state;
    want();
    run_for(200 * TL_MS);
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, true), 1);
    assert_int_equal(ways(B, true), 1);
}

static void a_pipe_that_closes_takes_its_way_along_at_once(void **state)
{
    tl_direct_event ev;
    bool told = false;
    (void)state;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    close_pipe();
    assert_int_equal(ways(A, true), 0);
    assert_int_equal(ways(B, true), 0);
    assert_int_equal(ways(A, false), 1);
    while (tl_direct_next_event(ends[A].direct, &ev))
        told |= ev.type == TL_DIRECT_WAYS;
    assert_true(told);
}

static void a_pipe_that_falls_silent_is_lost_as_soon_as_any_way(void **state)
{
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    (void)state;
    udp_blocked = true;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(tl_direct_ways(ends[A].direct, &ends[B].identity.id, list), 1);
    tl_direct_using(ends[A].direct, &ends[B].identity.id, list[0].path, true);
    run_for(2 * TL_SEC);
    assert_int_equal(ways(A, true), 1);
    tcp_blocked = true;
    run_for(TL_CHECKS_CONSENT_MAX);
    assert_int_equal(ways(A, true), 0);
}

static void a_full_pipe_holds_its_way_and_no_other(void **state)
{
    tl_direct_way list[TL_DIRECT_WAYS_MAX];
    (void)state;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    size_t n = tl_direct_ways(ends[A].direct, &ends[B].identity.id, list);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++)
        assert_false(tl_direct_is_held(ends[A].direct, list[i].path));
    pipe_is_full = true;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tl_direct_is_held(ends[A].direct, list[i].path), list[i].tcp);
}

static void a_link_local_address_is_reached_where_its_link_is_known(void **state)
{
    (void)state;
    place("[fe80::1]:4000", "[fe80::2]:4000", 3, 64);
    want();
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false) * ways(A, true), 1);
    assert_int_equal(ways(B, false) * ways(B, true), 1);
}

static void neighbours_need_no_welcome_and_others_do(void **state)
{
    (void)state;
    ends[B].refuses = true;
    want();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false), 1);

    tear_down(NULL);
    set_up(NULL);
    ends[B].refuses = true;
    ends[B].self.lan = false; /* as one who has switched it off */
    want();
    run_for(TL_SEC);
    assert_int_equal(ways(A, false), 0);
    assert_int_equal(intros(TL_DIRECT_INTRO_TAKEN), 0);
}

static void a_clock_that_is_hours_off_is_forgiven_through_a_pipe_alone(void **state)
{
    (void)state;
    ends[A].clock_off = -5 * 3600;
    udp_blocked = true;
    want();
    open_pipe();
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, true), 1);

    tear_down(NULL);
    set_up(NULL);
    ends[A].clock_off = -5 * 3600;
    want();
    run_for(TL_SEC);
    assert_int_equal(ways(A, false), 0);
    assert_true(intros(TL_DIRECT_INTRO_LATE) > 0);
}

static tl_direct_intro_result give_by_pipe(const tl_control *c)
{
    uint8_t bytes[TL_CONTROL_MAX];
    uint64_t before[TL_DIRECT_INTRO_RESULTS];
    const tl_direct_counters *n = tl_direct_counters_of(ends[B].direct);
    memcpy(before, n->intros_in, sizeof before);
    size_t len = tl_control_write(c, bytes);
    assert_true(
        tl_direct_on_control(ends[B].direct, pipe_of(B), &pipe_at[A], tl_slice_of(bytes, len)));
    for (int i = 0; i < TL_DIRECT_INTRO_RESULTS; i++)
        if (n->intros_in[i] != before[i])
            return (tl_direct_intro_result)i;
    fail();
    return TL_DIRECT_INTRO_RESULTS;
}

static void a_greeting_that_was_recorded_does_nothing_when_a_later_one_came(void **state)
{
    static const uint8_t first[TL_CONTROL_NONCE_SIZE] = {1}, second[TL_CONTROL_NONCE_SIZE] = {2};
    (void)state;
    tl_control recorded = greeting(&ends[A], &ends[B].identity.id, first);
    now += 5 * TL_SEC;
    tl_control later = greeting(&ends[A], &ends[B].identity.id, second);
    assert_int_equal(give_by_pipe(&later), TL_DIRECT_INTRO_TAKEN);
    now += 120 * TL_SEC; /* its nonce is forgotten */
    assert_int_equal(give_by_pipe(&recorded), TL_DIRECT_INTRO_LATE);
}

static void a_greeting_for_another_or_from_elsewhere_is_dropped(void **state)
{
    static const uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {1}, other[TL_CONTROL_NONCE_SIZE] = {2};
    (void)state;
    tl_control c = greeting(&ends[A], &ends[A].identity.id, nonce); /* B has announced A's ID */
    assert_int_equal(give_by_pipe(&c), TL_DIRECT_INTRO_FOREIGN);
    c = greeting(&ends[A], &ends[B].identity.id, nonce);
    c.addr = addr_of("10.0.0.9:4000"); /* somebody else's address */
    assert_int_equal(tl_control_sign(&c, &ends[A].identity), TL_OK);
    assert_int_equal(give_by_pipe(&c), TL_DIRECT_INTRO_FOREIGN);
    c = greeting(&ends[A], &ends[B].identity.id, nonce);
    c.sig[0] ^= 1;
    assert_int_equal(give_by_pipe(&c), TL_DIRECT_INTRO_FORGED);
    c = greeting(&ends[A], &ends[B].identity.id, other);
    assert_int_equal(give_by_pipe(&c), TL_DIRECT_INTRO_TAKEN);
}

static void one_address_is_answered_so_often(void **state)
{
    (void)state;
    unsigned taken = 0;
    ends[B].refuses = true; /* all are strangers */
    for (int i = 0; i < 40; i++) {
        tl_identity stranger;
        uint8_t nonce[TL_CONTROL_NONCE_SIZE] = {(uint8_t)i, 9};
        end e = ends[A];
        assert_int_equal(tl_identity_new(&ends[A].rand, &stranger), TL_OK);
        e.identity = stranger;
        tl_control c = greeting(&e, &ends[B].identity.id, nonce);
        c.timestamp = (uint64_t)env_wall(&ends[A]);
        assert_int_equal(tl_control_sign(&c, &stranger), TL_OK);
        taken += give_by_pipe(&c) == TL_DIRECT_INTRO_TAKEN;
    }
    assert_int_equal(taken, 8);
}

static void one_that_is_silent_is_greeted_so_often_and_no_more(void **state)
{
    (void)state;
    udp_blocked = true;
    want();
    run_for(30 * TL_SEC);
    assert_int_equal(ways(A, false) + ways(A, true), 0);
    assert_in_range(ends[A].greeted, TL_DIRECT_INTRODUCTIONS, 3 * TL_DIRECT_INTRODUCTIONS);
}

static void one_that_appears_while_it_is_wanted_is_reached(void **state)
{
    (void)state;
    ends[A].announced = false;
    want();
    run_for(TL_SEC);
    assert_int_equal(ways(A, false), 0);
    ends[A].announced = true;
    tl_direct_on_near(ends[A].direct, &ends[B].identity.id);
    run_for(200 * TL_MS);
    assert_int_equal(ways(A, false), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_neighbour_is_reached_by_udp_with_nobody_between),
        TEST(where_only_tcp_passes_the_pipe_is_the_way),
        TEST(both_stand_where_both_pass),
        TEST(a_pipe_that_comes_late_joins_what_stands),
        TEST(a_pipe_that_closes_takes_its_way_along_at_once),
        TEST(a_pipe_that_falls_silent_is_lost_as_soon_as_any_way),
        TEST(a_full_pipe_holds_its_way_and_no_other),
        TEST(a_link_local_address_is_reached_where_its_link_is_known),
        TEST(neighbours_need_no_welcome_and_others_do),
        TEST(a_clock_that_is_hours_off_is_forgiven_through_a_pipe_alone),
        TEST(a_greeting_that_was_recorded_does_nothing_when_a_later_one_came),
        TEST(a_greeting_for_another_or_from_elsewhere_is_dropped),
        TEST(one_address_is_answered_so_often),
        TEST(one_that_is_silent_is_greeted_so_often_and_no_more),
        TEST(one_that_appears_while_it_is_wanted_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
