/* relay_pair.h - keeps a node connected to two relays of those that its settings name, each by a
 * relay_client of its own. The others are spares. Where one relay alone is named, there is one
 * connection; while that relay says goodbye, a second one to the same name, which may be another machine.
 * Touches sockets only through the clients. */
#ifndef TL_NET_RELAY_PAIR_H
#define TL_NET_RELAY_PAIR_H

#include "net/relay_client.h"
#include "peer/relays.h"

/* A relay that said goodbye is left when it has no session of ours any more. It is left at the latest
 * after this time, or when it said that it ends. */
#define TL_RELAY_LEAVE_WITHIN (20 * TL_SEC)

typedef struct tl_relay_pair tl_relay_pair;

typedef struct {
    void (*on_state)(void *user, size_t i); /* the state or the error of the i-th client changed */
    void (*on_writable)(void *user);
    /* That relay said goodbye, and another one may take over soon. */
    void (*on_leaving)(void *user, size_t i);
} tl_relay_pair_events;

/* Borrows `relays` and `rand` for its life. The caller passes the events of `relays` on to the three
 * functions below. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_pair_new(tl_loop *loop, tl_rand *rand, tl_relays *relays,
                                  const tl_relay_pair_events *events, void *user,
                                  tl_relay_pair **ret_pair);
void tl_relay_pair_free(tl_relay_pair *p);
/* As tl_relay_client_start. */
TL_CHECK tl_err tl_relay_pair_start(tl_relay_pair *p, const tl_relay_client_config *config,
                                    tl_why *why);
void tl_relay_pair_stop(tl_relay_pair *p, const char *reason);
void tl_relay_pair_hurry(tl_relay_pair *p);
void tl_relay_pair_doubt(tl_relay_pair *p);
void tl_relay_pair_doubt_one(tl_relay_pair *p, size_t i);

/* The events of `relays`, of the relay that it is telling of. */
void tl_relay_pair_registered(tl_relay_pair *p);
void tl_relay_pair_refused(tl_relay_pair *p, const char *code, const char *message);
void tl_relay_pair_goodbye(tl_relay_pair *p, unsigned in_seconds);
void tl_relay_pair_rearm(tl_relay_pair *p);

/* NULL: the i-th client is not in use. */
const tl_relay_client *tl_relay_pair_client(const tl_relay_pair *p, size_t i);
/* The client that speaks for both: the nearer one of those that are connected, else one that is in
 * use. */
const tl_relay_client *tl_relay_pair_main(const tl_relay_pair *p);
size_t tl_relay_pair_main_at(const tl_relay_pair *p); /* its index */
/* Of both: connected if one is; connecting if one is; else off. */
tl_relay_state tl_relay_pair_state(const tl_relay_pair *p);
const char *tl_relay_pair_url(const tl_relay_pair *p);
const char *tl_relay_pair_error(const tl_relay_pair *p); /* "": connected */
const char *tl_relay_pair_cause(const tl_relay_pair *p, size_t i, const char **ret_url);
/* Two of the relays act as one, so the pair gave one connection up. */
bool tl_relay_pair_is_one(const tl_relay_pair *p);
const char *tl_relay_pair_portal(const tl_relay_pair *p);
const char *tl_relay_pair_proxy(const tl_relay_pair *p, const char **ret_source);
tl_time tl_relay_pair_rtt(const tl_relay_pair *p);
uint64_t tl_relay_pair_connects(const tl_relay_pair *p);
size_t tl_relay_pair_connected(const tl_relay_pair *p); /* how many are */
bool tl_relay_pair_is_closed(const tl_relay_pair *p);
bool tl_relay_pair_is_full(const tl_relay_pair *p, size_t i);
/* The URL of the i-th relay; "": none. */
const char *tl_relay_pair_url_of(const tl_relay_pair *p, size_t i);

#endif
