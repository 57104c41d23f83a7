/* strain.h - takes out of a provider's stream of events what a client would take for this node's own word: comments, and
 * the name of an event that is called "error". Whoever answers may be a stranger. Pure. */
#ifndef TL_API_STRAIN_H
#define TL_API_STRAIN_H

#include "base/slice.h"

#define TL_STRAIN_HELD_MAX 12 /* "event: error" */

/* Zero-initialise to begin; nothing is to be freed. */
typedef struct {
    enum {
        TL_STRAIN_START, /* of a line: what is held may yet be one that is left out */
        TL_STRAIN_PASS,
        TL_STRAIN_DROP,
    } line;
    char held[TL_STRAIN_HELD_MAX];
    size_t n;
    bool begun;    /* the stream's first line has a byte: no byte order mark can come */
    bool in_event; /* a line went on since the last empty one */
    bool after_cr; /* an LF now belongs to the CR before it, and shares its fate */
    bool cr_went;
} tl_strain;

/* Appends to `out` what may go on of the next bytes of the stream. It is at most as long as they and TL_STRAIN_HELD_MAX.
 * Left out are whole lines: comments, "event: error", and empty lines outside an event, which are what remains of a
 * comment; and a byte order mark. What is held at the stream's end belongs to no event. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_strain_feed(tl_strain *s, tl_slice bytes, tl_buf *out);

#endif
