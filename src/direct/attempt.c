/* The attempts at one peer: what the last one came to, and when the next one may be. */
#include "direct/state.h"

#include "base/log.h"

#include <assert.h>
#include <utlist.h>

const char *tl_direct_state_name(tl_direct_state s)
{
    static const char *const names[] = {
        [TL_DIRECT_NEVER] = "never tried", [TL_DIRECT_OFFERED] = "offered",
        [TL_DIRECT_CHECKING] = "checking", [TL_DIRECT_SEARCHING] = "searching",
        [TL_DIRECT_STANDS] = "stands",     [TL_DIRECT_UNANSWERED] = "not answered",
        [TL_DIRECT_FAILED] = "failed",     [TL_DIRECT_LOST] = "lost",
        [TL_DIRECT_OFF] = "off",
    };
    return names[s];
}

void tl_attempt_note(const tl_direct_peer *p, const char *what, const tl_addr *a)
{
    char hex[TL_NODE_ID_HEX + 1], address[TL_ADDR_TEXT_MAX] = "";
    if (!tl_log_wants(TL_LOG_DEBUG))
        return;
    tl_node_id_write(hex, &p->id);
    if (a)
        tl_addr_write(address, a);
    tl_log(TL_LOG_DEBUG, "direct: %.8s: %s%s%s", hex, what, a ? " " : "", address);
}

void tl_attempt_tell(tl_direct_peer *p, tl_direct_event_type what)
{
    tl_direct *d = p->direct;
    if (!p->tell_ways && !p->tell_silent)
        DL_APPEND(d->telling, p);
    if (what == TL_DIRECT_WAYS)
        p->tell_ways = true;
    else
        p->tell_silent = true;
    tl_env_wake(&d->env);
}

/* --- the state --- */

/* The picture above tl_direct_state. */
static bool may_become(tl_direct_state from, tl_direct_state to)
{
    switch (to) {
    case TL_DIRECT_SEARCHING: return from == TL_DIRECT_CHECKING || from == TL_DIRECT_STANDS;
    case TL_DIRECT_UNANSWERED: return from == TL_DIRECT_OFFERED;
    case TL_DIRECT_LOST: return from == TL_DIRECT_STANDS;
    case TL_DIRECT_FAILED: return from != TL_DIRECT_STANDS;
    case TL_DIRECT_NEVER:
    case TL_DIRECT_OFFERED:
    case TL_DIRECT_CHECKING:
    case TL_DIRECT_STANDS:
    case TL_DIRECT_OFF: break;
    }
    return true;
}

static void set_state(tl_direct_peer *p, tl_direct_state state)
{
    assert(p->state == state || may_become(p->state, state));
    p->state = state;
    switch (state) {
    case TL_DIRECT_NEVER:
    case TL_DIRECT_OFF: /* The pause stays: a peer without direct ways gets few offers. */ break;
    case TL_DIRECT_OFFERED:
    case TL_DIRECT_CHECKING:
    case TL_DIRECT_SEARCHING: p->again_at = TL_NEVER; break;
    case TL_DIRECT_STANDS:
        p->again_at = TL_NEVER;
        p->pause = TL_DIRECT_AGAIN_FIRST;
        break;
    case TL_DIRECT_UNANSWERED:
    case TL_DIRECT_FAILED:
    case TL_DIRECT_LOST:
        tl_attempt_note(p, tl_direct_state_name(state), NULL);
        p->again_at = tl_direct_now(p->direct) + p->pause;
        if (p->stranger) /* it is forgotten now */
            tl_direct_due(p->direct, tl_direct_now(p->direct));
        if (state != TL_DIRECT_LOST && !p->hurried)
            p->pause = tl_time_min(2 * p->pause, TL_DIRECT_AGAIN_MAX);
        tl_direct_due(p->direct, p->again_at);
        break;
    }
}

void tl_attempt_is(tl_direct_peer *p, tl_direct_state state)
{
    set_state(p, tl_ways_any(p) ? TL_DIRECT_STANDS : state);
}

/* The state of a peer whose last way was lost: the present session decides. */
static tl_direct_state without_a_way(const tl_direct_peer *p)
{
    switch (p->now ? p->now->state : TL_SESSION_NEW) {
    case TL_SESSION_OFFERED: return TL_DIRECT_OFFERED;
    case TL_SESSION_CHECKING: return TL_DIRECT_CHECKING;
    case TL_SESSION_SEARCHING: return TL_DIRECT_SEARCHING;
    case TL_SESSION_NEW:
    case TL_SESSION_SETTLED: break;
    }
    return TL_DIRECT_LOST;
}

void tl_attempt_look(tl_direct_peer *p)
{
    if (tl_ways_any(p))
        set_state(p, TL_DIRECT_STANDS);
    else if (p->state == TL_DIRECT_STANDS)
        set_state(p, without_a_way(p));
}

void tl_attempt_give_up(tl_direct_peer *p, tl_direct_state state)
{
    assert(state == TL_DIRECT_UNANSWERED || state == TL_DIRECT_FAILED);
    tl_attempt_is(p, state);
    tl_attempt_tell(p, TL_DIRECT_WAYS);
}

bool tl_attempt_is_on(const tl_direct_peer *p)
{
    return p->state == TL_DIRECT_OFFERED || p->state == TL_DIRECT_CHECKING ||
           p->state == TL_DIRECT_SEARCHING || p->state == TL_DIRECT_STANDS;
}

void tl_attempt_check(const tl_direct_peer *p)
{
    assert((p->state == TL_DIRECT_STANDS) == tl_ways_any(p));
    assert(p->state != TL_DIRECT_OFFERED || (p->now && p->now->state == TL_SESSION_OFFERED));
    assert(p->state != TL_DIRECT_CHECKING || (p->now && p->now->state == TL_SESSION_CHECKING));
    assert(p->state != TL_DIRECT_SEARCHING || (p->now && p->now->state == TL_SESSION_SEARCHING));
    assert(!p->now || p->now->state != TL_SESSION_OFFERED || p->state == TL_DIRECT_OFFERED ||
           p->state == TL_DIRECT_STANDS);
    assert(!tl_attempt_is_on(p) || p->again_at == TL_NEVER);
    assert(!p->now || p->now != p->old);
    assert(!p->used || tl_way_find(p->direct, p->used)->peer == p);
}

/* --- counting --- */

void tl_attempt_count(const tl_session *s, bool success)
{
    tl_control_nat initiator = s->ours ? s->our_nat : s->peer_nat;
    tl_control_nat target = s->ours ? s->peer_nat : s->our_nat;
    tl_punch_counters *c = &s->peer->direct->punches;
    (success ? c->successes : c->attempts)[initiator][target]++;
}
