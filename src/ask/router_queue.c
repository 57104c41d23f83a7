/* Providers that keep a question in a queue, and those that take none now. */
#include "ask/router_state.h"

#include <stdio.h>

/* So long a question stands in one queue alone. Then another provider is asked beside it, if one is
 * known: whoever has a free slot answers first. It keeps its place in the first queue, stands in no
 * more than TL_ROUTE_TRIES_AT_ONCE, and leaves the others when one begins to work at it. */
#define PATIENCE_QUEUED (2500 * TL_MS)

void tl_route_told(tl_attempt *a, const tl_progress *p)
{
    tl_route *x = a->route;
    a->progress = *p;
    if (p->position) {
        a->works_from = tl_env_now(&x->router->env);
        return;
    }
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++) {
        tl_attempt *other = &x->attempts[i];
        if (other != a && other->exchange && other->progress.position)
            tl_route_drop(other);
    }
}

tl_time tl_route_beside_from(const tl_attempt *a, tl_time quiet_from)
{
    bool alone = a->local || a->route->ask.has_peer;
    return a->progress.position && !alone ? tl_time_min(quiet_from, a->begun + PATIENCE_QUEUED)
                                          : quiet_from;
}

/* Nothing comes from the peer's node any more: neither an answer nor what shows that it is there. */
static bool is_cut_off(const tl_attempt *a)
{
    const tl_router *r = a->route->router;
    tl_peer_facts facts;
    const tl_peer *p = a->local || a->in_clear ? NULL : tl_peer_table_find(r->table, &a->id);
    return p && tl_peers_facts(r->peers, p, &facts) && facts.silent;
}

tl_progress tl_route_progress(const tl_exchange *exchange)
{
    const tl_route *x = (const tl_route *)exchange;
    tl_progress best = {.waits_for = TL_WAITS_PEER};
    for (size_t i = 0; i < TL_ROUTE_TRIES_AT_ONCE; i++) {
        const tl_attempt *a = &x->attempts[i];
        if (!a->exchange)
            continue;
        if (is_cut_off(a)) {
            if (!best.position && best.waits_for == TL_WAITS_PEER)
                best.waits_for = TL_WAITS_PATH;
            continue;
        }
        if ((a->sign != TL_SIGN_NONE || a->local) && !a->progress.position)
            return (tl_progress){.waits_for = TL_WAITS_MODEL}; /* somebody works at it */
        if (!best.position)
            best.waits_for = TL_WAITS_ANSWER;
        if (a->progress.position &&
            (!best.position || a->progress.wait_seconds < best.wait_seconds))
            best = a->progress;
    }
    return best;
}

bool tl_router_was_asked(const tl_exchange *route)
{
    const tl_route *x = (const tl_route *)route;
    return x->n_tried || x->second_chance || x->n_repriced;
}

bool tl_route_fail_resting(tl_route *x)
{
    const tl_router *r = x->router;
    char text[256], model[112];
    size_t n = 0, paused = 0, at;
    for (const tl_peer *p = r->table->peers; p; p = p->hh.next)
        if (!p->available && !p->in_clear && tl_route_serves(x, p) &&
            tl_access_may_try(r->access, &p->id)) {
            n++;
            paused += p->paused;
        }
    if (!n)
        return false;
    if (tl_route_is_auto(x))
        snprintf(model, sizeof model, "a model");
    else
        snprintf(model, sizeof model, "\"%.100s\"", x->ask.model);
    at = (size_t)snprintf(text, sizeof text,
                          "%s is served by %zu node%s, but %s no questions of others now", model, n,
                          n == 1 ? "" : "s", n == 1 ? "it takes" : "they take");
    if (paused)
        snprintf(text + at, sizeof text - at, ": %zu of %zu %s paused by the owner", paused, n,
                 paused == 1 ? "is" : "are");
    tl_route_fail(x, TL_FAIL_UNAVAILABLE, text);
    return true;
}
