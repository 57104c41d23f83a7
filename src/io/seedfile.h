/* seedfile.h - the file that keeps a node's private key: `wan-identity.key`, the raw 32-byte seed
 * (RFC 8032), mode 0600. Never prints a key, and never changes an existing one. */
#ifndef TL_IO_SEEDFILE_H
#define TL_IO_SEEDFILE_H

#include "crypto/identity.h"

#define TL_SEED_SIZE 32 /* RFC 8032 */

/* Reads the key at `path`. It refuses a symbolic link, anything but a regular file, another owner
 * than the effective user, any permission for group or others, and any size but 32 bytes; `why`
 * tells what is wrong and the remedy. TL_ERR_NOT_FOUND: no such file. TL_ERR_FORBIDDEN: wrong kind,
 * owner or mode. TL_ERR_PROTO: wrong size. TL_ERR_IO. */
TL_CHECK tl_err tl_seedfile_load(const char *path, tl_identity *ret_identity, tl_why *why);

/* Makes the file with this seed, and its directory too, with mode 0700. The file appears under its name
 * whole and synced, or not at all, and never replaces another file. TL_ERR_EXISTS: there is one.
 * TL_ERR_INVALID: no name for a file. TL_ERR_IO. */
TL_CHECK tl_err tl_seedfile_write(const char *path, tl_rand *rand, const uint8_t seed[TL_SEED_SIZE],
                                  tl_why *why);

/* Reads the key. If there is none, makes it (*ret_created), as tl_seedfile_write does. If several
 * processes start at once, one makes the key and all return it. Errors as above. */
TL_CHECK tl_err tl_seedfile_load_or_create(const char *path, tl_rand *rand,
                                           tl_identity *ret_identity, bool *ret_created,
                                           tl_why *why);

#endif
