#include "net/relay_pair.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define SAME_WITHIN (5 * TL_SEC)  /* between a registration and the end of the other */
#define LOOK_EVERY  (250 * TL_MS) /* at a relay that is being left: is a session there? */

typedef struct {
    tl_relay_pair *pair;
    size_t i;
    tl_relay_client *client;
    tl_time leave_by;      /* TL_NEVER: its relay did not say goodbye, or is left */
    bool said_goodbye;     /* its relay did, and the connection has not ended */
    tl_time registered_at; /* 0: never */
    /* Its registration was replaced while the other one's was under way; else 0. */
    tl_time replaced_at;
} side;

struct tl_relay_pair {
    tl_loop *loop;
    tl_relays *relays;
    tl_relay_pair_events events;
    void *user;
    tl_relay_client_config config;
    bool wanted;
    bool is_one; /* two of the relays act as one, so one connection was given up */
    side side[TL_RELAYS_MAX];
    tl_timer look;
};

static side *other_of(const side *s)
{
    return &s->pair->side[1 - s->i];
}

static bool is_connected(const side *s)
{
    return tl_relay_client_state(s->client) == TL_RELAY_CONNECTED;
}

/* --- the clients' events --- */

static bool taken(void *user, size_t relay)
{
    const side *other = other_of(user);
    return other->client && tl_relay_client_is_wanted(other->client) &&
           !tl_relay_client_is_leaving(other->client) && tl_relay_client_at(other->client) == relay;
}

/* The connection to a relay that said goodbye has ended. Of one relay alone, one connection is enough:
 * the other one follows, now or when the relay is back. */
static void is_over(side *s)
{
    const side *other = other_of(s);
    s->leave_by = TL_NEVER;
    s->said_goodbye = false;
    if (s->pair->config.n_urls > 1 || !tl_relay_client_is_wanted(other->client))
        return;
    tl_relay_client_stop(s->client, "followed");
    tl_relay_client_forgive(other->client);
}

static void on_state(void *user)
{
    side *s = user;
    if (s->said_goodbye && tl_relay_client_is_closed(s->client))
        is_over(s);
    s->pair->events.on_state(s->pair->user, s->i);
}

static void on_rtt(void *user)
{
    const side *s = user;
    tl_relays_set_rtt(s->pair->relays, s->i, tl_relay_client_rtt(s->client));
}

static void on_writable(void *user)
{
    const side *s = user;
    s->pair->events.on_writable(s->pair->user);
}

/* --- leaving --- */

/* Leaves the relay, if another one has taken over and nothing is left here, or the time is over. */
static void look_at(side *s, tl_time now)
{
    size_t left = tl_relay_link_sessions(tl_relays_link(s->pair->relays, s->i));
    if (!is_connected(other_of(s)) || (left && now < s->leave_by))
        return;
    s->leave_by = TL_NEVER;
    tl_relay_client_move(s->client);
}

static void on_look(void *user)
{
    tl_relay_pair *p = user;
    tl_time now = tl_loop_now(p->loop);
    bool leaving = false;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        if (p->side[i].leave_by != TL_NEVER)
            look_at(&p->side[i], now);
        leaving |= p->side[i].leave_by != TL_NEVER;
    }
    if (leaving)
        tl_timer_set(&p->look, now + LOOK_EVERY);
}

void tl_relay_pair_goodbye(tl_relay_pair *p, unsigned in_seconds)
{
    side *s = &p->side[tl_relays_telling(p->relays)], *other = other_of(s);
    tl_time now = tl_loop_now(p->loop);
    tl_why why;
    if (!p->wanted || tl_relay_client_is_leaving(s->client))
        return;
    tl_log(TL_LOG_INFO, "relay: %s says goodbye: it ends within %u s",
           tl_relay_client_url(s->client), in_seconds);
    tl_relay_client_leave(s->client, in_seconds * TL_SEC);
    s->said_goodbye = true;
    s->leave_by = now + tl_time_min(in_seconds * TL_SEC, TL_RELAY_LEAVE_WITHIN);
    if (!tl_relay_client_is_wanted(other->client) &&
        tl_relay_client_start(other->client, &p->config, &why))
        tl_log(TL_LOG_ERROR, "relay: %s", why.text);
    tl_relay_client_hurry(other->client);
    tl_timer_set(&p->look, now + LOOK_EVERY);
    p->events.on_leaving(p->user, s->i);
}

