/* Settlements: what one side paid the other by a way that this program does not see. Whoever posts
 * one first tells it to the other until that one says that it has it, too. */
#include "credit/credit_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

static bool is_creditor(const tl_credit *c, const tl_settlement *s)
{
    return tl_node_id_eq(&s->creditor, &c->identity->id);
}

static void tell_settlement(tl_credit *c, const tl_node_id *peer, const tl_settlement *s)
{
    json_t *o;
    if (!tl_settlement_write(s, &o))
        (void)!tl_credit_tell(c, peer, "settle", json_pack("{s:o}", "settlement", o));
}

static void tell_id(tl_credit *c, const tl_node_id *peer, const char *name, const char *id)
{
    (void)!tl_credit_tell(c, peer, name, json_pack("{s:s}", "settlementID", id));
}

/* --- by this node's person --- */

static void set_state(tl_settling *x, tl_settling_state to)
{
    static const unsigned from[] = {
        [TL_SETTLING_LOOKING] = 1u << TL_SETTLING_NEW,
        [TL_SETTLING_CLOSING] = 1u << TL_SETTLING_LOOKING,
        [TL_SETTLING_HOLDING] = 1u << TL_SETTLING_LOOKING | 1u << TL_SETTLING_CLOSING,
        [TL_SETTLING_TOLD] = 1u << TL_SETTLING_LOOKING | 1u << TL_SETTLING_HOLDING,
        [TL_SETTLING_WRITING] =
            1u << TL_SETTLING_NEW | 1u << TL_SETTLING_LOOKING | 1u << TL_SETTLING_TOLD};
    assert(from[to] & 1u << x->state);
    x->state = to;
}

static void end(tl_settling *x, tl_settle_result r)
{
    tl_credit *c = x->credit;
    void (*on_settled)(void *, tl_settle_result, int64_t) = x->on_settled;
    void *user = x->user;
    int64_t balance = x->account ? tl_ledger_balance(&x->account->sums) : 0;
    if (x->account)
        x->account->open--;
    DL_DELETE(c->settling, x);
    c->settling_n--;
    free(x);
    on_settled(user, r, balance);
}

void tl_credit_settle(tl_credit *c, const tl_node_id *peer, int64_t amount,
                      void (*on_settled)(void *user, tl_settle_result r, int64_t balance),
                      void *user)
{
    tl_settling *x = c->settling_n < TL_CREDIT_SETTLING_MAX ? calloc(1, sizeof *x) : NULL;
    if (!x) {
        on_settled(user, TL_SETTLE_BUSY, 0);
        return;
    }
    x->credit = c;
    x->account = tl_account_find(c, peer);
    x->settlement.amount = amount;
    x->on_settled = on_settled;
    x->user = user;
    x->deadline = TL_NEVER;
    if (x->account)
        x->account->open++;
    DL_APPEND(c->settling, x);
    c->settling_n++;
    tl_env_wake(&c->env);
}

static void fill_in(tl_settling *x, tl_ledger_role role)
{
    tl_credit *c = x->credit;
    uint8_t id[16];
    tl_settlement *s = &x->settlement;
    tl_rand_bytes(c->rand, id, sizeof id);
    tl_hex_write(s->id, id, sizeof id);
    s->creditor = role == TL_LEDGER_SERVED ? c->identity->id : x->account->id;
    s->debtor = role == TL_LEDGER_SERVED ? x->account->id : c->identity->id;
    s->at = c->env.wall(c->env.user);
    x->proposes = role == TL_LEDGER_ASKED;
}

/* The one that withdraws the settlement of this name with this peer. */
static tl_settling *find_closing(const tl_credit *c, const tl_account *a, const char *id)
{
    tl_settling *x;
    DL_FOREACH (c->settling, x)
        if (x->state == TL_SETTLING_CLOSING && x->account == a && strcmp(x->earlier.id, id) == 0)
            return x;
    return NULL;
}

/* The one of this name with this peer, if it is still there. */
static tl_settling *find(const tl_credit *c, const tl_node_id *peer, const char *id)
{
    tl_settling *x;
    DL_FOREACH (c->settling, x)
        if (x->account && tl_node_id_eq(&x->account->id, peer) && strcmp(x->settlement.id, id) == 0)
            return x;
    return NULL;
}

