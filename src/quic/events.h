/* events.h - the queue of events that are not drained yet. Holds no event structs: each stream and
 * connection has one bit for each kind of event, so the queue allocates nothing and never fails. */
#ifndef TL_QUIC_EVENTS_H
#define TL_QUIC_EVENTS_H

#include "quic/state.h"

void tl_quic_source_init(tl_quic_source *s, tl_quic_conn *c, tl_quic_stream *stream);
/* Tells `type` once, however often it is noted before it is drained. */
void tl_quic_note(tl_quic_source *s, tl_quic_event_type type);
/* Takes the event back, if it was not drained yet. */
void tl_quic_unnote(tl_quic_source *s, tl_quic_event_type type);
bool tl_quic_noted(const tl_quic_source *s, tl_quic_event_type type);
/* Takes the source out of the queue for good. */
void tl_quic_source_remove(tl_quic_source *s);
/* Takes out the next event: its source and its type. A connection's CLOSED comes after the CLOSED
 * of all its streams. */
bool tl_quic_events_next(tl_quic *q, tl_quic_source **ret_source, tl_quic_event_type *ret_type);

#endif
