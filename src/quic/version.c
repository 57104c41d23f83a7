#include "quic/version.h"

#include <assert.h>

#define LIBRARY_VERSION UINT32_C(0x00000001) /* QUIC v1: what libngtcp2 is told */
#define LONG_BIT        0x80
#define FIXED_BIT       0x40

enum { TYPE_INITIAL = 0, TYPE_0RTT = 1, TYPE_HANDSHAKE = 2, TYPE_RETRY = 3 }; /* RFC 9000 17.2 */

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* Reads a variable-length integer (RFC 9000 16). False: truncated. */
static bool read_varint(const uint8_t *p, size_t n, size_t *at, uint64_t *ret_value)
{
    if (*at >= n)
        return false;
    size_t len = (size_t)1 << (p[*at] >> 6);
    if (n - *at < len)
        return false;
    uint64_t v = p[*at] & 0x3F;
    for (size_t i = 1; i < len; i++)
        v = v << 8 | p[*at + i];
    *at += len;
    *ret_value = v;
    return true;
}

/* Reads both IDs of a long header; *ret_at is the offset behind them. */
static tl_err parse_long_ids(tl_slice d, tl_quic_head *ret_head, size_t *ret_at)
{
    size_t at = 5;
    tl_slice id[2];
    for (int i = 0; i < 2; i++) {
        if (at >= d.n)
            return TL_ERR_SHORT;
        size_t len = d.p[at++];
        if (len > TL_QUIC_CID_MAX)
            return TL_ERR_PROTO;
        if (d.n - at < len)
            return TL_ERR_SHORT;
        id[i] = tl_slice_of(d.p + at, len);
        at += len;
    }
    *ret_head = (tl_quic_head){.is_long = true, .dcid = id[0], .scid = id[1]};
    *ret_at = at;
    return TL_OK;
}

tl_err tl_quic_head_parse(tl_slice d, tl_quic_head *ret_head)
{
    if (d.n < 1 + TL_QUIC_CID_SIZE)
        return TL_ERR_SHORT;
    if (!(d.p[0] & FIXED_BIT))
        return TL_ERR_PROTO;
    if (!(d.p[0] & LONG_BIT)) {
        *ret_head = (tl_quic_head){.dcid = tl_slice_of(d.p + 1, TL_QUIC_CID_SIZE)};
        return TL_OK;
    }
    if (load32(d.p + 1) != TL_QUIC_WIRE_VERSION)
        return TL_ERR_PROTO;
    size_t at;
    return parse_long_ids(d, ret_head, &at);
}

/* The length of the long-header packet at the front of `d`. */
static tl_err long_packet_size(tl_slice d, size_t *ret_size)
{
    tl_quic_head head;
    size_t at;
    tl_err e = parse_long_ids(d, &head, &at);
    if (e)
        return e;
    int type = d.p[0] >> 4 & 3;
    uint64_t len;
    if (type == TYPE_RETRY) { /* it has no length, and no packet follows it */
        *ret_size = d.n;
        return TL_OK;
    }
    if (type == TYPE_INITIAL) {
        if (!read_varint(d.p, d.n, &at, &len) || len > d.n - at)
            return TL_ERR_SHORT;
        at += (size_t)len; /* the token */
    }
    if (!read_varint(d.p, d.n, &at, &len) || len > d.n - at)
        return TL_ERR_SHORT;
    *ret_size = at + (size_t)len;
    return TL_OK;
}

static tl_err swap(uint8_t *d, size_t n, uint32_t from, uint32_t to)
{
    size_t at = 0;
    while (at < n && (d[at] & LONG_BIT)) {
        if (n - at < 5)
            return TL_ERR_PROTO;
        if (load32(d + at + 1) != from)
            return TL_ERR_PROTO;
        size_t size;
        if (long_packet_size(tl_slice_of(d + at, n - at), &size))
            return TL_ERR_PROTO;
        store32(d + at + 1, to);
        at += size;
    }
    return TL_OK;
}

tl_err tl_quic_version_in(uint8_t *datagram, size_t n)
{
    return swap(datagram, n, TL_QUIC_WIRE_VERSION, LIBRARY_VERSION);
}

void tl_quic_version_out(uint8_t *datagram, size_t n)
{
    tl_err e = swap(datagram, n, LIBRARY_VERSION, TL_QUIC_WIRE_VERSION);
    assert(e == TL_OK); /* the library writes well-formed packets */
    (void)e;
}
