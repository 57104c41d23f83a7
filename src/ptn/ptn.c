#include "ptn/ptn.h"

#include "base/table.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

typedef struct {
    tl_node_id node;
    tl_unix at;
    UT_hash_handle hh;
} revoked;

struct tl_ptn {
    tl_node_id id;
    revoked *revoked;
    int64_t sequence;
    json_t *lists[TL_PTN_LISTS_MAX]; /* the first: of `sequence` */
    size_t n_lists;
    tl_unix listed_at;
    tl_ptn_digest digest;
    bool is_disputed;
    tl_ptn_dispute dispute;
    tl_ptn_price price;
    json_t *price_object;
    size_t n_keys;
    tl_hide_key keys[TL_PTN_GROUPKEYS_MAX];
    tl_ptn_groupkey newest; /* of keys[0] */
    json_t *key_object;
};

tl_err tl_ptn_new(const tl_node_id *id, tl_ptn **ret_ptn)
{
    tl_ptn *n = calloc(1, sizeof *n);
    if (!n)
        return TL_ERR_NOMEM;
    n->id = *id;
    *ret_ptn = n;
    return TL_OK;
}

void tl_ptn_free(tl_ptn *n)
{
    if (!n)
        return;
    revoked *r, *next;
    HASH_ITER (hh, n->revoked, r, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the table */
        HASH_DEL(n->revoked, r);
        free(r);
    }
    for (size_t i = 0; i < n->n_lists; i++)
        json_decref(n->lists[i]);
    json_decref(n->price_object);
    json_decref(n->key_object);
    for (size_t i = 0; i < n->n_keys; i++)
        tl_hide_clear(&n->keys[i]);
    sodium_memzero(&n->newest, sizeof n->newest);
    free(n);
}

const tl_node_id *tl_ptn_id(const tl_ptn *n)
{
    return &n->id;
}

/* --- who is revoked --- */

static revoked *find(const tl_ptn *n, const tl_node_id *node)
{
    revoked *r;
    HASH_FIND(hh, n->revoked, node, sizeof *node, r);
    return r;
}

bool tl_ptn_is_revoked(const tl_ptn *n, const tl_node_id *node)
{
    return find(n, node) != NULL;
}

tl_unix tl_ptn_revoked_at(const tl_ptn *n, const tl_node_id *node)
{
    const revoked *r = find(n, node);
    return r ? r->at : 0;
}

int64_t tl_ptn_sequence(const tl_ptn *n)
{
    return n->sequence;
}

tl_unix tl_ptn_listed_at(const tl_ptn *n)
{
    return n->listed_at;
}

const json_t *tl_ptn_list(const tl_ptn *n)
{
    return n->n_lists ? n->lists[0] : NULL;
}

size_t tl_ptn_list_count(const tl_ptn *n)
{
    return n->n_lists;
}

const json_t *tl_ptn_list_at(const tl_ptn *n, size_t i)
{
    assert(i < n->n_lists);
    return n->lists[i];
}

tl_ptn_digest tl_ptn_revoked_digest(const tl_ptn *n)
{
    return n->digest;
}

/* The digest does not depend on the order. */
static void add_to_digest(tl_ptn *n, const tl_node_id *node)
{
    tl_ptn_digest one;
    crypto_generichash(one.bytes, sizeof one.bytes, node->key, sizeof node->key, NULL, 0);
    for (size_t i = 0; i < sizeof one.bytes; i++)
        n->digest.bytes[i] ^= one.bytes[i];
}

static size_t count_new(const tl_ptn *n, const tl_revocations *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->n; i++)
        count += !find(n, &list->entries[i].node);
    return count;
}

/* All or nothing. */
static tl_err add_all(tl_ptn *n, const tl_revocations *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (find(n, &list->entries[i].node))
            continue;
        revoked *r = calloc(1, sizeof *r);
        if (r) {
            r->node = list->entries[i].node;
            r->at = list->entries[i].at;
            if (!TL_TABLE_ADD(hh, n->revoked, node, sizeof r->node, r)) {
                free(r);
                r = NULL;
            }
        }
        if (r)
            add_to_digest(n, &r->node);
        else
            return TL_ERR_NOMEM; /* a node more or less that is rightly revoked does no harm */
    }
    return TL_OK;
}

/* May its issuer say so now? */
static tl_ptn_verdict issuer_at(const tl_ptn *n, const tl_node_id *issuer, bool delegated,
                                tl_unix issuer_expires_at, tl_unix issued_at, tl_unix now)
{
    if (issued_at - TL_PTN_AHEAD_MAX > now)
        return TL_PTN_EARLY;
    if (!delegated)
        return TL_PTN_OK;
    if (tl_ptn_is_revoked(n, issuer))
        return TL_PTN_REVOKED;
    /* a list outlives its issuer's certificate: it grows only, and somebody else may hold it */
    return issued_at > issuer_expires_at ? TL_PTN_EXPIRED : TL_PTN_OK;
}

