#include "relay/fedwire.h"

#include "wire/signalread.h"

/* version 1 || kind || epoch u64 || length of the ID u8 || ID || incarnation u64 || the rest */
#define VERSION     1
#define FLAG_TOKENS 1

bool tl_fed_id_is(tl_slice id)
{
    for (size_t i = 0; i < id.n; i++) {
        uint8_t c = id.p[i], low = c | 0x20;
        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
            c != '-')
            return false;
    }
    return id.n > 0 && id.n <= TL_FED_ID_MAX;
}

/* --- writing --- */

static uint8_t *put_number(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = n; i-- > 0;)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t n)
{
    if (n)
        memcpy(p, bytes, n);
    return p + n;
}

/* A length of `size` bytes, then the text. */
static uint8_t *put_text(uint8_t *p, tl_slice text, size_t size)
{
    return put_bytes(put_number(p, text.n, size), text.p, text.n);
}

static uint8_t *put_between(uint8_t *p, const tl_fed_message *m)
{
    p = put_bytes(p, m->from.key, sizeof m->from.key);
    p = put_bytes(p, m->to.key, sizeof m->to.key);
    p = put_number(p, m->from_epoch, 8);
    p = put_number(p, m->to_epoch, 8);
    p = put_number(p, (uint64_t)m->type, 1);
    p = put_number(p, (uint64_t)m->code, 1);
    return put_text(p, m->session, 1);
}

static uint8_t *put_up(uint8_t *p, const tl_fed_message *m)
{
    p = put_bytes(p, m->node.key, sizeof m->node.key);
    p = put_number(p, m->relay_token ? FLAG_TOKENS : 0, 1);
    p = put_number(p, m->group, 8);
    p = put_text(p, m->name, 2);
    return put_text(p, m->wg, 1);
}

tl_err tl_fed_write_head(tl_buf *out, const tl_fed_message *m)
{
    uint8_t *start;
    tl_err e = tl_buf_reserve(out, TL_FED_OVERHEAD_MAX + TL_FED_NAME_MAX, &start);
    if (e)
        return e;
    uint8_t *p = put_number(start, VERSION, 1);
    p = put_number(p, (uint64_t)m->kind, 1);
    p = put_number(p, m->epoch, TL_FED_EPOCH_SIZE);
    p = put_text(p, m->relay, 1);
    p = put_number(p, m->incarnation, 8);
    if (m->kind == TL_FED_ALIVE)
        p = put_number(put_number(p, m->count, 4), m->digest, 8);
    else if (m->kind == TL_FED_UP)
        p = put_up(p, m);
    else if (m->kind == TL_FED_DOWN)
        p = put_bytes(p, m->node.key, sizeof m->node.key);
    else if (m->kind >= TL_FED_FORWARD)
        p = put_between(p, m);
    tl_buf_added(out, (size_t)(p - start));
    return TL_OK;
}

tl_err tl_fed_write(tl_buf *out, const tl_fed_message *m)
{
    size_t before = out->len;
    tl_err e = tl_fed_write_head(out, m);
    tl_slice rest = m->kind == TL_FED_UP ? m->capabilities : m->bytes;
    if (!e && rest.n && (m->kind == TL_FED_UP || m->kind >= TL_FED_FORWARD))
        e = tl_buf_append(out, rest);
    if (e)
        out->len = before;
    return e;
}

/* --- reading --- */

static bool get_bytes(tl_slice *in, void *ret, size_t n)
{
    if (in->n < n)
        return false;
    memcpy(ret, in->p, n);
    *in = (tl_slice){in->p + n, in->n - n};
    return true;
}

static bool get_number(tl_slice *in, uint64_t *ret, size_t n)
{
    uint8_t b[8];
    uint64_t v = 0;
    if (!get_bytes(in, b, n))
        return false;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | b[i];
    *ret = v;
    return true;
}