/* It is on the disk, or not. */
static void written(tl_credit *c, tl_account *a, const tl_book_op *op, tl_err e)
{
    const tl_settlement *s = &op->entry.settlement;
    bool posted = op->what == TL_BOOK_SETTLE;
    tl_settling *x = find(c, &a->id, s->id);
    tl_credit_note_disk(c, e);
    if (e == TL_ERR_AUTH)
        c->counters.malformed++;
    if (!e && posted)
        (void)!tl_ledger_count(&a->sums, TL_LEDGER_SETTLEMENT,
                               is_creditor(c, s) ? TL_LEDGER_SERVED : TL_LEDGER_ASKED, s->amount);
    if (e == TL_ERR_FORBIDDEN) {
        tell_id(c, &a->id, "settleRefused", s->id);
    } else if (!e || e == TL_ERR_EXISTS) {
        bool peer_knows = posted ? op->confirmed : is_creditor(c, s);
        if (peer_knows)
            tell_id(c, &a->id, "settleDone", s->id);
        else
            tell_settlement(c, &a->id, s);
    }
    tl_settling *closing = posted ? find_closing(c, a, s->id) : NULL;
    if (closing)
        end(closing, e && e != TL_ERR_EXISTS ? TL_SETTLE_STORE : TL_SETTLE_EARLIER);
    if (x && x->state == TL_SETTLING_WRITING)
        end(x, e == TL_ERR_AUTH || e == TL_ERR_FORBIDDEN
                   ? TL_SETTLE_AWAY /* it did not sign, or another one took its place */
               : e && e != TL_ERR_EXISTS ? TL_SETTLE_STORE
               : posted                  ? TL_SETTLE_SETTLED
                                         : TL_SETTLE_PROPOSED);
}

static void write_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    a->at_once--;
    a->open--;
    written(a->credit, a, op, e);
    tl_book_op_free(op);
}

/* True: it was handed to the store. */
static bool write_down(tl_credit *c, tl_account *a, const tl_settlement *s, bool confirmed)
{
    bool both = s->by_creditor && s->by_debtor;
    tl_book_op *op = tl_book_op_new(both ? TL_BOOK_SETTLE : TL_BOOK_PROPOSE);
    if (op) {
        op->entry.settlement = *s;
        op->confirmed = confirmed;
    }
    if (!tl_credit_submit(c, op, write_done, a))
        return false;
    a->at_once++;
    a->open++;
    return true;
}

static void write_own(tl_settling *x, bool confirmed)
{
    set_state(x, TL_SETTLING_WRITING);
    if (!write_down(x->credit, x->account, &x->settlement, confirmed))
        end(x, TL_SETTLE_STORE);
}

static void await(tl_settling *x, tl_settling_state to)
{
    set_state(x, to);
    x->deadline = tl_env_now(&x->credit->env) + TL_CREDIT_SETTLE_WITHIN;
    tl_credit_due(x->credit, x->deadline);
}

/* The creditor's: the peer is asked to sign; where it is not connected yet, after its hello. */
static void ask_peer(tl_settling *x)
{
    tl_credit *c = x->credit;
    if (x->away) {
        end(x, TL_SETTLE_AWAY);
        return;
    }
    tell_settlement(c, &x->account->id, &x->settlement);
    await(x, TL_SETTLING_TOLD);
}

/* The creditor's: the peer may have signed and posted the earlier one, and its answer was lost. To void that
 * one here would part the books. */
static void withdraw(tl_settling *x, const tl_settlement *earlier)
{
    if (x->away) {
        end(x, TL_SETTLE_AWAY);
        return;
    }
    x->earlier = *earlier;
    tell_id(x->credit, &x->account->id, "settleWithdrawn", earlier->id);
    await(x, TL_SETTLING_CLOSING);
}

static void holding_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    tl_settling *x = find(a->credit, &a->id, op->entry.settlement.id);
    a->open--;
    tl_credit_note_disk(a->credit, e);
    if (x && x->state == TL_SETTLING_HOLDING && e)
        end(x, TL_SETTLE_STORE);
    else if (x && x->state == TL_SETTLING_HOLDING)
        ask_peer(x);
    tl_book_op_free(op);
}

/* What this node signs is a word that the peer can use at any time: so it is on the disk first, one
 * with a peer. A later one takes its place. */
static void hold(tl_settling *x)
{
    tl_book_op *op = NULL;
    if (!tl_settlement_sign(&x->settlement, x->credit->identity) &&
        (op = tl_book_op_new(TL_BOOK_PROPOSE)))
        op->entry.settlement = x->settlement;
    set_state(x, TL_SETTLING_HOLDING);
    if (tl_credit_submit(x->credit, op, holding_done, x->account))
        x->account->open++;
    else
        end(x, TL_SETTLE_STORE);
}

