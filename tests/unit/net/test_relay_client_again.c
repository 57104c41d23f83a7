/* A relay client: when it dials again, when it gives up a silent relay, and how it stops. */
#include "relay_client_scene.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* --- again --- */

static void the_pause_doubles_up_to_a_minute_and_is_anywhere_within(void **state)
{
    (void)state;
    tl_time least = TL_NEVER, most = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        end();
        begin(seed);
        start(1);
        for (unsigned n = 0; n < 12; n++) {
            closed("refused");
            assert_true(tl_relay_client_is_closed(client));
            tl_time whole = TL_RELAY_BACKOFF_MIN << n, pause = next_dial();
            assert_true(pause < tl_time_min(whole, TL_RELAY_BACKOFF_MAX));
            if (n >= 6) {
                least = tl_time_min(least, pause);
                most = tl_time_max(most, pause);
            }
        }
    }
    assert_true(least < TL_SEC && most > TL_RELAY_BACKOFF_MAX - TL_SEC);
}

static void several_relays_are_tried_in_order_and_then_there_is_a_pause(void **state)
{
    (void)state;
    start(3);
    tl_time pauses = 0;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 3; i++) {
            char authority[32];
            snprintf(authority, sizeof authority, "127.0.0.1:%u", 8001 + i);
            assert_string_equal(net.authority, authority);
            closed("refused");
            tl_time pause = next_dial();
            if (i < 2)
                assert_int_equal(pause, 0);
            else
                pauses += pause;
        }
    }
    assert_true(pauses > TL_SEC);
}

/* What bounds the next pause after the relay was away for long, and then for `held` not. */
static tl_time longest_pause_after(tl_time held, unsigned times)
{
    tl_time most = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        end();
        begin(seed);
        start(1);
        for (unsigned n = 0; n < 9; n++) {
            closed("refused");
            next_dial();
        }
        tl_time pause = 0;
        for (unsigned i = 0; i < times; i++) {
            welcome(); /* takes 30 ms */
            hold(held - 30 * TL_MS);
            closed("lost");
            pause = next_dial();
        }
        most = tl_time_max(most, pause);
    }
    return most;
}

static void each_second_that_a_connection_worked_takes_back_a_doubling(void **state)
{
    (void)state;
    /* after nine failures the pauses are at their longest: 60 s, as after six */
    assert_in_range(longest_pause_after(900 * TL_MS, 1), 32 * TL_SEC, 60 * TL_SEC);
    assert_in_range(longest_pause_after(2100 * TL_MS, 1), 8 * TL_SEC, 16 * TL_SEC);
    assert_in_range(longest_pause_after(6100 * TL_MS, 1), 0, TL_RELAY_BACKOFF_MIN - 1);
    /* killed eight times within a minute: it is there again within a second each time */
    assert_in_range(longest_pause_after(6100 * TL_MS, 8), 0, TL_RELAY_BACKOFF_MIN - 1);
    /* one that drops us after half a second is never dialled soon */
    assert_in_range(longest_pause_after(500 * TL_MS, 8), 32 * TL_SEC, 60 * TL_SEC);
}

static void after_a_steady_minute_the_first_relay_is_tried_first(void **state)
{
    (void)state;
    for (int steady = 0; steady < 2; steady++) {
        end();
        begin(7);
        start(2);
        for (unsigned n = 0; n < 8; n++) { /* the first is being tried */
            closed("refused");
            next_dial();
        }
        assert_string_equal(net.authority, "127.0.0.1:8001");
        welcome();
        tl_time held = 30 * TL_MS; /* since the welcome began */
        hold(TL_RELAY_STEADY_AFTER - held - !steady);
        closed("lost");
        assert_string_equal(tl_relay_client_error(client), "lost");
        assert_true(next_dial() < TL_RELAY_BACKOFF_MIN);
        assert_string_equal(net.authority, steady ? "127.0.0.1:8001" : "127.0.0.1:8002");
    }
}

static char warned[256];

static void on_log(void *user, tl_log_level level, const char *line)
{
    (void)user;
    if (level == TL_LOG_WARN)
        snprintf(warned, sizeof warned, "%s", line);
}

static void the_log_names_the_relay_that_was_lost(void **state)
{
    (void)state;
    start(2);
    closed("refused");
    next_dial();
    welcome();
    tl_log_set_sink(on_log, NULL);
    closed("reset");
    tl_log_set_sink(NULL, NULL);
    assert_non_null(strstr(warned, "lost ws://127.0.0.1:8002/ws: reset"));
}

