#include "peer/relays.h"

#include "base/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* A session that waits for relayReady. */
typedef struct {
    tl_path_id path;
    tl_node_id peer;
    unsigned tried; /* relays, as bits; of the nodes together the one above */
    tl_path_id but; /* not at the node that relays the session with this id; 0: at any */
    UT_hash_handle hh;
    size_t first_n; /* what rides in relayOpen, at each relay that is tried */
    uint8_t first[];
} opening;

/* A discovery that was asked at several relays. */
typedef struct {
    char model[TL_MODEL_MAX];
    unsigned waits; /* relays that have not answered, as bits */
    bool ok;        /* one has answered */
} asked;

/* What an event of a link is given as its user. */
typedef struct {
    tl_relays *relays;
    size_t i;
} port;

struct tl_relays {
    const tl_identity *identity;
    tl_peer_table *table;
    tl_relay_link_events events;
    void *user;
    tl_relay_link *link[TL_RELAYS_MAX];
    tl_relayers *nodes;           /* NULL: none */
    port port[TL_RELAYS_MAX + 1]; /* the last is theirs */
    tl_time rtt[TL_RELAYS_MAX];
    bool leaving[TL_RELAYS_MAX];
    size_t telling;
    opening *openings; /* at most TL_RELAY_SESSIONS_MAX for each link */
    size_t n_asked;
    asked asked[TL_RELAY_QUERIES_MAX];
};

static bool stands(const tl_relays *r, size_t i)
{
    return tl_relay_link_is_registered(r->link[i]);
}

#define NODES        TL_RELAYS_MAX /* the nodes that relay, as a place beside the relays */
#define NEARER       2             /* so much longer must the way over the relay be, */
#define NEARER_LEAST (30 * TL_MS)  /* and so much, for a node that relays to be preferred */

/* --- who is where --- */

static void set_at(tl_relays *r, const tl_node_id *id, size_t i, bool at)
{
    if (i == NODES)
        return;
    tl_peer *p = tl_peer_table_find(r->table, id);
    if (!p)
        return;
    if (at)
        p->at_relays |= 1u << i;
    else
        p->at_relays &= ~(1u << i);
}

/* Nobody is known to be at the i-th relay: the connection to it has ended. */
static void forget_all(tl_relays *r, size_t i)
{
    tl_peer *p, *next;
    HASH_ITER (hh, r->table->peers, p, next) {
        p->at_relays &= ~(1u << i);
        p->relay_rtt[i] = 0;
    }
}

/* Smaller is better. The peer's own way to the relay is not known before it was measured. */
static tl_time cost(const tl_relays *r, const tl_peer *p, size_t i)
{
    if (p && p->relay_rtt[i])
        return p->relay_rtt[i];
    return r->rtt[i] ? 2 * r->rtt[i] : TL_SEC;
}

/* Is the i-th relay rather the one than the j-th? First, one that stays; then one where the peer is known
 * to be; then the nearer one. */
static bool is_better(const tl_relays *r, const tl_peer *p, size_t i, size_t j)
{
    if (r->leaving[i] != r->leaving[j])
        return !r->leaving[i];
    bool at_i = p && p->at_relays >> i & 1, at_j = p && p->at_relays >> j & 1;
    if (at_i != at_j)
        return at_i;
    return cost(r, p, i) < cost(r, p, j);
}

/* The best relay for a session with the peer, not among `but` (bits). TL_RELAYS_MAX: none. */
static size_t best(const tl_relays *r, const tl_node_id *peer, unsigned but)
{
    const tl_peer *p = tl_peer_table_find(r->table, peer);
    size_t found = TL_RELAYS_MAX;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (stands(r, i) && !(but >> i & 1) &&
            (found == TL_RELAYS_MAX || is_better(r, p, i, found)))
            found = i;
    return found;
}