static void looked(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    tl_credit *c = a->credit;
    const tl_settlement *there = &op->entry.settlement;
    tl_settling *x = find(c, &a->id, op->entry.request);
    a->open--;
    if (x && x->state == TL_SETTLING_LOOKING) {
        if (!e && there->amount == x->settlement.amount) {
            x->settlement = *there;
            if (there->by_creditor) /* of an attempt before: the peer signs it once */
                ask_peer(x);
            else if (tl_settlement_sign(&x->settlement, c->identity))
                end(x, TL_SETTLE_STORE);
            else
                write_own(x, false);
        } else if (!e && there->by_creditor) {
            withdraw(x, there);
        } else if (!e || e == TL_ERR_NOT_FOUND) {
            hold(x);
        } else {
            end(x, TL_SETTLE_STORE);
        }
    }
    tl_book_op_free(op);
}

static void look(tl_settling *x)
{
    tl_book_op *op = tl_book_op_new(TL_BOOK_PROPOSED);
    if (op) {
        op->entry.peer = x->account->id;
        memcpy(op->entry.request, x->settlement.id, sizeof op->entry.request);
    }
    set_state(x, TL_SETTLING_LOOKING);
    if (tl_credit_submit(x->credit, op, looked, x->account))
        x->account->open++;
    else
        end(x, TL_SETTLE_STORE);
}

/* With one peer one at a time: the next would take the place of the one under way. */
static bool is_alone(const tl_settling *x)
{
    const tl_settling *other;
    DL_FOREACH (x->credit->settling, other)
        if (other->account == x->account && other->state != TL_SETTLING_NEW)
            return false;
    return true;
}

static void start(tl_settling *x)
{
    tl_ledger_role role;
    if (x->account && !is_alone(x)) {
        end(x, TL_SETTLE_BUSY);
        return;
    }
    if (!x->account || tl_ledger_may_settle(&x->account->sums, x->settlement.amount, &role)) {
        end(x, TL_SETTLE_TOO_MUCH);
        return;
    }
    fill_in(x, role);
    if (!x->proposes)
        look(x);
    else if (tl_settlement_sign(&x->settlement, x->credit->identity))
        end(x, TL_SETTLE_STORE);
    else
        write_own(x, false);
}

void tl_credit_run_settling(tl_credit *c)
{
    tl_settling *x, *next;
    DL_FOREACH_SAFE (c->settling, x, next)
        if (x->state == TL_SETTLING_NEW)
            start(x);
}

void tl_credit_end_settling(tl_credit *c, tl_time now)
{
    tl_settling *x, *next;
    DL_FOREACH_SAFE (c->settling, x, next) {
        if (x->state != TL_SETTLING_TOLD && x->state != TL_SETTLING_CLOSING)
            continue;
        if (now >= x->deadline)
            end(x, TL_SETTLE_AWAY);
        else
            tl_credit_due(c, x->deadline);
    }
}

void tl_credit_settle_away(tl_credit *c, const tl_node_id *peer)
{
    tl_settling *x, *next;
    DL_FOREACH_SAFE (c->settling, x, next) {
        if (!x->account || !tl_node_id_eq(&x->account->id, peer))
            continue;
        x->away = true;
        if (x->state == TL_SETTLING_TOLD || x->state == TL_SETTLING_CLOSING)
            end(x, TL_SETTLE_AWAY);
    }
}

void tl_credit_clear_settling(tl_credit *c)
{
    tl_settling *x, *next;
    DL_FOREACH_SAFE (c->settling, x, next) {
        DL_DELETE(c->settling, x);
        free(x);
    }
    c->settling_n = 0;
}

/* --- by the peer --- */

/* The creditor says that we have paid: we are the last who would deny it, if we owe that much by what
 * the store has then. */
static void sign_for(tl_credit *c, tl_account *a, const tl_settlement *s)
{
    tl_settlement both = *s;
    if (!tl_settlement_sign(&both, c->identity))
        (void)!write_down(c, a, &both, false);
}

/* The debtor says that it has paid: our person will say whether that is so. */
static void note_proposal(tl_credit *c, tl_account *a, const tl_settlement *s)
{
    tl_ledger_role role;
    tl_time now = tl_env_now(&c->env);
    bool too_soon = a->proposed_at && now - a->proposed_at < TL_CREDIT_PROPOSED_EVERY;
    if (too_soon)
        return; /* it is told again after the next hello */
    a->proposed_at = now;
    if (tl_ledger_may_settle(&a->sums, s->amount, &role) || role != TL_LEDGER_SERVED)
        tell_id(c, &a->id, "settleRefused", s->id);
    else
        (void)!write_down(c, a, s, false);
}

