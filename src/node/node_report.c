/* Reports for people and scripts: status, peers, models, events. */
#include "ask/modelname.h"
#include "node/facts.h"
#include "node/names.h"
#include "node/node_net_report.h"

#include "node/lan_state.h"
#include "node/reach.h"
#include "node/sharing.h"
#include "node/unreached.h"

#include <stdio.h>
#include <time.h>

void tl_node_write_time(char ret[32], tl_unix at)
{
    time_t t = (time_t)at;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static const char *const names[] = {"offline", "connecting", "connected"};

/* Adds what is known of the i-th relay in use. Takes the list; NULL: out of memory. */
static json_t *add_relay(const tl_node *n, size_t i, json_t *list)
{
    const tl_relay_client *c = tl_relay_pair_client(n->client, i);
    const char *source;
    if (!c)
        return list;
    const char *error = tl_relay_client_error(c), *proxy = tl_relay_client_proxy(c, &source);
    json_t *one =
        json_pack("{s:s, s:s, s:o, s:b, s:s?, s:s?}", "url", tl_relay_client_url(c), "state",
                  names[tl_relay_client_state(c)], "rtt_ms", tl_net_ms_json(tl_relay_client_rtt(c)),
                  "leaving", tl_relays_is_leaving(n->relays, i), "error", error[0] ? error : NULL,
                  "proxy", proxy[0] ? proxy : NULL);
    if (!one || json_array_append_new(list, one)) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *tl_node_wan_json(const tl_node *n)
{
    bool twin = n->aside.state >= TL_ASIDE_LEAVING, none = !twin && tl_node_wants_no_relay(n);
    const char *error = twin              ? tl_node_aside_words
                        : none            ? ""
                        : n->wan_error[0] ? n->wan_error
                                          : tl_relay_pair_error(n->client);
    const char *relay = tl_relay_pair_url(n->client), *source;
    const char *proxy = tl_relay_pair_proxy(n->client, &source);
    if (none)
        relay = "";
    else if (!relay[0] && n->settings.wan_relay_url.n)
        relay = n->settings.wan_relay_url.item[0];
    const char *portal = tl_relay_pair_portal(n->client);
    json_t *each = json_array();
    for (size_t i = 0; each && i < TL_RELAYS_MAX; i++)
        each = add_relay(n, i, each);
    return json_pack("{s:b, s:s, s:s, s:o, s:s?, s:s?, s:s?, s:o}", "enabled",
                     n->settings.wan_enabled, "state",
                     twin   ? "aside"
                     : none ? "none"
                            : names[tl_relay_pair_state(n->client)],
                     "relay", relay, "relay_rtt_ms", tl_net_ms_json(tl_relay_pair_rtt(n->client)),
                     "error", error[0] ? error : NULL, "proxy", proxy[0] ? proxy : NULL, "portal",
                     portal[0] ? portal : NULL, "relays", each);
}

static json_t *backend_status(const tl_node *n)
{
    static const char *const states[] = {[TL_BACKEND_NONE] = "none",
                                         [TL_BACKEND_TRYING] = "trying",
                                         [TL_BACKEND_UP] = "up",
                                         [TL_BACKEND_DOWN] = "down",
                                         [TL_BACKEND_REFUSED] = "refused"};
    const tl_backend *b = n->backend;
    json_t *models = json_array();
    for (size_t i = 0; b && models && i < tl_backend_model_count(b); i++)
        models = tl_json_append(models, json_string(tl_backend_model(b, i)));
    const char *error = b ? tl_backend_error(b) : "";
    return json_pack("{s:s, s:s, s:s?, s:s?, s:o}", "url", b ? tl_backend_url(b) : "", "state",
                     states[b ? tl_backend_state_of(b) : TL_BACKEND_NONE], "kind",
                     b && tl_backend_url(b)[0] ? tl_backend_kind(b) : NULL, "error",
                     error[0] ? error : NULL, "models", models);
}

static bool serves(const tl_backend *b, const char *model)
{
    for (size_t i = 0; i < tl_backend_model_count(b); i++)
        if (tl_model_fits(model, tl_backend_model(b, i)) != TL_MODEL_OTHER)
            return true;
    return false;
}

void tl_node_judge_sharing(const tl_node *n, tl_sharing *ret_sharing)
{
    const tl_backend *b = n->backend;
    const tl_string_list *only = &n->settings.share_models;
    tl_sharing_facts f = {.share = b ? n->settings.share : "",
                          .key_file = n->settings.backend_key_file,
                          .url = "",
                          .locked = "",
                          .error = "",
                          .a_model = "",
                          .missing = "",
                          .wan_enabled = n->settings.wan_enabled,
                          .lan_on = tl_node_lan_is_on(n),
                          .members_only = !n->access.share_public,
                          .in_network = tl_access_in_network(&n->access),
                          .serves = tl_node_serves_network(n)};
    if (b) {
        f.backend = tl_backend_state_of(b);
        f.trouble = tl_backend_trouble_of(b);
        f.url = tl_backend_url(b);
        f.locked = tl_backend_locked(b);
        f.error = tl_backend_error(b);
        f.models = tl_backend_model_count(b);
        f.a_model = tl_backend_model(b, 0);
        for (size_t i = 0; i < f.models; i++)
            f.models_shared += tl_node_is_shared(n, tl_backend_model(b, i));
        for (size_t i = 0; i < only->n && !f.missing[0]; i++)
            f.missing = serves(b, only->item[i]) ? "" : only->item[i];
    }
    tl_sharing_judge(&f, ret_sharing);
}

/* What others may ask, and the models of share_models that the server does not have. */
json_t *tl_node_sharing_json(const tl_node *n)
{
    tl_sharing s;
    const tl_backend *b = n->backend;
    const tl_string_list *only = &n->settings.share_models;
    json_t *models = json_array(), *missing = json_array();
    bool up = b && tl_backend_state_of(b) == TL_BACKEND_UP;
    for (size_t i = 0; up && i < tl_backend_model_count(b); i++)
        if (tl_node_is_shared(n, tl_backend_model(b, i)))
            models = tl_json_append(models, json_string(tl_backend_model(b, i)));
    for (size_t i = 0; up && i < only->n; i++)
        if (!serves(b, only->item[i]))
            missing = tl_json_append(missing, json_string(only->item[i]));
    tl_node_judge_sharing(n, &s);
    return json_pack("{s:s, s:s?, s:s, s:o, s:o, s:s?, s:s?}", "state",
                     tl_sharing_state_name(s.state), "reason", s.reason[0] ? s.reason : NULL,
                     "with", n->settings.share_with, "models", models, "missing", missing, "cause",
                     s.cause[0] ? s.cause : NULL, "remedy", s.remedy[0] ? s.remedy : NULL);
}

static json_t *requests_status(const tl_node_facts *f)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "active",
                     (json_int_t)f->asked_running + (json_int_t)f->served_running, "served",
                     (json_int_t)f->served.served + (json_int_t)f->old.served, "asked",
                     (json_int_t)f->asked.asked, "failed",
                     (json_int_t)f->asked.failed + (json_int_t)f->served.failed +
                         (json_int_t)f->old.serve_failed);
}

