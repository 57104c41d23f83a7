#include "peer/leg.h"

#include <assert.h>

static void set_state(tl_leg *l, tl_leg_state state)
{
    assert(state != TL_LEG_OPEN || l->seen.family != TL_ADDR_NONE);
    assert(state != TL_LEG_SHUT || l->state != TL_LEG_RESTING);
    l->state = state;
}

tl_leg tl_leg_new(const tl_addr *relay)
{
    return (tl_leg){.state = TL_LEG_RESTING,
                    .relay = *relay,
                    .pause = TL_LEG_PAUSE_MIN,
                    .every = TL_LEG_EVERY,
                    .next_at = TL_NEVER};
}

static void begin_question(tl_leg *l, tl_time now)
{
    l->tries = 0;
    l->next_at = now;
}

void tl_leg_want(tl_leg *l, tl_time now)
{
    if (l->state != TL_LEG_RESTING)
        return;
    set_state(l, TL_LEG_ASKING);
    begin_question(l, now);
}

void tl_leg_rest(tl_leg *l)
{
    l->tries = 0;
    l->next_at = TL_NEVER;
    set_state(l, TL_LEG_RESTING);
}

void tl_leg_doubt(tl_leg *l, tl_time now)
{
    if (l->state == TL_LEG_RESTING || l->tries)
        return; /* a question is under way */
    if (l->state == TL_LEG_SHUT && now < l->asked_at + TL_LEG_PAUSE_MIN)
        return;
    begin_question(l, now);
}

bool tl_leg_is_due(tl_leg *l, tl_rand *rand, tl_time now)
{
    if (l->state == TL_LEG_RESTING || now < l->next_at || l->tries == TL_LEG_TRIES)
        return false;
    if (l->tries == 0) {
        if (l->state == TL_LEG_SHUT)
            set_state(l, TL_LEG_ASKING);
        tl_rand_bytes(rand, l->id.bytes, sizeof l->id.bytes);
        l->asked_at = now;
    }
    l->next_at = now + (TL_LEG_RTO << l->tries);
    l->tries++;
    return true;
}

bool tl_leg_ask(tl_leg *l, tl_rand *rand, tl_time now, tl_stun_writer *ret_question)
{
    if (!tl_leg_is_due(l, rand, now))
        return false;
    tl_stun_begin(ret_question, TL_STUN_REQUEST, &l->id);
    tl_stun_finish(ret_question);
    return true;
}

bool tl_leg_on_answer(tl_leg *l, const tl_stun *answer, tl_time now, tl_leg_news *ret_news)
{
    return answer->class == TL_STUN_SUCCESS && answer->mapped.family != TL_ADDR_NONE &&
           tl_leg_answered(l, &answer->id, &answer->mapped, now, ret_news);
}

bool tl_leg_answered(tl_leg *l, const tl_stun_id *id, const tl_addr *as, tl_time now,
                     tl_leg_news *ret_news)
{
    if (!l->tries || memcmp(id->bytes, l->id.bytes, sizeof l->id.bytes) != 0)
        return false;
    tl_addr seen = tl_addr_normal(*as);
    bool was_open = l->state == TL_LEG_OPEN;
    bool moved = l->seen.family != TL_ADDR_NONE && !tl_addr_eq(&seen, &l->seen);
    if (l->tries == 1)
        l->rtt = now > l->asked_at ? now - l->asked_at : 1;
    l->seen = seen;
    l->tries = 0;
    l->pause = TL_LEG_PAUSE_MIN;
    l->next_at = now + l->every;
    set_state(l, TL_LEG_OPEN);
    *ret_news = moved ? TL_LEG_MOVED : was_open ? TL_LEG_SAME : TL_LEG_OPENED;
    return true;
}

bool tl_leg_on_timer(tl_leg *l, tl_time now)
{
    if (l->tries < TL_LEG_TRIES || now < l->next_at)
        return false;
    l->tries = 0;
    l->next_at = now + l->pause;
    l->pause = tl_time_min(2 * l->pause, TL_LEG_PAUSE_MAX);
    set_state(l, TL_LEG_SHUT);
    return true;
}

tl_time tl_leg_expiry(const tl_leg *l)
{
    return l->next_at;
}
