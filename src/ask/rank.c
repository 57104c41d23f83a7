#include "ask/rank.h"

#include <stdio.h>
#include <stdlib.h>

/* What a rule looks at, in no order. Of each the smaller value is better. */
typedef enum {
    MAY,
    IN_CLEAR,
    BEHIND,
    MEMBER,
    FIT,
    PRICE,
    FULL,
    WAIT,
    STRANGER,
    SPEED,
    CONNECTED,
    RTT,
    TIER,
    KNOWN,
} rule;

static const rule rules_named[TL_RANK_RULES] = {
    MAY, IN_CLEAR, BEHIND, MEMBER, FIT, PRICE, WAIT, STRANGER, SPEED, CONNECTED, RTT, TIER, KNOWN};
static const rule rules_any[TL_RANK_RULES] = {
    MAY, IN_CLEAR, BEHIND, MEMBER, PRICE, FULL, STRANGER, CONNECTED, TIER, WAIT, RTT, KNOWN, KNOWN};

static const rule *rules_of(const tl_rank_field *field)
{
    return field->any_model ? rules_any : rules_named;
}

/* How often the speed must grow by a quarter to come to the fastest. */
static uint64_t steps_behind(uint64_t fastest, uint64_t speed)
{
    uint64_t steps = 0;
    if (!speed || speed >= fastest)
        return 0;
    for (; speed + speed / 4 + 1 <= fastest && steps < 64; speed += speed / 4 + 1)
        steps++;
    return steps;
}

/* In thousandths of a question. */
static uint64_t wait_of(const tl_rank_facts *f, bool any)
{
    uint64_t slots = f->slots ? f->slots : 1, load = f->load < UINT32_MAX ? f->load : UINT32_MAX;
    uint64_t unread = f->unread < UINT32_MAX ? f->unread : UINT32_MAX;
    load += f->stranger && !any ? TL_RANK_STRANGER : 0;
    uint64_t ahead = load + 1 > slots ? load + 1 - slots : 0;
    return ahead * 1000 / slots + unread * 1000 / TL_RANK_QUESTION;
}

static uint64_t value_of(const tl_rank_field *field, const tl_rank_facts *f, rule r)
{
    switch (r) {
    case MAY: return f->may != TL_RANK_MAY;
    case IN_CLEAR: return f->in_clear;
    case BEHIND: return f->behind_until;
    case MEMBER: return !f->member;
    case FIT: return f->fit;
    case PRICE: return f->price.given ? (uint64_t)f->price.value : 0; /* it is asked at none */
    case FULL: return f->slots && f->load >= f->slots;
    case WAIT: return wait_of(f, field->any_model);
    case STRANGER: return f->stranger;
    case SPEED: return steps_behind(field->fastest, f->speed);
    case CONNECTED: return !f->connected;
    case RTT: return f->rtt;
    case TIER: return (uint64_t)f->tier;
    default: return f->known;
    }
}

tl_rank_field tl_rank_begin(bool any, tl_maybe maximum)
{
    return (tl_rank_field){.any_model = any, .maximum = maximum};
}

void tl_rank_see(tl_rank_field *field, tl_rank_facts *f)
{
    if (f->may == TL_RANK_MAY && field->maximum.given && f->price.given &&
        f->price.value > field->maximum.value)
        f->may = TL_RANK_TOO_DEAR;
    if (f->may != TL_RANK_MAY)
        return;
    uint64_t speed =
        f->speed < UINT32_MAX * UINT64_C(1000) ? f->speed : UINT32_MAX * UINT64_C(1000);
    if (speed > field->fastest)
        field->fastest = speed;
}

tl_rank_key tl_rank_key_of(const tl_rank_field *field, const tl_rank_facts *facts)
{
    tl_rank_key key;
    for (size_t i = 0; i < TL_RANK_RULES; i++)
        key.by[i] = value_of(field, facts, rules_of(field)[i]);
    return key;
}

/* The place of the first rule that tells them apart; TL_RANK_RULES: none does. */
static size_t deciding(const tl_rank_key *a, const tl_rank_key *b)
{
    size_t i = 0;
    while (i < TL_RANK_RULES && a->by[i] == b->by[i])
        i++;
    return i;
}

bool tl_rank_before(const tl_rank_key *a, const tl_rank_key *b)
{
    size_t i = deciding(a, b);
    return i < TL_RANK_RULES && a->by[i] < b->by[i];
}

typedef struct {
    tl_rank_key key; /* first */
    size_t place;
} placed;

static int compare(const void *a, const void *b)
{
    return tl_rank_before(a, b) ? -1 : tl_rank_before(b, a);
}

tl_err tl_rank_sort(const tl_rank_field *field, const tl_rank_facts *facts, size_t n,
                    size_t *ret_order)
{
    placed *all = calloc(n ? n : 1, sizeof *all);
    if (!all)
        return TL_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        all[i] = (placed){tl_rank_key_of(field, &facts[i]), i};
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++)
        ret_order[i] = all[i].place;
    free(all);
    return TL_OK;
}

