#include "relay/fed_state.h"
#include "relay/state.h"

/* Bytes that are handed to the driver of a connection that does not keep up. What is handed over has
 * its order; all else is still chosen fairly. So this is what an honest message may have to wait
 * for: 26 ms at 10 Mbit/s. */
#define WINDOW (32u << 10)

tl_relay_whose tl_relay_line_of(const tl_relay_node *from)
{
    if (from->away)
        return (tl_relay_whose){from->away->group, from->away->number};
    return (tl_relay_whose){tl_relay_address_number(from->conn->address), from->conn->number};
}

tl_relay_whose tl_relay_stranger_line_of(const tl_relay_node *from)
{
    return (tl_relay_whose){TL_RELAY_STRANGERS, tl_relay_line_of(from).group};
}

static tl_err wait_in_line(tl_relay *r, tl_relay_conn *to, tl_relay_whose whose,
                           tl_relay_chunk *chunk, tl_relay_line **ret_line)
{
    size_t n = chunk->n;
    tl_err e = tl_relay_lines_add(&to->lines, whose.group, whose.sender, chunk, ret_line);
    if (e)
        return e;
    r->counters.queue_bytes += n;
    tl_relay_account(r, to);
    return TL_OK;
}

tl_err tl_relay_pass(tl_relay *r, tl_relay_conn *to, tl_relay_whose whose, tl_ws_opcode opcode,
                     uint8_t *payload, size_t n, bool in_place, tl_relay_line **ret_line)
{
    uint8_t header[TL_WS_HEADER_MAX];
    size_t header_n = tl_ws_header_write(header, opcode, true, n, NULL);
    bool at_once =
        !to->congested || !whose.group || (!to->lines.bytes && to->queued + header_n + n <= WINDOW);
    *ret_line = NULL;
    if (!tl_relay_is_open(to))
        return TL_OK; /* its sessions end with it */
    if (at_once &&
        in_place) { /* the new header fits, because the masked header in front was longer */
        uint8_t *start = payload - header_n;
        memcpy(start, header, header_n);
        tl_relay_emit(r, to, tl_slice_of(start, header_n + n), NULL);
        return TL_OK;
    }
    tl_relay_chunk *chunk =
        tl_relay_chunk_new(tl_slice_of(header, header_n), tl_slice_of(payload, n));
    if (!chunk)
        return TL_ERR_NOMEM;
    if (!at_once)
        return wait_in_line(r, to, whose, chunk, ret_line);
    tl_relay_emit(r, to, tl_slice_of(chunk->bytes, chunk->n), chunk);
    return TL_OK;
}

void tl_relay_refill(tl_relay *r, tl_relay_conn *c)
{
    tl_relay_line *line;
    size_t resume_at = tl_relay_line_max(r) - tl_relay_line_max(r) / 16;
    while (tl_relay_is_open(c) && c->queued < WINDOW && (line = tl_relay_lines_turn(&c->lines))) {
        if (line->blocked && line->bytes - line->first->n <= resume_at)
            tl_relay_unblock_line(r, line);
        tl_relay_chunk *chunk = tl_relay_lines_take(&c->lines, line);
        r->counters.queue_bytes -= chunk->n;
        tl_relay_emit(r, c, tl_slice_of(chunk->bytes, chunk->n), chunk);
    }
}

void tl_relay_drop_line(tl_relay *r, tl_relay_conn *c, tl_relay_line *line)
{
    r->counters.queue_bytes -= line->bytes;
    tl_relay_lines_drop(&c->lines, line);
    tl_relay_account(r, c);
}

void tl_relay_drop_lines(tl_relay *r, tl_relay_conn *c)
{
    r->counters.queue_bytes -= c->lines.bytes;
    tl_relay_lines_clear(&c->lines);
    tl_relay_account(r, c);
}
