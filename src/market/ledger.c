#include "market/ledger.h"

#include <assert.h>

/* --- what a question costs --- */

static bool is_money(int64_t n)
{
    return n >= 0 && n <= TL_MONEY_MAX;
}

tl_err tl_ledger_amount(int64_t tokens_in, int64_t tokens_out, int64_t price, int64_t *ret_amount)
{
    int64_t amount;
    if (!is_money(tokens_in) || !is_money(tokens_out) || !is_money(price))
        return TL_ERR_INVALID;
    int64_t tokens = tokens_in + tokens_out;             /* at most 2^54 */
    int64_t rest = (tokens % 1000 * price + 999) / 1000; /* below 2^63 before it is divided */
    if (__builtin_mul_overflow(tokens / 1000, price, &amount) ||
        __builtin_add_overflow(amount, rest, &amount) || amount > TL_MONEY_MAX)
        return TL_ERR_INVALID;
    *ret_amount = amount;
    return TL_OK;
}

/* Whatever a stranger says, the number stays one that can be written and added. */
static int64_t clamp(uint64_t n)
{
    return n > TL_MONEY_MAX ? TL_MONEY_MAX : (int64_t)n;
}

int64_t tl_ledger_prompt_tokens(uint64_t body_bytes)
{
    return clamp(body_bytes / 4 + (body_bytes % 4 != 0));
}

int64_t tl_ledger_prompt_most(uint64_t body_bytes)
{
    return clamp(body_bytes / 2 + body_bytes % 2);
}

int64_t tl_ledger_on_way(uint64_t silent)
{
    uint64_t seconds = silent < TL_LEDGER_SILENCE_MAX ? silent : TL_LEDGER_SILENCE_MAX;
    return TL_LEDGER_IN_FLIGHT + TL_LEDGER_PER_SECOND * (int64_t)seconds;
}

int64_t tl_ledger_cap_tokens(uint64_t max_tokens)
{
    return max_tokens ? clamp(max_tokens) : TL_LEDGER_UNSEEN_TOKENS;
}

int64_t tl_ledger_answer_tokens(uint64_t max_tokens)
{
    return max_tokens ? clamp(max_tokens) : TL_LEDGER_ANSWER_TOKENS;
}

/* --- entries --- */

const char *tl_ledger_kind_name(tl_ledger_kind k)
{
    return k == TL_LEDGER_QUESTION ? "question" : "settlement";
}

const char *tl_ledger_role_name(tl_ledger_role r)
{
    return r == TL_LEDGER_ASKED ? "asked" : "served";
}

const char *tl_ledger_state_name(tl_ledger_state s)
{
    switch (s) {
    case TL_LEDGER_HELD: return "held";
    case TL_LEDGER_POSTED: return "posted";
    case TL_LEDGER_VOIDED: return "voided";
    }
    assert(!"a state of the list");
    return "";
}

const char *tl_claim_name(tl_claim c)
{
    switch (c) {
    case TL_CLAIM_OK: return "ok";
    case TL_CLAIM_AGAIN: return "again";
    case TL_CLAIM_OPEN: return "open";
    case TL_CLAIM_UNKNOWN: return "unknown";
    case TL_CLAIM_COUNTS: return "counts";
    case TL_CLAIM_AMOUNT: return "amount";
    case TL_CLAIM_OTHER: return "other";
    case TL_CLAIM_NOTHING: return "nothing";
    }
    assert(!"a claim of the list");
    return "";
}

static bool same_question(const tl_ledger_entry *e, const tl_receipt *r)
{
    return e->kind == TL_LEDGER_QUESTION && e->role == TL_LEDGER_ASKED &&
           strcmp(e->request, r->request) == 0 && tl_node_id_eq(&e->peer, &r->provider) &&
           e->has_network == r->has_network &&
           (!e->has_network || tl_node_id_eq(&e->network, &r->network)) &&
           strcmp(e->model, r->model) == 0;
}

tl_claim tl_ledger_judge(const tl_ledger_entry *entry, const tl_receipt *claim)
{
    int64_t most;
    if (!same_question(entry, claim))
        return TL_CLAIM_OTHER;
    if (entry->state == TL_LEDGER_POSTED)
        return entry->has_receipt && tl_receipt_eq(&entry->receipt, claim) ? TL_CLAIM_AGAIN
                                                                           : TL_CLAIM_OTHER;
    if (entry->cap.in == 0 && entry->cap.out == 0)
        return TL_CLAIM_NOTHING;
    if (claim->tokens_in > entry->cap.in || claim->tokens_out > entry->cap.out)
        return TL_CLAIM_COUNTS;
    if (tl_ledger_amount(claim->tokens_in, claim->tokens_out, entry->price, &most) ||
        claim->amount > most)
        return TL_CLAIM_AMOUNT;
    return TL_CLAIM_OK;
}

/* --- what a peer may owe --- */

int64_t tl_ledger_balance(const tl_ledger_sums *s)
{
    return s->earned - s->spent - (s->received - s->paid); /* each below 2^53 */
}

tl_err tl_ledger_hold(tl_ledger_sums *s, int64_t amount, int64_t limit)
{
    if (!is_money(amount) || !is_money(limit))
        return TL_ERR_INVALID;
    if (amount == 0)
        return TL_OK;
    if (!is_money(s->held + amount) || amount > limit - tl_ledger_balance(s) - s->held)
        return TL_ERR_FORBIDDEN;
    s->held += amount;
    return TL_OK;
}

void tl_ledger_release(tl_ledger_sums *s, int64_t amount)
{
    assert(amount >= 0 && amount <= s->held);
    s->held -= amount;
}

tl_err tl_ledger_count(tl_ledger_sums *s, tl_ledger_kind kind, tl_ledger_role role, int64_t amount)
{
    int64_t *sum = kind == TL_LEDGER_QUESTION
                       ? (role == TL_LEDGER_SERVED ? &s->earned : &s->spent)
                       : (role == TL_LEDGER_SERVED ? &s->received : &s->paid);
    if (!is_money(amount) || !is_money(*sum + amount))
        return TL_ERR_INVALID;
    *sum += amount;
    return TL_OK;
}

tl_err tl_ledger_may_settle(const tl_ledger_sums *s, int64_t amount, tl_ledger_role *ret_role)
{
    int64_t balance = tl_ledger_balance(s);
    if (amount < 1 || amount > (balance < 0 ? -balance : balance))
        return TL_ERR_INVALID;
    *ret_role = balance > 0 ? TL_LEDGER_SERVED : TL_LEDGER_ASKED;
    return TL_OK;
}
