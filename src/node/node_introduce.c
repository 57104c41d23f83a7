/* Introductions (docs/protocol.md "Introducers"): what this node does for others, by relay/introducer and the
 * table of attached nodes; whom it asks itself, by peer/introducers; and what is told of both. */
#include "node/state.h"

#include "base/log.h"
#include "node/facts.h"
#include "node/node_net_report.h"
#include "node/reach.h"
#include "relay/introducer.h"
#include "tell/relaying.h"

#include <stdlib.h>

#define REVIEW_EVERY (10 * TL_SEC) /* certificates end */
#define LOOK_EVERY   (1 * TL_SEC)  /* at what is known of the NAT, which may change */

struct tl_node_introducing {
    tl_attached *attached;
    tl_introducer *core;
    tl_relaying now, told; /* where it introduces others, or why it does not */
    tl_time look_at, review_at;
    tl_bursts bursts;
    bool changed; /* the nodes that introduce us are others than we told */
};

static tl_time now_of(const tl_node *n)
{
    return tl_loop_now(n->loop);
}

/* --- where it introduces others --- */

/* The same tests as for a node that relays: do strangers reach it? Whoever says "on", or relays, knows. */
static void judge(const tl_node *n, tl_relaying *ret_relaying)
{
    static const tl_nat_facts nothing;
    const tl_network *w = n->network;
    const tl_settings *s = &n->settings;
    const tl_nat_facts *nat = w ? tl_network_facts(w) : &nothing;
    bool told = !strcmp(s->nat_introduce, "on") ||
                (!strcmp(s->nat_introduce, "auto") && s->nat_relay_enabled);
    tl_relaying_facts f = {.enabled = strcmp(s->nat_introduce, "off") != 0,
                           .wan_enabled = s->wan_enabled,
                           .direct_on = s->nat_direct,
                           .leaving = n->stage > TL_NODE_RUNNING,
                           .network_error = n->network_error[0] ? n->network_error : NULL,
                           .port = w ? tl_network_port(w) : 0,
                           .nat = nat,
                           .mapped = w && tl_network_mapped_by(w)};
    tl_relaying_judge(&f, ret_relaying);
    bool open =
        ret_relaying->state == TL_RELAYING_CLOSED || ret_relaying->state == TL_RELAYING_UNPROVEN;
    if (open && told && tl_addr_kind_of(&nat->public4) == TL_ADDR_GLOBAL)
        *ret_relaying = (tl_relaying){.state = TL_RELAYING_SERVING, .address = nat->public4};
}

void tl_node_introducing_of(const tl_node *n, tl_relaying *ret_introducing)
{
    if (n->introducing)
        *ret_introducing = n->introducing->now;
    else
        judge(n, ret_introducing);
}

static bool serves(const tl_node *n)
{
    return n->introducing && n->introducing->now.state == TL_RELAYING_SERVING;
}

static void follow(const tl_node *n)
{
    static const tl_addr none;
    struct tl_node_introducing *i = n->introducing;
    tl_relaying relaying;
    judge(n, &i->now);
    tl_node_relaying_of(n, &relaying);
    tl_introducer_set_serving(i->core, serves(n));
    bool both = serves(n) || relaying.state == TL_RELAYING_SERVING;
    const tl_addr *at = serves(n) ? &i->now.address : &relaying.address;
    tl_attached_set_address(i->attached, both ? at : &none, &none);
    struct tl_dht *dht = tl_node_dht_core(n);
    /* Who publishes nothing is not to be named together with its address by a ping either. */
    if (dht)
        tl_dht_set_introduces(dht,
                              serves(n) && tl_node_dht_publishes(n) ? n->identity.id.key : NULL);
}

void tl_node_follow_relaying(const tl_node *n)
{
    if (n->introducing && n->network)
        follow(n);
}

/* --- what the table of attached nodes asks --- */

static bool admits(void *user, const tl_node_id *node)
{
    return serves(user) || tl_node_relays_for(user, node);
}

