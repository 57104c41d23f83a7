#include "node/node_net_report.h"
#include "node/names.h"

#include "node/lan_state.h"

#include "node/accounts.h"
#include "node/facts.h"
#include "node/reach.h"
#include "node/unreached.h"
#include "tell/doctor.h"
#include "tell/story.h"

#include <math.h>
#include <stdio.h>

json_t *tl_net_ms_json(tl_time t)
{
    return t ? json_real(round((double)t / (double)TL_US) / 1000) : json_null();
}

json_t *tl_net_addr_json(const tl_addr *a)
{
    char text[TL_ADDR_TEXT_MAX];
    if (!a->family)
        return json_null();
    tl_addr_write(text, a);
    return json_string(text);
}

const char *tl_net_rule(const tl_peer_facts *facts)
{
    if (facts->why)
        return facts->why;
    if (!facts->dialled)
        return "the peer dialled this connection, and chooses its path";
    return facts->via == TL_VIA_RELAYED ? "a connection begins through the relay"
                                        : "the connection was made on this path";
}

static json_t *ip_json(const tl_addr *a)
{
    char text[TL_ADDR_TEXT_MAX];
    if (!a->family)
        return json_null();
    tl_addr_write_ip(text, a);
    return json_string(text);
}

/* Why no UDP socket is wanted; NULL: one is wanted. */
static const char *why_off(const tl_node *n)
{
    if (!n->settings.wan_enabled)
        return "wan_enabled is false";
    return n->settings.nat_direct ? NULL : "nat.direct is false";
}

void tl_net_view_of(const tl_node *n, tl_net_view *ret_view)
{
    const tl_network *w = n->network;
    tl_net_view v = {.off = why_off(n),
                     .error = n->network_error[0] ? n->network_error : NULL,
                     .wanted_port = (uint16_t)n->settings.udp_port,
                     .mapping_on = n->settings.nat_port_mapping,
                     .direct_on = n->settings.nat_direct,
                     .relay_connected = tl_relay_pair_state(n->client) == TL_RELAY_CONNECTED};
    if (w)
        v.interfaces = tl_network_interfaces(w, &v.n_interfaces);
    if (w && n->settings.wan_enabled) { /* else it is for the local network alone */
        v.port = tl_network_port(w);
        v.nat = *tl_network_facts(w);
        v.n_stun = tl_network_stun_reports(w, v.stun);
        v.n_unnamed = tl_network_stun_unnamed(w, v.unnamed);
        v.n_candidates = tl_network_candidates(w, v.candidates);
        v.mapped_by = tl_network_mapped_by(w);
        v.mapped = tl_network_mapped(w);
        v.mapping_error = tl_network_mapping_error(w);
        if (!v.mapped_by)
            v.mapped = (tl_addr){0};
        if (v.mapping_error && !v.mapping_error[0])
            v.mapping_error = NULL;
    }
    *ret_view = v;
}

static const char *nat_state(const tl_net_view *v)
{
    if (!v->port)
        return "off";
    if (v->nat.at && v->nat.udp_blocked)
        return v->relay_connected ? "blocked" : "unanswered"; /* or this machine is offline */
    /* One silent server keeps the round open for seconds after the others have answered. */
    return v->nat.public4.family || v->nat.public6.family ? "known" : "asking";
}

json_t *tl_net_nat_json(const tl_net_view *v)
{
    static const char *const hairpin[] = {
        [TL_HAIRPIN_UNKNOWN] = NULL, [TL_HAIRPIN_NO] = "no", [TL_HAIRPIN_YES] = "yes"};
    const tl_nat_facts *f = &v->nat;
    const tl_addr *public = f->public4.family ? &f->public4 : &f->public6;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:s?, s:o, s:s, s:o, s:s?, s:i, s:o, s:s?, s:i, "
        "s:i}",
        "type", tl_nat_type_name(tl_nat_type_of(f)), "tesseras_type", tl_nat_tesseras_type(f),
        "mapping", tl_nat_mapping_name(f->mapping), "filtering",
        tl_nat_filtering_name(f->filtering), "public", tl_net_addr_json(public), "mapped_by",
        v->mapped_by, "ipv6", ip_json(&f->public6), "state", nat_state(v), "mapped",
        tl_net_addr_json(&v->mapped), "mapping_error", v->mapped_by ? NULL : v->mapping_error,
        "port", (int)v->port, "port_preserved",
        f->public4.family && f->mapping != TL_MAPPING_NONE ? json_boolean(f->port_preserved)
                                                           : json_null(),
        "hairpin", hairpin[f->hairpin], "stun_asked", (int)f->asked, "stun_answered",
        (int)f->answered);
}

