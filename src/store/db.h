/* db.h - SQL for jobs: statements that are prepared once, typed values in, errors as tl_err. Runs on
 * the store's thread only, which it asserts; opens and commits nothing. */
#ifndef TL_STORE_DB_H
#define TL_STORE_DB_H

#include "crypto/identity.h"

#include <sqlite3.h>

typedef struct tl_db tl_db;

/* A value for a `?` of a statement. Borrows bytes and text until the job's work returns. */
typedef struct {
    enum { TL_DB_NULL, TL_DB_INT, TL_DB_TEXT, TL_DB_BYTES } kind;
    int64_t number;
    const void *p;
    size_t n;
} tl_db_value;

static inline tl_db_value tl_db_null(void)
{
    return (tl_db_value){.kind = TL_DB_NULL};
}
static inline tl_db_value tl_db_int(int64_t number)
{
    return (tl_db_value){.kind = TL_DB_INT, .number = number};
}
/* NULL becomes SQL's NULL. */
static inline tl_db_value tl_db_text(const char *text)
{
    return text ? (tl_db_value){.kind = TL_DB_TEXT, .p = text, .n = strlen(text)} : tl_db_null();
}
static inline tl_db_value tl_db_bytes(const void *p, size_t n)
{
    return p ? (tl_db_value){.kind = TL_DB_BYTES, .p = p, .n = n} : tl_db_null();
}
static inline tl_db_value tl_db_id(const tl_node_id *id)
{
    return tl_db_bytes(id->key, sizeof id->key);
}
/* The last two arguments of the calls below: TL_DB_WITH(tl_db_int(1), tl_db_text("a")). */
#define TL_DB_WITH(...)                                                                            \
    (const tl_db_value[]){__VA_ARGS__},                                                            \
        sizeof((const tl_db_value[]){__VA_ARGS__}) / sizeof(tl_db_value)
#define TL_DB_WITHOUT NULL, 0

/* `sql` is one statement, and static text: it is prepared once, and known by its address.
 *
 * Errors of all calls: TL_ERR_EXISTS: a key that must be unique is there. TL_ERR_INVALID: another
 * rule of the schema was broken. TL_ERR_NOMEM. TL_ERR_IO: the disk's or the file's fault. The words
 * reach the job's `why`. */

/* Runs a statement that returns no rows. */
TL_CHECK tl_err tl_db_run(tl_db *db, const char *sql, const tl_db_value *values, size_t n);
/* As tl_db_run; TL_ERR_NOT_FOUND where it changed no row. */
TL_CHECK tl_err tl_db_change(tl_db *db, const char *sql, const tl_db_value *values, size_t n);
/* Starts a query, and goes to its first row. TL_ERR_NOT_FOUND: there is none. The row's columns are
 * read with sqlite3_column_… or with the functions below; they stay until the next call for `sql`. */
TL_CHECK tl_err tl_db_find(tl_db *db, const char *sql, const tl_db_value *values, size_t n,
                           sqlite3_stmt **ret_row);
/* Goes to the next row. TL_ERR_NOT_FOUND: that was the last. */
TL_CHECK tl_err tl_db_next(tl_db *db, sqlite3_stmt *row);
/* A query for one number: of the first row, or `fallback` where there is no row or it is NULL. */
TL_CHECK tl_err tl_db_number(tl_db *db, const char *sql, const tl_db_value *values, size_t n,
                             int64_t fallback, int64_t *ret);

/* Copies a column of exactly `n` bytes. TL_ERR_PROTO: it is not that. */
TL_CHECK tl_err tl_db_take_bytes(sqlite3_stmt *row, int column, void *ret, size_t n);
/* Copies a text into `ret`, `size` bytes with its NUL. TL_ERR_PROTO: NULL, or it has no room. */
TL_CHECK tl_err tl_db_take_text(sqlite3_stmt *row, int column, char *ret, size_t size);
/* A copy of a text, which the caller frees; NULL for SQL's NULL. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_db_copy_text(sqlite3_stmt *row, int column, char **ret);

#endif
