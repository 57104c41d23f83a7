#include "ptn/revocations.h"

#include "ptn/state.h"

#include <stdlib.h>
#include <string.h>

void tl_revocations_clear(tl_revocations *r)
{
    free(r->entries);
    *r = (tl_revocations){0};
}

const tl_revocation *tl_revocations_find(const tl_revocations *r, const tl_node_id *node)
{
    for (size_t i = 0; i < r->n; i++) {
        if (tl_node_id_eq(&r->entries[i].node, node))
            return &r->entries[i];
    }
    return NULL;
}

static int by_node(const void *a, const void *b)
{
    return tl_node_id_cmp(&((const tl_revocation *)a)->node, &((const tl_revocation *)b)->node);
}

/* Sorts; so that one look at neighbours finds a node that is there twice. */
static bool each_once(tl_revocation *entries, size_t n)
{
    if (n)
        qsort(entries, n, sizeof *entries, by_node);
    for (size_t i = 1; i < n; i++) {
        if (by_node(&entries[i - 1], &entries[i]) == 0)
            return false;
    }
    return true;
}

static json_t *entry_new(const tl_revocation *r)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &r->node);
    return json_pack("{s:s, s:I}", "nodeID", hex, "revokedAt", (json_int_t)r->at);
}

static json_t *entries_new(const tl_revocation *sorted, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++) {
        array = tl_json_append(array, entry_new(&sorted[i]));
    }
    return array;
}

tl_err tl_revocations_make(const tl_revocations *list, const tl_identity *key, const json_t *chain,
                           json_t **ret_list)
{
    if (list->n > TL_REVOCATIONS_MAX || list->sequence < 1 || list->sequence > TL_PTN_TIME_MAX ||
        list->issued_at < 0 || list->issued_at > TL_PTN_TIME_MAX)
        return TL_ERR_INVALID;
    tl_revocation *sorted = calloc(list->n + 1, sizeof *sorted);
    if (!sorted)
        return TL_ERR_NOMEM;
    if (list->n)
        memcpy(sorted, list->entries, list->n * sizeof *sorted);
    tl_err e = each_once(sorted, list->n) ? TL_OK : TL_ERR_INVALID;
    json_t *object =
        e ? NULL
          : json_pack("{s:I, s:I, s:o*}", "sequence", (json_int_t)list->sequence, "issuedAt",
                      (json_int_t)list->issued_at, "entries", entries_new(sorted, list->n));
    free(sorted);
    if (!e && (!object || json_object_size(object) != 3))
        e = TL_ERR_NOMEM;
    if (!e)
        e = tl_signer_author(object, &list->network, &list->issuer, key, TL_SIGN_REVOCATION, chain);
    if (e) {
        json_decref(object);
        return e;
    }
    *ret_list = object;
    return TL_OK;
}

static bool read_entries(const json_t *array, tl_revocations *list)
{
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n > TL_REVOCATIONS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        tl_fields f = tl_fields_of(json_array_get(array, i));
        tl_field_signed_id(&f, "nodeID", &list->entries[i].node);
        tl_field_count(&f, "revokedAt", &list->entries[i].at);
        if (!tl_fields_end(&f))
            return false;
    }
    list->n = n;
    return true;
}

static tl_ptn_verdict read_list(const json_t *value, tl_revocations *list)
{
    tl_fields f = tl_fields_of(value);
    const json_t *entries = NULL;
    tl_signer signer = {0};
    tl_signer_take(&f, &signer);
    tl_field_count(&f, "sequence", &list->sequence);
    tl_field_count(&f, "issuedAt", &list->issued_at);
    tl_field_any(&f, "entries", &entries);
    if (!tl_fields_end(&f) || list->sequence < 1 ||
        (signer.chain && list->sequence > TL_PTN_ADMIN_NUMBER_MAX))
        return TL_PTN_MALFORMED;
    list->entries = calloc(json_array_size(entries) + 1, sizeof *list->entries);
    if (!list->entries)
        return TL_PTN_NO_MEMORY;
    if (!read_entries(entries, list))
        return TL_PTN_MALFORMED;
    tl_cert admin;
    tl_ptn_verdict v = tl_signer_check_object(&signer, TL_SIGN_REVOCATION, value, &admin);
    if (v)
        return v;
    if (!each_once(list->entries, list->n))
        return TL_PTN_MALFORMED;
    list->network = signer.network;
    list->issuer = signer.issuer;
    list->delegated = signer.chain != NULL;
    list->issuer_expires_at = list->delegated ? admin.expires_at : TL_PTN_NO_END;
    return TL_PTN_OK;
}

tl_ptn_verdict tl_revocations_read(const json_t *value, tl_revocations *ret_list)
{
    tl_revocations list = {0};
    tl_ptn_verdict v = read_list(value, &list);
    if (v)
        tl_revocations_clear(&list);
    else
        *ret_list = list;
    return v;
}
