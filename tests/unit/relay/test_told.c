/* Connections that a trusted proxy passes on count at their client's address, as soon as it is told. */
#include "harness.h"

#include <string.h>

static tl_addr ip(const char *text)
{
    tl_addr a;
    assert_int_equal(tl_addr_parse_ip(tl_slice_str(text), &a), TL_OK);
    return a;
}

static int user;

static tl_relay_conn *from_proxy(world *w, const char *proxy)
{
    tl_addr remote = ip(proxy);
    tl_relay_conn *c;
    assert_int_equal(tl_relay_accept_untold(w->relay, &remote, &w->local, true, &user, w->now, &c),
                     TL_OK);
    return c;
}

static tl_err tell(world *w, tl_relay_conn *c, const char *client)
{
    tl_addr a = ip(client);
    return tl_relay_on_told(w->relay, c, &a, w->now);
}

static const tl_relay_counters *counters(const world *w)
{
    return tl_relay_counters_of(w->relay);
}

static void shown(const tl_relay_conn *c, const char *text)
{
    char is[TL_ADDR_TEXT_MAX];
    tl_addr a = tl_relay_conn_remote(c);
    tl_addr_write_ip(is, &a);
    assert_string_equal(is, text);
}

#define MANY 300

static void end_all(world *w, tl_relay_conn **conns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tl_relay_on_gone(w->relay, conns[i], w->now);
    assert_int_equal(counters(w)->conns_open, 0);
    assert_int_equal(counters(w)->memory_bytes, 0);
    world_clear(w);
}

static void a_proxy_may_have_more_connections_than_one_address(void **state)
{
    (void)state;
    world w;
    tl_relay_conn *conns[MANY];
    world_init(&w, NULL);
    for (size_t i = 0; i < MANY; i++)
        conns[i] = from_proxy(&w, "10.0.0.1");
    shown(conns[0], "10.0.0.1");
    assert_int_equal(counters(&w)->conns_refused, 0);
    end_all(&w, conns, MANY);
}

static void each_client_behind_it_has_the_limit_of_an_address_and_no_other_pays_for_it(void **state)
{
    (void)state;
    world w;
    tl_relay_conn *conns[MANY];
    size_t n = 0;
    world_init(&w, NULL);
    uint32_t most = w.config.unregistered_per_address_max;
    for (; n < most; n++) {
        conns[n] = from_proxy(&w, "10.0.0.1");
        assert_int_equal(tell(&w, conns[n], "192.0.2.7"), TL_OK);
        shown(conns[n], "192.0.2.7");
    }
    conns[n] = from_proxy(&w, "10.0.0.1");
    assert_int_equal(tell(&w, conns[n], "192.0.2.7"), TL_ERR_BUSY);
    assert_int_equal(counters(&w)->conns_refused, 1);
    shown(conns[n], "10.0.0.1");
    assert_int_equal(tell(&w, conns[n++], "::ffff:192.0.2.8"), TL_OK); /* the twin */
    shown(conns[n - 1], "192.0.2.8");
    conns[n] = from_proxy(&w, "10.0.0.1");
    assert_int_equal(tell(&w, conns[n++], "2001:db8::7"), TL_OK);
    /* Who comes without a proxy shares the limit with who comes through it. */
    tl_addr direct = ip("192.0.2.7");
    tl_relay_conn *none;
    assert_int_equal(tl_relay_accept(w.relay, &direct, &w.local, true, &user, w.now, &none),
                     TL_ERR_BUSY);
    tl_relay_on_gone(w.relay, conns[0], w.now);
    assert_int_equal(tl_relay_accept(w.relay, &direct, &w.local, true, &user, w.now, &conns[0]),
                     TL_OK);
    end_all(&w, conns, n);
}

static void a_connection_of_the_proxy_itself_has_the_limit_of_the_proxys_address(void **state)
{
    (void)state;
    world w;
    tl_relay_conn *conns[MANY];
    size_t n = 0;
    world_init(&w, NULL);
    for (; n < w.config.unregistered_per_address_max; n++) {
        conns[n] = from_proxy(&w, "10.0.0.1");
        assert_int_equal(tell(&w, conns[n], "10.0.0.1"), TL_OK);
    }
    conns[n] = from_proxy(&w, "10.0.0.1"); /* those that are not told yet have room */
    assert_int_equal(tell(&w, conns[n], "10.0.0.1"), TL_ERR_BUSY);
    assert_int_equal(tell(&w, conns[n++], "192.0.2.7"), TL_OK);
    end_all(&w, conns, n);
}

