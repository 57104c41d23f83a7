/* wal.h - counts the transactions in SQLite's write-ahead log (https://sqlite.org/walformat.html), so
 * that a log which belongs to another copy of the database is noticed. Reads the log's file only.
 *
 *   header, 32 bytes  magic  version  page size  sequence  salt 1  salt 2  checksum (2)
 *   frame, 24 bytes   page   size of the database after a commit, else 0   salts (2)  checksum (2)
 *     and the page    ...
 *
 * All numbers are 32 bits, big-endian. A frame counts while its salts are the header's and its
 * checksum, which goes on from the frame before, is right. */
#ifndef TL_STORE_WAL_H
#define TL_STORE_WAL_H

#include "base/slice.h"

/* Whole transactions in the log at `path`; 0 where there is no log, or nothing in it counts.
 * TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_wal_commits(const char *path, uint64_t *ret_commits);

/* May a database whose own pages say `base` commits have this log, by which it says `total`? Each
 * transaction of ours raises that number by one. It is false where transactions are missing between
 * the file and the log: an older copy was put beside the log of a newer file. */
bool tl_wal_fits(uint64_t base, uint64_t in_log, uint64_t total);

#endif
