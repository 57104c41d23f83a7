/* signalwrite.h - every signalling message (docs/protocol.md) as JSON text, appended to a buffer.
 * The caller wraps it in a frame. On failure (TL_ERR_NOMEM) the buffer is as before. */
#ifndef TL_WIRE_SIGNALWRITE_H
#define TL_WIRE_SIGNALWRITE_H

#include "wire/signal.h"

/* --- relay to node --- */
/* `nonce` is 64 hex digits. */
TL_CHECK tl_err tl_signal_write_challenge(tl_buf *out, const char *nonce,
                                          tl_signal_features features);
/* `registered_at`: seconds since 2001. `udp` and `observed` are left out when "", `models_kept` when
 * negative. */
TL_CHECK tl_err tl_signal_write_ack(tl_buf *out, const char *node_id, double registered_at,
                                    unsigned ttl_seconds, const char *udp, const char *observed,
                                    int models_kept);
/* type: TL_SIGNAL_PEER_JOINED or TL_SIGNAL_PEER_LEFT. */
TL_CHECK tl_err tl_signal_write_presence(tl_buf *out, tl_signal_type type, const char *node_id,
                                         const char *display_name);
/* `about` may be "". So may `session`, a legal session ID: the session that the error is about. */
TL_CHECK tl_err tl_signal_write_error(tl_buf *out, tl_signal_code code, const char *message,
                                      tl_slice about, tl_slice session);

typedef struct {
    const char *node_id;
    const char *wg_public; /* NULL: null */
    const char *display_name;
    tl_slice capabilities[3]; /* JSON text, in up to three pieces */
    double last_seen;
} tl_signal_listed;
/* discoverResponse: begin, any number of peers, end with the cursor for more (NULL: none). */
TL_CHECK tl_err tl_signal_write_peers_begin(tl_buf *out);
TL_CHECK tl_err tl_signal_write_peer(tl_buf *out, bool first, const tl_signal_listed *peer);
TL_CHECK tl_err tl_signal_write_peers_end(tl_buf *out, const char *cursor);

typedef struct {
    const char *session;
    uint8_t token[16];
    const char *udp;                 /* "": by WebSocket alone */
    tl_unix expires_at;              /* Unix seconds; 0: no limit */
    uint64_t limit_bytes_per_second; /* 0: none; left out */
} tl_signal_offered;
TL_CHECK tl_err tl_signal_write_relay_offer(tl_buf *out, const tl_signal_offered *offer);
TL_CHECK tl_err tl_signal_write_relay_warning(tl_buf *out, const char *session, const char *reason,
                                              tl_unix ends_at);
TL_CHECK tl_err tl_signal_write_peers_changed(tl_buf *out);
TL_CHECK tl_err tl_signal_write_goodbye(tl_buf *out, const char *reason, unsigned in_seconds);
/* relayClose, as a relay writes it that ends a session: `from` is the other member. */
TL_CHECK tl_err tl_signal_write_close(tl_buf *out, const char *from, const char *to,
                                      const char *session, const char *reason);

/* --- node to relay --- */
typedef struct {
    const char *node_id, *wg_public, *display_name;
    tl_slice capabilities;           /* JSON text of the object */
    const char *signature;           /* hex */
    const char *challenge_signature; /* hex; NULL: no challenge came */
    tl_signal_features features;
} tl_signal_registration;
TL_CHECK tl_err tl_signal_write_register(tl_buf *out, const tl_signal_registration *r);

/* NULL, 0: no such filter; limit 0: the relay's default. */
TL_CHECK tl_err tl_signal_write_discover(tl_buf *out, const char *node_id, const char *model_id,
                                         double min_ram_gb, int min_tier, const char *ptn_id,
                                         unsigned limit, const char *cursor);

/* --- node to node --- */
/* relayOpen, relayReady and relayClose. */
TL_CHECK tl_err tl_signal_write_session(tl_buf *out, tl_signal_type type, const char *from,
                                        const char *to, const char *session);
/* `data` is raw bytes; they are written as base64. */
TL_CHECK tl_err tl_signal_write_data(tl_buf *out, const char *from, const char *to,
                                     const char *session, tl_slice data);
/* relayOpen with a first datagram in it. */
TL_CHECK tl_err tl_signal_write_open(tl_buf *out, const char *from, const char *to,
                                     const char *session, tl_slice data);
/* offer, answer, iceCandidate (or any other). The payload is signed as a whole, so the caller
 * brings it whole. */
TL_CHECK tl_err tl_signal_write_object(tl_buf *out, tl_signal_type type, const json_t *payload);

#endif