static bool is_own(const tl_node *n, const tl_addr *addr)
{
    size_t count;
    const tl_interface *own = tl_network_interfaces(n->network, &count);
    const tl_nat_facts *nat = tl_network_facts(n->network);
    if (tl_addr_eq(addr, &nat->public4) || tl_addr_eq(addr, &nat->public6))
        return true;
    for (size_t i = 0; addr->port == tl_network_port(n->network) && i < count; i++)
        if (tl_addr_same_ip(addr, &own[i].addr))
            return true;
    return false;
}

bool tl_node_is_ours(void *user, const tl_addr *addr)
{
    const tl_node *n = user;
    tl_addr relays[2];
    if (is_own(n, addr) || tl_peers_is_relay(n->peers, addr))
        return true;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        const char *udp = tl_relay_link_udp(tl_relays_link(n->relays, i));
        size_t count = udp[0] ? tl_network_relay_addrs(n->network, udp, relays) : 0;
        while (count > 0)
            if (tl_addr_eq(addr, &relays[--count]))
                return true;
    }
    return false;
}

static bool find(void *user, const tl_node_id *node, tl_burst_way *ret_way)
{
    const tl_node *n = user;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    size_t count = tl_direct_ways(n->direct, node, ways);
    for (size_t i = 0; i < count; i++)
        if (ways[i].remote.family == TL_ADDR_V4) {
            *ret_way = (tl_burst_way){.remote = ways[i].remote};
            return true;
        }
    return false;
}

/* --- life --- */

void tl_node_apply_introducing(tl_node *n)
{
    static const tl_attached_world world = {admits, tl_node_is_ours, find};
    const tl_string_list *given = &n->settings.nat_introducers;
    tl_relayer_name names[TL_SETTING_LIST_MAX];
    size_t count = 0;
    for (size_t i = 0; i < given->n; i++)
        if (!tl_introducer_parse(tl_slice_str(given->item[i]), &names[count]))
            count++;
    if (count > TL_INTRODUCERS_GIVEN_MAX)
        tl_log(TL_LOG_WARN, "nat.introducers: the first %d of %zu are used",
               TL_INTRODUCERS_GIVEN_MAX, count);
    tl_introducers_give(tl_peers_introducers(n->peers), names, count);
    if (!n->network || n->introducing) {
        if (n->introducing)
            follow(n);
        return;
    }
    struct tl_node_introducing *i = calloc(1, sizeof *i);
    if (!i || tl_attached_new(&n->identity, &world, n, &n->rand, now_of(n), &i->attached) ||
        tl_introducer_new(&n->identity, i->attached, &i->core)) {
        if (i)
            tl_attached_free(i->attached);
        free(i);
        tl_log(TL_LOG_ERROR, "out of memory: nobody is introduced, and nothing relayed");
        return;
    }
    n->introducing = i;
    follow(n);
}

void tl_node_free_introducing(tl_node *n)
{
    struct tl_node_introducing *i = n->introducing;
    if (!i)
        return;
    tl_introducer_free(i->core);
    tl_attached_free(i->attached);
    tl_bursts_clear(&i->bursts);
    free(i);
    n->introducing = NULL;
}

tl_attached *tl_node_attached(const tl_node *n)
{
    return n->introducing->attached;
}

const tl_attached_counters *tl_node_attached_counters(const tl_node *n)
{
    static const tl_attached_counters none;
    return n->introducing ? tl_attached_counters_of(n->introducing->attached) : &none;
}

/* --- datagrams --- */

static void send_output(const tl_node *n, const tl_introducer_output *out)
{
    tl_bursts *bursts = &n->introducing->bursts;
    if (out->n && !tl_bursts_add(bursts, &out->way, tl_slice_of(out->bytes, out->n)))
        tl_network_send_bursts(n->network, bursts);
    tl_bursts_reset(bursts);
}

