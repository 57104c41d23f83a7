#include "net/relay_client.h"

#include "base/log.h"
#include "net/portal.h"

#include <stdio.h>
#include <stdlib.h>

/* The time without a connection. It begins with the first failure, and ends with a registration. */
typedef struct {
    tl_time since; /* 0: there is none */
    unsigned tries;
    unsigned told[TL_RELAY_URLS_MAX];   /* lines in the log about each relay */
    char cause[TL_RELAY_URLS_MAX][256]; /* why each relay could not be used, last; "" = not tried */
} outage;

/* The captive portal of this network. */
typedef struct {
    tl_portal *asking;             /* NULL: nothing is asked now */
    tl_time next;                  /* not asked sooner; 0: any time */
    char login[TL_PORTAL_URL_MAX]; /* "": none is known */
} portal_watch;

struct tl_relay_client {
    tl_loop *loop;
    tl_rand *rand;
    tl_relay_link *link;
    tl_relay_client_events events;
    void *user;
    bool wanted;
    tl_relay_urls relays;
    size_t at;     /* index of the URL in use */
    size_t failed; /* index of the URL that `error` is about */
    tl_tls *tls;

    tl_relay_state state;
    char error[512];
    outage outage;
    portal_watch portal;
    bool doubted;       /* the ping under way must be answered within TL_RELAY_DOUBT_WITHIN */
    bool refused;       /* the relay said why it will end this connection */
    bool leaving;       /* the relay will end soon, and we know */
    tl_time back_until; /* a relay that said goodbye is expected back until then; 0: none did */
    bool away;          /* another process took our place: we stay off for a while, even if asked to
                          dial */
    unsigned replaced;  /* how many times in a row, for the pause */
    tl_wsclient *ws;
    unsigned failures; /* rounds through all URLs, less what connections that worked forgave */
    tl_timer redial, ping, deadline;                   /* deadline is the link's */
    tl_time dialled_at, registered_at, ping_sent, rtt; /* ping_sent 0: no pong is awaited */
    uint64_t connects;
};

static const tl_relay_url *here(const tl_relay_client *c)
{
    return &c->relays.url[c->at];
}

/* The first relay from `from` on that no other client has; c->at: there is none. */
static size_t next_free(const tl_relay_client *c, size_t from)
{
    for (size_t k = 0; k < c->relays.n; k++) {
        size_t i = (from + k) % c->relays.n;
        if (!c->events.taken || !c->events.taken(c->user, i))
            return i;
    }
    return c->at;
}

static void set_state(tl_relay_client *c, tl_relay_state state, const char *error)
{
    bool same = c->state == state && strcmp(c->error, error) == 0;
    c->state = state;
    if (error != c->error)
        snprintf(c->error, sizeof c->error, "%s", error);
    if (!same)
        c->events.on_state(c->user);
}

tl_relay_state tl_relay_client_state(const tl_relay_client *c)
{
    return c->state;
}

/* Index of the relay that the state is about. */
static size_t shown_at(const tl_relay_client *c)
{
    return c->state != TL_RELAY_CONNECTED && c->error[0] ? c->failed : c->at;
}

const char *tl_relay_client_url(const tl_relay_client *c)
{
    return c->relays.n ? c->relays.url[shown_at(c)].text : "";
}

const char *tl_relay_client_proxy(const tl_relay_client *c, const char **ret_source)
{
    *ret_source = c->relays.n ? c->relays.url[shown_at(c)].proxy_source : "";
    return c->relays.n ? c->relays.url[shown_at(c)].shown : "";
}

const char *tl_relay_client_cause(const tl_relay_client *c, size_t i, const char **ret_url)
{
    if (i >= c->relays.n)
        return NULL;
    *ret_url = c->relays.url[i].text;
    return c->outage.cause[i];
}

const char *tl_relay_client_portal(const tl_relay_client *c)
{
    return c->portal.login;
}

const char *tl_relay_client_error(const tl_relay_client *c)
{
    return c->error;
}

tl_time tl_relay_client_rtt(const tl_relay_client *c)
{
    return c->rtt;
}

uint64_t tl_relay_client_connects(const tl_relay_client *c)
{
    return c->connects;
}

bool tl_relay_client_is_closed(const tl_relay_client *c)
{
    return !c->ws;
}

bool tl_relay_client_is_full(const tl_relay_client *c)
{
    return c->ws && tl_wsclient_is_full(c->ws);
}

