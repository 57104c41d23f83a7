/* backup.h - keeps one encrypted blob of this node at other nodes: cuts it into n fragments of which any
 * k make it whole, places them, asks their holders at random times to prove that they have them, and
 * places anew what was lost. And the other way: fetches a blob from k of its holders. Sans-IO: time,
 * randomness, connections and the store are the world's.
 *
 * The life of the owner's side:
 *
 *   tl_backup_set --> fragments are placed, one node after the other is tried --> on_map: the pointer is
 *   to be made anew --> tl_backup_set_pointer: the holders get it, too, and keep it in the DHT
 *
 * A newer copy is told of, and the one before deleted, when it is as safe: as many fragments of it may be
 * lost, or all are placed; after TL_BACKUP_PATIENCE half as many; after TL_BACKUP_GONE_AFTER, when it can be
 * restored. So a copy at night, when friends sleep, takes nothing away.
 *
 * Where a holder has lost a fragment, or is not reached for TL_BACKUP_GONE_AFTER, the fragment is made
 * again from the blob, placed at another node, and on_map is called. */
#ifndef TL_BACKUP_BACKUP_H
#define TL_BACKUP_BACKUP_H

#include "backup/exchange.h"
#include "backup/fragment.h"
#include "base/env.h"

/* Between two challenges of a holder: exponential, so that no holder knows when it must have the
 * fragments again. */
#define TL_BACKUP_CHALLENGE_MEAN (4 * 3600 * TL_SEC)
/* Since a holder that is not reached last proved what it has. Laptops sleep for a weekend, and families go
 * on holidays; but a fragment that is not reached is not there for a restore. The fragment goes to another
 * node, too, and its old place counts until the new one stands. */
#define TL_BACKUP_GONE_AFTER     (7 * 24 * 3600) /* seconds */
/* A newer copy waits so long for nodes that are off. Less than a day, after which there is another one. */
#define TL_BACKUP_PATIENCE       (20 * 3600) /* seconds */
/* Fragments of an earlier backup, and of holders that were given up, that are to be deleted. Of more the
 * oldest is left to its holder, which forgets it in time. */
#define TL_BACKUP_OLD_MAX        64
#define TL_BACKUP_CANDIDATES_MAX 64 /* nodes that are looked at */
#define TL_BACKUP_AT_ONCE        4  /* fragments on their way; each is in memory */
/* Fragments where nothing is said: one for each node that may take one, or held one, and was seen within
 * gone_after, up to so many. */
#define TL_BACKUP_N_MAX          10

typedef struct tl_backup tl_backup;

typedef enum {
    TL_PLACE_WANTED, /* no node holds it: one is being looked for */
    TL_PLACE_ASKED,  /* it is on its way to a node */
    TL_PLACE_HELD,   /* a receipt is here, and the last challenge was passed, or none is due yet */
    TL_PLACE_SILENT, /* held, and the node was not reached when it was last asked */
} tl_place_state;

typedef struct {
    tl_place_state state;
    tl_fragment_id id;
    tl_node_id holder;            /* HELD, SILENT, ASKED */
    tl_unix placed_at, proven_at; /* 0: never */
    tl_unix expires_at;           /* as the receipt says */
} tl_backup_place;

typedef struct {
    tl_fragment_id id;
    tl_node_id holder;
} tl_backup_old;

/* The copy that the pointer names, while the newer one is not as safe yet. */
typedef struct {
    tl_unix since;   /* of when the newer ones are; 0: the pointer names none but the newest */
    tl_unix made_at; /* as tl_backup_kept.made_at */
    int may_lose;    /* as tl_backup_status.may_lose, when the newer one was set */
} tl_backup_before;

/* All that is known of a backup, but for its bytes and its pointer. */
typedef struct {
    bool any; /* there is one */
    tl_fragment_id blob;
    tl_unix made_at; /* when it was set */
    uint32_t size, fragment_size;
    uint8_t k, n;
    bool strangers;
    tl_node_id recovery;
    tl_backup_place place[TL_FRAGMENTS_MAX]; /* n */
    uint8_t old_n;
    tl_backup_old old[TL_BACKUP_OLD_MAX]; /* to be deleted at their holders, when it is time */
    tl_backup_before before;
} tl_backup_kept;

typedef struct {
    tl_backup_kept kept;
    unsigned held, silent; /* fragments: proven or fresh; at nodes that are not reached now */
    int may_lose; /* so many fragments more may be lost: held + silent - k; below 0: it cannot be restored */
    char words[512]; /* for a person: why fragments are without a holder; "" where none is */
} tl_backup_status;

