/* networks_read.c - the rows of networks.h, read at start. */
#include "store/networks_state.h"

#include <stdlib.h>

typedef struct {
    tl_store_job job;
    const tl_store_visitor *v;
} each_job;

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static tl_err take_id(sqlite3_stmt *row, int column, tl_node_id *ret)
{
    return tl_db_take_bytes(row, column, ret->key, sizeof ret->key);
}

static tl_err visit_network(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_network_row r = {.certificate = text_of(row, 2),
                        .api_key = text_of(row, 4),
                        .has_left = sqlite3_column_int64(row, 5) != 0,
                        .at = sqlite3_column_int64(row, 6)};
    uint8_t seed[32];
    tl_err e = take_id(row, 0, &r.network);
    if (!e)
        e = tl_db_take_text(row, 1, r.name, sizeof r.name);
    if (!e && sqlite3_column_type(row, 3) != SQLITE_NULL) {
        e = tl_db_take_bytes(row, 3, seed, sizeof seed);
        r.ca_seed = seed;
    }
    if (!e)
        e = v->network(v->user, &r);
    memset(seed, 0, sizeof seed);
    return e;
}

static tl_err visit_old_name(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_old_name_row r = {.name = text_of(row, 1)};
    tl_err e = take_id(row, 0, &r.network);
    return e || !r.name ? TL_ERR_PROTO : v->old_name(v->user, &r);
}

static tl_err visit_objects(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_objects_row r = {.objects = text_of(row, 2)};
    const char *kind = text_of(row, 1);
    tl_err e = take_id(row, 0, &r.network);
    if (e || !kind || !r.objects)
        return TL_ERR_PROTO;
    while (r.kind < TL_OBJECT_KINDS && strcmp(kind, tl_object_kind_name(r.kind)) != 0)
        r.kind++;
    return r.kind < TL_OBJECT_KINDS ? v->objects(v->user, &r) : TL_ERR_PROTO;
}

static tl_err visit_member(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_member_row r = {.certificate = text_of(row, 2),
                       .name = text_of(row, 3),
                       .last_seen = sqlite3_column_int64(row, 4)};
    tl_err e = take_id(row, 0, &r.network);
    if (!e)
        e = take_id(row, 1, &r.node);
    return e || !r.certificate || !r.name ? TL_ERR_PROTO : v->member(v->user, &r);
}

static tl_err visit_departed(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_departed_row r = {.issued_at = sqlite3_column_int64(row, 2)};
    tl_err e = take_id(row, 0, &r.network);
    if (!e)
        e = take_id(row, 1, &r.node);
    return e ? e : v->departed(v->user, &r);
}

static tl_err visit_join(const tl_store_visitor *v, sqlite3_stmt *row)
{
    tl_join_row r = {
        .invite = text_of(row, 1), .name = text_of(row, 2), .at = sqlite3_column_int64(row, 3)};
    tl_err e = take_id(row, 0, &r.network);
    return e || !r.invite || !r.name ? TL_ERR_PROTO : v->join(v->user, &r);
}

static tl_err visit_all(const tl_store_visitor *v, tl_db *db, const char *sql,
                        tl_err (*visit)(const tl_store_visitor *, sqlite3_stmt *))
{
    sqlite3_stmt *row = NULL;
    tl_err e = tl_db_find(db, sql, TL_DB_WITHOUT, &row);
    while (!e) {
        e = visit(v, row);
        if (e)
            return e;
        e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err each(tl_store_job *j, tl_db *db)
{
    const tl_store_visitor *v = ((each_job *)j)->v;
    tl_err e = TL_OK;
    if (v->network)
        e = visit_all(v, db,
                      "SELECT network, name, certificate, ca_seed, api_key, has_left, at "
                      "FROM networks ORDER BY at, network",
                      visit_network);
    if (!e && v->old_name)
        e = visit_all(v, db, "SELECT network, name FROM old_names ORDER BY id", visit_old_name);
    if (!e && v->objects)
        e = visit_all(v, db, "SELECT network, kind, objects FROM objects", visit_objects);
    if (!e && v->member)
        e = visit_all(v, db,
                      "SELECT network, node, certificate, name, last_seen FROM members "
                      "ORDER BY last_seen, node",
                      visit_member);
    if (!e && v->departed)
        e = visit_all(v, db, "SELECT network, node, issued_at FROM departed ORDER BY at, node",
                      visit_departed);
    if (!e && v->join)
        e = visit_all(v, db, "SELECT network, invite, name, at FROM joins", visit_join);
    return e;
}

tl_err tl_store_each(tl_store *s, const tl_store_visitor *visitor, tl_why *why)
{
    each_job j = {.job.work = each, .v = visitor};
    tl_err e = tl_store_do(s, &j.job);
    if (e)
        tl_why_set(why, e, "%s", j.job.why.text[0] ? j.job.why.text : tl_err_name(e));
    return e;
}

/* --- the members of one network --- */

typedef struct {
    tl_store_job job;
    tl_store_members on_done;
    void *user;
    tl_node_id network;
    size_t n;
    tl_member_seen *rows;
} members_job;

static void told_members(tl_store_job *j, tl_err e)
{
    members_job *m = (members_job *)j;
    m->on_done(m->user, e, m->rows, m->n);
    for (size_t i = 0; i < m->n; i++)
        free(m->rows[i].certificate);
    free(m->rows);
    free(m);
}

static tl_err read_members(members_job *m, tl_db *db, size_t count)
{
    sqlite3_stmt *row = NULL;
    tl_err e = tl_db_find(
        db,
        "SELECT node, name, last_seen, certificate FROM members WHERE network = ? ORDER BY node",
        TL_DB_WITH(tl_db_id(&m->network)), &row);
    while (!e && m->n < count) {
        tl_member_seen *r = &m->rows[m->n++];
        r->last_seen = sqlite3_column_int64(row, 2);
        e = take_id(row, 0, &r->node);
        if (!e)
            e = tl_db_take_text(row, 1, r->name, sizeof r->name);
        if (!e)
            e = tl_db_copy_text(row, 3, &r->certificate);
        if (!e)
            e = tl_db_next(db, row);
    }
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

static tl_err list_members(tl_store_job *j, tl_db *db)
{
    members_job *m = (members_job *)j;
    int64_t count;
    tl_err e = tl_db_number(db, "SELECT count(*) FROM members WHERE network = ?",
                            TL_DB_WITH(tl_db_id(&m->network)), 0, &count);
    if (e)
        return e;
    m->rows = calloc((size_t)count + 1, sizeof *m->rows);
    return m->rows ? read_members(m, db, (size_t)count) : TL_ERR_NOMEM;
}

tl_err tl_store_list_members(tl_store *s, const tl_node_id *network, tl_store_members on_done,
                             void *user)
{
    members_job *m = calloc(1, sizeof *m);
    if (!m)
        return TL_ERR_NOMEM;
    m->job = (tl_store_job){.work = list_members, .done = told_members};
    m->network = *network;
    m->on_done = on_done;
    m->user = user;
    tl_store_submit(s, &m->job);
    return TL_OK;
}
