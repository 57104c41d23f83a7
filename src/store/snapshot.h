/* snapshot.h - the database of one moment as bytes, for a backup. Reads it only; writes no file.
 *
 * The copy is a whole file of store/file.h without a log and without a mark. Whoever puts it back has an
 * older copy, and tl_store_open takes it as one (mark.h). What nodes keep of each other's backups is not
 * in it: a backup in a backup would double with each. */
#ifndef TL_STORE_SNAPSHOT_H
#define TL_STORE_SNAPSHOT_H

#include "store/db.h"

/* Appends the copy to `out`, who wipes it. Inside a job's work. `lean`: without the questions that came to
 * nothing, or had no price: they change no sum. TL_ERR_NOMEM, TL_ERR_IO. */
TL_CHECK tl_err tl_snapshot_take(tl_db *db, bool lean, tl_buf *out);

#endif
