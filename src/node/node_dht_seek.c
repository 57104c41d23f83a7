/* Looks in the DHT for peers of which nothing but the ID is known, and carries out what peer/seek decides. */
#include "node/dht_state.h"
#include "node/lan_state.h"
#include "node/reach.h"

#include "base/log.h"
#include "wire/wsurl.h"

#define QUORUM      2 /* nodes that must have the same record; the first liar is not believed alone */
#define FOUND_MAX   2 /* introducers of a peer that this node would be attached to itself */
#define ENTER_FOR   (7 * TL_SEC) /* of the 10 s of a dial: the DHT is just being entered */
#define ENTER_AGAIN (250 * TL_MS)
#define VISIT_FOR   (60 * TL_SEC) /* at a relay of a peer, after it was last of use */

static tl_time now_of(const tl_node_dht *d)
{
    return tl_loop_now(d->node->loop);
}

/* --- asking the DHT --- */

static const char *why_none(const tl_dht_result *result)
{
    if (!result->answered)
        return "no node of the DHT answered (see: teale doctor)";
    if (result->refused)
        return "its record in the DHT is not signed by it";
    return "the DHT has no record of it: is it up, and is dht.publish on there?";
}

/* NULL: it is. */
static const char *why_not_fresh(tl_node_dht *d, const tl_node_id *peer, int64_t seq)
{
    switch (tl_freshness_of(&d->freshness, peer, seq, tl_loop_unix())) {
    case TL_FRESH: break;
    case TL_FRESH_OLD:
        return "its last record in the DHT is more than a day old: it is not up any more, or a "
               "clock is wrong, there or here";
    case TL_FRESH_ROLLED_BACK:
        return "the DHT has an older record of it than before, which is not followed";
    }
    return NULL;
}

static bool is_free(const tl_node_dht *d, size_t i)
{
    return !d->asked[i].request && !d->asked[i].until;
}

/* Nobody answered: at the start of a node, or after a change of network, somebody may in a moment. */
static bool waits(tl_node_dht *d, size_t i, const tl_dht_result *result)
{
    tl_time now = now_of(d);
    if (result->answered || tl_node_dht_is_ready(d->node) || now >= d->asked[i].until)
        return false;
    d->asked[i].again_at = now + ENTER_AGAIN;
    tl_node_wake(d->node);
    return true;
}

static void on_done(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result)
{
    tl_node_dht *d = user;
    tl_dht_record record;
    const tl_dht_record *use = NULL;
    const char *why;
    size_t i = 0;
    while (i < TL_SEEKS_MAX && d->asked[i].request != request)
        i++;
    if (i == TL_SEEKS_MAX)
        return;
    tl_node_id peer = d->asked[i].peer;
    d->asked[i].request = 0;
    if (waits(d, i, result))
        return;
    d->asked[i].until = 0;
    if (!item)
        why = why_none(result);
    else if (tl_dht_record_parse(tl_dht_item_value(item), &record))
        why = "its record in the DHT is not understood";
    else if (!(why = why_not_fresh(d, &peer, item->seq)))
        use = &record;
    tl_seek_on_record(d->seek, &peer, use, why, now_of(d));
    tl_node_wake(d->node);
}

static bool ask_dht(tl_node_dht *d, size_t i)
{
    tl_dht_ask ask = {.on_done = on_done, .user = d};
    d->asked[i].again_at = TL_NEVER;
    return !tl_dht_get(d->core, d->asked[i].peer.key, TL_DHT_RECORD_SALT, QUORUM, &ask, now_of(d),
                       &d->asked[i].request);
}

static bool look(void *user, const tl_node_id *peer)
{
    tl_node_dht *d = user;
    size_t i = 0;
    while (i < TL_SEEKS_MAX && !is_free(d, i))
        i++;
    if (i == TL_SEEKS_MAX)
        return false;
    d->asked[i].peer = *peer;
    if (!ask_dht(d, i))
        return false;
    d->asked[i].until = now_of(d) + ENTER_FOR;
    return true;
}

