#include "wire/control.h"

#include "wire/signal.h"

#include <assert.h>

/* --- which keys each type has --- */

typedef enum { IS_ADDR, IS_NAT, IS_UINT, IS_TIME, IS_PAD, IS_BYTES, IS_SESSION } field_kind;

/* In the order of the keys' bytes, which is their order in every map. */
enum {
    ADDR,
    ENDS_AT,
    EXPIRES_AT,
    INITIATOR,
    INTRODUCER,
    LIMIT,
    NAT,
    NEW_ADDR,
    NODE,
    NONCE,
    PAD,
    PEER,
    RELAY,
    SEQUENCE,
    SESSION,
    SIG,
    TARGET,
    TIMESTAMP,
    TO,
    TOKEN,
    FIELDS,
};

#define AT(member)    offsetof(tl_control, member)
#define BYTES(member) IS_BYTES, AT(member), sizeof((tl_control *)0)->member

static const struct {
    const char *key;
    field_kind kind;
    size_t at; /* of the member in tl_control */
    size_t n;  /* of IS_BYTES: exactly so many */
} fields[FIELDS] = {
    [ADDR] = {"addr", IS_ADDR, AT(addr), 0},
    [ENDS_AT] = {"endsAt", IS_TIME, AT(ends_at), 0},
    [EXPIRES_AT] = {"expiresAt", IS_TIME, AT(expires_at), 0},
    [INITIATOR] = {"initiator", BYTES(initiator)},
    [INTRODUCER] = {"introducer", BYTES(introducer)},
    [LIMIT] = {"limit", IS_UINT, AT(limit), 0},
    [NAT] = {"nat", IS_NAT, AT(nat), 0},
    [NEW_ADDR] = {"newAddr", IS_ADDR, AT(addr), 0},
    [NODE] = {"node", BYTES(node)},
    [NONCE] = {"nonce", BYTES(nonce)},
    [PAD] = {"pad", IS_PAD, AT(pad_n), 0},
    [PEER] = {"peer", BYTES(peer)},
    [RELAY] = {"relay", BYTES(relay)},
    [SEQUENCE] = {"sequence", IS_UINT, AT(sequence), 0},
    [SESSION] = {"session", IS_SESSION, AT(session), 0},
    [SIG] = {"sig", BYTES(sig)},
    [TARGET] = {"target", BYTES(target)},
    [TIMESTAMP] = {"timestamp", IS_TIME, AT(timestamp), 0},
    [TO] = {"to", BYTES(to)},
    [TOKEN] = {"token", BYTES(token)},
};

#define K(field) (1u << (field))
#define READY                                                                                      \
    (K(ADDR) | K(INITIATOR) | K(INTRODUCER) | K(NAT) | K(NONCE) | K(SIG) | K(TARGET) | K(TIMESTAMP))
#define PUNCH (READY | K(PAD))

static const struct {
    const char *name;
    uint32_t keys;
} types[TL_CONTROL_TYPES] = {
    [TL_CONTROL_PUNCH_INTRO] = {"PunchIntro", PUNCH},
    [TL_CONTROL_PUNCH_REQUEST] = {"PunchRequest", PUNCH},
    [TL_CONTROL_PUNCH_READY] = {"PunchReady", READY},
    [TL_CONTROL_RELAY_REQUEST] = {"RelayRequest", K(INITIATOR) | K(NONCE) | K(PAD) | K(RELAY) |
                                                      K(SIG) | K(TARGET) | K(TIMESTAMP)},
    [TL_CONTROL_RELAY_OFFER] = {"RelayOffer", K(ADDR) | K(EXPIRES_AT) | K(LIMIT) | K(NONCE) |
                                                  K(PEER) | K(RELAY) | K(SESSION) | K(SIG) |
                                                  K(TIMESTAMP) | K(TO) | K(TOKEN)},
    [TL_CONTROL_RELAY_MIGRATE] = {"RelayMigrate",
                                  K(NEW_ADDR) | K(SEQUENCE) | K(SIG) | K(TIMESTAMP) | K(TOKEN)},
    [TL_CONTROL_RELAY_PATH] = {"RelayPath", K(NONCE) | K(SEQUENCE)},
    [TL_CONTROL_RELAY_PATH_REPLY] = {"RelayPathReply", K(NONCE) | K(TOKEN)},
    [TL_CONTROL_RELAY_MIGRATED] = {"RelayMigrated", K(SEQUENCE)},
    [TL_CONTROL_RELAY_WARNING] = {"RelayWarning",
                                  K(ENDS_AT) | K(NONCE) | K(RELAY) | K(SESSION) | K(SIG)},
    [TL_CONTROL_ATTACH] = {"Attach",
                           K(ADDR) | K(INTRODUCER) | K(NODE) | K(NONCE) | K(SIG) | K(TIMESTAMP)},
    [TL_CONTROL_ATTACHED] = {"Attached", K(ADDR) | K(NODE) | K(NONCE) | K(SIG)},
};