/* Takes `kept`. A list that holds all needs no other beside it. Where there are too many, the oldest
 * of the others goes: what it told stays known until this node starts again, and an admin signs the
 * next list long before. */
static void keep_list(tl_ptn *n, json_t *kept, const tl_revocations *list, tl_unix now)
{
    bool newest = list->sequence > n->sequence;
    if (newest) {
        n->sequence = list->sequence;
        n->listed_at = list->issued_at < now ? list->issued_at : now;
    }
    if (newest && list->n == HASH_COUNT(n->revoked)) {
        while (n->n_lists)
            json_decref(n->lists[--n->n_lists]);
    } else if (n->n_lists == TL_PTN_LISTS_MAX) {
        json_decref(n->lists[1]);
        n->n_lists--;
        memmove(&n->lists[1], &n->lists[2], (n->n_lists - 1) * sizeof(json_t *));
    }
    size_t at = newest ? 0 : n->n_lists;
    memmove(&n->lists[at + 1], &n->lists[at], (n->n_lists - at) * sizeof(json_t *));
    n->lists[at] = kept;
    n->n_lists++;
}

static tl_ptn_verdict add_list(tl_ptn *n, const json_t *value, const tl_revocations *list,
                               size_t most, tl_unix now, bool *ret_stale)
{
    size_t added = count_new(n, list);
    *ret_stale = list->sequence < n->sequence || list->n - added < HASH_COUNT(n->revoked);
    if (added && HASH_COUNT(n->revoked) + added > most)
        return TL_PTN_NO_MEMORY;
    if (!added && list->sequence <= n->sequence)
        return TL_PTN_OLD;
    json_t *kept = json_deep_copy(value);
    if (!kept || add_all(n, list)) {
        json_decref(kept);
        return TL_PTN_NO_MEMORY;
    }
    keep_list(n, kept, list, now);
    return TL_PTN_OK;
}

static void note_dispute(tl_ptn *n, const tl_revocations *list)
{
    n->is_disputed = false;
    for (size_t i = 0; i < list->n && !n->is_disputed; i++)
        if (!find(n, &list->entries[i].node)) {
            n->is_disputed = true;
            n->dispute = (tl_ptn_dispute){list->issuer, list->entries[i].node};
        }
}

bool tl_ptn_disputed(const tl_ptn *n, tl_ptn_dispute *ret_dispute)
{
    if (n->is_disputed)
        *ret_dispute = n->dispute;
    return n->is_disputed;
}

/* A list only takes rights away: it counts, too, where our clock is behind its issuer's. */
static tl_ptn_verdict take_list(tl_ptn *n, const json_t *value, const tl_revocations *list,
                                tl_unix now, bool *ret_stale)
{
    size_t most = list->delegated ? TL_REVOCATIONS_ADMIN_MAX : TL_REVOCATIONS_MAX;
    tl_ptn_verdict v = issuer_at(n, &list->issuer, list->delegated, list->issuer_expires_at,
                                 list->issued_at, TL_PTN_TIME_MAX);
    if (v == TL_PTN_REVOKED)
        note_dispute(n, list);
    return v ? v : add_list(n, value, list, most, now, ret_stale);
}

tl_ptn_verdict tl_ptn_take_revocations(tl_ptn *n, const json_t *list, tl_unix now, bool *ret_stale)
{
    tl_revocations read = {0};
    *ret_stale = false;
    tl_ptn_verdict v = tl_revocations_read(list, &read);
    if (!v && !tl_node_id_eq(&read.network, &n->id))
        v = TL_PTN_FOREIGN;
    if (!v)
        v = take_list(n, list, &read, now, ret_stale);
    tl_revocations_clear(&read);
    return v;
}

tl_ptn_verdict tl_ptn_load_revocations(tl_ptn *n, const json_t *list, tl_unix now)
{
    bool stale;
    tl_revocations read = {0};
    tl_ptn_verdict v = tl_revocations_read(list, &read);
    if (!v && !tl_node_id_eq(&read.network, &n->id))
        v = TL_PTN_FOREIGN;
    if (!v)
        v = add_list(n, list, &read, TL_REVOCATIONS_MAX, now, &stale);
    tl_revocations_clear(&read);
    return v;
}

