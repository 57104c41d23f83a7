/* fake_stream.h - a stream without QUIC, in place of quic/stream.c: the test writes what the peer
 * says, and reads what was said to it. Knows no connection and sends nothing. */
#ifndef TESTS_UNIT_ASK_FAKE_STREAM_H
#define TESTS_UNIT_ASK_FAKE_STREAM_H

#include "peer/peers.h"
#include "wire/cluster.h"
#include "wire/streamframe.h"

struct tl_quic_stream {
    void *user;
    tl_buf in;        /* of the peer, not consumed */
    bool in_fin;      /* its end is behind them */
    size_t piece;     /* peek shows this many bytes; 0: all */
    tl_buf out;       /* taken */
    size_t room;      /* bytes that are still taken */
    bool out_fin;     /* our end is behind them */
    tl_err write_err; /* of every write, once `err_from` bytes are taken */
    size_t err_from;
    bool reset; /* by us */
    uint64_t code;
};

/* Takes everything. */
tl_quic_stream *fake_stream_new(void);
void fake_stream_free(tl_quic_stream *s);

/* --- the peer --- */
/* These only lay it down. */
void fake_lay(tl_quic_stream *s, tl_slice bytes);
void fake_lay_frame(tl_quic_stream *s, tl_frame_kind kind, tl_slice bytes);
void fake_lay_text(tl_quic_stream *s, tl_frame_kind kind, const char *text);
/* What was laid down arrives. */
void fake_arrives(tl_quic_stream *s);
void fake_ends(tl_quic_stream *s); /* the same, with the peer's end behind it */
void fake_resets(tl_quic_stream *s);
/* The handle ends. */
void fake_closes(tl_quic_stream *s, const char *why);
/* The peer makes room for `n` more bytes of ours. */
void fake_makes_room(tl_quic_stream *s, size_t n);

/* The next frame of what was said to the peer. False: there is no whole one. Body frames come with
 * all of their bytes. The bytes are borrowed until the stream is freed. */
bool fake_next_said(tl_quic_stream *s, size_t *at, tl_frame_kind *ret_kind, tl_slice *ret_bytes);
/* The next frame is a message of this type. */
void fake_next_message(tl_quic_stream *s, size_t *at, tl_cluster_type type,
                       tl_cluster_message *ret_message);

#endif
