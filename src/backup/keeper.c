#include "backup/keeper.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

struct tl_keeper {
    tl_rand *rand;
    const tl_env *env;
    const tl_keeper_world *world;
    void *user;

    tl_keeper_state state;
    tl_recovery_row row;
    tl_recovery keys;
    bool sure;
    tl_time sure_by;
    unsigned doubts; /* looks that follow soon */
    tl_unix other_at;

    bool copying, saving, looking;
    bool save_again; /* the row has changed while it was saved */
    tl_time copy_at, look_at;
    tl_time looked_until; /* until then the newest pointer is known */

    bool has_map, map_is_new; /* map_is_new: no pointer tells of it yet */
    tl_backup_map map;
    tl_unix map_at;            /* of the copy that it is of */
    bool has_item, item_waits; /* item_waits: for its row to be saved */
    tl_dht_item item;
};

tl_err tl_keeper_new(tl_rand *rand, const tl_env *env, const tl_keeper_world *world, void *user,
                     tl_keeper **ret_keeper)
{
    tl_keeper *k = calloc(1, sizeof *k);
    if (!k)
        return TL_ERR_NOMEM;
    k->rand = rand;
    k->env = env;
    k->world = world;
    k->user = user;
    k->copy_at = k->look_at = TL_NEVER;
    *ret_keeper = k;
    return TL_OK;
}

void tl_keeper_free(tl_keeper *k)
{
    if (!k)
        return;
    tl_recovery_clear(&k->keys);
    sodium_memzero(&k->row, sizeof k->row);
    free(k);
}

static tl_time now_of(const tl_keeper *k)
{
    return k->env->now(k->env->user);
}

static void save(tl_keeper *k)
{
    if (k->saving) {
        k->save_again = true;
        return;
    }
    k->saving = true;
    k->world->save(k->user, &k->row);
}

/* --- the pointer --- */

/* Whoever has the words could sign the highest number there is: nothing could be written above it, ever. One
 * that is further ahead than a day is not continued; the DHT forgets it, and takes ours again. */
static int64_t bounded(const tl_keeper *k, int64_t sequence)
{
    int64_t most = k->env->wall(k->env->user) + TL_KEEPER_AHEAD;
    if (most < k->row.sequence)
        most = k->row.sequence;
    return sequence < most ? sequence : most;
}

static void write_pointer(tl_keeper *k)
{
    bool withdrawn = k->state == TL_KEEPER_WITHDRAWN;
    tl_pointer p = {.made_at = k->row.made_at};
    uint8_t value[TL_POINTER_VALUE];
    tl_unix wall = k->env->wall(k->env->user);
    int64_t sequence = wall > k->row.sequence         ? wall
                       : k->row.sequence == INT64_MAX ? INT64_MAX
                                                      : k->row.sequence + 1;
    memcpy(p.instance, k->row.instance, sizeof p.instance);
    if (!withdrawn) {
        p.made_at = k->map_at;
        p.map = k->map;
        k->world->relays(k->user, &p);
    }
    tl_err e = tl_pointer_seal(&p, &k->keys, sequence, k->rand, value);
    if (!e)
        e = tl_dht_item_sign(&k->keys.identity, tl_slice_str(TL_RECOVERY_SALT), sequence,
                             tl_slice_of(value, sizeof value), &k->item);
    if (e)
        return; /* a map that cannot be told of: there will be another */
    k->has_item = k->item_waits = true;
    k->map_is_new = false;
    k->row.sequence = sequence;
    if (k->row.stage == TL_RECOVERY_TAKES_OVER) {
        k->row.stage = TL_RECOVERY_USUAL;
        k->doubts = TL_KEEPER_WATCH;
        k->look_at = tl_time_min(k->look_at, now_of(k) + TL_KEEPER_DOUBT);
    }
    save(k);
}

static void look(tl_keeper *k)
{
    k->looking = true;
    k->look_at = TL_NEVER;
    k->world->look(k->user, &k->keys.identity.id);
}

static bool is_active(const tl_keeper *k)
{
    return k->state == TL_KEEPER_KEPT || k->state == TL_KEEPER_WITHDRAWN;
}