/* --- netcheck --- */

static json_t *stun_json(const tl_net_view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_stun; i++) {
        const tl_stun_report *r = &v->stun[i];
        list = tl_json_append(
            list,
            json_pack("{s:s, s:o, s:b, s:o, s:o, s:i, s:b}", "server", r->server.name, "address",
                      tl_net_addr_json(&r->server.addr), "answered", r->answered, "rtt_ms",
                      tl_net_ms_json(r->answered ? r->rtt : 0), "mapped",
                      tl_net_addr_json(&r->mapped), "sent", (int)r->sent, "rfc5780", r->behaviour));
    }
    for (size_t i = 0; list && i < v->n_unnamed; i++)
        list = tl_json_append(
            list, json_pack("{s:s, s:n, s:b, s:n, s:n, s:i, s:b, s:s}", "server",
                            v->unnamed[i].name, "address", "answered", 0, "rtt_ms", "mapped",
                            "sent", 0, "rfc5780", 0, "error",
                            v->unnamed[i].why ? v->unnamed[i].why : "its name is being looked up"));
    return list;
}

static json_t *interfaces_json(const tl_net_view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_interfaces; i++)
        list = tl_json_append(list, json_pack("{s:s, s:o, s:i}", "name", v->interfaces[i].name,
                                              "address", ip_json(&v->interfaces[i].addr), "prefix",
                                              (int)v->interfaces[i].prefix));
    return list;
}

static json_t *candidates_json(const tl_net_view *v)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_candidates; i++)
        list = tl_json_append(list, json_pack("{s:s, s:o}", "kind",
                                              tl_candidate_kind_name(v->candidates[i].kind),
                                              "address", tl_net_addr_json(&v->candidates[i].addr)));
    return list;
}

json_t *tl_net_check_json(const tl_net_view *v)
{
    const char *why = v->mapping_error;
    if (!v->mapping_on)
        why = "nat.port_mapping is false";
    else if (v->nat.mapping == TL_MAPPING_NONE && !why)
        why = "not needed: there is no NAT";
    return json_pack("{s:{s:i, s:s?, s:b}, s:o, s:o, s:{s:b, s:s?, s:o, s:s?}, s:o, s:o}", "udp",
                     "port", (int)v->port, "error", v->off ? v->off : v->error, "blocked",
                     !strcmp(nat_state(v), "blocked"), "nat", tl_net_nat_json(v), "stun",
                     stun_json(v), "port_mapping", "enabled", v->mapping_on, "method", v->mapped_by,
                     "address", tl_net_addr_json(&v->mapped), "error", v->mapped_by ? NULL : why,
                     "interfaces", interfaces_json(v), "candidates", candidates_json(v));
}

json_t *tl_node_netcheck(const tl_node *n)
{
    tl_net_view v;
    tl_net_view_of(n, &v);
    json_t *check = tl_net_check_json(&v);
    if (check && (json_object_set_new(check, "relay", tl_node_wan_json(n)) ||
                  json_object_set_new(check, "offline", json_boolean(tl_unreached_offline(n))))) {
        json_decref(check);
        return NULL;
    }
    return check;
}

/* --- doctor --- */

static void count_models(const tl_node *n, tl_doctor_facts *f)
{
    f->models = n->backend ? tl_backend_model_count(n->backend) : 0;
    for (size_t i = 0; i < f->models; i++)
        f->models_shared += tl_node_is_shared(n, tl_backend_model(n->backend, i));
}

static json_t *findings_json(const tl_finding *findings, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        list = tl_json_append(list, json_pack("{s:s, s:s, s:s, s:s}", "id", findings[i].id, "state",
                                              tl_finding_state_name(findings[i].state), "evidence",
                                              findings[i].evidence, "remedy", findings[i].remedy));
    return list;
}

static bool is_fixed(const tl_node *n, const char *key)
{
    return n->option_of && n->option_of(n->option_user, key);
}

/* Pointers into `v` and `n`. */
typedef struct {
    tl_doctor_relay relays[TL_RELAY_URLS_MAX];
    tl_doctor_name unnamed[TL_STUN_UNNAMED_MAX];
    tl_doctor_network networks[TL_NETWORKS_MAX];
} doctor_lists;

