#include "relay/pairs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void forget(tl_relay_pairs *p, tl_relay_pair *pair)
{
    DL_DELETE(p->idle, pair);
    p->idle_count--;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, p->table, pair);
    free(pair);
}

static tl_relay_pair *find(tl_relay_pairs *p, const tl_node_id *a, const tl_node_id *b, tl_time now,
                           uint8_t ret_key[64])
{
    tl_relay_pair *pair;
    bool first = tl_node_id_cmp(a, b) < 0;
    memcpy(ret_key, first ? a : b, 32);
    memcpy(ret_key + 32, first ? b : a, 32);
    while (p->idle && now >= p->idle->left + p->pause)
        forget(p, p->idle);
    HASH_FIND(hh, p->table, ret_key, 64, pair);
    return pair;
}

bool tl_relay_pairs_may(tl_relay_pairs *p, const tl_node_id *a, const tl_node_id *b, tl_time now)
{
    uint8_t key[64];
    const tl_relay_pair *pair = find(p, a, b, now, key);
    return !pair || now < pair->since + p->session_max;
}

tl_err tl_relay_pairs_begin(tl_relay_pairs *p, const tl_node_id *a, const tl_node_id *b,
                            tl_time now, tl_relay_pair **ret_pair)
{
    uint8_t key[64];
    tl_relay_pair *pair = find(p, a, b, now, key);
    if (pair && now >= pair->since + p->session_max)
        return TL_ERR_BUSY;
    if (!pair) {
        pair = calloc(1, sizeof *pair);
        if (!pair)
            return TL_ERR_NOMEM;
        memcpy(pair->key, key, sizeof key);
        pair->since = now;
        if (!TL_TABLE_ADD(hh, p->table, key, sizeof pair->key, pair)) {
            free(pair);
            return TL_ERR_NOMEM;
        }
    } else if (!pair->sessions) {
        DL_DELETE(p->idle, pair);
        p->idle_count--;
    }
    pair->sessions++;
    *ret_pair = pair;
    return TL_OK;
}

void tl_relay_pairs_end(tl_relay_pairs *p, tl_relay_pair *pair, tl_time now)
{
    assert(pair->sessions);
    if (--pair->sessions)
        return;
    pair->left = now;
    DL_APPEND(p->idle, pair);
    if (++p->idle_count > p->idle_max)
        forget(p, p->idle);
}

void tl_relay_pairs_clear(tl_relay_pairs *p)
{
    while (p->idle)
        forget(p, p->idle);
    assert(!p->table);
}
