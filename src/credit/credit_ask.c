/* What this node asks: what may be claimed for it, and the claims that are signed. */
#include "credit/credit_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

static void entry_done(tl_book_op *op, tl_err e)
{
    tl_credit *c = op->user;
    tl_credit_note_disk(c, e);
    tl_book_op_free(op);
}

/* --- what is over --- */

static tl_waiting *find_waiting(const tl_credit *c, const tl_request_key *key)
{
    tl_waiting *w;
    HASH_FIND(hh, c->waiting, key, sizeof *key, w);
    return w;
}

static void drop_waiting(tl_credit *c, tl_waiting *w)
{
    HASH_DELETE(hh, c->waiting, w);
    if (w->over) {
        DL_DELETE(c->unwritten, w);
        c->unwritten_n--;
    } else {
        DL_DELETE(c->waiting_by_age, w);
    }
    if (w->retry_at)
        tl_book_op_free(w->over);
    free(w);
}

/* --- asking --- */

static tl_ledger_entry entry_of(const tl_credit *c, const tl_credit_question *q)
{
    tl_ledger_entry e = {
        .role = TL_LEDGER_ASKED,
        .peer = q->peer,
        .has_network = q->has_network,
        .network = q->network,
        .at = c->env.wall(c->env.user),
        .price = q->price,
        .cap = {tl_ledger_prompt_most(q->body_bytes), tl_ledger_cap_tokens(q->max_tokens)}};
    snprintf(e.request, sizeof e.request, "%s", q->request);
    snprintf(e.model, sizeof e.model, "%s", q->model);
    if (tl_ledger_amount(tl_ledger_prompt_tokens(q->body_bytes),
                         tl_ledger_answer_tokens(q->max_tokens), q->price, &e.held))
        e.held = TL_MONEY_MAX;
    return e;
}

static void write_order(const tl_credit *c, const tl_ledger_entry *e, char ret[TL_ORDER_MAX])
{
    tl_order o = {.request = e->request,
                  .provider = e->peer,
                  .has_network = e->has_network,
                  .network = e->network,
                  .model = e->model,
                  .price = e->price,
                  .cap_in = e->cap.in,
                  .cap_out = e->cap.out,
                  .at = e->at};
    tl_order_write(&o, &c->order_key, ret);
}

tl_err tl_credit_ask(tl_credit *c, const tl_credit_question *q, char ret_order[TL_ORDER_MAX],
                     tl_credit_asked **ret_asked)
{
    tl_request_key key;
    tl_credit_asked *a;
    tl_request_key_set(&key, &q->peer, q->request);
    HASH_FIND(hh, c->asking, &key, sizeof key, a);
    if (a)
        return TL_ERR_BUSY; /* of one request, one question to a peer at a time */
    if (q->price && c->disk_fails)
        return TL_ERR_IO; /* if it fails, its row alone would say so after a restart */
    if (q->price && c->unwritten_n >= TL_CREDIT_WAITING_MAX)
        return TL_ERR_BUSY; /* one more end could not be remembered */
    tl_account *account = tl_account_get(c, &q->peer, TL_CREDIT_PEERS_MAX);
    if (!account)
        return TL_ERR_BUSY;
    if (!(a = calloc(1, sizeof *a)))
        return TL_ERR_NOMEM;
    a->key = key;
    a->credit = c;
    a->account = account;
    a->entry = entry_of(c, q);
    a->prompt = tl_ledger_prompt_tokens(q->body_bytes);
    if (!TL_TABLE_ADD(hh, c->asking, key, sizeof a->key, a)) {
        free(a);
        return TL_ERR_NOMEM;
    }
    account->open++;
    tl_waiting *before = find_waiting(c, &key);
    if (q->price && before && before->over)
        drop_waiting(c, before); /* the end of this question is written in its place */
    write_order(c, &a->entry, ret_order);
    /* At no price the store learns of it with the claim, which brings the order back. */
    tl_book_op *op = q->price ? tl_book_op_new(TL_BOOK_BEGIN) : NULL;
    if (op)
        op->entry = a->entry;
    (void)!tl_credit_submit(c, op, entry_done, c); /* else the order alone tells of it */
    *ret_asked = a;
    tl_credit_prune(c, account);
    return TL_OK;
}

/* --- the end of an answer --- */

static void lapse(tl_credit *c, tl_waiting *w)
{
    tl_book_op *op = w->is_free ? NULL : tl_book_op_new(TL_BOOK_LAPSE);
    if (op) {
        op->entry.peer = w->key.peer;
        memcpy(op->entry.request, w->key.request, sizeof op->entry.request);
    }
    (void)!tl_credit_submit(c, op, entry_done, c); /* the next start voids what stays held */
    drop_waiting(c, w);
}