void tl_credit_on_settlement(tl_credit *c, tl_account *a, const tl_settlement *s)
{
    bool own = is_creditor(c, s);
    bool ours =
        (own && tl_node_id_eq(&s->debtor, &a->id)) ||
        (tl_node_id_eq(&s->debtor, &c->identity->id) && tl_node_id_eq(&s->creditor, &a->id));
    tl_settling *x = find(c, &a->id, s->id);
    /* NOLINTNEXTLINE(bugprone-branch-clone): what is not ours is judged before who signed it */
    if (!ours) {
        c->counters.malformed++;
    } else if (s->by_creditor && s->by_debtor) {
        if (x && x->state == TL_SETTLING_TOLD && tl_settlement_eq(&x->settlement, s)) {
            x->settlement = *s;
            write_own(x, true); /* HELD in the store, like all that this node will take */
        } else {
            (void)!write_down(c, a, s, true);
        }
    } else if (own && s->by_debtor) {
        note_proposal(c, a, s);
    } else if (!own && s->by_creditor) {
        sign_for(c, a, s);
    } else {
        c->counters.malformed++;
    }
}

static void answered(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    (void)e;
    a->at_once--;
    a->open--;
    tl_book_op_free(op);
}

static void ask_store(tl_credit *c, tl_account *a, const char *id, tl_book_what what,
                      void (*done)(tl_book_op *op, tl_err e))
{
    tl_book_op *op = tl_book_op_new(what);
    if (op) {
        op->entry.peer = a->id;
        snprintf(op->entry.request, sizeof op->entry.request, "%s", id);
    }
    if (!tl_credit_submit(c, op, done, a))
        return;
    a->at_once++;
    a->open++;
}

static void note_answer(tl_credit *c, tl_account *a, const char *id, tl_book_what what)
{
    ask_store(c, a, id, what, answered);
}

void tl_credit_on_settle_done(tl_credit *c, tl_account *a, const char *id)
{
    note_answer(c, a, id, TL_BOOK_CONFIRMED);
}

void tl_credit_on_settle_refused(tl_credit *c, tl_account *a, const char *id)
{
    tl_settling *x = find(c, &a->id, id);
    note_answer(c, a, id, TL_BOOK_DECLINED);
    if (x && x->state == TL_SETTLING_TOLD)
        end(x, TL_SETTLE_TOO_MUCH);
    tl_settling *closing = find_closing(c, a, id);
    if (closing)
        hold(closing); /* after the other is void */
}

static void read_done(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    a->open--;
    for (size_t i = 0; !e && i < op->n; i++)
        tell_settlement(a->credit, &a->id, &op->entries[i].settlement);
    tl_book_op_free(op);
}

/* What this node has posted stays so, and is told; what it has not it will not sign: the creditor tells
 * it no more. */
static void withdrawn_read(tl_book_op *op, tl_err e)
{
    tl_account *a = op->user;
    const tl_settlement *posted = NULL;
    a->at_once--;
    a->open--;
    for (size_t i = 0; !e && i < op->n; i++)
        if (strcmp(op->entries[i].request, op->entry.request) == 0)
            posted = &op->entries[i].settlement;
    if (posted)
        tell_settlement(a->credit, &a->id, posted);
    else if (!e)
        tell_id(a->credit, &a->id, "settleRefused", op->entry.request);
    tl_book_op_free(op);
}

void tl_credit_on_settle_withdrawn(tl_credit *c, tl_account *a, const char *id)
{
    ask_store(c, a, id, TL_BOOK_UNCONFIRMED, withdrawn_read);
}

void tl_credit_resend_settlements(tl_credit *c, tl_account *a)
{
    tl_settling *x;
    DL_FOREACH (c->settling, x) {
        if (x->account == a && x->state == TL_SETTLING_TOLD)
            tell_settlement(c, &a->id, &x->settlement);
        else if (x->account == a && x->state == TL_SETTLING_CLOSING)
            tell_id(c, &a->id, "settleWithdrawn", x->earlier.id);
    }
    tl_book_op *op = tl_book_op_new(TL_BOOK_UNCONFIRMED);
    if (op)
        op->entry.peer = a->id;
    if (tl_credit_submit(c, op, read_done, a))
        a->open++;
}