/* What to keep. */
typedef struct {
    tl_slice blob;       /* encrypted; 1 to TL_BLOB_MAX bytes; copied */
    tl_node_id recovery; /* who may get the fragments back, beside this node */
    uint8_t n;           /* fragments; 0: as many as nodes are known that take one, 1 to 10 */
    uint8_t k; /* that make it whole; 0: half of n, or of those that are there now; at least 1 */
    bool strangers; /* nodes of no network of ours may hold fragments, too */
} tl_backup_spec;

/* Called from inside tl_backup_on_timer. on_map alone may call back: tl_backup_set_pointer. */
typedef struct {
    /* Nodes that may hold fragments: members of our networks first, the likeliest first; strangers only
     * where `strangers` is true. Never this node. */
    size_t (*candidates)(void *user, bool strangers, tl_node_id *ret, size_t max);
    /* The places are others than at the last call, and a restore from them is possible: the pointer is to
     * be made of this map, and given to tl_backup_set_pointer. Comes some seconds after a change, for
     * several changes at once. */
    void (*on_map)(void *user, const tl_backup_map *map);
    /* So many fragments of ours `holder` was seen to hold now. */
    void (*on_held)(void *user, const tl_node_id *holder, unsigned fragments, tl_unix at);
    /* To be kept over a restart (tl_backup_load). `blob`: NULL where it is as before. */
    void (*save)(void *user, const tl_backup_kept *kept, const tl_slice *blob);
} tl_backup_world;

typedef struct {
    const tl_identity *identity; /* borrowed for life, like all pointers here */
    tl_rand *rand;
    const tl_backup_world *world;
    void *user;
    tl_exchanges *exchanges; /* requests to other nodes */
    tl_env env;
    tl_time challenge_mean; /* 0: TL_BACKUP_CHALLENGE_MEAN */
    tl_unix gone_after;     /* seconds; 0: TL_BACKUP_GONE_AFTER */
} tl_backup_config;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backup_new(const tl_backup_config *config, tl_backup **ret_backup);
void tl_backup_free(tl_backup *b);
void tl_backup_on_timer(tl_backup *b);
tl_time tl_backup_expiry(const tl_backup *b);

/* Begins to keep this blob, in place of the one before. The fragments of that one are deleted some time
 * after the pointer of this one is set, which on_map asks for when it is as safe; until then both are held. The same blob again, with the same
 * numbers, changes nothing. TL_ERR_INVALID: out of the bounds. TL_ERR_NOMEM: all is as before. */
TL_CHECK tl_err tl_backup_set(tl_backup *b, const tl_backup_spec *spec);
/* What an earlier run kept; its pointer is set after it. TL_ERR_PROTO: `blob` is not that of `kept`, or the
 * numbers do not fit each other. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backup_load(tl_backup *b, const tl_backup_kept *kept, tl_slice blob);
/* What there is to load after a restore: the places are those of the map. False: the map is none. */
bool tl_backup_kept_of(const tl_backup_map *map, const tl_node_id *recovery, tl_unix made_at,
                       tl_backup_kept *ret_kept);
/* The pointer, made of the last map: a signed DHT item in the form of BEP 44's `put`, up to
 * TL_POINTER_MAX bytes, copied. Each holder gets it. TL_ERR_TOO_LARGE. */
TL_CHECK tl_err tl_backup_set_pointer(tl_backup *b, tl_slice item);
/* Asks every holder now, and places what is lost. */
void tl_backup_repair(tl_backup *b);
/* Nothing is kept any more; the holders are told, as they are met. */
void tl_backup_drop(tl_backup *b);
void tl_backup_status_of(const tl_backup *b, tl_backup_status *ret_status);
/* Of the places as they are now. False: there is no backup. */
bool tl_backup_map_of(const tl_backup *b, tl_backup_map *ret_map);
/* The same, of what a pointer names. False: there is none, or the copy before is what it names. */
bool tl_backup_named_map(const tl_backup *b, tl_backup_map *ret_map);
/* More nodes are known that would take a fragment than there are fragments: a new copy had more. */
bool tl_backup_could_grow(const tl_backup *b);
/* The blob, as it was set; empty where there is none. Borrowed until the next tl_backup_set or _drop. */
tl_slice tl_backup_blob(const tl_backup *b);
/* A connection to `peer` stands: what it was to be asked is asked now. */
void tl_backup_on_peer(tl_backup *b, const tl_node_id *peer);
/* Other nodes are there than before: places that are wanted are looked for again. */
void tl_backup_on_candidates(tl_backup *b);
/* The nodes that hold fragments of ours, each once. */
size_t tl_backup_holders(const tl_backup *b, tl_node_id *ret, size_t max);

typedef struct {
    uint64_t placed, refused, challenges_passed, challenges_failed, unreached, repaired;
} tl_backup_counters;
const tl_backup_counters *tl_backup_counters_of(const tl_backup *b);

#endif
