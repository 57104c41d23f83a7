/* What the operator reads, of counters and of a relay with two nodes. */
#include "relayd/report.h"

#include "../relay/harness.h"
#include "base/json.h"
#include "wire/signal.h"

#include <stdio.h>
#include <string.h>

/* The text after one more line end, so that a line is looked for with both its ends. */
static const char *metrics_with(const tl_relay_counters *relay, const tl_tokens_counters *datagrams,
                                const tl_stun_counters *stun, tl_buf *out)
{
    assert_int_equal(tl_buf_append_str(out, "\n"), TL_OK);
    assert_int_equal(tl_relayd_write_metrics(relay, datagrams, stun, out), TL_OK);
    assert_int_equal(tl_buf_append(out, tl_slice_of("", 1)), TL_OK);
    return (const char *)tl_buf_begin(out);
}

static const char *metrics_of(const tl_relay_counters *relay, const tl_stun_counters *stun,
                              tl_buf *out)
{
    static const tl_tokens_counters none;
    return metrics_with(relay, &none, stun, out);
}

static void has_lines(const char *text, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char line[160];
        snprintf(line, sizeof line, "\n%s\n", lines[i]);
        if (!strstr(text, line))
            fail_msg("no '%s' in %s", lines[i], text);
    }
}

static const char *const counter_lines[] = {
    "teale_relay_connections 1",
    "teale_relay_nodes 2",
    "teale_relay_sessions_active 3",
    "tesseras_relay_sessions_active 3",
    "teale_relay_sessions_opening 4",
    "teale_relay_queue_bytes 5",
    "teale_relay_connections_total 6",
    "teale_relay_connections_refused_total 7",
    "teale_relay_registrations_total 8",
    "teale_relay_connections_ended_total{reason=\"unregistered\"} 9",
    "teale_relay_registrations_refused_total{reason=\"invalid\"} 28",
    "teale_relay_registrations_refused_total{reason=\"proof\"} 29",
    "teale_relay_registrations_refused_total{reason=\"identity\"} 30",
    "teale_relay_registrations_refused_total{reason=\"rate\"} 31",
    "teale_relay_registrations_refused_total{reason=\"memory\"} 32",
    "teale_relay_replaced_total 10",
    "teale_relay_messages_received_total 11",
    "teale_relay_messages_forwarded_total 12",
    "teale_relay_forwarded_bytes_total 13",
    "tesseras_relay_bytes_forwarded 13",
    "teale_relay_sessions_total 14",
    "teale_relay_sessions_ended_total{reason=\"busy\"} 15",
    "teale_relay_sessions_ended_total{reason=\"unanswered\"} 16",
    "teale_relay_presence_events_total 17",
    "teale_relay_presence_lost_total 18",
    "teale_relay_presence_withdrawn_total 33",
    "teale_relay_presence_summed_total 34",
    "teale_relay_presence_summed_total 34",
    "teale_relay_pauses_total 19",
    "teale_relay_sessions_ended_total{reason=\"idle\"} 101",
    "teale_relay_sessions_ended_total{reason=\"session_max\"} 102",
    "teale_relay_limit_waits_total 103",
    "teale_relay_connections_ended_total{reason=\"stalled\"} 20",
    "teale_relay_connections_ended_total{reason=\"overflow\"} 21",
    "teale_relay_connections_ended_total{reason=\"upgrade_timeout\"} 22",
    "teale_relay_connections_ended_total{reason=\"register_timeout\"} 23",
    "teale_relay_connections_ended_total{reason=\"ttl\"} 24",
    "teale_relay_connections_ended_total{reason=\"memory\"} 25",
    "teale_relay_protocol_errors_total 26",
    "teale_relay_errors_total{code=\"forbidden\"} 27",
    "teale_relay_errors_total{code=\"unauthorized\"} 0",
};

