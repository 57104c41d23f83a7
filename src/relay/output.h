/* output.h - the queue of what the relay wants its driver to do, in order, and the bytes that
 * several connections share. Decides nothing. */
#ifndef TL_RELAY_OUTPUT_H
#define TL_RELAY_OUTPUT_H

#include "relay/relay.h"

struct tl_relay_chunk {
    uint32_t refs;
    size_t n;
    tl_relay_chunk *next; /* while it waits in a line (lines.h) */
    uint8_t bytes[];
};

/* Copies `a` and then `b` into a new chunk with one reference; NULL: out of memory. */
tl_relay_chunk *tl_relay_chunk_new(tl_slice a, tl_slice b);
static inline tl_relay_chunk *tl_relay_chunk_ref(tl_relay_chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

/* The driver drains the queue after each of its calls, so its length is what one call produces: at
 * most a few records for each node. */
typedef struct {
    tl_relay_output *items;
    size_t head, n, cap;
} tl_relay_outputs;

/* Takes over the reference to the chunk, even when the call fails. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_outputs_push(tl_relay_outputs *q, const tl_relay_output *o);
bool tl_relay_outputs_pop(tl_relay_outputs *q, tl_relay_output *ret_output);
/* Takes out the records of a connection that is gone. */
void tl_relay_outputs_forget(tl_relay_outputs *q, const tl_relay_conn *conn);
/* Drops the records that are left. */
void tl_relay_outputs_clear(tl_relay_outputs *q);

#endif
