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

static void unlist(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    if (!p->stranger)
        return;
    p->stranger = false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a stranger is in the list */
    DL_DELETE2(d->strange, p, older, younger);
    d->n_strange--;
}

void tl_direct_peer_forget(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    unlist(p);
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
            tl_direct_peer_forget(p);
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

/* --- strangers --- */

bool tl_direct_knows(const tl_direct *d, const tl_node_id *id)
{
    return !d->world.knows || d->world.knows(d->user, id);
}

/* Makes room: the oldest without a way goes, or else the oldest whose way nobody uses. False: all are used. */
static bool forget_stranger(tl_direct *d)
{
    tl_direct_peer *p, *gone = NULL;
    DL_FOREACH2(d->strange, p, younger)
    {
        if (!tl_ways_any(p)) {
            gone = p;
            break;
        }
        if (!gone && !p->used)
            gone = p;
    }
    if (gone)
        tl_direct_peer_forget(gone);
    return gone != NULL;
}

tl_direct_peer *tl_direct_peer_asking(tl_direct *d, const tl_node_id *id)
{
    tl_direct_peer *p = tl_direct_peer_find(d, id);
    if (p)
        return p;
    bool stranger = !tl_direct_knows(d, id);
    if (stranger && d->n_strange >= TL_DIRECT_STRANGERS_MAX && !forget_stranger(d))
        return NULL;
    p = tl_direct_peer_get(d, id);
    if (!p || !stranger)
        return p;
    p->stranger = true;
    DL_APPEND2(d->strange, p, older, younger);
    d->n_strange++;
    return p;
}

void tl_direct_peer_known(tl_direct_peer *p)
{
    unlist(p);
}

bool tl_direct_peer_is_strange(const tl_direct_peer *p)
{
    return p->stranger && !p->used && !tl_ways_any(p);
}

tl_time tl_direct_peer_tidy(tl_direct_peer *p, tl_time now)
{
    if (!p->stranger || p->used)
        return TL_NEVER;
    if (tl_direct_knows(p->direct, &p->id)) { /* a connection is being made over its way */
        unlist(p);
        return TL_NEVER;
    }
    if (p->state != TL_DIRECT_STANDS && tl_attempt_is_on(p))
        return TL_NEVER;
    if (p->state == TL_DIRECT_STANDS && p->now) {
        tl_time since = p->now->first_valid ? p->now->first_valid : p->now->began;
        if (now < since + TL_DIRECT_IDLE_STRANGER)
            return since + TL_DIRECT_IDLE_STRANGER;
    }
    tl_direct_peer_forget(p);
    return TL_NEVER;
}

void tl_direct_peers_free(tl_direct *d)
{
    tl_direct_peer *p, *next;
    HASH_ITER (hh, d->peers, p, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_direct_peer_forget(p);
    }
}