json_t *tl_node_status(const tl_node *n)
{
    tl_node_facts f;
    tl_net_view v;
    tl_node_facts_of(n, &f);
    /* a way over a relay that is down carries nothing, though the peer may come back on it */
    unsigned relayed = f.relay_connected ? f.paths.relayed : f.paths.by_nodes;
    tl_net_view_of(n, &v);
    return tl_node_add_aliases_inside(
        n, json_pack(
               "{s:s, s:s, s:s, s:I, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:o, s:o, s:o, s:o, "
               "s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
               "version", TL_VERSION, "node_id", n->hex, "display_name", n->name, "uptime_s",
               (json_int_t)(f.uptime / TL_SEC), "wan", tl_node_wan_json(n), "nat",
               tl_net_nat_json(&v), "peers", "direct", (json_int_t)f.paths.direct, "relayed",
               (json_int_t)relayed, "relayed_udp", (json_int_t)(relayed ? f.paths.relayed_udp : 0),
               "lan", (json_int_t)f.paths.lan, "old_protocol", (json_int_t)f.peers_in_clear,
               "backend", backend_status(n), "sharing", tl_node_sharing_json(n), "share",
               tl_node_share_json(n), "requests", requests_status(&f), "asks_others",
               tl_access_asks_others(&n->access), "stopping", n->stage > TL_NODE_RUNNING, "offline",
               tl_unreached_offline(n), "ptns", tl_node_ptns_json(n), "relaying",
               tl_node_relaying_json(n), "relayed_by", tl_node_relayed_json(n), "dht",
               tl_node_dht_json(n), "fragments", tl_node_fragments_json(n), "introducing",
               tl_node_introducing_json(n), "lan", tl_node_lan_json(n)));
}

