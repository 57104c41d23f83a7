/* outbox.h - what one side of a stream between peers writes: frames, and the bytes of them that the
 * stream did not take yet. Reads nothing, and knows no request. */
#ifndef TL_PEER_OUTBOX_H
#define TL_PEER_OUTBOX_H

#include "quic/quic.h"
#include "wire/cluster.h"
#include "wire/streamframe.h"

typedef struct {
    tl_quic_stream *stream; /* borrowed */
    size_t *sum; /* bytes that wait in all outboxes that share it; borrowed; may be NULL */
    tl_buf pending;
} tl_outbox;

/* Each: TL_ERR_NOMEM: a part may be written; the stream is good for nothing but a reset. A peer that
 * reads no more (its reset is on the way) takes everything. */
TL_CHECK tl_err tl_outbox_put_frame(tl_outbox *o, tl_frame_kind kind, tl_slice bytes);
TL_CHECK tl_err tl_outbox_put_message(tl_outbox *o, const tl_cluster_message *m);
/* Writes what waits, as far as the stream takes it: *ret_n bytes. */
TL_CHECK tl_err tl_outbox_flush(tl_outbox *o, size_t *ret_n);
void tl_outbox_clear(tl_outbox *o);

#endif