static void ask_again(tl_node_dht *d, tl_time now)
{
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (d->asked[i].until && !d->asked[i].request && now >= d->asked[i].again_at &&
            !ask_dht(d, i)) {
            tl_node_id peer = d->asked[i].peer;
            d->asked[i].until = 0;
            tl_seek_on_record(d->seek, &peer, NULL, "this node asks the DHT too much now", now);
        }
}

static void unlook(void *user, const tl_node_id *peer)
{
    tl_node_dht *d = user;
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (!is_free(d, i) && tl_node_id_eq(&d->asked[i].peer, peer)) {
            if (d->asked[i].request)
                tl_dht_cancel(d->core, d->asked[i].request);
            d->asked[i].request = 0;
            d->asked[i].until = 0;
        }
}

/* --- the three tiers --- */

/* What a record names is of the internet: a peer on our own network is found there. */
static bool may_send(void *user, const tl_addr *addr)
{
    const tl_node_dht *d = user;
    tl_addr_kind kind = tl_addr_kind_of(addr);
    bool here = d->on_loopback && tl_addr_is_loopback(addr) && addr->port;
    return (kind == TL_ADDR_GLOBAL || here) && !tl_node_is_ours(d->node, addr);
}

static tl_control_nat own_nat(void *user)
{
    return tl_dht_own_nat(((tl_node_dht *)user)->node);
}

static void know(void *user, const tl_node_id *peer, const tl_whereabouts *where)
{
    const tl_node *n = ((tl_node_dht *)user)->node;
    tl_introducers_know(tl_peers_introducers(n->peers), peer, where);
    tl_direct_found(n->direct, peer);
}

/* An address that is written in the URL is to be one of the internet. A name is looked up by the relay's
 * client, as one in the settings is. */
static bool is_visitable(const tl_node_dht *d, const char *url)
{
    tl_wsurl parsed;
    tl_addr addr;
    tl_why why;
    if (tl_wsurl_parse(url, &parsed, &why) || (parsed.loopback && !d->on_loopback))
        return false;
    if (!tl_addr_parse_ip(tl_slice_str(parsed.host), &addr) && !parsed.loopback) {
        addr.port = parsed.port;
        if (tl_addr_kind_of(&addr) != TL_ADDR_GLOBAL)
            return false;
    }
    return parsed.tls || parsed.loopback || d->node->settings.wan_allow_insecure_relay;
}

/* Does something pass through the visited relay that we want: questions of ours, or a member of our networks?
 * A stranger must not keep this node from the relays of others by a session that he holds there. */
static bool visit_is_of_use(const tl_node *n)
{
    tl_peer_facts facts;
    for (const tl_peer *p = n->table.peers; p; p = p->hh.next)
        if (tl_peers_facts(n->peers, p, &facts) && facts.relay < TL_RELAYS_MAX &&
            (facts.asked || tl_access_is_member(&n->access, &p->id)))
            return true;
    return false;
}

/* Only a node that has no relay of its own visits those of others, one at a time. One that brought nothing in
 * TL_SEEK_RELAY_FOR makes room for that of another peer. */
static tl_seek_visit visit(void *user, const tl_node_id *peer, const char *url)
{
    tl_node_dht *d = user;
    tl_node *n = d->node;
    tl_time now = now_of(d);
    bool there = !strcmp(d->visited, url);
    if (!tl_node_wants_no_relay(n) || !is_visitable(d, url))
        return TL_SEEK_REFUSES;
    if (d->visited[0] && !there && (now < d->visited_at + TL_SEEK_RELAY_FOR || visit_is_of_use(n)))
        return TL_SEEK_BUSY;
    if (!there && tl_node_visit_relay(n, url))
        return TL_SEEK_REFUSES;
    if (!there)
        d->visited_at = now;
    snprintf(d->visited, sizeof d->visited, "%s", url);
    d->visit_until = now + VISIT_FOR;
    tl_peers_retry(n->peers, peer);
    return TL_SEEK_VISITS;
}

