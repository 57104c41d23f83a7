/* relay_client.h - keeps one node connected to a relay: decides which URL to dial and when, and
 * when to give up a silent relay. Never reads the messages: peer/relay_link does. Touches sockets
 * only through io/wsclient. */
#ifndef TL_NET_RELAY_CLIENT_H
#define TL_NET_RELAY_CLIENT_H

#include "io/wsclient.h"
#include "net/relay_urls.h"
#include "peer/relay_link.h"

#define TL_RELAY_PING_EVERY   (25 * TL_SEC) /* the relay forgets a node after 300 s of silence */
#define TL_RELAY_DOUBT_WITHIN (400 * TL_MS) /* and two round trips to the relay */
#define TL_RELAY_PONG_WITHIN  (10 * TL_SEC) /* then the connection counts as dead */
#define TL_RELAY_TOLD_MAX     4             /* lines in the log about one relay in one outage */
/* A relay that cannot be used may be behind a captive portal. So often it is asked for, while none is
 * known, and so soon a relay is dialled again, while one is: a person logs in, and wants to go on. */
#define TL_RELAY_PORTAL_EVERY (30 * TL_SEC)
#define TL_RELAY_PORTAL_RETRY (3 * TL_SEC)
#define TL_RELAY_BACK_WITHIN  (30 * TL_SEC) /* a restart takes no longer */
#define TL_RELAY_BACK_RETRY   (8 * TL_SEC)  /* the longest pause meanwhile */
#define TL_RELAY_BACKOFF_MIN  (1 * TL_SEC)
#define TL_RELAY_BACKOFF_MAX  (60 * TL_SEC)
/* Pauses between two dials double. A connection that worked makes good for failures before it: each
 * second after the registration takes back one doubling. So a relay that was killed several times
 * within a minute is dialled soon after each return, and one that drops us at once ever later. */
#define TL_RELAY_FORGIVE_EACH (1 * TL_SEC)
/* After a connection that lasted this long, the first relay of the list is tried first again. */
#define TL_RELAY_STEADY_AFTER (60 * TL_SEC)
/* The pause after the relay said that another process registered with our key. If we came back at
 * once, we would throw the other process out, and it would throw us out, without end. If we never
 * came back, one false message of a relay would keep us off for ever. The pause doubles; it begins
 * with the shortest again after a connection lasted the longest pause. */
#define TL_RELAY_AWAY_MIN     (30 * TL_SEC)
#define TL_RELAY_AWAY_MAX     (60 * TL_MIN)

typedef enum {
    TL_RELAY_OFF,        /* not wanted, or another process took our place: `error` tells */
    TL_RELAY_CONNECTING, /* dialling, or waiting to dial again */
    TL_RELAY_CONNECTED,  /* registered */
} tl_relay_state;

typedef struct tl_relay_client tl_relay_client;

typedef struct {
    void (*on_state)(void *user);    /* the state or the error changed */
    void (*on_writable)(void *user); /* datagrams may be sent again */
    /* Has another client this relay (an index of the URLs)? Then it is not dialled. NULL: none has. */
    bool (*taken)(void *user, size_t relay);
    void (*on_rtt)(void *user); /* a round trip was measured; may be NULL */
} tl_relay_client_events;

/* Borrows `link` and `rand` for its life. The caller must pass the link's on_refused on to
 * tl_relay_client_refused. */
TL_CHECK tl_err tl_relay_client_new(tl_loop *loop, tl_rand *rand, tl_relay_link *link,
                                    const tl_relay_client_events *events, void *user,
                                    tl_relay_client **ret_client);
void tl_relay_client_free(tl_relay_client *c);

/* Begins to connect, and connects again after each end, until tl_relay_client_stop. If it runs
 * already, it starts anew. TL_ERR_INVALID with the reason: a URL is wrong, or a plain ws:// that is
 * not allowed. TL_ERR_IO: the CA file cannot be read. */
TL_CHECK tl_err tl_relay_client_start(tl_relay_client *c, const tl_relay_client_config *config,
                                      tl_why *why);
/* Closes the connection orderly. */
void tl_relay_client_stop(tl_relay_client *c, const char *reason);
/* Dials now, not after the pause. */
void tl_relay_client_hurry(tl_relay_client *c);

/* The connection may be dead without a sign (another network, another public address). If the relay
 * does not answer within TL_RELAY_DOUBT_WITHIN, it is dialled anew at once. */
void tl_relay_client_doubt(tl_relay_client *c);

/* To be called from the link's events. */
void tl_relay_client_registered(tl_relay_client *c);
void tl_relay_client_refused(tl_relay_client *c, const char *code, const char *message);
/* The relay will end within that time, and another one takes over: the end of this connection is no
 * failure, not even as "replaced". tl_relay_client_move closes it and dials the next relay. It is expected
 * back within TL_RELAY_BACK_WITHIN after its end: until then no pause is long. */
void tl_relay_client_leave(tl_relay_client *c, tl_time within);
bool tl_relay_client_is_leaving(const tl_relay_client *c);
void tl_relay_client_move(tl_relay_client *c);
/* What failed before counts no more: it is dialled within TL_RELAY_BACKOFF_MIN. */
void tl_relay_client_forgive(tl_relay_client *c);
bool tl_relay_client_is_wanted(const tl_relay_client *c);
size_t tl_relay_client_at(const tl_relay_client *c); /* the relay in use, or dialled next */
/* To be called after anything that may have set a deadline of the link. */
void tl_relay_client_rearm(tl_relay_client *c);

tl_relay_state tl_relay_client_state(const tl_relay_client *c);
/* The URL in use. While there is no connection: the one that tl_relay_client_error is about, else
 * the one that is being tried. "": none. */
const char *tl_relay_client_url(const tl_relay_client *c);
const char *tl_relay_client_error(const tl_relay_client *c); /* why it is not connected; "" = it is
                                                          connected */
/* Why the i-th relay could not be used, since there is no connection; "": it was not tried, or there
 * is one. NULL: there is no i-th. */
const char *tl_relay_client_cause(const tl_relay_client *c, size_t i, const char **ret_url);
/* Where a browser logs in to this network, while a captive portal stands before the relay; "": none is
 * known. */
const char *tl_relay_client_portal(const tl_relay_client *c);
/* The proxy on the way to that URL, without its login; "": none. *ret_source: what named it. */
const char *tl_relay_client_proxy(const tl_relay_client *c, const char **ret_source);
tl_time tl_relay_client_rtt(const tl_relay_client *c); /* 0: not measured */
bool tl_relay_client_is_closed(
    const tl_relay_client *c); /* on_state tells when this becomes true */
bool tl_relay_client_is_full(const tl_relay_client *c);
uint64_t tl_relay_client_connects(const tl_relay_client *c); /* successful registrations so far */

#endif
