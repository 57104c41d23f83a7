/* Sources, nonces, and attached nodes. */
#include "relay/attached_state.h"

#include <stdlib.h>
#include <utlist.h>

/* --- sources --- */

static void key_of(const tl_addr *addr, uint8_t ret_key[9])
{
    tl_addr a = tl_addr_normal(*addr);
    memset(ret_key, 0, 9);
    ret_key[0] = (uint8_t)a.family;
    memcpy(ret_key + 1, a.bytes, a.family == TL_ADDR_V4 ? 4 : 8);
}

tl_attach_source *tl_attached_source(const tl_attached *t, const tl_addr *addr)
{
    uint8_t key[9];
    tl_attach_source *s;
    key_of(addr, key);
    HASH_FIND(hh, t->sources, key, sizeof key, s);
    return s;
}

static tl_attach_source *source_new(tl_attached *t, const tl_addr *addr, tl_time now)
{
    tl_attach_source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    key_of(addr, s->key);
    s->proofs = tl_ratelimit_make(TL_ATTACHED_PROOFS_PER_SEC, TL_ATTACHED_PROOFS_BURST, now);
    s->intros = tl_ratelimit_make(TL_ATTACHED_INTROS_PER_SEC, TL_ATTACHED_INTROS_BURST, now);
    if (!TL_TABLE_ADD(hh, t->sources, key, sizeof s->key, s)) {
        free(s);
        return NULL;
    }
    DL_APPEND(t->strangers, s);
    return s;
}

static void source_free(tl_attached *t, tl_attach_source *s)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->sources, s);
    free(s);
}

/* It is the youngest of those without attached nodes now. */
static void source_used(tl_attached *t, tl_attach_source *s, tl_time now)
{
    s->used = now;
    if (s->attached)
        return;
    DL_DELETE(t->strangers, s);
    DL_APPEND(t->strangers, s);
}

static void source_leave(tl_attached *t, tl_attach_source *s, tl_time now)
{
    if (--s->attached)
        return;
    s->used = now;
    DL_APPEND(t->strangers, s);
}

static void source_enter(tl_attached *t, tl_attach_source *s)
{
    if (s->attached++ == 0)
        DL_DELETE(t->strangers, s);
}

tl_asked tl_attached_may_prove(tl_attached *t, const tl_addr *from, bool proven, tl_time now,
                               tl_attach_source **ret_source)
{
    tl_attach_source *s = tl_attached_source(t, from);
    bool known = proven || (s && s->attached);
    /* Its own share comes first: one who floods uses up his own, and not that of all. */
    if (s && !tl_ratelimit_take(&s->proofs, 1, now))
        return TL_ASKED_RATE;
    if (!tl_ratelimit_take(known ? &t->known_proofs : &t->stranger_proofs, 1, now))
        return known ? TL_ASKED_RATE : TL_ASKED_UNPROVEN;
    if (!s) {
        s = source_new(t, from, now);
        if (!s)
            return TL_ASKED_MEMORY;
        (void)tl_ratelimit_take(&s->proofs, 1, now);
    }
    source_used(t, s, now);
    *ret_source = s;
    return TL_ASKED_TAKEN;
}

/* --- nonces --- */

static void nonce_key(const uint8_t *signer, const uint8_t *nonce, uint8_t *ret_key)
{
    memcpy(ret_key, signer, TL_CONTROL_ID_SIZE);
    memcpy(ret_key + TL_CONTROL_ID_SIZE, nonce, TL_CONTROL_NONCE_SIZE);
}

bool tl_attached_knows_nonce(const tl_attached *t, const uint8_t *signer, const uint8_t *nonce)
{
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE];
    const tl_seen_nonce *found;
    nonce_key(signer, nonce, key);
    HASH_FIND(hh, t->nonces, key, sizeof key, found);
    return found != NULL;
}

