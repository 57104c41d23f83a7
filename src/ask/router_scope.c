/* The private networks of questions: for which network a peer is asked, who must show a certificate
 * first, what ends when a certificate does, and why nobody is asked. */
#include "ask/modelname.h"
#include "ask/router_state.h"
#include "peer/claims.h"

#include <stdio.h>
#include <utlist.h>

/* So many nodes are met for one question at a time: as many as are asked for one. */
#define MEET_FOR_ONE TL_ROUTE_TRIES_MAX

static const tl_node_id *wanted(const tl_route *x)
{
    return x->ask.scoped ? &x->ask.network : NULL;
}

static tl_unix wall(const tl_router *r)
{
    return r->env.wall(r->env.user);
}

bool tl_route_may_ask(const tl_route *x, const tl_peer *p, tl_route_network *ret_network)
{
    const tl_router *r = x->router;
    tl_route_network n = {.given = x->ask.scoped, .id = x->ask.network};
    bool may;
    if (p->in_clear) /* the old protocol carries chats alone, and nothing of a network */
        may = !x->ask.scoped && r->world.ask_old && !tl_access_to_old(r->access, &p->id) &&
              strcmp(x->ask.path, "/v1/chat/completions") == 0;
    else if (x->ask.scoped)
        may = !tl_access_to_peer(r->access, &p->id, &n.id);
    else if (tl_access_network_to(r->access, &p->id, &n.id))
        may = n.given = true;
    else /* who was named is asked, whatever it says of itself */
        may = !tl_access_to_peer(r->access, &p->id, NULL) && (!p->members_only || x->ask.has_peer);
    if (may)
        *ret_network = n;
    return may;
}

/* --- who is met --- */

/* Might it be asked, if it showed the certificate that it claims to have? */
static bool is_promising(const tl_route *x, tl_peer *p)
{
    const tl_router *r = x->router;
    tl_route_network n;
    return !p->in_clear && p->listed && tl_route_serves(x, p) && !tl_route_was_tried(x, &p->id) &&
           tl_claims_has(r->access->book, p, wanted(x), wall(r)) && !tl_route_may_ask(x, p, &n);
}

/* Connects to nodes that claim to be members, so that they show their certificates. True: the
 * question has something to wait for. */
static bool meet(tl_route *x)
{
    tl_router *r = x->router;
    tl_peer *p, *next;
    size_t n = 0;
    if (x->waited || !tl_access_in_network(r->access))
        return false;
    if (x->ask.has_peer) {
        bool named = !x->n_tried && !tl_node_id_eq(&x->ask.peer, &r->own);
        return named && (x->ask.scoped || !r->access->ask_any) &&
               tl_meet_begin(r->meet, &x->ask.peer);
    }
    HASH_ITER (hh, r->table->peers, p, next)
        if (n < MEET_FOR_ONE && is_promising(x, p))
            n += tl_meet_begin(r->meet, &p->id);
    return n > 0 || r->table->looks.behind; /* it is not known yet what all claim */
}

bool tl_route_wait_for_members(tl_route *x)
{
    if (!meet(x))
        return false;
    tl_time latest =
        tl_time_max(x->asked_at + TL_ROUTE_FIND_WITHIN, x->heard_at + TL_MEET_SHOW_WITHIN);
    if (x->state != TL_ROUTE_FINDING)
        tl_route_set_state(x, TL_ROUTE_FINDING);
    tl_route_set_deadline(x, tl_time_min(x->deadline, latest));
    return true;
}

/* --- what ends with a certificate --- */

static tl_attempt *lapsed(const tl_router *r)
{
    tl_route *x;
    DL_FOREACH (r->routes, x)
        for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++) {
            tl_attempt *a = &x->attempts[i];
            if (a->exchange && a->network.given && !a->local &&
                tl_access_to_peer(r->access, &a->id, &a->network.id))
                return a;
        }
    return NULL;
}

