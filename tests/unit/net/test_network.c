#include "io/udp.h"
#include "net/network.h"
#include "ownnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SERVERS 3

typedef struct scene scene;

/* A STUN server on a loopback address of its own, in the same loop. */
typedef struct {
    scene *scene;
    tl_udp *udp;
    tl_poll *poll;
    char name[TL_ADDR_TEXT_MAX];
    unsigned asked; /* questions, however often each came */
    tl_stun_id last;
} stun_server;

struct scene {
    tl_loop *loop;
    tl_rand rand;
    tl_network *network;
    stun_server servers[SERVERS];
    size_t n_servers;
    uint16_t port_shift; /* what the servers add to the port they see */
    bool mute;
    tl_timer deadline;
    bool late;
    unsigned stuns, trains, changes, moves, looks, stopped, wait_changes, wait_moves;
    bool inside;
};

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    scene *s = user;
    (void)sock, (void)from, (void)datagram, (void)stun;
    s->stuns++;
    tl_loop_stop(s->loop);
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    scene *s = user;
    (void)sock, (void)from, (void)data, (void)n, (void)segment;
    s->trains++;
    tl_loop_stop(s->loop);
}

static void on_change(void *user, unsigned why)
{
    scene *s = user;
    s->changes++;
    s->moves += why != 0;
    if (s->changes >= s->wait_changes && s->moves >= s->wait_moves)
        tl_loop_stop(s->loop);
}

static void on_look(void *user)
{
    scene *s = user;
    assert_false(s->inside);
    s->looks++;
    tl_loop_stop(s->loop);
}

static void on_stopped(void *user)
{
    scene *s = user;
    assert_false(s->inside);
    s->stopped++;
    tl_loop_stop(s->loop);
}

static void on_deadline(void *user)
{
    scene *s = user;
    s->late = true;
    tl_loop_stop(s->loop);
}

