/* holder.h - what this node holds for others: takes fragments within store_quota, signs receipts for
 * them, proves that they are there, gives them back to their owner or to the recovery identity that the
 * owner named, and forgets them when the owner says so or is not heard of. Keeps each owner's pointer in
 * the DHT. Sans-IO: the disk, the DHT and the connections are the world's.
 *
 * With the quota Q in bytes, each fragment counted as its size rounded up to TL_HOLDER_BLOCK:
 *
 *   all fragments <= Q        those of one member <= Q / 4
 *   those of all strangers <= Q / 4, of one stranger <= Q / 64
 *
 * A fragment that is on its way counts as if it were here. A stranger is one for all bounds below, whatever
 * it keeps here; only what it gets has places, memory and a rate beside those of the others' strangers, so
 * that no flood of theirs is in the way of a restore. Who is given back what a member placed is let pass like
 * a member: that is the restore of a machine of ours. */
#ifndef TL_BACKUP_HOLDER_H
#define TL_BACKUP_HOLDER_H

#include "backup/talk.h"
#include "base/env.h"

#define TL_HOLDER_BLOCK              (16u << 10)
/* Entries in memory, 200 bytes each; reached by a quota of 1 GiB full of the smallest ones. */
#define TL_HOLDER_MAX                65536
/* Of an owner that is not heard of: half a year in which a lost laptop is noticed, and replaced. Only
 * seconds in which this node runs count: no clock that jumps, and no year in a drawer, is an owner's silence. */
#define TL_HOLDER_KEEPS              (180 * 24 * 3600)
/* Bytes that one owner may have this node write, read and hash; a fragment counts as at least
 * TL_HOLDER_BLOCK, when its bytes are here, and a request as TL_HOLDER_COST:
 *
 *   bytes of an owner <= burst + rate x seconds
 *   bytes of a stranger, the same with _STRANGER; what all strangers get, all else of strangers that keep
 *   something here, and requests of those that keep nothing: each of the three the same with _ALL */
#define TL_HOLDER_BURST              (64u << 20)
#define TL_HOLDER_RATE               (1u << 20)
#define TL_HOLDER_STRANGER_BURST     (16u << 20)
#define TL_HOLDER_STRANGER_RATE      (64u << 10)
#define TL_HOLDER_ALL_BURST          (64u << 20)
#define TL_HOLDER_ALL_RATE           (1u << 20)
#define TL_HOLDER_COST               4096u
/* Requests under way: in all, those of strangers, what strangers get, of one member, of one stranger, and
 * gets of who is no member. The rest is for members and what they placed. */
#define TL_HOLDER_OPS_MAX            256
#define TL_HOLDER_OPS_STRANGERS      128
#define TL_HOLDER_OPS_GETS           64
#define TL_HOLDER_OPS_OF_PEER        16
#define TL_HOLDER_OPS_OF_STRANGER    8
#define TL_HOLDER_GETS_OF_PEER       4
/* Bytes of fragments in memory: in all; of strangers, a half; of these, a half for what is no get. And of one
 * peer, one fragment, or several of so many bytes together. What a peer gets is one after the other. */
#define TL_HOLDER_MEMORY             (32u << 20)
#define TL_HOLDER_MEMORY_OF_MEMBER   (8u << 20)
#define TL_HOLDER_MEMORY_OF_STRANGER (1u << 20)

typedef struct tl_holder tl_holder;

typedef enum { TL_HOLDER_MEMBER, TL_HOLDER_STRANGER } tl_holder_who;

typedef struct {
    tl_node_id owner;
    tl_fragment_id id;
} tl_holder_key;

typedef struct {
    tl_holder_key key;
    uint32_t size;
    tl_node_id recovery; /* who may get it, beside the owner */
    tl_unix placed_at;
    bool stranger; /* the owner was one then: it counts as one of strangers */
} tl_holder_entry;

/* One piece of work for the disk. The world has it from the call until `done`, which it calls once, and
 * never from inside the call. */
typedef struct tl_holder_job tl_holder_job;
struct tl_holder_job {
    void (*done)(tl_holder_job *j, tl_err e);
    tl_holder_key key;
    tl_buf content; /* put: what to write; get: the world appends what it read */
};