bool tl_node_introduce_control(tl_node *n, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    const struct tl_node_introducing *i = n->introducing;
    tl_introducer_output out;
    tl_burst_way way;
    if (!i || !tl_network_way(n->network, sock, from, &way) ||
        !tl_introducer_on_control(i->core, &way, datagram, now_of(n), tl_loop_unix(), &out))
        return false;
    send_output(n, &out);
    tl_node_wake(n);
    return true;
}

/* --- what direct asks --- */

/* Nobody is nearer to a peer that is attached here than this node. */
static bool call(const tl_node *n, const tl_node_id *peer, const uint8_t *nonce)
{
    tl_introducer_output out;
    const tl_nat_facts *nat = tl_network_facts(n->network);
    if (!n->introducing || !tl_introducer_call(n->introducing->core, peer, nonce,
                                               tl_control_nat_named(tl_nat_tesseras_type(nat)),
                                               now_of(n), tl_loop_unix(), &out))
        return false;
    send_output(n, &out);
    return true;
}

bool tl_node_ask_introduction(void *user, const tl_node_id *peer,
                              const uint8_t nonce[TL_CONTROL_NONCE_SIZE], unsigned nth)
{
    const tl_node *n = user;
    if (!n->network || !n->settings.wan_enabled)
        return false;
    bool called = call(n, peer, nonce);
    return tl_introducers_ask(tl_peers_introducers(n->peers), peer, nonce, nth) || called;
}

/* Also a peer that has a direct way to us, over which it introduces others (`find` above). */
bool tl_node_is_introducer(void *user, const tl_node_id *node, const tl_addr *from,
                           tl_addr *ret_seen)
{
    const tl_node *n = user;
    tl_direct_way ways[TL_DIRECT_WAYS_MAX];
    if (tl_introducers_is(tl_peers_introducers(n->peers), node, from, ret_seen))
        return true;
    size_t count = tl_direct_ways(n->direct, node, ways);
    for (size_t i = 0; i < count; i++)
        if (tl_addr_eq(&ways[i].remote, from))
            return true;
    return false;
}

/* --- told --- */

void tl_node_on_introducible(void *user)
{
    tl_node *n = user;
    if (n->introducing)
        n->introducing->changed = true;
    tl_node_dht_stale(n);
    tl_node_wake(n);
}

json_t *tl_node_introduces_capability(const tl_node *n)
{
    char at[TL_ADDR_TEXT_MAX];
    if (!serves(n) || n->stage > TL_NODE_RUNNING)
        return NULL;
    tl_addr_write(at, &n->introducing->now.address);
    return json_pack("{s:[s]}", "addresses", at);
}

static json_t *name_json(const tl_introducer_facts *f, bool whole)
{
    char hex[TL_NODE_ID_HEX + 1], at[TL_ADDR_TEXT_MAX];
    tl_node_id_write(hex, &f->name.id);
    tl_addr_write(at, &f->name.addr);
    if (!whole)
        return json_pack("{s:s, s:s}", "nodeID", hex, "address", at);
    return json_pack("{s:s, s:s, s:o, s:o, s:b}", "node_id", hex, "address", at, "rtt_ms",
                     tl_net_ms_json(f->rtt), "seen_as", tl_net_addr_json(&f->seen), "given",
                     f->given);
}

static json_t *names_json(const tl_node *n, size_t max, bool whole)
{
    tl_introducer_facts all[TL_INTRODUCERS_MAX];
    size_t count = tl_introducers_attached(tl_peers_introducers(n->peers), all);
    json_t *list = json_array();
    for (size_t i = 0; list && i < count && i < max; i++)
        list = tl_json_append(list, name_json(&all[i], whole));
    return list;
}

json_t *tl_node_introduced_capability(const tl_node *n)
{
    json_t *list = names_json(n, TL_INTRODUCED_BY_MAX, false);
    if (json_array_size(list))
        return list;
    json_decref(list);
    return NULL;
}

