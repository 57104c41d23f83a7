/* Path ids and the addresses behind them. */
#include "direct/state.h"

#include <stdlib.h>
#include <utlist.h>

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
    return source;
}

static tl_way_entry *way_find(const tl_direct *d, tl_path_id path)
{
    tl_way_entry *way;
    HASH_FIND(hh, d->ways, &path, sizeof path, way);
    return way;
}

static const tl_pair *pair_of(const tl_way_entry *way)
{
    return tl_checks_pair(way->session->checks, way->pair);
}

tl_way_entry *tl_way_of_pair(const tl_direct_peer *p, const tl_session *s, uint16_t pair)
{
    tl_way_entry *way;
    DL_FOREACH (p->ways, way)
        if (way->session == s && way->pair == pair)
            return way;
    return NULL;
}

static tl_way_entry *way_new(tl_direct_peer *p)
{
    tl_direct *d = p->direct;
    tl_path_id id = d->world.new_path(d->user, &p->id);
    tl_way_entry *way = id ? calloc(1, sizeof *way) : NULL;
    if (!way)
        return NULL;
    way->path = id;
    way->peer = p;
    if (!TL_TABLE_ADD(hh, d->ways, path, sizeof way->path, way)) {
        free(way);
        return NULL;
    }
    DL_APPEND(p->ways, way);
    return way;
}

/* An address that another session of the same peer reached before keeps its path id: to QUIC
 * nothing changed. */
tl_way_entry *tl_way_get(tl_session *s, const tl_pair *pair)
{
    tl_direct *d = s->peer->direct;
    tl_way_entry *way = tl_way_of_pair(s->peer, s, pair->id);
    tl_source *source = source_find(d, pair->sock, &pair->remote);
    if (way && source)
        return way;
    if (!source) {
        source = calloc(1, sizeof *source);
        if (!source)
            return NULL;
        source->key = key_of(pair->sock, &pair->remote);
        if (!TL_TABLE_ADD(hh, d->sources, key, sizeof source->key, source)) {
            free(source);
            return NULL;
        }
    }
    if (!way && source->way && source->way->peer == s->peer)
        way = source->way;
    if (!way)
        way = way_new(s->peer);
    if (!way) {
        HASH_DEL(d->sources, source);
        free(source);
        return NULL;
    }
    source->way = way;
    way->session = s;
    way->pair = pair->id;
    return way;
}

static void way_free(tl_way_entry *way)
{
    tl_direct *d = way->peer->direct;
    tl_source *source, *next;
    HASH_ITER (hh, d->sources, source, next)
        if (source->way == way) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
            HASH_DEL(d->sources, source);
            free(source);
        }
    if (way->peer->used == way->path)
        way->peer->used = 0;
    DL_DELETE(way->peer->ways, way);
    HASH_DEL(d->ways, way);
    free(way);
}

void tl_ways_of_session_free(tl_session *s)
{
    tl_way_entry *way, *next;
    DL_FOREACH_SAFE (s->peer->ways, way, next)
        if (way->session == s)
            way_free(way);
}

tl_path_id tl_direct_path_of(tl_direct *d, tl_sock sock, const tl_addr *from, tl_path_id known,
                             bool client)
{
    const tl_source *source = source_find(d, sock, from);
    tl_way_entry *at_home = known ? way_find(d, known) : NULL;
    if (!source) {
        d->counters.strays++;
        if (at_home) {
            tl_checks_probe(at_home->session->checks, sock, from, tl_direct_now(d));
            tl_session_pump(at_home->session);
        }
        return 0;
    }
    tl_way_entry *way = source->way;
    if (!known || known == way->path)
        return way->path;
    if (at_home && at_home->peer != way->peer)
        return 0;
    if (at_home && !client) {
        /* The same connection ID from another address: a NAT on the way changed its mind. Or
         * somebody repeats what he saw, checks and all: only one that answered ours is followed. */
        const tl_pair *pair = pair_of(way);
        bool other = at_home->session != way->session || at_home->pair != way->pair;
        if (other && pair && pair->state == TL_PAIR_VALID) {
            at_home->session = way->session;
            at_home->pair = way->pair;
            d->counters.rebinds++;
            tl_direct_changed(at_home->peer);
        }
    } else if (at_home && pair_of(at_home) && !tl_addr_eq(&pair_of(at_home)->remote, from)) {
        tl_checks_suspect(at_home->session->checks, at_home->pair, tl_direct_now(d));
        tl_session_pump(at_home->session);
    }
    return known;
}