/* --- the links' events --- */

/* Two names may lead to relays that act as one: such a relay takes the second registration for that of a
 * node that moved, and ends the first. Then one is enough. */
static void give_up(side *s)
{
    tl_log(TL_LOG_WARN, "relay: %s and %s act as one relay; the first is not used beside the other",
           tl_relay_client_url(s->client), tl_relay_client_url(other_of(s)->client));
    s->pair->is_one = true;
    tl_relay_client_stop(s->client, "the same relay");
}

void tl_relay_pair_registered(tl_relay_pair *p)
{
    side *s = &p->side[tl_relays_telling(p->relays)], *other = other_of(s);
    s->registered_at = tl_loop_now(p->loop);
    tl_relay_client_registered(s->client);
    if (other->replaced_at && s->registered_at < other->replaced_at + SAME_WITHIN)
        give_up(other);
    other->replaced_at = 0;
}

static bool is_the_same(const side *s)
{
    const side *other = other_of(s);
    return is_connected(s) && is_connected(other) &&
           tl_loop_now(s->pair->loop) < other->registered_at + SAME_WITHIN;
}

static bool is_under_way(const side *s)
{
    return s->client && tl_relay_client_is_wanted(s->client) &&
           tl_relay_client_state(s->client) == TL_RELAY_CONNECTING &&
           !tl_relay_client_is_closed(s->client);
}

void tl_relay_pair_refused(tl_relay_pair *p, const char *code, const char *message)
{
    side *s = &p->side[tl_relays_telling(p->relays)];
    bool replaced = !strcmp(code, "replaced") && !s->said_goodbye;
    if (replaced && is_the_same(s))
        give_up(s);
    else if (replaced && is_connected(s) && is_under_way(other_of(s)))
        /* By the other one, if that is told of its success. */
        s->replaced_at = tl_loop_now(p->loop);
    else
        tl_relay_client_refused(s->client, code, message);
}

void tl_relay_pair_rearm(tl_relay_pair *p)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_client_rearm(p->side[i].client);
}

/* --- starting and stopping --- */

tl_err tl_relay_pair_new(tl_loop *loop, tl_rand *rand, tl_relays *relays,
                         const tl_relay_pair_events *events, void *user, tl_relay_pair **ret_pair)
{
    static const tl_relay_client_events client_events = {on_state, on_writable, taken, on_rtt};
    tl_relay_pair *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    *p = (tl_relay_pair){.loop = loop, .relays = relays, .events = *events, .user = user};
    tl_timer_init(&p->look, loop, on_look, p);
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        side *s = &p->side[i];
        *s = (side){.pair = p, .i = i, .leave_by = TL_NEVER};
        tl_err e = tl_relay_client_new(loop, rand, tl_relays_link(relays, i), &client_events, s,
                                       &s->client);
        if (e) {
            tl_relay_pair_free(p);
            return e;
        }
    }
    *ret_pair = p;
    return TL_OK;
}

void tl_relay_pair_free(tl_relay_pair *p)
{
    if (!p)
        return;
    tl_timer_stop(&p->look);
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_client_free(p->side[i].client);
    free(p);
}

tl_err tl_relay_pair_start(tl_relay_pair *p, const tl_relay_client_config *config, tl_why *why)
{
    tl_relay_urls checked;
    tl_err e = tl_relay_urls_read(config, &checked, why);
    if (e)
        return e;
    tl_relay_pair_stop(p, "the relay's address changed");
    p->config = *config;
    p->wanted = true;
    for (size_t i = 0; i < TL_RELAYS_MAX && i < config->n_urls && !e; i++)
        e = tl_relay_client_start(p->side[i].client, config, why);
    return e;
}

void tl_relay_pair_stop(tl_relay_pair *p, const char *reason)
{
    p->wanted = false;
    p->is_one = false;
    tl_timer_stop(&p->look);
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        p->side[i].replaced_at = 0;
        p->side[i].leave_by = TL_NEVER;
        tl_relay_client_stop(p->side[i].client, reason);
    }
}

void tl_relay_pair_hurry(tl_relay_pair *p)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_client_hurry(p->side[i].client);
}

