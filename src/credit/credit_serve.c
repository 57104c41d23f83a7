/* What this node answers: holds, charges, and the signatures that come for them. */
#include "credit/credit_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define OFFER_AHEAD 7200 /* seconds that the clock of who offers a charge may be ahead */

/* --- what was charged within a day --- */

static void drop_recent(tl_credit *c, tl_recent *r)
{
    HASH_DELETE(hh, c->recent, r);
    DL_DELETE(c->recent_by_age, r);
    free(r);
}

static void remember(tl_credit *c, const tl_request_key *key, tl_unix at)
{
    tl_recent *r;
    HASH_FIND(hh, c->recent, key, sizeof *key, r);
    if (r)
        return;
    if (HASH_COUNT(c->recent) >= TL_BOOK_RECENT_MAX)
        drop_recent(c, c->recent_by_age);
    if (!(r = calloc(1, sizeof *r))) /* the store's key still keeps it from being charged twice */
        return;
    r->key = *key;
    r->at = at;
    if (!TL_TABLE_ADD(hh, c->recent, key, sizeof r->key, r)) {
        free(r);
        return;
    }
    if (c->recent_by_age && at < c->recent_by_age->at)
        DL_PREPEND(c->recent_by_age, r); /* the store tells the newest first */
    else
        DL_APPEND(c->recent_by_age, r);
}

void tl_credit_on_loaded_served(tl_credit *c, const tl_node_id *peer, const char *request,
                                tl_unix at)
{
    tl_request_key key;
    tl_request_key_set(&key, peer, request);
    remember(c, &key, at);
}

static bool is_known(const tl_credit *c, const tl_request_key *key)
{
    tl_recent *r;
    tl_credit_served *s;
    HASH_FIND(hh, c->serving, key, sizeof *key, s);
    HASH_FIND(hh, c->recent, key, sizeof *key, r);
    return s || (r && r->at > c->env.wall(c->env.user) - TL_BOOK_DAY);
}

/* --- holding --- */

static tl_err judge_unsigned(const tl_credit *c, const tl_account *a, tl_why *why)
{
    tl_time waited = tl_env_now(&c->env) - a->signed_at;
    if (a->unsigned_n < TL_CREDIT_UNSIGNED_MAX ||
        (a->unsigned_n < TL_CREDIT_UNSIGNED_EVER && waited <= TL_CREDIT_SIGN_WITHIN))
        return TL_OK;
    return tl_why_set(why, TL_ERR_FORBIDDEN,
                      "%u answers to this node are not signed for: connect to it until it has "
                      "signed their receipts",
                      a->unsigned_n);
}

static tl_err hold(tl_credit *c, tl_account *a, const tl_credit_question *q, int64_t *ret_held,
                   tl_why *why)
{
    int64_t amount, limit = tl_credit_limit_of(c, &a->id);
    if (tl_ledger_amount(tl_ledger_prompt_tokens(q->body_bytes),
                         tl_ledger_answer_tokens(q->max_tokens), q->price, &amount))
        return tl_why_set(why, TL_ERR_FORBIDDEN, "this question costs more than can be counted");
    tl_err e = tl_ledger_hold(&a->sums, amount, limit);
    if (e) {
        int64_t owed = tl_ledger_balance(&a->sums);
        return tl_why_set(
            why, TL_ERR_FORBIDDEN,
            "this question may cost %" PRId64 " micro-credits, and of its credit of %" PRId64
            " the asker has %" PRId64 " left: settle what is owed, or ask for fewer tokens",
            amount, limit, owed + a->sums.held > limit ? 0 : limit - owed - a->sums.held);
    }
    *ret_held = amount;
    return TL_OK;
}

static void free_served(tl_credit_served *s)
{
    assert(s->over && s->pending == 0 && !s->retry_at);
    s->account->open--;
    free(s);
}

/* The handle is gone: nothing more is held. */
static void settle_hold(tl_credit_served *s)
{
    tl_ledger_release(&s->account->sums, s->held);
    s->held = 0;
    HASH_DELETE(hh, s->credit->serving, s);
}