static void only_what_is_new_is_told(void **state)
{
    (void)state;
    start(1);
    assert_int_equal(states, 1);
    closed("refused");
    assert_int_equal(states, 2); /* another error */
    next_dial();
    closed("refused");
    assert_int_equal(states, 2);
    next_dial();
    closed("reset");
    assert_int_equal(states, 3);
}

static void without_memory_for_a_connection_it_is_tried_again(void **state)
{
    (void)state;
    net.no_memory = true;
    start(1);
    assert_string_equal(tl_relay_client_error(client), "out of memory");
    net.no_memory = false;
    next_dial();
    welcome();
}

static void hurry_dials_before_the_pause_is_over_but_not_twice_in_a_second(void **state)
{
    (void)state;
    start(1);
    for (unsigned n = 0; n < 8; n++) {
        closed("refused");
        next_dial();
    }
    closed("refused");
    tl_time last = net.dialled_at;
    assert_true(next_timer()->at > last + 2 * TL_RELAY_BACKOFF_MIN);
    tl_relay_client_hurry(client);
    assert_int_equal(next_dial(), TL_RELAY_BACKOFF_MIN);
    closed("refused");
    run_for(TL_RELAY_BACKOFF_MIN + 1); /* long enough ago: now */
    unsigned dials = net.dials;
    tl_relay_client_hurry(client);
    run_for(0);
    assert_true(net.dials == dials + 1 || net.dialled_at > last + TL_RELAY_BACKOFF_MIN);
    welcome();
    tl_relay_client_hurry(client); /* connected: nothing to do */
    run_for(TL_SEC);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
}

/* --- ping --- */

static void the_round_trip_is_measured_at_once_and_every_25_seconds(void **state)
{
    (void)state;
    start(1);
    welcome();
    assert_int_equal(net.pings, 1);
    assert_int_equal(tl_relay_client_rtt(client), 30 * TL_MS);
    run_for(TL_RELAY_PING_EVERY - 1);
    assert_int_equal(net.pings, 1);
    run_for(1);
    assert_int_equal(net.pings, 2);
    run_for(50 * TL_MS);
    pong();
    assert_int_equal(tl_relay_client_rtt(client), 50 * TL_MS);
}

static void a_relay_that_forgets_sooner_hears_from_us_sooner(void **state)
{
    (void)state;
    start(1);
    opened();
    challenge();
    ack(20);
    run_for(0);
    pong();
    run_for(10 * TL_SEC - 1);
    assert_int_equal(net.pings, 1);
    run_for(1);
    assert_int_equal(net.pings, 2);
    ack(60); /* its half is more than what we do anyway */
    pong();
    run_for(TL_RELAY_PING_EVERY - 1);
    assert_int_equal(net.pings, 2);
    run_for(1);
    assert_int_equal(net.pings, 3);
}

static void a_relay_silent_for_ten_seconds_is_dialled_anew(void **state)
{
    (void)state;
    start(1);
    welcome();
    run_for(TL_RELAY_PING_EVERY + TL_RELAY_PONG_WITHIN - 1);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    run_for(1);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    assert_string_equal(tl_relay_client_error(client), "silent for 10 s");
    assert_int_equal(tl_relay_client_rtt(client), 0);
    assert_int_equal(net.freed, 1);
    next_dial();
    welcome();
    hold(5 * TL_MIN);
    assert_int_equal(net.dials, 2);
}

static void a_connection_that_takes_no_ping_is_left(void **state)
{
    (void)state;
    start(1);
    welcome();
    net.stuck = true;
    run_for(TL_RELAY_PING_EVERY);
    assert_string_equal(tl_relay_client_error(client), "the connection to the relay is stuck");
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
}

static void a_doubted_relay_must_answer_soon_or_is_dialled_at_once(void **state)
{
    (void)state;
    start(1);
    welcome();
    tl_time within = TL_RELAY_DOUBT_WITHIN + 2 * tl_relay_client_rtt(client);
    run_for(TL_SEC);
    tl_relay_client_doubt(client);
    assert_int_equal(net.pings, 2);
    run_for(within - 1);
    pong(); /* in time */
    run_for(TL_SEC);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    within = TL_RELAY_DOUBT_WITHIN + 2 * tl_relay_client_rtt(client);
    tl_relay_client_doubt(client);
    run_for(within / 2);
    tl_relay_client_doubt(client); /* puts nothing off */
    run_for(within - within / 2 - 1);
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTED);
    run_for(1);
    assert_int_equal(net.dials, 2);
    assert_string_equal(tl_relay_client_error(client), "the network changed");
}

static void a_doubted_connection_that_ends_is_dialled_at_once(void **state)
{
    (void)state;
    start(1);
    for (unsigned n = 0; n < 8; n++) {
        closed("refused");
        next_dial();
    }
    welcome();
    tl_relay_client_doubt(client);
    closed("reset");
    assert_int_equal(next_dial(), 0);
    welcome();
    closed("reset"); /* its twin, not doubted, pauses */
    assert_true(next_dial() > 0);
}

