/* db_state.h - what db.c and store.c share: the connection, its prepared statements, its words. Only
 * this room includes it. */
#ifndef TL_STORE_DB_STATE_H
#define TL_STORE_DB_STATE_H

#include "store/db.h"

#include <pthread.h>

#define TL_DB_STATEMENTS_MAX 256 /* all that this program has; a power of two */

struct tl_db {
    sqlite3 *sqlite;
    pthread_t thread; /* the one that may use it */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } kept[TL_DB_STATEMENTS_MAX]; /* hashed by the address of `sql` */
    size_t kept_n;
    tl_why why; /* of the last error */
};

/* Takes SQLite's code for what just failed, and sets db->why. */
TL_CHECK tl_err tl_db_error(tl_db *db, int code);
/* Statements are done with their rows; their values are forgotten. */
void tl_db_reset_all(tl_db *db);
void tl_db_finalize_all(tl_db *db);

#endif
