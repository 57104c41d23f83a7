/* migrations.h - the versions of the database, as the SQL that leads from each to the next. Text
 * only; runs nothing.
 *
 * A database of version N has had the first N steps (`PRAGMA user_version`). A step that was
 * released never changes: what it got wrong, a later step puts right. */
#ifndef TL_STORE_MIGRATIONS_H
#define TL_STORE_MIGRATIONS_H

#include <stddef.h>

#define TL_STORE_APPLICATION 0x7465616c /* "teal": PRAGMA application_id of our files */

extern const char *const tl_store_steps[];
extern const size_t tl_store_steps_n;

/* For a copy that its owner put back without its mark: takes back what may have been used since the
 * copy was made. Of the newest version. */
extern const char tl_store_restored_sql[];

#endif
