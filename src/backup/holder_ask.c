#include "backup/holder_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* A request's work at the disk. It outlives the request where that is given up. */
typedef struct tl_holder_work {
    tl_holder_job job; /* first */
    tl_holder *holder;
    tl_holder_op *op; /* NULL: given up */
    tl_holder_entry entry;
    tl_holder_kind kind;
    bool stranger;
    uint32_t reserved, memory;
    tl_talk m; /* PROVE: the request, and what is proven of it so far */
    tl_talk proof;
    size_t at;
} tl_holder_work;

/* --- answers --- */

static void reply(tl_holder_op *op, const tl_talk *answer, tl_slice body)
{
    assert(!op->replied);
    op->replied = true;
    op->on_reply(op, answer, body);
}

static void refuse(tl_holder_op *op, tl_talk_code code, const char *why)
{
    tl_talk m = {.type = TL_TALK_ERROR, .u.error.code = code};
    tl_holder_counts *c = &op->holder->counts;
    c->refused_full += code == TL_TALK_FULL;
    c->refused_rate += code == TL_TALK_UNAVAILABLE;
    c->refused_other += code != TL_TALK_FULL && code != TL_TALK_UNAVAILABLE;
    snprintf(m.u.error.message, sizeof m.u.error.message, "%s", why);
    reply(op, &m, tl_slice_of(NULL, 0));
}

static void refuse_busy(tl_holder_op *op)
{
    refuse(op, TL_TALK_UNAVAILABLE, "this node has too much to do now");
}

static void refuse_missing(tl_holder_op *op)
{
    refuse(op, TL_TALK_NOT_FOUND, "this node holds no such fragment for you");
}

static void be_done(tl_holder_op *op)
{
    tl_talk m = {.type = TL_TALK_DONE};
    reply(op, &m, tl_slice_of(NULL, 0));
}

/* --- room for what is on its way --- */

static void count(tl_holder_op *op, tl_held_owner *o, uint32_t counted)
{
    tl_holder *h = op->holder;
    o->bytes += counted;
    h->counts.bytes += counted;
    h->counts.stranger_bytes += op->stranger ? counted : 0;
    op->reserved = counted;
}

static void reserve(tl_holder_op *op, tl_held_owner *o, uint32_t counted)
{
    count(op, o, counted);
    o->on_their_way++;
    op->awaits = true;
}

static void unreserve(tl_holder *h, const tl_node_id *owner, bool stranger, uint32_t counted)
{
    tl_held_owner *o = tl_holder_owner(h, owner); /* it stays while something is on its way */
    o->bytes -= counted;
    o->on_their_way--;
    h->counts.bytes -= counted;
    h->counts.stranger_bytes -= stranger ? counted : 0;
}

/* --- the disk --- */

static tl_holder_work *begin_work(tl_holder_op *op, void (*done)(tl_holder_job *j, tl_err e))
{
    tl_holder_work *w = calloc(1, sizeof *w);
    if (!w) {
        refuse(op, TL_TALK_UNAVAILABLE, "this node is out of memory");
        return NULL;
    }
    w->job.done = done;
    w->holder = op->holder;
    w->op = op;
    w->kind = op->kind;
    w->stranger = op->stranger;
    w->reserved = op->reserved;
    w->memory = op->memory;
    op->reserved = op->memory = 0; /* they are the work's now */
    op->awaits = false;
    op->work = w;
    op->holder->jobs_n++;
    return w;
}

static void end_work(tl_holder_work *w)
{
    if (w->op)
        w->op->work = NULL;
    tl_holder_free_memory(w->holder, w->kind, w->memory);
    w->holder->jobs_n--;
    tl_buf_clear(&w->job.content);
    free(w);
}

uint32_t tl_holder_work_memory(const struct tl_holder_work *w)
{
    return w->memory;
}

/* Does what the disk has still have its address? */
static bool is_whole(const tl_holder_work *w)
{
    tl_fragment_id id;
    tl_fragment_id_of(tl_buf_slice(&w->job.content), &id);
    return tl_fragment_id_eq(&id, &w->job.key.id);
}

/* The disk has lost it, or has other bytes. */
static void lose(tl_holder *h, const tl_holder_key *key)
{
    tl_held *x = tl_holder_find(h, &key->owner, &key->id);
    if (!x)
        return; /* it was deleted meanwhile */
    h->counts.lost++;
    tl_holder_drop(h, x);
}

/* --- fragmentPut --- */

