/* Nodes whose bytes are counted. */
#include "relay/peerrelay_state.h"

#include <stdlib.h>
#include <utlist.h>

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
    while (r->payers_idle && now >= r->payers_idle->left + r->config.limits.burst)
        payer_free(r, r->payers_idle);
}

void tl_pr_clear(tl_peerrelay *r)
{
    while (r->payers_idle)
        payer_free(r, r->payers_idle);
}