tl_err tl_ptn_next_list(const tl_ptn *n, const tl_node_id *node, bool delegated, tl_unix now,
                        tl_revocations *ret)
{
    int64_t last = delegated ? TL_PTN_ADMIN_NUMBER_MAX : TL_PTN_TIME_MAX;
    size_t most = delegated ? TL_REVOCATIONS_ADMIN_MAX : TL_REVOCATIONS_MAX;
    size_t count = HASH_COUNT(n->revoked);
    if (node && find(n, node))
        return TL_ERR_EXISTS;
    if (node && count + 1 > most)
        return TL_ERR_BUSY;
    tl_revocation *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        return TL_ERR_NOMEM;
    size_t i = 0;
    for (const revoked *r = n->revoked; r; r = r->hh.next)
        entries[i++] = (tl_revocation){r->node, r->at};
    if (node)
        entries[i++] = (tl_revocation){*node, now};
    *ret = (tl_revocations){.network = n->id,
                            .sequence = n->sequence < last ? n->sequence + 1 : last,
                            .issued_at = now,
                            .n = i,
                            .entries = entries};
    return TL_OK;
}

/* --- what it costs --- */

/* Of this network, by who may say so now? */
static tl_ptn_verdict head_at(const tl_ptn *n, const tl_numbered *head, tl_unix now)
{
    if (!tl_node_id_eq(&head->network, &n->id))
        return TL_PTN_FOREIGN;
    return issuer_at(n, &head->issuer, head->delegated, head->issuer_expires_at, head->issued_at,
                     now);
}

tl_ptn_verdict tl_ptn_take_price(tl_ptn *n, const json_t *price, tl_unix now)
{
    tl_ptn_price p;
    tl_ptn_verdict v = tl_ptn_price_read(price, &p);
    if (!v)
        v = head_at(n, &p.head, now);
    if (v)
        return v;
    if (p.head.version < n->price.head.version || (p.head.version == n->price.head.version &&
                                                   p.micro_per_ktoken >= n->price.micro_per_ktoken))
        return TL_PTN_OLD;
    json_t *kept = json_deep_copy(price);
    if (!kept)
        return TL_PTN_NO_MEMORY;
    json_decref(n->price_object);
    n->price_object = kept;
    n->price = p;
    return TL_PTN_OK;
}

int64_t tl_ptn_price_of(const tl_ptn *n, int64_t *ret_version)
{
    if (ret_version)
        *ret_version = n->price.head.version;
    return n->price.micro_per_ktoken;
}

const json_t *tl_ptn_price_object(const tl_ptn *n)
{
    return n->price_object;
}

/* --- the group key --- */

tl_ptn_verdict tl_ptn_take_groupkey(tl_ptn *n, const json_t *object, tl_unix now)
{
    tl_ptn_groupkey k;
    tl_ptn_verdict v = tl_ptn_groupkey_read(object, &k);
    if (!v)
        v = head_at(n, &k.head, now);
    if (!v && (k.head.version < n->newest.head.version ||
               (k.head.version == n->newest.head.version &&
                memcmp(k.key, n->newest.key, sizeof k.key) >= 0)))
        v = TL_PTN_OLD;
    json_t *kept = v ? NULL : json_deep_copy(object);
    if (!v && !kept)
        v = TL_PTN_NO_MEMORY;
    if (!v) {
        json_decref(n->key_object);
        n->key_object = kept;
        n->newest = k;
        n->n_keys += n->n_keys < TL_PTN_GROUPKEYS_MAX;
        memmove(&n->keys[1], &n->keys[0], (n->n_keys - 1) * sizeof n->keys[0]);
        tl_hide_prepare(&n->keys[0], k.key);
    }
    sodium_memzero(&k, sizeof k);
    return v;
}

int64_t tl_ptn_groupkey_version(const tl_ptn *n)
{
    return n->newest.head.version;
}

const json_t *tl_ptn_groupkey_object(const tl_ptn *n)
{
    return n->key_object;
}

size_t tl_ptn_hide_keys(const tl_ptn *n, const tl_hide_key **ret_keys)
{
    *ret_keys = n->keys;
    return n->n_keys;
}

/* --- the judgement --- */

tl_ptn_verdict tl_ptn_judge(const tl_ptn *n, const tl_cert *cert, const tl_node_id *node,
                            tl_unix now)
{
    if (!tl_node_id_eq(&cert->network, &n->id) || !tl_node_id_eq(&cert->node, node))
        return TL_PTN_FOREIGN;
    if (tl_ptn_is_revoked(n, node) || (cert->delegated && tl_ptn_is_revoked(n, &cert->issuer)))
        return TL_PTN_REVOKED;
    return tl_cert_at(cert, now);
}
