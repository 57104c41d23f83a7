#include "cluster.h"

#include "base/table.h"
#include "relay/fedwire.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum { AT_REDIS, FROM_REDIS, ANSWER, UNHEARD, REFRESHED, FAR_SEEN } event_kind;

typedef struct event {
    struct event *next;
    tl_time at;
    uint64_t order;
    event_kind kind;
    size_t relay;  /* where it happens, or who asked */
    uint64_t life; /* of that relay; another one: it is for nobody */
    tl_fed_output_kind asked;
    tl_node_id node;
    uint64_t ticket, epoch;
    tl_time since;
    bool lost, there;
    size_t n;
    uint8_t *bytes;
    char to[TL_FED_ID_MAX + 1];
} event;

typedef struct {
    tl_node_id id;
    uint64_t epoch;
    size_t owner;
    tl_time until;
    UT_hash_handle hh;
} key;

typedef struct {
    world w;
    bool lives, stopped, parted;
    uint64_t life;
    event *waiting; /* what came while it was stopped */
    uint64_t links; /* how often it was joined to Redis again */
} member;

struct cluster {
    size_t n;
    bool near;
    tl_time now;
    tl_rand rand;
    cluster_faults faults;
    member m[CLUSTER_MAX];
    event *events;
    uint64_t order, last_epoch;
    key *keys;
};

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static void id_of(size_t i, char ret[32])
{
    snprintf(ret, 32, "relay%zu", i);
}

/* --- events --- */

static void put(cluster *c, event *e)
{
    event **at = &c->events;
    e->order = ++c->order;
    while (*at && ((*at)->at < e->at || ((*at)->at == e->at && (*at)->order < e->order)))
        at = &(*at)->next;
    e->next = *at;
    *at = e;
}

static event *add(cluster *c, event_kind kind, size_t relay, tl_time after, tl_slice bytes)
{
    event *e = must(calloc(1, sizeof *e));
    e->kind = kind;
    e->relay = relay;
    e->life = c->m[relay].life;
    e->at = c->now + after;
    e->n = bytes.n;
    e->bytes = must(malloc(bytes.n + 1));
    if (bytes.n)
        memcpy(e->bytes, bytes.p, bytes.n);
    put(c, e);
    return e;
}

static void event_free(event *e)
{
    free(e->bytes);
    free(e);
}

static tl_time way(cluster *c)
{
    tl_time jitter = c->faults.jitter ? tl_rand_below(&c->rand, c->faults.jitter) : 0;
    return c->near ? 0 : c->faults.delay + jitter;
}

static bool happens(cluster *c, double probability)
{
    return probability > 0 && (double)tl_rand_below(&c->rand, 1u << 20) < probability * (1u << 20);
}

/* --- Redis --- */

static void publish(cluster *c, size_t from, size_t to, tl_slice bytes)
{
    if (!c->m[to].lives || c->m[to].parted || to == from || happens(c, c->faults.loss))
        return;
    add(c, FROM_REDIS, to, way(c), bytes);
    if (happens(c, c->faults.duplicate))
        add(c, FROM_REDIS, to, way(c), bytes);
}

static void publish_all(cluster *c, size_t from, tl_slice bytes)
{
    for (size_t i = 0; bytes.n && i < c->n; i++)
        publish(c, from, i, bytes);
}

static key *key_of(cluster *c, const tl_node_id *id)
{
    key *k;
    HASH_FIND(hh, c->keys, id->key, sizeof id->key, k);
    if (k && k->until <= c->now) {
        HASH_DELETE(hh, c->keys, k);
        free(k);
        k = NULL;
    }
    return k;
}

static void set_key(cluster *c, const tl_node_id *id, size_t owner, uint64_t epoch)
{
    key *k = key_of(c, id);
    if (!k) {
        k = must(calloc(1, sizeof *k));
        k->id = *id;
        assert_true(TL_TABLE_ADD(hh, c->keys, id.key, sizeof k->id.key, k));
    }
    k->owner = owner;
    k->epoch = epoch;
    k->until = c->now + 4 * CLUSTER_TTL;
}