/* Is the i-th relay worse than a node that relays, as far as both round trips are known? */
static bool is_far(const tl_relays *r, const tl_node_id *peer, size_t i)
{
    const tl_peer *p = tl_peer_table_find(r->table, peer);
    tl_time over = tl_relayers_rtt(r->nodes, peer);
    bool known = r->rtt[i] || (p && p->relay_rtt[i]);
    return over && known && cost(r, p, i) > NEARER * over && cost(r, p, i) > over + NEARER_LEAST;
}

/* Where to open a session: a relay, NODES, or beyond that nowhere. A peer that is not known to be attached
 * anywhere is looked for at our own nodes only if there is no relay that could know it. */
static size_t place(const tl_relays *r, const tl_node_id *peer, unsigned tried, tl_path_id but)
{
    size_t i = best(r, peer, tried);
    bool nodes = r->nodes && !(tried >> NODES & 1) &&
                 tl_relayers_can_open(r->nodes, peer, !tl_relays_is_registered(r), but);
    if (i == TL_RELAYS_MAX)
        return nodes ? NODES : NODES + 1;
    return nodes && (r->leaving[i] || is_far(r, peer, i)) ? NODES : i;
}

/* --- sessions that are being opened --- */

static opening *find_opening(const tl_relays *r, tl_path_id path)
{
    opening *o;
    HASH_FIND(hh, r->openings, &path, sizeof path, o);
    return o;
}

static void opening_over(tl_relays *r, opening *o)
{
    if (!o)
        return;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a walk of the table has the next before this one goes */
    HASH_DEL(r->openings, o);
    free(o);
}

static tl_err open_at(tl_relays *r, opening *o, size_t i)
{
    if (i == NODES)
        return tl_relayers_open(r->nodes, &o->peer, o->path, !tl_relays_is_registered(r), o->but);
    return tl_relay_link_open_with(r->link[i], &o->peer, o->path,
                                   tl_slice_of(o->first, o->first_n));
}

/* Asks at the best place that was not tried. */
static tl_err try_next(tl_relays *r, opening *o)
{
    tl_err e = TL_ERR_CLOSED;
    size_t i;
    while (e && (i = place(r, &o->peer, o->tried, o->but)) <= NODES) {
        o->tried |= 1u << i;
        e = open_at(r, o, i);
    }
    return e;
}

/* `tried`: not there. */
static tl_err open_with(tl_relays *r, const tl_node_id *peer, tl_path_id path, tl_path_id but,
                        unsigned tried, tl_slice first)
{
    size_t avoid = 0;
    opening *o = calloc(1, sizeof *o + first.n);
    if (!o)
        return TL_ERR_NOMEM;
    o->path = path;
    o->peer = *peer;
    o->but = but;
    o->tried = tried;
    o->first_n = first.n;
    if (first.n)
        memcpy(o->first, first.p, first.n);
    if (!TL_TABLE_ADD(hh, r->openings, path, sizeof o->path, o)) {
        free(o);
        return TL_ERR_NOMEM;
    }
    if (but && tl_relays_of(r, but, &avoid))
        o->tried |= 1u << avoid;
    tl_err e = try_next(r, o);
    if (e)
        opening_over(r, o);
    return e;
}

tl_err tl_relays_open(tl_relays *r, const tl_node_id *peer, tl_path_id path, tl_path_id but)
{
    return open_with(r, peer, path, but, 0, tl_slice_of(NULL, 0));
}

tl_err tl_relays_open_at_relay(tl_relays *r, const tl_node_id *peer, tl_path_id path)
{
    return open_with(r, peer, path, 0, 1u << NODES, tl_slice_of(NULL, 0));
}

tl_err tl_relays_open_with(tl_relays *r, const tl_node_id *peer, tl_path_id path, tl_slice first)
{
    return open_with(r, peer, path, 0, 0, first);
}

/* --- the links' events --- */

static tl_relays *tell(void *user)
{
    const port *p = user;
    p->relays->telling = p->i;
    return p->relays;
}

