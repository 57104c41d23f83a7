/* homerestore.h - the files that a restore writes: identity, database and settings of a home, all or none.
 * Knows no network. */
#ifndef TL_CLI_HOMERESTORE_H
#define TL_CLI_HOMERESTORE_H

#include "backup/payload.h"
#include "config/dirs.h"

/* Is there nothing that a restore would replace? TL_ERR_EXISTS names the file, with the remedy. */
TL_CHECK tl_err tl_homerestore_check(const tl_paths *paths, tl_why *why);
/* Writes the home; `kept` is tl_restored.kept. The database comes without its mark: the node takes it as the older copy that it is.
 * *ret_settings: the settings were written, too; there were none. TL_ERR_INVALID: the backup is of a newer
 * teale. TL_ERR_PROTO: it holds no identity or database. TL_ERR_EXISTS, TL_ERR_IO: as io/putback.h. */
TL_CHECK tl_err tl_homerestore_write(const tl_paths *paths, const tl_payload *p, tl_slice kept,
                                     tl_node_id *ret_node, bool *ret_settings, tl_why *why);
/* Did the machine die in the midst of one, so that all of it is there, but not in its place? */
bool tl_homerestore_is_unfinished(const tl_paths *paths);
/* Before a node starts, or another restore: goes on with it. *ret_done: there was one. The caller has the home's lock. */
TL_CHECK tl_err tl_homerestore_finish(const tl_paths *paths, bool *ret_done, tl_why *why);

/* The highest sequence that this home has seen for these words; 0: none. */
int64_t tl_homerestore_seen(const tl_paths *paths, const tl_node_id *recovery);
/* What cannot be written is forgotten: it is one more guard. */
void tl_homerestore_note(const tl_paths *paths, const tl_node_id *recovery, int64_t sequence);

#endif