/* --- the reasons --- */

static const char *may_not(const tl_rank_facts *f)
{
    switch (f->may) {
    case TL_RANK_NO_MEMBER: return "not asked: it has shown no valid certificate of the network";
    case TL_RANK_PRIVATE:
        return "not asked: it or you keep to members, and it has shown no valid certificate of a "
               "network of yours";
    case TL_RANK_CLEAR: return "not asked: it speaks the old protocol alone, in clear";
    case TL_RANK_CLOSED: return "not asked: it takes no questions now";
    case TL_RANK_PAUSED: return "not asked: its owner has paused it";
    case TL_RANK_TRIED: return "not asked again: it has had this question";
    default: return "";
    }
}

/* Why one is better than the other by the rule, and why one is worse. */
static const struct {
    const char *better, *worse;
} words[] = {
    [MAY] = {"it may be asked", "it may not be asked"},
    [IN_CLEAR] = {"it is asked with encryption from end to end", "it is asked in clear"},
    [BEHIND] = {"it has not failed lately", "it has failed a moment ago"},
    [MEMBER] = {"it is a member of a network of yours", "it is no member of a network of yours"},
    [FIT] = {"it lists this very name", "it lists the model as \":latest\""},
    [FULL] = {"a slot is free", "no slot is free"},
    [STRANGER] = {"it has served you before, or is of your networks",
                  "it has not served you before"},
    [CONNECTED] = {"it is connected", "it is not connected"},
    [TIER] = {"its machine is better", "its machine is weaker"},
    [KNOWN] = {"it was known first", "all else is equal, and it was known later"},
};

/* Of `f`, which is better or worse than `other` by the rule. */
static void say(const tl_rank_field *field, const tl_rank_facts *f, const tl_rank_facts *other,
                rule r, bool better, char ret_text[TL_RANK_REASON_MAX])
{
    char *t = ret_text;
    size_t cap = TL_RANK_REASON_MAX;
    switch (r) {
    case PRICE:
        snprintf(t, cap, "%s: %lld against %lld",
                 !better           ? "its price is higher"
                 : !f->price.given ? "it tells no price, and is asked at none"
                                   : "its price is lower",
                 (long long)value_of(field, f, PRICE), (long long)value_of(field, other, PRICE));
        break;
    case WAIT:
        if (f->unread != other->unread)
            snprintf(t, cap, "it %s this conversation in its cache, and %s is %stoo busy",
                     f->unread < other->unread ? "has" : "does not have",
                     f->unread < other->unread ? "it" : "the other",
                     (f->unread < other->unread) == better ? "not " : "");
        else
            snprintf(t, cap, "the wait there is %s: %.1f against %.1f questions",
                     better ? "shorter" : "longer", (double)wait_of(f, field->any_model) / 1000,
                     (double)wait_of(other, field->any_model) / 1000);
        break;
    case SPEED:
        snprintf(t, cap, "it is %s: %.1f tokens a second against %.1f",
                 better ? "faster" : "slower",
                 (double)(f->speed ? f->speed : field->fastest) / 1000,
                 (double)(other->speed ? other->speed : field->fastest) / 1000);
        break;
    case RTT:
        snprintf(t, cap, "it is %s: %.1f ms against %.1f ms", better ? "nearer" : "farther",
                 (double)f->rtt / (double)TL_MS, (double)other->rtt / (double)TL_MS);
        break;
    default: snprintf(t, cap, "%s", better ? words[r].better : words[r].worse); break;
    }
}

void tl_rank_reason(const tl_rank_field *field, const tl_rank_facts *f, const tl_rank_facts *before,
                    const tl_rank_facts *after, char ret_text[TL_RANK_REASON_MAX])
{
    const tl_rank_facts *other = before ? before : after;
    if (f->may == TL_RANK_TOO_DEAR) {
        snprintf(ret_text, TL_RANK_REASON_MAX,
                 "not asked: its price, %lld, is above the maximum, %lld",
                 (long long)f->price.value, (long long)field->maximum.value);
    } else if (f->may != TL_RANK_MAY) {
        snprintf(ret_text, TL_RANK_REASON_MAX, "%s", may_not(f));
    } else if (!other || other->may != TL_RANK_MAY) {
        snprintf(ret_text, TL_RANK_REASON_MAX, "nobody else may be asked");
    } else {
        tl_rank_key a = tl_rank_key_of(field, f), b = tl_rank_key_of(field, other);
        size_t i = deciding(&a, &b);
        say(field, f, other, i < TL_RANK_RULES ? rules_of(field)[i] : KNOWN, tl_rank_before(&a, &b),
            ret_text);
    }
}
