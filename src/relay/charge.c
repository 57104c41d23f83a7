#include "relay/state.h"

/* About the processor time of a frame that carries no whole message, with some to spare: a flood of
 * them is cheap for its sender. */
#define FRAME_COST    TL_US
#define REFUSAL_COST  (3 * TL_US) /* to write and send an error */
#define LIGHT_MAX     4096        /* a message this short is read even if its address is too busy */
/* A connection whose address is in debt rests. Then it is read again for one turn, so that the
 * neighbours at its address are never shut out for longer. */
#define REST_MAX      (2 * TL_SEC)
#define LIMITED_EVERY TL_SEC /* an error `rate_limited` tells the same as the one before it */
/* About the processor time of a TLS handshake with an RSA key, and of a connection with one HTTP
 * request. A flood of them is the cheapest way to keep the relay busy. */
#define TLS_WORK      (500 * TL_US)
#define CONN_WORK     (50 * TL_US)

/* --- what frames cost --- */

/* Nobody's node sends more of such frames than it may send messages. A connection that does so is
 * `eager`, and rests when its address is in debt. Its neighbours there do not. */
static void charge(tl_relay *r, tl_relay_conn *c, tl_time cost)
{
    tl_relay_address_worked(c->address, cost, r->now);
    if (!tl_ratelimit_take(&c->worthless, 1, r->now))
        c->eager = true;
}

void tl_relay_charge_begin(tl_relay *r, tl_relay_conn *c)
{
    tl_relay_address_worked(c->address, c->tls ? TLS_WORK : CONN_WORK, r->now);
}

void tl_relay_charge_frame(tl_relay *r, tl_relay_conn *c)
{
    charge(r, c, FRAME_COST);
}

void tl_relay_charge_refusal(tl_relay *r, tl_relay_conn *c, size_t n)
{
    charge(r, c, REFUSAL_COST + n / 64 * TL_US);
}

/* --- rest --- */

void tl_relay_rest_if_indebted(tl_relay *r, tl_relay_conn *c)
{
    tl_time debt = tl_relay_address_debt(c->address, r->now);
    bool rests = c->eager && debt && c->rests_until == TL_NEVER && tl_relay_is_open(c);
    c->eager = false;
    if (!rests)
        return;
    r->counters.rests++;
    tl_relay_rest(r, c, r->now + tl_time_min(debt, REST_MAX));
}

void tl_relay_rest(tl_relay *r, tl_relay_conn *c, tl_time until)
{
    if (c->rests_until != TL_NEVER) {
        c->rests_until = tl_time_max(c->rests_until, until);
        return;
    }
    c->rests_until = until;
    if (c->paused_by++ == 0)
        tl_relay_set_paused(r, c, true);
    if (c->timer.at > c->rests_until)
        tl_relay_set_conn_timer(r, c);
}

void tl_relay_end_rest(tl_relay *r, tl_relay_conn *c)
{
    c->rests_until = TL_NEVER;
    if (--c->paused_by == 0)
        tl_relay_set_paused(r, c, false);
    tl_relay_set_conn_timer(r, c);
}

/* --- the rate of messages --- */

/* About the processor time of reading JSON: one pass over its bytes, and two allocations for each
 * value. */
static tl_time cost_of(tl_slice text)
{
    size_t values = 1;
    for (size_t i = 0; i < text.n; i++)
        values += text.p[i] == ',';
    return (text.n / 64 + values / 8 + 2) * TL_US;
}

static void tell_limited(tl_relay *r, tl_relay_conn *c, tl_slice about)
{
    if (c->limited_told && r->now < c->limited_told + LIMITED_EVERY)
        return;
    c->limited_told = r->now;
    tl_relay_send_error(r, c, TL_SIGNAL_RATE_LIMITED, "too many messages", about);
}

bool tl_relay_is_within_rate(tl_relay *r, tl_relay_conn *c, const tl_signal *s, tl_slice text)
{
    if (!tl_ratelimit_take(&c->control, 1, r->now)) {
        tl_relay_charge_refusal(r, c, text.n);
        tell_limited(r, c, s->type_name);
        if (c->state == TL_RELAY_CONN_GREETED)
            tl_relay_close(r, c, TL_WS_POLICY, "too many messages before registering");
        return false;
    }
    bool is_costly =
        text.n > LIGHT_MAX || s->type == TL_SIGNAL_REGISTER || s->type == TL_SIGNAL_DISCOVER;
    const char *why = NULL;
    if (is_costly && tl_relay_address_debt(c->address, r->now))
        why = "too much work for one address";
    else if (c->node && r->fed && s->type == TL_SIGNAL_REGISTER &&
             !tl_ratelimit_take(&c->changes, 1, r->now))
        why = "too many changes of the capabilities";
    if (why) {
        tl_relay_charge_refusal(r, c, 0);
        tl_relay_send_error(r, c, TL_SIGNAL_RATE_LIMITED, why, s->type_name);
        if (s->type == TL_SIGNAL_REGISTER)
            tl_relay_count_refused(r, c, TL_RELAY_REFUSED_RATE);
        return false;
    }
    tl_relay_address_worked(c->address, cost_of(text), r->now);
    return true;
}
