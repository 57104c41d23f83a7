#include "dht/kept.h"

#include "dht/dht.h"
#include "dht/freshness.h"

#include <stdlib.h>

void tl_kept_clear(tl_kept_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->all[i]);
    free(list->all);
    *list = (tl_kept_list){.republish = list->republish};
}

tl_kept *tl_kept_find(const tl_kept_list *list, const tl_dht_id *target)
{
    for (size_t i = 0; i < list->n; i++)
        if (tl_dht_id_eq(&list->all[i]->target, target))
            return list->all[i];
    return NULL;
}

static tl_err add(tl_kept_list *list, const tl_kept *kept)
{
    if (list->n == TL_DHT_KEPT_MAX)
        return TL_ERR_BUSY;
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        tl_kept **all = realloc(list->all, cap * sizeof(tl_kept *));
        if (!all)
            return TL_ERR_NOMEM;
        list->all = all;
        list->cap = cap;
    }
    tl_kept *copy = malloc(sizeof *copy);
    if (!copy)
        return TL_ERR_NOMEM;
    *copy = *kept;
    list->all[list->n++] = copy;
    return TL_OK;
}

tl_err tl_kept_publish(tl_kept_list *list, const tl_identity *identity, tl_slice salt,
                       tl_slice value, int64_t last_seq, tl_time now)
{
    tl_dht_item check;
    tl_err e = tl_dht_item_of_value(value, &check);
    if (e || salt.n > TL_DHT_SALT_MAX || last_seq < 0)
        return e ? e : TL_ERR_INVALID;
    tl_dht_id target = tl_dht_target_of_key(identity->id.key, salt);
    tl_kept *kept = tl_kept_find(list, &target);
    if (!kept) {
        tl_kept fresh = {.identity = identity, .target = target, .last_seq = last_seq};
        fresh.item = check;
        fresh.item.is_mutable = true;
        memcpy(fresh.item.key, identity->id.key, sizeof fresh.item.key);
        if (salt.n > 0)
            memcpy(fresh.item.salt, salt.p, salt.n);
        fresh.item.n_salt = (uint8_t)salt.n;
        fresh.changed = true;
        fresh.next = now;
        return add(list, &fresh);
    }
    bool same = kept->identity && tl_slice_eq(tl_dht_item_value(&kept->item), value);
    kept->identity = identity;
    if (last_seq > kept->last_seq)
        kept->last_seq = last_seq;
    if (same)
        return TL_OK;
    memcpy(kept->item.value, value.p, value.n);
    kept->item.n_value = (uint16_t)value.n;
    kept->changed = true;
    kept->next = now;
    kept->failed = 0;
    return TL_OK;
}

tl_err tl_kept_hold(tl_kept_list *list, const tl_dht_item *item, tl_time now)
{
    tl_dht_id target = tl_dht_item_target(item);
    tl_kept *kept = tl_kept_find(list, &target);
    if (kept && (kept->identity || item->seq < kept->last_seq))
        return kept->identity ? TL_ERR_EXISTS : TL_ERR_REPLAY;
    if (kept && item->seq == kept->item.seq)
        return TL_OK;
    if (!kept) {
        tl_kept fresh = {.item = *item, .target = target, .last_seq = item->seq, .next = now};
        return add(list, &fresh);
    }
    kept->item = *item;
    kept->last_seq = item->seq;
    kept->next = now;
    kept->failed = 0;
    return TL_OK;
}

void tl_kept_drop(tl_kept_list *list, const tl_dht_id *target)
{
    for (size_t i = 0; i < list->n; i++)
        if (tl_dht_id_eq(&list->all[i]->target, target)) {
            free(list->all[i]);
            list->all[i] = list->all[--list->n];
            return;
        }
}

/* --- when --- */

tl_kept *tl_kept_due(const tl_kept_list *list, tl_time now)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->all[i]->request == 0 && now >= list->all[i]->next)
            return list->all[i];
    return NULL;
}

tl_time tl_kept_expiry(const tl_kept_list *list)
{
    tl_time first = TL_NEVER;
    for (size_t i = 0; i < list->n; i++)
        if (list->all[i]->request == 0)
            first = tl_time_min(first, list->all[i]->next);
    return first;
}

void tl_kept_hurry(tl_kept_list *list, tl_time now)
{
    for (size_t i = 0; i < list->n; i++) {
        list->all[i]->next = now;
        list->all[i]->failed = 0;
    }
}

bool tl_kept_is_whole_due(const tl_kept_list *list, const tl_kept *kept, tl_time now)
{
    return kept->whole == 0 || now - kept->whole >= list->republish / 4 * 3;
}

/* --- what was found and stored --- */

void tl_kept_found(tl_kept *kept, const tl_dht_item *newer, tl_unix wall)
{
    if (newer->seq <= kept->last_seq || (kept->identity && !tl_dht_seq_may_be(newer->seq, wall)))
        return;
    kept->last_seq = newer->seq;
    if (kept->identity) {
        kept->changed = true; /* a new `seq`, above that */
        kept->outdone++;
        return;
    }
    kept->item = *newer;
}

bool tl_kept_sign(tl_kept *kept, tl_unix wall)
{
    bool old = kept->item.seq <= wall - TL_DHT_RECORD_RENEW; /* readers pass over what is old */
    if (!kept->identity || (!kept->changed && !old))
        return true;
    tl_dht_item item;
    int64_t last = tl_dht_seq_may_be(kept->last_seq, wall)   ? kept->last_seq
                   : tl_dht_seq_may_be(kept->item.seq, wall) ? kept->item.seq
                                                             : 0;
    int64_t seq = wall > last ? wall : last + 1;
    kept->cannot_sign = tl_dht_item_sign(kept->identity, tl_dht_item_salt(&kept->item), seq,
                                         tl_dht_item_value(&kept->item), &item) != TL_OK;
    if (kept->cannot_sign)
        return false;
    kept->item = item;
    kept->last_seq = seq;
    kept->changed = false;
    kept->whole = 0;
    return true;
}

void tl_kept_on_stored(tl_kept_list *list, tl_kept *kept, const tl_kept_stored *s, tl_time now)
{
    kept->holders = s->whole ? s->took + s->stayed : s->had + s->took;
    if (s->took > 0)
        kept->stored = now;
    if (kept->holders == 0) {
        tl_time wait = TL_KEPT_RETRY << (kept->failed < 8 ? kept->failed : 8);
        kept->failed++;
        kept->next = now + tl_time_min(wait, TL_KEPT_RETRY_MAX);
        return;
    }
    kept->failed = 0;
    unsigned lacked = s->asked > s->had ? s->asked - s->had : 0;
    bool first = kept->interval == 0;
    if (s->whole)
        kept->whole = now;
    if (s->whole && kept->identity && s->stayed * TL_KEPT_LACKED > s->asked)
        kept->changed = true;
    if (first)
        kept->interval = TL_KEPT_FIRST;
    else if (lacked * TL_KEPT_LACKED > s->asked)
        kept->interval = tl_time_max(kept->interval / 2, TL_KEPT_MIN);
    else
        kept->interval *= 2;
    kept->interval = tl_time_min(kept->interval, list->republish);
    kept->next = now + (kept->changed ? 0 : kept->interval);
}
