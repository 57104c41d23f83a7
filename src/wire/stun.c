#include "wire/stun.h"

#include <assert.h>
#include <sodium.h>
#include <zlib.h>

/*  0                   1                   2                   3
 * |0 0|        type (14)          |       length of what follows  |
 * |                    cookie 0x2112A442                          |
 * |                    transaction ID (96)                        |
 * then attributes, each padded to a multiple of four:
 * |            type               |     length without padding    |  value ... */
#define HEADER        20
#define ATTR_HEADER   4
#define LENGTH_AT     2
#define COOKIE_AT     4
#define ID_AT         8
#define BINDING       0x0001
#define METHOD_MASK   0x3EEF      /* the type without its two class bits, 0x0100 and 0x0010 */
#define CRC_XOR       0x5354554Eu /* RFC 8489 section 14.7 */
#define MAC_SHA1      20
#define USERNAME_LAST 508    /* RFC 8489 section 14.3: fewer than 509 bytes */
#define OPTIONAL_FROM 0x8000 /* types from here on may be skipped unknown */
#define CHANGE_IP     0x04u
#define CHANGE_PORT   0x02u

enum {
    MAPPED_ADDRESS = 0x0001,
    CHANGE_REQUEST = 0x0003,
    SOURCE_ADDRESS = 0x0004,  /* RFC 3489's RESPONSE-ORIGIN, */
    CHANGED_ADDRESS = 0x0005, /* and its OTHER-ADDRESS */
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000A,
    REALM = 0x0014,
    NONCE = 0x0015,
    MESSAGE_INTEGRITY_SHA256 = 0x001C,
    PASSWORD_ALGORITHM = 0x001D,
    USERHASH = 0x001E,
    XOR_MAPPED_ADDRESS = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    SOFTWARE = 0x8022,
    FINGERPRINT = 0x8028,
    RESPONSE_ORIGIN = 0x802B,
    OTHER_ADDRESS = 0x802C,
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* --- reading --- */

typedef struct {
    uint16_t type;
    tl_slice value;
    size_t at; /* of its header, in the datagram */
} attribute;

typedef struct {
    tl_slice datagram;
    tl_stun stun;
    tl_addr plain_mapped;
    bool sha1; /* MESSAGE-INTEGRITY was seen: after it only two attributes count */
} reading;

bool tl_stun_is(tl_slice datagram)
{
    return datagram.n >= HEADER && datagram.p[0] < 0x40 &&
           get32(datagram.p + COOKIE_AT) == TL_STUN_COOKIE;
}

/* `mask` is what the address is XORed with (cookie and transaction ID); NULL: nothing. */
static tl_err read_address(tl_slice v, const uint8_t *mask, tl_addr *ret_addr)
{
    tl_addr a = {.family = TL_ADDR_NONE};
    if (v.n == 8 && v.p[1] == 1)
        a.family = TL_ADDR_V4;
    else if (v.n == 20 && v.p[1] == 2)
        a.family = TL_ADDR_V6;
    else
        return TL_ERR_PROTO;
    a.port = get16(v.p + 2);
    if (mask)
        a.port ^= get16(mask);
    for (size_t i = 0; i < v.n - 4; i++)
        a.bytes[i] = mask ? v.p[4 + i] ^ mask[i] : v.p[4 + i];
    *ret_addr = a;
    return TL_OK;
}

/* If an attribute comes twice, the first counts (RFC 8489 section 14). */
static tl_err read_address_once(tl_slice v, const uint8_t *mask, tl_addr *addr)
{
    tl_addr again;
    return read_address(v, mask, addr->family == TL_ADDR_NONE ? addr : &again);
}

static tl_err read_error(reading *r, tl_slice v)
{
    if (v.n < 4)
        return TL_ERR_PROTO;
    unsigned hundreds = v.p[2] & 7u, rest = v.p[3];
    if (hundreds < 3 || hundreds > 6 || rest > 99)
        return TL_ERR_PROTO;
    if (!r->stun.error)
        r->stun.error = (uint16_t)(hundreds * 100 + rest);
    return TL_OK;
}

static tl_err read_change(reading *r, tl_slice v)
{
    if (v.n != 4)
        return TL_ERR_PROTO;
    if (!r->stun.has_change) {
        r->stun.has_change = true;
        r->stun.change_ip = (v.p[3] & CHANGE_IP) != 0;
        r->stun.change_port = (v.p[3] & CHANGE_PORT) != 0;
    }
    return TL_OK;
}

static tl_err read_username(reading *r, tl_slice v)
{
    if (v.n > USERNAME_LAST)
        return TL_ERR_PROTO;
    if (!r->stun.username.p)
        r->stun.username = v;
    return TL_OK;
}

static tl_err read_priority(reading *r, tl_slice v)
{
    if (v.n != 4)
        return TL_ERR_PROTO;
    if (!r->stun.has_priority)
        r->stun.priority = get32(v.p);
    r->stun.has_priority = true;
    return TL_OK;
}

static tl_err read_fingerprint(reading *r, const attribute *a)
{
    if (a->value.n != 4 || a->at + ATTR_HEADER + 4 != r->datagram.n)
        return TL_ERR_PROTO;
    uint32_t crc = (uint32_t)crc32(0, r->datagram.p, (uInt)a->at) ^ CRC_XOR;
    if (get32(a->value.p) != crc)
        return TL_ERR_PROTO;
    r->stun.fingerprint = true;
    return TL_OK;
}

static tl_err read_mac(reading *r, const attribute *a)
{
    if (a->value.n != TL_STUN_MAC)
        return TL_ERR_PROTO;
    r->stun.mac_at = a->at;
    return TL_OK;
}

static tl_err read_unknown(reading *r, uint16_t type)
{
    if (type < OPTIONAL_FROM && r->stun.n_unknown < TL_STUN_UNKNOWN_MAX)
        r->stun.unknown[r->stun.n_unknown++] = type;
    return TL_OK;
}

static tl_err read_attribute(reading *r, const attribute *a)
{
    tl_stun *s = &r->stun;
    if (s->mac_at && a->type != FINGERPRINT)
        return TL_ERR_PROTO; /* the code covers nothing that follows it */
    if (r->sha1 && a->type != FINGERPRINT && a->type != MESSAGE_INTEGRITY_SHA256)
        return TL_OK; /* RFC 8489 section 14.5 */
    switch (a->type) {
    case MAPPED_ADDRESS: return read_address_once(a->value, NULL, &r->plain_mapped);
    case XOR_MAPPED_ADDRESS:
        return read_address_once(a->value, r->datagram.p + COOKIE_AT, &s->mapped);
    case OTHER_ADDRESS: return read_address_once(a->value, NULL, &s->other);
    case RESPONSE_ORIGIN: return read_address_once(a->value, NULL, &s->origin);
    case CHANGE_REQUEST: return read_change(r, a->value);
    case USERNAME: return read_username(r, a->value);
    case ERROR_CODE: return read_error(r, a->value);
    case PRIORITY: return read_priority(r, a->value);
    case USE_CANDIDATE: s->use_candidate = true; return a->value.n ? TL_ERR_PROTO : TL_OK;
    case UNKNOWN_ATTRIBUTES: return a->value.n % 2 ? TL_ERR_PROTO : TL_OK;
    case MESSAGE_INTEGRITY: r->sha1 = true; return a->value.n == MAC_SHA1 ? TL_OK : TL_ERR_PROTO;
    case MESSAGE_INTEGRITY_SHA256: return read_mac(r, a);
    case FINGERPRINT: return read_fingerprint(r, a);
    case SOURCE_ADDRESS:
    case CHANGED_ADDRESS:
    case REALM:
    case NONCE:
    case PASSWORD_ALGORITHM:
    case USERHASH: return TL_OK; /* understood, and of no use to us */
    default: return read_unknown(r, a->type);
    }
}

static tl_stun_class class_of(uint16_t type)
{
    return (tl_stun_class)((type & 0x0100) >> 7 | (type & 0x0010) >> 4);
}

static tl_err read_attributes(reading *r)
{
    tl_slice d = r->datagram;
    size_t count = 0;
    for (size_t at = HEADER; at < d.n;) {
        if (d.n - at < ATTR_HEADER || ++count > TL_STUN_ATTRIBUTES_MAX)
            return TL_ERR_PROTO;
        attribute a = {.type = get16(d.p + at), .at = at};
        size_t n = get16(d.p + at + 2), padded = (n + 3) & ~(size_t)3;
        at += ATTR_HEADER;
        if (padded > d.n - at)
            return TL_ERR_PROTO;
        a.value = tl_slice_of(d.p + at, n);
        at += padded;
        tl_err e = read_attribute(r, &a);
        if (e)
            return e;
    }
    return TL_OK;
}

tl_err tl_stun_read(tl_slice datagram, tl_stun *ret_stun)
{
    if (!tl_stun_is(datagram))
        return TL_ERR_PROTO;
    uint16_t type = get16(datagram.p);
    size_t length = get16(datagram.p + LENGTH_AT);
    if ((type & METHOD_MASK) != BINDING || length % 4 || length != datagram.n - HEADER)
        return TL_ERR_PROTO;
    reading r = {.datagram = datagram, .stun.class = class_of(type)};
    memcpy(r.stun.id.bytes, datagram.p + ID_AT, TL_STUN_ID);
    tl_err e = read_attributes(&r);
    if (e)
        return e;
    if (r.stun.mapped.family == TL_ADDR_NONE)
        r.stun.mapped = r.plain_mapped;
    *ret_stun = r.stun;
    return TL_OK;
}

/* --- integrity --- */

/* The MAC of everything before the attribute at `at`, with the header's length as if that attribute
 * ended the message. */
static void authenticate(const uint8_t *message, size_t at, tl_slice key, uint8_t ret[TL_STUN_MAC])
{
    _Static_assert(crypto_auth_hmacsha256_BYTES == TL_STUN_MAC, "HMAC-SHA256");
    uint8_t length[2];
    put16(length, (uint32_t)(at + ATTR_HEADER + TL_STUN_MAC - HEADER));
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, key.n ? key.p : length, key.n);
    crypto_auth_hmacsha256_update(&st, message, LENGTH_AT);
    crypto_auth_hmacsha256_update(&st, length, sizeof length);
    crypto_auth_hmacsha256_update(&st, message + COOKIE_AT, at - COOKIE_AT);
    crypto_auth_hmacsha256_final(&st, ret);
    sodium_memzero(&st, sizeof st);
}

