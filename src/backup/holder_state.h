/* holder_state.h - what the sources of the holder share: holder.c has the table and its bounds,
 * holder_bounds.c those of requests, holder_ask.c the requests. Nothing else includes it. */
#ifndef TL_BACKUP_HOLDER_STATE_H
#define TL_BACKUP_HOLDER_STATE_H

#include "backup/holder.h"
#include "base/ratelimit.h"
#include "base/table.h"

#include <utlist.h>

typedef struct tl_held tl_held;

/* A node that keeps, or kept, something here. */
typedef struct {
    tl_node_id id;
    tl_held *held;
    uint64_t bytes; /* as they are counted, with those on their way */
    size_t fragments, on_their_way;
    tl_unix heard_at, told_at; /* seconds that this node had run; told: the world knows */
    tl_ratelimit rate[2];      /* of a member, of a stranger: the same node may have been both */
    UT_hash_handle hh;
} tl_held_owner;

/* A recovery identity that fragments here were placed for. */
typedef struct {
    tl_node_id id;
    tl_held *held;
    UT_hash_handle hh;
} tl_held_reader;

struct tl_held {
    tl_holder_entry entry;
    uint32_t counted;
    tl_held_owner *owner;
    tl_held_reader *reader;
    tl_held *prev, *next; /* the owner's */
    tl_held *reader_prev, *reader_next;
    UT_hash_handle hh;
};

struct tl_holder {
    const tl_identity *identity;
    const tl_holder_world *world;
    void *user;
    tl_env env;
    tl_held *held;
    tl_held_owner *owners;
    tl_held_reader *readers;
    tl_holder_op *ops;
    size_t ops_n, jobs_n;
    size_t places[TL_HOLDER_KINDS];         /* requests */
    uint64_t memory[TL_HOLDER_KINDS];       /* bytes */
    bool freed;                             /* memory, for which a get may wait */
    tl_ratelimit gets, strangers, nobodies; /* of all strangers; nobodies: who keep nothing here */
    tl_unix ran_before;                     /* seconds, in earlier runs */
    tl_time began_at, sweep_at;
    tl_holder_counts counts; /* bytes with those on their way */
};

static inline uint32_t tl_held_counted(uint32_t size)
{
    return (size + TL_HOLDER_BLOCK - 1) / TL_HOLDER_BLOCK * TL_HOLDER_BLOCK;
}

/* --- holder.c --- */
tl_unix tl_holder_wall(const tl_holder *h);
tl_held *tl_holder_find(const tl_holder *h, const tl_node_id *owner, const tl_fragment_id *id);
/* The first whose address begins so, and which the peer may get; NULL: none. */
tl_held *tl_holder_find_for(const tl_holder *h, const tl_node_id *peer,
                            const uint8_t tag[TL_FRAGMENT_TAG]);
tl_held_owner *tl_holder_owner(const tl_holder *h, const tl_node_id *id);
/* Finds or makes it; NULL: there are too many, or no memory. */
tl_held_owner *tl_holder_need_owner(tl_holder *h, const tl_node_id *id);
/* Adds one that is on the disk; its bytes are counted already. NULL: out of memory. */
tl_held *tl_holder_add(tl_holder *h, const tl_holder_entry *entry);
/* The same once more, for another recovery identity or by one who is a member now. False: out of memory. */
bool tl_holder_amend(tl_holder *h, tl_held *x, const tl_holder_entry *entry);
/* It is here no more; the disk is told. */
void tl_holder_drop(tl_holder *h, tl_held *x);
/* Is there room for `counted` bytes more? NULL: yes. Else why not, for a person. */
const char *tl_holder_no_room(const tl_holder *h, const tl_node_id *peer, bool stranger,
                              uint32_t counted);
/* The owner has done something that only it can do. */
void tl_holder_hear(tl_holder *h, tl_held_owner *o);

/* --- holder_bounds.c --- */
tl_holder_kind tl_holder_kind_of(const tl_holder *h, const tl_node_id *peer, const tl_talk *m);
/* So many bytes of the peer's fragments are in memory now. */
uint64_t tl_holder_memory_of(const tl_holder *h, const tl_node_id *peer);
bool tl_holder_take_memory(tl_holder_op *op, uint32_t size);
void tl_holder_free_memory(tl_holder *h, tl_holder_kind kind, uint32_t size);
/* Would so many bytes of work be allowed now? `o` NULL: who asks keeps nothing here. */
bool tl_holder_could_work(tl_holder *h, tl_holder_kind kind, tl_held_owner *o, uint64_t bytes);
/* Takes them. False: they are not allowed, and none is taken. */
bool tl_holder_may_work(tl_holder *h, tl_holder_kind kind, tl_held_owner *o, uint64_t bytes);

/* --- holder_ask.c --- */
/* Bytes of fragments that a request's work at the disk has in memory. */
uint32_t tl_holder_work_memory(const struct tl_holder_work *w);
/* Gets that wait for memory go on. */
void tl_holder_go_on(tl_holder *h);

#endif
