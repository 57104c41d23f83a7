/* This node's own backup: copies its database, hands the encrypted copy to those who keep it, and has the
 * pointer kept in the DHT. What is done when, backup/keeper.h decides. */
#include "node/keeping_state.h"

#include "backup/payload.h"
#include "base/log.h"
#include "base/when.h"
#include "node/beside.h"
#include "node/names.h"
#include "node/reach.h"
#include "node/restore.h"
#include "store/snapshot.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- a copy ---
 *
 * Made, compressed and encrypted on the store's thread, whose priority is low: the loop goes on. */

typedef struct {
    tl_store_job job; /* first */
    tl_node_keeping *keeping;
    tl_payload what;
    uint8_t blob_key[TL_RECOVERY_KEY];
    tl_buf settings, blob;
} copy_job;

static void wipe(tl_buf *b)
{
    if (b->data)
        sodium_memzero(b->data, b->cap);
    tl_buf_clear(b);
}

static tl_err seal(copy_job *c, tl_db *db, bool lean)
{
    tl_buf database = {0};
    tl_rand rand = tl_rand_system(); /* the node's own is the loop's */
    tl_err e = tl_snapshot_take(db, lean, &database);
    c->what.database = tl_buf_slice(&database);
    if (!e)
        e = tl_payload_seal(&c->what, c->blob_key, &rand, TL_BLOB_MAX, &c->blob);
    wipe(&database);
    return e;
}

static tl_err work(tl_store_job *j, tl_db *db)
{
    copy_job *c = (copy_job *)j;
    tl_err e = seal(c, db, false);
    return e == TL_ERR_TOO_LARGE ? seal(c, db, true) : e;
}

static tl_err keep_blob(tl_node_keeping *k, const copy_job *c)
{
    const tl_recovery_row *row = tl_keeper_row(k->keeper);
    tl_backup *backup = tl_node_backup(k->node);
    const tl_backup_spec spec = {.blob = tl_buf_slice(&c->blob),
                                 .recovery = tl_keeper_keys(k->keeper)->identity.id,
                                 .n = row->holders,
                                 .strangers = row->strangers};
    return backup ? tl_backup_set(backup, &spec) : TL_ERR_CLOSED;
}

static void done(tl_store_job *j, tl_err e)
{
    copy_job *c = (copy_job *)j;
    tl_node_keeping *k = c->keeping;
    k->copying = false;
    k->copy_error[0] = 0;
    if (!e && k->node->stage != TL_NODE_GONE)
        e = keep_blob(k, c);
    if (e == TL_ERR_TOO_LARGE)
        snprintf(k->copy_error, sizeof k->copy_error,
                 "networks and ledger are larger than the %u MiB that other nodes keep",
                 TL_BLOB_MAX >> 20);
    else if (e)
        snprintf(k->copy_error, sizeof k->copy_error, "%s",
                 *j->why.text ? j->why.text : tl_err_name(e));
    if (e)
        tl_log(TL_LOG_WARN, "backup: no copy was made: %s", k->copy_error);
    tl_keeper_on_copy(k->keeper, e, c->what.made_at);
    tl_node_wake(k->node);
    wipe(&c->settings);
    tl_buf_clear(&c->blob);
    sodium_memzero(c, sizeof *c);
    free(c);
}

/* A file that is not there, or cannot be read, is left out: the node runs with the defaults then, too. */
static void read_settings(const char *path, tl_buf *out)
{
    uint8_t *room;
    int fd = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    ssize_t n = -1;
    if (fd < 0)
        return;
    if (!tl_buf_reserve(out, TL_PAYLOAD_SETTINGS_MAX, &room))
        n = read(fd, room, TL_PAYLOAD_SETTINGS_MAX);
    if (n > 0)
        tl_buf_added(out, (size_t)n);
    close(fd);
}

