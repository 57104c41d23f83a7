/* Fragments of backups: makes the parts of backup/, drives them, hands them what happens, and keeps over
 * restarts what they want kept. */
#include "node/accounts.h"
#include "node/facts.h"
#include "node/fragments_state.h"

#include "base/log.h"
#include "store/fragments.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(
    TL_STORE_FRAGMENT_ID == TL_FRAGMENT_ID && TL_STORE_PLACES_MAX == TL_FRAGMENTS_MAX &&
        TL_STORE_OLD_MAX == TL_BACKUP_OLD_MAX &&
        /* NOLINTNEXTLINE(misc-redundant-expression): two names that are to have one value */
        TL_STORE_POINTER_MAX == TL_POINTER_MAX && TL_STORE_CONTENT_MAX == TL_BLOB_MAX,
    "the store keeps what backup/ hands it");

tl_backup *tl_node_backup(const tl_node *n)
{
    return n->fragments ? n->fragments->backup : NULL;
}

tl_exchanges *tl_node_exchanges(const tl_node *n)
{
    return n->fragments ? tl_fragment_asker_exchanges(n->fragments->asker) : NULL;
}

bool tl_node_is_fellow(const tl_node *n, const tl_node_id *peer)
{
    return tl_networks_is_member(n->book, peer, n->env.wall(n->env.user));
}

/* --- the owner's world --- */

/* It takes fragments, and is there: connected, or listed by the relay. */
static bool takes(const tl_node *n, const tl_peer *p)
{
    tl_peer_facts facts;
    return p->takes_fragments && !p->in_clear && !tl_node_id_eq(&p->id, &n->identity.id) &&
           (p->listed || tl_peers_facts(n->peers, p, &facts));
}

static void shuffle(tl_rand *rand, tl_node_id *id, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = tl_rand_below(rand, i);
        tl_node_id other = id[i - 1];
        id[i - 1] = id[j];
        id[j] = other;
    }
}

/* In a random order: so those of a network share the load. */
static size_t candidates(void *user, bool strangers, tl_node_id *ret, size_t max)
{
    tl_node *n = ((tl_node_fragments *)user)->node;
    size_t count = 0;
    for (int round = 0; round < (strangers ? 2 : 1); round++) {
        size_t from = count;
        for (const tl_peer *p = n->table.peers; p && count < max; p = p->hh.next)
            if (tl_node_is_fellow(n, &p->id) == (round == 0) && takes(n, p))
                ret[count++] = p->id;
        shuffle(&n->rand, ret + from, count - from);
    }
    return count;
}

static void on_map(void *user, const tl_backup_map *map)
{
    tl_node_fragments *f = user;
    if (f->on_map)
        f->on_map(f->node, map);
}

static void on_held(void *user, const tl_node_id *holder, unsigned fragments, tl_unix at)
{
    tl_node_note_held(((tl_node_fragments *)user)->node, holder, fragments, at);
}

static void save(void *user, const tl_backup_kept *k, const tl_slice *blob)
{
    const tl_node_fragments *f = user;
    tl_backup_row r = {.any = k->any,
                       .made_at = k->made_at,
                       .k = k->k,
                       .n = k->n,
                       .strangers = k->strangers,
                       .recovery = k->recovery,
                       .before_since = k->before.since,
                       .before_at = k->before.made_at,
                       .before_lose = k->before.may_lose,
                       .old_n = k->old_n};
    memcpy(r.blob, k->blob.bytes, sizeof r.blob);
    for (unsigned i = 0; i < k->n; i++) {
        const tl_backup_place *p = &k->place[i];
        bool held = p->state == TL_PLACE_HELD || p->state == TL_PLACE_SILENT;
        r.place[i] = (tl_backup_place_row){.held = held,
                                           .holder = p->holder,
                                           .placed_at = p->placed_at,
                                           .proven_at = p->proven_at,
                                           .expires_at = p->expires_at};
        memcpy(r.place[i].id, p->id.bytes, sizeof p->id.bytes);
    }
    for (unsigned i = 0; i < k->old_n; i++) {
        r.old[i].holder = k->old[i].holder;
        memcpy(r.old[i].id, k->old[i].id.bytes, sizeof r.old[i].id);
    }
    if (tl_store_put_backup(f->node->store, f->folder, &r, blob))
        tl_log(TL_LOG_WARN, "fragments: out of memory: places of the backup are not kept");
}

/* --- at the start --- */

typedef struct {
    tl_node_fragments *f;
    tl_err error;
} loading;

static void on_owner(void *user, const tl_node_id *owner, tl_unix heard_at, tl_slice pointer)
{
    loading *l = user;
    if (!l->error)
        l->error = tl_holder_load_owner(l->f->holder, owner, heard_at);
    tl_node_load_pointer(l->f, owner, pointer);
}

