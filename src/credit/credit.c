#include "credit/credit_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* Milliseconds. */
#define FREE_WAITS   100
#define MONEY_WAITS  20
#define AFTER_ANSWER 2 /* so the last bytes of the answer leave first */

#define FULL_FOR TL_SEC

tl_err tl_credit_new(const tl_env *env, tl_rand *rand, const tl_identity *identity,
                     const tl_credit_world *world, void *user, tl_credit **ret_credit)
{
    tl_credit *c = calloc(1, sizeof *c);
    if (!c)
        return TL_ERR_NOMEM;
    *c = (tl_credit){.env = *env,
                     .rand = rand,
                     .identity = identity,
                     .world = *world,
                     .user = user,
                     .due = TL_NEVER};
    tl_order_key_of(identity, &c->order_key);
    *ret_credit = c;
    return TL_OK;
}

static void drop_account(tl_credit *c, tl_account *a)
{
    tl_credit_forget_said(a);
    HASH_DELETE(hh, c->accounts, a);
    DL_DELETE(c->accounts_by_use, a);
    free(a);
}

void tl_credit_free(tl_credit *c)
{
    if (!c)
        return;
    tl_credit_clear_settling(c);
    tl_credit_clear_asked(c);
    tl_credit_clear_served(c);
    tl_credit_clear_names(c);
    while (c->accounts)
        drop_account(c, c->accounts);
    free(c);
}

void tl_credit_set_limits(tl_credit *c, const tl_credit_limits *limits)
{
    c->limits = *limits;
}

bool tl_credit_is_member(const tl_credit *c, const tl_node_id *peer)
{
    return c->world.is_member(c->user, peer, NULL);
}

size_t tl_credit_places_for(const tl_credit *c, const tl_node_id *peer)
{
    return tl_credit_is_member(c, peer) ? TL_CREDIT_PEERS_MAX : TL_CREDIT_STRANGERS_MAX;
}

int64_t tl_credit_limit_of(const tl_credit *c, const tl_node_id *peer)
{
    return tl_credit_is_member(c, peer) ? c->limits.member : c->limits.stranger;
}

const tl_credit_counters *tl_credit_counters_of(const tl_credit *c)
{
    return &c->counters;
}

void tl_request_key_set(tl_request_key *key, const tl_node_id *peer, const char *request)
{
    memset(key, 0, sizeof *key); /* all its bytes are compared */
    key->peer = *peer;
    snprintf(key->request, sizeof key->request, "%s", request);
}

/* --- accounts --- */

tl_account *tl_account_find(const tl_credit *c, const tl_node_id *peer)
{
    tl_account *a;
    HASH_FIND(hh, c->accounts, peer, sizeof *peer, a);
    return a;
}

/* With the peer nothing is open, and neither side owes anything. Claims of nothing may stay unsigned:
 * where nothing was earned there are no others. */
static bool is_spare(const tl_account *a)
{
    return a->open == 0 && a->sums.held == 0 && !a->waits_to_say &&
           tl_ledger_balance(&a->sums) == 0 && (a->unsigned_n == 0 || a->sums.earned == 0);
}

/* To find that all are in use takes milliseconds, and strangers ask for it as often as they like: so it
 * holds for FULL_FOR. */
static bool make_room(tl_credit *c, size_t max)
{
    tl_account *a;
    tl_time now = tl_env_now(&c->env);
    if (HASH_COUNT(c->accounts) < max)
        return true;
    if (now < c->full_until)
        return false;
    DL_FOREACH (c->accounts_by_use, a) {
        if (!is_spare(a))
            continue;
        drop_account(c, a);
        return true;
    }
    c->full_until = now + FULL_FOR;
    return false;
}

tl_account *tl_account_get(tl_credit *c, const tl_node_id *peer, size_t max)
{
    tl_account *a = tl_account_find(c, peer);
    if (a) {
        DL_DELETE(c->accounts_by_use, a);
    } else {
        a = make_room(c, max) ? calloc(1, sizeof *a) : NULL;
        if (!a)
            return NULL;
        a->credit = c;
        a->id = *peer;
        if (!TL_TABLE_ADD(hh, c->accounts, id, sizeof a->id, a)) {
            free(a);
            return NULL;
        }
    }
    a->used_at = tl_env_now(&c->env);
    DL_APPEND(c->accounts_by_use, a);
    return a;
}

tl_ledger_sums tl_credit_sums_of(const tl_credit *c, const tl_node_id *peer)
{
    const tl_account *a = tl_account_find(c, peer);
    return a ? a->sums : (tl_ledger_sums){0};
}

