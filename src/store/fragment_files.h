/* fragment_files.h - the files of store/fragments.h: written whole or not at all, read, removed. Knows no
 * rows. Only the store's thread calls it, but for tl_fragment_path. */
#ifndef TL_STORE_FRAGMENT_FILES_H
#define TL_STORE_FRAGMENT_FILES_H

#include "base/slice.h"
#include "crypto/identity.h"

#define TL_FRAGMENT_NAME_MAX 136 /* two times 64 digits, '-' and NUL */

/* `owner` NULL: the blob of our own backup. */
void tl_fragment_name(char ret_name[TL_FRAGMENT_NAME_MAX], const tl_node_id *owner,
                      const uint8_t id[32]);
/* Makes the folder, for this user alone, where it is not there. TL_ERR_IO. */
TL_CHECK tl_err tl_fragment_folder(const char *folder);
/* Whole, and on the disk; in place of one of that name. TL_ERR_IO. */
TL_CHECK tl_err tl_fragment_write(const char *folder, const char *name, tl_slice bytes);
/* Appends up to `max` bytes. TL_ERR_NOT_FOUND: there is none. TL_ERR_TOO_LARGE, TL_ERR_IO, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_read(const char *folder, const char *name, size_t max, tl_buf *out);
/* It does not matter whether it is there. */
void tl_fragment_remove(const char *folder, const char *name);
/* Removes every file for which `keeps` is false. */
void tl_fragment_sweep(const char *folder, bool (*keeps)(void *user, const char *name), void *user);

#endif