static void tls_handshakes_are_work_of_the_client_and_not_of_the_proxy(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    size_t of_one = 0;
    tl_relay_conn *c;
    for (;; of_one++) { /* one after the other: connections alone meet no limit */
        c = from_proxy(&w, "10.0.0.1");
        if (tell(&w, c, "192.0.2.7"))
            break;
        tl_relay_on_gone(w.relay, c, w.now);
        assert_in_range(of_one, 0, 20000);
    }
    assert_in_range(of_one, 1000, 20000); /* two seconds' work, and some */
    assert_int_equal(tell(&w, c, "192.0.2.8"), TL_OK);
    tl_relay_on_gone(w.relay, c, w.now);
    world_clear(&w);
}

static void memory_goes_with_the_connection(void **state)
{
    (void)state;
    world w;
    tl_relay_config config = tl_relay_config_default();
    config.memory_max = 64u << 20; /* so one address may have 16 MiB */
    world_init(&w, &config);
    tl_relay_conn *a = from_proxy(&w, "10.0.0.1"), *b = from_proxy(&w, "10.0.0.1");
    assert_int_equal(tell(&w, a, "192.0.2.7"), TL_OK);
    assert_int_equal(tell(&w, b, "192.0.2.8"), TL_OK);
    uint64_t before = counters(&w)->memory_bytes;
    tl_relay_on_held(w.relay, a, 15u << 20, w.now);
    tl_relay_on_held(w.relay, b, 15u << 20, w.now);
    assert_int_equal(counters(&w)->cut_budget, 0); /* of one address it would be too much */
    assert_int_equal(counters(&w)->memory_bytes, before + (30u << 20));
    tl_relay_conn *c = from_proxy(&w, "10.0.0.1");
    tl_relay_on_held(w.relay, c, 2u << 20, w.now);
    assert_int_equal(counters(&w)->cut_budget, 0);
    assert_int_equal(tell(&w, c, "192.0.2.7"), TL_OK); /* there it does not fit beside the first */
    assert_int_equal(counters(&w)->cut_budget, 1);
    tl_relay_conn *all[] = {a, b, c};
    end_all(&w, all, 3);
}

static void who_never_tells_is_ended_as_who_never_upgrades(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    tl_relay_conn *c = from_proxy(&w, "10.0.0.1");
    tl_relay_output out;
    tl_relay_on_timer(w.relay, w.now += w.config.upgrade_within - TL_MS);
    assert_false(tl_relay_next_output(w.relay, &out));
    tl_relay_on_timer(w.relay, w.now += TL_MS);
    assert_true(tl_relay_next_output(w.relay, &out));
    assert_int_equal(out.kind, TL_RELAY_CUT);
    assert_int_equal(tell(&w, c, "192.0.2.7"), TL_OK); /* too late, and no harm */
    assert_int_equal(counters(&w)->expired_upgrade, 1);
    end_all(&w, &c, 1);
}

static void every_telling_has_its_counter(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    for (int told = 0; told < TL_RELAY_TOLDS; told++)
        for (int i = 0; i <= told; i++)
            tl_relay_count_told(w.relay, (tl_relay_told)told);
    for (int told = 0; told < TL_RELAY_TOLDS; told++)
        assert_int_equal(counters(&w)->told[told], told + 1);
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_may_have_more_connections_than_one_address),
        cmocka_unit_test(
            each_client_behind_it_has_the_limit_of_an_address_and_no_other_pays_for_it),
        cmocka_unit_test(a_connection_of_the_proxy_itself_has_the_limit_of_the_proxys_address),
        cmocka_unit_test(tls_handshakes_are_work_of_the_client_and_not_of_the_proxy),
        cmocka_unit_test(memory_goes_with_the_connection),
        cmocka_unit_test(who_never_tells_is_ended_as_who_never_upgrades),
        cmocka_unit_test(every_telling_has_its_counter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
