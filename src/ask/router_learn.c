/* What a question teaches: a price that has risen, how fast a node was, and where a conversation is
 * in a cache. */
#include "ask/router_state.h"

#include <stdio.h>

/* --- prices --- */

/* How often a node may be asked again at a new price. A network's price comes signed over another
 * stream, which may be behind the refusal. */
#define AGAIN_PUBLIC  1
#define AGAIN_NETWORK 2

void tl_route_untry(tl_route *x, const tl_node_id *id)
{
    for (size_t i = 0; i < x->n_tried; i++)
        if (tl_node_id_eq(&x->tried[i], id)) {
            x->tried[i] = x->tried[--x->n_tried];
            return;
        }
}

/* How often it was asked again so far, to be counted on. NULL: too many nodes were. */
static unsigned *asked_again(tl_route *x, const tl_node_id *id)
{
    size_t i = 0;
    while (i < x->n_repriced && !tl_node_id_eq(&x->repriced[i].id, id))
        i++;
    if (i == TL_ROUTE_TRIES_MAX)
        return NULL;
    if (i == x->n_repriced) {
        x->repriced[i].id = *id;
        x->repriced[i].times = 0;
        x->n_repriced++;
    }
    return &x->repriced[i].times;
}

bool tl_route_take_price(tl_route *x, const tl_attempt *a, const tl_failure *failure)
{
    tl_router *r = x->router;
    tl_peer *p = a->local ? NULL : tl_peer_table_find(r->table, &a->id);
    if (failure->fail != TL_FAIL_PAYMENT_REQUIRED || !failure->price.given || !p || a->in_clear)
        return false;
    r->counters.repriced++;
    tl_bid *bid = a->network.given ? NULL : tl_bids_get(&p->bids, a->model);
    if (bid) {
        bid->price = failure->price.value;
        bid->version = failure->price_version.value;
    }
    unsigned *times = asked_again(x, &a->id);
    if ((bid || a->network.given) && times &&
        *times < (a->network.given ? AGAIN_NETWORK : AGAIN_PUBLIC)) {
        ++*times;
        tl_route_untry(x, &a->id); /* it is asked again if it is still the best, and not too dear */
    }
    return true;
}

void tl_route_fail_too_dear(tl_route *x, const tl_peer *p, int64_t price)
{
    char text[256], id[TL_NODE_ID_HEX + 1];
    tl_node_id_write(id, &p->id);
    snprintf(
        text, sizeof text,
        "the lowest price is %lld micro-credits for 1000 tokens (peer %.16s), above the maximum "
        "of %lld (X-Teale-Max-Price; setting: price.max_micro)",
        (long long)price, id, (long long)x->ask.max_price.value);
    x->router->counters.too_dear++;
    tl_route_fail(x, TL_FAIL_PAYMENT_REQUIRED, text);
}

/* --- speed and caches --- */

void tl_route_learn(const tl_attempt *a, const tl_answer_end *end)
{
    tl_route *x = a->route;
    tl_router *r = x->router;
    tl_time now = tl_env_now(&r->env);
    if (a->head.status >= 300)
        return;
    if (x->ask.streaming && a->body_at && !a->held_up)
        tl_paces_note(&r->paces, &a->id, a->model, end->tokens_out, now - a->body_at);
    if (!a->local)
        tl_warmth_note(&r->warmth, &x->talk, &a->id, now);
}