static bool begin_put(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    uint32_t size = op->m.u.put.size;
    const tl_held *x = tl_holder_find(h, &op->peer, &op->m.u.put.fragment);
    /* Once more: it takes the place of itself, and a member's stays one. */
    uint32_t counted = x ? 0 : tl_held_counted(size);
    op->stranger = op->kind == TL_HOLDER_OF_STRANGER && (!x || x->entry.stranger);
    const char *why = tl_holder_no_room(h, &op->peer, op->stranger, counted);
    if (why) {
        refuse(op, TL_TALK_FULL, why);
        return false;
    }
    tl_held_owner *o = tl_holder_need_owner(h, &op->peer);
    /* The work is taken when the bytes are here: who announces and sends nothing takes it from nobody. */
    if (!o || !tl_holder_could_work(h, op->kind, o, tl_held_counted(size)) ||
        !tl_holder_take_memory(op, size)) {
        refuse_busy(op);
        return false;
    }
    reserve(op, o, counted);
    return true;
}

static void reply_receipt(tl_holder_op *op, const tl_holder_entry *entry)
{
    tl_unix now = tl_holder_wall(op->holder);
    tl_talk m = {.type = TL_TALK_RECEIPT,
                 .u.receipt = {.fragment = entry->key.id,
                               .size = entry->size,
                               .owner = entry->key.owner,
                               .holder = op->holder->identity->id,
                               .issued_at = now,
                               .expires_at = now + TL_HOLDER_KEEPS}};
    if (tl_fragment_receipt_sign(&m.u.receipt, op->holder->identity))
        refuse(op, TL_TALK_UNAVAILABLE, "this node is out of memory");
    else
        reply(op, &m, tl_slice_of(NULL, 0));
}

/* NULL: there is no room, or no memory. */
static tl_held *add(tl_holder_work *w)
{
    tl_holder *h = w->holder;
    const tl_holder_entry *e = &w->entry;
    uint32_t counted = tl_held_counted(e->size);
    /* Without a reservation: it was there, and was deleted while the disk wrote it once more. */
    if (!w->reserved && tl_holder_no_room(h, &e->key.owner, e->stranger, counted))
        return NULL;
    tl_held *x = tl_holder_add(h, e);
    if (!x)
        return NULL;
    x->owner->bytes += counted;
    h->counts.bytes += counted;
    h->counts.stranger_bytes += e->stranger ? counted : 0;
    return x;
}

/* It is on the disk. False: it is not to be known, and goes again. */
static bool know(tl_holder_work *w)
{
    tl_holder *h = w->holder;
    const tl_holder_key *key = &w->entry.key;
    tl_held *x = tl_holder_find(h, &key->owner, &key->id);
    if (x && !tl_holder_amend(h, x, &w->entry))
        return false;
    if (!x && !(x = add(w))) {
        h->world->drop(h->user, key);
        return false;
    }
    h->counts.taken++;
    tl_holder_hear(h, x->owner);
    return true;
}

static void on_put(tl_holder_job *j, tl_err e)
{
    tl_holder_work *w = (tl_holder_work *)j;
    tl_holder_op *op = w->op;
    unreserve(w->holder, &w->entry.key.owner, w->stranger, w->reserved);
    tl_holder_entry entry = w->entry;
    bool known = !e && know(w);
    end_work(w);
    if (op && known)
        reply_receipt(op, &entry);
    else if (op)
        refuse(op, TL_TALK_UNAVAILABLE, "this node could not keep it");
}

/* What it was to take the place of may be gone meanwhile. NULL: there is room. */
static const char *no_room_any_more(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    uint32_t counted = tl_held_counted(op->m.u.put.size);
    if (op->reserved || tl_holder_find(h, &op->peer, &op->m.u.put.fragment))
        return NULL;
    op->stranger = op->kind == TL_HOLDER_OF_STRANGER;
    const char *why = tl_holder_no_room(h, &op->peer, op->stranger, counted);
    if (!why) /* the owner stays while something is on its way */
        count(op, tl_holder_owner(h, &op->peer), counted);
    return why;
}

/* Takes the work that the bytes are. False: it is refused. */
static bool may_take(tl_holder_op *op, tl_slice content)
{
    tl_holder *h = op->holder;
    tl_fragment_id id;
    const char *why;
    if (!tl_holder_may_work(h, op->kind, tl_holder_owner(h, &op->peer),
                            tl_held_counted((uint32_t)content.n))) {
        refuse_busy(op);
        return false;
    }
    tl_fragment_id_of(content, &id);
    if (content.n != op->m.u.put.size || !tl_fragment_id_eq(&id, &op->m.u.put.fragment)) {
        refuse(op, TL_TALK_INVALID, "the bytes are not those of the fragment");
        return false;
    }
    if ((why = no_room_any_more(op))) {
        refuse(op, TL_TALK_FULL, why);
        return false;
    }
    return true;
}

