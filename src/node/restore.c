#include "node/restore.h"

#include "backup/fetch.h"
#include "backup/pointer.h"
#include "base/when.h"
#include "dht/dht.h"
#include "node/reach.h"
#include "node/state.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_AGAIN  (2 * TL_SEC)
#define FETCH_AGAIN (2 * TL_SEC)

struct tl_restore {
    tl_node *node;
    tl_recovery keys;
    int64_t seen;
    tl_restore_events events;
    void *user;
    tl_restore_progress progress;
    tl_timer timer;
    tl_time give_up_at, look_at;
    tl_dht *core; /* in which the look is under way */
    tl_dht_request looking;
    int64_t found_seq; /* of a pointer that was refused as old; 0: none was */
    tl_pointer pointer;
    uint8_t packed[TL_POINTER_PACKED]; /* the same, signed */
    tl_fetch *fetch;                   /* under way */
    bool fetch_over;                   /* it may be freed */
    bool done;
    char cause[400]; /* the last reason of a fetch */
};

static tl_time now_of(const tl_restore *r)
{
    return tl_loop_now(r->node->loop);
}

static void told(tl_restore *r)
{
    if (!r->done && r->events.on_progress)
        r->events.on_progress(r->user, &r->progress);
}

static void finish(tl_restore *r, tl_err e, const tl_restored *got, const char *fmt, ...)
    TL_PRINTF(4, 5);
static void finish(tl_restore *r, tl_err e, const tl_restored *got, const char *fmt, ...)
{
    char why[600];
    va_list args;
    if (r->done)
        return;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    r->done = true;
    tl_timer_stop(&r->timer);
    r->events.on_done(r->user, e, got, why);
}

/* --- fragments --- */

static void hand_out(tl_restore *r, const tl_payload *p, tl_slice blob)
{
    tl_buf kept = {0};
    tl_err e = tl_buf_append(&kept, tl_slice_of(r->packed, sizeof r->packed));
    if (!e)
        e = tl_buf_append(&kept, blob);
    const tl_restored got = {p, tl_buf_slice(&kept)};
    if (e)
        finish(r, e, NULL, "out of memory");
    else
        finish(r, TL_OK, &got, "%s", "");
    tl_buf_clear(&kept);
}

static void opened(tl_restore *r, tl_slice blob)
{
    tl_buf plain = {0};
    tl_payload p = {0};
    tl_err e = tl_payload_open(blob, r->keys.blob_key, &plain, &p);
    if (e == TL_ERR_INVALID)
        finish(r, e, NULL, "the backup was made by a newer teale: install that, then restore");
    else if (e == TL_ERR_NOMEM)
        finish(r, e, NULL, "out of memory");
    else if (e)
        finish(r, TL_ERR_AUTH, NULL,
               "what the holders gave is not the backup of these words: it was altered");
    else
        hand_out(r, &p, blob);
    tl_payload_clear(&plain, &p);
}

static void on_fetch_progress(void *user, const tl_fetch_progress *p)
{
    tl_restore *r = user;
    r->progress.got = p->got;
    r->progress.needed = p->needed;
    told(r);
}

/* Holders that could not be reached may be, in a moment: the relay is connected then, or the DHT has said
 * where they are. */
static void on_fetched(void *user, tl_err e, tl_slice blob, const char *why)
{
    tl_restore *r = user;
    r->fetch_over = true;
    if (!e) {
        opened(r, blob);
        return;
    }
    snprintf(r->cause, sizeof r->cause, "%s", why);
    if (now_of(r) + FETCH_AGAIN >= r->give_up_at || e == TL_ERR_NOMEM || e == TL_ERR_INVALID)
        finish(
            r, e == TL_ERR_TIMEOUT ? TL_ERR_NOT_FOUND : e, NULL,
            "the backup cannot be put together: %s. Have more of these machines switched on, and "
            "restore again: nothing was changed here",
            r->cause);
    else
        tl_timer_set(&r->timer, now_of(r) + FETCH_AGAIN);
}

static const tl_fetch_events fetch_events = {on_fetch_progress, on_fetched};

static void begin_fetch(tl_restore *r)
{
    tl_time now = now_of(r);
    tl_exchanges *exchanges = tl_node_exchanges(r->node);
    tl_time within = r->give_up_at > now ? r->give_up_at - now : TL_SEC;
    tl_err e = exchanges ? tl_fetch_new(&r->pointer.map, exchanges, &r->node->env, within,
                                        &fetch_events, r, &r->fetch)
                         : TL_ERR_CLOSED;
    if (e)
        finish(r, e, NULL, "the backup cannot be fetched: %s", tl_err_name(e));
    else
        tl_timer_set(&r->timer, tl_fetch_expiry(r->fetch));
}

/* Its owner was reached through these: so are its friends, perhaps. */
static void use_relays(tl_restore *r)
{
    tl_settings s = r->node->settings;
    tl_why why = {""};
    size_t before = s.wan_relay_url.n;
    for (size_t i = 0; i < r->pointer.relays_n && s.wan_relay_url.n < TL_SETTING_LIST_MAX; i++) {
        bool known = false;
        for (size_t k = 0; k < s.wan_relay_url.n; k++)
            known |= !strcmp(s.wan_relay_url.item[k], r->pointer.relays[i]);
        if (!known)
            snprintf(s.wan_relay_url.item[s.wan_relay_url.n++], sizeof s.wan_relay_url.item[0],
                     "%s", r->pointer.relays[i]);
    }
    if (s.wan_relay_url.n != before)
        (void)!tl_node_setting_changed(r->node, &s, "wan_relay_url", &why);
}

