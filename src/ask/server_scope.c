/* Requests and the book of networks. Those that wait for their peer's certificate go on with it. Those of a
 * peer that was revoked, or whose network this node has left, end in the middle of their answer. */
#include "ask/server_state.h"

#include <utlist.h>

/* Has an answer, or may get one, by its network. */
static bool counts(const tl_request *r)
{
    return r->ask.has_network && !r->lapsed && r->state != TL_REQUEST_HEAD &&
           r->state != TL_REQUEST_UNPROVEN && r->state != TL_REQUEST_REFUSED;
}

/* The next one whose network is not the peer's any more. That this node shuts down, or shares
 * nothing now, is no reason: what runs then goes on. */
static tl_request *next_lapsed(const tl_server *s, tl_access_verdict *ret_verdict)
{
    tl_request *r;
    DL_FOREACH (s->requests, r) {
        if (!counts(r))
            continue;
        *ret_verdict = tl_access_for_peer(s->places.access, &r->peer, &r->ask.network);
        if (*ret_verdict >= TL_ACCESS_UNPROVEN)
            return r;
    }
    return NULL;
}

static tl_request *next_proven(const tl_server *s)
{
    tl_request *r;
    DL_FOREACH (s->requests, r)
        if (r->state == TL_REQUEST_UNPROVEN &&
            tl_access_for_peer(s->places.access, &r->peer, &r->ask.network) != TL_ACCESS_UNPROVEN)
            return r;
    return NULL;
}

void tl_server_on_book(tl_server *s)
{
    tl_access_verdict v;
    for (tl_request *r; (r = next_proven(s));)
        tl_request_prove(r);
    for (tl_request *r; (r = next_lapsed(s, &v));)
        tl_request_lapse(r, tl_access_words(v));
}
