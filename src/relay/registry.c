#include "relay/registry.h"

#include "wire/signalwrite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES_A_NODE  8 /* so many names take the time of one node */
#define CURSOR_DIGITS 16
#define END_MAX       64 /* room in an answer for the list's end and the cursor */

tl_relay_node *tl_relay_registry_find(const tl_relay_registry *g, const tl_node_id *id)
{
    tl_relay_node *n;
    HASH_FIND(hh, g->table, id->key, sizeof id->key, n);
    return n;
}

tl_relay_node *tl_relay_registry_find_hex(const tl_relay_registry *g, tl_slice hex)
{
    tl_node_id id; /* not checked to be a valid key: nodes in the table were checked when they
                      registered */
    if (tl_hex_parse(hex, false, id.key, sizeof id.key))
        return NULL;
    return tl_relay_registry_find(g, &id);
}

static tl_relay_node *make_node(tl_relay_registry *g, const tl_node_id *id)
{
    tl_relay_node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->id = *id;
    if (!TL_TABLE_ADD(hh, g->table, id.key, sizeof n->id.key, n)) {
        free(n);
        return NULL;
    }
    tl_node_id_write(n->hex, id);
    n->sequence = ++g->next_sequence;
    return n;
}

tl_err tl_relay_registry_put(tl_relay_registry *g, const tl_node_id *id,
                             const tl_signal_register *r, tl_relay_node **ret_node,
                             bool *ret_joined)
{
    tl_relay_profile profile;
    tl_relay_holdings *holdings;
    tl_err e = tl_relay_profile_make(r, &profile);
    if (e)
        return e;
    tl_relay_node *n = tl_relay_registry_find(g, id);
    bool joined = !n;
    if (joined && !(n = make_node(g, id))) {
        tl_relay_profile_clear(&profile);
        return TL_ERR_NOMEM;
    }
    e = tl_relay_index_add(&g->index, n, profile.keys, &g->next_sequence, &holdings);
    if (e) {
        tl_relay_profile_clear(&profile);
        if (joined)
            tl_relay_registry_remove(g, n);
        return e;
    }
    tl_relay_index_remove(&g->index, n->holdings);
    tl_relay_profile_clear(&n->profile);
    n->holdings = holdings;
    n->profile = profile;
    n->features = r->features;
    snprintf(n->wg_hex, sizeof n->wg_hex, "%s", r->wg_public ? r->wg_public : "");
    *ret_node = n;
    *ret_joined = joined;
    return TL_OK;
}

void tl_relay_registry_remove(tl_relay_registry *g, tl_relay_node *n)
{
    assert(!n->away && !n->claim);
    HASH_DELETE(hh, g->table, n);
    tl_relay_index_remove(&g->index, n->holdings);
    tl_relay_profile_clear(&n->profile);
    free(n);
}

/* --- listing --- */

/* Goes only through the nodes that have the model. If no model is asked for, only through those in
 * the network. */
typedef struct {
    const tl_relay_node *node;       /* without both filters: the next node */
    const tl_relay_holding *holding; /* with one of them: the next entry */
    const tl_relay_key *ptn;         /* a network that each node must have too; NULL: not asked
                                        for */
} walk;

static walk walk_from(const tl_relay_registry *g, const tl_signal_discover *d)
{
    walk w = {NULL};
    const tl_relay_key *model = NULL;
    if (d->model_id)
        model = tl_relay_index_find(&g->index, TL_RELAY_KEY_MODEL, d->model_id);
    if (d->ptn_id)
        w.ptn = tl_relay_index_find(&g->index, TL_RELAY_KEY_PTN, d->ptn_id);
    if ((d->model_id && !model) || (d->ptn_id && !w.ptn))
        return w;
    if (model)
        w.holding = model->holders;
    else if (w.ptn)
        w.holding = w.ptn->holders;
    else
        w.node = g->table;
    if (!model)
        w.ptn = NULL;
    return w;
}

static const tl_relay_node *walk_next(walk *w, uint64_t *ret_sequence)
{
    const tl_relay_node *n = w->node;
    if (w->holding) {
        n = w->holding->node;
        *ret_sequence = w->holding->sequence;
        w->holding = w->holding->next;
    } else if (n) {
        *ret_sequence = n->sequence;
        w->node = n->hh.next;
    }
    return n;
}

static bool fits(const tl_relay_node *n, const tl_signal_discover *d, const tl_relay_key *ptn)
{
    if (d->min_ram_gb > 0 && n->profile.ram_gb < d->min_ram_gb)
        return false;
    if (d->min_tier && (n->profile.tier == 0 || n->profile.tier > d->min_tier))
        return false;
    return !ptn || tl_relay_holdings_have(n->holdings, ptn);
}

/* Reads a cursor. It stands for a place in the list: after the node with this sequence. */
static tl_err cursor_parse(const char *cursor, uint64_t *ret_after)
{
    uint8_t bytes[CURSOR_DIGITS / 2];
    uint64_t after = 0;
    if (cursor) {
        if (tl_hex_parse(tl_slice_str(cursor), false, bytes, sizeof bytes))
            return TL_ERR_INVALID;
        for (size_t i = 0; i < sizeof bytes; i++)
            after = after << 8 | bytes[i];
    }
    *ret_after = after;
    return TL_OK;
}

static tl_err write_peer(const tl_relay_node *n, tl_relay_ptn_shape reader, double last_seen,
                         bool first, tl_buf *out)
{
    const tl_relay_profile *p = &n->profile;
    tl_signal_listed peer = {.node_id = n->hex,
                             .wg_public = n->wg_hex[0] ? n->wg_hex : NULL,
                             .display_name = p->display_name,
                             .capabilities = {p->head, p->ptns[reader], p->tail},
                             .last_seen = last_seen};
    return tl_signal_write_peer(out, first, &peer);
}

tl_err tl_relay_registry_list(const tl_relay_registry *g, const tl_relay_node *asker,
                              tl_relay_query *query, tl_buf *out)
{
    const tl_signal_discover *d = query->filter;
    const tl_relay_node *n;
    size_t before = out->len, count = 0, room = query->bytes_max - END_MAX;
    uint64_t after, at, last = 0;
    char cursor[CURSOR_DIGITS + 1] = "";
    query->passed = 0;
    tl_err e = cursor_parse(d->cursor, &after);
    if (!e)
        e = tl_signal_write_peers_begin(out);
    for (walk w = walk_from(g, d); !e && (n = walk_next(&w, &at));) {
        query->passed += w.ptn ? 1 + n->holdings->n / NAMES_A_NODE : 1; /* fits looks at each */
        if (at <= after || n == asker || !fits(n, d, w.ptn))
            continue;
        size_t end = out->len;
        if (count < d->limit)
            e = write_peer(n, asker->profile.reads, query->last_seen(query->user, n), count == 0,
                           out);
        if (count == d->limit || (count && out->len - before > room)) {
            out->len = end;
            snprintf(cursor, sizeof cursor, "%016llx", (unsigned long long)last);
            break;
        }
        last = at;
        count++;
    }
    if (!e)
        e = tl_signal_write_peers_end(out, cursor[0] ? cursor : NULL);
    if (e)
        out->len = before;
    return e;
}