void tl_relay_client_rearm(tl_relay_client *c)
{
    tl_timer_set(&c->deadline, tl_relay_link_expiry(c->link));
}

/* --- a connection's end and the next beginning --- */

/* A random time between now and the end of the pause. The pause doubles each time. `next`: the relay
 * that follows the one that failed. */
static tl_time next_pause(tl_relay_client *c, size_t next)
{
    if (next > c->at)
        return 0; /* another relay may work: try it at once */
    unsigned shift = c->failures < 6 ? c->failures : 6;
    tl_time whole = TL_RELAY_BACKOFF_MIN << shift;
    if (whole > TL_RELAY_BACKOFF_MAX)
        whole = TL_RELAY_BACKOFF_MAX;
    c->failures += c->failures < 6; /* more would take longer to forgive, and change nothing */
    return tl_rand_below(c->rand, whole);
}

static tl_time next_absence(tl_relay_client *c)
{
    unsigned shift = c->replaced < 7 ? c->replaced : 7;
    tl_time whole = tl_time_min(TL_RELAY_AWAY_MIN << shift, TL_RELAY_AWAY_MAX);
    c->replaced++;
    return whole / 2 + tl_rand_below(c->rand, whole / 2);
}

static void drop_connection(tl_relay_client *c)
{
    tl_timer_stop(&c->ping);
    c->ping_sent = 0;
    c->rtt = 0;
    c->refused = c->doubted = c->leaving = false;
    tl_wsclient_free(c->ws);
    c->ws = NULL;
    tl_relay_link_on_closed(c->link);
    tl_relay_client_rearm(c);
}

/* --- a captive portal --- */

static void write_portal(const tl_relay_client *c, char ret_text[512])
{
    snprintf(ret_text, 512,
             "E_CAPTIVE_PORTAL: this network asks you to log in: open %s in a browser",
             c->portal.login);
}

static void forget_portal(tl_relay_client *c)
{
    tl_portal_free(c->portal.asking);
    c->portal = (portal_watch){.asking = NULL};
}

static void on_portal(void *user, const char *login)
{
    tl_relay_client *c = user;
    char text[512];
    tl_portal_free(c->portal.asking);
    c->portal.asking = NULL;
    if (login && !c->portal.login[0])
        tl_log(TL_LOG_WARN,
               "relay: E_CAPTIVE_PORTAL: this network asks you to log in: open %s in a browser; "
               "the relay is tried every few seconds",
               login);
    snprintf(c->portal.login, sizeof c->portal.login, "%s", login ? login : "");
    if (login)
        c->portal.next = 0; /* asked after each failure, until it is gone */
    if (!login || c->away)
        return;
    tl_time soon = tl_loop_now(c->loop) + TL_RELAY_PORTAL_RETRY;
    if (!c->ws && c->redial.at > soon)
        tl_timer_set(&c->redial, soon);
    write_portal(c, text);
    set_state(c, TL_RELAY_CONNECTING, text);
}

/* The i-th relay could not be used. A portal is near, so it is not asked for through a proxy. */
static void ask_for_portal(tl_relay_client *c, size_t i, tl_err e)
{
    tl_time now = tl_loop_now(c->loop);
    bool strange = e == TL_ERR_AUTH || e == TL_ERR_PROTO;
    if (c->portal.asking || now < c->portal.next || c->relays.url[i].url.loopback ||
        c->relays.url[i].shown[0])
        return;
    c->portal.next = now + TL_RELAY_PORTAL_EVERY;
    if (tl_portal_start(c->loop, c->rand, &c->relays.url[i].url, strange, on_portal, c,
                        &c->portal.asking))
        c->portal.asking = NULL;
}

/* Once for each cause of each relay, and at most TL_RELAY_TOLD_MAX times: a relay that is away for a
 * night is tried a thousand times. */