static void claim(cluster *c, event *e)
{
    uint64_t epoch = e->epoch > c->last_epoch ? e->epoch : c->last_epoch + 1;
    c->last_epoch = epoch;
    set_key(c, &e->node, e->relay, epoch);
    for (size_t i = 0; i < TL_FED_EPOCH_SIZE; i++)
        e->bytes[TL_FED_EPOCH_AT + i] = (uint8_t)(epoch >> 8 * (7 - i));
    publish_all(c, e->relay, tl_slice_of(e->bytes, e->n));
    event *answer = add(c, ANSWER, e->relay, way(c), tl_slice_of(NULL, 0));
    answer->asked = TL_FED_CLAIM;
    answer->node = e->node;
    answer->ticket = e->ticket;
    answer->epoch = epoch;
}

static void refresh(cluster *c, const event *e)
{
    key *k = key_of(c, &e->node);
    bool lost = k && k->epoch > e->epoch;
    if (!lost) {
        set_key(c, &e->node, e->relay, e->epoch);
        return;
    }
    event *answer = add(c, ANSWER, e->relay, way(c), tl_slice_of(NULL, 0));
    answer->asked = TL_FED_REFRESH;
    answer->node = e->node;
    answer->epoch = e->epoch;
}

static void release(cluster *c, const event *e)
{
    key *k = key_of(c, &e->node);
    if (k && k->epoch == e->epoch && k->owner == e->relay)
        k->until = 0;
    publish_all(c, e->relay, tl_slice_of(e->bytes, e->n));
}

static void send_to(cluster *c, const event *e)
{
    for (size_t i = 0; i < c->n; i++) {
        char id[32];
        id_of(i, id);
        if (strcmp(id, e->to) != 0)
            continue;
        if (c->m[i].lives && !c->m[i].parted) {
            publish(c, e->relay, i, tl_slice_of(e->bytes, e->n));
            return;
        }
    }
    event *u = add(c, UNHEARD, e->relay, way(c), tl_slice_of(e->bytes, e->n));
    memcpy(u->to, e->to, sizeof u->to);
}

static void at_redis(cluster *c, event *e)
{
    switch (e->asked) {
    case TL_FED_SEND: send_to(c, e); break;
    case TL_FED_TO_NEAR: break;
    case TL_FED_TO_FAR: publish_all(c, e->relay, tl_slice_of(e->bytes, e->n)); break;
    case TL_FED_CLAIM: claim(c, e); break;
    case TL_FED_RELEASE: release(c, e); break;
    case TL_FED_REFRESH: refresh(c, e); break;
    }
}

/* --- what a relay wants sent --- */

static void near_output(cluster *c, size_t i, const tl_fed_output *o)
{
    for (size_t k = 0; k < c->n; k++) {
        char id[32];
        id_of(k, id);
        if (k != i && c->m[k].lives && (o->kind == TL_FED_TO_NEAR || strcmp(id, o->to) == 0))
            add(c, FROM_REDIS, k, 0, o->bytes);
    }
}

static void ask_all(cluster *c, size_t i)
{
    member *m = &c->m[i];
    tl_node_id node;
    uint64_t epoch;
    tl_time sent = way(c);
    for (const tl_relay_node *at = NULL; (at = tl_fed_node_after(m->w.relay, at, &node, &epoch));) {
        event *e = add(c, AT_REDIS, i, sent, tl_slice_of(NULL, 0));
        e->asked = TL_FED_REFRESH;
        e->node = node;
        e->epoch = epoch;
    }
    event *e =
        add(c, REFRESHED, i, sent + c->faults.delay + c->faults.jitter, tl_slice_of(NULL, 0));
    e->since = c->now;
}