static bool get_text(tl_slice *in, tl_slice *ret, size_t size)
{
    uint64_t n;
    if (!get_number(in, &n, size) || in->n < n)
        return false;
    *ret = (tl_slice){in->p, (size_t)n};
    *in = (tl_slice){in->p + n, in->n - (size_t)n};
    return true;
}

static bool is_hex(tl_slice text)
{
    uint8_t key[TL_NODE_ID_HEX / 2];
    return tl_hex_parse(text, false, key, sizeof key) == TL_OK;
}

static bool get_up(tl_slice *in, tl_fed_message *m)
{
    uint64_t flags;
    if (!get_bytes(in, m->node.key, sizeof m->node.key) || !get_number(in, &flags, 1) ||
        !get_number(in, &m->group, 8) || !get_text(in, &m->name, 2) || !get_text(in, &m->wg, 1))
        return false;
    m->relay_token = flags & FLAG_TOKENS;
    m->capabilities = *in;
    return m->name.n <= TL_FED_NAME_MAX && tl_utf8_is(m->name) &&
           (!m->name.n || !memchr(m->name.p, 0, m->name.n)) && (!m->wg.n || is_hex(m->wg)) &&
           in->n <= TL_SIGNAL_REGISTER_MAX;
}

static bool get_between(tl_slice *in, tl_fed_message *m)
{
    uint64_t type, code;
    if (!get_bytes(in, m->from.key, sizeof m->from.key) ||
        !get_bytes(in, m->to.key, sizeof m->to.key) || !get_number(in, &m->from_epoch, 8) ||
        !get_number(in, &m->to_epoch, 8) || !get_number(in, &type, 1) ||
        !get_number(in, &code, 1) || !get_text(in, &m->session, 1))
        return false;
    if (type >= TL_SIGNAL_TYPES || code >= TL_SIGNAL_CODES ||
        (m->session.n && !tl_signal_session_is(m->session)))
        return false;
    m->type = (tl_signal_type)type;
    m->code = (tl_signal_code)code;
    m->bytes = *in;
    bool needs_session = m->kind == TL_FED_HOLD || m->kind == TL_FED_GO || m->kind == TL_FED_PACKET;
    return (m->kind != TL_FED_FORWARD || tl_signal_is_routed(m->type)) &&
           (!needs_session || m->session.n) && (m->kind != TL_FED_REFUSAL || tl_utf8_is(m->bytes));
}

static bool get_rest(tl_slice *in, tl_fed_message *m)
{
    uint64_t count;
    switch (m->kind) {
    case TL_FED_ALIVE:
        if (!get_number(in, &count, 4) || !get_number(in, &m->digest, 8))
            return false;
        m->count = (uint32_t)count;
        return in->n == 0;
    case TL_FED_UP: return get_up(in, m);
    case TL_FED_DOWN: return get_bytes(in, m->node.key, sizeof m->node.key) && in->n == 0;
    case TL_FED_FORWARD:
    case TL_FED_REFUSAL:
    case TL_FED_HOLD:
    case TL_FED_GO:
    case TL_FED_PACKET: return get_between(in, m);
    default: return in->n == 0;
    }
}

tl_err tl_fed_read(tl_slice bytes, tl_fed_message *ret_message)
{
    tl_fed_message m = {0};
    uint64_t version, kind;
    if (!get_number(&bytes, &version, 1) || version != VERSION || !get_number(&bytes, &kind, 1) ||
        kind < TL_FED_HELLO || kind >= TL_FED_KINDS)
        return TL_ERR_PROTO;
    m.kind = (tl_fed_kind)kind;
    if (!get_number(&bytes, &m.epoch, TL_FED_EPOCH_SIZE) || !get_text(&bytes, &m.relay, 1) ||
        !tl_fed_id_is(m.relay) || !get_number(&bytes, &m.incarnation, 8) || !get_rest(&bytes, &m))
        return TL_ERR_PROTO;
    *ret_message = m;
    return TL_OK;
}