tl_err tl_stun_verify(tl_slice datagram, const tl_stun *stun, tl_slice key)
{
    uint8_t mac[TL_STUN_MAC];
    size_t at = stun->mac_at;
    if (at < HEADER || at > datagram.n || datagram.n - at < ATTR_HEADER + TL_STUN_MAC)
        return TL_ERR_AUTH;
    authenticate(datagram.p, at, key, mac);
    return sodium_memcmp(mac, datagram.p + at + ATTR_HEADER, sizeof mac) ? TL_ERR_AUTH : TL_OK;
}

/* --- writing --- */

void tl_stun_begin(tl_stun_writer *w, tl_stun_class class, const tl_stun_id *id)
{
    memset(w->bytes, 0, HEADER);
    put16(w->bytes, BINDING | (class & 2u) << 7 | (class & 1u) << 4);
    put32(w->bytes + COOKIE_AT, TL_STUN_COOKIE);
    memcpy(w->bytes + ID_AT, id->bytes, TL_STUN_ID);
    w->n = HEADER;
}

/* Room for a value of `n` bytes, the padding behind it zero. */
static uint8_t *put(tl_stun_writer *w, uint16_t type, size_t n)
{
    size_t padded = (n + 3) & ~(size_t)3;
    assert(padded + ATTR_HEADER <= TL_STUN_MAX - w->n);
    uint8_t *p = w->bytes + w->n;
    memset(p, 0, ATTR_HEADER + padded);
    put16(p, type);
    put16(p + 2, (uint32_t)n);
    w->n += ATTR_HEADER + padded;
    put16(w->bytes + LENGTH_AT, (uint32_t)(w->n - HEADER));
    return p + ATTR_HEADER;
}