static bool submit_begin(tl_credit_served *s, tl_book_what what,
                         void (*done)(tl_book_op *op, tl_err e))
{
    tl_book_op *op = tl_book_op_new(what);
    if (op)
        op->entry = s->entry;
    bool ok = tl_credit_submit(s->credit, op, done, s);
    s->pending += ok;
    return ok;
}

/* False: the handle is gone, and perhaps `s` with it. */
static bool answers_begin(tl_credit_served *s, tl_book_op *op, tl_err e)
{
    s->is_known = s->is_known || e == TL_ERR_EXISTS;
    s->pending--;
    tl_book_op_free(op);
    if (!s->over)
        return true;
    if (!s->pending && !s->retry_at)
        free_served(s);
    return false;
}

static void begin_done(tl_book_op *op, tl_err e)
{
    tl_credit_served *s = op->user;
    tl_credit_note_disk(s->credit, e);
    (void)answers_begin(s, op, e);
}

static void known_done(tl_book_op *op, tl_err e)
{
    tl_credit_served *s = op->user;
    if (!answers_begin(s, op, e))
        return;
    s->is_unsure = e != TL_OK && e != TL_ERR_EXISTS;
    /* Without it the charge makes the entry; a crash before that leaves no hold to void. */
    s->is_entered = e == TL_OK && submit_begin(s, TL_BOOK_BEGIN, begin_done);
    s->begun = true;
    if (s->on_begun)
        s->on_begun(s->user);
}

static tl_credit_served *new_served(tl_credit *c, tl_account *a, const tl_request_key *key,
                                    const tl_credit_question *q, int64_t held)
{
    tl_credit_served *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->key = *key;
    s->credit = c;
    s->account = a;
    s->held = held;
    s->begun = q->price == 0;
    s->on_begun = q->on_begun;
    s->user = q->user;
    s->cap = (tl_tokens){tl_ledger_prompt_most(q->body_bytes), tl_ledger_cap_tokens(q->max_tokens)};
    s->entry = (tl_ledger_entry){.role = TL_LEDGER_SERVED,
                                 .peer = q->peer,
                                 .has_network = q->has_network,
                                 .network = q->network,
                                 .at = c->env.wall(c->env.user),
                                 .price = q->price,
                                 .held = held};
    snprintf(s->entry.request, sizeof s->entry.request, "%s", q->request);
    snprintf(s->entry.model, sizeof s->entry.model, "%s", q->model);
    if (tl_order_is(q->order))
        snprintf(s->entry.order, sizeof s->entry.order, "%s", q->order);
    if (!TL_TABLE_ADD(hh, c->serving, key, sizeof s->key, s)) {
        free(s);
        return NULL;
    }
    a->open++;
    return s;
}

/* Of a question at no price the store learns when it is charged: there is nothing to hold. At a price
 * the answer waits for the word that the question is new, and not for the disk. */
static bool begin(tl_credit_served *s)
{
    return !s->entry.price || submit_begin(s, TL_BOOK_KNOWN, known_done);
}