static void list_relays(const tl_node *n, doctor_lists *lists, tl_doctor_facts *f)
{
    const char *url, *cause;
    while (f->n_relays < TL_RELAY_URLS_MAX &&
           (cause = tl_relay_pair_cause(n->client, f->n_relays, &url)))
        lists->relays[f->n_relays++] = (tl_doctor_relay){url, cause};
    f->relays = lists->relays;
}

static void list_names(const tl_net_view *v, doctor_lists *lists, tl_doctor_facts *f)
{
    for (size_t i = 0; i < v->n_unnamed; i++)
        lists->unnamed[i] = (tl_doctor_name){v->unnamed[i].name, v->unnamed[i].why};
    f->unnamed = lists->unnamed;
    f->n_unnamed = v->n_unnamed;
}

/* Seconds that our clock is ahead of the relay's. False: the relay's is not known. */
static bool compare_clocks(const tl_node *n, double *ret_ahead)
{
    if (n->relay_time_known)
        *ret_ahead =
            (double)tl_loop_unix() - n->relay_ahead - (double)tl_loop_now(n->loop) / (double)TL_SEC;
    return n->relay_time_known;
}

static void dht_facts(const tl_node *n, const tl_dht_counts *c, tl_doctor_facts *f)
{
    f->dht_enabled = n->settings.dht_enabled;
    f->dht.on = c->on;
    f->dht.ready = c->report.state == TL_DHT_READY;
    f->dht.publishes = c->publishes;
    f->dht.nodes = c->report.nodes4 + c->report.nodes6;
    f->dht.holders = c->holders;
    f->dht.doors = n->settings.dht_bootstrap.n;
}

/* `c` must outlive `f`. */
static void lan_facts(const tl_node *n, const tl_lan_counts *c, tl_doctor_facts *f)
{
    bool works = c->on && c->discovery.state != TL_MDNS_FAILED;
    f->lan.enabled = n->settings.lan_enabled && n->settings.nat_direct;
    f->lan.by = !works                                   ? NULL
                : c->discovery.state == TL_MDNS_EMBEDDED ? "mDNS of its own"
                                                         : tl_mdns_state_name(c->discovery.state);
    f->lan.error = c->on ? c->discovery.why : n->lan ? n->lan->error : "";
    f->lan.name = c->discovery.name;
    f->lan.nodes = c->nodes;
    f->lan.flooded = c->discovery.services >= TL_MDNS_NODES_MAX;
}

/* How others are found. `known` must outlive `f`. */
static void finding_facts(const tl_node *n, const tl_node_facts *known, tl_doctor_facts *f)
{
    dht_facts(n, &known->dht, f);
    lan_facts(n, &known->lan, f);
}