static void on_fragment(void *user, const tl_fragment_row *row)
{
    loading *l = user;
    tl_holder_entry e = {.key.owner = row->owner,
                         .size = row->size,
                         .recovery = row->recovery,
                         .placed_at = row->placed_at,
                         .stranger = row->stranger};
    memcpy(e.key.id.bytes, row->id, sizeof e.key.id.bytes);
    if (!l->error)
        l->error = tl_holder_load(l->f->holder, &e);
}

static void on_backup(void *user, const tl_backup_row *r, tl_slice blob)
{
    loading *l = user;
    tl_backup_kept k = {.any = r->any && blob.n,
                        .made_at = r->made_at,
                        .k = r->k,
                        .n = r->n,
                        .strangers = r->strangers,
                        .recovery = r->recovery,
                        .before = {r->before_since, r->before_at, r->before_lose},
                        .old_n = (uint8_t)r->old_n};
    memcpy(k.blob.bytes, r->blob, sizeof r->blob);
    for (unsigned i = 0; i < r->n; i++)
        k.place[i] = (tl_backup_place){.state = r->place[i].held ? TL_PLACE_HELD : TL_PLACE_WANTED,
                                       .holder = r->place[i].holder,
                                       .placed_at = r->place[i].placed_at,
                                       .proven_at = r->place[i].proven_at,
                                       .expires_at = r->place[i].expires_at};
    for (size_t i = 0; i < r->old_n; i++) {
        k.old[i].holder = r->old[i].holder;
        memcpy(k.old[i].id.bytes, r->old[i].id, sizeof r->old[i].id);
    }
    if (!l->error)
        l->error = tl_backup_load(l->f->backup, &k, blob);
    if (r->any && (!blob.n || l->error == TL_ERR_PROTO)) {
        tl_log(TL_LOG_WARN, "fragments: this node's copy of its own backup is lost; the next one "
                            "takes its place");
        l->error = TL_OK;
    }
}

static tl_err load(tl_node_fragments *f, tl_why *why)
{
    static const tl_fragments_loaded calls = {on_owner, on_fragment, on_backup};
    loading l = {.f = f};
    tl_err e = tl_store_load_fragments(f->node->store, f->folder, &calls, &l);
    if (!e)
        e = l.error;
    if (!e) /* where it is less than before */
        tl_holder_set_quota(f->holder, tl_node_store_quota(f->node));
    return e ? tl_why_set(why, e, "the fragments in %s could not be read: %s", f->folder,
                          tl_err_name(e))
             : TL_OK;
}

/* --- streams --- */

static bool takes_stream(void *user, const char *name)
{
    (void)user;
    return tl_talk_is_request(name);
}

static void on_stream(void *user, const tl_node_id *peer, tl_quic_stream *stream,
                      const tl_cluster_other *m, tl_frame_reader *reader)
{
    tl_fragment_server_on_stream(((tl_node_fragments *)user)->server, peer, stream, m, reader);
}

/* --- its life --- */

uint64_t tl_node_store_quota(const tl_node *n)
{
    return (uint64_t)n->settings.store_quota << 20;
}

static tl_err make_parts(tl_node_fragments *f)
{
    static const tl_backup_world backup_world = {candidates, on_map, on_held, save};
    tl_node *n = f->node;
    tl_holder_config holder = {.identity = &n->identity,
                               .world = &tl_node_holder_world,
                               .user = f,
                               .env = n->env,
                               .quota = UINT64_MAX}; /* until all is loaded */
    tl_backup_config backup = {.identity = &n->identity,
                               .rand = &n->rand,
                               .world = &backup_world,
                               .user = f,
                               .exchanges = tl_fragment_asker_exchanges(f->asker),
                               .env = n->env,
                               .challenge_mean = n->settings.backup_challenge_secs * TL_SEC,
                               .gone_after = n->settings.backup_gone_secs};
    tl_err e = tl_pointers_new(&tl_node_pointers_world, f, &f->pointers);
    if (!e)
        e = tl_holder_new(&holder, &f->holder);
    if (!e)
        e = tl_fragment_server_new(&n->env, f->holder, &f->server);
    return e ? e : tl_backup_new(&backup, &f->backup);
}

