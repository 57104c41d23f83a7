/* node_credit.c - accounts with peers: what credit/ wants written goes to the store, what it wants told
 * goes to the peers. Without a store nobody keeps accounts. */
#include "node/accounts.h"
#include "node/state.h"
#include "node/till.h"

#include "store/ledger.h"

/* --- credit's world --- */

static tl_err submit(void *user, tl_book_op *op)
{
    return tl_ledger_submit(((tl_node *)user)->store, op);
}

static tl_err tell(void *user, const tl_node_id *peer, const char *name, json_t *payload)
{
    tl_node *n = user;
    if (n->stage == TL_NODE_GONE)
        return TL_ERR_NOT_FOUND;
    return tl_peers_tell(n->peers, peer, name, payload);
}

static bool is_member(void *user, const tl_node_id *peer, const tl_node_id *network)
{
    const tl_access *access = &((tl_node *)user)->access;
    return network ? tl_access_is_member_of(access, peer, network)
                   : tl_access_is_member(access, peer);
}

static void on_served(void *user, const tl_node_id *peer, int64_t tokens, tl_unix at)
{
    tl_node_note_served(user, peer, tokens, at);
}

static void on_loaded_peer(void *user, const tl_node_id *peer, const tl_ledger_sums *sums,
                           unsigned unsigned_n, unsigned paid_n)
{
    tl_credit_on_loaded_peer(user, peer, sums, unsigned_n, paid_n);
}

static void on_loaded_served(void *user, const tl_node_id *peer, const char *request, tl_unix at)
{
    tl_credit_on_loaded_served(user, peer, request, at);
}

static void on_loaded_name(void *user, const char *request, tl_unix at)
{
    tl_credit_on_loaded_name(user, request, at);
}

static void on_loaded_restored(void *user, tl_unix at, tl_unix from)
{
    tl_credit_on_loaded_restored(user, at, from);
}

/* --- names --- */

static tl_err name(void *user, const tl_ask *ask, void (*on_named)(void *q, tl_err e), void *q,
                   void **ret_naming)
{
    static const tl_node_id none;
    tl_credit_naming *naming;
    tl_err e = tl_credit_name(((tl_node *)user)->credit, ask->id,
                              ask->scoped ? &ask->network : &none, on_named, q, &naming);
    if (!e)
        *ret_naming = naming;
    return e;
}

static void forget(void *naming)
{
    tl_credit_name_forget(naming);
}

static void unname(void *user, const char *id)
{
    tl_credit_unname(((tl_node *)user)->credit, id);
}

static tl_err ask_router(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                         void *sink_user, tl_exchange **ret_exchange)
{
    return tl_router_ask(((tl_node *)user)->router, ask, sink, sink_user, ret_exchange);
}

tl_err tl_node_ask_named(tl_node *n, const tl_ask *ask, const tl_exchange_sink *sink, void *user,
                         tl_exchange **ret_exchange)
{
    return tl_named_ask(&n->named, ask, sink, user, ret_exchange);
}

/* --- its life --- */

tl_err tl_node_wire_credit(tl_node *n)
{
    static const tl_credit_world world = {submit, tell, is_member, on_served};
    static const tl_ledger_loaded loaded = {on_loaded_peer, on_loaded_served, on_loaded_name,
                                            on_loaded_restored};
    if (!n->store)
        return TL_OK;
    tl_err e = tl_credit_new(&n->env, &n->rand, &n->identity, &world, n, &n->credit);
    if (!e)
        e = tl_ledger_load(n->store, tl_loop_unix(), &loaded, n->credit);
    if (e)
        return e;
    tl_till_init(&n->pay, n->credit);
    n->named = (tl_named_world){name, forget, unname, ask_router, tl_router_was_asked, n};
    tl_server_set_pay(n->server, &n->pay);
    tl_asker_set_pay(n->asker, &n->pay);
    tl_node_apply_credit(n);
    return TL_OK;
}

void tl_node_apply_credit(tl_node *n)
{
    tl_credit_limits limits = {n->settings.credit_stranger_micro, n->settings.credit_member_micro};
    if (n->credit)
        tl_credit_set_limits(n->credit, &limits);
}

void tl_node_free_credit(tl_node *n)
{
    tl_credit_free(n->credit);
    n->credit = NULL;
}

void tl_node_credit_hello(tl_node *n, const tl_node_id *peer)
{
    if (n->credit)
        tl_credit_on_hello(n->credit, peer);
}

bool tl_node_credit_told(tl_node *n, const tl_node_id *peer, const char *what,
                         const json_t *payload)
{
    bool ours = strncmp(what, "receipt", 7) == 0 || strncmp(what, "settle", 6) == 0;
    if (ours && n->credit)
        tl_credit_on_told(n->credit, peer, what, payload);
    return ours;
}
