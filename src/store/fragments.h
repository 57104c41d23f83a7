/* fragments.h - what the store keeps of backups: fragments that this node holds for others, and the blob and
 * the places of its own backup. Rows in the database; the bytes lie in files in a folder beside it, and the
 * store's thread writes and reads them. Keeps and gives back what it is handed; judges nothing.
 *
 * A file is there before its row, and longer. So a row without its file is one that the disk has lost, and a
 * file without its row is of a process that was killed: tl_store_load_fragments removes those.
 *
 *   FOLDER/OWNER-ID     a fragment, both in hex           FOLDER/own-ID   the blob of our own backup */
#ifndef TL_STORE_FRAGMENTS_H
#define TL_STORE_FRAGMENTS_H

#include "base/slice.h"
#include "base/time.h"
#include "store/store.h"

#define TL_STORE_FRAGMENT_ID 32
#define TL_STORE_PLACES_MAX  16
#define TL_STORE_OLD_MAX     64
#define TL_STORE_POINTER_MAX 1400
#define TL_STORE_CONTENT_MAX (8u << 20)

/* --- what this node holds for others --- */

typedef struct {
    tl_node_id owner, recovery;
    uint8_t id[TL_STORE_FRAGMENT_ID];
    uint32_t size;
    tl_unix placed_at;
    bool stranger; /* the owner was one then */
} tl_fragment_row;

/* One piece of work with a fragment's bytes, in the caller's memory until `done`, which comes by
 * tl_store_collect. */
typedef struct tl_fragment_job tl_fragment_job;
struct tl_fragment_job {
    tl_store_job job; /* first; `work` and the rest are filled in by the calls below */
    void (*done)(tl_fragment_job *j, tl_err e);
    tl_fragment_row row;
    tl_buf content; /* put: to write; get: what was read is appended */
    char folder[1024];
};

/* `content` is on the disk, with its row, in place of one with the same owner and ID. TL_ERR_IO. */
void tl_store_put_fragment(tl_store *s, tl_fragment_job *j);
/* TL_ERR_NOT_FOUND: there is no such file. TL_ERR_IO, TL_ERR_NOMEM. */
void tl_store_get_fragment(tl_store *s, tl_fragment_job *j);
/* Row and file go. Nobody waits for it. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_store_drop_fragment(tl_store *s, const char *folder, const tl_node_id *owner,
                                       const uint8_t id[TL_STORE_FRAGMENT_ID]);
/* The owner was heard of at this time, by whatever clock the caller counts. As tl_store_drop_fragment. */
TL_CHECK tl_err tl_store_put_fragment_owner(tl_store *s, const tl_node_id *owner, tl_unix heard_at);
/* Its pointer, in place of the one before; empty: it has none any more. The owner is there. */
TL_CHECK tl_err tl_store_put_fragment_pointer(tl_store *s, const tl_node_id *owner, tl_slice item);
/* With its pointer. Its fragments are gone by then. */
TL_CHECK tl_err tl_store_drop_fragment_owner(tl_store *s, const tl_node_id *owner);

/* --- this node's own backup --- */

typedef struct {
    uint8_t id[TL_STORE_FRAGMENT_ID]; /* of old ones; that of a place follows from the blob */
    bool held;
    tl_node_id holder;
    tl_unix placed_at, proven_at, expires_at;
} tl_backup_place_row;

typedef struct {
    bool any;
    uint8_t blob[TL_STORE_FRAGMENT_ID];
    tl_unix made_at;
    uint8_t k, n;
    bool strangers;
    tl_node_id recovery;
    tl_unix before_since, before_at; /* the copy that the pointer names still; 0: there is none */
    int before_lose;
    tl_backup_place_row place[TL_STORE_PLACES_MAX]; /* n */
    size_t old_n;
    tl_backup_place_row old[TL_STORE_OLD_MAX]; /* id and holder */
} tl_backup_row;

/* All of it, in place of what was kept before; with the blob where it is another one. Copies. Nobody waits
 * for it: what a crash takes is made anew. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_store_put_backup(tl_store *s, const char *folder, const tl_backup_row *row,
                                    const tl_slice *blob);

/* --- at the start: called on the store's thread, while the caller waits --- */

typedef struct {
    void (*on_owner)(void *user, const tl_node_id *owner, tl_unix heard_at, tl_slice pointer);
    void (*on_fragment)(void *user, const tl_fragment_row *row);
    /* `blob` is empty where its file is lost. Not called where there is no backup, and nothing old. */
    void (*on_backup)(void *user, const tl_backup_row *row, tl_slice blob);
} tl_fragments_loaded;
/* Owners first. Makes the folder. TL_ERR_PROTO: a row that no version of this program wrote. TL_ERR_IO. */
TL_CHECK tl_err tl_store_load_fragments(tl_store *s, const char *folder,
                                        const tl_fragments_loaded *calls, void *user);

#endif
