/* Path ids and the addresses behind them. */
#include "direct/state.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/* --- looking --- */

static tl_source_key key_of(tl_sock sock, const tl_addr *a)
{
    tl_source_key k;
    memset(&k, 0, sizeof k);
    k.sock = sock;
    k.scope = a->scope;
    k.port = a->port;
    k.family = (uint16_t)a->family;
    memcpy(k.bytes, a->bytes, sizeof k.bytes);
    return k;
}

static tl_source *source_find(const tl_direct *d, tl_sock sock, const tl_addr *from)
{
    tl_source_key k = key_of(sock, from);
    tl_source *source;
    HASH_FIND(hh, d->sources, &k, sizeof k, source);
    if (source || sock == tl_sock_base(sock))
        return source;
    k.sock = tl_sock_base(sock); /* of a pair for which the kernel chooses our address */
    HASH_FIND(hh, d->sources, &k, sizeof k, source);
    return source;
}

tl_way_entry *tl_way_of_source(const tl_direct *d, tl_sock sock, const tl_addr *from)
{
    const tl_source *source = source_find(d, sock, from);
    return source ? source->way : NULL;
}

tl_way_entry *tl_way_find(const tl_direct *d, tl_path_id path)
{
    tl_way_entry *way;
    HASH_FIND(hh, d->ways, &path, sizeof path, way);
    return way;
}

const tl_pair *tl_way_pair(const tl_way_entry *way)
{
    return tl_checks_pair(way->session->checks, way->pair);
}

tl_way_entry *tl_way_of_pair(const tl_session *s, uint16_t pair)
{
    tl_way_entry *way;
    DL_FOREACH (s->peer->ways, way)
        if (way->session == s && way->pair == pair)
            return way;
    return NULL;
}

bool tl_ways_any(const tl_direct_peer *p)
{
    const tl_way_entry *way;
    DL_FOREACH (p->ways, way)
        if (way->up)
            return true;
    return false;
}

tl_way_entry *tl_way_waiting(const tl_direct *d, const tl_way_entry *lost)
{
    tl_way_entry *way, *next;
    if (!lost->sources)
        return NULL;
    HASH_ITER (hh, d->ways, way, next) {
        const tl_pair *pair = way->waits && way->peer != lost->peer ? tl_way_pair(way) : NULL;
        if (pair && pair->state == TL_PAIR_VALID &&
            tl_way_of_source(d, pair->sock, &pair->remote) == lost)
            return way;
    }
    return NULL;
}

/* --- making and freeing --- */

static void source_give(tl_source *source, tl_way_entry *way)
{
    if (source->way == way)
        return;
    if (source->way)
        DL_DELETE(source->way->sources, source);
    source->way = way;
    DL_APPEND(way->sources, source);
}

/* The addresses of `way` will be nobody's. The ways of other peers that wait for one are called at
 * the next tl_direct_settle: nothing here may act on them. */
static void free_for_others(const tl_way_entry *way)
{
    tl_direct *d = way->peer->direct;
    tl_way_entry *waiting;
    while ((waiting = tl_way_waiting(d, way))) {
        waiting->waits = false;
        waiting->freed = d->any_freed = true;
        tl_direct_due(d, tl_direct_now(d));
        tl_env_wake(&d->env);
    }
}

static void way_free(tl_way_entry *way)
{
    tl_direct *d = way->peer->direct;
    tl_source *source, *next;
    free_for_others(way);
    DL_FOREACH_SAFE (way->sources, source, next) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every source is in the table */
        HASH_DEL(d->sources, source);
        free(source);
    }
    if (way->peer->used == way->path)
        way->peer->used = 0;
    DL_DELETE(way->peer->ways, way);
    way->peer->n_ways--;
    HASH_DEL(d->ways, way);
    d->world.free_path(d->user, way->path);
    free(way);
}

void tl_ways_of_session_free(tl_session *s)
{
    tl_way_entry *way, *next;
    DL_FOREACH_SAFE (s->peer->ways, way, next)
        if (way->session == s)
            way_free(way);
}

/* Frees ways whose pair the checks have forgotten: they lead nowhere. */
static void sweep(tl_direct_peer *p)
{
    tl_way_entry *way, *next;
    DL_FOREACH_SAFE (p->ways, way, next)
        if (!way->up && way->path != p->used && !tl_way_pair(way))
            way_free(way);
}

