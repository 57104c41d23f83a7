#include "path/choice.h"

#define HOLD_MAX (60 * TL_SEC)

/* From when on a usable way may be chosen: at once, or, if it was lost before, after it has held a
 * while. */
static tl_time holds_from(const tl_way *w)
{
    tl_time hold = TL_RETURN_AFTER;
    if (!w->losses)
        return w->usable_since;
    for (unsigned i = 1; i < w->losses && hold < HOLD_MAX; i++)
        hold *= 2;
    return w->usable_since + tl_time_min(hold, HOLD_MAX);
}

/* Is `b` a fifth faster than `a`? Not while one of them is not measured. */
static bool faster_by_a_fifth(const tl_way *b, const tl_way *a)
{
    return b->rtt && a->rtt && b->rtt <= a->rtt - a->rtt / 5;
}

/* The order among usable ways: first the kind, then the round trip (a measured one comes before one
 * that is not), then the longer life. */
static bool better(const tl_way *b, const tl_way *a)
{
    if (!a || b->kind != a->kind)
        return !a || b->kind > a->kind;
    if (b->rtt != a->rtt)
        return b->rtt && (!a->rtt || b->rtt < a->rtt);
    return b->usable_since < a->usable_since;
}

typedef struct {
    const tl_way *present; /* NULL: none, or it is dead */
    const tl_way *best;    /* of those that may be chosen now, with the present one */
    const tl_way *any;     /* of all that are usable */
    const tl_way *held;    /* usable, better than the present one, must hold first: the soonest */
} survey;

static survey look(const tl_way *ways, size_t n, uint32_t present, tl_time now)
{
    survey s = {0};
    for (size_t i = 0; i < n; i++)
        if (ways[i].usable && ways[i].id == present)
            s.present = &ways[i];
    for (size_t i = 0; i < n; i++) {
        const tl_way *w = &ways[i];
        if (!w->usable)
            continue;
        if (better(w, s.any))
            s.any = w;
        if (w == s.present || holds_from(w) <= now) {
            if (better(w, s.best))
                s.best = w;
        } else if (better(w, s.present) && (!s.held || holds_from(w) < holds_from(s.held))) {
            s.held = w;
        }
    }
    return s;
}

static tl_choice stay(const survey *s, tl_time again_at, const char *why)
{
    return (tl_choice){s->present->id, again_at, why};
}

static const char *why_this_kind(const tl_way *w)
{
    switch (w->kind) {
    case TL_WAY_LAN: return "the local network comes first";
    case TL_WAY_DIRECT: return "direct comes before the relay";
    case TL_WAY_RELAYED: break;
    }
    return "nothing direct stands";
}

tl_choice tl_choose(const tl_way *ways, size_t n, const tl_choice_state *state, tl_time now)
{
    survey s = look(ways, n, state->present, now);
    tl_time held_until = s.held ? holds_from(s.held) : TL_NEVER;
    if (!s.any)
        return (tl_choice){0, TL_NEVER, "no way is usable"};
    if (!s.present) {
        const tl_way *w = s.best ? s.best : s.any;
        return (tl_choice){w->id, held_until,
                           s.best ? why_this_kind(w) : "nothing else stands, though it was lost"};
    }
    if (s.best == s.present)
        return stay(&s, held_until,
                    s.held ? "a way that was lost must hold first" : why_this_kind(s.present));

    bool gain = faster_by_a_fifth(s.best, s.present), of_kind = s.best->kind == s.present->kind;
    if (of_kind && !gain)
        return stay(&s, held_until, "no other is faster by a fifth");
    tl_time apart = 3 * state->pto;
    if (!gain && apart < TL_SWITCH_APART)
        apart = TL_SWITCH_APART;
    if (state->switched_at && now < state->switched_at + apart)
        return stay(&s, tl_time_min(held_until, state->switched_at + apart),
                    "a switch was made a moment ago");
    return (tl_choice){s.best->id, held_until,
                       of_kind ? "it is faster by a fifth or more" : why_this_kind(s.best)};
}
