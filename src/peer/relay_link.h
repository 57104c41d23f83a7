/* relay_link.h - what a node says to a relay, and what the relay's messages mean (docs/protocol.md
 * "Relay signalling"): registration, discovery, sessions, offers. Sans-IO: text messages go out
 * through the functions it is given; never touches a socket or clock, and never decides when to
 * dial.
 *
 *   OFFLINE --connected--> GREETING --challenge, or 2 s--> REGISTERING --registerAck--> REGISTERED
 *      ^--------------------- the connection ended, from any state -----------------------/
 *
 * A path id stands for each session, and the caller names the session by it. Sessions end with the
 * connection to the relay. */
#ifndef TL_PEER_RELAY_LINK_H
#define TL_PEER_RELAY_LINK_H

#include "base/json.h"
#include "base/time.h"
#include "crypto/identity.h"
#include "nat/type.h"
#include "path/via.h"
#include "wire/signal.h"

#define TL_RELAY_GREETING_WITHIN (2 * TL_SEC) /* docs/protocol.md "Registering" */
#define TL_RELAY_REGISTER_WITHIN (10 * TL_SEC)
#define TL_RELAY_DISCOVER_WITHIN (5 * TL_SEC)
#define TL_RELAY_SESSIONS_MAX    4096 /* as many as a relay grants one node */
#define TL_RELAY_QUERIES_MAX     16  /* discoveries under way; they are asked one after the other */
#define TL_RELAY_PAGE            50  /* peers a page: its text is parsed in one turn, 0.5 ms */
#define TL_RELAY_LIST_MAX        500 /* peers that one answer may list (wire/signalread) */
#define TL_RELAY_PAGES_MAX       128 /* pages of one discovery: more than the peer table holds */

typedef struct tl_relay_link tl_relay_link;

/* One node as the relay lists it. Borrowed for the call. */
typedef struct {
    tl_node_id id;
    /* The relay lists no key for Noise, or one that does not belong to `id`: the node is one of those
     * that speak the old protocol alone, in clear (or the relay wants us to think so). */
    bool in_clear;
    const char *name;
    tl_nat_type nat_type; /* UNKNOWN also for a name that we do not know */
    const json_t *capabilities;
} tl_relay_peer;

/* Bytes of the datagram that a relayOpen or a relayReady may carry. One QUIC packet of a handshake
 * has 1200 (RFC 9000 14.1), and so a stranger's relayOpen costs its reader what its next relayData
 * would have cost. */
#define TL_RELAY_FIRST_MAX 1500

/* How messages leave: the contracts of tl_wsclient_begin and tl_wsclient_commit. */
typedef struct {
    tl_err (*begin)(void *wire, size_t n, uint8_t **ret_room); /* a text message */
    void (*commit)(void *wire);
    tl_err (*begin_binary)(void *wire, size_t n, uint8_t **ret_room); /* NULL: only text goes */
} tl_relay_wire;

/* The relay carries datagrams of a session as `token || datagram`, too. Borrowed for the call. */
#define TL_RELAY_TOKEN 16
typedef struct {
    const char *session; /* its ID at the relay */
    const uint8_t *token;
    const char *udp;    /* HOST:PORT of the relay; "": only by WebSocket */
    tl_unix expires_at; /* the session ends then; 0: no limit */
    uint64_t limit;     /* bytes a second that the relay grants us; 0: no limit */
} tl_relay_offer;

typedef struct {
    void (*on_registered)(void *user);
    /* The relay refuses to register us, or ended our registration. `code`: docs/protocol.md
     * "Errors". */
    void (*on_refused)(void *user, const char *code, const char *message);
    void (*on_peer)(void *user, const tl_relay_peer *peer);
    /* A discovery (`model` "": of all nodes) is complete, or has failed. */
    void (*on_discovered)(void *user, const char *model, bool ok);
    /* A peer wants a session. Returns the path id for it, or 0 to refuse. */
    tl_path_id (*on_asked)(void *user, const tl_node_id *from);
    void (*on_ready)(void *user, tl_path_id path);
    /* Not called for tl_relay_link_close. */
    void (*on_ended)(void *user, tl_path_id path, const char *why);
    /* The callee may change the bytes. They are invalid after the call. */
    void (*on_datagram)(void *user, tl_path_id path, uint8_t *data, size_t n);
    /* An offer, an answer or an iceCandidate. `from` is what the relay says. The payload is the
     * object's text, without "_0"; nothing in it is verified. Borrowed for the call. */
    void (*on_signal)(void *user, tl_signal_type type, const tl_node_id *from, tl_slice payload);
    /* The relay did not deliver one of our offers, answers or candidates of `session`. */
    void (*on_signal_failed)(void *user, const char *session);
    /* The relay says that a node has registered or has gone (peerJoined, peerLeft); `peer` NULL: that
     * many have, and it does not name them (peersChanged). Nothing in it is verified. NULL: not
     * wanted. */
    void (*on_presence)(void *user, const tl_node_id *peer, bool joined);
    /* The session `path` has a token from now on. NULL: tokens are not wanted, and the relay is not
     * asked for them. */
    void (*on_offer)(void *user, tl_path_id path, const tl_relay_offer *offer);
    /* The relay will end the session at `ends_at`. */
    void (*on_warning)(void *user, tl_path_id path, tl_unix ends_at);
    /* A datagram of some session with a token: the relay does not say of which. As on_datagram. */
    void (*on_payload)(void *user, uint8_t *data, size_t n);
    /* The relay ends in so many seconds, and says goodbye. NULL: this node does not ask to be told. */
    void (*on_goodbye)(void *user, unsigned in_seconds);
    /* The connection has ended; its sessions and questions were told before. May be NULL. */
    void (*on_lost)(void *user);
} tl_relay_link_events;

