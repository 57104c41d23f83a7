/* file.h - the database file: made, checked, opened, brought to the newest version; or refused and
 * left as it is. Only the store's thread calls it, and no job runs here.
 *
 * PATH (teale.db), PATH-wal beside it while it is open and after a crash, PATH.mark (mark.h), and
 * PATH.new while it is made: a file named PATH is always whole. All have mode 0600.
 *
 * The connection holds the file alone (locking_mode = EXCLUSIVE): a second process is refused. What
 * was in the middle of a transaction when its process died is taken back first, as SQLite does it. */
#ifndef TL_STORE_FILE_H
#define TL_STORE_FILE_H

#include "store/mark.h"

#include <sqlite3.h>

typedef struct {
    sqlite3 *sqlite;
    /* The file without its log; NULL: there was no log. It stays open until `sqlite` is closed: to close a
     * descriptor of the file would end this process's locks on it (POSIX). */
    sqlite3 *bare;
    tl_mark mark; /* what the database says of itself */
    int mark_fd;
    bool created;
    bool restored; /* it came without its mark */
} tl_store_file;

typedef struct {
    const char *path;
    const char *const *steps;
    size_t steps_n;
    int busy_ms;
    long long full_check_max;
} tl_store_place;

/* The errors of tl_store_open. */
TL_CHECK tl_err tl_store_file_open(const tl_store_place *place, tl_store_file *ret_file,
                                   tl_why *why);
/* Writes the log back into the file, waits for the disk. */
void tl_store_file_close(tl_store_file *f);

#endif
