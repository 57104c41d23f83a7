#include "wire/ws.h"

#include "base/base64.h"

#include <assert.h>
/* SHA1() looks its algorithm up by name, and so sets the whole library up: 2 MB of memory that a relay
 * without TLS never needs. The functions below it do not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#define FIN           0x80
#define RESERVED_BITS 0x70
#define OPCODE_BITS   0x0F
#define MASKED        0x80
#define LENGTH_BITS   0x7F
#define CONTROL_BIT   0x08

static tl_err refuse(uint16_t code, tl_err e, uint16_t *ret_close)
{
    *ret_close = code;
    return e;
}

static bool opcode_is(uint8_t opcode)
{
    return opcode <= TL_WS_BINARY || (opcode >= TL_WS_CLOSE && opcode <= TL_WS_PONG);
}

/* What the first two bytes alone tell. False: no frame may begin so. */
static bool start_is_legal(const uint8_t *p, bool from_client)
{
    uint8_t opcode = p[0] & OPCODE_BITS;
    if (p[0] & RESERVED_BITS || !opcode_is(opcode) || !!(p[1] & MASKED) != from_client)
        return false;
    if (opcode & CONTROL_BIT)
        return p[0] & FIN && (p[1] & LENGTH_BITS) <= TL_WS_CONTROL_MAX;
    return true;
}

/* The length that a complete header announces; false when it is not in the shortest form. */
static bool read_length(const uint8_t *p, uint64_t *ret_n)
{
    unsigned short_n = p[1] & LENGTH_BITS;
    if (short_n < 126) {
        *ret_n = short_n;
        return true;
    }
    unsigned k = short_n == 126 ? 2 : 8;
    uint64_t n = 0;
    for (unsigned i = 0; i < k; i++)
        n = n << 8 | p[2 + i];
    *ret_n = n;
    return k == 2 ? n >= 126 : n > 0xFFFF && n >> 63 == 0;
}

tl_err tl_ws_frame_parse(tl_slice bytes, bool from_client, uint64_t payload_max,
                         tl_ws_frame *ret_frame, uint16_t *ret_close)
{
    const uint8_t *p = bytes.p;
    if (bytes.n < 2)
        return TL_ERR_SHORT;
    if (!start_is_legal(p, from_client))
        return refuse(TL_WS_PROTOCOL_ERROR, TL_ERR_PROTO, ret_close);
    unsigned short_n = p[1] & LENGTH_BITS;
    size_t header_n = short_n < 126 ? 2 : short_n == 126 ? 4 : 10;
    if (bytes.n < header_n)
        return TL_ERR_SHORT;
    tl_ws_frame f = {
        .opcode = (tl_ws_opcode)(p[0] & OPCODE_BITS), .fin = p[0] & FIN, .masked = p[1] & MASKED};
    if (!read_length(p, &f.n))
        return refuse(TL_WS_PROTOCOL_ERROR, TL_ERR_PROTO, ret_close);
    if (!(f.opcode & CONTROL_BIT) && f.n > payload_max)
        return refuse(TL_WS_TOO_BIG, TL_ERR_TOO_LARGE, ret_close);
    if (f.masked) {
        if (bytes.n < header_n + 4)
            return TL_ERR_SHORT;
        memcpy(f.mask, p + header_n, 4);
        header_n += 4;
    }
    f.header_n = (uint8_t)header_n;
    *ret_frame = f;
    return TL_OK;
}

size_t tl_ws_header_size(uint64_t n, bool masked)
{
    return (n < 126 ? 2u : n <= 0xFFFF ? 4u : 10u) + (masked ? 4u : 0u);
}

size_t tl_ws_header_write(uint8_t ret_header[TL_WS_HEADER_MAX], tl_ws_opcode opcode, bool fin,
                          uint64_t n, const uint8_t mask[4])
{
    size_t at = 2;
    ret_header[0] = (uint8_t)((fin ? FIN : 0) | opcode);
    if (n < 126) {
        ret_header[1] = (uint8_t)n;
    } else {
        unsigned k = n <= 0xFFFF ? 2 : 8;
        ret_header[1] = k == 2 ? 126 : 127;
        for (unsigned i = 0; i < k; i++)
            ret_header[at++] = (uint8_t)(n >> (8 * (k - 1 - i)));
    }
    if (mask) {
        ret_header[1] |= MASKED;
        memcpy(ret_header + at, mask, 4);
        at += 4;
    }
    return at;
}

typedef uint64_t block __attribute__((vector_size(16)));

