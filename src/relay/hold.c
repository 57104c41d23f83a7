#include "relay/fed_state.h"
#include "relay/state.h"

#include <utlist.h>

/* How long a sender may wait. The relay at which its data waits decides first, so the one that holds
 * the sender waits longer. */
tl_time tl_relay_patience(const tl_relay *r, const tl_relay_member *m)
{
    return m->blocked_in ? r->config.paused_max : 2 * r->config.paused_max;
}

void tl_relay_set_session_timer(tl_relay *r, tl_relay_session *s)
{
    tl_time at = TL_NEVER;
    for (int i = 0; i < 2; i++)
        if (s->side[i].blocked_in || s->side[i].held)
            at = tl_time_min(at, s->side[i].blocked_at + tl_relay_patience(r, &s->side[i]));
    at = tl_time_min(at, tl_relay_tiers_expiry(r, s));
    tl_relay_timer_set(&r->session_timers, &s->timer, at);
}

static void pause_reading(tl_relay *r, tl_relay_conn *c)
{
    if (c->paused_by++ == 0) {
        r->counters.pauses++;
        tl_relay_set_paused(r, c, true);
    }
}

static void resume_reading(tl_relay *r, tl_relay_conn *c)
{
    if (--c->paused_by == 0)
        tl_relay_set_paused(r, c, false);
}

void tl_relay_block(tl_relay *r, tl_relay_member *sender, tl_relay_line *line)
{
    sender->blocked_in = line;
    sender->blocked_at = r->now;
    DL_APPEND2(line->blocked, sender, prev_blocked, next_blocked);
    if (sender->node->conn)
        pause_reading(r, sender->node->conn);
    else
        tl_fed_hold(r, sender, true);
    tl_relay_set_session_timer(r, sender->session);
}

void tl_relay_unblock(tl_relay *r, tl_relay_member *sender)
{
    if (!sender->blocked_in)
        return;
    DL_DELETE2(sender->blocked_in->blocked, sender, prev_blocked, next_blocked);
    sender->blocked_in = NULL;
    if (sender->node->conn)
        resume_reading(r, sender->node->conn);
    else
        tl_fed_hold(r, sender, false);
    tl_relay_set_session_timer(r, sender->session);
}

void tl_relay_unblock_line(tl_relay *r, tl_relay_line *line)
{
    while (line->blocked)
        tl_relay_unblock(r, line->blocked);
}

void tl_relay_set_held(tl_relay *r, tl_relay_member *sender, uint8_t held)
{
    bool was = sender->held != 0;
    if (!sender->node->conn || sender->held == held)
        return;
    sender->held = held;
    if (!was) {
        sender->blocked_at = r->now;
        pause_reading(r, sender->node->conn);
    } else if (!held) {
        resume_reading(r, sender->node->conn);
    }
    tl_relay_set_session_timer(r, sender->session);
}
