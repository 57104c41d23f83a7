#include "quic/events.h"

#include <utlist.h>

void tl_quic_source_init(tl_quic_source *s, tl_quic_conn *c, tl_quic_stream *stream)
{
    *s = (tl_quic_source){.conn = c, .stream = stream};
}

void tl_quic_note(tl_quic_source *s, tl_quic_event_type type)
{
    s->pending |= 1u << type;
    if (!s->queued) {
        DL_APPEND(s->conn->quic->events, s);
        s->queued = true;
    }
}

void tl_quic_unnote(tl_quic_source *s, tl_quic_event_type type)
{
    s->pending &= ~(1u << type);
}

bool tl_quic_noted(const tl_quic_source *s, tl_quic_event_type type)
{
    return s->pending & 1u << type;
}

void tl_quic_source_remove(tl_quic_source *s)
{
    if (s->queued)
        DL_DELETE(s->conn->quic->events, s);
    s->queued = false;
    s->pending = 0;
}

bool tl_quic_events_next(tl_quic *q, tl_quic_source **ret_source, tl_quic_event_type *ret_type)
{
    while (q->events) {
        tl_quic_source *s = q->events;
        if (s->pending == 0) {
            tl_quic_source_remove(s);
            continue;
        }
        int type = __builtin_ctz(s->pending); /* events are told in the order of the enum */
        if (type == TL_QUIC_CLOSED && s->conn->streams) {
            DL_DELETE(q->events, s); /* its streams are in the queue with their CLOSED, and go
                                        first */
            DL_APPEND(q->events, s);
            continue;
        }
        s->pending &= ~(1u << type);
        if (s->pending == 0)
            tl_quic_source_remove(s);
        *ret_source = s;
        *ret_type = (tl_quic_event_type)type;
        return true;
    }
    return false;
}
