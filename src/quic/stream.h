/* stream.h - the inside of a stream: its buffers, and what libngtcp2's callbacks do to it. The
 * calls of quic.h on streams are in stream.c too. Writes no packets. */
#ifndef TL_QUIC_STREAM_H
#define TL_QUIC_STREAM_H

#include "quic/state.h"

/* The new stream is in the connection's list from now on. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_qstream_new(tl_quic_conn *c, int64_t id, tl_quic_stream **ret_stream);
/* Takes the stream out of every list and frees all its memory. */
void tl_qstream_free(tl_quic_stream *s);

/* --- from callbacks --- */
/* The peer opened the stream. Notes what the packet that did so brings of it. */
TL_CHECK tl_err tl_qstream_accept(tl_quic_conn *c, int64_t id, tl_quic_stream **ret_stream);
TL_CHECK tl_err tl_qstream_on_data(tl_quic_stream *s, tl_slice data, bool fin);
/* May the library have a packet with these frames (tl_keys_owner)? */
bool tl_qstream_admits(void *conn, const tl_frames_streams *frames);
void tl_qstream_on_acked(tl_quic_stream *s, size_t n);
/* The peer reset the stream: our direction ends as well. */
void tl_qstream_on_reset(tl_quic_stream *s, uint64_t code);
/* The peer stopped reading, and we know no more than this: ends both directions. */
void tl_qstream_on_stopped(tl_quic_stream *s);
/* libngtcp2 has forgotten the stream. `code` is NULL if none was given. */
void tl_qstream_on_finished(tl_quic_stream *s, const uint64_t *code);
/* The connection is over: after what was received, only CLOSED follows. */
void tl_qstream_on_conn_ended(tl_quic_stream *s);

/* --- for the writer --- */
/* Puts the stream into the connection's list of streams with something to send, if it has
 * something. */
void tl_qstream_schedule(tl_quic_stream *s);
void tl_qstream_unschedule(tl_quic_stream *s);
/* To call after READABLE was drained: a stream that is over and read to its end may now be
 * CLOSED. */
void tl_qstream_settle(tl_quic_stream *s);

#endif