static void put_bytes(tl_stun_writer *w, uint16_t type, const void *bytes, size_t n)
{
    uint8_t *p = put(w, type, n);
    if (n)
        memcpy(p, bytes, n);
}

static void put_address(tl_stun_writer *w, uint16_t type, const tl_addr *a, const uint8_t *mask)
{
    assert(a->family != TL_ADDR_NONE);
    bool v6 = a->family == TL_ADDR_V6;
    size_t n = v6 ? 16 : 4;
    uint8_t *p = put(w, type, 4 + n);
    p[1] = v6 ? 2 : 1;
    put16(p + 2, mask ? a->port ^ get16(mask) : a->port);
    for (size_t i = 0; i < n; i++)
        p[4 + i] = mask ? a->bytes[i] ^ mask[i] : a->bytes[i];
}

void tl_stun_put_xor_mapped(tl_stun_writer *w, const tl_addr *a)
{
    put_address(w, XOR_MAPPED_ADDRESS, a, w->bytes + COOKIE_AT);
}

void tl_stun_put_mapped(tl_stun_writer *w, const tl_addr *a)
{
    put_address(w, MAPPED_ADDRESS, a, NULL);
}

void tl_stun_put_origin(tl_stun_writer *w, const tl_addr *a)
{
    put_address(w, RESPONSE_ORIGIN, a, NULL);
}