/* Does what is due, one thing at a time. */
static void go_on(tl_keeper *k)
{
    tl_time now = now_of(k);
    if (!is_active(k) || k->saving)
        return;
    if (k->item_waits) {
        k->item_waits = false;
        k->world->publish(k->user, &k->item);
    }
    bool known = now < k->looked_until;
    if (!k->looking && (now >= k->look_at || (k->map_is_new && !known)))
        look(k);
    else if (!k->looking && k->map_is_new)
        write_pointer(k); /* and the next thing when its row is saved */
    if (!k->copying && !k->saving && now >= k->copy_at) {
        k->copying = true;
        k->copy_at = TL_NEVER;
        k->world->copy(k->user, &k->keys);
    }
}

static void found_elsewhere(tl_keeper *k, int64_t sequence)
{
    k->state = TL_KEEPER_ELSEWHERE;
    k->row.elsewhere = true;
    k->row.stage = TL_RECOVERY_USUAL;
    k->row.sequence = bounded(k, sequence);
    k->has_item = k->item_waits = k->map_is_new = false;
    k->world->withdraw(k->user, &k->keys.identity.id);
    save(k);
}

/* Has another machine signed it, and does this one give way? Of two pointers with one sequence, written in
 * the same second, the one of the higher instance stays. */
static bool is_elsewhere(const tl_keeper *k, const tl_dht_item *item)
{
    tl_pointer p;
    tl_err e = tl_pointer_open(tl_dht_item_value(item), &k->keys, item->seq, &p);
    int other = e ? 1 : memcmp(p.instance, k->row.instance, sizeof p.instance);
    return k->row.stage != TL_RECOVERY_TAKES_OVER &&
           (item->seq > k->row.sequence ? other != 0 : other > 0);
}

static void plan_look(tl_keeper *k, bool answered)
{
    tl_time now = now_of(k);
    k->sure |= answered;
    k->looked_until = now + TL_KEEPER_AGAIN;
    k->look_at = now + (answered                       ? TL_KEEPER_LOOK
                        : now < k->sure_by && !k->sure ? TL_KEEPER_SOON
                                                       : TL_KEEPER_AGAIN);
    if (!k->doubts)
        return;
    k->doubts--;
    k->look_at = tl_time_min(k->look_at, now + TL_KEEPER_DOUBT);
}

void tl_keeper_on_looked(tl_keeper *k, const tl_dht_item *item, unsigned answered)
{
    k->looking = false;
    if (!is_active(k))
        return;
    plan_look(k, answered);
    /* Whether this key has signed it, the DHT has looked at. Of words that were replaced it is another's. */
    bool ours = item && !memcmp(item->key, k->keys.identity.id.key, sizeof item->key);
    if (ours && item->seq >= k->row.sequence && is_elsewhere(k, item)) {
        found_elsewhere(k, item->seq);
        return;
    }
    if (ours && item->seq > k->row.sequence) {
        k->row.sequence = bounded(k, item->seq);
        /* the DHT has one that is not of this map */
        k->map_is_new |= k->has_map || k->state == TL_KEEPER_WITHDRAWN;
    }
    go_on(k);
}

void tl_keeper_doubt(tl_keeper *k)
{
    if (k->state != TL_KEEPER_KEPT)
        return;
    k->doubts = TL_KEEPER_DOUBTS;
    k->look_at = now_of(k);
    k->looked_until = 0;
    tl_env_wake(k->env);
}

bool tl_keeper_is_sure(const tl_keeper *k)
{
    return k->state != TL_KEEPER_KEPT || k->sure || now_of(k) >= k->sure_by;
}

/* --- notices between two machines --- */

tl_err tl_keeper_notice(const tl_keeper *k, tl_dht_item *ret_item)
{
    uint8_t value[TL_POINTER_VALUE];
    tl_unix wall = k->env->wall(k->env->user);
    tl_pointer p = {.made_at = wall};
    if (k->state != TL_KEEPER_ELSEWHERE)
        return TL_ERR_INVALID;
    memcpy(p.instance, k->row.instance, sizeof p.instance);
    tl_err e = tl_pointer_seal(&p, &k->keys, wall, k->rand, value);
    return e ? e
             : tl_dht_item_sign(&k->keys.identity, tl_slice_str(TL_RECOVERY_TWIN_SALT), wall,
                                tl_slice_of(value, sizeof value), ret_item);
}

