#include "path/choice.h"

#include <assert.h>

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

/* --- the order --- */

typedef enum { BY_RELAY, BY_RELAY_UDP, BY_ITSELF } way_class;

/* A way of a higher class comes before every way of a lower one. */
static way_class class_of(const tl_way *w)
{
    switch (w->kind) {
    case TL_WAY_RELAYED: return BY_RELAY;
    case TL_WAY_RELAYED_UDP: return BY_RELAY_UDP;
    case TL_WAY_DIRECT:
    case TL_WAY_LAN_TCP:
    case TL_WAY_LAN: break;
    }
    return BY_ITSELF;
}

static bool is_lan(const tl_way *w)
{
    return w->kind == TL_WAY_LAN || w->kind == TL_WAY_LAN_TCP;
}

/* Is `b` a fifth faster than `a`? Not while one of them is not measured. */
static bool faster_by_a_fifth(const tl_way *b, const tl_way *a)
{
    return b->rtt && a->rtt && b->rtt <= a->rtt - a->rtt / 5;
}

static bool clearly_faster(const tl_way *b, const tl_way *a)
{
    return b->rtt && a->rtt && b->rtt <= a->rtt - a->rtt / 3 &&
           b->rtt + TL_CLEARLY_FASTER <= a->rtt;
}

/* Which of two direct ways, one of them of the local network, comes first? That one, unless the
 * other is clearly faster: a bridge over a tunnel looks local too. A local way that was left for
 * this reason must be faster itself to come back. */
static bool lan_before(const tl_way *lan, const tl_way *other, const tl_choice_state *state)
{
    if (lan->id == state->slower && other->id == state->present)
        return faster_by_a_fifth(lan, other);
    return !clearly_faster(other, lan);
}

/* The order among usable ways: a direct one before the relay, UDP to the relay before its WebSocket,
 * the local network before the others, and there UDP before TCP, which holds up what comes behind a packet that was
 * lost; then the round trip (a measured one comes before one that is not), then the longer life. */
static bool better(const tl_way *b, const tl_way *a, const tl_choice_state *state)
{
    if (!a || class_of(a) != class_of(b))
        return !a || class_of(a) < class_of(b);
    if (is_lan(b) != is_lan(a))
        return is_lan(b) ? lan_before(b, a, state) : !lan_before(a, b, state);
    if (b->kind != a->kind) /* both are of the local network */
        return b->kind > a->kind;
    if (b->rtt != a->rtt)
        return b->rtt && (!a->rtt || b->rtt < a->rtt);
    return b->usable_since < a->usable_since;
}

typedef struct {
    const tl_way *present; /* NULL: none, or it is dead */
    const tl_way *best;    /* of those that may be chosen now, with the present one */
    const tl_way *any;     /* of all that are usable */
    const tl_way *lan;     /* the best of the local network among those */
    const tl_way *held;    /* usable, better than the present one, must hold first: the soonest */
} survey;

/* The best in three rounds: the best of each kind, then one kind against the other. So the result
 * does not depend on the order of the list, although "clearly faster" is no order by itself. */
static const tl_way *best_of(const tl_way *ways, size_t n, const survey *s,
                             const tl_choice_state *state, bool held_too, tl_time now)
{
    const tl_way *of_kind[TL_WAY_LAN + 1] = {NULL};
    for (size_t i = 0; i < n; i++) {
        const tl_way *w = &ways[i];
        if (w->usable && (held_too || w == s->present || holds_from(w) <= now) &&
            better(w, of_kind[w->kind], state))
            of_kind[w->kind] = w;
    }
    const tl_way *best = NULL;
    for (size_t k = 0; k <= TL_WAY_LAN; k++)
        if (of_kind[k] && better(of_kind[k], best, state))
            best = of_kind[k];
    return best;
}

