/* conn.h - one connection: its life from the first packet to the last, around a ngtcp2_conn. What
 * libngtcp2 calls back is in callbacks.c; the writing of packets is in writer.c. Opens no
 * socket. */
#ifndef TL_QUIC_CONN_H
#define TL_QUIC_CONN_H

#include "quic/state.h"

/* Our end of a new connection towards `peer`. */
TL_CHECK tl_err tl_qconn_new_client(tl_quic *q, const tl_node_id *peer, tl_path_id path,
                                    tl_slice mark, tl_time now, tl_unix wall,
                                    tl_quic_conn **ret_conn);

/* What the first packet told, and what its token told if it carried one. */
typedef struct {
    tl_path_id path;
    const ngtcp2_pkt_hd *hd;
    const ngtcp2_cid *original_dcid; /* from the token; NULL without a Retry */
} tl_qconn_accept;
TL_CHECK tl_err tl_qconn_new_server(tl_quic *q, const tl_qconn_accept *a, tl_time now, tl_unix wall,
                                    tl_quic_conn **ret_conn);

/* Hands a datagram to libngtcp2, and ends the connection if libngtcp2 says so. False: it ended. */
bool tl_qconn_read(tl_quic_conn *c, const tl_quic_where *where, const uint8_t *data, size_t n,
                   tl_time now, tl_unix wall);
/* Tells libngtcp2 that its time has come. False: the connection ended. */
bool tl_qconn_on_timer(tl_quic_conn *c, tl_time now);

/* Ends the connection after libngtcp2 refused with `liberr`. Tells the peer only if the handshake
 * was done. */
void tl_qconn_fail(tl_quic_conn *c, int liberr, tl_time now);
/* Ends the connection and sends nothing. Its streams are told CLOSED, then the connection is. If
 * the layers above never saw it, it is freed at once instead. `why` is for a person. */
void tl_qconn_end(tl_quic_conn *c, tl_err error, uint64_t code, const char *why);
/* Sends CONNECTION_CLOSE (application code) and ends the connection orderly. */
void tl_qconn_close(tl_quic_conn *c, uint64_t code, const char *reason, tl_time now);
/* Ends the connection because its peer costs too much: CONNECTION_CLOSE with INTERNAL_ERROR and
 * `why`, which is at most 64 bytes. */
void tl_qconn_refuse(tl_quic_conn *c, const char *why, tl_time now);
/* Frees the connection with whatever it still has. */
void tl_qconn_free(tl_quic_conn *c);

/* Wipes and frees what only the handshake needs. */
void tl_qconn_end_handshake(tl_quic_conn *c);

/* The connection may have something to send: the writer is to look. */
void tl_qconn_ready(tl_quic_conn *c);
void tl_qconn_not_ready(tl_quic_conn *c);
/* Notes when libngtcp2 wants to be called again, after it was told of c->now and wrote what it
 * could. */
void tl_qconn_update_expiry(tl_quic_conn *c);
/* A server's last look at the path of its client was lost, which happens on a bad line; libngtcp2
 * 0.12 writes nothing more on it. The client sees that the path carries nothing and leaves it. So
 * the connection stays, and what comes from elsewhere opens it again; its time limits hold. */
void tl_qconn_bar(tl_quic_conn *c);

#endif
