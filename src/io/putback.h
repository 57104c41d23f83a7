/* putback.h - puts several files of one home in place at once: all, or none, also where the machine dies
 * in between. Never replaces a file.
 *
 *   DIR.new/0 1 2 ...   being written, and synced
 *   DIR/0 1 2 ...       whole: from this rename on all of them will be in place
 *                       each is moved to its name, then DIR is removed
 *
 * Who finds DIR at its next start calls tl_putback_finish. */
#ifndef TL_IO_PUTBACK_H
#define TL_IO_PUTBACK_H

#include "base/slice.h"

typedef struct {
    const char *path; /* where it belongs; in a directory that is there */
    tl_slice bytes;
    bool spare;  /* where a file of that name is there, it stays, and this one is dropped */
    bool absent; /* tl_putback_write: there is nothing for this name, which is a spare one */
} tl_putback;

#define TL_PUTBACK_MAX 8

/* Writes them (mode 0600), and moves them to their names in their order. TL_ERR_EXISTS: a file of one of
 * the names is there, and nothing was changed. TL_ERR_IO: nothing was changed, or all is in DIR, and
 * tl_putback_finish goes on. The caller lets no other process do the same (cli/lock.h). */
TL_CHECK tl_err tl_putback_write(const char *dir, const tl_putback *files, size_t n, tl_why *why);
/* Moves what is in DIR to its names; `bytes` of the files is not looked at, and they must be those of the
 * call that wrote it. Removes what an attempt left that did not come so far. *ret_done: there was
 * something to move. TL_ERR_EXISTS, TL_ERR_IO: something is still in DIR. TL_ERR_NOT_FOUND: too, and a file that was
 * moved before is no more where it belongs, so that the others have no use without it. */
TL_CHECK tl_err tl_putback_finish(const char *dir, const tl_putback *files, size_t n,
                                  bool *ret_done, tl_why *why);

#endif