tl_err tl_direct_send(tl_direct *d, tl_path_id path, const uint8_t *data, size_t n, size_t segment)
{
    const tl_way_entry *way = way_find(d, path);
    const tl_pair *pair = way ? pair_of(way) : NULL;
    if (!pair)
        return TL_ERR_NOT_FOUND;
    return d->world.send(d->user, pair->sock, &pair->remote, data, n, segment);
}

static bool is_lan(const tl_direct *d, const tl_addr *remote)
{
    const tl_direct_self *self = d->world.self(d->user);
    return tl_addr_on_link(remote, self->interfaces, self->n_interfaces);
}

static tl_direct_way describe(const tl_direct *d, const tl_way_entry *way, const tl_pair *pair)
{
    return (tl_direct_way){.path = way->path,
                           .lan = is_lan(d, &pair->remote),
                           .rtt = pair->rtt,
                           .since = way->since,
                           .losses = way->losses,
                           .remote = pair->remote};
}

size_t tl_direct_ways(const tl_direct *d, const tl_node_id *peer,
                      tl_direct_way ret_ways[TL_DIRECT_WAYS_MAX])
{
    const tl_direct_peer *p = tl_direct_peer_find(d, peer);
    size_t n = 0;
    const tl_way_entry *way;
    if (!p)
        return 0;
    DL_FOREACH (p->ways, way)
        if (way->up && pair_of(way) && n < TL_DIRECT_WAYS_MAX)
            ret_ways[n++] = describe(d, way, pair_of(way));
    return n;
}

bool tl_direct_way_of(const tl_direct *d, tl_path_id path, tl_direct_way *ret_way)
{
    const tl_way_entry *way = way_find(d, path);
    const tl_pair *pair = way ? pair_of(way) : NULL;
    if (!pair)
        return false;
    *ret_way = describe(d, way, pair);
    return true;
}

#define BARREN_LOSSES                                                                              \
    3 /* counts as many: it may be blocked for good, and each try costs a second */

void tl_direct_on_barren(tl_direct *d, tl_path_id path)
{
    tl_way_entry *way = way_find(d, path);
    if (!way)
        return;
    const tl_pair *pair = pair_of(way);
    tl_direct_note(way->peer, "carries nothing:", pair ? &pair->remote : NULL);
    way->since = tl_direct_now(d);
    way->losses += BARREN_LOSSES;
    d->counters.lost++;
    tl_direct_changed(way->peer);
}

/* The one in use is watched as closely as its traffic asks for; one more is kept open, the rest
 * rests. */
void tl_ways_pace(tl_direct_peer *p)
{
    tl_time now = tl_direct_now(p->direct);
    bool spare = false;
    tl_way_entry *way;
    const tl_way_entry *used = p->used ? way_find(p->direct, p->used) : NULL;
    DL_FOREACH (p->ways, way) {
        tl_pair_pace pace = TL_PACE_REST;
        if (used && way->session == used->session && way->pair == used->pair)
            pace = p->active ? TL_PACE_ACTIVE : TL_PACE_KEEP;
        else if (way->up && !spare) {
            pace = TL_PACE_KEEP;
            spare = true;
        }
        tl_checks_set_pace(way->session->checks, way->pair, pace, now);
        tl_direct_due(p->direct, tl_checks_expiry(way->session->checks));
    }
}

void tl_direct_using(tl_direct *d, const tl_node_id *peer, tl_path_id path, bool active)
{
    tl_direct_peer *p = tl_direct_peer_find(d, peer);
    if (!p || (p->used == path && p->active == active))
        return;
    p->used = way_find(d, path) ? path : 0;
    p->active = active;
    tl_ways_pace(p);
    tl_env_wake(&d->env);
}
