/* key.h - the two bearer keys of the local API, the owner's and that of programs that ask: keeps each in a
 * file of its own beside the identity, made at the first start. Never logs a key. */
#ifndef TL_API_KEY_H
#define TL_API_KEY_H

#include "api/api.h"

/* Reads `path`: one line, "tl-" and base64url characters, up to TL_API_KEY_MAX - 1 in all. If there
 * is no such file, makes it: 32 random bytes, mode 0600, created exclusively, synced.
 * TL_ERR_FORBIDDEN: a symbolic link, another owner, or a mode that lets other users in.
 * TL_ERR_PROTO: the file holds no key. TL_ERR_IO. */
TL_CHECK tl_err tl_api_key_load_or_create(const char *path, char ret_key[TL_API_KEY_MAX],
                                          tl_why *why);

/* In constant time for equal lengths. `given` is what the client sent. */
bool tl_api_key_is(const char *key, tl_slice given);

#endif