static void wait_for_claim(tl_credit *c, tl_waiting *w)
{
    if (HASH_COUNT(c->waiting) - c->unwritten_n > TL_CREDIT_WAITING_MAX)
        lapse(c, c->waiting_by_age);
    w->until = tl_env_now(&c->env) + TL_CREDIT_CLAIM_WITHIN;
    DL_APPEND(c->waiting_by_age, w);
    tl_credit_due(c, w->until);
}

static bool is_nothing(tl_tokens cap)
{
    return cap.in == 0 && cap.out == 0;
}

static void leave_unwritten(tl_credit *c, tl_waiting *w)
{
    w->over = NULL;
    DL_DELETE(c->unwritten, w);
    c->unwritten_n--;
    wait_for_claim(c, w);
}

static void over_done(tl_book_op *op, tl_err e)
{
    tl_credit *c = op->user;
    tl_request_key key;
    tl_request_key_set(&key, &op->entry.peer, op->entry.request);
    tl_waiting *w = find_waiting(c, &key);
    bool is_refused = e == TL_ERR_IO || e == TL_ERR_BUSY || e == TL_ERR_NOMEM;
    tl_credit_note_disk(c, e);
    if (w && w->over == op && is_refused) {
        w->retry_at = tl_env_now(&c->env) + TL_CREDIT_RETRY_EVERY;
        tl_credit_due(c, w->retry_at);
        return;
    }
    if (w && w->over == op && is_nothing(w->cap))
        drop_waiting(c, w);
    else if (w && w->over == op)
        leave_unwritten(c, w);
    tl_book_op_free(op);
}

static void write_end(tl_credit *c, tl_waiting *w)
{
    w->retry_at = 0;
    if (!tl_credit_submit(c, w->over, over_done, c))
        leave_unwritten(c, w); /* out of memory: the next start voids what stays held */
}

void tl_credit_write_ends(tl_credit *c, tl_time now)
{
    tl_waiting *w, *next;
    DL_FOREACH_SAFE (c->unwritten, w, next) {
        if (w->retry_at && now >= w->retry_at)
            write_end(c, w);
        else if (w->retry_at)
            tl_credit_due(c, w->retry_at);
    }
}

/* What was seen is remembered until the store has it. Otherwise a claim would be judged by what was
 * ordered. */
static void note_end(tl_credit *c, const tl_credit_asked *a, tl_tokens cap, bool answered)
{
    bool is_free = !a->entry.price;
    tl_waiting *w = find_waiting(c, &a->key);
    if (is_free && w && w->over)
        return; /* the one at a price of this name comes first */
    if (w)
        drop_waiting(c, w);
    if (is_free && is_nothing(cap))
        return;
    tl_book_op *op = is_free ? NULL : tl_book_op_new(TL_BOOK_OVER);
    if (op) {
        op->entry = a->entry;
        op->entry.cap = cap;
        op->answered = answered;
    }
    w = calloc(1, sizeof *w);
    if (w) {
        w->key = a->key;
        w->is_free = is_free;
        w->cap = cap;
        w->over = op;
    }
    if (!w || !TL_TABLE_ADD(hh, c->waiting, key, sizeof w->key, w)) {
        free(w);
        (void)!tl_credit_submit(c, op, over_done, c);
        return;
    }
    if (!op) {
        wait_for_claim(c, w);
        return;
    }
    DL_APPEND(c->unwritten, w);
    c->unwritten_n++;
    write_end(c, w);
}