static tl_way_entry *way_new(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    sweep(p);
    if (p->n_ways >= TL_WAYS_OF_PEER_MAX)
        return NULL;
    tl_way_entry *way = calloc(1, sizeof *way);
    if (!way)
        return NULL;
    way->path = d->world.new_path(d->user, &p->id);
    way->peer = p;
    if (!way->path || !TL_TABLE_ADD(hh, d->ways, path, sizeof way->path, way)) {
        if (way->path)
            d->world.free_path(d->user, way->path);
        free(way);
        return NULL;
    }
    DL_APPEND(p->ways, way);
    p->n_ways++;
    return way;
}

static tl_source *source_new(tl_direct *d, const tl_pair *pair, tl_way_entry *way)
{
    tl_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->key = key_of(pair->sock, &pair->remote);
    if (!TL_TABLE_ADD(hh, d->sources, key, sizeof source->key, source)) {
        free(source);
        return NULL;
    }
    source_give(source, way);
    return source;
}

/* May datagrams from this address belong to `p` from now on? Whoever can forge the source of a
 * datagram can send checks of its own from another peer's address. So an address that is another
 * peer's goes over only to a pair that has answered us from there, and never from a way that
 * stands: that way is asked now, and an address whose owner is silent is free soon. */
static bool may_take(const tl_source *source, const tl_direct_peer *p, const tl_pair *pair)
{
    const tl_way_entry *owner = source->way;
    if (owner->peer == p)
        return true;
    if (pair->state != TL_PAIR_VALID)
        return false;
    if (!owner->up)
        return true;
    tl_checks_suspect(owner->session->checks, owner->pair, tl_direct_now(p->direct));
    tl_direct_due(p->direct, tl_checks_expiry(owner->session->checks));
    return false;
}

bool tl_way_hears(const tl_way_entry *way, const tl_pair *pair)
{
    const tl_way_entry *owner = tl_way_of_source(way->peer->direct, pair->sock, &pair->remote);
    return owner && owner->peer == way->peer;
}

/* Another session of the same peer may have reached this address before. Then the address keeps its
 * path id, so that nothing changes for QUIC. */
tl_way_entry *tl_way_get(tl_session *s, const tl_pair *pair)
{
    tl_direct_peer *p = s->peer;
    tl_way_entry *way = tl_way_of_pair(s, pair->id);
    tl_source *source = source_find(p->direct, pair->sock, &pair->remote);
    if (way && source && source->way->peer == p)
        return way;
    bool made = false, take = !source || may_take(source, p, pair);
    if (!take && pair->state != TL_PAIR_VALID)
        return NULL;
    if (!way && source && source->way->peer == p)
        way = source->way;
    if (!way) {
        way = way_new(p);
        made = true;
    }
    if (!way)
        return NULL;
    if (!source)
        source = source_new(p->direct, pair, way);
    if (!source) {
        if (made)
            way_free(way);
        return NULL;
    }
    if (take)
        source_give(source, way);
    way->session = s;
    way->pair = pair->id;
    assert(way->peer == s->peer);
    if (tl_sock_is_pipe(pair->sock) && p->direct->world.pipe_proven)
        p->direct->world.pipe_proven(p->direct->user, pair->sock, &p->id);
    return way;
}

void tl_way_rebind(tl_way_entry *way, const tl_way_entry *to)
{
    assert(way->peer == to->peer);
    way->session = to->session;
    way->pair = to->pair;
}

void tl_way_renew(tl_way_entry *way)
{
    tl_source *source, *next;
    tl_way_entry *fresh = way_new(way->peer);
    if (!fresh)
        return;
    fresh->session = way->session;
    fresh->pair = way->pair;
    fresh->up = way->up;
    fresh->since = way->since;
    fresh->losses = way->losses;
    DL_FOREACH_SAFE (way->sources, source, next)
        source_give(source, fresh);
    way_free(way);
}

/* --- pacing --- */

/* The way in use is asked as often as its traffic needs. One more way is kept open, and those that
 * wait for an address. The others rest. */
void tl_ways_pace(tl_direct_peer *p)
{
    tl_time now = tl_direct_now(p->direct);
    bool spare = false;
    tl_way_entry *way;
    const tl_way_entry *used = p->used ? tl_way_find(p->direct, p->used) : NULL;
    DL_FOREACH (p->ways, way) {
        tl_pair_pace pace = TL_PACE_REST;
        if (used && way->session == used->session && way->pair == used->pair)
            pace = p->active ? TL_PACE_ACTIVE : TL_PACE_KEEP;
        else if (way->waits) {
            pace = TL_PACE_KEEP;
        } else if (way->up && !spare) {
            pace = TL_PACE_KEEP;
            spare = true;
        }
        tl_checks_set_pace(way->session->checks, way->pair, pace, now);
        tl_direct_due(p->direct, tl_checks_expiry(way->session->checks));
    }
}
