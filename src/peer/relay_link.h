/* relay_link.h - what a node says to a relay and what the relay's words mean (PROTOCOL section 2):
 * registration, discovery, sessions, offers. Sans-IO: text messages come in and go out through the
 * functions it is given; never touches a socket or clock, and never decides when to dial.
 *
 *   OFFLINE --connected--> GREETING --challenge, or 2 s--> REGISTERING --registerAck--> REGISTERED
 *      ^--------------------- the connection ended, from any state -----------------------/
 *
 * A session is known by the path id that stands for it. Sessions end with the connection. */
#ifndef TL_PEER_RELAY_LINK_H
#define TL_PEER_RELAY_LINK_H

#include "base/json.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "nat/type.h"
#include "path/via.h"
#include "wire/signal.h"

#define TL_RELAY_GREETING_WITHIN (2 * TL_SEC) /* PROTOCOL section 2 "Registering" */
#define TL_RELAY_REGISTER_WITHIN (10 * TL_SEC)
#define TL_RELAY_DISCOVER_WITHIN (5 * TL_SEC)
#define TL_RELAY_SESSIONS_MAX    4096 /* as many as a relay grants one node */
#define TL_RELAY_QUERIES_MAX     16 /* discoveries waiting their turn; they are asked one by one */
#define TL_RELAY_PAGE            100 /* peers a page: each costs two point multiplications to check */
#define TL_RELAY_LIST_MAX        500 /* of one answer: the most a relay may list (wire/signalread) */
#define TL_RELAY_PAGES_MAX       64  /* of one discovery: more than the peer table holds */

typedef struct tl_relay_link tl_relay_link;

/* One node as the relay lists it; its keys are checked against each other. Borrowed for the call.
 */
typedef struct {
    tl_node_id id;
    const char *name;
    tl_nat_type nat_type; /* UNKNOWN also for a name that is none of the five */
    const json_t *capabilities;
} tl_relay_peer;

/* How messages leave. As tl_wsclient_begin and _commit. */
typedef struct {
    tl_err (*begin)(void *wire, size_t n, uint8_t **ret_room);
    void (*commit)(void *wire);
} tl_relay_wire;

typedef struct {
    void (*on_registered)(void *user);
    /* The relay will not have us, or has us no more: `code` as in PROTOCOL section 2. */
    void (*on_refused)(void *user, const char *code, const char *message);
    void (*on_peer)(void *user, const tl_relay_peer *peer);
    /* A discovery (`model` "" = of everything) has told all it knows, or failed. */
    void (*on_discovered)(void *user, const char *model, bool ok);
    /* A peer wants a session: the path id it shall be, or 0 to refuse. */
    tl_path_id (*on_asked)(void *user, const tl_node_id *from);
    void (*on_ready)(void *user, tl_path_id path);
    /* Not called for tl_relay_link_close. */
    void (*on_ended)(void *user, tl_path_id path, const char *why);
    /* The bytes may be changed, and are gone after the call. */
    void (*on_datagram)(void *user, tl_path_id path, uint8_t *data, size_t n);
    /* An offer, an answer or an iceCandidate; `from` is what the relay says. The payload is the
     * object's text, without "_0"; nothing in it is verified. Borrowed for the call. */
    void (*on_signal)(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload);
    /* The relay did not deliver one of ours of this session. */
    void (*on_signal_failed)(void *user, const char *session);
} tl_relay_link_events;

typedef struct {
    uint64_t messages_in, messages_out, datagrams_in, datagrams_out, datagrams_dropped;
    uint64_t signals_in; /* offers, answers and candidates handed on */
    uint64_t malformed, ignored, errors, peers_refused, refused; /* refused: sessions */
} tl_relay_link_counters;

/* Borrows `identity` and `rand` for life; copies the name. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_link_new(const tl_identity *identity, tl_rand *rand,
                                  const char *display_name, const tl_relay_link_events *events,
                                  void *user, tl_relay_link **ret_link);
void tl_relay_link_free(tl_relay_link *l);
const tl_relay_link_counters *tl_relay_link_counters_of(const tl_relay_link *l);

/* Takes the reference. Registers anew when registered already. */
void tl_relay_link_set_capabilities(tl_relay_link *l, json_t *capabilities);

/* The connection to `authority` stands. The wire is borrowed until tl_relay_link_on_closed. */
void tl_relay_link_on_open(tl_relay_link *l, const char *authority, const tl_relay_wire *wire,
                           void *wire_user, tl_time now);
void tl_relay_link_on_text(tl_relay_link *l, uint8_t *text, size_t n, tl_time now);
void tl_relay_link_on_closed(tl_relay_link *l);
void tl_relay_link_on_timer(tl_relay_link *l, tl_time now);
tl_time tl_relay_link_expiry(const tl_relay_link *l);
bool tl_relay_link_is_registered(const tl_relay_link *l);
/* Seconds after which the relay forgets a silent node; 0 before registration. */
unsigned tl_relay_link_ttl(const tl_relay_link *l);
/* Of registerAck, both "" = none: the relay's UDP HOST:PORT, and the IP:PORT it sees us come from.
 * Well formed, and unverified. */
const char *tl_relay_link_udp(const tl_relay_link *l);
const char *tl_relay_link_observed(const tl_relay_link *l);

/* `model` "" asks for everybody. The same question under way already is not asked twice.
 * TL_ERR_CLOSED: not registered. TL_ERR_BUSY: TL_RELAY_QUERIES_MAX. */
TL_CHECK tl_err tl_relay_link_discover(tl_relay_link *l, const char *model, tl_time now);

/* Asks `peer` for a session that will be `path`; on_ready or on_ended follows, never from inside.
 * TL_ERR_CLOSED: not registered. TL_ERR_BUSY: TL_RELAY_SESSIONS_MAX, or the wire is full.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_link_open(tl_relay_link *l, const tl_node_id *peer, tl_path_id path);
void tl_relay_link_close(tl_relay_link *l, tl_path_id path);
/* One datagram. TL_ERR_NOT_FOUND: no such session, or not ready: it is dropped and counted, as on
 * any network. TL_ERR_BUSY, TL_ERR_CLOSED, TL_ERR_NOMEM from the wire: dropped too. */
TL_CHECK tl_err tl_relay_link_send(tl_relay_link *l, tl_path_id path, tl_slice datagram);

/* An offer, an answer or an iceCandidate of ours (nat/offer makes the payload). TL_ERR_CLOSED: not
 * registered. TL_ERR_BUSY: the wire is full. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_link_signal(tl_relay_link *l, tl_signal_type type, const json_t *payload);

#endif