static const char *const nat_names[TL_CONTROL_NATS] = {
    [TL_CONTROL_NAT_PUBLIC] = "Public",
    [TL_CONTROL_NAT_CONE] = "Cone",
    [TL_CONTROL_NAT_SYMMETRIC] = "Symmetric",
    [TL_CONTROL_NAT_UNKNOWN] = "Unknown",
};

const char *tl_control_nat_name(tl_control_nat nat)
{
    return nat_names[nat];
}

tl_control_nat tl_control_nat_named(const char *name)
{
    int nat = TL_CONTROL_NAT_PUBLIC;
    while (nat < TL_CONTROL_NAT_UNKNOWN && strcmp(nat_names[nat], name) != 0)
        nat++;
    return (tl_control_nat)nat;
}

const char *tl_control_type_name(tl_control_type type)
{
    return types[type].name;
}

bool tl_control_is_signed(tl_control_type type)
{
    return types[type].keys & K(SIG);
}

tl_control_type tl_control_peek(tl_slice datagram)
{
    if (datagram.n < 2 || datagram.p[0] != TL_CONTROL_FIRST_BYTE ||
        datagram.p[1] >= TL_CONTROL_TYPES)
        return (tl_control_type)0;
    return (tl_control_type)datagram.p[1];
}

/* Bytes that a datagram of this type has at least. */
static size_t least_of(tl_control_type type)
{
    switch (type) {
    case TL_CONTROL_PUNCH_INTRO:
    case TL_CONTROL_PUNCH_REQUEST: return TL_CONTROL_INTRO_MIN;
    case TL_CONTROL_RELAY_REQUEST: return TL_CONTROL_REQUEST_MIN;
    default: return 0;
    }
}

bool tl_control_is_fresh(const tl_control *c, tl_unix now)
{
    tl_unix then = (tl_unix)c->timestamp;
    tl_unix apart = then > now ? then - now : now - then;
    return apart <= TL_CONTROL_WINDOW;
}

/* --- MessagePack, written --- */

/* No type of ours fills TL_CONTROL_MAX, whatever its members (an assertion holds it). */
typedef struct {
    uint8_t *p;
    size_t n;
} writer;

static void put(writer *w, const void *bytes, size_t n)
{
    assert(w->n + n <= TL_CONTROL_MAX);
    memcpy(w->p + w->n, bytes, n);
    w->n += n;
}

static void put_byte(writer *w, unsigned byte)
{
    put(w, &(uint8_t){(uint8_t)byte}, 1);
}

/* The `n` low bytes of `v`, the highest first. */
static void put_number(writer *w, uint64_t v, int n)
{
    while (n-- > 0)
        put_byte(w, v >> (8 * n) & 0xFF);
}

static void put_uint(writer *w, uint64_t v)
{
    if (v < 0x80) {
        put_byte(w, (unsigned)v);
        return;
    }
    int log = v <= 0xFF ? 0 : v <= 0xFFFF ? 1 : v <= 0xFFFFFFFF ? 2 : 3;
    put_byte(w, 0xCC + (unsigned)log);
    put_number(w, v, 1 << log);
}