json_t *tl_node_doctor(const tl_node *n)
{
    tl_finding findings[TL_FINDINGS_MAX];
    doctor_lists lists;
    tl_net_view v;
    tl_net_view_of(n, &v);
    tl_node_facts known;
    tl_node_facts_of(n, &known);
    const char *error = tl_relay_pair_error(n->client), *url = tl_relay_pair_url(n->client);
    const char *portal = tl_relay_pair_portal(n->client);
    const char *proxy_source, *proxy = tl_relay_pair_proxy(n->client, &proxy_source);
    if (!url[0] && n->settings.wan_relay_url.n)
        url = n->settings.wan_relay_url.item[0];
    tl_doctor_facts f = {
        .by_option = {.relay = is_fixed(n, "wan_relay_url"),
                      .udp = is_fixed(n, "udp_port"),
                      .relayed = is_fixed(n, "nat.direct"),
                      .share = is_fixed(n, "share"),
                      .model = is_fixed(n, "share_models"),
                      .private = is_fixed(n, "share_with")},
        .wan_enabled = n->settings.wan_enabled,
        .relay = url,
        .relay_connected = known.relay_connected,
        .relay_rtt = known.relay_rtt,
        .relays_connected = tl_relay_pair_connected(n->client),
        .relays_are_one = tl_relay_pair_is_one(n->client),
        .no_relay = tl_node_wants_no_relay(n),
        .relay_error = n->wan_error[0] ? n->wan_error : error,
        .portal = portal[0] ? portal : NULL,
        .proxy = proxy[0] ? proxy : NULL,
        .proxy_source = proxy_source,
        .network_error = v.error,
        .port = v.port,
        .wanted_port = v.wanted_port,
        .nat = v.port ? &v.nat : NULL,
        .stun = v.stun,
        .n_stun = v.n_stun,
        .interfaces = v.interfaces,
        .n_interfaces = v.n_interfaces,
        .port_mapping_on = v.mapping_on,
        .mapped_by = v.mapped_by,
        .mapped = v.mapped,
        .mapping_error = v.mapping_error,
        .direct_on = v.direct_on,
        .offers_late = n->late.count,
        .black_holes = n->holes.count,
        .late_ago = tl_loop_now(n->loop) - n->late.at,
        .hole_ago = tl_loop_now(n->loop) - n->holes.at,
        .peers_direct = known.paths.direct,
        .peers_lan = known.paths.lan,
        .peers_relayed = known.paths.relayed,
        .peers_relayed_udp = known.paths.relayed_udp,
        .relay_udp = tl_relay_link_udp(tl_relays_link(n->relays, tl_relay_pair_main_at(n->client))),
        .relay_leg = tl_peers_relay_leg(n->peers),
        .peers_in_clear = known.peers_in_clear,
        .in_clear = n->access.in_clear,
        .share = n->settings.share,
        .own_id = n->hex,
        .now = tl_loop_unix(),
        .networks = lists.networks,
        .n_networks = tl_node_doctor_networks(n, lists.networks),
        .in_network = tl_access_in_network(&n->access),
        .share_members = !n->access.share_public,
        .ask_members = !n->access.ask_any,
        .backend_up = known.backend == TL_BACKEND_UP,
        .backend_url = n->backend ? tl_backend_url(n->backend) : "",
        .backend_error = n->backend ? tl_backend_error(n->backend) : "",
    };
    tl_store_state store;
    tl_relaying relaying;
    tl_node_relaying_of(n, &relaying);
    f.relaying = &relaying;
    tl_node_doctor_introducers(n, &f);
    tl_node_store_facts(n, &store, &f);
    f.backup = tl_node_backup_state(n, &f.backup_may_lose);
    f.backup_other_at = tl_node_backup_other_at(n);
    count_models(n, &f);
    finding_facts(n, &known, &f);
    list_relays(n, &lists, &f);
    list_names(&v, &lists, &f);
    f.clock_known = compare_clocks(n, &f.clock_ahead);
    return json_pack("{s:o}", "checks", findings_json(findings, tl_doctor_examine(&f, findings)));
}

/* --- why --- */

static json_t *pairs_json(const tl_direct_report *r)
{
    static const char *const states[] = {[TL_PAIR_WAITING] = "waiting",
                                         [TL_PAIR_PROBING] = "probing",
                                         [TL_PAIR_VALID] = "valid",
                                         [TL_PAIR_FAILED] = "failed",
                                         [TL_PAIR_LOST] = "lost"};
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n_pairs; i++) {
        const tl_pair *p = &r->pairs[i];
        list = tl_json_append(
            list,
            json_pack("{s:o, s:s, s:s, s:b, s:i, s:i, s:i, s:o, s:o, s:b}", "remote",
                      tl_net_addr_json(&p->remote), "kind",
                      tl_sock_is_pipe(p->sock) ? "host, tcp" : tl_candidate_kind_name(p->kind),
                      "state", states[p->state], "used", r->used && p->id == r->used, "sent",
                      (int)p->sent, "answered", (int)p->answered, "asked_by_peer",
                      (int)p->asked_by_peer, "rtt_ms", tl_net_ms_json(p->rtt), "seen_as",
                      tl_net_addr_json(&p->seen_as), "birthday", p->birthday));
    }
    return list;
}

/* Milliseconds from `from` to `to`; null when one of them is not set. */
static json_t *span_json(tl_time from, tl_time to)
{
    return from && to != TL_NEVER && to > from ? tl_net_ms_json(to - from) : json_null();
}

static json_t *attempt_json(const tl_direct_report *r, tl_time now)
{
    if (!r || !r->began)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:b, s:i, s:o, s:o, s:o, s:i, s:i, s:i}", "state",
                     tl_direct_state_name(r->state), "session", r->session, "offered_by",
                     r->ours ? "us" : "peer", "introduced", r->introduced, "attempts",
                     (int)r->attempts, "began_ms_ago", span_json(r->began, now), "first_answer_ms",
                     span_json(r->began, r->first_valid), "again_in_ms",
                     span_json(now, r->again_at), "addresses_refused", (int)r->refused,
                     "search_sockets", (int)r->search_sockets, "search_probes",
                     (int)r->search_sent);
}

