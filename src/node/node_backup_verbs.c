/* `teale backup create` and `teale backup status`: the verbs of this node's own backup. */
#include "node/keeping_state.h"
#include "node/reach.h"
#include "node/verbs.h"

#include "base/log.h"

#include <sodium.h>
#include <stdlib.h>

#define PLACED_WITHIN (60 * TL_SEC) /* so long it is tried to place what was asked for */
/* When enough is placed, the rest and the DHT may take so much longer before the person is told. */
#define SETTLE_WITHIN (15 * TL_SEC)
#define LOOK_EVERY    (200 * TL_MS)

/*  waits for the copy --> waits for holders --> answered
 *         \------------------\--> taken back --> failed */
typedef struct tl_backup_call {
    tl_call *call;
    tl_time give_up_at, settle_at, look_at;
    uint8_t holders; /* as asked for; 0: any number */
    bool strangers;  /* may hold it */
    bool had;        /* there was a row before: this one */
    bool kept;       /* and a backup with it */
    tl_recovery_row before;
    bool failing;
    char code[16], words[400]; /* where it fails */
} tl_backup_call;

static void free_call(tl_node *n)
{
    sodium_memzero(n->keeping->call, sizeof *n->keeping->call);
    free(n->keeping->call);
    n->keeping->call = NULL;
}

void tl_backup_call_drop(tl_node *n)
{
    if (n->keeping->call)
        free_call(n);
}

/* --- status --- */

json_t *tl_backup_time_json(tl_unix at)
{
    return at ? tl_json_time(at) : json_null();
}

static const char *place_word(tl_place_state s)
{
    switch (s) {
    case TL_PLACE_WANTED: return "wanted";
    case TL_PLACE_ASKED: return "asked";
    case TL_PLACE_HELD: return "held";
    case TL_PLACE_SILENT: return "silent";
    }
    return "wanted";
}

static json_t *place_json(const tl_node *n, const tl_backup_place *p)
{
    char hex[TL_NODE_ID_HEX + 1];
    const tl_peer *peer = tl_peer_table_find(&n->table, &p->holder);
    if (p->state == TL_PLACE_WANTED)
        return json_pack("{s:n, s:s, s:s}", "node_id", "name", "", "state", "wanted");
    tl_node_id_write(hex, &p->holder);
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "node_id", hex, "name", peer ? peer->name : "",
                     "state", place_word(p->state), "placed_at", tl_backup_time_json(p->placed_at),
                     "proven_at", tl_backup_time_json(p->proven_at));
}

json_t *tl_backup_pointer_json(const tl_node *n)
{
    const tl_keeper *k = n->keeping->keeper;
    tl_dht *core = tl_node_dht_core(n);
    tl_dht_kept kept = {.holders = 0};
    tl_dht_id target =
        tl_dht_target_of_key(tl_keeper_keys(k)->identity.id.key, tl_slice_str(TL_RECOVERY_SALT));
    if (!tl_keeper_item(k))
        return json_null();
    if (core && !tl_dht_kept_of(core, &target, &kept))
        kept.holders = 0;
    return json_pack("{s:I, s:i}", "sequence", (json_int_t)tl_keeper_item(k)->seq, "nodes",
                     (int)kept.holders);
}

bool tl_backup_is_in_dht(const tl_node *n)
{
    json_t *pointer = tl_backup_pointer_json(n);
    bool in = tl_json_number(pointer, "nodes", 0) > 0;
    json_decref(pointer);
    return in;
}

/* Of the copy that the pointer names. */
static int may_lose(const tl_backup_status *s)
{
    return s->kept.before.since ? s->kept.before.may_lose : s->kept.any ? s->may_lose : 0;
}

static const char *kept_word(const tl_node *n, const tl_backup_status *s)
{
    if (s->kept.before.since)
        return "renewing";
    if (!s->kept.any || (!tl_keeper_item(n->keeping->keeper) && s->may_lose < 0))
        return "making";
    return s->may_lose < 0           ? "lost"
           : !tl_backup_is_in_dht(n) ? "unlisted"
           : s->may_lose == 0        ? "at_risk"
                                     : "kept";
}