static void put_text(writer *w, const char *text)
{
    size_t n = strlen(text);
    if (n < 32)
        put_byte(w, 0xA0 | (unsigned)n);
    else
        put_byte(w, 0xD9), put_byte(w, (unsigned)n);
    put(w, text, n);
}

static void put_bin_head(writer *w, size_t n)
{
    put_byte(w, n <= 0xFF ? 0xC4 : 0xC5);
    put_number(w, n, n <= 0xFF ? 1 : 2);
}

static void put_addr(writer *w, const tl_addr *a)
{
    char text[TL_ADDR_TEXT_MAX];
    assert(a->family != TL_ADDR_NONE && a->port && !a->scope);
    tl_addr_write(text, a);
    put_text(w, text);
}

static void put_pad(writer *w, size_t n)
{
    put_bin_head(w, n);
    while (n-- > 0)
        put_byte(w, 0);
}

static void put_field(writer *w, int f, const tl_control *c)
{
    const void *member = (const char *)c + fields[f].at;
    put_text(w, fields[f].key);
    switch (fields[f].kind) {
    case IS_ADDR: put_addr(w, member); break;
    case IS_NAT: put_text(w, nat_names[c->nat]); break;
    case IS_TIME: assert(*(const uint64_t *)member <= INT64_MAX); /* FALLTHROUGH */
    case IS_UINT: put_uint(w, *(const uint64_t *)member); break;
    case IS_PAD: put_pad(w, c->pad_n); break;
    case IS_SESSION: put_text(w, member); break;
    case IS_BYTES:
        put_bin_head(w, fields[f].n);
        put(w, member, fields[f].n);
        break;
    }
}

static void put_map(writer *w, const tl_control *c, uint32_t keys)
{
    put_byte(w, 0x80 | (unsigned)__builtin_popcount(keys));
    for (int f = 0; f < FIELDS; f++)
        if (keys & K(f))
            put_field(w, f, c);
}

size_t tl_control_write(const tl_control *c, uint8_t ret_datagram[TL_CONTROL_MAX])
{
    writer w = {.p = ret_datagram};
    assert(c->type >= TL_CONTROL_PUNCH_INTRO && c->type < TL_CONTROL_TYPES);
    put_byte(&w, TL_CONTROL_FIRST_BYTE);
    put_byte(&w, c->type);
    put_map(&w, c, types[c->type].keys);
    assert(w.n >= least_of(c->type));
    return w.n;
}

size_t tl_control_write_body(const tl_control *c, uint8_t ret_body[TL_CONTROL_MAX])
{
    writer w = {.p = ret_body};
    put_map(&w, c, types[c->type].keys & ~K(SIG));
    return w.n;
}

/* --- MessagePack, read --- */

/* Everything below returns false at the first byte that the writer would not have written. */
static bool take(tl_slice *in, size_t n, const uint8_t **ret)
{
    if (in->n < n)
        return false;
    *ret = in->p;
    *in = tl_slice_of(in->p + n, in->n - n);
    return true;
}

static bool take_number(tl_slice *in, size_t n, uint64_t *ret)
{
    const uint8_t *p;
    uint64_t v = 0;
    if (!take(in, n, &p))
        return false;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    *ret = v;
    return true;
}

static bool take_uint(tl_slice *in, uint64_t *ret)
{
    static const uint64_t least[] = {0x80, 0x100, 0x10000, UINT64_C(0x100000000)};
    uint64_t head, v;
    if (!take_number(in, 1, &head))
        return false;
    if (head < 0x80)
        return *ret = head, true;
    if (head < 0xCC || head > 0xCF || !take_number(in, (size_t)1 << (head - 0xCC), &v) ||
        v < least[head - 0xCC])
        return false;
    *ret = v;
    return true;
}

static bool take_text(tl_slice *in, tl_slice *ret)
{
    uint64_t head, n;
    if (!take_number(in, 1, &head))
        return false;
    if (head >> 5 == 5)
        n = head & 31;
    else if (head != 0xD9 || !take_number(in, 1, &n) || n < 32)
        return false;
    ret->n = (size_t)n;
    return take(in, ret->n, &ret->p);
}