void tl_stun_put_other(tl_stun_writer *w, const tl_addr *a)
{
    put_address(w, OTHER_ADDRESS, a, NULL);
}

void tl_stun_put_username(tl_stun_writer *w, tl_slice name)
{
    assert(name.n <= TL_STUN_USERNAME_MAX);
    put_bytes(w, USERNAME, name.p, name.n);
}

void tl_stun_put_priority(tl_stun_writer *w, uint32_t priority)
{
    put32(put(w, PRIORITY, 4), priority);
}

void tl_stun_put_change(tl_stun_writer *w, bool ip, bool port)
{
    put32(put(w, CHANGE_REQUEST, 4), (ip ? CHANGE_IP : 0u) | (port ? CHANGE_PORT : 0u));
}

void tl_stun_put_software(tl_stun_writer *w)
{
    static const char name[] = "teale " TL_VERSION;
    put_bytes(w, SOFTWARE, name, sizeof name - 1);
}

void tl_stun_put_error(tl_stun_writer *w, uint16_t code, const char *reason)
{
    enum { REASON_MAX = 127 }; /* RFC 8489 section 14.8 */
    assert(code >= 300 && code <= 699);
    size_t n = strnlen(reason, REASON_MAX);
    uint8_t *p = put(w, ERROR_CODE, 4 + n);
    p[2] = (uint8_t)(code / 100);
    p[3] = (uint8_t)(code % 100);
    memcpy(p + 4, reason, n);
}

void tl_stun_put_unknown(tl_stun_writer *w, const uint16_t *types, size_t n)
{
    if (n > TL_STUN_UNKNOWN_MAX)
        n = TL_STUN_UNKNOWN_MAX;
    uint8_t *p = put(w, UNKNOWN_ATTRIBUTES, 2 * n);
    for (size_t i = 0; i < n; i++)
        put16(p + 2 * i, types[i]);
}

tl_err tl_stun_put_integrity(tl_stun_writer *w, tl_slice key)
{
    size_t at = w->n;
    uint8_t *mac = put(w, MESSAGE_INTEGRITY_SHA256, TL_STUN_MAC);
    authenticate(w->bytes, at, key, mac);
    return TL_OK;
}

void tl_stun_finish(tl_stun_writer *w)
{
    size_t at = w->n;
    uint8_t *p = put(w, FINGERPRINT, 4); /* the length counts it, as RFC 8489 14.7 asks */
    put32(p, (uint32_t)crc32(0, w->bytes, (uInt)at) ^ CRC_XOR);
}