static survey look(const tl_way *ways, size_t n, const tl_choice_state *state, tl_time now)
{
    survey s = {0};
    for (size_t i = 0; i < n; i++)
        if (ways[i].usable && ways[i].id == state->present)
            s.present = &ways[i];
    s.best = best_of(ways, n, &s, state, false, now);
    s.any = best_of(ways, n, &s, state, true, now);
    for (size_t i = 0; i < n; i++) {
        const tl_way *w = &ways[i];
        if (!w->usable)
            continue;
        if (is_lan(w) && better(w, s.lan, state))
            s.lan = w;
        if (w != s.present && holds_from(w) > now && better(w, s.present, state) &&
            (!s.held || holds_from(w) < holds_from(s.held)))
            s.held = w;
    }
    return s;
}

/* --- the choice --- */

static const char *why_this_kind(const survey *s, const tl_way *w)
{
    switch (w->kind) {
    case TL_WAY_LAN: return "the local network comes first";
    case TL_WAY_LAN_TCP: return "the local network comes first, and only TCP passes there";
    case TL_WAY_DIRECT:
        if (!s->lan)
            return "direct comes before the relay";
        return clearly_faster(w, s->lan) ? "it is clearly faster than the local network"
                                         : "the local network is no faster, and was slower before";
    case TL_WAY_RELAYED_UDP: return "nothing direct stands, and UDP passes to the relay";
    case TL_WAY_RELAYED: break;
    }
    return "nothing direct stands";
}

static tl_choice stay(const survey *s, tl_time again_at, const char *why)
{
    return (tl_choice){.id = s->present->id, .again_at = again_at, .why = why};
}

/* When the next switch for a gain may be. */
static tl_time next_gain(const tl_choice_state *state)
{
    tl_time apart = TL_SWITCH_APART;
    for (unsigned i = 1; i < state->gains && apart < TL_GAIN_APART_MAX; i++)
        apart *= 2;
    return state->gains ? state->gained_at + tl_time_min(apart, TL_GAIN_APART_MAX) : 0;
}

/* When the connection may move to `s->best`, if the present way stands. */
static tl_time may_switch(const survey *s, const tl_choice_state *state, bool gain)
{
    tl_time apart = 3 * state->pto;
    bool soon = s->present->kind == TL_WAY_RELAYED_UDP; /* a direct way was not waited for there */
    if (!soon && !faster_by_a_fifth(s->best, s->present) && apart < TL_SWITCH_APART)
        apart = TL_SWITCH_APART;
    tl_time at = state->switched_at ? state->switched_at + apart : 0;
    return gain ? tl_time_max(at, next_gain(state)) : at;
}

tl_choice tl_choose(const tl_way *ways, size_t n, const tl_choice_state *state, tl_time now)
{
    survey s = look(ways, n, state, now);
    tl_time held_until = s.held ? holds_from(s.held) : TL_NEVER;
    if (!s.any)
        return (tl_choice){.again_at = TL_NEVER, .why = "no way is usable"};
    if (!s.present) {
        const tl_way *w = s.best ? s.best : s.any;
        return (tl_choice){.id = w->id,
                           .again_at = held_until,
                           .why = s.best ? why_this_kind(&s, w)
                                         : "nothing else stands, though it was lost"};
    }
    if (s.best == s.present)
        return stay(&s, held_until,
                    s.held ? "a way that was lost must hold first" : why_this_kind(&s, s.present));

    bool of_kind = s.best->kind == s.present->kind;
    if (of_kind && !faster_by_a_fifth(s.best, s.present))
        return stay(&s, held_until, "no other is faster by a fifth");
    bool gain = class_of(s.best) == class_of(s.present);
    tl_time at = may_switch(&s, state, gain);
    if (now < at)
        return stay(&s, tl_time_min(held_until, at), "a switch was made a moment ago");
    return (tl_choice){s.best->id, held_until,
                       of_kind ? "it is faster by a fifth or more" : why_this_kind(&s, s.best),
                       gain};
}

void tl_choice_made(tl_choice_state *state, const tl_choice *choice, tl_time now)
{
    assert(choice->id);
    if (choice->gain) {
        bool calm = now >= state->gained_at + TL_GAIN_CALM;
        state->gains = state->gains && !calm ? state->gains + 1 : 1;
        state->gained_at = now;
        state->slower = state->present;
    } else if (choice->id == state->slower) {
        state->slower = 0; /* it was the only one left: no reason against it any more */
    }
    state->switched_at = now;
    state->present = choice->id;
}
