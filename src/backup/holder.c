#include "backup/holder_state.h"

#include <assert.h>
#include <stdlib.h>

#define SWEEP_EVERY (60 * TL_MIN)
#define TELL_EVERY  (24 * 3600) /* seconds: the world need not know better when an owner was heard */

tl_unix tl_holder_wall(const tl_holder *h)
{
    return h->env.wall(h->env.user);
}

tl_err tl_holder_new(const tl_holder_config *config, tl_holder **ret_holder)
{
    tl_holder *h = calloc(1, sizeof *h);
    if (!h)
        return TL_ERR_NOMEM;
    *h = (tl_holder){.identity = config->identity,
                     .world = config->world,
                     .user = config->user,
                     .env = config->env,
                     .counts.quota = config->quota};
    tl_time now = tl_env_now(&h->env);
    h->gets = tl_ratelimit_make(TL_HOLDER_ALL_RATE, TL_HOLDER_ALL_BURST, now);
    h->strangers = h->nobodies = h->gets;
    h->began_at = now;
    h->ran_before = 1;
    h->sweep_at = now + SWEEP_EVERY;
    *ret_holder = h;
    return TL_OK;
}

/* Seconds that this node has run, in this run and those before; above 0, which is never. */
static tl_unix ran_for(const tl_holder *h)
{
    return h->ran_before + (tl_unix)((tl_env_now(&h->env) - h->began_at) / TL_SEC);
}

/* --- the table --- */

tl_held *tl_holder_find(const tl_holder *h, const tl_node_id *owner, const tl_fragment_id *id)
{
    tl_held *x;
    tl_holder_key key = {*owner, *id};
    HASH_FIND(hh, h->held, &key, sizeof key, x);
    return x;
}

static tl_held_reader *find_reader(const tl_holder *h, const tl_node_id *id)
{
    tl_held_reader *r;
    HASH_FIND(hh, h->readers, id, sizeof *id, r);
    return r;
}

static bool has_tag(const tl_held *x, const uint8_t tag[TL_FRAGMENT_TAG])
{
    return memcmp(x->entry.key.id.bytes, tag, TL_FRAGMENT_TAG) == 0;
}

tl_held *tl_holder_find_for(const tl_holder *h, const tl_node_id *peer,
                            const uint8_t tag[TL_FRAGMENT_TAG])
{
    const tl_held_owner *o = tl_holder_owner(h, peer);
    const tl_held_reader *r = find_reader(h, peer);
    for (tl_held *x = o ? o->held : NULL; x; x = x->next)
        if (has_tag(x, tag))
            return x;
    for (tl_held *x = r ? r->held : NULL; x; x = x->reader_next)
        if (has_tag(x, tag))
            return x;
    return NULL;
}

tl_held_owner *tl_holder_owner(const tl_holder *h, const tl_node_id *id)
{
    tl_held_owner *o;
    HASH_FIND(hh, h->owners, id, sizeof *id, o);
    return o;
}

/* Of those that nothing is held of, nor comes from. */
static void drop_owners(tl_holder *h)
{
    tl_held_owner *o, *next;
    HASH_ITER (hh, h->owners, o, next)
        if (!o->fragments && !o->on_their_way) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
            HASH_DELETE(hh, h->owners, o);
            free(o);
        }
}

tl_held_owner *tl_holder_need_owner(tl_holder *h, const tl_node_id *id)
{
    tl_held_owner *o = tl_holder_owner(h, id);
    tl_time now = tl_env_now(&h->env);
    if (!o && HASH_COUNT(h->owners) >= TL_HOLDER_MAX)
        drop_owners(h);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
    if (o || HASH_COUNT(h->owners) >= TL_HOLDER_MAX || !(o = calloc(1, sizeof *o)))
        return o;
    o->id = *id;
    o->rate[0] = tl_ratelimit_make(TL_HOLDER_RATE, TL_HOLDER_BURST, now);
    o->rate[1] = tl_ratelimit_make(TL_HOLDER_STRANGER_RATE, TL_HOLDER_STRANGER_BURST, now);
    o->heard_at = ran_for(h);
    if (TL_TABLE_ADD(hh, h->owners, id, sizeof o->id, o))
        return o;
    free(o);
    return NULL;
}