static void serve(void *user, int events)
{
    stun_server *server = user;
    scene *s = server->scene;
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n;
    (void)events;
    if (tl_udp_receive(server->udp, trains, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        tl_stun q;
        tl_stun_writer w;
        if (tl_stun_read(tl_slice_of(trains[i].data, trains[i].n), &q))
            continue;
        server->asked += memcmp(&q.id, &server->last, sizeof q.id) != 0;
        server->last = q.id;
        tl_addr seen = trains[i].from;
        seen.port = (uint16_t)(seen.port + s->port_shift);
        tl_stun_begin(&w, TL_STUN_SUCCESS, &q.id);
        tl_stun_put_xor_mapped(&w, &seen);
        tl_stun_finish(&w);
        if (!s->mute)
            assert_int_equal(tl_udp_send(server->udp, &trains[i].from, w.bytes, w.n, w.n), TL_OK);
    }
}

static void add_server(scene *s)
{
    tl_why why;
    stun_server *server = &s->servers[s->n_servers++];
    tl_addr at = {.family = TL_ADDR_V4, .bytes = {127, 0, 0, (uint8_t)s->n_servers}};
    server->scene = s;
    assert_int_equal(tl_udp_open(&at, 1 << 16, &server->udp, &why), TL_OK);
    at = tl_udp_local(server->udp);
    tl_addr_write(server->name, &at);
    assert_int_equal(tl_poll_new(s->loop, tl_udp_fd(server->udp), serve, server, &server->poll),
                     TL_OK);
    tl_poll_set(server->poll, TL_POLL_READ);
}

static void setup(scene *s, size_t n_servers)
{
    memset(s, 0, sizeof *s);
    s->rand = tl_rand_system();
    assert_int_equal(tl_loop_new(&s->loop), TL_OK);
    tl_timer_init(&s->deadline, s->loop, on_deadline, s);
    for (size_t i = 0; i < n_servers; i++)
        add_server(s);
}

static void start(scene *s, size_t n_names, const char *const *names)
{
    static const tl_network_events events = {
        .on_stun = on_stun, .on_train = on_train, .on_change = on_change};
    tl_network_config c = {.stun_servers = names, .n_stun_servers = n_names};
    tl_why why = {""};
    assert_int_equal(tl_network_new(s->loop, &s->rand, &c, &events, s, &s->network, &why), TL_OK);
}

static void start_all(scene *s)
{
    const char *names[SERVERS];
    for (size_t i = 0; i < s->n_servers; i++)
        names[i] = s->servers[i].name;
    start(s, s->n_servers, names);
}

static void teardown(scene *s)
{
    tl_timer_stop(&s->deadline);
    tl_network_free(s->network);
    for (size_t i = 0; i < s->n_servers; i++) {
        tl_poll_free(s->servers[i].poll);
        tl_udp_close(s->servers[i].udp);
    }
    tl_loop_free(s->loop);
}

static void run(scene *s)
{
    tl_timer_set(&s->deadline, tl_loop_clock(s->loop) + 15 * TL_SEC);
    tl_loop_run(s->loop);
    assert_false(s->late);
}

static void look(scene *s)
{
    tl_network_look l = {.on_done = on_look, .user = s};
    unsigned before = s->looks;
    s->inside = true;
    tl_network_look_start(s->network, &l);
    s->inside = false;
    while (s->looks == before)
        run(s);
    assert_null(l.network);
}

static void run_until_changes(scene *s, unsigned changes, unsigned moves)
{
    s->wait_changes = changes;
    s->wait_moves = moves;
    while (s->changes < changes || s->moves < moves)
        run(s);
}

static void the_public_address_and_the_nat_are_found_from_the_very_socket(void **state)
{
    (void)state;
    scene s;
    setup(&s, 2);
    start_all(&s);
    assert_true(tl_network_sock4(s.network) != 0);
    assert_int_equal(tl_nat_type_of(tl_network_facts(s.network)), TL_NAT_UNKNOWN);
    run_until_changes(&s, 1, 0);
    const tl_nat_facts *f = tl_network_facts(s.network);
    assert_int_equal(tl_nat_type_of(f), TL_NAT_FULL_CONE); /* our own address, seen as it is */
    assert_int_equal(f->mapping, TL_MAPPING_NONE);
    assert_int_equal(f->public4.port, tl_network_port(s.network));
    assert_true(tl_addr_is_loopback(&f->public4));
    assert_int_equal(s.moves, 0);
    tl_candidate c[TL_CANDIDATES_MAX];
    size_t n = tl_network_candidates(s.network, c);
    for (size_t i = 0; i < n; i++)
        assert_false(tl_addr_is_loopback(&c[i].addr));
    look(&s);
    tl_stun_report r[TL_STUN_SERVERS_MAX];
    assert_int_equal(tl_network_stun_reports(s.network, r), 2);
    assert_string_equal(r[0].server.name, s.servers[0].name);
    assert_true(r[0].answered && r[1].answered);
    teardown(&s);
}

static void strangers_stun_and_quic_are_handed_on(void **state)
{
    (void)state;
    scene s;
    setup(&s, 1);
    start_all(&s);
    look(&s);
    tl_stun_writer w;
    tl_stun_id id = {{9}};
    tl_addr to = {
        .family = TL_ADDR_V4, .port = tl_network_port(s.network), .bytes = {127, 0, 0, 1}};
    uint8_t quic[30];
    memset(quic, 0x45, sizeof quic);
    for (tl_stun_class class = TL_STUN_REQUEST; class <= TL_STUN_ERROR; class ++) {
        tl_stun_begin(&w, class, &id);
        tl_stun_finish(&w);
        assert_int_equal(tl_udp_send(s.servers[0].udp, &to, w.bytes, w.n, w.n), TL_OK);
    }
    assert_int_equal(tl_udp_send(s.servers[0].udp, &to, quic, sizeof quic, sizeof quic), TL_OK);
    while (s.trains == 0)
        run(&s);
    assert_int_equal(s.stuns, 4);
    const tl_network_counters *c = tl_network_counters_of(s.network);
    assert_true(c->datagrams_in >= 6 && c->datagrams_out >= 1);
    teardown(&s);
}

static void a_look_asks_every_server_anew_and_ends_once(void **state)
{
    (void)state;
    scene s;
    setup(&s, 3);
    start_all(&s);
    look(&s);
    unsigned before = s.servers[2].asked;
    tl_network_look a = {.on_done = on_look, .user = &s}, b = a, dropped = a;
    tl_network_look_start(s.network, &a);
    tl_network_look_start(s.network, &dropped);
    tl_network_look_start(s.network, &b);
    tl_network_unlook(&dropped);
    tl_network_unlook(&dropped); /* once more does nothing */
    while (s.looks < 3)
        run(&s);
    assert_int_equal(s.looks, 3);
    assert_int_equal(s.servers[2].asked, before + 1); /* one round for both */
    assert_null(dropped.network);
    teardown(&s);
}

static void a_suspicion_finds_that_the_public_address_moved(void **state)
{
    (void)state;
    scene s;
    setup(&s, 2);
    start_all(&s);
    look(&s);
    uint64_t before = tl_network_counters_of(s.network)->changes;
    s.port_shift = 1;
    tl_time first = tl_loop_clock(s.loop);
    tl_network_suspect(s.network);
    run_until_changes(&s, 1, 1);
    assert_int_equal(tl_network_facts(s.network)->public4.port, tl_network_port(s.network) + 1);
    assert_int_equal(tl_network_counters_of(s.network)->changes, before + 1);
    look(&s); /* joins the round that the suspicion began */
    unsigned asked = s.servers[0].asked + s.servers[1].asked;
    tl_network_suspect(s.network); /* within a second of the first: nothing */
    bool within = tl_loop_clock(s.loop) < first + TL_SEC; /* on a machine that is not asleep */
    look(&s);
    if (within)
        assert_int_equal(s.servers[0].asked + s.servers[1].asked, asked + 2);
    teardown(&s);
}

static void the_relays_server_is_asked_as_soon_as_it_is_known(void **state)
{
    (void)state;
    scene s;
    setup(&s, 1);
    start(&s, 0, NULL);
    look(&s);
    assert_int_equal(tl_network_facts(s.network)->asked, 0);
    assert_false(tl_network_facts(s.network)->udp_blocked);
    tl_network_set_relay_udp(s.network, 0, s.servers[0].name, true);
    tl_network_set_relay_udp(s.network, 0, s.servers[0].name, true);
    run_until_changes(&s, 1, 0);
    assert_int_equal(tl_network_facts(s.network)->mapping, TL_MAPPING_NONE);
    tl_network_set_relay_udp(s.network, 0, "", true);
    run_until_changes(&s, 2, 0);
    assert_int_equal(tl_network_facts(s.network)->mapping, TL_MAPPING_UNKNOWN);
    tl_network_set_relay_udp(s.network, 0, "not a server", true); /* logged, no more */
    look(&s);
    assert_int_equal(tl_network_facts(s.network)->asked, 0);
    teardown(&s);
}

static void the_second_relays_name_is_looked_up_and_not_asked(void **state)
{
    (void)state;
    scene s;
    tl_addr addrs[2];
    setup(&s, 1);
    start(&s, 0, NULL);
    tl_network_set_relay_udp(s.network, 0, s.servers[0].name, true);
    tl_network_set_relay_udp(s.network, 1, "localhost:4242", true);
    look(&s);
    assert_int_equal(tl_network_facts(s.network)->asked, 1);
    assert_true(tl_network_relay_addrs(s.network, "localhost:4242", addrs) > 0);
    assert_int_equal(addrs[0].port, 4242);
    assert_int_equal(tl_network_relay_addrs(s.network, "localhost:4243", addrs), 0);
    teardown(&s);
}

/* The first relay is on this machine, the second is not. */
static void a_relay_elsewhere_does_not_lead_us_to_our_own_addresses(void **state)
{
    (void)state;
    scene s;
    tl_addr addrs[2];
    setup(&s, 1);
    start(&s, 0, NULL);
    tl_network_set_relay_udp(s.network, 0, s.servers[0].name, true);
    tl_network_set_relay_udp(s.network, 1, "127.0.0.9:4242", false);
    assert_int_equal(tl_network_relay_addrs(s.network, s.servers[0].name, addrs), 1);
    assert_int_equal(tl_network_relay_addrs(s.network, "127.0.0.9:4242", addrs), 0);
    assert_int_equal(tl_network_relay_addrs(s.network, "127.0.0.8:4242", addrs), 0);
    tl_network_set_relay_udp(s.network, 1, "127.0.0.9:4242", true);
    assert_int_equal(tl_network_relay_addrs(s.network, "127.0.0.9:4242", addrs), 1);
    tl_network_set_relay_udp(s.network, 1, "localhost:4242", false);
    look(&s);
    assert_int_equal(tl_network_relay_addrs(s.network, "localhost:4242", addrs), 0);
    teardown(&s);
}

static void names_that_mean_nothing_stop_nobody(void **state)
{
    (void)state;
    scene s;
    setup(&s, 1);
    const char *names[] = {"",     "a b:3478",        "127.0.0.1:0",
                           "[::1", s.servers[0].name, s.servers[0].name};
    start(&s, 6, names);
    look(&s);
    tl_stun_report r[TL_STUN_SERVERS_MAX];
    assert_int_equal(tl_network_stun_reports(s.network, r), 1); /* the same twice is one */
    assert_true(r[0].answered);
    teardown(&s);
}

static void a_name_without_an_address_is_told_with_its_cause(void **state)
{
    (void)state;
    scene s;
    tl_stun_unnamed unnamed[TL_STUN_UNNAMED_MAX];
    setup(&s, 1);
    const char *names[] = {"stun.invalid:3478", s.servers[0].name};
    start(&s, 2, names);
    assert_int_equal(tl_network_stun_unnamed(s.network, unnamed), 2); /* both are looked up */
    assert_null(unnamed[0].why);
    look(&s);
    assert_int_equal(tl_network_stun_unnamed(s.network, unnamed), 1);
    assert_string_equal(unnamed[0].name, "stun.invalid:3478");
    assert_non_null(strstr(unnamed[0].why, "stun.invalid"));
    teardown(&s);
}

static void stopping_is_told_once(void **state)
{
    (void)state;
    scene s;
    setup(&s, 1);
    start_all(&s);
    s.inside = true;
    tl_network_stop(s.network, on_stopped, &s);
    s.inside = false;
    while (!s.stopped)
        run(&s);
    assert_int_equal(s.stopped, 1);
    assert_null(tl_network_mapped_by(s.network));
    assert_non_null(tl_network_mapping_error(s.network));
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_address_and_the_nat_are_found_from_the_very_socket),
        cmocka_unit_test(strangers_stun_and_quic_are_handed_on),
        cmocka_unit_test(a_look_asks_every_server_anew_and_ends_once),
        cmocka_unit_test(a_suspicion_finds_that_the_public_address_moved),
        cmocka_unit_test(the_relays_server_is_asked_as_soon_as_it_is_known),
        cmocka_unit_test(the_second_relays_name_is_looked_up_and_not_asked),
        cmocka_unit_test(a_relay_elsewhere_does_not_lead_us_to_our_own_addresses),
        cmocka_unit_test(names_that_mean_nothing_stop_nobody),
        cmocka_unit_test(a_name_without_an_address_is_told_with_its_cause),
        cmocka_unit_test(stopping_is_told_once),
    };
    /* Interfaces that others make and take away meanwhile would count as changes of ours. */
    bool own = own_network();
    if (own && !own_loopback())
        return 1;
    if (!own)
        print_message("no network of its own here: a change of this machine's would disturb\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
