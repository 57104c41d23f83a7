/* node_credit.c - accounts with peers: what server and asker tell goes to credit/, what credit/ wants
 * written goes to the store. Without a store nobody keeps accounts. */
#include "node/state.h"

#include "base/log.h"
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

static bool is_member(void *user, const tl_node_id *peer)
{
    return tl_access_is_member(&((tl_node *)user)->access, peer);
}

static void on_loaded_peer(void *user, const tl_node_id *peer, const tl_ledger_sums *sums,
                           unsigned unsigned_n)
{
    tl_credit_on_loaded_peer(user, peer, sums, unsigned_n);
}

static void on_loaded_served(void *user, const tl_node_id *peer, const char *request, tl_unix at)
{
    tl_credit_on_loaded_served(user, peer, request, at);
}

static void on_loaded_name(void *user, const char *request, tl_unix at)
{
    tl_credit_on_loaded_name(user, request, at);
}

/* --- what server and asker tell --- */

static tl_credit_question question_of(const tl_pay_question *q, const tl_node_id *peer)
{
    const tl_ask *ask = q->ask;
    return (tl_credit_question){.request = ask->id,
                                .peer = *peer,
                                .has_network = ask->has_network,
                                .network = ask->network,
                                .model = q->model,
                                .price = ask->price.given ? ask->price.value : 0,
                                .body_bytes = q->body_bytes,
                                .max_tokens = q->max_tokens,
                                .order = q->order};
}

static tl_tokens tokens_of(const tl_answer_end *end)
{
    uint64_t max = (uint64_t)TL_MONEY_MAX;
    return (tl_tokens){(int64_t)(end->tokens_in < max ? end->tokens_in : max),
                       (int64_t)(end->tokens_out < max ? end->tokens_out : max)};
}

static tl_fail pay_serve(void *user, const tl_pay_question *asked, void **ret_bill, tl_why *why)
{
    tl_node *n = user;
    tl_credit_question q = question_of(asked, &asked->ask->requester);
    tl_credit_served *served = NULL;
    tl_err e = tl_credit_serve(n->credit, &q, &served, why);
    switch (e) {
    case TL_OK: *ret_bill = served; return TL_FAIL_COUNT;
    case TL_ERR_FORBIDDEN: return TL_FAIL_PAYMENT_REQUIRED;
    case TL_ERR_EXISTS: return TL_FAIL_DUPLICATE;
    default: return TL_FAIL_UNAVAILABLE;
    }
}

static tl_fail pay_delivered(void *bill, const tl_answer_end *so_far, tl_why *why)
{
    if (tl_credit_delivered(bill, tokens_of(so_far)))
        return TL_FAIL_COUNT;
    bool known = tl_credit_is_known(bill);
    (void)tl_why_set(why, TL_ERR_FORBIDDEN,
                     known ? "this node has answered this request before"
                           : "the asker's credit at this node is used up: settle what is owed");
    return known ? TL_FAIL_DUPLICATE : TL_FAIL_PAYMENT_REQUIRED;
}

static void pay_charge(void *bill, const tl_answer_end *end)
{
    tl_credit_charge(bill, tokens_of(end));
}

static void pay_waive(void *bill)
{
    tl_credit_waive(bill);
}

static void *pay_ask(void *user, const tl_pay_question *asking, char ret_order[TL_PAY_ORDER_MAX])
{
    tl_node *n = user;
    tl_credit_question q = question_of(asking, &asking->ask->peer);
    tl_credit_asked *asked = NULL;
    ret_order[0] = 0;
    tl_err e = tl_credit_ask(n->credit, &q, ret_order, &asked);
    if (e)
        tl_log(TL_LOG_DEBUG, "credit: question %s is not in the books: %s", q.request,
               tl_err_name(e));
    return asked;
}

static void pay_over(void *bill, tl_pay_end end, const tl_answer_end *seen)
{
    static const tl_credit_end ends[] = {[TL_PAY_ANSWERED] = TL_CREDIT_ANSWERED,
                                         [TL_PAY_FAILED] = TL_CREDIT_FAILED,
                                         [TL_PAY_GIVEN_UP] = TL_CREDIT_GIVEN_UP,
                                         [TL_PAY_LOST] = TL_CREDIT_LOST};
    tl_credit_over(bill, ends[end], tokens_of(seen));
}

/* --- names --- */

static tl_err name(void *user, const char *id, void (*on_named)(void *q, tl_err e), void *q,
                   void **ret_naming)
{
    tl_credit_naming *naming;
    tl_err e = tl_credit_name(((tl_node *)user)->credit, id, on_named, q, &naming);
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
    static const tl_credit_world world = {submit, tell, is_member};
    static const tl_ledger_loaded loaded = {on_loaded_peer, on_loaded_served, on_loaded_name};
    if (!n->store)
        return TL_OK;
    tl_err e = tl_credit_new(&n->env, &n->rand, &n->identity, &world, n, &n->credit);
    if (!e)
        e = tl_ledger_load(n->store, tl_loop_unix(), &loaded, n->credit);
    if (e)
        return e;
    n->pay = (tl_pay){pay_serve, pay_delivered, pay_charge, pay_waive, pay_ask, pay_over, n};
    n->named = (tl_named_world){name, forget, unname, ask_router, n};
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
