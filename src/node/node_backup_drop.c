/* `teale backup drop` and `teale backup takeover`: a backup is withdrawn; or this machine, which stands aside for one
 * that was restored, is the node again. */
#include "node/keeping_state.h"
#include "node/reach.h"
#include "node/verbs.h"

#include "backup/holder.h"
#include "base/log.h"

#include <stdlib.h>

#define TOLD_WITHIN (20 * TL_SEC) /* so long holders and the DHT have before the person is told */
#define LOOK_EVERY  (200 * TL_MS)

/*  waits for a copy that is under way --> withdrawn, waits for holders and the DHT --> answered */
typedef struct tl_drop_call {
    tl_call *call;
    tl_time give_up_at, look_at;
    bool begun;
    size_t holders; /* that had fragments */
} tl_drop_call;

void tl_drop_call_free(tl_node *n)
{
    free(n->keeping->drop);
    n->keeping->drop = NULL;
}

/* --- who still holds something that is to be deleted --- */

static size_t left_of(const tl_node *n, tl_node_id ret[TL_BACKUP_OLD_MAX])
{
    tl_backup_status s = {.held = 0};
    size_t count = 0;
    if (tl_node_backup(n))
        tl_backup_status_of(tl_node_backup(n), &s);
    for (unsigned i = 0; i < s.kept.old_n; i++) {
        size_t k = 0;
        while (k < count && !tl_node_id_eq(&ret[k], &s.kept.old[i].holder))
            k++;
        if (k == count)
            ret[count++] = s.kept.old[i].holder;
    }
    return count;
}

json_t *tl_backup_left_json(const tl_node *n)
{
    tl_node_id left[TL_BACKUP_OLD_MAX];
    size_t count = left_of(n, left);
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        char hex[TL_NODE_ID_HEX + 1];
        const tl_peer *peer = tl_peer_table_find(&n->table, &left[i]);
        tl_node_id_write(hex, &left[i]);
        list = tl_json_append(
            list, json_pack("{s:s, s:s}", "node_id", hex, "name", peer ? peer->name : ""));
    }
    return list;
}

/* --- drop --- */

static json_t *dropped_json(const tl_node *n, const tl_drop_call *c)
{
    tl_node_id left[TL_BACKUP_OLD_MAX];
    size_t count = left_of(n, left);
    return json_pack("{s:s, s:i, s:o, s:o}", "state", "withdrawn", "told",
                     (int)(c->holders > count ? c->holders - count : 0), "left",
                     tl_backup_left_json(n), "pointer", tl_backup_pointer_json(n));
}

void tl_verb_backup_drop(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_keeping *k = n->keeping;
    (void)args;
    tl_keeper_state state = k ? tl_keeper_state_of(k->keeper) : TL_KEEPER_NONE;
    if (!k || !tl_node_backup(n)) {
        tl_call_fail(call, "E_UNAVAILABLE", "this node has no database");
        return;
    }
    if (state == TL_KEEPER_NONE) {
        tl_call_fail(call, "E_NOT_FOUND", "there is no backup: teale backup create makes one");
        return;
    }
    if (state == TL_KEEPER_ELSEWHERE) {
        tl_call_fail(call, "E_ELSEWHERE", "%s", tl_node_aside_words);
        return;
    }
    tl_drop_call *c = k->call || k->drop ? NULL : calloc(1, sizeof *c);
    if (!c) {
        tl_call_fail(call, "E_BUSY", "the backup is being made just now: try again in a minute");
        return;
    }
    tl_node_id left[TL_BACKUP_OLD_MAX];
    tl_time now = tl_loop_now(n->loop);
    c->call = call;
    c->give_up_at = now + TOLD_WITHIN;
    c->look_at = now;
    if (state == TL_KEEPER_WITHDRAWN) { /* once more to those that were not reached */
        c->begun = true;
        c->holders = left_of(n, left);
        tl_backup_repair(tl_node_backup(n));
    }
    k->drop = c;
    tl_node_wake(n);
}

static void begin(tl_node *n, tl_drop_call *c)
{
    tl_node_id left[TL_BACKUP_OLD_MAX];
    tl_err e = tl_keeper_withdraw(n->keeping->keeper);
    if (e == TL_ERR_BUSY && tl_loop_now(n->loop) < c->give_up_at)
        return;
    if (e) {
        tl_call_fail(c->call, e == TL_ERR_BUSY ? "E_BUSY" : "E_ELSEWHERE", "%s",
                     e == TL_ERR_BUSY ? "the backup is being made just now: try again in a minute"
                                      : tl_node_aside_words);
        tl_drop_call_free(n);
        return;
    }
    tl_log(TL_LOG_INFO, "backup: withdrawn by its owner");
    tl_backup_drop(tl_node_backup(n));
    c->begun = true;
    c->holders = left_of(n, left);
    c->give_up_at = tl_loop_now(n->loop) + TOLD_WITHIN;
}

/* Nothing of it is left: neither fragments, as far as they can be reached, nor an older pointer. */
static void end_withdrawn(tl_node *n)
{
    tl_node_id left[TL_BACKUP_OLD_MAX];
    tl_keeper *k = n->keeping->keeper;
    if (tl_keeper_state_of(k) != TL_KEEPER_WITHDRAWN || n->keeping->drop)
        return;
    tl_unix age = tl_loop_unix() - tl_keeper_row(k)->made_at;
    if (age < TL_KEEPER_NOTICE || (left_of(n, left) && age < TL_HOLDER_KEEPS))
        return;
    if (!tl_keeper_undo(k, NULL))
        (void)!tl_store_drop_recovery(n->store, NULL, NULL); /* no memory: at the next start */
}

void tl_drop_call_run(tl_node *n)
{
    tl_node_id left[TL_BACKUP_OLD_MAX];
    tl_drop_call *c = n->keeping->drop;
    tl_time now = tl_loop_now(n->loop);
    end_withdrawn(n);
    if (!c || now < c->look_at)
        return;
    c->look_at = now + LOOK_EVERY;
    if (!c->begun) {
        begin(n, c);
        return;
    }
    bool done = !left_of(n, left) && (tl_backup_is_in_dht(n) || !tl_node_dht_core(n));
    if (!done && now < c->give_up_at)
        return;
    tl_call_ok(c->call, dropped_json(n, c));
    tl_drop_call_free(n);
}

tl_time tl_drop_call_expiry(const tl_node *n)
{
    return n->keeping->drop ? n->keeping->drop->look_at : TL_NEVER;
}

/* --- takeover --- */

void tl_verb_backup_takeover(tl_node *n, const json_t *args, tl_call *call)
{
    tl_node_keeping *k = n->keeping;
    (void)args;
    tl_err e = k ? tl_keeper_take_over(k->keeper) : TL_ERR_INVALID;
    if (e == TL_ERR_BUSY) {
        tl_call_fail(call, "E_BUSY", "the backup is being made just now: try again in a minute");
    } else if (e) {
        tl_call_fail(call, "E_EXISTS",
                     "no other machine was restored from this node's backup, as far "
                     "as the DHT tells: this one is the node already");
    } else {
        tl_log(TL_LOG_WARN,
               "backup: this machine is the node again; the one that was restored from "
               "its backup is to stand aside");
        tl_call_ok(call, tl_backup_status_json(n));
        tl_node_wake(n);
    }
}
