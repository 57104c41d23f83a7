/* Sources, nonces, attached nodes, and nodes whose bytes are counted. */
#include "relay/peerrelay_state.h"

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

pr_source *tl_pr_source_find(tl_peerrelay *r, const tl_addr *addr)
{
    uint8_t key[9];
    pr_source *s;
    key_of(addr, key);
    HASH_FIND(hh, r->sources, key, sizeof key, s);
    return s;
}

static pr_source *source_new(tl_peerrelay *r, const tl_addr *addr, tl_time now)
{
    pr_source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    key_of(addr, s->key);
    s->proofs = tl_ratelimit_make(TL_PEERRELAY_PROOFS_PER_SEC, TL_PEERRELAY_PROOFS_BURST, now);
    if (!TL_TABLE_ADD(hh, r->sources, key, sizeof s->key, s)) {
        free(s);
        return NULL;
    }
    DL_APPEND(r->strangers, s);
    return s;
}

static void source_free(tl_peerrelay *r, pr_source *s)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, r->sources, s);
    free(s);
}

/* It is the youngest of those without attached nodes now. */
static void source_used(tl_peerrelay *r, pr_source *s, tl_time now)
{
    s->used = now;
    if (s->attached)
        return;
    DL_DELETE(r->strangers, s);
    DL_APPEND(r->strangers, s);
}

static void source_leave(tl_peerrelay *r, pr_source *s, tl_time now)
{
    if (--s->attached)
        return;
    s->used = now;
    DL_APPEND(r->strangers, s);
}

static void source_enter(tl_peerrelay *r, pr_source *s)
{
    if (s->attached++ == 0)
        DL_DELETE(r->strangers, s);
}

tl_peerrelay_result tl_pr_may_prove(tl_peerrelay *r, const tl_addr *from, tl_time now,
                                    pr_source **ret_source)
{
    pr_source *s = tl_pr_source_find(r, from);
    bool known = s && s->attached;
    /* Its own share comes first: one who floods uses up his own, and not that of all. */
    if (s && !tl_ratelimit_take(&s->proofs, 1, now))
        return TL_PEERRELAY_RATE;
    if (!tl_ratelimit_take(known ? &r->known_proofs : &r->stranger_proofs, 1, now))
        return TL_PEERRELAY_RATE;
    if (!s) {
        s = source_new(r, from, now);
        if (!s)
            return TL_PEERRELAY_MEMORY;
        (void)tl_ratelimit_take(&s->proofs, 1, now);
    }
    source_used(r, s, now);
    *ret_source = s;
    return TL_PEERRELAY_TAKEN;
}

/* --- nonces --- */

static void nonce_key(const uint8_t *signer, const uint8_t *nonce, uint8_t *ret_key)
{
    memcpy(ret_key, signer, TL_CONTROL_ID_SIZE);
    memcpy(ret_key + TL_CONTROL_ID_SIZE, nonce, TL_CONTROL_NONCE_SIZE);
}

bool tl_pr_nonce_is_known(tl_peerrelay *r, const uint8_t *signer, const uint8_t *nonce)
{
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE];
    const pr_nonce *found;
    nonce_key(signer, nonce, key);
    HASH_FIND(hh, r->nonces, key, sizeof key, found);
    return found != NULL;
}

bool tl_pr_nonce_keep(tl_peerrelay *r, const uint8_t *signer, const uint8_t *nonce, tl_time now)
{
    pr_nonce *n = HASH_COUNT(r->nonces) < TL_PEERRELAY_NONCES_MAX ? calloc(1, sizeof *n) : NULL;
    if (!n)
        return false;
    nonce_key(signer, nonce, n->key);
    n->until = now + TL_CONTROL_NONCE_KEPT * TL_SEC;
    if (!TL_TABLE_ADD(hh, r->nonces, key, sizeof n->key, n)) {
        free(n);
        return false;
    }
    if (r->nonces_last)
        r->nonces_last->next = n;
    else
        r->nonces_first = n;
    r->nonces_last = n;
    return true;
}

static void forget_nonce(tl_peerrelay *r)
{
    pr_nonce *n = r->nonces_first;
    r->nonces_first = n->next;
    if (!n->next)
        r->nonces_last = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, r->nonces, n);
    free(n);
}

/* --- attached nodes --- */

pr_attached *tl_pr_attached_find(const tl_peerrelay *r, const tl_node_id *id)
{
    pr_attached *a;
    HASH_FIND(hh, r->attached, id, sizeof *id, a);
    return a;
}

