/* What requests may take: places, memory, and work over time; as members, or as strangers. */
#include "backup/holder_state.h"

tl_holder_kind tl_holder_kind_of(const tl_holder *h, const tl_node_id *peer, const tl_talk *m)
{
    if (h->world->who(h->user, peer) == TL_HOLDER_MEMBER)
        return TL_HOLDER_OF_MEMBER;
    const tl_held *x = m->type == TL_TALK_GET ? tl_holder_find_for(h, peer, m->u.get) : NULL;
    if (!x)
        return TL_HOLDER_OF_STRANGER;
    /* A lost laptop's membership may have ended: what counts is what its owner was when it was placed. */
    return x->entry.stranger ? TL_HOLDER_GET_OF_STRANGER : TL_HOLDER_OF_MEMBER;
}

/* --- places --- */

static bool has_place(const tl_holder *h, tl_holder_kind kind)
{
    switch (kind) {
    case TL_HOLDER_OF_STRANGER: return h->places[kind] < TL_HOLDER_OPS_STRANGERS;
    case TL_HOLDER_GET_OF_STRANGER: return h->places[kind] < TL_HOLDER_OPS_GETS;
    default: return h->ops_n < TL_HOLDER_OPS_MAX;
    }
}

bool tl_holder_may_begin(const tl_holder *h, const tl_node_id *peer, const tl_talk *m)
{
    size_t of_peer = 0, gets = 0;
    bool member = h->world->who(h->user, peer) == TL_HOLDER_MEMBER;
    for (const tl_holder_op *op = h->ops; op; op = op->next)
        if (tl_node_id_eq(&op->peer, peer)) {
            of_peer++;
            gets += op->m.type == TL_TALK_GET;
        }
    if (!member && m->type == TL_TALK_GET && gets >= TL_HOLDER_GETS_OF_PEER)
        return false;
    return of_peer < (member ? TL_HOLDER_OPS_OF_PEER : TL_HOLDER_OPS_OF_STRANGER) &&
           has_place(h, tl_holder_kind_of(h, peer, m));
}

/* --- memory --- */

uint64_t tl_holder_memory_of(const tl_holder *h, const tl_node_id *peer)
{
    uint64_t n = 0;
    for (const tl_holder_op *op = h->ops; op; op = op->next)
        if (tl_node_id_eq(&op->peer, peer))
            n += op->memory + (op->work ? tl_holder_work_memory(op->work) : 0);
    return n;
}

bool tl_holder_take_memory(tl_holder_op *op, uint32_t size)
{
    tl_holder *h = op->holder;
    uint64_t gets = h->memory[TL_HOLDER_GET_OF_STRANGER];
    uint64_t others = h->memory[TL_HOLDER_OF_STRANGER];
    uint64_t mine = tl_holder_memory_of(h, &op->peer);
    bool member = op->kind == TL_HOLDER_OF_MEMBER;
    uint64_t of_one = member ? TL_HOLDER_MEMORY_OF_MEMBER : TL_HOLDER_MEMORY_OF_STRANGER;
    if (gets + others + h->memory[TL_HOLDER_OF_MEMBER] + size > TL_HOLDER_MEMORY ||
        (mine && mine + size > of_one) ||
        (!member && gets + others + size > TL_HOLDER_MEMORY / 2) ||
        (op->kind == TL_HOLDER_OF_STRANGER && others + size > TL_HOLDER_MEMORY / 4))
        return false;
    h->memory[op->kind] += size;
    op->memory += size;
    return true;
}

void tl_holder_free_memory(tl_holder *h, tl_holder_kind kind, uint32_t size)
{
    h->memory[kind] -= size;
    if (!size || h->freed)
        return;
    h->freed = true;
    tl_env_wake(&h->env);
}

/* --- work --- */

/* The bucket of all who are like this one; NULL: members have none. */
static tl_ratelimit *sum_of(tl_holder *h, tl_holder_kind kind, const tl_held_owner *o)
{
    if (kind == TL_HOLDER_OF_MEMBER)
        return NULL;
    return kind == TL_HOLDER_GET_OF_STRANGER ? &h->gets : o ? &h->strangers : &h->nobodies;
}

bool tl_holder_could_work(tl_holder *h, tl_holder_kind kind, tl_held_owner *o, uint64_t bytes)
{
    tl_time now = tl_env_now(&h->env);
    tl_ratelimit *sum = sum_of(h, kind, o);
    return (!o || tl_ratelimit_when(&o->rate[kind != TL_HOLDER_OF_MEMBER], bytes, now) <= now) &&
           (!sum || tl_ratelimit_when(sum, bytes, now) <= now);
}

bool tl_holder_may_work(tl_holder *h, tl_holder_kind kind, tl_held_owner *o, uint64_t bytes)
{
    tl_time now = tl_env_now(&h->env);
    tl_ratelimit *sum = sum_of(h, kind, o);
    if (!tl_holder_could_work(h, kind, o, bytes))
        return false;
    return (!o || tl_ratelimit_take(&o->rate[kind != TL_HOLDER_OF_MEMBER], bytes, now)) &&
           (!sum || tl_ratelimit_take(sum, bytes, now));
}