static void on_registered(void *user)
{
    tl_relays *r = tell(user);
    r->leaving[r->telling] = false;
    r->events.on_registered(r->user);
}

static void on_refused(void *user, const char *code, const char *message)
{
    tl_relays *r = tell(user);
    r->events.on_refused(r->user, code, message);
}

static void on_peer(void *user, const tl_relay_peer *peer)
{
    tl_relays *r = tell(user);
    size_t i = r->telling;
    r->events.on_peer(r->user, peer);
    set_at(r, &peer->id, i, true);
    tl_relays_described(r, &peer->id);
}

/* The i-th relay has answered, or will not any more. */
static void answered(tl_relays *r, size_t i, const char *model, bool ok)
{
    for (size_t k = 0; k < r->n_asked; k++) {
        asked *a = &r->asked[k];
        if (strcmp(a->model, model) != 0 || !(a->waits >> i & 1))
            continue;
        a->waits &= ~(1u << i);
        a->ok |= ok;
        if (a->waits)
            return;
        asked over = *a;
        *a = r->asked[--r->n_asked];
        r->events.on_discovered(r->user, over.model, over.ok);
        return;
    }
}

static void on_discovered(void *user, const char *model, bool ok)
{
    tl_relays *r = tell(user);
    answered(r, r->telling, model, ok);
}

static tl_path_id on_asked(void *user, const tl_node_id *from)
{
    tl_relays *r = tell(user);
    set_at(r, from, r->telling, true);
    return r->events.on_asked(r->user, from);
}

static void on_ready(void *user, tl_path_id path)
{
    tl_relays *r = tell(user);
    opening *o = find_opening(r, path);
    if (o)
        set_at(r, &o->peer, r->telling, true);
    opening_over(r, o);
    r->events.on_ready(r->user, path);
}

static void on_ended(void *user, tl_path_id path, const char *why)
{
    tl_relays *r = tell(user);
    opening *o = find_opening(r, path);
    if (o) {
        set_at(r, &o->peer, r->telling, false);
        if (!try_next(r, o))
            return;
        opening_over(r, o);
    }
    r->events.on_ended(r->user, path, why);
}

static void on_datagram(void *user, tl_path_id path, uint8_t *data, size_t n)
{
    tl_relays *r = tell(user);
    r->events.on_datagram(r->user, path, data, n);
}

static void on_signal(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    tl_relays *r = tell(user);
    set_at(r, from, r->telling, true);
    r->events.on_signal(r->user, type, from, payload);
}

static void on_signal_failed(void *user, const char *session)
{
    tl_relays *r = tell(user);
    r->events.on_signal_failed(r->user, session);
}

static void on_presence(void *user, const tl_node_id *peer, bool joined)
{
    tl_relays *r = tell(user);
    if (peer)
        set_at(r, peer, r->telling, joined);
    const tl_peer *p = peer ? tl_peer_table_find(r->table, peer) : NULL;
    if (joined || !p || !p->at_relays)
        r->events.on_presence(r->user, peer, joined);
}

static void on_offer(void *user, tl_path_id path, const tl_relay_offer *offer)
{
    tl_relays *r = tell(user);
    r->events.on_offer(r->user, path, offer);
}

static void on_warning(void *user, tl_path_id path, tl_unix ends_at)
{
    tl_relays *r = tell(user);
    if (r->events.on_warning)
        r->events.on_warning(r->user, path, ends_at);
}

static void on_payload(void *user, uint8_t *data, size_t n)
{
    tl_relays *r = tell(user);
    r->events.on_payload(r->user, data, n);
}

static void on_goodbye(void *user, unsigned in_seconds)
{
    tl_relays *r = tell(user);
    r->leaving[r->telling] = true;
    r->events.on_goodbye(r->user, in_seconds);
}

static void on_lost(void *user)
{
    tl_relays *r = tell(user);
    r->leaving[r->telling] = false;
    r->rtt[r->telling] = 0;
    forget_all(r, r->telling);
}