tl_err tl_node_open_fragments(tl_node *n, const char *store, tl_why *why)
{
    static const tl_server_others others = {takes_stream, on_stream};
    tl_node_fragments *f = calloc(1, sizeof *f);
    if (!f)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    n->fragments = f;
    f->node = n;
    tl_err e = tl_fragment_asker_new(&n->env, n->peers, &f->asker);
    if (!e && n->store)
        e = make_parts(f);
    if (e)
        return tl_why_set(why, e, "out of memory");
    if (!n->store)
        return TL_OK;
    const char *slash = strrchr(store, '/');
    int dir = slash ? (int)(slash - store) + 1 : 0;
    snprintf(f->folder, sizeof f->folder, "%.*sfragments", dir, store);
    tl_server_set_others(n->server, &others, f);
    return load(f, why);
}

void tl_node_close_fragments(tl_node *n)
{
    tl_node_fragments *f = n->fragments;
    if (!f)
        return;
    tl_backup_free(f->backup);
    tl_fragment_server_free(f->server);
    tl_holder_free(f->holder);
    tl_fragment_asker_free(f->asker);
    tl_pointers_free(f->pointers);
    free(f);
    n->fragments = NULL;
}

void tl_node_apply_store_quota(tl_node *n)
{
    if (n->fragments && n->fragments->holder)
        tl_holder_set_quota(n->fragments->holder, tl_node_store_quota(n));
}

/* --- driving --- */

void tl_node_fragments_on_timer(tl_node *n)
{
    tl_node_fragments *f = n->fragments;
    if (!f)
        return;
    tl_fragment_asker_on_timer(f->asker);
    if (!f->holder)
        return;
    tl_fragment_server_on_timer(f->server);
    tl_holder_on_timer(f->holder);
    if (n->stage == TL_NODE_RUNNING)
        tl_backup_on_timer(f->backup);
    tl_node_follow_pointers(f, tl_loop_now(n->loop));
}

tl_time tl_node_fragments_expiry(const tl_node *n)
{
    const tl_node_fragments *f = n->fragments;
    if (!f)
        return TL_NEVER;
    tl_time at = tl_fragment_asker_expiry(f->asker);
    if (!f->holder)
        return at;
    at = tl_time_min(
        at, tl_time_min(tl_fragment_server_expiry(f->server), tl_holder_expiry(f->holder)));
    if (n->stage == TL_NODE_RUNNING)
        at = tl_time_min(at, tl_backup_expiry(f->backup));
    return tl_time_min(at, f->pointers_at);
}

void tl_node_fragments_hello(tl_node *n, const tl_node_id *peer)
{
    if (!tl_node_backup(n))
        return;
    tl_backup_on_peer(n->fragments->backup, peer);
    tl_backup_on_candidates(n->fragments->backup);
}

void tl_node_set_on_map(tl_node *n, void (*told)(tl_node *n, const tl_backup_map *map))
{
    if (n->fragments)
        n->fragments->on_map = told;
}

/* --- what other parts ask --- */

bool tl_node_takes_fragments(const tl_node *n)
{
    return n->fragments && n->fragments->holder && n->settings.store_quota;
}

bool tl_node_admits_fragments(const tl_node *n, const tl_node_id *peer)
{
    return n->fragments && n->fragments->holder && tl_holder_knows(n->fragments->holder, peer);
}

bool tl_node_holds_ours(const tl_node *n, const tl_node_id *peer)
{
    tl_node_id holder[TL_FRAGMENTS_MAX];
    size_t count =
        tl_node_backup(n) ? tl_backup_holders(n->fragments->backup, holder, TL_FRAGMENTS_MAX) : 0;
    for (size_t i = 0; i < count; i++)
        if (tl_node_id_eq(&holder[i], peer))
            return true;
    return false;
}

bool tl_node_we_hold(const tl_node *n, const tl_node_id *peer)
{
    return n->fragments && n->fragments->holder && tl_holder_is_owner(n->fragments->holder, peer);
}

void tl_node_fragment_counts_of(const tl_node *n, tl_fragment_counts *ret_counts)
{
    const tl_node_fragments *f = n->fragments;
    tl_fragment_counts c = {0};
    if (f && f->holder) {
        tl_backup_status s;
        tl_backup_status_of(f->backup, &s);
        tl_holder_counts_of(f->holder, &c.held);
        c.malformed = tl_fragment_server_malformed(f->server);
        c.own = *tl_backup_counters_of(f->backup);
        c.placed = s.held;
        c.silent = s.silent;
        c.wanted = s.kept.n - s.held - s.silent;
    }
    *ret_counts = c;
}

json_t *tl_node_fragments_json(const tl_node *n)
{
    tl_fragment_counts c;
    tl_node_fragment_counts_of(n, &c);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "quota_bytes", (json_int_t)c.held.quota,
                     "held_bytes", (json_int_t)c.held.bytes, "held_for_strangers_bytes",
                     (json_int_t)c.held.stranger_bytes, "held", (json_int_t)c.held.fragments,
                     "owners", (json_int_t)c.held.owners);
}