/* --- peers --- */

static json_t *models_of(const tl_peer *p)
{
    json_t *models = json_array();
    for (size_t i = 0; models && i < p->n_models; i++)
        models = tl_json_append(models, json_string(p->models[i]));
    return models;
}

/* Without a connection to the node, path, via, relay, rtt_ms and since are null; via and relay also
 * where the path is direct. */
static json_t *peer_json(const tl_node *n, const tl_peer *p)
{
    tl_direct_report direct;
    tl_nat_type nat = p->nat_type; /* the relay's word; the peer's own word is newer */
    if (tl_direct_report_of(n->direct, &p->id, &direct) && direct.peer_nat != TL_NAT_UNKNOWN)
        nat = direct.peer_nat;
    char hex[TL_NODE_ID_HEX + 1], since[32];
    tl_peer_facts facts = {0};
    bool connected = tl_peers_facts(n->peers, p, &facts);
    bool relayed = connected && facts.via == TL_VIA_RELAYED;
    tl_node_id_write(hex, &p->id);
    tl_time ago = tl_loop_now(n->loop) - facts.since;
    tl_node_write_time(since, tl_loop_unix() - (tl_unix)(ago / TL_SEC));
    bool old = p->in_clear && n->access.in_clear;
    const char *path = connected ? tl_via_name(facts.via) : NULL;
    char node[TL_RELAY_NAME];
    const char *relay = relayed || old ? tl_node_relay_name(n, &facts, node) : NULL;
    const char *via = relay                                  ? tl_relay_carrier_name(facts.by_udp)
                      : connected && facts.via == TL_VIA_LAN ? tl_lan_carrier_name(facts.by_tcp)
                                                             : NULL;
    return json_pack(
        "{s:s, s:s, s:s?, s:s?, s:s?, s:o, s:o, s:s?, s:o, s:o, s:s, s:b, s:b, s:o, s:o}",
        "node_id", hex, "name", p->name, "path", old ? tl_via_name(TL_VIA_PLAINTEXT) : path, "via",
        via, "relay", relay, "remote", tl_net_addr_json(&facts.remote), "rtt_ms",
        tl_net_ms_json(facts.rtt), "since", connected ? since : NULL, "models", models_of(p),
        "ptns", tl_node_ptns_of(n, &p->id), "nat_type", tl_nat_type_name(nat), "available",
        p->available, "paused", p->paused, "bytes_in",
        connected ? json_integer((json_int_t)facts.bytes_in) : json_null(), "bytes_out",
        connected ? json_integer((json_int_t)facts.bytes_out) : json_null());
}

/* Is the node connected, or does the relay list it? A connection whose path was lost says nothing:
 * the node may be gone. `listed`: the relay's word counts. */
static bool is_present(const tl_node *n, const tl_peer *p, bool listed)
{
    tl_peer_facts facts;
    return (p->listed && listed) || (tl_peers_facts(n->peers, p, &facts) && !facts.lost);
}