void tl_router_end_lapsed(tl_router *r)
{
    for (tl_attempt *a; (a = lapsed(r));) {
        char text[256];
        tl_access_verdict v = tl_access_to_peer(r->access, &a->id, &a->network.id);
        snprintf(text, sizeof text, "network %s: %s", tl_access_name_of(r->access, &a->network.id),
                 tl_may_words((tl_may)(v - TL_ACCESS_NETWORK)));
        tl_route_end_attempt(a, TL_FAIL_FORBIDDEN, text);
    }
}

void tl_router_on_book(tl_router *r)
{
    tl_router_end_lapsed(r);
    tl_meet_on_book(r->meet);
    tl_standby_look(r->standby);
}

/* --- why nobody is asked --- */

/* The best reason that stands between the question and a node that lists its model. NULL: no node
 * of the network lists it. */
static const char *what_stands_between(const tl_route *x, size_t *ret_members, size_t *ret_paused)
{
    const tl_router *r = x->router;
    const char *why = NULL;
    tl_peer *p, *next;
    *ret_members = *ret_paused = 0;
    HASH_ITER (hh, r->table->peers, p, next) {
        if (p->in_clear || !tl_route_serves(x, p))
            continue;
        tl_access_verdict v = tl_access_to_peer(r->access, &p->id, &x->ask.network);
        if (!v) {
            ++*ret_members;
            *ret_paused += p->paused;
        } else if (v != (tl_access_verdict)(TL_ACCESS_NETWORK + (int)TL_MAY_UNKNOWN)) {
            why = tl_may_words((tl_may)(v - TL_ACCESS_NETWORK));
        } else if (!why && tl_claims_has(r->access->book, p, &x->ask.network, wall(r))) {
            why = tl_may_words(TL_MAY_UNKNOWN);
        }
    }
    return why;
}

void tl_route_no_member(tl_route *x)
{
    tl_router *r = x->router;
    char text[768], network[128], id[TL_NODE_ID_HEX + 1];
    const char *relay = r->world.relay_hopeless(r->user);
    const char *model = tl_route_is_auto(x) ? "a model" : x->ask.model;
    size_t members, paused;
    tl_fail fail = TL_FAIL_NO_PROVIDER;
    const char *why = what_stands_between(x, &members, &paused);
    tl_node_id_write(id, &x->ask.network);
    snprintf(network, sizeof network, "network %s (%.16s)",
             tl_access_name_of(r->access, &x->ask.network), id);
    if (x->ask.has_peer)
        snprintf(text, sizeof text,
                 "%s: the peer that was named is no provider of it in reach, or does not serve "
                 "\"%.150s\"",
                 network, model);
    else if (paused)
        snprintf(
            text, sizeof text,
            "%s: no member that serves \"%.150s\" takes questions now: %zu of %zu %s paused by "
            "the owner",
            network, model, paused, members, paused == 1 ? "is" : "are");
    else if (members)
        snprintf(text, sizeof text, "%s: no member that serves \"%.150s\" takes questions now",
                 network, model);
    else if (why)
        snprintf(text, sizeof text, "%s: \"%.150s\" is listed, but %s", network, model, why);
    else if (relay || !x->searched)
        snprintf(text, sizeof text,
                 "%s: no member that serves \"%.150s\" is known, and no relay can be asked: %.300s",
                 network, model, relay ? relay : r->world.relay_error(r->user));
    else {
        fail = TL_FAIL_MODEL_NOT_LOADED;
        snprintf(text, sizeof text, "%s: no member in reach serves \"%.150s\" now", network, model);
    }
    tl_route_fail(x, fail, text);
}

bool tl_route_is_out(tl_route *x)
{
    char text[256];
    tl_router *r = x->router;
    tl_may may = x->ask.scoped ? tl_access_in(r->access, &x->ask.network) : TL_MAY_OK;
    if (!may)
        return false;
    snprintf(text, sizeof text, "network %s: %s", tl_access_name_of(r->access, &x->ask.network),
             tl_may_words(may));
    tl_route_fail(x, TL_FAIL_FORBIDDEN, text);
    return true;
}