tl_err tl_credit_serve(tl_credit *c, const tl_credit_question *q, tl_credit_served **ret_served,
                       tl_why *why)
{
    tl_request_key key;
    int64_t held = 0;
    tl_request_key_set(&key, &q->peer, q->request);
    if (is_known(c, &key)) {
        c->counters.duplicates++;
        return tl_why_set(why, TL_ERR_EXISTS,
                          "this node has a request with the ID %s from this asker already",
                          q->request);
    }
    tl_account *a = tl_account_get(c, &q->peer, tl_credit_places_for(c, &q->peer));
    if (!a) {
        c->counters.refused++;
        return tl_why_set(why, TL_ERR_BUSY,
                          "this node has accounts with as many strangers as it keeps: ask another "
                          "node, or join a network of this one");
    }
    if (q->price > 0 && !q->has_network && !tl_credit_has_room(c, a)) {
        c->counters.refused++;
        tl_credit_prune(c, a);
        return tl_why_set(
            why, TL_ERR_BUSY, "this node's ledger has as many paid questions of %s as it keeps: %s",
            a->paid_n < TL_BOOK_PAID_OF ? "strangers" : "this asker",
            a->paid_n < TL_BOOK_PAID_OF ? "ask another node, or join a network of this one"
                                        : "settle what is owed, and ask again a day later");
    }
    if (c->disk_fails && q->price > 0)
        return tl_why_set(why, TL_ERR_IO, "this node's disk takes nothing: it cannot charge");
    tl_err e = judge_unsigned(c, a, why);
    if (!e)
        e = hold(c, a, q, &held, why);
    if (e) {
        c->counters.refused++;
        return e;
    }
    tl_credit_served *s = new_served(c, a, &key, q, held);
    if (!s || !begin(s)) {
        tl_ledger_release(&a->sums, held);
        if (s) {
            HASH_DELETE(hh, c->serving, s);
            a->open--;
            free(s);
        }
        return tl_why_set(why, TL_ERR_NOMEM, "this node is out of memory");
    }
    *ret_served = s;
    tl_credit_prune(c, a);
    return TL_OK;
}

/* A model server may tell of more than it was asked for. */
static tl_tokens within_cap(const tl_credit_served *s, tl_tokens t)
{
    return tl_ledger_least(t, s->cap);
}

bool tl_credit_delivered(tl_credit_served *s, tl_tokens told)
{
    tl_tokens tokens = within_cap(s, told);
    tl_ledger_sums *sums = &s->account->sums;
    int64_t now, more, limit;
    if (s->is_known || s->is_unsure ||
        tl_ledger_amount(tokens.in, tokens.out, s->entry.price, &now))
        return false;
    if (now <= s->held)
        return true;
    limit = tl_credit_limit_of(s->credit, &s->account->id);
    if (!tl_ledger_amount(tokens.in, tokens.out + TL_CREDIT_GROW, s->entry.price, &more) &&
        !tl_ledger_hold(sums, more - s->held, limit))
        s->held = more;
    else if (!tl_ledger_hold(sums, now - s->held, limit))
        s->held = now;
    return now <= s->held;
}

bool tl_credit_begun(const tl_credit_served *s)
{
    return s->begun;
}

bool tl_credit_is_known(const tl_credit_served *s)
{
    return s->is_known;
}

bool tl_credit_is_unsure(const tl_credit_served *s)
{
    return s->is_unsure;
}

/* --- charging --- */

static void post(tl_credit_served *s);

static void retry_later(tl_credit_served *s)
{
    tl_credit *c = s->credit;
    if (c->retries_n >= TL_CREDIT_RETRIES_MAX) {
        c->counters.lost++;
        settle_hold(s);
        free_served(s);
        return;
    }
    s->retry_at = tl_env_now(&c->env) + TL_CREDIT_RETRY_EVERY;
    DL_APPEND(c->retries, s);
    c->retries_n++;
    tl_credit_due(c, s->retry_at);
}

static void on_posted(tl_credit_served *s, const tl_ledger_entry *e)
{
    tl_credit *c = s->credit;
    tl_account *a = s->account;
    c->counters.charged++;
    if (tl_ledger_count(&a->sums, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, e->receipt.amount))
        c->counters.lost++; /* the store's own bound is the same: it would have refused */
    if (e->receipt.amount && !e->has_network)
        tl_credit_count_paid(a);
    if (a->unsigned_n++ == 0)
        a->signed_at = tl_env_now(&c->env);
    tl_credit_say_new_claim(a, e);
}

static void post_done(tl_book_op *op, tl_err e)
{
    tl_credit_served *s = op->user;
    tl_credit *c = s->credit;
    tl_credit_note_disk(c, e);
    s->pending--;
    if (e == TL_OK || e == TL_ERR_EXISTS) {
        remember(c, &s->key, s->entry.at);
        settle_hold(s);
        if (e == TL_OK)
            on_posted(s, &op->entry);
        else
            c->counters.duplicates++;
        free_served(s);
    } else if (e == TL_ERR_IO || e == TL_ERR_BUSY || e == TL_ERR_NOMEM) {
        retry_later(s);
    } else { /* the store closes, or its rules refuse the charge */
        c->counters.lost++;
        settle_hold(s);
        free_served(s);
    }
    tl_book_op_free(op);
}

