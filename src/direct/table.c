/* The peers that direct ways lead to, or may lead to. */
#include "direct/state.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

tl_direct_peer *tl_direct_peer_find(const tl_direct *d, const tl_node_id *id)
{
    tl_direct_peer *p;
    HASH_FIND(hh, d->peers, id, sizeof *id, p);
    return p;
}

static void peer_free(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    tl_session_free(p->now);
    tl_session_free(p->old);
    assert(!p->ways && !p->n_ways);
    if (p->tell_ways || p->tell_silent)
        DL_DELETE(d->telling, p);
    HASH_DEL(d->peers, p);
    free(p);
}

/* Makes room: forgets one peer to which no way is wanted or used. */
static void forget_somebody(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next)
        if (!p->wanted && !p->used) {
            peer_free(p);
            return;
        }
}

tl_direct_peer *tl_direct_peer_get(tl_direct *d, const tl_node_id *id)
{
    tl_direct_peer *p = tl_direct_peer_find(d, id);
    if (p)
        return p;
    if (HASH_COUNT(d->peers) >= TL_DIRECT_PEERS_MAX)
        forget_somebody(d);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    if (HASH_COUNT(d->peers) >= TL_DIRECT_PEERS_MAX)
        return NULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->direct = d;
    p->id = *id;
    p->state = TL_DIRECT_NEVER;
    p->again_at = TL_NEVER;
    p->pause = TL_DIRECT_AGAIN_FIRST;
    if (!TL_TABLE_ADD(hh, d->peers, id, sizeof p->id, p)) {
        free(p);
        return NULL;
    }
    return p;
}

void tl_direct_peers_free(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        peer_free(p);
    }
}
