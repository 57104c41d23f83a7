/* passphrase.h - a passphrase from a file or from the terminal, which does not show it. Never from an
 * argument or the environment, which other programs can see. */
#ifndef TL_CLI_PASSPHRASE_H
#define TL_CLI_PASSPHRASE_H

#include "base/slice.h"

#define TL_PASSPHRASE_MAX 1024 /* bytes */

/* Fills `ret` (wipe it with tl_passphrase_clear). `file` NULL: it is asked for on the terminal, with
 * `twice` two times, as one that is made and not only given. A file's first line counts, without its
 * end. TL_ERR_INVALID: it is empty, too long, not text, or the two differ. TL_ERR_UNREACHABLE: there
 * is no terminal. TL_ERR_CANCELLED: Ctrl-C or Ctrl-D. TL_ERR_IO and others, of the file. */
TL_CHECK tl_err tl_passphrase_get(const char *file, bool twice, char ret[TL_PASSPHRASE_MAX + 1],
                                  tl_why *why);
void tl_passphrase_clear(char text[TL_PASSPHRASE_MAX + 1]);

#endif
