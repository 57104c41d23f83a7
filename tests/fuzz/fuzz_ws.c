/* Bytes in one piece and the same bytes dripping in must be the same messages. */
#include "wire/ws.h"

#include <stdlib.h>

#define MESSAGE_MAX 3000

typedef struct {
    uint64_t sum;
    size_t events;
    bool ended;
} digest;

static void add(digest *d, uint64_t v)
{
    d->sum = (d->sum ^ v) * UINT64_C(0x100000001B3);
}

static void note(digest *d, const tl_ws_event *ev)
{
    add(d, ev->kind);
    add(d, ev->close_code);
    if (ev->kind != TL_WS_EVENT_FAIL) {
        add(d, ev->opcode);
        add(d, ev->n);
        for (size_t i = 0; i < ev->n; i++)
            add(d, ev->payload[i]);
    }
    d->events++;
    d->ended = ev->kind == TL_WS_EVENT_FAIL || ev->kind == TL_WS_EVENT_CLOSE;
    if (ev->kind == TL_WS_EVENT_MESSAGE && ev->n > MESSAGE_MAX)
        abort();
    if (ev->kind == TL_WS_EVENT_MESSAGE && ev->opcode == TL_WS_TEXT &&
        !tl_utf8_is(tl_slice_of(ev->payload, ev->n)))
        abort();
}

/* As a driver reads: `step` bytes more at a time, behind what was not consumed. */
static digest read_all(bool from_client, const uint8_t *data, size_t n, size_t step)
{
    digest d = {.sum = UINT64_C(0xCBF29CE484222325)};
    tl_ws_reader r;
    uint8_t *copy = malloc(n ? n : 1);
    size_t at = 0, have = 0;
    if (!copy)
        abort();
    memcpy(copy, data, n);
    tl_ws_reader_init(&r, from_client, MESSAGE_MAX);
    while (!d.ended && have < n) {
        have = n - have > step ? have + step : n;
        while (!d.ended) {
            tl_ws_event ev;
            tl_ws_reader_next(&r, copy + at, have - at, &ev);
            if (ev.kind == TL_WS_EVENT_MORE) {
                if (ev.used || ev.need <= have - at || ev.need > MESSAGE_MAX + TL_WS_HEADER_MAX)
                    abort();
                break;
            }
            note(&d, &ev);
            if (ev.used > have - at)
                abort();
            at += ev.used;
        }
    }
    tl_ws_reader_clear(&r);
    free(copy);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    bool from_client = data[0] & 1;
    size_t step = 1 + data[1];
    digest whole = read_all(from_client, data + 2, n - 2, n);
    digest drip = read_all(from_client, data + 2, n - 2, step);
    if (whole.sum != drip.sum || whole.events != drip.events)
        abort();
    return 0;
}