static void drain(cluster *c, size_t i)
{
    member *m = &c->m[i];
    tl_fed_output o;
    while (m->lives && tl_fed_next_output(m->w.relay, &o)) {
        bool goes = !c->near && !m->parted;
        if (c->near && (o.kind == TL_FED_SEND || o.kind == TL_FED_TO_NEAR)) {
            near_output(c, i, &o);
        } else if (goes && o.kind == TL_FED_REFRESH) {
            ask_all(c, i);
        } else if (goes && o.kind != TL_FED_TO_NEAR) {
            event *e = add(c, AT_REDIS, i, way(c), o.bytes);
            e->asked = o.kind;
            e->node = o.node;
            e->ticket = o.ticket;
            e->epoch = o.epoch;
            snprintf(e->to, sizeof e->to, "%s", o.to);
        }
        tl_relay_chunk_unref(o.chunk);
    }
}

/* What comes for a stopped relay waits in its sockets. */
static bool waits(cluster *c, event *e)
{
    member *m = &c->m[e->relay];
    if (!m->stopped || e->life != m->life || e->kind == AT_REDIS)
        return false;
    event **last = &m->waiting;
    while (*last)
        last = &(*last)->next;
    e->next = NULL;
    *last = e;
    return true;
}

static void happen(cluster *c, event *e)
{
    member *m = &c->m[e->relay];
    tl_relay *r = m->w.relay;
    if (e->life != m->life)
        return;
    if (e->kind == AT_REDIS) {
        at_redis(c, e);
        return;
    }
    m->w.now = c->now;
    switch (e->kind) {
    case AT_REDIS: break;
    case FROM_REDIS: tl_fed_on_message(r, tl_slice_of(e->bytes, e->n), c->near, c->now); break;
    case ANSWER:
        if (m->parted)
            break;
        if (e->asked == TL_FED_CLAIM)
            tl_fed_on_claimed(r, &e->node, e->ticket, e->epoch, c->now);
        else
            tl_fed_on_lost(r, &e->node, e->epoch, c->now);
        break;
    case UNHEARD: tl_fed_on_unheard(r, e->to, tl_slice_of(e->bytes, e->n), c->now); break;
    case REFRESHED:
        if (!m->parted)
            tl_fed_on_refreshed(r, e->since, c->now);
        break;
    case FAR_SEEN:
        if (e->ticket == m->links) /* else that connection is gone */
            tl_fed_on_far(r, e->there, c->now);
        break;
    }
    world_run(&m->w, 0);
}

/* --- time --- */

void cluster_run(cluster *c, tl_time span)
{
    tl_time end = c->now + span;
    for (;;) {
        tl_time at = end;
        for (size_t i = 0; i < c->n; i++) {
            drain(c, i);
            if (c->m[i].lives && !c->m[i].stopped)
                at = tl_time_min(at, tl_relay_expiry(c->m[i].w.relay));
        }
        if (c->events)
            at = tl_time_min(at, c->events->at);
        if (at > c->now)
            c->now = at;
        for (size_t i = 0; i < c->n; i++)
            if (c->m[i].lives && !c->m[i].stopped)
                world_run(&c->m[i].w, c->now - c->m[i].w.now);
        bool any = false;
        while (c->events && c->events->at <= c->now) {
            event *e = c->events;
            c->events = e->next;
            any = true;
            if (waits(c, e))
                continue;
            happen(c, e);
            event_free(e);
        }
        if (c->now >= end && !any)
            break;
    }
    for (size_t i = 0; i < c->n; i++)
        drain(c, i);
}

/* --- life --- */