/* "none", "making", "unshown", "renewing", "kept", "unlisted", "at_risk", "lost", "elsewhere", "withdrawn". */
static const char *state_word(const tl_node *n, const tl_backup_status *s)
{
    const tl_keeper *k = n->keeping->keeper;
    switch (tl_keeper_state_of(k)) {
    case TL_KEEPER_NONE: return "none";
    case TL_KEEPER_ELSEWHERE: return "elsewhere";
    case TL_KEEPER_WITHDRAWN: return "withdrawn";
    case TL_KEEPER_KEPT: break;
    }
    if (tl_keeper_row(k)->unshown)
        return n->keeping->call ? "making" : "unshown";
    return kept_word(n, s);
}

const char *tl_node_backup_state(const tl_node *n, int *ret_may_lose)
{
    tl_backup_status s = {.held = 0};
    if (!n->keeping)
        return "none";
    if (tl_node_backup(n) && tl_keeper_state_of(n->keeping->keeper) == TL_KEEPER_KEPT)
        tl_backup_status_of(tl_node_backup(n), &s);
    *ret_may_lose = may_lose(&s);
    return state_word(n, &s);
}

tl_unix tl_node_backup_other_at(const tl_node *n)
{
    return n->keeping ? tl_keeper_other_at(n->keeping->keeper) : 0;
}

json_t *tl_backup_status_json(const tl_node *n)
{
    tl_backup_status s = {.held = 0};
    const tl_keeper *k = n->keeping->keeper;
    tl_backup *backup = tl_node_backup(n);
    json_t *holders = json_array();
    if (backup && tl_keeper_state_of(k) == TL_KEEPER_KEPT)
        tl_backup_status_of(backup, &s);
    for (uint8_t i = 0; s.kept.any && i < s.kept.n; i++)
        if (json_array_append_new(holders, place_json(n, &s.kept.place[i]))) {
            json_decref(holders);
            return NULL;
        }
    const char *cause = *s.words ? s.words : n->keeping->copy_error;
    bool renewing = s.kept.before.since != 0;
    return json_pack(
        "{s:s, s:o, s:o, s:I, s:i, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:s%}", "state",
        state_word(n, &s), "made_at",
        tl_backup_time_json(renewing ? s.kept.before.made_at : tl_keeper_row(k)->made_at),
        "newer_at", tl_backup_time_json(renewing ? tl_keeper_row(k)->made_at : 0), "size",
        (json_int_t)s.kept.size, "k", s.kept.k, "n", s.kept.n, "held", (int)s.held, "silent",
        (int)s.silent, "may_lose", may_lose(&s), "strangers", tl_keeper_row(k)->strangers,
        "holders", holders, "pointer", tl_backup_pointer_json(n), "left", tl_backup_left_json(n),
        "other_at", tl_backup_time_json(tl_keeper_other_at(k)), "cause", cause, strlen(cause));
}

void tl_verb_backup_status(tl_node *n, const json_t *args, tl_call *call)
{
    (void)args;
    if (!n->keeping)
        tl_call_fail(call, "E_UNAVAILABLE", "this node has no database");
    else
        tl_call_ok(call, tl_backup_status_json(n));
}

/* --- create --- */

static void fail(tl_backup_call *c, const char *code, const char *fmt, ...) TL_PRINTF(3, 4);
static void fail(tl_backup_call *c, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->words, sizeof c->words, fmt, args);
    va_end(args);
    snprintf(c->code, sizeof c->code, "%s", code);
    c->failing = true;
}

#define FIRST_FRIENDS                                                                              \
    "Make a network and invite friends who may hold it (teale ptn create, teale ptn invite), or "  \
    "let strangers hold it, who see nothing of what is in it: teale backup create --strangers"