static inline block mask_block(uint8_t *p, block key)
{
    block b;
    memcpy(&b, p, sizeof b);
    b ^= key;
    memcpy(p, &b, sizeof b);
    return b;
}

uint8_t tl_ws_mask(uint8_t *bytes, size_t n, const uint8_t mask[4], size_t phase)
{
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(phase + i) & 3];
    uint64_t key;
    memcpy(&key, turned, sizeof key);
    block keys = {key, key}, seen = {0, 0};
    size_t i = 0;
    for (; i + 4 * sizeof(block) <= n; i += 4 * sizeof(block))
        for (size_t k = 0; k < 4; k++)
            seen |= mask_block(bytes + i + k * sizeof(block), keys);
    uint64_t all = seen[0] | seen[1];
    for (; i + sizeof key <= n; i += sizeof key) {
        uint64_t b;
        memcpy(&b, bytes + i, sizeof b);
        b ^= key;
        all |= b;
        memcpy(bytes + i, &b, sizeof b);
    }
    all |= all >> 32;
    all |= all >> 16;
    uint8_t result = (uint8_t)(all | all >> 8);
    for (; i < n; i++) {
        bytes[i] ^= turned[i & 7];
        result |= bytes[i];
    }
    return result;
}

tl_err tl_ws_append(tl_buf *out, tl_ws_opcode opcode, tl_slice payload, const uint8_t mask[4])
{
    uint8_t *room;
    size_t header_n = tl_ws_header_size(payload.n, mask);
    tl_err e = tl_buf_reserve(out, header_n + payload.n, &room);
    if (e)
        return e;
    tl_ws_header_write(room, opcode, true, payload.n, mask);
    if (payload.n)
        memcpy(room + header_n, payload.p, payload.n);
    if (mask)
        tl_ws_mask(room + header_n, payload.n, mask, 0);
    tl_buf_added(out, header_n + payload.n);
    return TL_OK;
}

