/* window.h - how much a peer may send before we have read it: credit per stream and per connection.
 * Even if many streams are not read, a new stream can start, and memory stays bounded. Only tells
 * libngtcp2 what to grant; holds no bytes.
 *
 * A connection's credit is given back when bytes arrive, while the unread bytes stay within
 * unread_max. A stream begins with a small window. The window doubles while the stream uses
 * it up within two round trips and the reader keeps up. It halves when the reader does not keep up.
 * All windows together may grow only into half of unread_max: the other half is for streams to
 * come. What is read is given back an eighth of the window at a time. */
#ifndef TL_QUIC_WINDOW_H
#define TL_QUIC_WINDOW_H

#include "quic/state.h"

/* An answer made of tokens never needs more, and 256 stalled streams of this size are half of
 * unread_max. */
#define TL_WINDOW_FIRST (128 * 1024)

/* What a new stream is granted, as initial_max_stream_data. */
uint64_t tl_window_first(const tl_quic_config *config);

void tl_window_conn_init(tl_quic_conn *c);
/* Gives credit up to conn_window, but keeps unread bytes and credit together within unread_max. */
void tl_window_refill(tl_quic_conn *c);
void tl_window_stream_init(tl_quic_stream *s);
/* The stream is gone, and its unread bytes were dropped. */
void tl_window_stream_clear(tl_quic_stream *s);

/* `n` more bytes are in s->rx now. */
void tl_window_on_received(tl_quic_stream *s, size_t n);
/* `n` bytes left s->rx and were read. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_window_on_consumed(tl_quic_stream *s, size_t n);
/* `n` bytes left s->rx because nobody will read them. */
void tl_window_on_dropped(tl_quic_stream *s, size_t n);

#endif
