/* sse.h - server-sent events: cuts a stream of bytes into events. Touches only its own buffer;
 * never a socket. */
#ifndef TL_CLI_SSE_H
#define TL_CLI_SSE_H

#include "base/slice.h"

#define TL_SSE_EVENT_MAX (1u << 20) /* one event; a model's chunk is well below 64 KiB */

/* Zero-initialise to begin; tl_sse_clear to end. */
typedef struct {
    tl_buf line, data;
    char event[32]; /* name of the event being read */
    bool comments;  /* each comment is told at once, too, as an event of the name ":" */
} tl_sse;

/* Calls `on_event` for each event that `bytes` completes. `name` is "" for an event without a name.
 * Name and data are borrowed for the call. TL_ERR_TOO_LARGE: an event over the bound;
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_sse_feed(tl_sse *s, tl_slice bytes,
                            void (*on_event)(void *user, const char *name, tl_slice data),
                            void *user);
void tl_sse_clear(tl_sse *s);

#endif