bool tl_ws_close_code_is(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

tl_err tl_ws_close_parse(tl_slice payload, uint16_t *ret_code, tl_slice *ret_reason,
                         uint16_t *ret_close)
{
    if (payload.n == 0) {
        *ret_code = TL_WS_NO_STATUS;
        *ret_reason = payload;
        return TL_OK;
    }
    if (payload.n == 1)
        return refuse(TL_WS_PROTOCOL_ERROR, TL_ERR_PROTO, ret_close);
    uint16_t code = (uint16_t)(payload.p[0] << 8 | payload.p[1]);
    tl_slice reason = tl_slice_of(payload.p + 2, payload.n - 2);
    if (!tl_ws_close_code_is(code))
        return refuse(TL_WS_PROTOCOL_ERROR, TL_ERR_PROTO, ret_close);
    if (!tl_utf8_is(reason))
        return refuse(TL_WS_INVALID_DATA, TL_ERR_PROTO, ret_close);
    *ret_code = code;
    *ret_reason = reason;
    return TL_OK;
}

size_t tl_ws_close_write(uint8_t ret_payload[TL_WS_CONTROL_MAX], uint16_t code, const char *reason)
{
    assert(tl_ws_close_code_is(code));
    tl_slice text = tl_slice_str(reason);
    if (text.n > TL_WS_CONTROL_MAX - 2) {
        text.n = TL_WS_CONTROL_MAX - 2;
        while (text.n && (text.p[text.n] & 0xC0) == 0x80)
            text.n--;
    }
    ret_payload[0] = (uint8_t)(code >> 8);
    ret_payload[1] = (uint8_t)code;
    memcpy(ret_payload + 2, text.p, text.n);
    return text.n + 2;
}

tl_err tl_ws_accept_key(tl_slice key, char ret_accept[TL_WS_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    uint8_t raw[18], text[24 + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    size_t raw_n = 0;
    if (key.n != 24 || tl_base64_parse(key, raw, &raw_n) || raw_n != 16)
        return TL_ERR_PROTO;
    memcpy(text, key.p, 24);
    memcpy(text + 24, guid, sizeof guid - 1);
    SHA_CTX sha;
    SHA1_Init(&sha);
    SHA1_Update(&sha, text, sizeof text);
    SHA1_Final(digest, &sha);
    tl_base64_write((uint8_t *)ret_accept, tl_slice_of(digest, sizeof digest));
    ret_accept[TL_WS_ACCEPT_SIZE - 1] = 0;
    return TL_OK;
}

void tl_ws_reader_init(tl_ws_reader *r, bool from_client, size_t message_max)
{
    *r = (tl_ws_reader){.from_client = from_client, .message_max = message_max};
}

void tl_ws_reader_clear(tl_ws_reader *r)
{
    tl_buf_clear(&r->parts);
    r->opcode = 0;
    r->delivered = false;
}

void tl_ws_reader_done(tl_ws_reader *r)
{
    if (r->delivered)
        tl_ws_reader_clear(r);
}

static void fail(tl_ws_event *ev, uint16_t code)
{
    ev->kind = TL_WS_EVENT_FAIL;
    ev->close_code = code;
}

static void take_control(const tl_ws_frame *f, tl_ws_event *ev)
{
    uint16_t code;
    tl_slice reason;
    if (f->opcode != TL_WS_CLOSE) {
        ev->kind = f->opcode == TL_WS_PING ? TL_WS_EVENT_PING : TL_WS_EVENT_PONG;
    } else if (tl_ws_close_parse(tl_slice_of(ev->payload, ev->n), &code, &reason,
                                 &ev->close_code)) {
        ev->kind = TL_WS_EVENT_FAIL;
    } else {
        ev->kind = TL_WS_EVENT_CLOSE;
        ev->close_code = code;
        ev->payload += ev->n - reason.n;
        ev->n = reason.n;
    }
}

static void deliver(tl_ws_event *ev, tl_ws_opcode opcode, bool ascii)
{
    if (opcode == TL_WS_TEXT && !ascii && !tl_utf8_is(tl_slice_of(ev->payload, ev->n))) {
        fail(ev, TL_WS_INVALID_DATA);
        return;
    }
    ev->kind = TL_WS_EVENT_MESSAGE;
    ev->opcode = opcode;
}

static void take_fragment(tl_ws_reader *r, const tl_ws_frame *f, tl_ws_event *ev)
{
    if (tl_buf_append(&r->parts, tl_slice_of(ev->payload, ev->n))) {
        fail(ev, TL_WS_TRY_LATER);
        return;
    }
    if (f->opcode != TL_WS_CONTINUATION)
        r->opcode = (uint8_t)f->opcode;
    ev->kind = TL_WS_EVENT_PART;
    if (!f->fin)
        return;
    tl_ws_opcode opcode = (tl_ws_opcode)r->opcode;
    r->opcode = 0;
    r->delivered = true;
    ev->in_place = false;
    ev->n = r->parts.len;
    if (ev->n)
        ev->payload = tl_buf_begin(&r->parts);
    deliver(ev, opcode, false);
}

void tl_ws_reader_next(tl_ws_reader *r, uint8_t *bytes, size_t n, tl_ws_event *ret_event)
{
    tl_ws_event ev = {.kind = TL_WS_EVENT_MORE, .need = 2};
    tl_ws_frame f = {.fin = false};
    tl_ws_reader_done(r);
    size_t room = r->message_max > r->parts.len ? r->message_max - r->parts.len : 0;
    tl_err e = tl_ws_frame_parse(tl_slice_of(bytes, n), r->from_client, room, &f, &ev.close_code);
    if (e == TL_ERR_SHORT) {
        if (n >= 2) {
            unsigned short_n = bytes[1] & LENGTH_BITS;
            ev.need = (short_n < 126    ? 2u + short_n
                       : short_n == 126 ? 4u
                                        : 10u) +
                      (r->from_client ? 4u : 0);
        }
    } else if (e) {
        ev.kind = TL_WS_EVENT_FAIL;
    } else if (!(f.opcode & CONTROL_BIT) && (f.opcode == TL_WS_CONTINUATION) != (r->opcode != 0)) {
        fail(&ev,
             TL_WS_PROTOCOL_ERROR); /* a continuation of nothing, or a message inside another */
    } else if (n - f.header_n < f.n) {
        ev.need = f.header_n + (size_t)f.n;
    } else {
        ev.payload = bytes + f.header_n;
        ev.n = (size_t)f.n;
        ev.used = f.header_n + ev.n;
        ev.in_place = true;
        uint8_t seen = f.masked ? tl_ws_mask(ev.payload, ev.n, f.mask, 0) : 0x80;
        if (f.opcode & CONTROL_BIT)
            take_control(&f, &ev);
        else if (f.fin && f.opcode != TL_WS_CONTINUATION)
            deliver(&ev, f.opcode, seen < 0x80);
        else
            take_fragment(r, &f, &ev);
    }
    *ret_event = ev;
}