static void tell_failure(tl_relay_client *c, const char *why)
{
    outage *o = &c->outage;
    char cause[sizeof o->cause[0]];
    if (!o->since)
        o->since = tl_loop_now(c->loop);
    o->tries++;
    snprintf(cause, sizeof cause, "%s", why);
    if (c->away) /* tl_relay_client_refused has told it */
        return;
    if (c->leaving) {
        tl_log(TL_LOG_INFO, "relay: left %s, which said goodbye: %s", here(c)->text, why);
        return;
    }
    if (c->state == TL_RELAY_CONNECTED) {
        tl_log(TL_LOG_WARN, "relay: lost %s: %s", c->relays.url[c->at].text, why);
    } else if (strcmp(o->cause[c->at], cause) != 0 && o->told[c->at] < TL_RELAY_TOLD_MAX) {
        o->told[c->at]++;
        tl_log(TL_LOG_WARN, "relay: cannot use %s: %s; it is tried again, and told when it works",
               c->relays.url[c->at].text, why);
    }
    memcpy(o->cause[c->at], cause, sizeof cause);
}

static void dial_again(tl_relay_client *c, const char *why)
{
    tl_time now = tl_loop_now(c->loop);
    tl_time held = c->registered_at ? now - c->registered_at : 0;
    const char *url = c->relays.url[c->at].text; /* the one that failed; c->at becomes the next */
    tell_failure(c, why);
    c->failed = c->at;
    c->registered_at = 0;
    if (held >= TL_RELAY_AWAY_MAX)
        c->replaced = 0;
    tl_time forgiven = held / TL_RELAY_FORGIVE_EACH;
    c->failures -= forgiven < c->failures ? (unsigned)forgiven : c->failures;
    size_t next = next_free(c, held >= TL_RELAY_STEADY_AFTER ? 0 : c->at + 1);
    tl_time pause = c->away ? next_absence(c) : next_pause(c, next);
    c->at = next;
    if (now < c->back_until && !c->away)
        pause = tl_time_min(pause, TL_RELAY_BACK_RETRY);
    if (c->portal.login[0] && !c->away)
        pause = tl_time_min(pause, TL_RELAY_PORTAL_RETRY);
    tl_log(TL_LOG_DEBUG, "relay: %s: %s; next try in %u ms", url, why, (unsigned)(pause / TL_MS));
    tl_timer_set(&c->redial, now + pause);
    char text[512];
    snprintf(text, sizeof text, "%s", why);
    if (c->portal.login[0] && !c->away)
        write_portal(c, text);
    drop_connection(c);
    set_state(c, c->away ? TL_RELAY_OFF : TL_RELAY_CONNECTING, text);
}

/* --- what the WebSocket says --- */

static tl_err wire_begin(void *wire, size_t n, uint8_t **ret_room)
{
    return tl_wsclient_begin(wire, TL_WS_TEXT, n, ret_room);
}

static void wire_commit(void *wire)
{
    tl_wsclient_commit(wire);
}

static tl_err wire_begin_binary(void *wire, size_t n, uint8_t **ret_room)
{
    return tl_wsclient_begin(wire, TL_WS_BINARY, n, ret_room);
}

static const tl_relay_wire wire = {wire_begin, wire_commit, wire_begin_binary};

static void on_open(void *user)
{
    tl_relay_client *c = user;
    tl_relay_link_on_open(c->link, here(c)->url.authority, &wire, c->ws, tl_loop_now(c->loop));
    tl_relay_client_rearm(c);
}

static void on_message(void *user, tl_ws_opcode opcode, uint8_t *bytes, size_t n)
{
    tl_relay_client *c = user;
    if (opcode == TL_WS_TEXT)
        tl_relay_link_on_text(c->link, bytes, n, tl_loop_now(c->loop));
    else
        tl_relay_link_on_binary(c->link, bytes, n);
    tl_relay_client_rearm(c);
}

static void on_pong(void *user, tl_slice payload)
{
    tl_relay_client *c = user;
    (void)payload;
    if (!c->ping_sent)
        return;
    c->rtt = tl_loop_clock(c->loop) - c->ping_sent;
    c->ping_sent = 0;
    c->doubted = false;
    if (c->events.on_rtt)
        c->events.on_rtt(c->user);
    unsigned ttl = tl_relay_link_ttl(c->link);
    tl_time every = TL_RELAY_PING_EVERY;
    if (ttl && ttl * TL_SEC / 2 < every)
        every = ttl * TL_SEC / 2; /* if the relay forgets nodes sooner, ping it sooner */
    tl_timer_set(&c->ping, tl_loop_now(c->loop) + every);
}

static void on_ws_writable(void *user)
{
    tl_relay_client *c = user;
    c->events.on_writable(c->user);
}