static json_t *why_json(const tl_node *n, const tl_node_id *peer, const tl_net_view *v,
                        const tl_story_facts *f)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_story story;
    const tl_peer *p = tl_peer_table_find(&n->table, peer);
    tl_node_id_write(hex, peer);
    tl_story_tell(f, &story);
    return json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:s, s:s?, s:{s:s, s:s, s:o, s:s?}, s:{s:s}, s:o, s:o}",
        "node_id", hex, "name", p ? p->name : "", "path", f->connected ? tl_via_name(f->via) : NULL,
        "reason", story.reason, "because", story.because, "remedy", story.remedy, "rule",
        f->connected ? f->rule : NULL, "ours", "nat", tl_nat_type_name(tl_nat_type_of(&v->nat)),
        "mapping", tl_nat_mapping_name(v->nat.mapping), "public",
        tl_net_addr_json(v->nat.public4.family ? &v->nat.public4 : &v->nat.public6), "mapped_by",
        v->mapped_by, "theirs", "nat", tl_nat_type_name(tl_story_peer_nat(f)), "attempt",
        attempt_json(f->report, f->now), "pairs", f->report ? pairs_json(f->report) : json_array());
}

json_t *tl_node_why(const tl_node *n, const tl_node_id *peer)
{
    const tl_peer *p = tl_peer_table_find(&n->table, peer);
    tl_peer_facts facts = {0};
    tl_direct_report report;
    tl_net_view v;
    tl_net_view_of(n, &v);
    bool connected = p && tl_peers_facts(n->peers, p, &facts);
    tl_story_facts f = {
        .self = tl_node_id_eq(peer, &n->identity.id),
        .connected = connected,
        .via = facts.via,
        .rule = tl_net_rule(&facts),
        .wan_enabled = n->settings.wan_enabled,
        .lan_on = tl_node_lan_is_on(n),
        .near = tl_node_lan_has(n, peer),
        .by_tcp = connected && facts.by_tcp,
        .relay_connected = tl_relay_pair_state(n->client) == TL_RELAY_CONNECTED,
        .no_relay = tl_node_wants_no_relay(n),
        .by_nodes = tl_peers_relayers(n->peers) &&
                    tl_relayers_can_open(tl_peers_relayers(n->peers), peer, true, 0),
        .listed = p && p->listed,
        .relayed_by_option = is_fixed(n, "nat.direct"),
        .old = p && p->in_clear,
        .speaks_old = n->access.in_clear,
        .direct_on = v.direct_on,
        .nat = v.port ? &v.nat : NULL,
        .mapped_by = v.mapped_by,
        .network_error = v.off ? v.off : v.error,
        .listed_nat = p ? p->nat_type : TL_NAT_UNKNOWN,
        .report = n->direct && tl_direct_report_of(n->direct, peer, &report) ? &report : NULL,
        .now = tl_loop_now(n->loop),
    };
    f.clock_known = compare_clocks(n, &f.clock_ahead);
    json_t *why = why_json(n, peer, &v, &f);
    const char *carrier = connected && facts.via == TL_VIA_RELAYED
                              ? facts.by_node
                                    ? tl_story_carrier_by_node()
                                    : tl_story_carrier(v.port, facts.by_udp, facts.udp, facts.leg)
                              : NULL;
    json_t *text = carrier ? json_string(carrier) : json_null();
    char node[TL_RELAY_NAME];
    const char *relay = carrier ? tl_node_relay_name(n, &facts, node) : NULL;
    const tl_peer *by =
        carrier && facts.by_node ? tl_peer_table_find(&n->table, &facts.node.id) : NULL;
    if (why && (json_object_set_new(why, "networks", tl_node_why_networks(n, peer)) ||
                json_object_set_new(why, "reciprocity", tl_node_reciprocity_json(n, peer)) ||
                json_object_set_new(why, "carrier", text) ||
                json_object_set_new(why, "relay", relay ? json_string(relay) : json_null()) ||
                json_object_set_new(why, "relay_name", by ? json_string(by->name) : json_null()))) {
        json_decref(why);
        return NULL;
    }
    return tl_node_add_aliases(n, why);
}