void tl_holder_body(tl_holder_op *op, tl_slice content)
{
    tl_holder *h = op->holder;
    tl_buf copy = {0};
    assert(op->m.type == TL_TALK_PUT && !op->work && !op->replied);
    if (!may_take(op, content))
        return;
    if (tl_buf_append(&copy, content)) {
        refuse(op, TL_TALK_UNAVAILABLE, "this node is out of memory");
        return;
    }
    tl_holder_work *w = begin_work(op, on_put);
    if (!w) {
        tl_buf_clear(&copy);
        return;
    }
    w->job.content = copy;
    w->entry = (tl_holder_entry){.key = {op->peer, op->m.u.put.fragment},
                                 .size = op->m.u.put.size,
                                 .recovery = op->m.u.put.recovery,
                                 .placed_at = tl_holder_wall(h),
                                 .stranger = op->stranger};
    w->job.key = w->entry.key;
    tl_err e = h->world->put(h->user, &w->job, &w->entry);
    if (e)
        on_put(&w->job, e);
}

/* --- fragmentGet --- */

static void on_got(tl_holder_job *j, tl_err e)
{
    tl_holder_work *w = (tl_holder_work *)j;
    tl_holder *h = w->holder;
    tl_holder_op *op = w->op;
    bool whole = !e && is_whole(w);
    if (e == TL_ERR_NOT_FOUND || (!e && !whole))
        lose(h, &j->key);
    tl_buf content = j->content;
    j->content = (tl_buf){0};
    if (op) { /* until its answer is taken */
        op->memory = w->memory;
        w->memory = 0;
    }
    end_work(w);
    tl_talk m = {.type = TL_TALK_CONTENT, .u.content = (uint32_t)content.len};
    h->counts.given += op && whole;
    if (op && whole)
        reply(op, &m, tl_buf_slice(&content));
    else if (op && (!e || e == TL_ERR_NOT_FOUND))
        refuse_missing(op);
    else if (op)
        refuse(op, TL_TALK_UNAVAILABLE, "this node's disk does not give it");
    tl_buf_clear(&content);
}

static void get(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    const tl_held *x = tl_holder_find_for(h, &op->peer, op->m.u.get);
    op->waits = false;
    if (!x) {
        refuse_missing(op);
        return;
    }
    if (tl_holder_memory_of(h, &op->peer)) { /* one after the other */
        op->waits = true;
        return;
    }
    if (!tl_holder_could_work(h, op->kind, x->owner, x->counted) ||
        !tl_holder_take_memory(op, x->entry.size) ||
        !tl_holder_may_work(h, op->kind, x->owner, x->counted)) {
        refuse_busy(op);
        return;
    }
    tl_holder_key key = x->entry.key;
    tl_holder_hear(h, x->owner);
    tl_holder_work *w = begin_work(op, on_got);
    if (!w)
        return;
    w->job.key = key;
    tl_err e = h->world->get(h->user, &w->job);
    if (e)
        on_got(&w->job, e);
}

/* --- fragmentProve: one fragment after the other --- */

static void prove_next(tl_holder_work *w);

static void on_read(tl_holder_job *j, tl_err e)
{
    tl_holder_work *w = (tl_holder_work *)j;
    bool whole = !e && is_whole(w);
    if (e == TL_ERR_NOT_FOUND || (!e && !whole))
        lose(w->holder, &j->key);
    w->proof.u.proof.has[w->at] = whole;
    if (whole)
        tl_talk_proof_of(w->m.u.prove.nonce, &w->holder->identity->id, tl_buf_slice(&j->content),
                         w->proof.u.proof.proof[w->at]);
    tl_buf_clear(&j->content);
    tl_holder_op *op = w->op;
    if (e && e != TL_ERR_NOT_FOUND) { /* a disk that fails now says nothing of the fragment */
        end_work(w);
        if (op)
            refuse(op, TL_TALK_UNAVAILABLE, "this node's disk does not give it");
        return;
    }
    w->holder->counts.proven += whole;
    w->at++;
    prove_next(w);
}

static void prove_next(tl_holder_work *w)
{
    tl_holder *h = w->holder;
    tl_holder_op *op = w->op;
    for (; op && w->at < w->m.u.prove.n; w->at++)
        if (tl_holder_find(h, &op->peer, &w->m.u.prove.fragment[w->at])) {
            w->job.key = (tl_holder_key){op->peer, w->m.u.prove.fragment[w->at]};
            tl_err e = h->world->get(h->user, &w->job);
            if (e)
                on_read(&w->job, e);
            return;
        }
    tl_talk proof = w->proof;
    end_work(w);
    if (op)
        reply(op, &proof, tl_slice_of(NULL, 0));
}