void tl_relay_pair_doubt_one(tl_relay_pair *p, size_t i)
{
    if (tl_relay_client_is_wanted(p->side[i].client))
        tl_relay_client_doubt(p->side[i].client);
}

void tl_relay_pair_doubt(tl_relay_pair *p)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        tl_relay_pair_doubt_one(p, i);
}

/* --- what is told --- */

const tl_relay_client *tl_relay_pair_client(const tl_relay_pair *p, size_t i)
{
    const tl_relay_client *c = p->side[i].client;
    bool in_use = tl_relay_client_is_wanted(c) || !tl_relay_client_is_closed(c);
    return in_use && tl_relay_client_url(c)[0] ? c : NULL;
}

static bool speaks_rather(const tl_relay_client *c, const tl_relay_client *than)
{
    tl_time a = tl_relay_client_rtt(c), b = tl_relay_client_rtt(than);
    bool up = tl_relay_client_state(c) == TL_RELAY_CONNECTED;
    if (up != (tl_relay_client_state(than) == TL_RELAY_CONNECTED))
        return up;
    if (tl_relay_client_is_wanted(c) != tl_relay_client_is_wanted(than))
        return tl_relay_client_is_wanted(c);
    return up && a && b && a < b;
}

size_t tl_relay_pair_main_at(const tl_relay_pair *p)
{
    size_t best = 0;
    for (size_t i = 1; i < TL_RELAYS_MAX; i++)
        if (speaks_rather(p->side[i].client, p->side[best].client))
            best = i;
    return best;
}

const tl_relay_client *tl_relay_pair_main(const tl_relay_pair *p)
{
    return p->side[tl_relay_pair_main_at(p)].client;
}

tl_relay_state tl_relay_pair_state(const tl_relay_pair *p)
{
    tl_relay_state best = TL_RELAY_OFF;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++) {
        tl_relay_state s = tl_relay_client_state(p->side[i].client);
        best = s > best ? s : best;
    }
    return best;
}

const char *tl_relay_pair_url(const tl_relay_pair *p)
{
    return tl_relay_client_url(tl_relay_pair_main(p));
}

const char *tl_relay_pair_error(const tl_relay_pair *p)
{
    return tl_relay_client_error(tl_relay_pair_main(p));
}

const char *tl_relay_pair_cause(const tl_relay_pair *p, size_t i, const char **ret_url)
{
    const char *cause = tl_relay_client_cause(p->side[0].client, i, ret_url);
    for (size_t k = 1; k < TL_RELAYS_MAX && cause && !cause[0]; k++) {
        const char *url, *more = tl_relay_client_cause(p->side[k].client, i, &url);
        cause = more ? more : cause;
    }
    return cause;
}

bool tl_relay_pair_is_one(const tl_relay_pair *p)
{
    return p->is_one;
}

const char *tl_relay_pair_portal(const tl_relay_pair *p)
{
    const char *login = "";
    for (size_t i = 0; i < TL_RELAYS_MAX && !login[0]; i++)
        login = tl_relay_client_portal(p->side[i].client);
    return login;
}

const char *tl_relay_pair_proxy(const tl_relay_pair *p, const char **ret_source)
{
    return tl_relay_client_proxy(tl_relay_pair_main(p), ret_source);
}

tl_time tl_relay_pair_rtt(const tl_relay_pair *p)
{
    return tl_relay_client_rtt(tl_relay_pair_main(p));
}

uint64_t tl_relay_pair_connects(const tl_relay_pair *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        n += tl_relay_client_connects(p->side[i].client);
    return n;
}

size_t tl_relay_pair_connected(const tl_relay_pair *p)
{
    size_t n = 0;
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        n += is_connected(&p->side[i]);
    return n;
}

bool tl_relay_pair_is_closed(const tl_relay_pair *p)
{
    for (size_t i = 0; i < TL_RELAYS_MAX; i++)
        if (!tl_relay_client_is_closed(p->side[i].client))
            return false;
    return true;
}

bool tl_relay_pair_is_full(const tl_relay_pair *p, size_t i)
{
    return tl_relay_client_is_full(p->side[i].client);
}

const char *tl_relay_pair_url_of(const tl_relay_pair *p, size_t i)
{
    return tl_relay_client_url(p->side[i].client);
}