void tl_credit_on_loaded_peer(tl_credit *c, const tl_node_id *peer, const tl_ledger_sums *sums,
                              unsigned unsigned_n, unsigned paid_n)
{
    /* What is owed is known, however many owe: the disk has no more of them than were let in. Who owes
     * nothing has a place only where a newcomer would have one, since it may owe something later. */
    bool counts = tl_ledger_balance(sums) != 0;
    tl_account *a = tl_account_get(c, peer, counts ? SIZE_MAX : tl_credit_places_for(c, peer));
    c->paid_n += paid_n;
    if (!a)
        return;
    a->paid_n = paid_n;
    a->sums = *sums;
    a->loaded = true;
    a->unsigned_n = unsigned_n;
    a->signed_at = tl_env_now(&c->env);
}

/* --- the store --- */

/* Milliseconds that an operation may wait for others, since nobody waits for it. A crash takes what
 * still waits: of money that is the least, and the other side says it again. */
static int may_wait_of(const tl_book_op *op)
{
    switch (op->what) {
    case TL_BOOK_POST: return op->entry.receipt.amount ? AFTER_ANSWER : FREE_WAITS;
    case TL_BOOK_CLAIM: return op->entry.receipt.amount ? MONEY_WAITS : FREE_WAITS;
    case TL_BOOK_OVER: return op->answered ? MONEY_WAITS : FREE_WAITS;
    case TL_BOOK_BEGIN: /* a question is answered without it, and its order tells of it */
    case TL_BOOK_VOID:
    case TL_BOOK_LAPSE:
    case TL_BOOK_SIGN: /* it is asked for again */
    case TL_BOOK_REFUSED:
    case TL_BOOK_PRUNE:
    case TL_BOOK_UNNAME: return FREE_WAITS;
    default: return 0;
    }
}

bool tl_credit_submit(tl_credit *c, tl_book_op *op, void (*done)(tl_book_op *op, tl_err e),
                      void *user)
{
    if (!op)
        return false;
    op->identity = c->identity;
    op->done = done;
    op->user = user;
    op->may_wait_ms = may_wait_of(op);
    if (!c->world.submit(c->user, op))
        return true;
    tl_book_op_free(op);
    return false;
}

void tl_credit_note_disk(tl_credit *c, tl_err e)
{
    if (e == TL_OK) {
        c->disk_fails = false;
    } else if (e == TL_ERR_IO && !c->disk_fails) {
        c->disk_fails = true;
        c->probe_at = tl_env_now(&c->env) + TL_CREDIT_RETRY_EVERY;
        tl_credit_due(c, c->probe_at);
    }
}

static void probe_done(tl_book_op *op, tl_err e)
{
    tl_credit *c = op->user;
    c->disk_fails = false; /* else the next probe would have no time */
    tl_credit_note_disk(c, e);
    tl_book_op_free(op);
}

/* What failed is not always tried again, so this tells when the disk takes something: no name is given up,
 * and that is committed. */
static void probe_disk(tl_credit *c, tl_time now)
{
    if (!c->disk_fails)
        return;
    if (now < c->probe_at) {
        tl_credit_due(c, c->probe_at);
        return;
    }
    c->probe_at = now + TL_CREDIT_RETRY_EVERY;
    if (!tl_credit_submit(c, tl_book_op_new(TL_BOOK_UNNAME), probe_done, c))
        tl_credit_due(c, c->probe_at);
}

/* --- time --- */

void tl_credit_due(tl_credit *c, tl_time at)
{
    c->due = tl_time_min(c->due, at);
}

tl_time tl_credit_expiry(const tl_credit *c)
{
    return c->due;
}

void tl_credit_on_timer(tl_credit *c)
{
    tl_time now = tl_env_now(&c->env);
    if (now < c->due)
        return;
    c->due = TL_NEVER; /* each of these says when it wants to be called again */
    tl_credit_say_on(c, now);
    tl_credit_say_again(c, now);
    tl_credit_offer_again(c, now);
    tl_credit_regain_again(c, now);
    tl_credit_retry(c, now);
    tl_credit_end_waiting(c, now);
    tl_credit_write_ends(c, now);
    probe_disk(c, now);
    tl_credit_end_settling(c, now);
}

void tl_credit_run(tl_credit *c)
{
    tl_credit_run_settling(c);
}

/* --- messages --- */

tl_err tl_credit_tell(tl_credit *c, const tl_node_id *peer, const char *name, json_t *payload)
{
    if (!payload)
        return TL_ERR_NOMEM;
    tl_err e = c->world.tell(c->user, peer, name, payload);
    json_decref(payload);
    return e;
}