void cluster_start(cluster *c, size_t i)
{
    member *m = &c->m[i];
    char id[32];
    id_of(i, id);
    world_init(&m->w, NULL);
    m->w.now = c->now;
    m->w.rand = tl_rand_seeded(tl_rand_u64(&c->rand));
    tl_relay_set_wall(m->w.relay, 1700000000 + (tl_unix)(c->now / TL_SEC), c->now);
    m->lives = true;
    m->stopped = false;
    m->life++;
    tl_fed_config config = {.id = id, .ttl = CLUSTER_TTL, .far = !c->near};
    assert_int_equal(tl_relay_federate(m->w.relay, &config, c->now), TL_OK);
    if (!c->near && !m->parted)
        tl_fed_on_far(m->w.relay, true, c->now);
}

cluster *cluster_new(size_t n, bool near, uint64_t seed)
{
    cluster *c = must(calloc(1, sizeof *c));
    c->n = n;
    c->near = near;
    c->now = 1000 * TL_SEC;
    c->rand = tl_rand_seeded(seed);
    c->faults = (cluster_faults){.delay = TL_MS / 2};
    for (size_t i = 0; i < n; i++)
        cluster_start(c, i);
    return c;
}

void cluster_kill(cluster *c, size_t i)
{
    member *m = &c->m[i];
    cluster_go_on(c, i);
    drain(c, i);
    world_clear(&m->w);
    m->lives = false;
    m->life++;
}

void cluster_flush(cluster *c)
{
    key *k, *next;
    HASH_ITER (hh, c->keys, k, next) {
        HASH_DELETE(hh, c->keys, k);
        free(k);
    }
    c->last_epoch = 0;
}

void cluster_free(cluster *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->m[i].lives)
            cluster_kill(c, i);
    while (c->events) {
        event *e = c->events;
        c->events = e->next;
        event_free(e);
    }
    cluster_flush(c);
    free(c);
}

void cluster_set_faults(cluster *c, cluster_faults f)
{
    c->faults = f;
}

world *cluster_relay(cluster *c, size_t i)
{
    return &c->m[i].w;
}

tl_time cluster_now(const cluster *c)
{
    return c->now;
}

tl_rand *cluster_rand(cluster *c)
{
    return &c->rand;
}

bool cluster_is_stopped(const cluster *c, size_t i)
{
    return c->m[i].stopped;
}

bool cluster_lives(const cluster *c, size_t i)
{
    return c->m[i].lives;
}

static void see_far(cluster *c, size_t i, tl_time after, bool there)
{
    event *e = add(c, FAR_SEEN, i, after, tl_slice_of(NULL, 0));
    e->there = there;
    e->ticket = c->m[i].links;
}

void cluster_part(cluster *c, size_t i, tl_time seen)
{
    c->m[i].parted = true;
    if (seen != TL_NEVER && c->m[i].lives)
        see_far(c, i, seen, false);
}

/* The old connection to Redis is dead by then, whether that was seen or not. */
void cluster_join(cluster *c, size_t i)
{
    member *m = &c->m[i];
    m->parted = false;
    m->links++;
    if (!m->lives)
        return;
    see_far(c, i, 0, false);
    see_far(c, i, TL_MS, true);
}

void cluster_stop(cluster *c, size_t i)
{
    c->m[i].stopped = true;
}

void cluster_go_on(cluster *c, size_t i)
{
    member *m = &c->m[i];
    event *e;
    m->stopped = false;
    while ((e = m->waiting)) {
        m->waiting = e->next;
        e->at = c->now;
        put(c, e);
    }
}

peer *cluster_node_begin(cluster *c, size_t i, uint8_t seed)
{
    c->m[i].w.now = c->now;
    peer *p = peer_connect(&c->m[i].w, seed);
    peer_register_as(p, NULL, NULL, NULL, NULL);
    return p;
}

peer *cluster_node(cluster *c, size_t i, uint8_t seed)
{
    peer *p = cluster_node_begin(c, i, seed);
    cluster_run(c, 20 * TL_MS);
    peer_expect(p, TL_SIGNAL_REGISTER_ACK);
    cluster_run(c, 50 * TL_MS);
    return p;
}