static tl_held_reader *need_reader(tl_holder *h, const tl_node_id *id)
{
    tl_held_reader *r = find_reader(h, id);
    if (r || !(r = calloc(1, sizeof *r)))
        return r;
    r->id = *id;
    if (TL_TABLE_ADD(hh, h->readers, id, sizeof r->id, r))
        return r;
    free(r);
    return NULL;
}

/* One that nothing was placed for goes. */
static void drop_reader(tl_holder *h, tl_held_reader *r)
{
    if (r->held)
        return;
    HASH_DELETE(hh, h->readers, r);
    free(r);
}

tl_held *tl_holder_add(tl_holder *h, const tl_holder_entry *entry)
{
    tl_held_owner *o = tl_holder_need_owner(h, &entry->key.owner);
    tl_held_reader *r = need_reader(h, &entry->recovery);
    tl_held *x = calloc(1, sizeof *x);
    if (o && r && x) {
        x->entry = *entry;
        x->counted = tl_held_counted(entry->size);
        x->owner = o;
        x->reader = r;
    }
    if (!o || !r || !x || !TL_TABLE_ADD(hh, h->held, entry.key, sizeof x->entry.key, x)) {
        if (r)
            drop_reader(h, r);
        free(x);
        return NULL;
    }
    DL_APPEND(o->held, x);
    DL_APPEND2(r->held, x, reader_prev, reader_next);
    o->fragments++;
    h->counts.fragments++;
    h->counts.owners += o->fragments == 1;
    return x;
}

bool tl_holder_amend(tl_holder *h, tl_held *x, const tl_holder_entry *entry)
{
    tl_held_reader *r = need_reader(h, &entry->recovery);
    if (!r)
        return false;
    if (r != x->reader) {
        DL_DELETE2(x->reader->held, x, reader_prev, reader_next);
        drop_reader(h, x->reader);
        DL_APPEND2(r->held, x, reader_prev, reader_next);
        x->reader = r;
    }
    h->counts.stranger_bytes -= x->entry.stranger ? x->counted : 0;
    h->counts.stranger_bytes += entry->stranger ? x->counted : 0;
    x->entry = *entry;
    return true;
}

static void uncount(tl_holder *h, tl_held_owner *o, bool stranger, uint32_t counted)
{
    o->bytes -= counted;
    h->counts.bytes -= counted;
    h->counts.stranger_bytes -= stranger ? counted : 0;
}

void tl_holder_drop(tl_holder *h, tl_held *x)
{
    tl_held_owner *o = x->owner;
    h->world->drop(h->user, &x->entry.key);
    uncount(h, o, x->entry.stranger, x->counted);
    HASH_DELETE(hh, h->held, x);
    DL_DELETE(o->held, x);
    DL_DELETE2(x->reader->held, x, reader_prev, reader_next);
    drop_reader(h, x->reader);
    free(x);
    h->counts.fragments--;
    if (--o->fragments == 0) {
        h->counts.owners--;
        o->told_at = 0;
        h->world->forget(h->user, &o->id);
    }
}

static void drop_all(tl_holder *h, tl_held_owner *o)
{
    while (o->held)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        tl_holder_drop(h, o->held);
}

void tl_holder_free(tl_holder *h)
{
    tl_held *x, *next;
    tl_held_owner *o, *next_o;
    tl_held_reader *r, *next_r;
    if (!h)
        return;
    assert(!h->jobs_n && !h->ops);
    HASH_ITER (hh, h->held, x, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, h->held, x);
        free(x);
    }
    HASH_ITER (hh, h->owners, o, next_o) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, h->owners, o);
        free(o);
    }
    HASH_ITER (hh, h->readers, r, next_r) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DELETE(hh, h->readers, r);
        free(r);
    }
    free(h);
}

bool tl_holder_knows(const tl_holder *h, const tl_node_id *peer)
{
    return tl_holder_is_owner(h, peer) || find_reader(h, peer);
}

bool tl_holder_is_owner(const tl_holder *h, const tl_node_id *peer)
{
    const tl_held_owner *o = tl_holder_owner(h, peer);
    return o && o->fragments;
}

void tl_holder_counts_of(const tl_holder *h, tl_holder_counts *ret_counts)
{
    *ret_counts = h->counts;
}

/* --- bounds --- */