static void every_counter_of_the_relay_has_its_line(void **state)
{
    (void)state;
    tl_relay_counters c = {.conns_open = 1,
                           .nodes_registered = 2,
                           .sessions_active = 3,
                           .sessions_opening = 4,
                           .queue_bytes = 5,
                           .conns_accepted = 6,
                           .conns_refused = 7,
                           .registrations = 8,
                           .registrations_refused = {28, 29, 30, 31, 32},
                           .cut_unregistered = 9,
                           .replaced = 10,
                           .messages_in = 11,
                           .messages_forwarded = 12,
                           .bytes_forwarded = 13,
                           .sessions_opened = 14,
                           .sessions_busy = 15,
                           .sessions_unanswered = 16,
                           .presence_events = 17,
                           .presence_lost = 18,
                           .presence_withdrawn = 33,
                           .presence_summed = 34,
                           .pauses = 19,
                           .sessions_idle = 101,
                           .sessions_timed_out = 102,
                           .waits = 103,
                           .cut_stalled = 20,
                           .cut_overflow = 21,
                           .expired_upgrade = 22,
                           .expired_register = 23,
                           .expired_ttl = 24,
                           .cut_memory = 25,
                           .closed_protocol = 26};
    c.errors[TL_SIGNAL_FORBIDDEN] = 27;
    tl_buf out = {0};
    const char *text = metrics_of(&c, NULL, &out);
    has_lines(text, counter_lines, sizeof counter_lines / sizeof *counter_lines);
    assert_null(strstr(text, "teale_relay_stun_"));
    tl_buf_clear(&out);
}

static void every_counter_of_stun_has_its_line(void **state)
{
    (void)state;
    tl_relay_counters none = {0};
    tl_stun_counters c = {
        .datagrams = 1, .requests = 2, .answers = 3, .errors = 4, .bytes_in = 5, .bytes_out = 6};
    static const char *const lines[] = {
        "teale_relay_stun_datagrams_total 1",
        "teale_relay_stun_requests_total 2",
        "teale_relay_stun_answers_total 3",
        "teale_relay_stun_errors_total 4",
        "teale_relay_stun_received_bytes_total 5",
        "teale_relay_stun_sent_bytes_total 6",
        "teale_relay_stun_dropped_total{reason=\"malformed\"} 7",
        "teale_relay_stun_dropped_total{reason=\"not_a_request\"} 8",
        "teale_relay_stun_dropped_total{reason=\"address\"} 9",
        "teale_relay_stun_dropped_total{reason=\"rate\"} 10",
        "teale_relay_stun_dropped_total{reason=\"unsent\"} 11",
    };
    for (uint64_t i = 0; i < TL_STUN_DROPS; i++)
        c.dropped[i] = 7 + i;
    tl_buf out = {0};
    has_lines(metrics_of(&none, &c, &out), lines, sizeof lines / sizeof *lines);
    tl_buf_clear(&out);
}

static void every_counter_of_datagrams_has_its_line(void **state)
{
    (void)state;
    static const tl_relay_counters none = {.bytes_forwarded = 100};
    static const char *const lines[] = {
        "teale_relay_packets_total{from=\"udp\",to=\"udp\"} 1",
        "teale_relay_packets_total{from=\"udp\",to=\"websocket\"} 2",
        "teale_relay_packets_total{from=\"websocket\",to=\"udp\"} 3",
        "teale_relay_packets_total{from=\"websocket\",to=\"websocket\"} 4",
        "teale_relay_packet_bytes_total{from=\"udp\",to=\"udp\"} 10",
        "teale_relay_packet_bytes_total{from=\"udp\",to=\"websocket\"} 20",
        "teale_relay_packet_bytes_total{from=\"websocket\",to=\"udp\"} 30",
        "teale_relay_packet_bytes_total{from=\"websocket\",to=\"websocket\"} 40",
        "teale_relay_packets_dropped_total{reason=\"token\"} 5",
        "teale_relay_packets_dropped_total{reason=\"source\"} 6",
        "teale_relay_packets_dropped_total{reason=\"short\"} 7",
        "teale_relay_packets_dropped_total{reason=\"size\"} 8",
        "teale_relay_packets_dropped_total{reason=\"rate\"} 9",
        "teale_relay_packets_dropped_total{reason=\"slow\"} 10",
        "teale_relay_packets_dropped_total{reason=\"control\"} 11",
        "teale_relay_migrations_total{result=\"moved\"} 12",
        "teale_relay_migrations_total{result=\"refused\"} 13",
        "teale_relay_migrations_total{result=\"unanswered\"} 14",
        "teale_relay_udp_sides 15",
        "tesseras_relay_bytes_forwarded 200",
    };
    tl_tokens_counters c = {.packets = {{1, 2}, {3, 4}},
                            .bytes = {{10, 20}, {30, 40}},
                            .moved = 12,
                            .refused = 13,
                            .unanswered = 14,
                            .udp_sides = 15};
    for (uint64_t i = 0; i < TL_TOKENS_DROPS; i++)
        c.dropped[i] = 5 + i;
    tl_buf out = {0};
    has_lines(metrics_with(&none, &c, NULL, &out), lines, sizeof lines / sizeof *lines);
    tl_buf_clear(&out);
}

