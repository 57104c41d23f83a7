#include "store/db.h"

#include "store/db_state.h"

#include <assert.h>
#include <stdlib.h>

tl_err tl_db_error(tl_db *db, int code)
{
    const char *words = db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code);
    int extended = db->sqlite ? sqlite3_extended_errcode(db->sqlite) : code;
    switch (code & 0xff) {
    case SQLITE_NOMEM: return tl_why_set(&db->why, TL_ERR_NOMEM, "out of memory");
    case SQLITE_CONSTRAINT:
        return tl_why_set(&db->why,
                          extended == SQLITE_CONSTRAINT_UNIQUE ||
                                  extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
                                  extended == SQLITE_CONSTRAINT_ROWID
                              ? TL_ERR_EXISTS
                              : TL_ERR_INVALID,
                          "the store refused it: %s", words);
    case SQLITE_FULL:
        return tl_why_set(&db->why, TL_ERR_IO,
                          "the disk is full: nothing was stored. Free some space on that disk");
    default:
        return tl_why_set(&db->why, TL_ERR_IO, "the store failed: %s (SQLite error %d)", words,
                          extended);
    }
}

static size_t place_of(const char *sql)
{
    return (size_t)(((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % TL_DB_STATEMENTS_MAX;
}

static tl_err prepare(tl_db *db, const char *sql, sqlite3_stmt **ret)
{
    assert(pthread_equal(pthread_self(), db->thread));
    size_t i = place_of(sql);
    while (db->kept[i].sql && db->kept[i].sql != sql)
        i = (i + 1) % TL_DB_STATEMENTS_MAX;
    if (!db->kept[i].sql) {
        assert(db->kept_n + 1 < TL_DB_STATEMENTS_MAX);
        sqlite3_stmt *made;
        const char *rest;
        int rc = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, &rest);
        if (rc)
            return tl_db_error(db, rc);
        assert(made && !*rest); /* one statement, and no more */
        db->kept[i].sql = sql;
        db->kept[i].statement = made;
        db->kept_n++;
    }
    sqlite3_reset(db->kept[i].statement);
    *ret = db->kept[i].statement;
    return TL_OK;
}

static int bind_value(sqlite3_stmt *s, int at, const tl_db_value *v)
{
    switch (v->kind) {
    case TL_DB_INT: return sqlite3_bind_int64(s, at, v->number);
    case TL_DB_TEXT: return sqlite3_bind_text64(s, at, v->p, v->n, SQLITE_STATIC, SQLITE_UTF8);
    case TL_DB_BYTES: return sqlite3_bind_blob64(s, at, v->p, v->n, SQLITE_STATIC);
    case TL_DB_NULL: break;
    }
    return sqlite3_bind_null(s, at);
}

static tl_err start(tl_db *db, const char *sql, const tl_db_value *values, size_t n,
                    sqlite3_stmt **ret)
{
    sqlite3_stmt *s = NULL;
    tl_err e = prepare(db, sql, &s);
    if (e)
        return e;
    assert((size_t)sqlite3_bind_parameter_count(s) == n);
    for (size_t i = 0; i < n; i++) {
        int rc = bind_value(s, (int)i + 1, &values[i]);
        if (rc)
            return tl_db_error(db, rc);
    }
    *ret = s;
    return TL_OK;
}

tl_err tl_db_next(tl_db *db, sqlite3_stmt *row)
{
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW)
        return TL_OK;
    tl_err e = rc == SQLITE_DONE ? TL_ERR_NOT_FOUND : tl_db_error(db, rc);
    sqlite3_reset(row);
    return e;
}

tl_err tl_db_find(tl_db *db, const char *sql, const tl_db_value *values, size_t n,
                  sqlite3_stmt **ret_row)
{
    sqlite3_stmt *s = NULL;
    tl_err e = start(db, sql, values, n, &s);
    if (!e)
        e = tl_db_next(db, s);
    if (!e)
        *ret_row = s;
    return e;
}

tl_err tl_db_run(tl_db *db, const char *sql, const tl_db_value *values, size_t n)
{
    sqlite3_stmt *row = NULL;
    tl_err e = tl_db_find(db, sql, values, n, &row);
    if (!e)
        sqlite3_reset(row);
    return e == TL_ERR_NOT_FOUND ? TL_OK : e;
}

tl_err tl_db_change(tl_db *db, const char *sql, const tl_db_value *values, size_t n)
{
    tl_err e = tl_db_run(db, sql, values, n);
    return !e && sqlite3_changes(db->sqlite) == 0 ? TL_ERR_NOT_FOUND : e;
}

tl_err tl_db_number(tl_db *db, const char *sql, const tl_db_value *values, size_t n,
                    int64_t fallback, int64_t *ret)
{
    sqlite3_stmt *row = NULL;
    int64_t number = fallback;
    tl_err e = tl_db_find(db, sql, values, n, &row);
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    if (!e) {
        if (sqlite3_column_type(row, 0) != SQLITE_NULL)
            number = sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
    }
    *ret = number;
    return TL_OK;
}

tl_err tl_db_take_bytes(sqlite3_stmt *row, int column, void *ret, size_t n)
{
    const void *p = sqlite3_column_blob(row, column);
    if (!p || (size_t)sqlite3_column_bytes(row, column) != n)
        return TL_ERR_PROTO;
    memcpy(ret, p, n);
    return TL_OK;
}

tl_err tl_db_take_text(sqlite3_stmt *row, int column, char *ret, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t n = (size_t)sqlite3_column_bytes(row, column);
    if (!text || n >= size)
        return TL_ERR_PROTO;
    memcpy(ret, text, n);
    ret[n] = 0;
    return TL_OK;
}

tl_err tl_db_copy_text(sqlite3_stmt *row, int column, char **ret)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    char *copy = NULL;
    if (text && !(copy = strdup((const char *)text)))
        return TL_ERR_NOMEM;
    *ret = copy;
    return TL_OK;
}

void tl_db_reset_all(tl_db *db)
{
    for (size_t i = 0; i < TL_DB_STATEMENTS_MAX; i++) {
        if (!db->kept[i].sql)
            continue;
        sqlite3_reset(db->kept[i].statement);
        sqlite3_clear_bindings(db->kept[i].statement);
    }
}

void tl_db_finalize_all(tl_db *db)
{
    for (size_t i = 0; i < TL_DB_STATEMENTS_MAX; i++)
        if (db->kept[i].sql)
            sqlite3_finalize(db->kept[i].statement);
    memset(db->kept, 0, sizeof db->kept);
    db->kept_n = 0;
}