/* Nodes of the old protocol are counted only, unless this node speaks it. */
static bool is_shown(const tl_node *n, const tl_peer *p)
{
    return !p->in_clear || n->access.in_clear;
}

/* Was it dealt with, and is it not connected now, where no relay tells who is there? */
static bool is_away(const tl_node *n, const tl_peer *p)
{
    return (p->proven || p->kept || tl_access_is_member(&n->access, &p->id)) &&
           !tl_relays_is_registered(n->relays) && !is_present(n, p, true);
}

bool tl_node_is_about(const tl_node *n, const tl_peer *p)
{
    return is_shown(n, p) &&
           (is_present(n, p, tl_relays_is_registered(n->relays)) || is_away(n, p));
}

/* NULL: out of memory. */
static json_t *away_ids(const tl_node *n)
{
    json_t *list = json_array();
    char hex[TL_NODE_ID_HEX + 1];
    for (const tl_peer *p = n->table.peers; list && p; p = p->hh.next) {
        tl_node_id_write(hex, &p->id);
        if (is_away(n, p) && json_array_append_new(list, json_string(hex))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static bool is_among_peers(const tl_node *n, const tl_node_id *id)
{
    const tl_peer *p = tl_peer_table_find(&n->table, id);
    return p && is_shown(n, p) && is_present(n, p, tl_relays_is_registered(n->relays));
}

json_t *tl_node_peers(const tl_node *n)
{
    json_t *list = json_array();
    tl_peer *p, *next;
    tl_peer_facts facts;
    bool registered = tl_relays_is_registered(n->relays);
    for (int connected = 1; list && connected >= 0; connected--)
        HASH_ITER (hh, n->table.peers, p, next)
            if (is_shown(n, p) && tl_peers_facts(n->peers, p, &facts) == (connected == 1) &&
                is_present(n, p, registered) && json_array_append_new(list, peer_json(n, p))) {
                json_decref(list);
                return NULL;
            }
    return tl_node_add_aliases(
        n, json_pack("{s:o, s:o, s:o, s:I}", "peers", list, "away", away_ids(n), "announced",
                     tl_node_lan_announced(n, is_among_peers), "old_protocol",
                     (json_int_t)tl_peer_table_in_clear(&n->table)));
}

static json_t *traffic_json(const tl_peer *p, const tl_peer_facts *f)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &p->id);
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "node_id", hex, "path", tl_via_name(f->via),
                     "rtt_ms", tl_net_ms_json(f->rtt), "bytes_in", (json_int_t)f->bytes_in,
                     "bytes_out", (json_int_t)f->bytes_out, "answers", (json_int_t)f->streams);
}

json_t *tl_node_traffic(const tl_node *n)
{
    json_t *list = json_array();
    tl_peer_facts f;
    for (const tl_peer *p = n->table.peers; list && p; p = p->hh.next)
        if (tl_peers_facts(n->peers, p, &f))
            list = tl_json_append(list, traffic_json(p, &f));
    return json_pack("{s:I, s:o}", "at_ms", (json_int_t)(tl_loop_now(n->loop) / TL_MS), "peers",
                     list);
}

/* --- models --- */

/* The entry for `id` in the array; makes it if there is none. Borrowed. */
static json_t *model_entry(json_t *list, const char *id)
{
    size_t i;
    json_t *m;
    json_array_foreach (list, i, m)
        if (strcmp(tl_json_string(m, "id", ""), id) == 0)
            return m;
    m = json_pack("{s:s, s:b, s:[], s:{}}", "id", id, "local", 0, "peers", "ptns");
    return m && !json_array_append_new(list, m) ? m : NULL;
}

/* Adds the peer to those of the network that serve the model. */
static bool add_to_network(json_t *model, const tl_node_id *network, const char *peer)
{
    char id[TL_NODE_ID_HEX + 1];
    tl_node_id_write(id, network);
    json_t *ptns = json_object_get(model, "ptns"), *peers = json_object_get(ptns, id);
    if (!peers && (json_object_set_new(ptns, id, (peers = json_array()))))
        return false;
    return !json_array_append_new(peers, json_string(peer));
}