bool tl_keeper_on_noticed(tl_keeper *k, const tl_dht_item *item)
{
    tl_pointer p;
    if (k->state != TL_KEEPER_KEPT ||
        memcmp(item->key, k->keys.identity.id.key, sizeof item->key) != 0 ||
        tl_pointer_open(tl_dht_item_value(item), &k->keys, item->seq, &p) ||
        !tl_pointer_is_notice(&p) || !memcmp(p.instance, k->row.instance, sizeof p.instance) ||
        p.made_at <= k->other_at)
        return false;
    k->other_at = p.made_at;
    return true;
}

tl_unix tl_keeper_other_at(const tl_keeper *k)
{
    return k->other_at;
}

void tl_keeper_on_map(tl_keeper *k, const tl_backup_map *map)
{
    k->map = *map;
    k->map_at = k->row.made_at;
    k->has_map = k->map_is_new = true;
    go_on(k);
}

void tl_keeper_on_saved(tl_keeper *k, tl_err e)
{
    k->saving = false;
    /* Nothing is copied of words that are not on the disk: who made them hears of it, and takes them back. */
    if (e && k->row.unshown && !k->row.made_at)
        k->copy_at = now_of(k) + TL_KEEPER_AGAIN;
    /* A row that is not on the disk: the pointer goes out all the same. Its sequence is the time, and what
     * is newest is asked for at each start. */
    if (k->save_again && k->state != TL_KEEPER_NONE) {
        k->save_again = false;
        save(k);
        return;
    }
    go_on(k);
}

/* --- copies --- */

void tl_keeper_changed(tl_keeper *k)
{
    if (k->state == TL_KEEPER_KEPT)
        k->copy_at = tl_time_min(k->copy_at, now_of(k) + TL_KEEPER_SETTLE);
}

void tl_keeper_on_copy(tl_keeper *k, tl_err e, tl_unix made_at)
{
    k->copying = false;
    k->copy_at = tl_time_min(k->copy_at, now_of(k) + (e ? TL_KEEPER_AGAIN : TL_KEEPER_RENEW));
    if (!e)
        k->row.made_at = made_at; /* saved with the pointer that tells of it */
    go_on(k);
}

/* --- words --- */

static tl_err take_row(tl_keeper *k, const tl_recovery_row *row)
{
    tl_recovery keys;
    tl_err e = tl_recovery_of(row->root, &keys);
    if (e)
        return e;
    k->keys = keys;
    tl_recovery_clear(&keys);
    k->row = *row;
    k->state = row->elsewhere                        ? TL_KEEPER_ELSEWHERE
               : row->stage == TL_RECOVERY_WITHDRAWN ? TL_KEEPER_WITHDRAWN
                                                     : TL_KEEPER_KEPT;
    k->has_map = k->has_item = k->item_waits = false;
    k->map_is_new = k->state == TL_KEEPER_WITHDRAWN;
    k->look_at = now_of(k);
    k->looked_until = 0;
    k->doubts = 0;
    k->other_at = 0;
    k->sure = true;
    return TL_OK;
}

tl_err tl_keeper_load(tl_keeper *k, const tl_recovery_row *row, bool restored)
{
    tl_recovery_row mine = *row;
    if (restored) {
        mine.elsewhere = mine.unshown = false;
        mine.stage = TL_RECOVERY_TAKES_OVER;
        tl_rand_bytes(k->rand, mine.instance, sizeof mine.instance);
    }
    tl_err e = take_row(k, &mine);
    sodium_memzero(&mine, sizeof mine);
    if (e)
        return e;
    k->sure = k->row.stage == TL_RECOVERY_TAKES_OVER;
    k->sure_by = now_of(k) + TL_KEEPER_UNSURE;
    k->copy_at = k->state == TL_KEEPER_KEPT ? now_of(k) + TL_KEEPER_START : TL_NEVER;
    if (restored)
        save(k);
    return TL_OK;
}