/* Others in our networks, whether they are on or not. */
static size_t fellows(const tl_node *n)
{
    size_t count = 0;
    for (size_t i = 0; i < tl_networks_count(n->book); i++)
        count += tl_networks_at(n->book, i)->left ? 0 : tl_networks_at(n->book, i)->n_members;
    return count;
}

/* What is known to fail is said at once. */
static bool can_be_held(tl_node *n, unsigned holders, bool strangers, tl_call *call)
{
    size_t others = fellows(n);
    if (!n->settings.wan_enabled)
        tl_call_fail(
            call, "E_TOO_FEW",
            "a backup is found again over the internet alone, which this node does not use: "
            "wan_enabled is false. teale config set wan_enabled true");
    else if (!strangers && !others)
        tl_call_fail(call, "E_TOO_FEW",
                     "nobody is there to hold a backup: no other node is in a network with this "
                     "one. " FIRST_FRIENDS);
    else if (!strangers && others < holders)
        tl_call_fail(
            call, "E_TOO_FEW",
            "%u nodes cannot hold it: your networks have %zu other members. Invite more (teale "
            "ptn invite), ask for fewer (--holders), or let strangers hold it, too: --strangers",
            holders, others);
    else
        return true;
    return false;
}

/* Who asked is not there any more: nobody would see the words. */
static void on_gone(void *user)
{
    tl_node *n = user;
    tl_backup_call *c = n->keeping ? n->keeping->call : NULL;
    if (!c || c->failing)
        return;
    fail(c, "E_TIMEOUT", "who asked for the backup is gone");
    tl_log(TL_LOG_INFO,
           "backup: who asked for it is gone before its words were shown: it is taken back");
    c->look_at = 0;
    tl_node_wake(n);
}

void tl_verb_backup_create(tl_node *n, const json_t *args, tl_call *call)
{
    uint8_t root[TL_RECOVERY_KEY];
    tl_node_keeping *k = n->keeping;
    int64_t holders = (int64_t)tl_json_number(args, "holders", 0);
    if (!k || !tl_node_backup(n)) {
        tl_call_fail(call, "E_UNAVAILABLE",
                     "this node keeps no database, and a backup is a copy of it: teale doctor says "
                     "why there is none");
        return;
    }
    if (tl_hex_parse(tl_slice_str(tl_json_string(args, "root", "")), false, root, sizeof root) ||
        holders < 0 || holders > TL_FRAGMENTS_MAX) {
        tl_call_fail(call, "E_INVALID",
                     "a backup has a root of 64 hex digits and at most %d holders",
                     TL_FRAGMENTS_MAX);
        return;
    }
    tl_keeper_state state = tl_keeper_state_of(k->keeper);
    if (state == TL_KEEPER_ELSEWHERE) {
        tl_call_fail(call, "E_ELSEWHERE", "%s", tl_node_aside_words);
        return;
    }
    bool kept = state == TL_KEEPER_KEPT && !tl_keeper_row(k->keeper)->unshown;
    if (kept && !tl_json_bool(args, "new", false)) {
        tl_call_fail(call, "E_EXISTS",
                     "there is a backup already, and it renews itself: teale backup status. With "
                     "--new new words are made, and what those of before bring back is deleted");
        return;
    }
    if (!can_be_held(n, (unsigned)holders, tl_json_bool(args, "strangers", false), call))
        return;
    tl_backup_call *c = k->call || k->drop ? NULL : calloc(1, sizeof *c);
    if (c)
        c->before = *tl_keeper_row(k->keeper);
    tl_err e = c ? tl_keeper_create(k->keeper, root, (uint8_t)holders,
                                    tl_json_bool(args, "strangers", false))
                 : TL_ERR_BUSY;
    sodium_memzero(root, sizeof root);
    if (e) {
        free(c);
        tl_call_fail(call, "E_BUSY", "the backup is being made just now: try again in a minute");
        return;
    }
    tl_time now = tl_loop_now(n->loop);
    c->call = call;
    c->had = state != TL_KEEPER_NONE;
    c->kept = kept;
    c->holders = (uint8_t)holders;
    c->give_up_at = now + PLACED_WITHIN;
    c->settle_at = TL_NEVER;
    c->look_at = now;
    c->strangers = tl_json_bool(args, "strangers", false);
    k->call = c;
    k->save_error[0] = 0;
    tl_call_on_drop(call, on_gone, n);
    tl_node_wake(n);
}