const char *tl_holder_no_room(const tl_holder *h, const tl_node_id *peer, bool stranger,
                              uint32_t counted)
{
    const tl_held_owner *o = tl_holder_owner(h, peer);
    uint64_t quota = h->counts.quota, mine = (o ? o->bytes : 0) + counted;
    if (!quota)
        return "this node holds nothing for others (store_quota is 0)";
    if (h->counts.fragments >= TL_HOLDER_MAX || h->counts.bytes + counted > quota)
        return "this node holds as much for others as it may (store_quota)";
    if (mine > quota / (stranger ? 64 : 4))
        return "this node holds as much for you as it may";
    if (stranger && h->counts.stranger_bytes + counted > quota / 4)
        return "this node holds as much for strangers as it may";
    return NULL;
}

bool tl_holder_has_room(const tl_holder *h, const tl_node_id *peer, uint32_t size)
{
    bool stranger = h->world->who(h->user, peer) == TL_HOLDER_STRANGER;
    return !tl_holder_no_room(h, peer, stranger, tl_held_counted(size));
}

/* Of strangers, while they have more than `max` in all; then of the owner that has most. */
static tl_held *least_wanted(const tl_holder *h)
{
    const tl_held_owner *most = NULL;
    tl_held *x;
    if (h->counts.stranger_bytes)
        for (x = h->held; x; x = x->hh.next)
            if (x->entry.stranger)
                return x;
    for (const tl_held_owner *o = h->owners; o; o = o->hh.next)
        if (o->held && (!most || o->bytes > most->bytes))
            most = o;
    return most ? most->held : NULL;
}

void tl_holder_set_quota(tl_holder *h, uint64_t quota)
{
    tl_held *x;
    h->counts.quota = quota;
    while (h->counts.bytes > quota && (x = least_wanted(h))) {
        tl_holder_drop(h, x);
        h->counts.evicted++;
    }
}

/* --- what was kept --- */

tl_err tl_holder_load_owner(tl_holder *h, const tl_node_id *owner, tl_unix heard_at)
{
    if (tl_node_id_eq(owner, &h->identity->id)) {
        h->ran_before = heard_at;
        return TL_OK;
    }
    if (HASH_COUNT(h->owners) >= TL_HOLDER_MAX && !tl_holder_owner(h, owner))
        return TL_ERR_BUSY; /* what is loaded has no fragments yet, and is not to go */
    tl_held_owner *o = tl_holder_need_owner(h, owner);
    if (!o)
        return TL_ERR_NOMEM;
    o->heard_at = o->told_at = heard_at;
    return TL_OK;
}

tl_err tl_holder_load(tl_holder *h, const tl_holder_entry *entry)
{
    if (h->counts.fragments >= TL_HOLDER_MAX)
        return TL_ERR_BUSY;
    tl_held *x = tl_holder_add(h, entry);
    if (!x)
        return TL_ERR_NOMEM;
    tl_held_owner *o = x->owner;
    o->bytes += x->counted;
    h->counts.bytes += x->counted;
    h->counts.stranger_bytes += entry->stranger ? x->counted : 0;
    if (o->heard_at > ran_for(h)) /* the node was killed before it told how long it ran */
        o->heard_at = o->told_at = ran_for(h);
    return TL_OK;
}

/* --- time --- */

void tl_holder_hear(tl_holder *h, tl_held_owner *o)
{
    o->heard_at = ran_for(h);
    if (!o->fragments || (o->told_at && o->heard_at < o->told_at + TELL_EVERY))
        return;
    o->told_at = o->heard_at;
    h->world->heard(h->user, &o->id, o->heard_at);
}

void tl_holder_on_timer(tl_holder *h)
{
    tl_held_owner *o, *next;
    if (h->freed)
        tl_holder_go_on(h);
    if (tl_env_now(&h->env) < h->sweep_at)
        return;
    h->sweep_at = tl_env_now(&h->env) + SWEEP_EVERY;
    HASH_ITER (hh, h->owners, o, next)
        if (ran_for(h) >= o->heard_at + TL_HOLDER_KEEPS) {
            h->counts.expired += o->fragments;
            drop_all(h, o);
        }
    drop_owners(h);
    if (h->counts.fragments)
        h->world->heard(h->user, &h->identity->id, ran_for(h));
}

tl_time tl_holder_expiry(const tl_holder *h)
{
    return h->freed ? tl_env_now(&h->env) : h->sweep_at;
}
