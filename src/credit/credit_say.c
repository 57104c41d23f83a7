/* Receipts on their way to a peer: at a pace that its control stream takes, many in a message. */
#include "credit/credit_state.h"

#include <utlist.h>

static void leave(tl_credit *c, tl_account *a)
{
    if (a->waits_to_say)
        DL_DELETE2(c->talkers, a, say_prev, say_next);
    a->waits_to_say = false;
}

static void drop(json_t **list)
{
    json_decref(*list);
    *list = NULL;
}

void tl_credit_say_nothing(tl_account *a)
{
    leave(a->credit, a);
    drop(&a->saying);
    drop(&a->refusing);
    a->behind = false;
}

/* One message of each kind that there is something for. */
static void say_now(tl_account *a, tl_time now)
{
    tl_credit *c = a->credit;
    size_t n = json_array_size(a->saying) + json_array_size(a->refusing);
    uint64_t rate = a->known ? TL_CREDIT_SAY_KNOWN : TL_CREDIT_SAY_RATE;
    tl_time takes = n * TL_CREDIT_SAY_BYTES * TL_SEC / rate;
    tl_time messages = (a->saying != NULL) + (a->refusing != NULL);
    bool behind = a->behind;
    /* What cannot be told now is told after the next hello. */
    if (a->saying)
        (void)!tl_credit_tell(c, &a->id, "receipts", json_pack("{s:O}", "receipts", a->saying));
    if (a->refusing)
        (void)!tl_credit_tell(c, &a->id, "receiptsRefused",
                              json_pack("{s:O}", "refused", a->refusing));
    tl_credit_say_nothing(a);
    a->say_at = now + tl_time_max(takes, messages * TL_CREDIT_SAY_EVERY);
    a->behind = behind && a->resending; /* then after what is read now */
    if (behind && !a->resending)
        tl_credit_resend(c, a);
}

static void say_soon(tl_account *a)
{
    tl_credit *c = a->credit;
    tl_time now = tl_env_now(&c->env);
    if (now >= a->say_at) {
        say_now(a, now);
        return;
    }
    tl_credit_due(c, a->say_at);
    if (a->waits_to_say)
        return;
    a->waits_to_say = true;
    DL_APPEND2(c->talkers, a, say_prev, say_next);
}

static bool add(tl_account *a, json_t **list, json_t *one)
{
    if (!*list)
        *list = json_array();
    bool ok = one && *list && json_array_size(*list) < TL_CREDIT_AT_ONCE + TL_CREDIT_SAY_MAX &&
              !json_array_append(*list, one);
    json_decref(one);
    if (ok)
        say_soon(a);
    return ok;
}

bool tl_credit_say_receipt(tl_account *a, json_t *one)
{
    return add(a, &a->saying, one);
}

bool tl_credit_say_refusal(tl_account *a, const char *request, const char *reason)
{
    return add(a, &a->refusing, json_pack("{s:s, s:s}", "requestID", request, "reason", reason));
}

void tl_credit_say_on(tl_credit *c, tl_time now)
{
    tl_account *a, *next;
    for (a = c->talkers; a; a = next) {
        next = a->say_next;
        if (now >= a->say_at)
            say_now(a, now);
        else
            tl_credit_due(c, a->say_at);
    }
}