void tl_credit_end_waiting(tl_credit *c, tl_time now)
{
    while (c->waiting_by_age && now >= c->waiting_by_age->until)
        lapse(c, c->waiting_by_age);
    if (c->waiting_by_age)
        tl_credit_due(c, c->waiting_by_age->until);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What a claim may say, after what was seen. Whoever the provider is, beyond that it is paid for what can
 * have been on the way, and no more. */
static tl_tokens cap_of(const tl_credit_asked *a, tl_credit_end end, tl_tokens seen, tl_time silent)
{
    tl_tokens most = a->entry.cap;
    switch (end) {
    case TL_CREDIT_ANSWERED: /* the provider alone says what its `usage` is */
        return tl_ledger_least(seen, most);
    case TL_CREDIT_FAILED: return (tl_tokens){0, 0};
    case TL_CREDIT_UNSEEN: /* only the first words of an answer were on the way, and no `usage` */
        return (tl_tokens){a->prompt, least(TL_LEDGER_IN_FLIGHT, most.out)};
    case TL_CREDIT_GIVEN_UP: silent = 0; break;
    case TL_CREDIT_LOST: break;
    }
    int64_t way = tl_ledger_on_way(silent / TL_SEC);
    return (tl_tokens){most.in, seen.out < most.out - way ? seen.out + way : most.out};
}

static void submit_claim(tl_credit *c, tl_account *a, const tl_receipt *r, const char *order);

void tl_credit_over(tl_credit_asked *a, tl_credit_end end, tl_tokens seen, tl_time silent)
{
    tl_credit *c = a->credit;
    tl_tokens cap = cap_of(a, end, seen, silent);
    HASH_DELETE(hh, c->asking, a);
    note_end(c, a, cap, end == TL_CREDIT_ANSWERED);
    if (a->has_claim)
        submit_claim(c, a->account, &a->claim, a->claim_order);
    a->account->open--;
    free(a);
}

/* --- claims --- */

static void answer_claim(tl_credit *c, tl_account *a, const tl_book_op *op)
{
    const tl_receipt *r = &op->entry.receipt;
    json_t *receipt;
    if (op->claim != TL_CLAIM_OK && op->claim != TL_CLAIM_AGAIN) {
        c->counters.not_signed++;
        (void)!tl_credit_say_refusal(a, r->request, tl_claim_name(op->claim));
    } else if (!tl_receipt_write(r, &receipt)) {
        a->known = true;
        (void)!tl_credit_say_receipt(a, json_pack("{s:o}", "receipt", receipt));
    }
}

/* Where an order tells when the question was asked, that is the time, as in the ledger. */
static void note_served(const tl_credit *c, const tl_book_op *op)
{
    const tl_receipt *r = &op->entry.receipt;
    tl_unix now = c->env.wall(c->env.user);
    tl_unix at = op->has_order && op->entry.at < now ? op->entry.at : now;
    if (op->entered && c->world.on_served)
        c->world.on_served(c->user, &r->provider, r->tokens_in + r->tokens_out, at);
}

static void claim_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    tl_credit *c = a->credit;
    tl_request_key key;
    a->at_once--;
    a->open--;
    tl_credit_note_disk(c, e);
    if (e == TL_ERR_AUTH)
        c->counters.malformed++;
    if (e == TL_ERR_EXISTS || e == TL_ERR_INVALID) { /* the schema refused it */
        op->claim = TL_CLAIM_OTHER;
        e = TL_OK;
    }
    if (!e && op->claim == TL_CLAIM_OK) {
        c->counters.signed_out++;
        note_served(c, op);
        (void)!tl_ledger_count(&a->sums, TL_LEDGER_QUESTION, TL_LEDGER_ASKED,
                               op->entry.receipt.amount);
        tl_request_key_set(&key, &a->id, op->entry.receipt.request);
        tl_waiting *w = find_waiting(c, &key);
        if (w)
            drop_waiting(c, w);
    }
    if (!e)
        answer_claim(c, a, op); /* any other error: it comes again after the next hello */
    tl_book_op_free(op);
}

/* The question, as the order tells it. */
static bool read_order(const tl_credit *c, const tl_receipt *r, const char *text,
                       tl_ledger_entry *ret)
{
    tl_order o = {.request = r->request,
                  .provider = r->provider,
                  .has_network = r->has_network,
                  .network = r->network,
                  .model = r->model};
    if (!text[0] || tl_order_read(text, &c->order_key, &o))
        return false;
    if (o.price && o.at <= c->env.wall(c->env.user) - TL_BOOK_ORDER_DAYS * TL_BOOK_DAY)
        return false;
    *ret = (tl_ledger_entry){.role = TL_LEDGER_ASKED,
                             .peer = r->provider,
                             .has_network = r->has_network,
                             .network = r->network,
                             .at = o.at,
                             .price = o.price,
                             .cap = {o.cap_in, o.cap_out}};
    memcpy(ret->request, r->request, sizeof ret->request);
    memcpy(ret->model, r->model, sizeof ret->model);
    return true;
}

static void submit_claim(tl_credit *c, tl_account *a, const tl_receipt *r, const char *order)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_CLAIM);
    tl_request_key key;
    tl_request_key_set(&key, &a->id, r->request);
    const tl_waiting *w = find_waiting(c, &key);
    if (op) {
        op->has_order = read_order(c, r, order, &op->entry);
        op->waits = w != NULL;
        if (op->waits)
            op->entry.cap = w->cap; /* what was seen, and not what was ordered */
        op->entry.receipt = *r;
        op->entry.receipt.by_consumer = false; /* ours comes from here alone */
    }
    if (!tl_credit_submit(c, op, claim_done, a))
        return;
    a->at_once++;
    a->open++;
}

void tl_credit_on_claim(tl_credit *c, tl_account *a, const tl_receipt *r, const char *order)
{
    tl_request_key key;
    tl_credit_asked *q;
    tl_request_key_set(&key, &a->id, r->request);
    HASH_FIND(hh, c->asking, &key, sizeof key, q);
    if (!q) {
        submit_claim(c, a, r, order);
    } else if (!q->has_claim) { /* the answer's last bytes are still on the way to us */
        q->has_claim = true;
        q->claim = *r;
        snprintf(q->claim_order, sizeof q->claim_order, "%s", order);
    }
}

void tl_credit_clear_asked(tl_credit *c)
{
    tl_credit_asked *a;
    while ((a = c->asking)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        HASH_DELETE(hh, c->asking, a);
        free(a);
    }
    while (c->waiting)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        drop_waiting(c, c->waiting);
}
