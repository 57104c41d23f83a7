/* What this node asks for its work: standing bids of each model, which heartbeats tell, and what a
 * question costs now. */
#include "node/accounts.h"
#include "node/state.h"

#include <stdlib.h>

/* A new heartbeat when the bids changed, but no more often, and so that those of all peers together
 * have no more bytes a second than this. */
#define BEAT_EVERY        (1 * TL_SEC)
#define BEAT_BYTES        (128 * 1024)
#define BID_BYTES         160 /* of a bid, with a name of some length */
/* The speed that a bid is made of follows the measured one in steps of this part of it. Otherwise each
 * answer would change the price. */
#define SPEED_STEP        8
/* An asker agrees to the bid that it has seen. When the bid falls, those who are told of it a moment later
 * still pay what both know: so the accounts of both sides tell one price. */
#define PAST_LASTS        (10 * TL_SEC)
/* The version of a price grows from the time of the start, so that it never comes twice. */
#define VERSION_OF_SECOND 1000

static void load_of(const tl_node *n, uint32_t *ret_slots, uint32_t *ret_running,
                    uint32_t *ret_queued)
{
    tl_slots_facts f;
    tl_slots_facts_of(n->slots, &f);
    *ret_slots = f.slots;
    *ret_running = f.running;
    *ret_queued = f.queued[TL_SCHED_PRIVATE] + f.queued[TL_SCHED_PUBLIC];
}

static tl_bid_facts facts_of(const tl_node *n, uint64_t speed)
{
    tl_bid_facts f = {.floor_micro = n->settings.price_floor_micro,
                      .kwh_micro = n->settings.price_kwh_micro,
                      .watts = n->settings.price_watts,
                      .speed = speed,
                      .running = n->bids.running,
                      .slots = n->bids.slots};
    return f;
}

static uint64_t stepped(uint64_t used, uint64_t measured)
{
    uint64_t away = measured > used ? measured - used : used - measured;
    return !used || away > used / SPEED_STEP ? measured : used;
}

/* The bid for one model as it is now. */
static tl_bid made(tl_node *n, const char *model, uint64_t *speed, int64_t *ret_idle)
{
    *speed = stepped(*speed, tl_paces_speed(tl_router_paces(n->router), &n->identity.id, model));
    tl_bid_facts f = facts_of(n, *speed), idle = f;
    idle.running = 0;
    *ret_idle = tl_bid_price(&idle);
    uint32_t taken = n->bids.running < n->bids.slots ? n->bids.running : n->bids.slots;
    return (tl_bid){.price = tl_bid_price(&f),
                    .has_slots = true,
                    .slots = n->bids.slots,
                    .slots_free = n->bids.slots - taken,
                    .queued = n->bids.queued};
}

static int64_t next_version(tl_node *n)
{
    int64_t first = tl_loop_unix() * VERSION_OF_SECOND;
    if (!n->bids.version && first > 0)
        n->bids.version = first;
    return ++n->bids.version;
}

static void remember(tl_node *n, const tl_bid *bid)
{
    tl_node_bids *b = &n->bids;
    b->past[b->past_next].model = tl_table_hash64(bid->model, strlen(bid->model));
    b->past[b->past_next].price = bid->price;
    b->past[b->past_next].version = bid->version;
    b->past[b->past_next].until = tl_loop_now(n->loop) + PAST_LASTS;
    b->past_next = (b->past_next + 1) % TL_NODE_BIDS_PAST;
}

/* The asker has seen this bid, which has fallen since. */
static bool was_bid(const tl_node *n, const tl_ask *ask)
{
    uint64_t model = tl_table_hash64(ask->model, strlen(ask->model));
    for (size_t i = 0; i < TL_NODE_BIDS_PAST; i++)
        if (n->bids.past[i].model == model && n->bids.past[i].version == ask->price_version.value &&
            n->bids.past[i].price == ask->price.value &&
            tl_loop_now(n->loop) < n->bids.past[i].until)
            return true;
    return false;
}

/* True: a bid is another one than before. */
static bool replace(tl_node *n, tl_bid *bid, const tl_bid *now, int64_t *version)
{
    bool dearer = !bid->version || bid->price != now->price;
    bool other = dearer || !bid->has_slots || bid->slots != now->slots ||
                 bid->slots_free != now->slots_free || bid->queued != now->queued;
    if (dearer && !*version)
        *version = next_version(n);
    if (bid->version && bid->price > now->price)
        remember(n, bid);
    tl_bid made_of = *now;
    made_of.model = bid->model;
    made_of.version = dearer ? *version : bid->version;
    *bid = made_of;
    return other;
}