static void on_closed(void *user, tl_err e, unsigned code, const char *why)
{
    tl_relay_client *c = user;
    (void)code;
    char text[512];
    size_t at = c->at;
    bool unreached = !c->registered_at && !c->refused && !tl_wsclient_is_authentic(c->ws);
    if (c->refused) /* the relay's message says more than the close that follows it */
        snprintf(text, sizeof text, "%s", c->error);
    else
        snprintf(text, sizeof text, "%s", why);
    if (c->wanted) {
        bool at_once = c->doubted && !c->away;
        dial_again(c, text);
        if (unreached)
            ask_for_portal(c, at, e);
        if (at_once) /* the connection was of a network that is gone: the relay did not refuse us */
            tl_timer_set(&c->redial, tl_loop_now(c->loop));
    } else {
        drop_connection(c);
        c->events.on_state(c->user);
    }
}

static const tl_wsclient_events ws_events = {on_open, on_message, on_pong, on_ws_writable,
                                             on_closed};

/* --- timers --- */

static void on_redial(void *user)
{
    tl_relay_client *c = user;
    if (c->ws || !c->wanted)
        return;
    c->dialled_at = tl_loop_now(c->loop);
    c->at = next_free(c, c->at);
    if (c->away) {
        c->away = false;
        set_state(c, TL_RELAY_CONNECTING, c->error);
    }
    if (tl_wsclient_connect(c->loop, &here(c)->url, &here(c)->proxy, c->tls, c->rand, &ws_events, c,
                            &c->ws))
        dial_again(c, "out of memory");
}

/* Also measures the round trip; therefore the first ping comes right after the registration. */
static void on_ping(void *user)
{
    tl_relay_client *c = user;
    tl_time now = tl_loop_now(c->loop);
    if (c->ping_sent) {
        char text[512];
        bool doubted = c->doubted;
        snprintf(text, sizeof text, "silent for %u s", (unsigned)(TL_RELAY_PONG_WITHIN / TL_SEC));
        dial_again(c, doubted ? "the network changed" : text);
        if (doubted)
            tl_timer_set(&c->redial, now);
        return;
    }
    c->ping_sent = tl_loop_clock(c->loop);
    tl_timer_set(&c->ping, now + TL_RELAY_PONG_WITHIN);
    if (tl_wsclient_send(c->ws, TL_WS_PING, TL_SLICE_LIT("t")))
        dial_again(c, "the connection to the relay is stuck");
}

static void on_deadline(void *user)
{
    tl_relay_client *c = user;
    tl_relay_link_on_timer(c->link, tl_loop_now(c->loop));
    tl_relay_client_rearm(c);
}

/* --- what the link says --- */

void tl_relay_client_registered(tl_relay_client *c)
{
    c->connects++;
    c->registered_at = tl_loop_now(c->loop);
    if (c->outage.since)
        tl_log(TL_LOG_INFO, "relay: connected to %s, after %.1f s and %u failure%s",
               c->relays.url[c->at].text,
               (double)(c->registered_at - c->outage.since) / (double)TL_SEC, c->outage.tries,
               c->outage.tries == 1 ? "" : "s");
    else
        tl_log(TL_LOG_INFO, "relay: connected to %s", c->relays.url[c->at].text);
    c->outage = (outage){.since = 0};
    forget_portal(c);
    tl_timer_set(&c->ping, tl_loop_now(c->loop));
    set_state(c, TL_RELAY_CONNECTED, "");
}

void tl_relay_client_refused(tl_relay_client *c, const char *code, const char *message)
{
    char why[512];
    tl_safe safe_code = tl_log_safe(tl_slice_str(code)), safe = tl_log_safe(tl_slice_str(message));
    /* Whoever leaves has registered elsewhere: at the relay that took over, perhaps. */
    c->away = strcmp(code, "replaced") == 0 && !c->leaving;
    if (c->away) {
        snprintf(why, sizeof why,
                 "another process registered with this node's key at %s; this one keeps off the "
                 "relay, longer each time",
                 c->relays.url[c->at].text);
        tl_log(TL_LOG_ERROR, "relay: %s", why);
    } else {
        snprintf(why, sizeof why, "refused us (%s): %s", safe_code.text, safe.text);
    }
    c->failed = c->at;
    c->refused = true;
    if (c->ws)
        tl_wsclient_close(c->ws, TL_WS_NORMAL, c->away ? "replaced" : "refused");
    set_state(c, c->away ? TL_RELAY_OFF : TL_RELAY_CONNECTING, why);
}

/* --- starting and stopping --- */