static pr_attached *attached_new(tl_peerrelay *r, const tl_node_id *id)
{
    pr_attached *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->id = *id;
    if (!TL_TABLE_ADD(hh, r->attached, id, sizeof a->id, a)) {
        free(a);
        return NULL;
    }
    r->counters.attached++;
    return a;
}

tl_peerrelay_result tl_pr_attach(tl_peerrelay *r, const tl_node_id *id, const tl_burst_way *way,
                                 pr_source *source, uint64_t timestamp, tl_time now)
{
    pr_attached *a = tl_pr_attached_find(r, id);
    tl_peerrelay_result result = a ? TL_PEERRELAY_AGAIN : TL_PEERRELAY_TAKEN;
    if (a) {
        DL_DELETE(r->attached_first, a);
        if (a->source != source) {
            source_leave(r, a->source, now);
            source_enter(r, source);
        }
    } else {
        a = attached_new(r, id);
        if (!a)
            return TL_PEERRELAY_MEMORY;
        source_enter(r, source);
    }
    a->source = source;
    a->way = *way;
    a->timestamp = timestamp;
    a->until = now + TL_PEERRELAY_ATTACHED_KEPT;
    DL_APPEND(r->attached_first, a);
    return result;
}

void tl_pr_detach(tl_peerrelay *r, pr_attached *a, tl_time now)
{
    source_leave(r, a->source, now);
    DL_DELETE(r->attached_first, a);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, r->attached, a);
    free(a);
    r->counters.attached--;
}

bool tl_peerrelay_is_attached(const tl_peerrelay *r, const tl_node_id *node, tl_time *ret_until)
{
    const pr_attached *a = tl_pr_attached_find(r, node);
    if (a)
        *ret_until = a->until;
    return a != NULL;
}

/* --- nodes whose bytes are counted --- */

static pr_payer *payer_new(tl_peerrelay *r, const tl_node_id *id, uint64_t rate, tl_time now)
{
    pr_payer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->id = *id;
    p->rate = rate;
    p->limit = tl_limit_make(rate, r->config.limits.burst, now);
    if (p->limit.bucket.tokens > TL_PEERRELAY_FIRST_BYTES)
        p->limit.bucket.tokens = TL_PEERRELAY_FIRST_BYTES;
    if (!TL_TABLE_ADD(hh, r->payers, id, sizeof p->id, p)) {
        free(p);
        return NULL;
    }
    return p;
}

void tl_pr_payer_set_rate(tl_peerrelay *r, pr_payer *p, uint64_t rate, tl_time now)
{
    if (p->rate == rate)
        return;
    p->rate = rate;
    tl_limit_set(&p->limit, rate, r->config.limits.burst, now);
}

pr_payer *tl_pr_payer_get(tl_peerrelay *r, const tl_node_id *id, uint64_t rate, tl_time now)
{
    pr_payer *p;
    HASH_FIND(hh, r->payers, id, sizeof *id, p);
    if (!p)
        p = payer_new(r, id, rate, now);
    else if (!p->sessions)
        DL_DELETE(r->payers_idle, p);
    if (!p)
        return NULL;
    p->sessions++;
    tl_pr_payer_set_rate(r, p, rate, now);
    return p;
}

void tl_pr_payer_put(tl_peerrelay *r, pr_payer *p, tl_time now)
{
    if (--p->sessions)
        return;
    p->left = now;
    DL_APPEND(r->payers_idle, p);
}

static void payer_free(tl_peerrelay *r, pr_payer *p)
{
    DL_DELETE(r->payers_idle, p);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, r->payers, p);
    free(p);
}

/* --- time --- */

void tl_pr_sweep(tl_peerrelay *r, tl_time now)
{
    while (r->nonces_first && now >= r->nonces_first->until)
        forget_nonce(r);
    while (r->attached_first && now >= r->attached_first->until)
        tl_pr_detach(r, r->attached_first, now);
    while (r->payers_idle && now >= r->payers_idle->left + r->config.limits.burst)
        payer_free(r, r->payers_idle);
    tl_time refill = TL_PEERRELAY_PROOFS_BURST / TL_PEERRELAY_PROOFS_PER_SEC * TL_SEC;
    while (r->strangers && now >= r->strangers->used + refill) {
        pr_source *s = r->strangers;
        DL_DELETE(r->strangers, s);
        source_free(r, s);
    }
}

void tl_pr_clear(tl_peerrelay *r)
{
    while (r->nonces_first)
        forget_nonce(r);
    while (r->attached_first)
        tl_pr_detach(r, r->attached_first, 0);
    while (r->payers_idle)
        payer_free(r, r->payers_idle);
    while (r->strangers) {
        pr_source *s = r->strangers;
        DL_DELETE(r->strangers, s);
        source_free(r, s);
    }
}
