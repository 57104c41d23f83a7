#include "relay/registry.h"

#include "wire/signalwrite.h"

#include <stdio.h>
#include <stdlib.h>

#define CURSOR_DIGITS 16

tl_relay_node *tl_relay_registry_find(const tl_relay_registry *g, const tl_node_id *id)
{
    tl_relay_node *n;
    HASH_FIND(hh, g->table, id->key, sizeof id->key, n);
    return n;
}

tl_relay_node *tl_relay_registry_find_hex(const tl_relay_registry *g, tl_slice hex)
{
    tl_node_id id; /* a key of the table was checked when it registered; this one need not be */
    if (tl_hex_parse(hex, false, id.key, sizeof id.key))
        return NULL;
    return tl_relay_registry_find(g, &id);
}

static tl_err append_list(tl_buf *b, const json_t *list)
{
    const json_t *item;
    size_t i;
    tl_err e = TL_OK;
    json_array_foreach (list, i, item) {
        const char *s = json_string_value(item);
        if (!e && s && *s) /* an empty name would end the list */
            e = tl_buf_append(b, tl_slice_of(s, strlen(s) + 1));
    }
    return e;
}

static tl_err make_text(const tl_signal_register *r, char **ret_text)
{
    static const char nul[1];
    tl_buf b = {0};
    const json_t *c = r->capabilities_object;
    tl_err e = tl_buf_append(&b, tl_slice_of(r->display_name, strlen(r->display_name) + 1));
    if (!e)
        e = tl_buf_append(&b, r->capabilities);
    if (!e)
        e = tl_buf_append(&b, tl_slice_of(nul, 1));
    if (!e)
        e = append_list(&b, json_object_get(c, "loadedModels"));
    if (!e)
        e = append_list(&b, json_object_get(c, "swappableModels"));
    if (!e)
        e = tl_buf_append(&b, tl_slice_of(nul, 1));
    if (!e)
        e = append_list(&b, json_object_get(c, "ptnIDs"));
    if (!e)
        e = tl_buf_append(&b, tl_slice_of(nul, 1));
    char *text =
        e ? NULL : realloc(b.data, b.len); /* exactly what it needs, for as long as it stays */
    if (!text) {
        tl_buf_clear(&b);
        return TL_ERR_NOMEM;
    }
    *ret_text = text;
    return TL_OK;
}

static void describe(tl_relay_node *n, const tl_signal_register *r, char *text)
{
    const json_t *hardware = json_object_get(r->capabilities_object, "hardware");
    double tier = tl_json_number(hardware, "tier", 0);
    free(n->text);
    n->text = text;
    n->text_n = (uint32_t)r->capabilities.n;
    n->quiet = r->quiet;
    n->tier = (uint8_t)tier; /* 1 to 255, or 0 for none: read_register saw to it */
    n->ram_gb = (float)tl_json_number(hardware, "totalRAMGB", 0);
    snprintf(n->wg_hex, sizeof n->wg_hex, "%s", r->wg_public ? r->wg_public : "");
}

tl_err tl_relay_registry_put(tl_relay_registry *g, const tl_node_id *id,
                             const tl_signal_register *r, tl_relay_node **ret_node,
                             bool *ret_joined)
{
    char *text;
    tl_err e = make_text(r, &text);
    if (e)
        return e;
    tl_relay_node *n = tl_relay_registry_find(g, id);
    *ret_joined = !n;
    if (!n) {
        n = calloc(1, sizeof *n);
        if (n)
            n->id = *id;
        if (!n || !TL_TABLE_ADD(hh, g->table, id.key, sizeof n->id.key, n)) {
            free(n);
            free(text);
            return TL_ERR_NOMEM;
        }
        tl_node_id_write(n->hex, id);
        n->sequence = ++g->next_sequence;
    }
    describe(n, r, text);
    *ret_node = n;
    return TL_OK;
}

void tl_relay_registry_remove(tl_relay_registry *g, tl_relay_node *n)
{
    HASH_DELETE(hh, g->table, n);
    free(n->text);
    free(n);
}

static bool list_has(const char *list, const char *wanted)
{
    for (; *list; list += strlen(list) + 1)
        if (strcmp(list, wanted) == 0)
            return true;
    return false;
}

static const char *list_end(const char *list)
{
    while (*list)
        list += strlen(list) + 1;
    return list + 1;
}

static const char *capabilities_of(const tl_relay_node *n)
{
    return n->text + strlen(n->text) + 1;
}

static bool fits(const tl_relay_node *n, const tl_signal_discover *d)
{
    const char *models = capabilities_of(n) + n->text_n + 1;
    if (d->min_ram_gb > 0 && n->ram_gb < d->min_ram_gb)
        return false;
    if (d->min_tier && (n->tier == 0 || n->tier > d->min_tier))
        return false;
    if (d->model_id && !list_has(models, d->model_id))
        return false;
    return !d->ptn_id || list_has(list_end(models), d->ptn_id);
}

/* The place in the list that a cursor stands for: after the node of that sequence. */
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

tl_err tl_relay_registry_list(const tl_relay_registry *g, const tl_relay_node *asker,
                              const tl_signal_discover *d,
                              double (*last_seen)(const void *user, const tl_relay_node *n),
                              const void *user, tl_buf *out)
{
    size_t before = out->len, count = 0;
    uint64_t after, last = 0;
    char cursor[CURSOR_DIGITS + 1] = "";
    tl_err e = cursor_parse(d->cursor, &after);
    if (!e)
        e = tl_signal_write_peers_begin(out);
    for (const tl_relay_node *n = g->table; !e && n; n = n->hh.next) {
        if (n->sequence <= after || n == asker || !fits(n, d))
            continue;
        if (count == d->limit || out->len - before > TL_RELAY_PAGE_BYTES_MAX) {
            snprintf(cursor, sizeof cursor, "%016llx", (unsigned long long)last);
            break;
        }
        tl_signal_listed peer = {.node_id = n->hex,
                                 .wg_public = n->wg_hex[0] ? n->wg_hex : NULL,
                                 .display_name = tl_relay_node_name(n),
                                 .capabilities = tl_slice_of(capabilities_of(n), n->text_n),
                                 .last_seen = last_seen(user, n)};
        e = tl_signal_write_peer(out, count == 0, &peer);
        last = n->sequence;
        count++;
    }
    if (!e)
        e = tl_signal_write_peers_end(out, cursor[0] ? cursor : NULL);
    if (e)
        out->len = before;
    return e;
}
