#include "quic/table.h"

#include "base/table.h"
#include "quic/quiet.h"
#include "quic/version.h"

#include <stdlib.h>

/* The length, then the ID, then zeros. */
typedef struct {
    uint8_t bytes[1 + TL_QUIC_CID_MAX];
} cid_key;

struct tl_quic_cid_entry {
    cid_key key;
    tl_quic_conn *conn;
    tl_quic_tomb *tomb;
    tl_quic_cid_entry *next; /* ID of the same connection */
    tl_quic_where where;     /* path 0: not in use yet */
    UT_hash_handle hh;
};

static cid_key key_of(tl_slice cid)
{
    cid_key k = {{(uint8_t)cid.n}};
    memcpy(k.bytes + 1, cid.p, cid.n < TL_QUIC_CID_MAX ? cid.n : TL_QUIC_CID_MAX);
    return k;
}

static tl_quic_cid_entry *find(tl_quic *q, tl_slice cid)
{
    tl_quic_cid_entry *entry = q->recent;
    if (entry && entry->key.bytes[0] == cid.n && memcmp(entry->key.bytes + 1, cid.p, cid.n) == 0)
        return entry; /* most datagrams carry the same ID as the one before */
    cid_key k = key_of(cid);
    HASH_FIND(hh, q->table, &k, sizeof k, entry);
    if (entry)
        q->recent = entry;
    return entry;
}

static void entry_free(tl_quic *q, tl_quic_cid_entry *entry)
{
    if (q->recent == entry)
        q->recent = NULL;
    if (q->table)
        HASH_DEL(q->table, entry);
    free(entry);
}

tl_err tl_quic_table_add(tl_quic_conn *c, tl_slice cid)
{
    if (find(c->quic, cid))
        return TL_ERR_EXISTS;
    tl_quic_cid_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return TL_ERR_NOMEM;
    entry->key = key_of(cid);
    entry->conn = c;
    if (!TL_TABLE_ADD(hh, c->quic->table, key, sizeof entry->key, entry)) {
        free(entry);
        return TL_ERR_NOMEM;
    }
    entry->next = c->cids;
    c->cids = entry;
    return TL_OK;
}

void tl_quic_table_remove(tl_quic_conn *c, tl_slice cid)
{
    cid_key k = key_of(cid);
    for (tl_quic_cid_entry **at = &c->cids; *at; at = &(*at)->next) {
        tl_quic_cid_entry *entry = *at;
        if (memcmp(&entry->key, &k, sizeof k) == 0) {
            *at = entry->next;
            entry_free(c->quic, entry);
            return;
        }
    }
}

/* False: there were too many moves, and this one must wait until they have settled. */
static bool put_to_use(tl_quic_cid_entry *entry, tl_path_id path)
{
    tl_quic_conn *c = entry->conn;
    if (c->moves_unsettled >= TL_QUIC_MOVES_MAX)
        return false;
    c->moves_unsettled++;
    if (tl_quiet_timeouts(c) > 0)
        c->fresh++;
    entry->where = (tl_quic_where){.path = path, .use = ++c->moves, .fresh = c->fresh};
    return true;
}

bool tl_quic_table_find(tl_quic *q, tl_slice cid, tl_path_id path, tl_quic_owner *ret_owner)
{
    tl_quic_cid_entry *entry = find(q, cid);
    if (!entry)
        return false;
    *ret_owner = (tl_quic_owner){.conn = entry->conn, .tomb = entry->tomb, .where.path = path};
    if (!entry->conn)
        return true;
    if (entry->conn->client) { /* during a move, the old path counts as the new */
        ret_owner->where.path = entry->conn->path;
        return true;
    }
    if ((entry->where.path == 0 && !put_to_use(entry, path)) || entry->where.path != path)
        ret_owner->misplaced = true;
    else
        ret_owner->where = entry->where;
    return true;
}

tl_path_id tl_quic_table_path(tl_quic *q, tl_slice cid, bool *ret_client)
{
    const tl_quic_cid_entry *entry = find(q, cid);
    if (!entry || !entry->conn)
        return 0;
    *ret_client = entry->conn->client;
    return entry->conn->client ? entry->conn->path : entry->where.path;
}

tl_quic_conn *tl_quic_table_conn(tl_quic *q, tl_slice cid)
{
    const tl_quic_cid_entry *entry = find(q, cid);
    return entry ? entry->conn : NULL;
}

void tl_quic_table_bind(tl_quic_conn *c, tl_path_id path)
{
    for (tl_quic_cid_entry *entry = c->cids; entry; entry = entry->next)
        entry->where = (tl_quic_where){.path = path};
}

void tl_quic_table_remove_all(tl_quic *q, tl_quic_cid_entry **cids)
{
    while (*cids) {
        tl_quic_cid_entry *entry = *cids;
        *cids = entry->next;
        entry_free(q, entry);
    }
}

void tl_quic_table_bury(tl_quic_conn *c, tl_quic_tomb *tomb)
{
    for (tl_quic_cid_entry *entry = c->cids; entry; entry = entry->next) {
        entry->conn = NULL;
        entry->tomb = tomb;
    }
    tomb->cids = c->cids;
    c->cids = NULL;
}