/* --- replaced --- */

static void replaced(void)
{
    hear("{\"error\":{\"code\":\"replaced\",\"message\":\"m\"}}");
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_OFF);
    closed("replaced");
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_OFF);
}

static void who_is_replaced_stays_away_longer_each_time(void **state)
{
    (void)state;
    start(1);
    for (unsigned n = 0; n < 10; n++) {
        welcome();
        replaced();
        assert_non_null(strstr(tl_relay_client_error(client), "another process"));
        tl_relay_client_hurry(client); /* whatever is asked */
        tl_relay_client_doubt(client);
        tl_time whole = tl_time_min(TL_RELAY_AWAY_MIN << n, TL_RELAY_AWAY_MAX);
        tl_time pause = next_dial();
        assert_true(pause >= whole / 2 && pause < whole);
        assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    }
    closed("refused"); /* that is a failure as any other */
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_CONNECTING);
    assert_true(next_dial() < 2 * TL_RELAY_BACKOFF_MIN);
    welcome();
    hold(TL_RELAY_AWAY_MAX - 30 * TL_MS); /* that was a good one */
    replaced();
    assert_true(next_dial() < TL_RELAY_AWAY_MIN);
}

static void the_absence_is_anywhere_between_its_half_and_its_whole(void **state)
{
    (void)state;
    tl_time least = TL_NEVER, most = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        end();
        begin(seed);
        start(1);
        welcome();
        replaced();
        tl_time pause = next_dial();
        least = tl_time_min(least, pause);
        most = tl_time_max(most, pause);
    }
    assert_in_range(least, TL_RELAY_AWAY_MIN / 2, TL_RELAY_AWAY_MIN * 55 / 100);
    assert_in_range(most, TL_RELAY_AWAY_MIN * 95 / 100, TL_RELAY_AWAY_MIN);
}

static void who_is_replaced_may_be_started_again(void **state)
{
    (void)state;
    start(1);
    welcome();
    replaced();
    assert_int_equal(try_start(NULL), TL_OK);
    run_for(0);
    assert_int_equal(net.dials, 2);
    welcome();
}

/* --- stopping --- */

static void a_stopped_client_closes_in_order_and_dials_no_more(void **state)
{
    (void)state;
    start(1);
    welcome();
    tl_relay_client_stop(client, "the node stops");
    assert_int_equal(net.closes, 1);
    assert_int_equal(net.code, TL_WS_GOING_AWAY);
    assert_string_equal(net.reason, "the node stops");
    assert_int_equal(tl_relay_client_state(client), TL_RELAY_OFF);
    assert_false(tl_relay_client_is_closed(client));
    unsigned before = states;
    closed("done");
    assert_true(tl_relay_client_is_closed(client));
    assert_int_equal(states, before + 1);
    tl_relay_client_hurry(client);
    run_for(60 * TL_MIN);
    assert_int_equal(net.dials, 1);
}

static void fullness_is_the_connections(void **state)
{
    (void)state;
    assert_false(tl_relay_client_is_full(client));
    start(1);
    welcome();
    assert_false(tl_relay_client_is_full(client));
    net.full = true;
    assert_true(tl_relay_client_is_full(client));
    net.ws->events->on_writable(net.ws->user);
    assert_int_equal(writable, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_pause_doubles_up_to_a_minute_and_is_anywhere_within),
        T(several_relays_are_tried_in_order_and_then_there_is_a_pause),
        T(each_second_that_a_connection_worked_takes_back_a_doubling),
        T(after_a_steady_minute_the_first_relay_is_tried_first),
        T(the_log_names_the_relay_that_was_lost),
        T(only_what_is_new_is_told),
        T(without_memory_for_a_connection_it_is_tried_again),
        T(hurry_dials_before_the_pause_is_over_but_not_twice_in_a_second),
        T(the_round_trip_is_measured_at_once_and_every_25_seconds),
        T(a_relay_that_forgets_sooner_hears_from_us_sooner),
        T(a_relay_silent_for_ten_seconds_is_dialled_anew),
        T(a_connection_that_takes_no_ping_is_left),
        T(a_doubted_relay_must_answer_soon_or_is_dialled_at_once),
        T(a_doubted_connection_that_ends_is_dialled_at_once),
        T(who_is_replaced_stays_away_longer_each_time),
        T(the_absence_is_anywhere_between_its_half_and_its_whole),
        T(who_is_replaced_may_be_started_again),
        T(a_stopped_client_closes_in_order_and_dials_no_more),
        T(fullness_is_the_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
