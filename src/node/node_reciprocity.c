/* node_reciprocity.c - who helped whom: keeps the table of market/reciprocity.h over restarts, feeds it, and
 * has fellow members asked where this node's own record does not do. */
#include "node/accounts.h"
#include "node/state.h"

#include "store/deeds.h"

#define KEEP_EVERY  TL_MIN        /* what a crash may take of bytes relayed */
#define SWEEP_EVERY (60 * TL_MIN) /* statements that ended count nothing before, too */

static tl_unix wall(const tl_node *n)
{
    return n->env.wall(n->env.user);
}

/* --- the table's world --- */

static bool is_member(void *user, const tl_node_id *node, tl_unix now)
{
    return tl_networks_is_member(((tl_node *)user)->book, node, now);
}

static void on_forgotten(void *user, const tl_node_id *signer)
{
    const tl_node *n = user;
    if (n->store)
        (void)!tl_store_drop_deeds(n->store, signer); /* else the next start forgets it */
}

/* --- at start --- */

typedef struct {
    tl_reciprocity *deeds;
    tl_unix now;
} loading;

static void on_loaded_served(void *user, const tl_node_id *node, int64_t tokens, tl_unix at)
{
    tl_reciprocity_add_served(((loading *)user)->deeds, node, tokens, at);
}

static void on_loaded_kept(void *user, const tl_reciprocity_kept *kept)
{
    tl_reciprocity_load_kept(((loading *)user)->deeds, kept);
}

static void on_loaded_deeds(void *user, const tl_deeds *d)
{
    const loading *l = user;
    (void)tl_reciprocity_load(l->deeds, d, l->now); /* who is no member any more says nothing */
}

tl_err tl_node_open_reciprocity(tl_node *n)
{
    static const tl_reciprocity_world world = {is_member, on_forgotten};
    n->deeds_keep_at = TL_NEVER;
    n->deeds_sweep_at = tl_loop_now(n->loop) + SWEEP_EVERY;
    return tl_reciprocity_new(&n->identity.id, &world, n, &n->deeds);
}

tl_err tl_node_load_reciprocity(tl_node *n)
{
    static const tl_deeds_loaded calls = {on_loaded_served, on_loaded_kept, on_loaded_deeds};
    loading l = {n->deeds, wall(n)};
    return n->store ? tl_store_load_deeds(n->store, l.now, &calls, &l) : TL_OK;
}

/* --- driving --- */

void tl_node_keep_deeds(tl_node *n)
{
    tl_reciprocity_kept kept;
    n->deeds_keep_at = TL_NEVER;
    while (n->deeds && tl_reciprocity_next_changed(n->deeds, &kept))
        if (n->store)
            (void)!tl_store_put_kept(n->store, &kept);
}

void tl_node_sweep_deeds(tl_node *n)
{
    n->deeds_sweep_at = tl_loop_now(n->loop) + SWEEP_EVERY;
    tl_reciprocity_sweep(n->deeds, wall(n));
}

void tl_node_reciprocity_on_timer(tl_node *n)
{
    tl_time now = tl_loop_now(n->loop);
    if (now >= n->deeds_keep_at)
        tl_node_keep_deeds(n);
    if (now >= n->deeds_sweep_at)
        tl_node_sweep_deeds(n);
}

tl_time tl_node_reciprocity_expiry(const tl_node *n)
{
    return tl_time_min(n->deeds_keep_at, n->deeds_sweep_at);
}

/* --- what the other parts tell and ask --- */

void tl_node_note_served(tl_node *n, const tl_node_id *peer, int64_t tokens, tl_unix at)
{
    tl_reciprocity_add_served(n->deeds, peer, tokens, at);
}

void tl_node_note_relayed(tl_node *n, const tl_node_id *relaying_node, uint64_t bytes)
{
    int64_t count = bytes < (uint64_t)TL_NUMBER_EXACT_MAX ? (int64_t)bytes : TL_NUMBER_EXACT_MAX;
    tl_reciprocity_add_relayed(n->deeds, relaying_node, count, wall(n));
    if (n->deeds_keep_at != TL_NEVER)
        return;
    n->deeds_keep_at = tl_loop_now(n->loop) + KEEP_EVERY;
    tl_node_wake(n); /* it sets the timer */
}

void tl_node_note_held(tl_node *n, const tl_node_id *holder, unsigned fragments, tl_unix at)
{
    tl_reciprocity_set_held(n->deeds, holder, fragments, at);
    if (n->deeds_keep_at == TL_NEVER)
        n->deeds_keep_at = tl_loop_now(n->loop) + KEEP_EVERY;
    tl_node_wake(n); /* it sets the timer */
}

void tl_node_save_deeds(tl_node *n, const tl_deeds *d)
{
    if (n->store)
        (void)!tl_store_put_deeds(n->store, d, wall(n)); /* else it is asked for again */
}

/* What members say counts from the moment it comes. */
static void ask_members(const tl_node *n, const tl_node_id *node)
{
    if (n->members && n->stage == TL_NODE_RUNNING)
        tl_members_ask_deeds(n->members, node);
}

bool tl_node_is_reciprocal(const tl_node *n, const tl_node_id *node)
{
    bool is = tl_reciprocity_is(n->deeds, node, wall(n));
    if (!is)
        ask_members(n, node);
    return is;
}

static json_t *counts_json(const int64_t count[TL_DEED_KINDS])
{
    return json_pack("{s:I, s:I, s:I}", "bytes_relayed", (json_int_t)count[TL_DEED_RELAYED],
                     "tokens_served", (json_int_t)count[TL_DEED_SERVED], "fragments_held",
                     (json_int_t)count[TL_DEED_HELD]);
}

json_t *tl_node_reciprocity_json(const tl_node *n, const tl_node_id *node)
{
    tl_reciprocity_account a;
    if (tl_node_id_eq(node, &n->identity.id))
        return json_null();
    tl_reciprocity_explain(n->deeds, node, wall(n), &a);
    ask_members(n, node);
    json_t *told = counts_json(a.told);
    if (told && json_object_set_new(told, "members", json_integer((json_int_t)a.tellers))) {
        json_decref(told);
        return NULL;
    }
    return json_pack("{s:b, s:f, s:o, s:o, s:s}", "reciprocal", a.is, "worth", a.worth, "own",
                     counts_json(a.own), "told", told, "because", a.words);
}