/* Of every network for which we may ask the peer. */
static bool add_to_networks(const tl_node *n, json_t *model, const tl_peer *p, const char *peer)
{
    for (size_t i = 0; i < tl_networks_count(n->book); i++) {
        const tl_node_id *network = &tl_networks_at(n->book, i)->id;
        if (!p->in_clear && !tl_access_to_peer(&n->access, &p->id, network) &&
            !add_to_network(model, network, peer))
            return false;
    }
    return true;
}

static bool add_peer_models(const tl_node *n, json_t *list, const tl_peer *p)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &p->id);
    for (size_t i = 0; i < p->n_models; i++) {
        json_t *m = model_entry(list, p->models[i]);
        if (!m || json_array_append_new(json_object_get(m, "peers"), json_string(hex)) ||
            !add_to_networks(n, m, p, hex))
            return false;
    }
    return true;
}

static bool may_ask(const tl_node *n, const tl_peer *p)
{
    tl_node_id network;
    if (p->in_clear)
        return !tl_access_to_old(&n->access, &p->id);
    return tl_access_network_to(&n->access, &p->id, &network) ||
           (!p->members_only && !tl_access_to_peer(&n->access, &p->id, NULL));
}

/* Its models would be listed, but for a pause. */
static bool is_paused(const tl_node *n, const tl_peer *p)
{
    return p->paused && is_present(n, p, true);
}

/* Known, and not connected now: a question for one of its models looks for it. Where a relay tells who is there,
 * nobody is. */
static bool is_to_be_found(const tl_node *n, const tl_peer *p)
{
    return !p->paused && is_away(n, p);
}

/* Peers with models that may be asked, and of which `is` is true. NULL: out of memory. */
static json_t *with_models_json(const tl_node *n, bool (*is)(const tl_node *n, const tl_peer *p))
{
    json_t *list = json_array();
    char hex[TL_NODE_ID_HEX + 1];
    for (tl_peer *p = n->table.peers; list && p; p = p->hh.next) {
        if (!p->n_models || !is(n, p) || !may_ask(n, p))
            continue;
        tl_node_id_write(hex, &p->id);
        list = tl_json_append(list, json_pack("{s:s, s:s, s:o}", "node_id", hex, "name", p->name,
                                              "models", models_of(p)));
    }
    return list;
}

bool tl_node_lists(const tl_node *n, const char *model)
{
    size_t local = n->backend ? tl_backend_model_count(n->backend) : 0;
    for (size_t i = 0; i < local; i++)
        if (strcmp(tl_backend_model(n->backend, i), model) == 0)
            return true;
    for (const tl_peer *p = n->table.peers; p; p = p->hh.next)
        for (size_t i = 0; i < p->n_models; i++)
            if (strcmp(p->models[i], model) == 0)
                return true;
    return false;
}

json_t *tl_node_models(const tl_node *n)
{
    json_t *list = json_array();
    size_t local = n->backend ? tl_backend_model_count(n->backend) : 0;
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < local; i++) {
        json_t *m = model_entry(list, tl_backend_model(n->backend, i));
        ok = m && !json_object_set_new(m, "local", json_true());
    }
    tl_peer *p, *next;
    HASH_ITER (hh, n->table.peers, p, next)
        if (ok && p->available && is_present(n, p, true) && may_ask(n, p))
            ok = add_peer_models(n, list, p);
    if (!ok || !tl_node_add_offers(n, list)) {
        json_decref(list);
        return NULL;
    }
    return tl_node_add_aliases(n, json_pack("{s:o, s:o, s:o}", "models", list, "paused",
                                            with_models_json(n, is_paused), "away",
                                            with_models_json(n, is_to_be_found)));
}

/* --- events --- */

void tl_node_listen(tl_node *n, tl_node_listener *l)
{
    l->next = n->listeners;
    n->listeners = l;
}

void tl_node_unlisten(tl_node *n, tl_node_listener *l)
{
    for (tl_node_listener **at = &n->listeners; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            return;
        }
}