tl_err tl_relay_client_new(tl_loop *loop, tl_rand *rand, tl_relay_link *link,
                           const tl_relay_client_events *events, void *user,
                           tl_relay_client **ret_client)
{
    tl_relay_client *c = calloc(1, sizeof *c);
    if (!c)
        return TL_ERR_NOMEM;
    *c = (tl_relay_client){
        .loop = loop, .rand = rand, .link = link, .events = *events, .user = user};
    tl_timer_init(&c->redial, loop, on_redial, c);
    tl_timer_init(&c->ping, loop, on_ping, c);
    tl_timer_init(&c->deadline, loop, on_deadline, c);
    *ret_client = c;
    return TL_OK;
}

tl_err tl_relay_client_start(tl_relay_client *c, const tl_relay_client_config *config, tl_why *why)
{
    tl_relay_urls relays;
    tl_tls *tls = NULL;
    tl_err e = tl_relay_urls_read(config, &relays, why);
    if (!e && relays.tls)
        e = tl_tls_client(config->ca_file[0] ? config->ca_file : NULL, &tls, why);
    if (e)
        return e;
    tl_relay_client_stop(c, "the relay's address changed");
    if (c->ws)
        drop_connection(c);
    tl_tls_unref(c->tls);
    c->tls = tls;
    c->relays = relays;
    c->failures = 0;
    c->outage = (outage){.since = 0};
    c->away = false;
    c->wanted = true;
    c->at = 0;
    c->at = next_free(c, 0);
    tl_timer_set(&c->redial, tl_loop_now(c->loop));
    set_state(c, TL_RELAY_CONNECTING, "");
    return TL_OK;
}

void tl_relay_client_stop(tl_relay_client *c, const char *reason)
{
    c->wanted = false;
    tl_timer_stop(&c->redial);
    tl_timer_stop(&c->ping);
    forget_portal(c);
    if (c->ws)
        tl_wsclient_close(c->ws, TL_WS_GOING_AWAY, reason);
    set_state(c, TL_RELAY_OFF, "");
}

void tl_relay_client_leave(tl_relay_client *c, tl_time within)
{
    c->leaving = c->ws != NULL;
    c->back_until = tl_loop_now(c->loop) + within + TL_RELAY_BACK_WITHIN;
}

bool tl_relay_client_is_leaving(const tl_relay_client *c)
{
    return c->leaving;
}

void tl_relay_client_move(tl_relay_client *c)
{
    if (c->ws)
        tl_wsclient_close(c->ws, TL_WS_GOING_AWAY, "moved");
}

void tl_relay_client_forgive(tl_relay_client *c)
{
    c->failures = 0;
    if (c->wanted && !c->ws && !c->away)
        tl_timer_set(&c->redial,
                     tl_loop_now(c->loop) + tl_rand_below(c->rand, TL_RELAY_BACKOFF_MIN));
}

bool tl_relay_client_is_wanted(const tl_relay_client *c)
{
    return c->wanted;
}

size_t tl_relay_client_at(const tl_relay_client *c)
{
    return c->at;
}

void tl_relay_client_hurry(tl_relay_client *c)
{
    tl_time now = tl_loop_now(c->loop), earliest = c->dialled_at + TL_RELAY_BACKOFF_MIN;
    /* Many parts may want this at once, again and again, so a relay is dialled at most once in a
     * second. */
    if (c->wanted && !c->ws && !c->away && c->redial.at > earliest)
        tl_timer_set(&c->redial, earliest > now ? earliest : now);
}

void tl_relay_client_doubt(tl_relay_client *c)
{
    if (c->state != TL_RELAY_CONNECTED) {
        tl_relay_client_hurry(c);
        return;
    }
    if (c->doubted)
        return;
    tl_time within = TL_RELAY_DOUBT_WITHIN + 2 * c->rtt;
    if (!c->ping_sent)
        on_ping(c);
    if (c->ping_sent) {
        c->doubted = true;
        tl_timer_set(&c->ping, tl_loop_now(c->loop) + within);
    }
}

void tl_relay_client_free(tl_relay_client *c)
{
    if (!c)
        return;
    tl_timer_stop(&c->redial);
    tl_timer_stop(&c->ping);
    tl_timer_stop(&c->deadline);
    forget_portal(c);
    tl_wsclient_free(c->ws);
    tl_tls_unref(c->tls);
    free(c);
}