void tl_relays_join_nodes(tl_relays *r, tl_relayers *nodes)
{
    static const tl_relayers_events mine = {on_asked, on_ready, on_ended, on_warning};
    r->nodes = nodes;
    if (nodes)
        tl_relayers_set_events(nodes, &mine, &r->port[NODES]);
}

void tl_relays_described(tl_relays *r, const tl_node_id *node)
{
    const tl_peer *p = r->nodes ? tl_peer_table_find(r->table, node) : NULL;
    if (p && p->relaying.n_addrs)
        tl_relayers_look(r->nodes);
}

/* --- the object --- */

tl_err tl_relays_new(const tl_identity *identity, tl_rand *rand, tl_peer_table *table,
                     const char *display_name, const tl_relay_link_events *events, void *user,
                     tl_relays **ret_relays)
{
    /* An event that is NULL tells a link that presence, tokens or goodbyes are not wanted. */
    const tl_relay_link_events mine = {
        .on_registered = on_registered,
        .on_refused = on_refused,
        .on_peer = on_peer,
        .on_discovered = on_discovered,
        .on_asked = on_asked,
        .on_ready = on_ready,
        .on_ended = on_ended,
        .on_datagram = on_datagram,
        .on_signal = on_signal,
        .on_signal_failed = on_signal_failed,
        .on_presence = events->on_presence ? on_presence : NULL,
        .on_offer = events->on_offer ? on_offer : NULL,
        .on_warning = events->on_warning ? on_warning : NULL,
        .on_payload = events->on_payload ? on_payload : NULL,
        .on_goodbye = events->on_goodbye ? on_goodbye : NULL,
        .on_lost = on_lost,
    };
    tl_relays *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    *r = (tl_relays){.identity = identity, .table = table, .events = *events, .user = user};
    r->port[NODES] = (port){r, NODES};
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        r->port[i] = (port){r, i};
        tl_err e = tl_relay_link_new(identity, rand, display_name, &mine, &r->port[i], &r->link[i]);
        if (e) {
            tl_relays_free(r);
            return e;
        }
    }
    *ret_relays = r;
    return TL_OK;
}

void tl_relays_free(tl_relays *r)
{
    if (!r)
        return;
    opening *o, *next;
    HASH_ITER (hh, r->openings, o, next)
        opening_over(r, o);
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_link_free(r->link[i]);
    free(r);
}

tl_relay_link *tl_relays_link(const tl_relays *r, size_t i)
{
    return r->link[i];
}

size_t tl_relays_telling(const tl_relays *r)
{
    return r->telling;
}

void tl_relays_set_rtt(tl_relays *r, size_t i, tl_time rtt)
{
    r->rtt[i] = rtt;
}

void tl_relays_set_leaving(tl_relays *r, size_t i)
{
    r->leaving[i] = true;
}

bool tl_relays_is_leaving(const tl_relays *r, size_t i)
{
    return r->leaving[i];
}

void tl_relays_measured(tl_relays *r, const tl_node_id *peer, tl_path_id path, tl_time rtt)
{
    size_t i;
    tl_relayer_name node;
    tl_peer *p = tl_peer_table_find(r->table, peer);
    if (p && rtt && tl_relays_of(r, path, &i))
        p->relay_rtt[i] = rtt;
    else if (p && rtt && tl_relays_node_of(r, path, &node))
        p->relayer_rtt = rtt;
}

bool tl_relays_is_registered(const tl_relays *r)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (stands(r, i))
            return true;
    return false;
}

bool tl_relays_can_open(const tl_relays *r, const tl_node_id *peer)
{
    return tl_relays_is_registered(r) ||
           (r->nodes && tl_relayers_can_open(r->nodes, peer, true, 0));
}

bool tl_relays_node_of(const tl_relays *r, tl_path_id path, tl_relayer_name *ret_name)
{
    return r->nodes && tl_relayers_of(r->nodes, path, ret_name);
}