/* --- the pointer --- */

static void give_up_looking(tl_restore *r)
{
    if (*r->cause)
        finish(r, TL_ERR_NOT_FOUND, NULL, "the backup cannot be put together: %s", r->cause);
    else if (r->found_seq)
        finish(r, TL_ERR_REPLAY, NULL,
               "the DHT gave a backup of sequence %lld, and %lld was seen before: an older one is "
               "not taken. Try again later",
               (long long)r->found_seq, (long long)r->seen);
    else if (!r->progress.nodes)
        finish(
            r, TL_ERR_UNREACHABLE, NULL, "%s",
            "no node of the DHT answered: this machine has no network, or a firewall that lets no "
            "UDP out, or the nodes of dht.bootstrap (--bootstrap) are away. See: teale netcheck");
    else
        finish(r, TL_ERR_NOT_FOUND, NULL,
               "%u nodes of the DHT answered, and none knows a backup of these words. The nodes "
               "that hold it tell the DHT every hour: if they were all off, try again when one is "
               "on",
               r->progress.nodes);
}

static void take_pointer(tl_restore *r, const tl_dht_item *item)
{
    tl_err e = tl_pointer_open(tl_dht_item_value(item), &r->keys, item->seq, &r->pointer);
    if (e) {
        finish(r, e == TL_ERR_INVALID ? e : TL_ERR_AUTH, NULL, "%s",
               e == TL_ERR_INVALID
                   ? "the backup was made by a newer teale: install that, then restore"
                   : "what the DHT has for these words is no backup of teale's");
        return;
    }
    if (tl_pointer_is_notice(&r->pointer)) {
        char at[TL_WHEN_TEXT_MAX];
        tl_when_write(at, r->pointer.made_at);
        finish(r, TL_ERR_NOT_FOUND, NULL,
               "the backup of these words was withdrawn at %s (teale backup drop): there is "
               "nothing to restore",
               at);
        return;
    }
    tl_pointer_pack(item, r->packed);
    r->progress.phase = TL_RESTORE_FETCHING;
    r->progress.sequence = item->seq;
    r->progress.made_at = r->pointer.made_at;
    r->progress.needed = r->pointer.map.k;
    r->progress.holders = r->pointer.map.holders_n;
    if (!*r->cause)
        r->give_up_at = now_of(r) + TL_RESTORE_FETCH;
    told(r);
    use_relays(r);
    begin_fetch(r);
}

static void on_found(void *user, tl_dht_request request, const tl_dht_item *item,
                     const tl_dht_result *result)
{
    tl_restore *r = user;
    (void)request;
    r->looking = 0;
    if (result->answered > r->progress.nodes)
        r->progress.nodes = result->answered;
    told(r);
    if (item && item->seq >= r->seen) {
        take_pointer(r, item);
        return;
    }
    if (item && item->seq > r->found_seq)
        r->found_seq = item->seq;
    r->look_at = now_of(r) + LOOK_AGAIN;
    tl_timer_set(&r->timer, r->look_at);
}

static void look(tl_restore *r)
{
    const tl_dht_ask ask = {.on_done = on_found, .user = r};
    tl_dht *core = tl_node_dht_core(r->node);
    tl_time now = now_of(r);
    if (core != r->core)
        r->looking = 0; /* the DHT was entered anew, and answers nothing of before */
    r->core = core;
    if (now >= r->give_up_at) {
        give_up_looking(r);
        return;
    }
    if (!r->looking && now >= r->look_at && core &&
        tl_dht_get(core, r->keys.identity.id.key, tl_slice_str(TL_RECOVERY_SALT), 0, &ask, now,
                   &r->looking))
        r->looking = 0;
    tl_node_wake(r->node);
    tl_timer_set(&r->timer, tl_time_min(now + LOOK_AGAIN, r->give_up_at));
}

/* --- time and life --- */

static void on_timer(void *user)
{
    tl_restore *r = user;
    if (r->done)
        return;
    if (r->progress.phase == TL_RESTORE_LOOKING) {
        look(r);
        return;
    }
    if (r->fetch_over) { /* by now the pointer may be another one: its owner is at work, perhaps */
        tl_fetch_free(r->fetch);
        r->fetch = NULL;
        r->fetch_over = false;
        r->progress.phase = TL_RESTORE_LOOKING;
        r->progress.got = 0;
        look(r);
        return;
    }
    if (r->fetch)
        tl_fetch_on_timer(r->fetch);
    if (!r->done && !r->fetch_over && r->fetch)
        tl_timer_set(&r->timer, tl_time_min(tl_fetch_expiry(r->fetch), now_of(r) + TL_SEC));
}

tl_err tl_restore_new(tl_node *n, const tl_recovery *keys, int64_t seen,
                      const tl_restore_events *events, void *user, tl_restore **ret_restore)
{
    tl_restore *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->node = n;
    r->keys = *keys;
    r->seen = seen;
    r->events = *events;
    r->user = user;
    r->give_up_at = now_of(r) + TL_RESTORE_LOOK;
    tl_timer_init(&r->timer, n->loop, on_timer, r);
    tl_timer_set(&r->timer, now_of(r));
    *ret_restore = r;
    return TL_OK;
}

void tl_restore_free(tl_restore *r)
{
    if (!r)
        return;
    tl_timer_stop(&r->timer);
    if (r->looking && r->core && r->core == tl_node_dht_core(r->node))
        tl_dht_cancel(r->core, r->looking);
    tl_fetch_free(r->fetch);
    tl_recovery_clear(&r->keys);
    free(r);
}