static void ask_nodes(void *user, const tl_node_id *peer, const tl_relayer_name *names,
                      size_t count)
{
    tl_node *n = ((tl_node_dht *)user)->node;
    tl_peer *p = tl_peer_table_get(&n->table, peer);
    if (p && !p->relaying.n_by) /* its own word, where there is one, is newer */
        while (p->relaying.n_by < count && p->relaying.n_by < TL_RELAYED_BY_MAX) {
            p->relaying.by[p->relaying.n_by] = names[p->relaying.n_by];
            p->relaying.n_by++;
        }
    tl_peers_retry(n->peers, peer);
}

static void over(void *user, const tl_node_id *peer, const tl_whereabouts *where, const char *why)
{
    tl_peers_on_looked(((tl_node_dht *)user)->node->peers, peer, where, why);
}

/* --- the visit to a relay --- */

static void end_visit(tl_node_dht *d)
{
    d->visited[0] = 0;
    if (tl_node_wants_no_relay(d->node)) /* else another relay has taken its place */
        tl_node_apply_relay(d->node);
}

static void follow_visit(tl_node_dht *d, tl_time now)
{
    if (!d->visited[0] || now < d->visit_until)
        return;
    if (visit_is_of_use(d->node) && tl_node_wants_no_relay(d->node))
        d->visit_until = now + VISIT_FOR;
    else
        end_visit(d);
}

/* --- as node_dht.c needs it --- */

tl_err tl_dht_open_seek(tl_node_dht *d)
{
    static const tl_seek_world world = {look, unlook, may_send,  own_nat,
                                        know, visit,  ask_nodes, over};
    return tl_seek_new(&d->node->identity.id, &world, d, &d->seek);
}

void tl_dht_close_seek(tl_node_dht *d)
{
    if (d->node->stage != TL_NODE_GONE) { /* else nobody is left to be told */
        tl_seek_end_all(d->seek, "this node has left the DHT");
        if (d->visited[0])
            end_visit(d);
    }
    tl_seek_free(d->seek);
}

void tl_dht_seek_on_timer(tl_node_dht *d, tl_time now)
{
    ask_again(d, now);
    tl_seek_on_timer(d->seek, now);
    follow_visit(d, now);
}

tl_time tl_dht_seek_expiry(const tl_node_dht *d)
{
    tl_time at = tl_time_min(tl_seek_expiry(d->seek), d->visited[0] ? d->visit_until : TL_NEVER);
    for (size_t i = 0; i < TL_SEEKS_MAX; i++)
        if (d->asked[i].until && !d->asked[i].request)
            at = tl_time_min(at, d->asked[i].again_at);
    return at;
}

bool tl_node_on_sought(void *user, const tl_node_id *peer)
{
    tl_node *n = user;
    bool runs = n->stage == TL_NODE_RUNNING && !tl_node_is_aside(n);
    bool in_dht = n->dht && runs && tl_seek_start(n->dht->seek, peer);
    bool near = runs && tl_node_lan_seek(n, peer, !in_dht);
    return in_dht || near;
}

/* Those that introduced the peer to us may introduce us, too. What the record of one who was not reached names may
 * be anybody. */
static void offer_introducers(tl_node *n, const tl_node_id *peer)
{
    tl_whereabouts where;
    if (!tl_seek_where(n->dht->seek, peer, &where) || where.n_addrs)
        return;
    for (size_t i = 0; i < where.n_introducers && i < FOUND_MAX; i++)
        tl_introducers_found(tl_peers_introducers(n->peers), &where.introducers[i]);
}

void tl_node_dht_reached(tl_node *n, const tl_peer *peer)
{
    tl_peer_facts facts;
    if (!n->dht)
        return;
    bool reached = tl_peers_facts(n->peers, peer, &facts);
    if (tl_seek_is_on(n->dht->seek, &peer->id)) {
        if (reached && facts.via != TL_VIA_RELAYED)
            offer_introducers(n, &peer->id);
        tl_seek_end(n->dht->seek, &peer->id);
        tl_peers_on_looked(n->peers, &peer->id, NULL, "it is connected");
    }
    if (reached && facts.via != TL_VIA_RELAYED)
        tl_node_dht_met(n, &facts.remote);
}