static void copy(void *user, const tl_recovery *keys)
{
    tl_node_keeping *k = user;
    copy_job *c = calloc(1, sizeof *c);
    if (!c) { /* a node without memory: at its next start */
        tl_log(TL_LOG_ERROR, "backup: out of memory");
        return;
    }
    c->keeping = k;
    c->job = (tl_store_job){.work = work, .done = done, .reads = true};
    c->what.made_at = tl_loop_unix();
    memcpy(c->what.seed, k->node->identity.seed, sizeof c->what.seed);
    memcpy(c->blob_key, keys->blob_key, sizeof c->blob_key);
    read_settings(k->settings_file, &c->settings);
    c->what.settings = tl_buf_slice(&c->settings);
    k->book_seen = tl_networks_version(k->node->book);
    k->copying = true;
    tl_store_submit(k->node->store, &c->job);
}

/* --- its row --- */

static void saved(void *user, tl_err e, const char *why)
{
    tl_node_keeping *k = user;
    snprintf(k->save_error, sizeof k->save_error, "%s", !e ? "" : *why ? why : tl_err_name(e));
    if (e)
        tl_log(TL_LOG_WARN, "backup: not stored: %s", why);
    tl_keeper_on_saved(k->keeper, e);
    tl_node_wake(k->node);
}

static void save(void *user, const tl_recovery_row *row)
{
    tl_node_keeping *k = user;
    if (tl_store_put_recovery(k->node->store, row, saved, k)) {
        k->save_failed = true;
        tl_node_wake(k->node);
    }
}

/* --- the DHT --- */

static void looked(void *user, tl_dht_request request, const tl_dht_item *item,
                   const tl_dht_result *result)
{
    tl_node_keeping *k = user;
    (void)request;
    bool was_kept = tl_keeper_state_of(k->keeper) == TL_KEEPER_KEPT;
    k->looking = 0;
    tl_keeper_on_looked(k->keeper, item, result->answered);
    if (was_kept && tl_keeper_state_of(k->keeper) == TL_KEEPER_ELSEWHERE)
        tl_log(
            TL_LOG_ERROR,
            "backup: the DHT has a newer one, of another machine that was restored from it; this "
            "one renews it no more");
    tl_node_wake(k->node);
}

static void noticed(void *user, tl_dht_request request, const tl_dht_item *item,
                    const tl_dht_result *result)
{
    tl_node_keeping *k = user;
    char at[TL_WHEN_TEXT_MAX];
    (void)request;
    (void)result;
    k->noticing = 0;
    if (!item || !tl_keeper_on_noticed(k->keeper, item))
        return;
    tl_when_write(at, tl_keeper_other_at(k->keeper));
    tl_log(TL_LOG_WARN,
           "another machine has this node's keys, from before the restore: it was on at %s, and "
           "stands aside. Erase this node there; if nobody should have it, make your networks anew",
           at);
}

static void look(void *user, const tl_node_id *recovery)
{
    tl_node_keeping *k = user;
    const tl_dht_ask ask = {.on_done = looked, .user = k};
    const tl_dht_ask notice = {.on_done = noticed, .user = k};
    k->core = tl_node_dht_core(k->node);
    if (k->core && !k->noticing && tl_keeper_state_of(k->keeper) == TL_KEEPER_KEPT &&
        tl_dht_get(k->core, recovery->key, tl_slice_str(TL_RECOVERY_TWIN_SALT), 0, &notice,
                   tl_loop_now(k->node->loop), &k->noticing))
        k->noticing = 0; /* at the next look */
    if (k->core && !tl_dht_get(k->core, recovery->key, tl_slice_str(TL_RECOVERY_SALT), 0, &ask,
                               tl_loop_now(k->node->loop), &k->looking))
        return;
    k->look_failed = true;
    tl_node_wake(k->node);
}

static void hold(tl_node_keeping *k, const tl_dht_item *item)
{
    tl_dht *core = tl_node_dht_core(k->node);
    tl_err e = core ? tl_dht_hold(core, item, tl_loop_now(k->node->loop)) : TL_OK;
    if (e && e != TL_ERR_REPLAY)
        tl_log(TL_LOG_WARN, "backup: its pointer is not kept in the DHT by this node: %s",
               tl_err_name(e));
    k->core = core;
}

static void publish(void *user, const tl_dht_item *item)
{
    tl_node_keeping *k = user;
    uint8_t packed[TL_POINTER_PACKED];
    tl_backup *backup = tl_node_backup(k->node);
    hold(k, item);
    tl_pointer_pack(item, packed);
    if (backup && tl_backup_set_pointer(backup, tl_slice_of(packed, sizeof packed)))
        tl_log(TL_LOG_ERROR, "backup: its pointer cannot be given to the holders");
}