/* Makes the bids anew. True: what is told of this node while nothing runs has changed. */
static bool make_bids(tl_node *n)
{
    tl_node_bids *b = &n->bids;
    tl_bids now = {0}, idle = {0};
    uint64_t speeds[TL_BIDS_MAX] = {0};
    int64_t version = 0;
    bool listed = false;
    size_t count = n->backend && tl_backend_state_of(n->backend) == TL_BACKEND_UP
                       ? tl_backend_model_count(n->backend)
                       : 0;
    for (size_t i = 0; i < count; i++) {
        const char *model = tl_backend_model(n->backend, i);
        const tl_bid *old = tl_bids_find(&b->now, model), *was = tl_bids_find(&b->idle, model);
        if (!tl_node_is_shared(n, model) || tl_bids_find(&now, model))
            continue;
        tl_bid *bid = tl_bids_get(&now, model), *rest = tl_bids_get(&idle, model);
        if (!bid || !rest)
            break;
        size_t place = (size_t)(bid - now.bid);
        int64_t price;
        speeds[place] = old ? b->speeds[old - b->now.bid] : 0;
        if (old) {
            char *name = bid->model;
            *bid = *old;
            bid->model = name;
        }
        tl_bid fresh = made(n, model, &speeds[place], &price);
        b->changed |= replace(n, bid, &fresh, &version);
        listed |= !was || was->price != price;
        rest->price = price;
        rest->version = was && was->price == price ? was->version : bid->version;
    }
    b->changed |= now.n != b->now.n;
    listed |= idle.n != b->idle.n;
    tl_bids_clear(&b->now);
    tl_bids_clear(&b->idle);
    b->now = now;
    b->idle = idle;
    memcpy(b->speeds, speeds, sizeof speeds);
    return listed;
}

void tl_node_refresh_bids(tl_node *n)
{
    tl_node_bids *b = &n->bids;
    uint32_t slots, running, queued;
    load_of(n, &slots, &running, &queued);
    if (!b->stale && slots == b->slots && running == b->running && queued == b->queued)
        return;
    b->stale = false;
    b->slots = slots;
    b->running = running;
    b->queued = queued;
    if (make_bids(n) && !b->telling)
        tl_node_tell_capabilities(n);
}

/* The capabilities tell of models and prices, and are told anew when either changes. */
json_t *tl_node_idle_bids(tl_node *n)
{
    bool free = true;
    n->bids.stale = n->bids.telling = true;
    tl_node_refresh_bids(n);
    n->bids.telling = false;
    for (size_t i = 0; i < n->bids.idle.n; i++)
        free &= n->bids.idle.bid[i].price == 0;
    return free || tl_access_for_strangers(&n->access) ? NULL : tl_bids_json(&n->bids.idle);
}

void tl_node_bids_are_stale(tl_node *n)
{
    n->bids.stale = true;
    tl_node_wake(n);
}

void tl_node_beat_bids(tl_node *n)
{
    tl_node_bids *b = &n->bids;
    tl_time now = tl_loop_now(n->loop);
    tl_node_refresh_bids(n);
    if (!b->changed || n->stage != TL_NODE_RUNNING)
        return;
    if (now < b->beat_from)
        return; /* tl_node_bids_expiry */
    size_t told = tl_peers_beat(n->peers);
    b->changed = false;
    b->beat_from = now + tl_time_max(BEAT_EVERY, told * b->now.n * BID_BYTES * TL_SEC / BEAT_BYTES);
}

tl_time tl_node_bids_expiry(const tl_node *n)
{
    return n->bids.changed && n->stage == TL_NODE_RUNNING ? n->bids.beat_from : TL_NEVER;
}

json_t *tl_node_bids_json(void *user)
{
    tl_node *n = user;
    return n->bids.now.n ? tl_bids_json(&n->bids.now) : NULL;
}

int64_t tl_node_price(void *user, const tl_ask *ask, int64_t *ret_version)
{
    tl_node *n = user;
    const tl_membership *network = ask->has_network && n->access.book
                                       ? tl_networks_by_id(n->access.book, &ask->network)
                                       : NULL;
    if (network)
        return tl_ptn_price_of(network->ptn, ret_version);
    tl_node_refresh_bids(n);
    const tl_bid *bid = tl_bids_find(&n->bids.now, ask->model);
    uint64_t speed = tl_paces_speed(tl_router_paces(n->router), &n->identity.id, ask->model);
    tl_bid_facts f = facts_of(n, speed);
    if (bid && ask->price.given && ask->price.value > bid->price && was_bid(n, ask)) {
        *ret_version = ask->price_version.value;
        return ask->price.value;
    }
    *ret_version = bid ? bid->version : n->bids.version;
    return bid ? bid->price : tl_bid_price(&f); /* beyond TL_BIDS_MAX models: told to who asks */
}

void tl_node_bids_clear(tl_node *n)
{
    tl_bids_clear(&n->bids.now);
    tl_bids_clear(&n->bids.idle);
}