static tl_err replace(tl_keeper *k, const tl_recovery_row *row)
{
    if (k->copying || k->saving)
        return TL_ERR_BUSY;
    if (k->state != TL_KEEPER_NONE)
        k->world->withdraw(k->user, &k->keys.identity.id);
    tl_err e = take_row(k, row);
    if (!e) {
        k->copy_at = k->state == TL_KEEPER_KEPT
                         ? now_of(k)
                         : TL_NEVER; /* when the row, which the copy shall hold, is saved */
        save(k);
    }
    return e;
}

tl_err tl_keeper_create(tl_keeper *k, const uint8_t root[TL_RECOVERY_KEY], uint8_t holders,
                        bool strangers)
{
    tl_recovery_row row = {.holders = holders, .strangers = strangers, .unshown = true};
    memcpy(row.root, root, sizeof row.root);
    tl_rand_bytes(k->rand, row.instance, sizeof row.instance);
    tl_err e = replace(k, &row);
    sodium_memzero(&row, sizeof row);
    return e;
}

void tl_keeper_shown(tl_keeper *k)
{
    if (!k->row.unshown)
        return;
    k->row.unshown = false;
    save(k);
}

tl_err tl_keeper_undo(tl_keeper *k, const tl_recovery_row *row)
{
    if (row)
        return replace(k, row);
    if (k->copying || k->saving)
        return TL_ERR_BUSY;
    k->world->withdraw(k->user, &k->keys.identity.id);
    tl_recovery_clear(&k->keys);
    sodium_memzero(&k->row, sizeof k->row);
    k->state = TL_KEEPER_NONE;
    k->has_map = k->map_is_new = k->has_item = k->item_waits = false;
    k->copy_at = k->look_at = TL_NEVER;
    return TL_OK;
}

/* The same words, at another stage. */
static tl_err set_stage(tl_keeper *k, tl_recovery_stage stage, tl_unix made_at)
{
    tl_recovery_row row = k->row;
    row.stage = stage;
    row.made_at = made_at;
    row.elsewhere = false;
    tl_err e = replace(k, &row);
    sodium_memzero(&row, sizeof row);
    return e;
}

tl_err tl_keeper_withdraw(tl_keeper *k)
{
    return k->state == TL_KEEPER_KEPT
               ? set_stage(k, TL_RECOVERY_WITHDRAWN, k->env->wall(k->env->user))
               : TL_ERR_INVALID;
}

/* Its instance stays: it knows its own notice again. */
tl_err tl_keeper_take_over(tl_keeper *k)
{
    return k->state == TL_KEEPER_ELSEWHERE ? set_stage(k, TL_RECOVERY_TAKES_OVER, k->row.made_at)
                                           : TL_ERR_INVALID;
}

/* --- time --- */

tl_time tl_keeper_expiry(const tl_keeper *k)
{
    tl_time sure_at = tl_keeper_is_sure(k) ? TL_NEVER : k->sure_by;
    if (!is_active(k) || k->saving)
        return sure_at;
    return tl_time_min(sure_at, tl_time_min(k->looking ? TL_NEVER : k->look_at,
                                            k->copying ? TL_NEVER : k->copy_at));
}

void tl_keeper_on_timer(tl_keeper *k)
{
    go_on(k);
}

tl_keeper_state tl_keeper_state_of(const tl_keeper *k)
{
    return k->state;
}

const tl_recovery_row *tl_keeper_row(const tl_keeper *k)
{
    return &k->row;
}

const tl_recovery *tl_keeper_keys(const tl_keeper *k)
{
    return &k->keys;
}

const tl_dht_item *tl_keeper_item(const tl_keeper *k)
{
    return k->has_item ? &k->item : NULL;
}

bool tl_keeper_is_copying(const tl_keeper *k)
{
    return k->copying;
}

bool tl_keeper_is_saving(const tl_keeper *k)
{
    return k->saving;
}