static void withdraw(void *user, const tl_node_id *recovery)
{
    tl_node_keeping *k = user;
    tl_dht *core = tl_node_dht_core(k->node);
    tl_dht_id target = tl_dht_target_of_key(recovery->key, tl_slice_str(TL_RECOVERY_SALT));
    if (core)
        tl_dht_release(core, &target);
}

/* A machine that stands aside tells the other one so, through the DHT. */
static void follow_notice(tl_node_keeping *k)
{
    tl_dht *core = tl_node_dht_core(k->node);
    bool aside = tl_keeper_state_of(k->keeper) == TL_KEEPER_ELSEWHERE;
    tl_dht_item item;
    tl_dht_id target = tl_dht_target_of_key(tl_keeper_keys(k->keeper)->identity.id.key,
                                            tl_slice_str(TL_RECOVERY_TWIN_SALT));
    if (k->notice_at == (aside ? core : NULL))
        return;
    if (!aside && k->notice_at == core)
        tl_dht_release(core, &target);
    if (aside && core && !tl_keeper_notice(k->keeper, &item))
        (void)!tl_dht_hold(core, &item, tl_loop_now(k->node->loop)); /* no room: it is a courtesy */
    k->notice_at = aside ? core : NULL;
}

static void relays(void *user, tl_pointer *p)
{
    const tl_node *n = ((tl_node_keeping *)user)->node;
    const tl_string_list *urls = &n->settings.wan_relay_url;
    for (size_t i = 0; i < urls->n && p->relays_n < TL_POINTER_RELAYS_MAX; i++)
        if (strlen(urls->item[i]) <= TL_POINTER_URL_MAX && *urls->item[i])
            snprintf(p->relays[p->relays_n++], sizeof p->relays[0], "%s", urls->item[i]);
}

static const tl_keeper_world world = {copy, save, look, publish, withdraw, relays};

/* --- life --- */

/* Fragments of the words before these, which are being replaced, are given back to nobody who has these. */
static bool is_of_these_words(const tl_node_keeping *k, const tl_backup *backup)
{
    tl_backup_status s;
    tl_backup_status_of(backup, &s);
    return tl_keeper_state_of(k->keeper) == TL_KEEPER_KEPT && s.kept.any &&
           tl_node_id_eq(&s.kept.recovery, &tl_keeper_keys(k->keeper)->identity.id);
}

static void on_map(tl_node *n, const tl_backup_map *map)
{
    if (n->keeping && is_of_these_words(n->keeping, tl_node_backup(n)))
        tl_keeper_on_map(n->keeping->keeper, map);
}

tl_err tl_node_open_keeping(tl_node *n, tl_why *why)
{
    tl_recovery_row row;
    tl_store_state store;
    tl_node_keeping *k;
    if (!n->store)
        return TL_OK;
    if (!(k = calloc(1, sizeof *k)))
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    n->keeping = k;
    k->node = n;
    k->book_seen = tl_networks_version(n->book);
    tl_node_set_on_map(n, on_map);
    tl_err e = tl_keeper_new(&n->rand, &n->env, &world, k, &k->keeper);
    if (e)
        return tl_why_set(why, e, "out of memory");
    e = tl_store_load_recovery(n->store, &row);
    if (e == TL_ERR_NOT_FOUND)
        return TL_OK;
    tl_store_state_of(n->store, &store);
    if (!e)
        e = tl_keeper_load(k->keeper, &row, store.restored);
    sodium_memzero(&row, sizeof row);
    return e ? tl_why_set(why, e, "what is known of this node's backup could not be read: %s",
                          tl_err_name(e))
             : TL_OK;
}

void tl_node_free_keeping(tl_node *n)
{
    if (!n->keeping)
        return;
    tl_backup_call_drop(n);
    tl_drop_call_free(n);
    tl_keeper_free(n->keeping->keeper);
    free(n->keeping);
    n->keeping = NULL;
}