void tl_verb_backup_shown(tl_node *n, const json_t *args, tl_call *call)
{
    (void)args;
    if (!n->keeping || tl_keeper_state_of(n->keeping->keeper) != TL_KEEPER_KEPT) {
        tl_call_fail(call, "E_NOT_FOUND", "there is no backup: teale backup create makes one");
        return;
    }
    tl_keeper_shown(n->keeping->keeper);
    tl_call_ok(call, json_object());
}

/* Back to the words of before. False: not yet, what was begun is under way. */
static bool take_back(tl_node *n, tl_backup_call *c)
{
    tl_backup *backup = tl_node_backup(n);
    if (tl_keeper_undo(n->keeping->keeper, c->had ? &c->before : NULL) == TL_ERR_BUSY)
        return false;
    if (!c->kept && backup)
        tl_backup_drop(backup);
    if (!c->had && tl_store_drop_recovery(n->store, NULL, NULL))
        return true; /* out of memory: the next create writes over it */
    return true;
}

static void look_at_places(tl_node *n, tl_backup_call *c, tl_time now)
{
    tl_backup_status s = {.held = 0};
    tl_backup_status_of(tl_node_backup(n), &s);
    bool enough = s.kept.any && s.may_lose >= 0 && (!c->holders || s.held >= c->holders);
    if (now >= c->give_up_at && !enough) {
        int wanted = c->holders ? c->holders : s.kept.k > 0 ? s.kept.k : 1;
        fail(
            c, "E_TOO_FEW",
            "%d node%s had to take a fragment, and %d did. Nothing is backed up. %s. Have more of "
            "your networks' members switched on, with store_quota above 0, and try again%s%s%.180s",
            wanted, wanted == 1 ? "" : "s", (int)s.held,
            c->strangers ? "Of strangers, those count that this node knows"
                         : "Members of your networks count, or with --strangers anybody",
            c->holders ? ", or ask for fewer (--holders)" : "", *s.words ? ": " : "", s.words);
        return;
    }
    if (!enough || !tl_keeper_item(n->keeping->keeper) || tl_keeper_is_saving(n->keeping->keeper))
        return;
    if (c->settle_at == TL_NEVER)
        c->settle_at = now + SETTLE_WITHIN;
    if (now < c->settle_at && (s.held < s.kept.n || !tl_backup_is_in_dht(n)))
        return;
    json_t *done = tl_backup_status_json(n);
    if (done) /* the words are shown next */
        json_object_set_new(done, "state", json_string(kept_word(n, &s)));
    tl_call_ok(c->call, done);
    free_call(n);
}

void tl_backup_call_run(tl_node *n)
{
    tl_node_keeping *k = n->keeping;
    tl_backup_call *c = k->call;
    tl_time now = tl_loop_now(n->loop);
    if (!c || now < c->look_at)
        return;
    c->look_at = now + LOOK_EVERY;
    if (!c->failing && *k->save_error)
        fail(c, "E_STORE", "nothing is backed up, and no words were made: %.200s. Then try again",
             k->save_error);
    if (!c->failing && *k->copy_error)
        fail(c, "E_STORE", "%s", k->copy_error);
    if (!c->failing && tl_keeper_row(k->keeper)->made_at && !k->copying)
        look_at_places(n, c, now);
    if (k->call && c->failing && take_back(n, c)) {
        tl_call_fail(c->call, c->code, "%s", c->words);
        free_call(n);
    }
}

tl_time tl_backup_call_expiry(const tl_node *n)
{
    return n->keeping->call ? n->keeping->call->look_at : TL_NEVER;
}