json_t *tl_node_introducing_json(const tl_node *n)
{
    tl_relaying r;
    static const tl_introducer_counters none;
    const tl_introducer_counters *c =
        n->introducing ? tl_introducer_counters_of(n->introducing->core) : &none;
    tl_node_introducing_of(n, &r);
    json_t *addresses =
        r.address.family ? json_pack("[o]", tl_net_addr_json(&r.address)) : json_array();
    return json_pack("{s:s, s:s?, s:s?, s:o, s:I, s:I, s:I, s:o}", "state",
                     tl_relaying_state_name(r.state), "reason", r.reason[0] ? r.reason : NULL,
                     "remedy", r.remedy[0] ? r.remedy : NULL, "addresses", addresses, "attached",
                     (json_int_t)tl_node_attached_counters(n)->attached, "introduced",
                     (json_int_t)c->intros[TL_ASKED_TAKEN], "answered", (json_int_t)c->answered,
                     "by", names_json(n, TL_INTRODUCERS_MAX, true));
}

void tl_node_introducing_facts_of(const tl_node *n, tl_introducing_counts *ret_facts)
{
    tl_introducer_facts by[TL_INTRODUCERS_MAX];
    const tl_introducers *own = tl_peers_introducers(n->peers);
    *ret_facts = (tl_introducing_counts){.serving = serves(n),
                                         .attached = *tl_node_attached_counters(n),
                                         .asked = *tl_introducers_counters_of(own),
                                         .attached_to = tl_introducers_attached(own, by)};
    if (n->introducing)
        ret_facts->made = *tl_introducer_counters_of(n->introducing->core);
}

void tl_node_doctor_introducers(const tl_node *n, tl_doctor_facts *facts)
{
    tl_introducer_facts by[TL_INTRODUCERS_MAX];
    const tl_introducers *own = tl_peers_introducers(n->peers);
    size_t count = tl_introducers_attached(own, by);
    const tl_nat_facts *nat = facts->nat;
    facts->introducers.given = n->settings.nat_introducers.n;
    facts->introducers.needless = nat && nat->mapping == TL_MAPPING_NONE &&
                                  nat->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT;
    for (size_t i = 0; i < count; i++)
        if (by[i].given)
            facts->introducers.answering++;
        else
            facts->introducers.others++;
}

/* --- driving --- */

static void log_state(const tl_relaying *now)
{
    char at[TL_ADDR_TEXT_MAX];
    tl_addr_write(at, &now->address);
    if (now->state == TL_RELAYING_SERVING)
        tl_log(TL_LOG_INFO, "introducing nodes behind NATs to each other at %s", at);
}

void tl_node_run_introducing(tl_node *n)
{
    struct tl_node_introducing *i = n->introducing;
    if (!i)
        return;
    if (now_of(n) >= i->look_at) {
        i->look_at = now_of(n) + LOOK_EVERY;
        follow(n);
    }
    if (i->now.state != i->told.state || !tl_addr_eq(&i->now.address, &i->told.address)) {
        bool served = serves(n) || i->told.state == TL_RELAYING_SERVING;
        i->told = i->now;
        log_state(&i->now);
        i->changed |= served;
    }
    if (i->changed) {
        i->changed = false;
        tl_node_tell_capabilities(n);
    }
    if (now_of(n) >= i->review_at) {
        i->review_at = now_of(n) + REVIEW_EVERY;
        tl_attached_review(i->attached, now_of(n));
    }
}

void tl_node_introducing_on_timer(tl_node *n)
{
    if (n->introducing)
        tl_introducer_on_timer(n->introducing->core, now_of(n));
}

tl_time tl_node_introducing_expiry(const tl_node *n)
{
    const struct tl_node_introducing *i = n->introducing;
    if (!i)
        return TL_NEVER;
    tl_time at = tl_introducer_expiry(i->core);
    if (n->stage == TL_NODE_RUNNING)
        at = tl_time_min(at, i->look_at);
    return tl_node_attached_counters(n)->attached ? tl_time_min(at, i->review_at) : at;
}