void tl_node_emit(tl_node *n, const char *name, json_t *data)
{
    char at[32];
    tl_node_write_time(at, tl_loop_unix());
    data = tl_node_add_aliases(n, data);
    if (!data || json_object_set_new(data, "at", json_string(at))) {
        json_decref(data); /* out of memory: the event is lost */
        return;
    }
    for (tl_node_listener *l = n->listeners, *next; l; l = next) {
        next = l->next;
        l->on_event(l->user, name, data);
    }
    json_decref(data);
}

void tl_node_tell_waiting(tl_node *n, const char *request, const char *model, const tl_progress *p,
                          tl_time waited)
{
    if (n->listeners)
        tl_node_emit(n, "Waiting",
                     json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "request", request, "model", model,
                               "for", tl_progress_waits_for(p), "seconds", (int)(waited / TL_SEC),
                               "position", (int)p->position, "wait_s", (int)p->wait_seconds));
}

/* `changed`: adds the path that was told before. */
static json_t *peer_event(const tl_node *n, tl_peer *p, bool changed, const char *why)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_peer_facts facts = {.via = p->told_via};
    bool connected = tl_peers_facts(n->peers, p, &facts);
    tl_via from = p->told_via;
    tl_node_id_write(hex, &p->id);
    p->told_via = facts.via;
    return json_pack("{s:s, s:s, s:s, s:s*, s:o, s:o, s:s?}", "node_id", hex, "name", p->name,
                     "path", tl_via_name(facts.via), "from", changed ? tl_via_name(from) : NULL,
                     "remote", tl_net_addr_json(&facts.remote), "rtt_ms", tl_net_ms_json(facts.rtt),
                     "why", why || !connected ? why : tl_net_rule(&facts));
}

void tl_node_emit_peer(tl_node *n, const char *name, const tl_peer *peer, const char *why)
{
    tl_peer *p = tl_peer_table_find(&n->table, &peer->id);
    if (!p)
        return;
    bool changed = strcmp(name, "PathChanged") == 0;
    tl_node_emit(n, name, peer_event(n, p, changed, why));
}

void tl_node_emit_network(tl_node *n, unsigned why)
{
    tl_net_view v;
    if (!n->listeners)
        return;
    tl_net_view_of(n, &v);
    tl_node_emit(n, "NetworkChanged",
                 json_pack("{s:b, s:b, s:o}", "moved", why != 0, "slept",
                           (why & TL_NETWORK_WOKE) != 0, "nat", tl_net_nat_json(&v)));
}

/* What a phase counts; a new reference. NULL: out of memory. */
static json_t *phase_counts(const tl_step *step)
{
    const tl_phases_counts *c = &step->counts;
    switch (step->phase) {
    case TL_PHASE_MIGRATION:
        return json_pack("{s:i, s:i, s:i}", "connections", (int)c->connections, "carry",
                         (int)c->carry, "answers", (int)c->answers);
    case TL_PHASE_STUN: return json_pack("{s:b}", "address_known", c->address);
    case TL_PHASE_REESTABLISH:
        return json_pack("{s:i, s:i}", "wanted", (int)c->wanted, "back", (int)c->back);
    case TL_PHASE_RESTING: break;
    }
    return NULL;
}

void tl_node_emit_phase(tl_node *n, const tl_step *step)
{
    tl_net_view v;
    if (!n->listeners)
        return;
    tl_net_view_of(n, &v);
    json_t *counts = phase_counts(step);
    json_t *data =
        json_pack("{s:b, s:b, s:o, s:s, s:s, s:I}", "moved", false, "slept", false, "nat",
                  tl_net_nat_json(&v), "phase", tl_phase_name(step->phase), "state",
                  tl_phase_state_name(step->state), "after_ms", (json_int_t)(step->after / TL_MS));
    if (data && counts && json_object_update(data, counts)) {
        json_decref(data);
        data = NULL;
    }
    json_decref(counts);
    tl_node_emit(n, "NetworkChanged", data);
}
