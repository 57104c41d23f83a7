/* /metrics: what the node's facts and the API's counters become. */
#include "harness.h"

#include <stdio.h>

static void get_metrics(harness *h, client *c)
{
    exchange(h, c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(client_status(c), 200);
}

static void every_metric_family_is_there_from_the_start_with_help_and_type(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    get_metrics(&h, &c);
    const char *text = client_body(&c);
    assert_non_null(strstr(text, "\ntesseras_nat_type{type=\"Unknown\"} 1\n"));
    assert_non_null(strstr(text, "\nteale_relay_connected 0\n"));
    /* Each sample stands below the two comment lines of its family. */
    char help[128] = "", family[128] = "";
    size_t samples = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
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
    assert_true(samples > 100);
    client_close(&c);
    harness_clear(&h);
}

static const char *const lines[] = {
    "teale_uptime_seconds 1.5",
    "teale_relay_connected 1",
    "teale_relay_rtt_seconds 0.02",
    "teale_relay_registrations_total 3",
    "teale_relay_messages_total{direction=\"in\"} 4",
    "teale_relay_messages_total{direction=\"out\"} 5",
    "teale_quic_datagrams_total{direction=\"in\"} 6",
    "teale_quic_dropped_total{reason=\"replay\"} 7",
    "teale_peers_known 8",
    "teale_peers_connected{path=\"direct\"} 1",
    "teale_peers_connected{path=\"lan\"} 2",
    "teale_peers_connected{path=\"relayed\"} 3",
    "teale_path_moves_total{kind=\"fallback\"} 9",
    "teale_udp_blocked 1",
    "tesseras_stun_requests_total 10",
    "tesseras_network_change_total 11",
    "teale_direct_attempts_total 12",
    "tesseras_punch_attempts_total{initiator_nat=\"Public\",target_nat=\"Symmetric\"} 13",
    "teale_punch_successes_total{initiator_nat=\"Cone\",target_nat=\"Unknown\"} 14",
    "teale_requests_total{role=\"asked\",result=\"ok\"} 15",
    "teale_requests_total{role=\"served\",result=\"refused\"} 16",
    "teale_requests_active{role=\"asked\"} 17",
    "teale_requests_active{role=\"served\"} 18",
    "teale_backend_up 1",
    "teale_backend_models 19",
    "teale_backend_running 20",
    "teale_served_tokens_total{class=\"private\",kind=\"prompt\"} 21",
    "teale_served_tokens_total{class=\"public\",kind=\"generated\"} 22",
    "teale_queue_length{class=\"private\"} 23",
    "teale_queue_wait_seconds{class=\"public\"} 24",
    "teale_share_paused 1",
    "teale_dht_ready 1",
    "teale_dht_nodes{family=\"ipv4\"} 25",
    "teale_dht_nodes{family=\"ipv6\"} 26",
    "teale_dht_published 1",
    "teale_dht_items 27",
    "teale_dht_items_held 28",
    "teale_dht_bytes_total{direction=\"in\"} 29",
    "teale_dht_bytes_total{direction=\"out\"} 30",
    "teale_dht_requests_total{result=\"found\"} 31",
    "teale_dht_dropped_total{reason=\"read_only\"} 32",
    "teale_udp_dropped_total{reason=\"krpc\"} 33",
    "teale_lan_discovery{by=\"embedded\"} 1",
    "teale_lan_discovery{by=\"avahi-daemon\"} 0",
    "teale_lan_announced 1",
    "teale_lan_nodes 34",
    "teale_lan_dropped_total{reason=\"malformed\"} 35",
    "teale_lan_dropped_total{reason=\"full\"} 73",
    "teale_lan_dropped_total{reason=\"off_link\"} 38",
    "teale_lan_pipes_total{side=\"theirs\"} 39",
    "teale_lan_connects_total{result=\"met\"} 40",
    "teale_ptn_members{network=\"1\"} 25",
    "teale_ptn_members{network=\"2\"} 26",
    "teale_reconnect_phases_total{phase=\"migration\",result=\"done\"} 27",
    "teale_reconnect_phases_total{phase=\"reestablish\",result=\"failed\"} 28",
};

static void every_fact_of_the_node_becomes_its_own_sample(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    h.node.facts = (tl_node_facts){
        .uptime = 1500 * TL_MS,
        .relay_connected = true,
        .relay_rtt = 20 * TL_MS,
        .relay_registrations = 3,
        .relay = {.messages_in = 4, .messages_out = 5},
        .quic = {.datagrams_in = 6, .dropped_replay = 7},
        .peers_known = 8,
        .paths = {.direct = 1, .lan = 2, .relayed = 3},
        .peers = {.fallbacks = 9},
        .nat = {.udp_blocked = true},
        .stun = {.requests = 10},
        .datagrams = {.changes = 11, .dropped_krpc = 33},
        .direct = {.attempts = 12},
        .asked = {.answered = 15},
        .served = {.refused = 16},
        .asked_running = 17,
        .served_running = 18,
        .backend = TL_BACKEND_UP,
        .backend_models = 19,
        .slots = {.prompt[TL_SCHED_PRIVATE] = 21,
                  .generated[TL_SCHED_PUBLIC] = 22,
                  .queued[TL_SCHED_PRIVATE] = 23,
                  .wait_seconds[TL_SCHED_PUBLIC] = 24},
        .paused = true,
        .dht = {.on = true,
                .publishes = true,
                .report =
                    {.state = TL_DHT_READY, .nodes4 = 25, .nodes6 = 26, .stored = 27, .kept = 28},
                .counters =
                    {.bytes_in = 29, .bytes_out = 30, .found = 31, .dropped[TL_DHT_DROP_RO] = 32}},
        .lan = {.on = true,
                .discovery =
                    {.state = TL_MDNS_EMBEDDED, .name = "teale-0", .malformed = 35, .dropped = 36},
                .nodes = 34,
                .found = {.refused = 37, .off_link = 38},
                .tcp = {.accepted = 39},
                .tried = {.met = 40}},
        .n_networks = 2,
        .network_members = {25, 26},
        .backend_running = 20,
        .reconnects = {.done[TL_PHASE_MIGRATION] = 27, .failed[TL_PHASE_REESTABLISH] = 28},
    };
    h.node.facts.punches.attempts[TL_CONTROL_NAT_PUBLIC][TL_CONTROL_NAT_SYMMETRIC] = 13;
    h.node.facts.punches.successes[TL_CONTROL_NAT_CONE][TL_CONTROL_NAT_UNKNOWN] = 14;
    get_metrics(&h, &c);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[160];
        snprintf(line, sizeof line, "\n%s\n", lines[i]);
        if (!client_has(&c, line))
            fail_msg("there is no '%s'", lines[i]);
    }
    client_close(&c);
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_family_is_there_from_the_start_with_help_and_type),
        cmocka_unit_test(every_fact_of_the_node_becomes_its_own_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
