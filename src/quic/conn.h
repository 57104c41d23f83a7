/* conn.h - one connection: its life from the first packet to the last, around a ngtcp2_conn. What
 * libngtcp2 calls back is in callbacks.c; what it writes, in writer.c. */
#ifndef TL_QUIC_CONN_H
#define TL_QUIC_CONN_H

#include "quic/state.h"

/* Our end of a new connection towards `peer`. */
TL_CHECK tl_err tl_qconn_new_client(tl_quic *q, const tl_node_id *peer, tl_path_id path,
                                    tl_time now, tl_unix wall, tl_quic_conn **ret_conn);

/* What the first packet told, and the token if it carried one. */
typedef struct {
    tl_path_id path;
    const ngtcp2_pkt_hd *hd;
    const ngtcp2_cid *original_dcid; /* the token's; NULL without a Retry */
} tl_qconn_accept;
TL_CHECK tl_err tl_qconn_new_server(tl_quic *q, const tl_qconn_accept *a, tl_time now, tl_unix wall,
                                    tl_quic_conn **ret_conn);

/* Hands a datagram to libngtcp2 and ends the connection if that says so. False: it ended. */
bool tl_qconn_read(tl_quic_conn *c, const tl_quic_where *where, const uint8_t *data, size_t n,
                   tl_time now, tl_unix wall);
/* Tells libngtcp2 that its time has come. False: the connection ended. */
bool tl_qconn_on_timer(tl_quic_conn *c, tl_time now);

/* Ends the connection after libngtcp2 refused with `liberr`, telling the peer where that is right.
 */
void tl_qconn_fail(tl_quic_conn *c, int liberr, tl_time now);
/* Ends it without a word. Its streams are told CLOSED, then it; or it is freed at once where the
 * layers above never saw it. `why` is for a person. */
void tl_qconn_end(tl_quic_conn *c, tl_err error, uint64_t code, const char *why);
/* Sends CONNECTION_CLOSE (application code) and ends it orderly. */
void tl_qconn_close(tl_quic_conn *c, uint64_t code, const char *reason, tl_time now);
/* Frees it with whatever it still has. */
void tl_qconn_free(tl_quic_conn *c);

/* Wipes and frees what only the handshake needs. */
void tl_qconn_end_handshake(tl_quic_conn *c);

/* It may have something to send: the writer is to look. */
void tl_qconn_ready(tl_quic_conn *c);
void tl_qconn_not_ready(tl_quic_conn *c);
/* Notes when libngtcp2 wants to be called again, after it was told of c->now and wrote what it
 * could. */
void tl_qconn_update_expiry(tl_quic_conn *c);

#endif
