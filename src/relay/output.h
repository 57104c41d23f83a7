/* output.h - what the relay wants done, in order, until the driver drains it; and the bytes that
 * several connections share. Knows nothing of why. */
#ifndef TL_RELAY_OUTPUT_H
#define TL_RELAY_OUTPUT_H

#include "relay/relay.h"

struct tl_relay_chunk {
    uint32_t refs;
    size_t n;
    uint8_t bytes[];
};

/* Copies `a` and `b` behind each other into a new chunk of one reference; NULL: out of memory. */
tl_relay_chunk *tl_relay_chunk_new(tl_slice a, tl_slice b);
static inline tl_relay_chunk *tl_relay_chunk_ref(tl_relay_chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

/* Drained down to empty after every call of the driver, so its length is what one call produces:
 * at most a few records a node. */
typedef struct {
    tl_relay_output *items;
    size_t head, n, cap;
} tl_relay_outputs;

/* Takes the chunk's reference, also on failure. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_outputs_push(tl_relay_outputs *q, const tl_relay_output *o);
bool tl_relay_outputs_pop(tl_relay_outputs *q, tl_relay_output *ret_output);
/* Takes out what concerns a connection that is gone. */
void tl_relay_outputs_forget(tl_relay_outputs *q, const tl_relay_conn *conn);
/* Drops what is left. */
void tl_relay_outputs_clear(tl_relay_outputs *q);

#endif
