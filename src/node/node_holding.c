/* What this node holds for others: the holder's world. Its bytes go to the store's thread. */
#include "node/fragments_state.h"

#include "base/log.h"
#include "store/fragments.h"

#include <stdio.h>
#include <stdlib.h>

static tl_holder_who who(void *user, const tl_node_id *peer)
{
    const tl_node_fragments *f = user;
    return tl_node_is_fellow(f->node, peer) ? TL_HOLDER_MEMBER : TL_HOLDER_STRANGER;
}

/* --- the disk --- */

typedef struct {
    tl_fragment_job job; /* first */
    tl_holder_job *holders;
} disk_job;

static void on_disk(tl_fragment_job *j, tl_err e)
{
    disk_job *d = (disk_job *)j;
    tl_holder_job *h = d->holders;
    tl_buf_clear(&h->content);
    h->content = j->content; /* what was read, or written */
    if (e && e != TL_ERR_NOT_FOUND)
        tl_log(TL_LOG_WARN, "fragments: the disk failed: %s",
               j->job.why.text[0] ? j->job.why.text : tl_err_name(e));
    free(d);
    h->done(h, e);
}

/* NULL: out of memory. */
static disk_job *job_of(const tl_node_fragments *f, tl_holder_job *h)
{
    disk_job *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->holders = h;
    d->job.done = on_disk;
    d->job.row.owner = h->key.owner;
    memcpy(d->job.row.id, h->key.id.bytes, sizeof d->job.row.id);
    snprintf(d->job.folder, sizeof d->job.folder, "%s", f->folder);
    return d;
}

static tl_err put(void *user, tl_holder_job *j, const tl_holder_entry *entry)
{
    const tl_node_fragments *f = user;
    disk_job *d = job_of(f, j);
    if (!d)
        return TL_ERR_NOMEM;
    d->job.row.recovery = entry->recovery;
    d->job.row.size = entry->size;
    d->job.row.placed_at = entry->placed_at;
    d->job.row.stranger = entry->stranger;
    d->job.content = j->content;
    j->content = (tl_buf){0};
    tl_store_put_fragment(f->node->store, &d->job);
    return TL_OK;
}

static tl_err get(void *user, tl_holder_job *j)
{
    const tl_node_fragments *f = user;
    disk_job *d = job_of(f, j);
    if (!d)
        return TL_ERR_NOMEM;
    tl_store_get_fragment(f->node->store, &d->job);
    return TL_OK;
}

/* What the store does not take for want of memory is found at the next start: a row without a file, or
 * with one that nobody asks for until it expires. */
static void drop(void *user, const tl_holder_key *key)
{
    const tl_node_fragments *f = user;
    (void)!tl_store_drop_fragment(f->node->store, f->folder, &key->owner, key->id.bytes);
}

static void heard(void *user, const tl_node_id *owner, tl_unix at)
{
    const tl_node_fragments *f = user;
    (void)!tl_store_put_fragment_owner(f->node->store, owner, at);
}

static void forget(void *user, const tl_node_id *owner)
{
    tl_node_fragments *f = user;
    tl_pointers_drop(f->pointers, owner);
    (void)!tl_store_drop_fragment_owner(f->node->store, owner);
}

/* --- the pointer --- */

static bool is_pointer(void *user, const tl_node_id *recovery, tl_slice packed)
{
    tl_dht_item item;
    (void)user;
    return tl_node_is_pointer(recovery, packed, &item);
}

static tl_err hold_pointer(void *user, const tl_node_id *owner, const tl_node_id *recovery,
                           tl_slice packed)
{
    tl_dht_item item;
    if (!tl_node_is_pointer(recovery, packed, &item))
        return TL_ERR_INVALID; /* it is one: the holder has asked */
    return tl_node_keep_pointer(user, owner, packed, &item);
}

const tl_holder_world tl_node_holder_world = {who,   put,    get,        drop,
                                              heard, forget, is_pointer, hold_pointer};
