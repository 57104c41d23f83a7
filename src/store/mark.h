/* mark.h - how far this home has committed, in a small file beside the database: so an older copy of
 * the database that is put back is noticed. Reads and writes that one file; never the database.
 *
 *   "teale-mark 1 " 32 hex digits (the database's id) " " 20 digits (its commits) "\n"
 *
 * Each transaction of the store raises the number of commits in the database. The mark is written
 * after the commit, without waiting for the disk: after a power cut it may be behind, never ahead.
 *
 *   mark > database, or another id    the database was set back: refused
 *   mark <= database                  fits
 *   no mark, database has commits     a copy that its owner put back on purpose */
#ifndef TL_STORE_MARK_H
#define TL_STORE_MARK_H

#include "base/slice.h"

#define TL_MARK_ID 16 /* bytes */

typedef struct {
    uint8_t id[TL_MARK_ID];
    uint64_t commits;
} tl_mark;

typedef enum { TL_MARK_FITS, TL_MARK_MISSING, TL_MARK_SET_BACK } tl_mark_verdict;
/* `mark` NULL: there is none. */
tl_mark_verdict tl_mark_judge(const tl_mark *mark, const tl_mark *database);

/* TL_ERR_NOT_FOUND: no such file. TL_ERR_PROTO: not a mark. TL_ERR_IO. */
TL_CHECK tl_err tl_mark_read(const char *path, tl_mark *ret_mark, tl_why *why);
/* Makes the file (0600) where it is not there, all of it or nothing; writes it, and waits for the disk. The
 * caller closes the descriptor. TL_ERR_IO. */
TL_CHECK tl_err tl_mark_open(const char *path, const tl_mark *mark, int *ret_fd, tl_why *why);
/* One write, over what was there. TL_ERR_IO; errno tells. */
TL_CHECK tl_err tl_mark_write(int fd, const tl_mark *mark);

#endif