static void post(tl_credit_served *s)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_POST);
    if (op) {
        op->entry = s->entry;
        op->entry.receipt = s->claim;
    }
    s->pending++;
    if (tl_credit_submit(s->credit, op, post_done, s))
        return;
    s->pending--;
    retry_later(s);
}

void tl_credit_charge(tl_credit_served *s, tl_tokens told)
{
    tl_tokens tokens = within_cap(s, told);
    tl_credit *c = s->credit;
    int64_t amount;
    if (s->is_known || s->is_unsure ||
        tl_ledger_amount(tokens.in, tokens.out, s->entry.price, &amount)) {
        tl_credit_waive(s);
        return;
    }
    /* What was delivered is held until it is posted, also where it is a little more than was held
     * before: the last words of an answer may tell of more tokens than were counted. */
    s->account->sums.held += amount - s->held;
    s->held = amount;
    s->over = true;
    s->claim = (tl_receipt){.consumer = s->entry.peer,
                            .provider = c->identity->id,
                            .has_network = s->entry.has_network,
                            .network = s->entry.network,
                            .tokens_in = tokens.in,
                            .tokens_out = tokens.out,
                            .amount = amount,
                            .at = c->env.wall(c->env.user)};
    memcpy(s->claim.request, s->entry.request, sizeof s->claim.request);
    memcpy(s->claim.model, s->entry.model, sizeof s->claim.model);
    post(s);
}

static void void_done(tl_book_op *op, tl_err e)
{
    tl_credit_served *s = op->user;
    tl_credit_note_disk(s->credit, e); /* a hold that stays is voided at the next start */
    s->pending--;
    tl_book_op_free(op);
    if (!s->pending)
        free_served(s);
}

void tl_credit_waive(tl_credit_served *s)
{
    tl_book_op *op = s->is_entered ? tl_book_op_new(TL_BOOK_VOID) : NULL;
    s->credit->counters.waived++;
    s->over = true;
    settle_hold(s);
    if (op) {
        op->entry.peer = s->entry.peer;
        memcpy(op->entry.request, s->entry.request, sizeof op->entry.request);
    }
    s->pending++;
    if (tl_credit_submit(s->credit, op, void_done, s))
        return;
    s->pending--;
    if (!s->pending)
        free_served(s);
}

void tl_credit_retry(tl_credit *c, tl_time now)
{
    tl_credit_served *s, *next;
    tl_credit_served *due = NULL;
    DL_FOREACH_SAFE (c->retries, s, next) {
        if (now < s->retry_at) {
            tl_credit_due(c, s->retry_at);
            continue;
        }
        DL_DELETE(c->retries, s);
        c->retries_n--;
        s->retry_at = 0;
        DL_APPEND(due, s);
    }
    DL_FOREACH_SAFE (due, s, next) {
        DL_DELETE(due, s);
        post(s);
    }
}

void tl_credit_remember(tl_credit *c, const tl_node_id *peer, const char *request, tl_unix at)
{
    tl_request_key key;
    tl_request_key_set(&key, peer, request);
    remember(c, &key, at);
}

/* --- signatures --- */

static void answered(tl_account *a)
{
    a->at_once--;
    a->open--;
    tl_credit_on_answered(a);
}

static void sign_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    tl_credit *c = a->credit;
    if (e == TL_OK) {
        c->counters.signed_in++;
        if (a->unsigned_n) /* an account that made room and came again knows of none */
            a->unsigned_n--;
        a->signed_at = tl_env_now(&c->env);
        a->graced = false;
        a->known = true;
        tl_credit_on_signed(a);
    } else if (e == TL_ERR_AUTH || e == TL_ERR_NOT_FOUND) {
        c->counters.malformed++;
    }
    tl_book_op_free(op);
    answered(a);
}