bool tl_relays_of(const tl_relays *r, tl_path_id path, size_t *ret_i)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (tl_relay_link_has(r->link[i], path)) {
            *ret_i = i;
            return true;
        }
    return false;
}

bool tl_relays_best(const tl_relays *r, const tl_node_id *peer, size_t *ret_i)
{
    size_t i = best(r, peer, 0);
    if (i < TL_RELAYS_MAX)
        *ret_i = i;
    return i < TL_RELAYS_MAX;
}

bool tl_relays_has_other(const tl_relays *r, const tl_node_id *peer, tl_path_id path, bool anywhere)
{
    size_t at = TL_RELAYS_MAX;
    tl_relayer_name node;
    const tl_peer *p = tl_peer_table_find(r->table, peer);
    if (!tl_relays_of(r, path, &at) && !tl_relays_node_of(r, path, &node))
        return false;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (i != at && stands(r, i) && !r->leaving[i] && (anywhere || !p || p->at_relays >> i & 1))
            return true;
    return r->nodes && tl_relayers_can_open(r->nodes, peer, !tl_relays_is_registered(r), path);
}

void tl_relays_close(tl_relays *r, tl_path_id path)
{
    size_t i;
    opening_over(r, find_opening(r, path));
    if (tl_relays_of(r, path, &i))
        tl_relay_link_close(r->link[i], path);
    else if (r->nodes)
        tl_relayers_close(r->nodes, path);
}

tl_err tl_relays_send(tl_relays *r, tl_path_id path, tl_slice datagram)
{
    size_t i = 0;
    (void)tl_relays_of(r, path, &i); /* without a session the first link counts the datagram */
    return tl_relay_link_send(r->link[i], path, datagram);
}

tl_err tl_relays_send_packet(tl_relays *r, tl_path_id path, tl_slice datagram)
{
    size_t i = 0;
    (void)tl_relays_of(r, path, &i);
    return tl_relay_link_send_packet(r->link[i], path, datagram);
}

tl_err tl_relays_signal(tl_relays *r, tl_signal_type type, const json_t *payload)
{
    tl_node_id to = {.key = {0}};
    (void)!tl_node_id_parse(tl_slice_str(tl_json_string(payload, "toNodeID", "")), &to);
    size_t i = best(r, &to, 0);
    return i < TL_RELAYS_MAX ? tl_relay_link_signal(r->link[i], type, payload) : TL_ERR_CLOSED;
}

tl_err tl_relays_discover(tl_relays *r, const char *model, tl_time now)
{
    asked *a = NULL;
    tl_err e = TL_ERR_CLOSED;
    for (size_t k = 0; k < r->n_asked; k++)
        if (strcmp(r->asked[k].model, model) == 0)
            a = &r->asked[k];
    if (!a && r->n_asked == TL_RELAY_QUERIES_MAX)
        return TL_ERR_BUSY;
    if (!a) {
        a = &r->asked[r->n_asked++];
        *a = (asked){.ok = false};
        snprintf(a->model, sizeof a->model, "%s", model);
    }
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        if (!stands(r, i))
            continue;
        tl_err at = tl_relay_link_discover(r->link[i], model, now);
        if (!at)
            a->waits |= 1u << i;
        e = e ? at : e;
    }
    if (!a->waits)
        *a = r->asked[--r->n_asked];
    return e;
}

tl_err tl_relays_discover_network(tl_relays *r, const tl_node_id *network, tl_time now)
{
    tl_err e = TL_ERR_CLOSED;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (stands(r, i)) {
            tl_err at = tl_relay_link_discover_network(r->link[i], network, now);
            e = e ? at : e;
        }
    return e;
}

void tl_relays_set_capabilities(tl_relays *r, json_t *capabilities)
{
    for (size_t i = 1; i < TL_RELAYS_MAX; i++)
        tl_relay_link_set_capabilities(r->link[i], json_incref(capabilities));
    tl_relay_link_set_capabilities(r->link[0], capabilities);
}