static void prove(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    tl_held_owner *o = tl_holder_owner(h, &op->peer);
    uint64_t bytes = 0;
    uint32_t largest = 0;
    for (size_t i = 0; i < op->m.u.prove.n; i++) {
        const tl_held *x = tl_holder_find(h, &op->peer, &op->m.u.prove.fragment[i]);
        bytes += x ? x->counted : 0;
        largest = x && x->entry.size > largest ? x->entry.size : largest;
    }
    if (!tl_holder_could_work(h, op->kind, o, bytes) || !tl_holder_take_memory(op, largest) ||
        !tl_holder_may_work(h, op->kind, o, bytes)) {
        refuse_busy(op);
        return;
    }
    if (o)
        tl_holder_hear(h, o);
    tl_holder_work *w = begin_work(op, on_read);
    if (!w)
        return;
    w->m = op->m;
    w->proof.type = TL_TALK_PROOF;
    w->proof.u.proof.n = op->m.u.prove.n;
    prove_next(w);
}

/* --- the others --- */

static void drop_some(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    for (size_t i = 0; i < op->m.u.prove.n; i++) {
        tl_held *x = tl_holder_find(h, &op->peer, &op->m.u.prove.fragment[i]);
        if (!x)
            continue;
        tl_holder_hear(h, x->owner);
        tl_holder_drop(h, x);
        h->counts.deleted++;
    }
    be_done(op);
}

static void point(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    const tl_node_id *recovery = &op->m.u.pointer.recovery;
    tl_slice item = tl_slice_of(op->m.u.pointer.item, op->m.u.pointer.n);
    tl_held_owner *o = tl_holder_owner(h, &op->peer);
    if (!o || !o->fragments) {
        refuse(op, TL_TALK_FORBIDDEN, "this node holds nothing for you");
    } else if (!tl_holder_may_work(h, op->kind, o, TL_HOLDER_BLOCK)) {
        refuse_busy(op);
    } else if (!h->world->is_pointer(h->user, recovery, item)) {
        refuse(op, TL_TALK_INVALID, "the pointer is not signed by the recovery identity");
    } else {
        tl_holder_hear(h, o);
        tl_err e = h->world->hold_pointer(h->user, &op->peer, recovery, item);
        if (e == TL_ERR_BUSY)
            refuse(op, TL_TALK_FULL, "this node keeps as many pointers for others as it may");
        else if (e == TL_ERR_NOMEM)
            refuse(op, TL_TALK_UNAVAILABLE, "this node is out of memory");
        else
            be_done(op);
    }
}

/* --- one request --- */

/* Whose work it is. A put makes an owner of who asks. */
static tl_held_owner *owner_of(tl_holder *h, const tl_node_id *peer, const tl_talk *m)
{
    const tl_held *x = m->type == TL_TALK_GET ? tl_holder_find_for(h, peer, m->u.get) : NULL;
    if (m->type == TL_TALK_PUT)
        return tl_holder_need_owner(h, peer);
    return x ? x->owner : tl_holder_owner(h, peer);
}

bool tl_holder_begin(tl_holder *h, tl_holder_op *op, const tl_node_id *peer, const tl_talk *m)
{
    bool place = tl_holder_may_begin(h, peer, m);
    op->holder = h;
    op->peer = *peer;
    op->m = *m;
    op->begun = true;
    op->replied = op->awaits = op->waits = op->stranger = false;
    op->reserved = op->memory = 0;
    op->work = NULL;
    op->kind = tl_holder_kind_of(h, peer, m);
    DL_APPEND(h->ops, op);
    h->ops_n++;
    h->places[op->kind]++;
    if (!place || !tl_holder_may_work(h, op->kind, owner_of(h, peer, m), TL_HOLDER_COST)) {
        refuse_busy(op);
        return false;
    }
    switch (m->type) {
    case TL_TALK_PUT: return begin_put(op);
    case TL_TALK_GET: get(op); break;
    case TL_TALK_PROVE: prove(op); break;
    case TL_TALK_DELETE: drop_some(op); break;
    case TL_TALK_POINTER: point(op); break;
    default: refuse(op, TL_TALK_INVALID, "this is no request"); break;
    }
    return false;
}

void tl_holder_end(tl_holder_op *op)
{
    tl_holder *h = op->holder;
    if (!op->begun)
        return;
    op->begun = false;
    if (op->work)
        op->work->op = NULL;
    if (op->awaits)
        unreserve(h, &op->peer, op->stranger, op->reserved);
    tl_holder_free_memory(h, op->kind, op->memory);
    DL_DELETE(h->ops, op);
    h->ops_n--;
    h->places[op->kind]--;
}

/* The first whose peer's last answer was taken. */
static tl_holder_op *next_waiting(const tl_holder *h)
{
    tl_holder_op *op;
    DL_FOREACH (h->ops, op)
        if (op->waits && !tl_holder_memory_of(h, &op->peer))
            return op;
    return NULL;
}

void tl_holder_go_on(tl_holder *h)
{
    h->freed = false;
    for (tl_holder_op *op; (op = next_waiting(h));)
        get(op);
}