typedef struct {
    uint64_t messages_in, messages_out, datagrams_in, datagrams_out, datagrams_dropped;
    uint64_t packets_in, packets_out; /* those of the datagrams that came or went with a token */
    uint64_t signals_in;              /* offers, answers and candidates handed on */
    uint64_t malformed, ignored, errors, peers_refused, refused; /* refused: sessions */
    uint64_t peers_in_clear; /* listed without the key that belongs to their ID */
} tl_relay_link_counters;

/* Borrows `identity` and `rand` for life; copies the name. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_link_new(const tl_identity *identity, tl_rand *rand,
                                  const char *display_name, const tl_relay_link_events *events,
                                  void *user, tl_relay_link **ret_link);
void tl_relay_link_free(tl_relay_link *l);
const tl_relay_link_counters *tl_relay_link_counters_of(const tl_relay_link *l);

/* Takes the reference. Registers again if the node is registered and they changed. */
void tl_relay_link_set_capabilities(tl_relay_link *l, json_t *capabilities);

/* The connection to `authority` stands. The wire is borrowed until tl_relay_link_on_closed. */
void tl_relay_link_on_open(tl_relay_link *l, const char *authority, const tl_relay_wire *wire,
                           void *wire_user, tl_time now);
void tl_relay_link_on_text(tl_relay_link *l, uint8_t *text, size_t n, tl_time now);
/* The bytes may be changed. */
void tl_relay_link_on_binary(tl_relay_link *l, uint8_t *data, size_t n);
void tl_relay_link_on_closed(tl_relay_link *l);
void tl_relay_link_on_timer(tl_relay_link *l, tl_time now);
tl_time tl_relay_link_expiry(const tl_relay_link *l);
bool tl_relay_link_is_registered(const tl_relay_link *l);
/* Seconds after which the relay forgets a silent node; 0 before registration. */
unsigned tl_relay_link_ttl(const tl_relay_link *l);
/* From registerAck: the relay's UDP HOST:PORT, and the IP:PORT from which the relay sees us. "":
 * none. Both are well formed and not verified. */
const char *tl_relay_link_udp(const tl_relay_link *l);
const char *tl_relay_link_observed(const tl_relay_link *l);

/* From registerAck: the relay's clock at that moment, in seconds since 2001; 0: it did not tell. */
double tl_relay_link_date(const tl_relay_link *l);

/* `model` "" asks for all nodes. A question that is under way already is not asked twice.
 * TL_ERR_CLOSED: not registered. TL_ERR_BUSY: TL_RELAY_QUERIES_MAX. */
TL_CHECK tl_err tl_relay_link_discover(tl_relay_link *l, const char *model, tl_time now);

/* Asks for the nodes that list this network. They come by on_peer; the end is not told. The relay learns
 * that this node asks. Errors as above. */
TL_CHECK tl_err tl_relay_link_discover_network(tl_relay_link *l, const tl_node_id *network,
                                               tl_time now);

/* Asks `peer` for a session, for which `path` stands. on_ready or on_ended follows, but never
 * during this call. TL_ERR_CLOSED: not registered. TL_ERR_BUSY: TL_RELAY_SESSIONS_MAX, or the wire
 * is full. TL_ERR_NOMEM.
 * `first` is a datagram that rides in the relayOpen, for a peer that reads it there
 * (tl_peer.reads_first; others lose it): at most TL_RELAY_FIRST_MAX bytes. Empty: none. */
TL_CHECK tl_err tl_relay_link_open_with(tl_relay_link *l, const tl_node_id *peer, tl_path_id path,
                                        tl_slice first);
TL_CHECK static inline tl_err tl_relay_link_open(tl_relay_link *l, const tl_node_id *peer,
                                                 tl_path_id path)
{
    return tl_relay_link_open_with(l, peer, path, tl_slice_of(NULL, 0));
}
void tl_relay_link_close(tl_relay_link *l, tl_path_id path);
/* Is there a session for which `path` stands? */
bool tl_relay_link_has(const tl_relay_link *l, tl_path_id path);
size_t tl_relay_link_sessions(const tl_relay_link *l);
/* Sends one datagram. On an error the datagram is dropped and counted. TL_ERR_NOT_FOUND: there is
 * no such session, or it is not ready. TL_ERR_BUSY, TL_ERR_CLOSED, TL_ERR_NOMEM: from the wire. */
TL_CHECK tl_err tl_relay_link_send(tl_relay_link *l, tl_path_id path, tl_slice datagram);
/* The same as `token || datagram`, which costs both nodes and the relay less than a text. The peer is
 * not told of which session it is, so it must know the datagram's connection ID. An empty datagram
 * makes the relay send to us by this WebSocket from now on. TL_ERR_NOT_FOUND also: the session has
 * no token. */
TL_CHECK tl_err tl_relay_link_send_packet(tl_relay_link *l, tl_path_id path, tl_slice datagram);

/* Sends an offer, an answer or an iceCandidate (nat/offer makes the payload). TL_ERR_CLOSED: not
 * registered. TL_ERR_BUSY: the wire is full. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_link_signal(tl_relay_link *l, tl_signal_type type, const json_t *payload);

#endif