void tl_node_set_settings_file(tl_node *n, const char *path)
{
    if (n->keeping)
        snprintf(n->keeping->settings_file, sizeof n->keeping->settings_file, "%s", path);
}

/* After a restore: the fragments from which this node came are its backup, until it makes a new one. So
 * their holders are told later that they may go. */
static void take_restored(tl_node_keeping *k, tl_backup *backup)
{
    char path[TL_BESIDE_PATH_MAX];
    uint8_t *bytes;
    size_t len;
    tl_dht_item item;
    tl_pointer p;
    tl_backup_kept kept;
    const tl_recovery *keys = tl_keeper_keys(k->keeper);
    if (!tl_beside_path(k->node->port_file, TL_RESTORED_FILE, path) ||
        tl_beside_read(path, TL_POINTER_PACKED + TL_BLOB_MAX, &bytes, &len))
        return;
    tl_slice packed = tl_slice_of(bytes, TL_POINTER_PACKED);
    bool good = len > packed.n && !tl_pointer_unpack(packed, &item) &&
                !tl_pointer_open(tl_dht_item_value(&item), keys, item.seq, &p) &&
                tl_backup_kept_of(&p.map, &keys->identity.id, p.made_at, &kept) &&
                !tl_backup_load(backup, &kept, tl_slice_of(bytes + packed.n, len - packed.n)) &&
                !tl_backup_set_pointer(backup, packed);
    if (!good)
        tl_log(TL_LOG_WARN, "backup: %s is not understood; the old fragments stay at their holders",
               path);
    free(bytes);
    (void)unlink(path);
}

/* In the first turn: what an earlier life has placed is told of by a new pointer. */
static void begin(tl_node_keeping *k)
{
    tl_backup *backup = tl_node_backup(k->node);
    tl_backup_map map;
    k->begun = true;
    if (!backup || tl_keeper_state_of(k->keeper) != TL_KEEPER_KEPT)
        return;
    take_restored(k, backup);
    if (is_of_these_words(k, backup) && tl_backup_named_map(backup, &map))
        tl_keeper_on_map(k->keeper, &map);
}

void tl_node_run_keeping(tl_node *n)
{
    tl_node_keeping *k = n->keeping;
    const tl_dht_item *item;
    if (!k || n->stage != TL_NODE_RUNNING)
        return;
    if (!k->begun)
        begin(k);
    if (k->save_failed) {
        k->save_failed = false;
        tl_keeper_on_saved(k->keeper, TL_ERR_NOMEM);
    }
    /* The DHT was left, or entered anew: what it was asked, it does not answer. */
    bool other = k->core != tl_node_dht_core(n);
    if (k->look_failed || (k->looking && other)) {
        k->look_failed = false;
        k->looking = 0;
        tl_keeper_on_looked(k->keeper, NULL, 0);
    }
    if (other)
        k->noticing = 0;
    if (other && (item = tl_keeper_item(k->keeper)))
        hold(k, item);
    if (k->book_seen != tl_networks_version(n->book)) {
        k->book_seen = tl_networks_version(n->book);
        tl_keeper_changed(k->keeper);
    }
    if (!tl_keeper_row(k->keeper)->holders && tl_node_backup(n) &&
        tl_backup_could_grow(tl_node_backup(n)))
        tl_keeper_changed(k->keeper);
    follow_notice(k);
    tl_backup_call_run(n);
    tl_drop_call_run(n);
}

void tl_node_keeping_stale(tl_node *n)
{
    if (n->keeping)
        tl_keeper_changed(n->keeping->keeper);
}

void tl_node_keeping_doubt(tl_node *n)
{
    if (n->keeping)
        tl_keeper_doubt(n->keeping->keeper);
}

void tl_node_keeping_on_timer(tl_node *n)
{
    if (n->keeping && n->stage == TL_NODE_RUNNING)
        tl_keeper_on_timer(n->keeping->keeper);
}

tl_time tl_node_keeping_expiry(const tl_node *n)
{
    if (!n->keeping || n->stage != TL_NODE_RUNNING)
        return TL_NEVER;
    return tl_time_min(tl_keeper_expiry(n->keeping->keeper),
                       tl_time_min(tl_backup_call_expiry(n), tl_drop_call_expiry(n)));
}
