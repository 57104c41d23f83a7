#include "relay/index.h"

#include "relay/profile.h"

#include <stdlib.h>
#include <utlist.h>

static tl_relay_key *find(const tl_relay_index *x, const char *text)
{
    tl_relay_key *k;
    HASH_FIND(hh, x->table, text, strlen(text), k);
    return k;
}

static tl_relay_key *make(tl_relay_index *x, const char *text)
{
    size_t n = strlen(text);
    tl_relay_key *k = malloc(sizeof *k + n + 1);
    if (!k)
        return NULL;
    k->holders = NULL;
    memcpy(k->text, text, n + 1);
    if (!TL_TABLE_ADD_KEYPTR(hh, x->table, k->text, n, k)) {
        free(k);
        return NULL;
    }
    return k;
}

static size_t count(const char *keys)
{
    size_t n = 0;
    for (; *keys; keys += strlen(keys) + 1)
        n++;
    return n;
}

tl_err tl_relay_index_add(tl_relay_index *x, tl_relay_node *node, const char *keys,
                          uint64_t *sequence, tl_relay_holdings **ret_holdings)
{
    size_t n = count(keys);
    uint64_t before = *sequence;
    tl_relay_holdings *set = calloc(1, sizeof *set + n * sizeof *set->item);
    if (!set)
        return TL_ERR_NOMEM;
    set->n = n;
    set->memory = sizeof *set + n * sizeof *set->item;
    for (size_t i = 0; i < n; i++, keys += strlen(keys) + 1) {
        tl_relay_holding *h = &set->item[i];
        tl_relay_key *k = find(x, keys);
        if (k && k->holders->prev->sequence > before)
            continue; /* the node gave this name twice */
        if (!k && !(k = make(x, keys))) {
            tl_relay_index_remove(x, set);
            return TL_ERR_NOMEM;
        }
        *h = (tl_relay_holding){.key = k, .node = node, .sequence = ++*sequence};
        DL_APPEND(k->holders, h);
        set->memory += sizeof *k + strlen(keys) + 1;
    }
    *ret_holdings = set;
    return TL_OK;
}

void tl_relay_index_remove(tl_relay_index *x, tl_relay_holdings *holdings)
{
    for (size_t i = 0; holdings && i < holdings->n; i++) {
        tl_relay_holding *h = &holdings->item[i];
        if (!h->key)
            continue;
        DL_DELETE(h->key->holders, h);
        if (!h->key->holders) {
            HASH_DELETE(hh, x->table, h->key);
            free(h->key);
        }
    }
    free(holdings);
}

const tl_relay_key *tl_relay_index_find(const tl_relay_index *x, char kind, const char *name)
{
    char text[TL_RELAY_NAME_MAX + 2];
    size_t n = strlen(name);
    if (n > TL_RELAY_NAME_MAX)
        return NULL;
    text[0] = kind;
    memcpy(text + 1, name, n + 1);
    return find(x, text);
}

bool tl_relay_holdings_have(const tl_relay_holdings *h, const tl_relay_key *key)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->item[i].key == key)
            return true;
    return false;
}