/* `user` is tl_holder_config's. None may call back. */
typedef struct {
    tl_holder_who (*who)(void *user, const tl_node_id *peer);
    /* Done when it is on the disk. Both: TL_ERR_NOMEM: it was not begun, and `done` does not come. */
    tl_err (*put)(void *user, tl_holder_job *j, const tl_holder_entry *entry);
    /* Done with TL_ERR_NOT_FOUND: the disk has it no more. */
    tl_err (*get)(void *user, tl_holder_job *j);
    void (*drop)(void *user, const tl_holder_key *key);
    /* The owner was heard of: at most once a day, and with its first fragment. `at`: seconds that this node
     * had run by then. With this node's own ID, hourly: so long it has run. */
    void (*heard)(void *user, const tl_node_id *owner, tl_unix at);
    /* It has nothing here any more: what is kept of it goes, its pointer too. */
    void (*forget)(void *user, const tl_node_id *owner);
    /* Is `item` a pointer that the recovery identity has signed? */
    bool (*is_pointer)(void *user, const tl_node_id *recovery, tl_slice item);
    /* Keep it in the DHT, in place of an older one of that owner; and over a restart. TL_ERR_REPLAY: a newer
     * one is kept. TL_ERR_BUSY: there is no room for it. TL_ERR_NOMEM. */
    tl_err (*hold_pointer)(void *user, const tl_node_id *owner, const tl_node_id *recovery,
                           tl_slice item);
} tl_holder_world;

/* As what a request counts. */
typedef enum {
    TL_HOLDER_OF_MEMBER, /* or it is a get of what a member placed */
    TL_HOLDER_GET_OF_STRANGER,
    TL_HOLDER_OF_STRANGER,
    TL_HOLDER_KINDS
} tl_holder_kind;

typedef struct {
    const tl_identity *identity; /* borrowed for life, like all pointers here */
    const tl_holder_world *world;
    void *user;
    tl_env env;
    uint64_t quota; /* bytes; 0: nothing is taken */
} tl_holder_config;

/* TL_ERR_NOMEM. */
TL_CHECK tl_err tl_holder_new(const tl_holder_config *config, tl_holder **ret_holder);
/* Every tl_holder_job is done by then. */
void tl_holder_free(tl_holder *h);
/* What an earlier run told by `heard`, with this node's own ID, too; and what it kept. Owners before
 * fragments. TL_ERR_BUSY: there are too many. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_holder_load_owner(tl_holder *h, const tl_node_id *owner, tl_unix heard_at);
TL_CHECK tl_err tl_holder_load(tl_holder *h, const tl_holder_entry *entry);
/* Where less is allowed than is held, strangers' fragments go first, then those of who has most. */
void tl_holder_set_quota(tl_holder *h, uint64_t quota);
/* Forgets what owners left behind. */
void tl_holder_on_timer(tl_holder *h);
tl_time tl_holder_expiry(const tl_holder *h);

/* --- requests: one piece of work in the caller's memory, from tl_holder_begin to tl_holder_end --- */

typedef struct tl_holder_op tl_holder_op;
struct tl_holder_op {
    /* Once, perhaps from inside tl_holder_begin or tl_holder_body. Both are borrowed for the call. It may
     * call tl_holder_end. */
    void (*on_reply)(tl_holder_op *op, const tl_talk *answer, tl_slice body);
    /* private */
    tl_holder *holder;
    tl_node_id peer;
    tl_talk m;
    bool begun, replied;
    bool awaits; /* the bytes of a fragment: there is room for them */
    bool waits;  /* a get: for what the peer got before to be taken */
    tl_holder_kind kind;
    bool stranger; /* a put: the fragment counts as a stranger's */
    uint32_t reserved, memory;
    struct tl_holder_work *work; /* at the disk */
    tl_holder_op *prev, *next;
};

/* Is there a place for one more request of this peer? Else nothing is begun. */
bool tl_holder_may_begin(const tl_holder *h, const tl_node_id *peer, const tl_talk *m);
/* True: it is a fragmentPut for which there is room, and `size` bytes are to follow (tl_holder_body).
 * Else on_reply has come, or comes when the disk has answered. */
bool tl_holder_begin(tl_holder *h, tl_holder_op *op, const tl_node_id *peer, const tl_talk *m);
/* The whole fragment. Copied. */
void tl_holder_body(tl_holder_op *op, tl_slice content);
/* The request is over, or given up. What is at the disk ends by itself. */
void tl_holder_end(tl_holder_op *op);

/* Is there anything here that the peer may get: is it an owner, or a recovery identity? Such a peer is let
 * in, for that alone. */
bool tl_holder_knows(const tl_holder *h, const tl_node_id *peer);
/* Does the peer own something here? */
bool tl_holder_is_owner(const tl_holder *h, const tl_node_id *peer);
/* Is there room for a fragment of this size, for who asks? */
bool tl_holder_has_room(const tl_holder *h, const tl_node_id *peer, uint32_t size);

typedef struct {
    uint64_t quota, bytes, stranger_bytes; /* as they are counted */
    size_t fragments, owners;
    uint64_t taken, given, proven, deleted, expired, evicted;
    uint64_t refused_full, refused_rate, refused_other, lost; /* lost: the disk has them no more */
} tl_holder_counts;
void tl_holder_counts_of(const tl_holder *h, tl_holder_counts *ret_counts);

#endif
