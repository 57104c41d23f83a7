#include "relay/state.h"

#define ABOUT_MAX 64 /* length of a type name that an error repeats */

void tl_relay_doom(tl_relay *r, tl_relay_conn *c)
{
    c->doomed = c->written_off = true;
    tl_relay_not_new(r, c);
    tl_relay_account(r, c);
    tl_relay_timer_set(&r->conn_timers, &c->timer, r->now);
}

void tl_relay_push(tl_relay *r, tl_relay_output_kind kind, tl_relay_conn *c, tl_slice bytes,
                   tl_relay_chunk *shared)
{
    tl_relay_output o = {
        .kind = kind, .conn = c, .user = c->user, .bytes = bytes, .shared = shared};
    if (tl_relay_outputs_push(&r->outputs, &o)) {
        r->counters.cut_memory++;
        tl_relay_doom(r, c);
        return;
    }
    if (c->queued == 0 && !c->congested) {
        c->queue_cost = 0;
        c->progress = c->window = r->now;
        c->window_bytes = 0;
    }
    c->queued += bytes.n;
    c->queue_cost += (shared && shared->refs > 1 ? 0 : bytes.n) + TL_RELAY_CHUNK_COST;
    r->counters.queue_bytes += bytes.n;
    tl_relay_account(r, c);
}

bool tl_relay_is_open(const tl_relay_conn *c)
{
    return (c->state == TL_RELAY_CONN_GREETED || c->state == TL_RELAY_CONN_MEMBER) && !c->doomed;
}

void tl_relay_emit(tl_relay *r, tl_relay_conn *c, tl_slice bytes, tl_relay_chunk *shared)
{
    if (!tl_relay_is_open(c)) {
        tl_relay_chunk_unref(shared);
        return;
    }
    tl_relay_push(r, TL_RELAY_SEND, c, bytes, shared);
    /* What other nodes send waits elsewhere (queue.c). These are pongs, errors, presence, and answers
     * that the node asked for and does not read. */
    if (c->queued > tl_relay_waiting_max(r) && !c->doomed) {
        r->counters.cut_overflow++;
        tl_relay_doom(r, c);
    }
}

void tl_relay_send_text(tl_relay *r, tl_relay_conn *c, tl_slice json)
{
    uint8_t header[TL_WS_HEADER_MAX];
    size_t n = tl_ws_header_write(header, TL_WS_TEXT, true, json.n, NULL);
    tl_relay_chunk *chunk = tl_relay_chunk_new(tl_slice_of(header, n), json);
    if (chunk) {
        tl_relay_emit(r, c, tl_slice_of(chunk->bytes, chunk->n), chunk);
    } else {
        r->counters.cut_memory++;
        tl_relay_doom(r, c);
    }
}

static void send_error(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                       tl_slice about, tl_slice session)
{
    tl_buf json = {0};
    if (about.n > ABOUT_MAX)
        about.n = 0;
    r->counters.errors[code]++;
    if (tl_signal_write_error(&json, code, message, about, session)) {
        r->counters.cut_memory++;
        tl_relay_doom(r, c);
    } else {
        tl_relay_send_text(r, c, tl_buf_slice(&json));
    }
    tl_buf_clear(&json);
}

void tl_relay_send_error(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                         tl_slice about)
{
    send_error(r, c, code, message, about, tl_slice_of(NULL, 0));
}

void tl_relay_refuse(tl_relay *r, tl_relay_conn *c, tl_signal_code code, const char *message,
                     const tl_signal *s)
{
    tl_relay_charge_refusal(r, c, 0);
    send_error(r, c, code, message, s->type_name, s->session);
}

void tl_relay_set_paused(tl_relay *r, tl_relay_conn *c, bool on)
{
    if (!on && c->unfinished != TL_NEVER)
        c->unfinished = r->now; /* the rest did not come because we did not read */
    if (tl_relay_is_open(c))
        tl_relay_push(r, on ? TL_RELAY_PAUSE : TL_RELAY_RESUME, c, tl_slice_of(NULL, 0), NULL);
}