bool tl_attached_keep_nonce(tl_attached *t, const uint8_t *signer, const uint8_t *nonce,
                            tl_time now)
{
    tl_seen_nonce *n = HASH_COUNT(t->nonces) < TL_ATTACHED_NONCES_MAX ? calloc(1, sizeof *n) : NULL;
    if (!n)
        return false;
    nonce_key(signer, nonce, n->key);
    n->until = now + TL_CONTROL_NONCE_KEPT * TL_SEC;
    if (!TL_TABLE_ADD(hh, t->nonces, key, sizeof n->key, n)) {
        free(n);
        return false;
    }
    if (t->nonces_last)
        t->nonces_last->next = n;
    else
        t->nonces_first = n;
    t->nonces_last = n;
    return true;
}

static void forget_nonce(tl_attached *t)
{
    tl_seen_nonce *n = t->nonces_first;
    t->nonces_first = n->next;
    if (!n->next)
        t->nonces_last = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->nonces, n);
    free(n);
}

/* --- attached nodes --- */

tl_attached_node *tl_attached_node_of(const tl_attached *t, const tl_node_id *id)
{
    tl_attached_node *a;
    HASH_FIND(hh, t->nodes, id, sizeof *id, a);
    return a;
}

static tl_attached_node *node_new(tl_attached *t, const tl_node_id *id, tl_time now)
{
    tl_attached_node *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->id = *id;
    a->sought = tl_ratelimit_make(TL_ATTACHED_SOUGHT_PER_SEC, TL_ATTACHED_SOUGHT_BURST, now);
    if (!TL_TABLE_ADD(hh, t->nodes, id, sizeof a->id, a)) {
        free(a);
        return NULL;
    }
    t->counters.attached++;
    t->counters.unproven++;
    return a;
}

static void set_proven(tl_attached *t, tl_attached_node *a, bool proven)
{
    t->counters.unproven -= !a->proven;
    t->counters.unproven += !proven;
    a->proven = proven;
}

tl_asked tl_attached_put(tl_attached *t, const tl_node_id *id, const tl_burst_way *way,
                         tl_attach_source *source, bool proven, uint64_t timestamp, tl_time now)
{
    tl_attached_node *a = tl_attached_node_of(t, id);
    tl_asked result = a ? TL_ASKED_AGAIN : TL_ASKED_TAKEN;
    if (a) {
        DL_DELETE(t->first, a);
        if (a->source != source) {
            source_leave(t, a->source, now);
            source_enter(t, source);
        }
    } else {
        a = node_new(t, id, now);
        if (!a)
            return TL_ASKED_MEMORY;
        source_enter(t, source);
    }
    set_proven(t, a, proven || (a->proven && tl_addr_eq(&a->way.remote, &way->remote)));
    a->source = source;
    a->way = *way;
    a->timestamp = timestamp;
    a->until = now + TL_ATTACHED_KEPT;
    DL_APPEND(t->first, a);
    return result;
}

void tl_attached_drop(tl_attached *t, tl_attached_node *a, tl_time now)
{
    set_proven(t, a, true);
    source_leave(t, a->source, now);
    DL_DELETE(t->first, a);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, t->nodes, a);
    free(a);
    t->counters.attached--;
}

/* --- time --- */

void tl_attached_sweep(tl_attached *t, tl_time now)
{
    tl_time refill = TL_ATTACHED_PROOFS_BURST / TL_ATTACHED_PROOFS_PER_SEC * TL_SEC;
    while (t->nonces_first && now >= t->nonces_first->until)
        forget_nonce(t);
    while (t->first && now >= t->first->until)
        tl_attached_drop(t, t->first, now);
    while (t->strangers && now >= t->strangers->used + refill) {
        tl_attach_source *s = t->strangers;
        DL_DELETE(t->strangers, s);
        source_free(t, s);
    }
}

void tl_attached_clear(tl_attached *t)
{
    while (t->nonces_first)
        forget_nonce(t);
    while (t->first)
        tl_attached_drop(t, t->first, 0);
    while (t->strangers) {
        tl_attach_source *s = t->strangers;
        DL_DELETE(t->strangers, s);
        source_free(t, s);
    }
}