static bool take_bin(tl_slice *in, tl_slice *ret)
{
    uint64_t head, n;
    if (!take_number(in, 1, &head) || (head != 0xC4 && head != 0xC5) ||
        !take_number(in, head == 0xC4 ? 1 : 2, &n) || (head == 0xC5 && n <= 0xFF))
        return false;
    ret->n = (size_t)n;
    return take(in, ret->n, &ret->p);
}

static bool take_addr(tl_slice *in, tl_addr *ret)
{
    tl_slice text;
    tl_addr a;
    char again[TL_ADDR_TEXT_MAX];
    if (!take_text(in, &text) || tl_addr_parse(text, &a) || a.port == 0)
        return false;
    tl_addr normal = tl_addr_normal(a);
    tl_addr_write(again, &normal);
    if (!tl_slice_eq(text, tl_slice_str(again)))
        return false;
    *ret = a;
    return true;
}

static bool take_nat(tl_slice *in, tl_control_nat *ret)
{
    tl_slice text;
    if (!take_text(in, &text))
        return false;
    int nat = 0;
    while (nat < TL_CONTROL_NATS && !tl_slice_eq(text, tl_slice_str(nat_names[nat])))
        nat++;
    *ret = (tl_control_nat)nat;
    return nat < TL_CONTROL_NATS;
}

static bool take_pad(tl_slice *in, size_t *ret)
{
    tl_slice pad;
    if (!take_bin(in, &pad))
        return false;
    for (size_t i = 0; i < pad.n; i++)
        if (pad.p[i])
            return false;
    *ret = pad.n;
    return true;
}

static bool take_session(tl_slice *in, char ret[TL_CONTROL_SESSION_MAX + 1])
{
    tl_slice text;
    if (!take_text(in, &text) || text.n > TL_CONTROL_SESSION_MAX || !tl_signal_session_is(text))
        return false;
    memcpy(ret, text.p, text.n);
    return true;
}

static bool take_bytes(tl_slice *in, void *ret, size_t n)
{
    tl_slice bytes;
    if (!take_bin(in, &bytes) || bytes.n != n)
        return false;
    memcpy(ret, bytes.p, n);
    return true;
}

static bool take_field(tl_slice *in, int f, tl_control *c)
{
    void *member = (char *)c + fields[f].at;
    tl_slice key;
    if (!take_text(in, &key) || !tl_slice_eq(key, tl_slice_str(fields[f].key)))
        return false;
    switch (fields[f].kind) {
    case IS_ADDR: return take_addr(in, member);
    case IS_NAT: return take_nat(in, &c->nat);
    case IS_UINT: return take_uint(in, member);
    case IS_TIME: return take_uint(in, member) && *(uint64_t *)member <= INT64_MAX;
    case IS_PAD: return take_pad(in, &c->pad_n);
    case IS_SESSION: return take_session(in, member);
    case IS_BYTES: return take_bytes(in, member, fields[f].n);
    }
    return false;
}

tl_err tl_control_parse(tl_slice datagram, tl_control *ret_control)
{
    tl_control c = {.type = tl_control_peek(datagram)};
    if (!c.type)
        return TL_ERR_PROTO;
    if (datagram.n > TL_CONTROL_MAX)
        return TL_ERR_TOO_LARGE;
    uint32_t keys = types[c.type].keys;
    tl_slice in = tl_slice_of(datagram.p + 2, datagram.n - 2);
    uint64_t head;
    if (!take_number(&in, 1, &head) || head != (0x80 | (unsigned)__builtin_popcount(keys)))
        return TL_ERR_PROTO;
    for (int f = 0; f < FIELDS; f++)
        if ((keys & K(f)) && !take_field(&in, f, &c))
            return TL_ERR_PROTO;
    if (in.n || datagram.n < least_of(c.type))
        return TL_ERR_PROTO;
    *ret_control = c;
    return TL_OK;
}