void tl_credit_on_signature(tl_credit *c, tl_account *a, const tl_receipt *r)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_SIGN);
    if (op)
        op->entry.receipt = *r;
    if (!tl_credit_submit(c, op, sign_done, a))
        return;
    a->at_once++;
    a->open++;
}

static void adopt_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    tl_credit *c = a->credit;
    const tl_receipt *r = &op->entry.receipt;
    tl_request_key key;
    json_t *receipt;
    a->at_once--;
    a->open--;
    tl_ledger_release(&a->sums, op->held);
    bool is_new = e == TL_OK && op->claim != TL_CLAIM_AGAIN;
    if (is_new) {
        c->counters.adopted++;
        tl_request_key_set(&key, &a->id, r->request);
        remember(c, &key, r->at);
        if (r->amount && !r->has_network)
            tl_credit_count_paid(a);
        (void)!tl_ledger_count(&a->sums, TL_LEDGER_QUESTION, TL_LEDGER_SERVED, r->amount);
    } else {
        a->adopted--;
        c->counters.malformed += e == TL_ERR_AUTH;
    }
    if (!e && !tl_receipt_write(r, &receipt))
        (void)!tl_credit_say_receipt(a, json_pack("{s:o}", "receipt", receipt));
    tl_book_op_free(op);
}

/* A receipt that its consumer wrote alone tells of a question that this node can have answered: no more
 * than it lets this peer owe, which the caller holds; lately; and for a network only where the peer is
 * a member of that one. */
static bool may_have_been_served(const tl_credit *c, const tl_account *a, const tl_receipt *r)
{
    tl_unix now = c->env.wall(c->env.user);
    return r->at <= now + OFFER_AHEAD && r->at > now - TL_BOOK_OWED_DAYS * TL_BOOK_DAY &&
           (!r->has_network || c->world.is_member(c->user, &a->id, &r->network));
}

void tl_credit_on_offer(tl_credit *c, tl_account *a, const tl_receipt *r)
{
    tl_request_key key;
    tl_credit_served *s;
    tl_request_key_set(&key, &a->id, r->request);
    HASH_FIND(hh, c->serving, &key, sizeof key, s);
    if (s || !a->loaded || a->adopted >= TL_CREDIT_ADOPT_MAX)
        return; /* it is on its way to the disk, or nothing that this node can have lost */
    if (!may_have_been_served(c, a, r) ||
        tl_ledger_hold(&a->sums, r->amount, tl_credit_limit_of(c, &a->id))) {
        c->counters.malformed++;
        return;
    }
    tl_book_op *op = tl_book_op_new(TL_BOOK_ADOPT);
    if (op) {
        op->entry.receipt = *r;
        op->held = r->amount;
    }
    if (!tl_credit_submit(c, op, adopt_done, a)) {
        tl_ledger_release(&a->sums, r->amount);
        return;
    }
    a->adopted++;
    a->at_once++;
    a->open++;
}

static void refused_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    (void)e; /* the claim stays unsigned, and counts as such, in any case */
    tl_book_op_free(op);
    answered(a);
}

void tl_credit_on_refusal(tl_credit *c, tl_account *a, const char *request, const char *why)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_REFUSED);
    if (op) {
        op->entry.peer = a->id;
        snprintf(op->entry.request, sizeof op->entry.request, "%s", request);
        snprintf(op->why, sizeof op->why, "%s", why);
    }
    if (!tl_credit_submit(c, op, refused_done, a))
        return;
    a->at_once++;
    a->open++;
}

void tl_credit_clear_served(tl_credit *c)
{
    tl_credit_served *s, *next;
    DL_FOREACH_SAFE (c->retries, s, next) {
        s->retry_at = 0;
        DL_DELETE(c->retries, s);
    }
    while ((s = c->serving)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        HASH_DELETE(hh, c->serving, s);
        free(s);
    }
    while (c->recent)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left its list */
        drop_recent(c, c->recent);
}