static void each_sample_stands_below_help_and_type_of_its_family(void **state)
{
    (void)state;
    tl_relay_counters relay = {0};
    tl_stun_counters stun = {0};
    char help[128] = "", family[128] = "";
    size_t samples = 0;
    tl_buf out = {0};
    for (const char *line = metrics_of(&relay, &stun, &out) + 1; *line;
         line = strchr(line, '\n') + 1) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %127s", help), 1);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(sscanf(line, "# TYPE %127s", family), 1);
            assert_string_equal(family, help);
        } else {
            assert_memory_equal(line, family, strlen(family));
            samples++;
        }
    }
    assert_true(samples > 40);
    tl_buf_clear(&out);
}

static void write_health(const world *w, tl_buf *out)
{
    tl_relayd_view view = {0};
    tl_relayd_view_add(&view, w->relay, NULL, w->now);
    assert_int_equal(tl_relayd_write_health(&view, out), TL_OK);
}

static void health_counts_the_nodes_and_peers_names_them(void **state)
{
    (void)state;
    world w;
    world_init(&w, NULL);
    tl_buf out = {0};
    json_t *v;
    assert_int_equal(tl_relayd_write_peers(w.relay, w.now, &out), TL_OK);
    assert_int_equal(out.len, 0);
    peer *a = peer_join(&w, 1, NULL), *b = peer_join(&w, 2, NULL);
    write_health(&w, &out);
    assert_true(tl_slice_eq(tl_buf_slice(&out), TL_SLICE_LIT("{\"ok\":true,\"peers\":2}")));
    tl_buf_clear(&out);
    assert_int_equal(tl_buf_append_str(&out, "["), TL_OK);
    tl_buf inner = {0};
    assert_int_equal(tl_relayd_write_peers(w.relay, w.now + TL_SEC, &inner), TL_OK);
    assert_int_equal(tl_buf_append(&out, tl_buf_slice(&inner)), TL_OK);
    assert_int_equal(tl_buf_append_str(&out, "]"), TL_OK);
    tl_buf_clear(&inner);
    assert_int_equal(tl_json_parse(tl_buf_slice(&out), 16, &v, NULL), TL_OK);
    const json_t *peers = v;
    assert_int_equal(json_array_size(peers), 2);
    const json_t *first = json_array_get(peers, 0), *second = json_array_get(peers, 1);
    char observed[TL_ADDR_TEXT_MAX];
    tl_addr_write(observed, &w.remote);
    assert_string_equal(tl_json_string(first, "nodeID", ""), a->node);
    assert_string_equal(tl_json_string(second, "nodeID", ""), b->node);
    assert_string_equal(tl_json_string(first, "observed", ""), observed);
    assert_true(tl_json_number(first, "idleSeconds", 0) == 1.0);
    assert_true(json_is_number(json_object_get(first, "connectedAt")));
    assert_true(json_is_string(json_object_get(first, "displayName")));
    json_decref(v);
    tl_buf_clear(&out);
    tl_relay_shutdown(w.relay, w.now);
    write_health(&w, &out);
    assert_memory_equal(tl_buf_begin(&out), "{\"ok\":false,", 12);
    tl_buf_clear(&out);
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_of_the_relay_has_its_line),
        cmocka_unit_test(every_counter_of_stun_has_its_line),
        cmocka_unit_test(every_counter_of_datagrams_has_its_line),
        cmocka_unit_test(each_sample_stands_below_help_and_type_of_its_family),
        cmocka_unit_test(health_counts_the_nodes_and_peers_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