void tl_credit_on_hello(tl_credit *c, const tl_node_id *peer)
{
    tl_credit_regain(c, peer);
    tl_account *a = tl_account_find(c, peer);
    if (!a)
        return;
    if (!a->graced && a->unsigned_n) {
        a->graced = true;
        a->signed_at = tl_env_now(&c->env);
    }
    tl_credit_say_nothing(a); /* what was told over the connection before may be lost, too */
    a->resending = false;
    a->again_in = a->offer_in = 0;
    tl_credit_resend(c, a);
    tl_credit_resend_settlements(c, a);
    tl_credit_offer(c, a);
}

/* A text of the payload; "" where there is none that fits. */
static const char *text_of(const json_t *payload, const char *key, size_t size)
{
    const char *text = tl_json_string(payload, key, "");
    return strlen(text) < size ? text : "";
}

static void on_receipt(tl_credit *c, tl_account *a, const json_t *one)
{
    tl_receipt r;
    const char *order = text_of(one, "order", TL_ORDER_MAX);
    tl_err e = tl_receipt_read(json_object_get(one, "receipt"), &r);
    bool claims = !e && tl_node_id_eq(&r.provider, &a->id) &&
                  tl_node_id_eq(&r.consumer, &c->identity->id) && r.by_provider;
    bool signs = !e && tl_node_id_eq(&r.consumer, &a->id) &&
                 tl_node_id_eq(&r.provider, &c->identity->id) && r.by_consumer;
    if ((claims || signs) && r.by_provider && r.by_consumer && tl_credit_on_whole(c, a, &r))
        return;
    if (claims)
        tl_credit_on_claim(c, a, &r, order);
    else if (signs && r.by_provider)
        tl_credit_on_signature(c, a, &r);
    else if (signs)
        tl_credit_on_offer(c, a, &r);
    else
        c->counters.malformed++;
}

static void on_refusal(tl_credit *c, tl_account *a, const json_t *one)
{
    const char *request = text_of(one, "requestID", TL_REQUEST_ID_MAX);
    const char *reason = text_of(one, "reason", 32);
    if (tl_request_id_is(request))
        tl_credit_on_refusal(c, a, request, reason);
    else
        c->counters.malformed++;
}

/* Each of a list, as far as the store works at so many at once. */
static void on_list(tl_credit *c, tl_account *a, const json_t *list,
                    void (*on_one)(tl_credit *c, tl_account *a, const json_t *one))
{
    if (json_array_size(list) == 0)
        c->counters.malformed++;
    for (size_t i = 0; i < json_array_size(list) && a->at_once < TL_CREDIT_AT_ONCE; i++)
        on_one(c, a, json_array_get(list, i));
}

static void on_receipts(tl_credit *c, tl_account *a, const json_t *payload)
{
    const json_t *list = json_object_get(payload, "receipts"),
                 *next = json_object_get(payload, "next");
    if (!next || json_array_size(list)) /* a page may be of settlements alone */
        on_list(c, a, list, on_receipt);
    if (next)
        tl_credit_on_page(a, (int64_t)tl_json_number(payload, "next", 0));
}

static void on_settle(tl_credit *c, tl_account *a, const json_t *payload)
{
    tl_settlement s;
    if (tl_settlement_read(json_object_get(payload, "settlement"), &s))
        c->counters.malformed++;
    else
        tl_credit_on_settlement(c, a, &s);
}

void tl_credit_on_told(tl_credit *c, const tl_node_id *peer, const char *name,
                       const json_t *payload)
{
    tl_account *a = tl_account_get(c, peer, tl_credit_places_for(c, peer));
    if (!a || a->at_once >= TL_CREDIT_AT_ONCE)
        return;
    const char *id = text_of(payload, "settlementID", TL_REQUEST_ID_MAX);
    if (strcmp(name, "receipts") == 0)
        on_receipts(c, a, payload);
    else if (strcmp(name, "receiptsWanted") == 0)
        tl_credit_on_wanted(c, a, (int64_t)tl_json_number(payload, "since", 0),
                            (int64_t)tl_json_number(payload, "after", 0));
    else if (strcmp(name, "receiptsRefused") == 0)
        on_list(c, a, json_object_get(payload, "refused"), on_refusal);
    else if (strcmp(name, "settle") == 0)
        on_settle(c, a, payload);
    else if (strcmp(name, "settleDone") == 0 && tl_request_id_is(id))
        tl_credit_on_settle_done(c, a, id);
    else if (strcmp(name, "settleWithdrawn") == 0 && tl_request_id_is(id))
        tl_credit_on_settle_withdrawn(c, a, id);
    else if (strcmp(name, "settleRefused") == 0 && tl_request_id_is(id))
        tl_credit_on_settle_refused(c, a, id);
    else
        c->counters.malformed++;
}
