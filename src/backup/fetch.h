/* fetch.h - gets a blob back from the nodes of its map: asks for k fragments at once, for others where
 * one is not had, and puts the blob together. Sans-IO. All or nothing: what it hands out has the address
 * that the map says.
 *
 * A fragment whose bytes do not have its address is thrown away, and counted against its holder. */
#ifndef TL_BACKUP_FETCH_H
#define TL_BACKUP_FETCH_H

#include "backup/exchange.h"
#include "backup/fragment.h"
#include "base/env.h"

/* Fragments that are not here by then are not waited for alone: as many others are asked for, too. */
#define TL_FETCH_HEDGE (1500 * TL_MS)
/* A holder that was not reached is asked again after this, TL_FETCH_TRIES times in all. */
#define TL_FETCH_AGAIN (2 * TL_SEC)
#define TL_FETCH_TRIES 3
#define TL_FETCH_LIMIT (60 * TL_SEC) /* for the whole, unless the caller says otherwise */

typedef struct tl_fetch tl_fetch;

typedef enum {
    TL_FETCH_WAITS,       /* not asked for, or not now */
    TL_FETCH_ASKED,       /* on its way */
    TL_FETCH_HAS,         /* here, and right */
    TL_FETCH_ALTERED,     /* the holder sent other bytes */
    TL_FETCH_REFUSED,     /* the holder has it no more, or does not give it */
    TL_FETCH_UNREACHABLE, /* the holder was not reached, or its answer broke off */
    TL_FETCH_BUSY,        /* the holder has too much to do, or its disk fails */
    TL_FETCH_NOWHERE,     /* no node holds it */
} tl_fetch_state;

typedef struct {
    unsigned got, needed; /* fragments */
    tl_fetch_state state[TL_FRAGMENTS_MAX];
    uint64_t bytes; /* that have come */
} tl_fetch_progress;

typedef struct {
    /* Something has come of it. Must not free the fetch. May be NULL. */
    void (*on_progress)(void *user, const tl_fetch_progress *p);
    /* Once, and last; it may free the fetch. TL_OK: `blob` is whole (borrowed for the call). Else `why`
     * is for a person, and tells what became of each fragment: TL_ERR_NOT_FOUND: fewer than k are to be
     * had. TL_ERR_TIMEOUT. TL_ERR_AUTH: the fragments do not make the blob. TL_ERR_NOMEM. */
    void (*on_done)(void *user, tl_err e, tl_slice blob, const char *why);
} tl_fetch_events;

/* Begins with the first tl_fetch_on_timer. `map` is copied, and `events` borrowed for life. `within`: 0:
 * TL_FETCH_LIMIT. TL_ERR_INVALID: the map is none. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fetch_new(const tl_backup_map *map, tl_exchanges *exchanges, const tl_env *env,
                             tl_time within, const tl_fetch_events *events, void *user,
                             tl_fetch **ret_fetch);
/* Also while it runs: then on_done does not come. */
void tl_fetch_free(tl_fetch *f);
void tl_fetch_on_timer(tl_fetch *f);
tl_time tl_fetch_expiry(const tl_fetch *f);
void tl_fetch_progress_of(const tl_fetch *f, tl_fetch_progress *ret_progress);

#endif
