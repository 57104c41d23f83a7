#include "wire/krpc.h"

#include "wire/bencode.h"

#include <assert.h>

static const char *const method_names[TL_KRPC_METHODS] = {
    [TL_KRPC_PING] = "ping",
    [TL_KRPC_FIND_NODE] = "find_node",
    [TL_KRPC_GET_PEERS] = "get_peers",
    [TL_KRPC_ANNOUNCE_PEER] = "announce_peer",
    [TL_KRPC_GET] = "get",
    [TL_KRPC_PUT] = "put",
    [TL_KRPC_OTHER] = "other",
};

const char *tl_krpc_method_name(tl_krpc_method method)
{
    return method_names[method];
}

/* --- compact addresses and nodes --- */

size_t tl_krpc_addr_write(const tl_addr *a, uint8_t ret_bytes[TL_KRPC_COMPACT_MAX])
{
    size_t n = a->family == TL_ADDR_V4 ? 4 : 16;
    assert(a->family != TL_ADDR_NONE);
    memcpy(ret_bytes, a->bytes, n);
    ret_bytes[n] = (uint8_t)(a->port >> 8);
    ret_bytes[n + 1] = (uint8_t)a->port;
    return n + 2;
}

tl_err tl_krpc_addr_parse(tl_slice bytes, tl_addr *ret_addr)
{
    if (bytes.n != 6 && bytes.n != 18)
        return TL_ERR_PROTO;
    size_t n = bytes.n - 2;
    tl_addr a = {.family = n == 4 ? TL_ADDR_V4 : TL_ADDR_V6,
                 .port = (uint16_t)(bytes.p[n] << 8 | bytes.p[n + 1])};
    memcpy(a.bytes, bytes.p, n);
    *ret_addr = a;
    return TL_OK;
}

size_t tl_krpc_node_write(const uint8_t id[TL_KRPC_ID_SIZE], const tl_addr *a,
                          uint8_t ret_bytes[TL_KRPC_NODE6])
{
    memcpy(ret_bytes, id, TL_KRPC_ID_SIZE);
    return TL_KRPC_ID_SIZE + tl_krpc_addr_write(a, ret_bytes + TL_KRPC_ID_SIZE);
}

bool tl_krpc_next_node(tl_slice *nodes, tl_addr_family family, const uint8_t **ret_id,
                       tl_addr *ret_addr)
{
    size_t n = family == TL_ADDR_V4 ? TL_KRPC_NODE4 : TL_KRPC_NODE6;
    if (nodes->n < n)
        return false;
    tl_slice addr = tl_slice_of(nodes->p + TL_KRPC_ID_SIZE, n - TL_KRPC_ID_SIZE);
    if (tl_krpc_addr_parse(addr, ret_addr))
        return false;
    *ret_id = nodes->p;
    *nodes = tl_slice_of(nodes->p + n, nodes->n - n);
    return true;
}

/* --- read --- */

/* Each of these is false where the value is there and wrong. */

static bool read_id(const tl_ben *v, bool *ret_has, uint8_t ret_id[TL_KRPC_ID_SIZE])
{
    if (v->kind != TL_BEN_TEXT || v->text.n != TL_KRPC_ID_SIZE)
        return false;
    memcpy(ret_id, v->text.p, TL_KRPC_ID_SIZE);
    *ret_has = true;
    return true;
}

static bool read_bytes(const tl_ben *v, size_t n, const uint8_t **ret)
{
    if (v->kind != TL_BEN_TEXT || v->text.n != n)
        return false;
    *ret = v->text.p;
    return true;
}

static bool read_number(const tl_ben *v, tl_maybe *ret)
{
    if (v->kind != TL_BEN_NUMBER)
        return false;
    *ret = tl_maybe_of(v->number);
    return true;
}

static bool read_text(const tl_ben *v, size_t max, tl_slice *ret)
{
    if (v->kind != TL_BEN_TEXT || v->text.n > max)
        return false;
    *ret = v->text;
    return true;
}

static bool read_nodes(const tl_ben *v, size_t one, tl_slice *ret)
{
    return read_text(v, SIZE_MAX, ret) && ret->n % one == 0;
}

/* Other families than these two may come one day. */
static bool read_want(const tl_ben *v, unsigned *ret)
{
    tl_slice inside = v->inside;
    tl_ben one;
    if (v->kind != TL_BEN_LIST)
        return false;
    while (tl_ben_next(&inside, &one)) {
        if (one.kind != TL_BEN_TEXT)
            return false;
        if (tl_slice_eq(one.text, TL_SLICE_LIT("n4")))
            *ret |= TL_KRPC_WANT4;
        if (tl_slice_eq(one.text, TL_SLICE_LIT("n6")))
            *ret |= TL_KRPC_WANT6;
    }
    return true;
}

/* A name that we do not know is as none. */
static void read_nat(const tl_ben *v, tl_krpc *m)
{
    for (int nat = 0; nat < TL_CONTROL_NATS; nat++)
        if (v->kind == TL_BEN_TEXT &&
            tl_slice_eq(v->text, tl_slice_str(tl_control_nat_name((tl_control_nat)nat)))) {
            m->has_nat = true;
            m->nat = (tl_control_nat)nat;
        }
}

static bool is(tl_slice key, const char *name)
{
    return tl_slice_eq(key, tl_slice_str(name));
}

/* What queries and responses both have. Passes over what it does not know. */
static bool read_common(tl_slice key, const tl_ben *v, tl_krpc *m)
{
    if (is(key, "id"))
        return read_id(v, &m->has_id, m->id);
    if (is(key, "token"))
        return read_text(v, TL_KRPC_TOKEN_MAX, &m->token);
    if (is(key, "k"))
        return read_bytes(v, TL_KRPC_KEY_SIZE, &m->key);
    if (is(key, "sig"))
        return read_bytes(v, TL_KRPC_SIG_SIZE, &m->sig);
    if (is(key, "seq"))
        return read_number(v, &m->seq);
    if (is(key, "v"))
        m->value = v->raw;
    return true;
}

static bool read_argument(tl_slice key, const tl_ben *v, tl_krpc *m)
{
    bool by_hash = m->method == TL_KRPC_GET_PEERS || m->method == TL_KRPC_ANNOUNCE_PEER;
    if (is(key, by_hash ? "info_hash" : "target"))
        return read_id(v, &m->has_target, m->target);
    if (is(key, "want"))
        return read_want(v, &m->want);
    if (is(key, "cas"))
        return read_number(v, &m->cas);
    if (is(key, "salt"))
        return read_text(v, SIZE_MAX, &m->salt);
    return read_common(key, v, m);
}

static bool read_result(tl_slice key, const tl_ben *v, tl_krpc *m)
{
    if (is(key, "nodes"))
        return read_nodes(v, TL_KRPC_NODE4, &m->nodes);
    if (is(key, "nodes6"))
        return read_nodes(v, TL_KRPC_NODE6, &m->nodes6);
    if (is(key, "nat"))
        read_nat(v, m);
    return read_common(key, v, m);
}

static bool arguments_are_complete(const tl_krpc *m)
{
    switch (m->method) {
    case TL_KRPC_FIND_NODE:
    case TL_KRPC_GET_PEERS:
    case TL_KRPC_GET: return m->has_id && m->has_target;
    case TL_KRPC_ANNOUNCE_PEER: return m->has_id && m->has_target && m->token.n;
    case TL_KRPC_PUT:
        return m->has_id && m->token.n && m->value.n && !m->key == !m->sig &&
               !m->key == !m->seq.given;
    default: return m->has_id;
    }
}

static void read_query(const tl_ben *top, tl_krpc *m)
{
    tl_ben arguments, v;
    tl_slice key;
    if (!tl_ben_find_kind(top, "a", TL_BEN_DICT, &arguments)) {
        m->bad_arguments = true;
        return;
    }
    tl_slice inside = arguments.inside;
    while (tl_ben_next_pair(&inside, &key, &v))
        m->bad_arguments |= !read_argument(key, &v, m);
    m->bad_arguments |= !arguments_are_complete(m);
}

static tl_err read_method(const tl_ben *top, tl_krpc *m)
{
    tl_ben q;
    if (!tl_ben_find_kind(top, "q", TL_BEN_TEXT, &q))
        return TL_ERR_PROTO;
    int method = 0;
    while (method < TL_KRPC_OTHER && !is(q.text, method_names[method]))
        method++;
    m->method = (tl_krpc_method)method;
    return TL_OK;
}

static tl_err read_response(const tl_ben *top, tl_krpc *m)
{
    tl_ben results, v;
    tl_slice key;
    if (!tl_ben_find_kind(top, "r", TL_BEN_DICT, &results))
        return TL_ERR_PROTO;
    tl_slice inside = results.inside;
    while (tl_ben_next_pair(&inside, &key, &v))
        if (!read_result(key, &v, m))
            return TL_ERR_PROTO;
    return m->has_id ? TL_OK : TL_ERR_PROTO;
}

static tl_err read_error(const tl_ben *top, tl_krpc *m)
{
    tl_ben list, code, words;
    if (!tl_ben_find_kind(top, "e", TL_BEN_LIST, &list))
        return TL_ERR_PROTO;
    tl_slice inside = list.inside;
    if (!tl_ben_next(&inside, &code) || code.kind != TL_BEN_NUMBER)
        return TL_ERR_PROTO;
    m->code = code.number;
    if (tl_ben_next(&inside, &words) && words.kind == TL_BEN_TEXT)
        m->words = words.text;
    return TL_OK;
}

/* What stands beside `y` in all kinds. */
static tl_err read_envelope(const tl_ben *top, tl_krpc *m)
{
    tl_ben v;
    if (!tl_ben_find_kind(top, "t", TL_BEN_TEXT, &v) || v.text.n == 0 || v.text.n > TL_KRPC_TID_MAX)
        return TL_ERR_PROTO;
    m->tid = v.text;
    if (tl_ben_find_kind(top, "v", TL_BEN_TEXT, &v))
        m->client = v.text;
    if (tl_ben_find_kind(top, "ip", TL_BEN_TEXT, &v))
        (void)!tl_krpc_addr_parse(v.text, &m->ip); /* some programs send it without the port */
    return TL_OK;
}

static tl_err read_kind(const tl_ben *top, tl_krpc *m)
{
    tl_ben y, ro;
    if (!tl_ben_find_kind(top, "y", TL_BEN_TEXT, &y) || y.text.n != 1)
        return TL_ERR_PROTO;
    switch (y.text.p[0]) {
    case 'q':
        m->kind = TL_KRPC_QUERY;
        m->read_only = tl_ben_find_kind(top, "ro", TL_BEN_NUMBER, &ro) && ro.number == 1;
        if (read_method(top, m))
            return TL_ERR_PROTO;
        read_query(top, m);
        return TL_OK;
    case 'r': m->kind = TL_KRPC_RESPONSE; return read_response(top, m);
    case 'e': m->kind = TL_KRPC_ERROR; return read_error(top, m);
    default: return TL_ERR_PROTO;
    }
}

tl_err tl_krpc_parse(tl_slice datagram, tl_krpc *ret_message)
{
    tl_ben top;
    tl_krpc m = {0};
    if (datagram.n > TL_KRPC_READ_MAX)
        return TL_ERR_TOO_LARGE;
    tl_err e = tl_ben_parse(datagram, TL_BEN_ANY_ORDER, &top);
    if (e)
        return e;
    if (top.kind != TL_BEN_DICT)
        return TL_ERR_PROTO;
    if ((e = read_envelope(&top, &m)) || (e = read_kind(&top, &m)))
        return e;
    *ret_message = m;
    return TL_OK;
}

/* --- write: keys in the order of their bytes --- */

static void put_bytes(tl_ben_writer *w, const char *key, const uint8_t *bytes, size_t n)
{
    if (bytes)
        tl_ben_put_pair_text(w, key, tl_slice_of(bytes, n));
}

static void put_text(tl_ben_writer *w, const char *key, tl_slice text)
{
    if (text.n)
        tl_ben_put_pair_text(w, key, text);
}

static void put_number(tl_ben_writer *w, const char *key, tl_maybe number)
{
    if (number.given)
        tl_ben_put_pair_number(w, key, number.value);
}

static void put_value(tl_ben_writer *w, tl_slice value)
{
    if (!value.n)
        return;
    tl_ben_put_key(w, "v");
    tl_ben_put_raw(w, value);
}

static void put_want(tl_ben_writer *w, unsigned want)
{
    if (!want)
        return;
    tl_ben_put_key(w, "want");
    tl_ben_put_mark(w, 'l');
    if (want & TL_KRPC_WANT4)
        tl_ben_put_text(w, TL_SLICE_LIT("n4"));
    if (want & TL_KRPC_WANT6)
        tl_ben_put_text(w, TL_SLICE_LIT("n6"));
    tl_ben_put_mark(w, 'e');
}

static void put_arguments(tl_ben_writer *w, const tl_krpc *m)
{
    bool by_hash = m->method == TL_KRPC_GET_PEERS || m->method == TL_KRPC_ANNOUNCE_PEER;
    tl_ben_put_mark(w, 'd');
    put_number(w, "cas", m->cas);
    put_bytes(w, "id", m->id, TL_KRPC_ID_SIZE);
    put_bytes(w, "info_hash", m->has_target && by_hash ? m->target : NULL, TL_KRPC_ID_SIZE);
    put_bytes(w, "k", m->key, TL_KRPC_KEY_SIZE);
    put_text(w, "salt", m->salt);
    put_number(w, "seq", m->seq);
    put_bytes(w, "sig", m->sig, TL_KRPC_SIG_SIZE);
    put_bytes(w, "target", m->has_target && !by_hash ? m->target : NULL, TL_KRPC_ID_SIZE);
    put_text(w, "token", m->token);
    put_value(w, m->value);
    put_want(w, m->want);
    tl_ben_put_mark(w, 'e');
}

static void put_results(tl_ben_writer *w, const tl_krpc *m)
{
    tl_ben_put_mark(w, 'd');
    put_bytes(w, "id", m->id, TL_KRPC_ID_SIZE);
    put_bytes(w, "k", m->key, TL_KRPC_KEY_SIZE);
    if (m->has_nat)
        tl_ben_put_pair_text(w, "nat", tl_slice_str(tl_control_nat_name(m->nat)));
    put_bytes(w, "nodes", m->nodes.p, m->nodes.n);
    put_bytes(w, "nodes6", m->nodes6.p, m->nodes6.n);
    put_number(w, "seq", m->seq);
    put_bytes(w, "sig", m->sig, TL_KRPC_SIG_SIZE);
    put_text(w, "token", m->token);
    put_value(w, m->value);
    tl_ben_put_mark(w, 'e');
}

static void put_error(tl_ben_writer *w, const tl_krpc *m)
{
    tl_ben_put_mark(w, 'l');
    tl_ben_put_number(w, m->code);
    tl_ben_put_text(w, m->words);
    tl_ben_put_mark(w, 'e');
}

static void put_ip(tl_ben_writer *w, const tl_addr *ip)
{
    uint8_t bytes[TL_KRPC_COMPACT_MAX];
    if (ip->family != TL_ADDR_NONE)
        tl_ben_put_pair_text(w, "ip", tl_slice_of(bytes, tl_krpc_addr_write(ip, bytes)));
}

tl_err tl_krpc_write(const tl_krpc *m, size_t max, uint8_t ret_datagram[TL_KRPC_MAX], size_t *ret_n)
{
    tl_ben_writer w = {.p = ret_datagram, .max = max};
    bool query = m->kind == TL_KRPC_QUERY;
    assert(max <= TL_KRPC_MAX && m->tid.n >= 1 && m->tid.n <= TL_KRPC_TID_MAX);
    assert(!query || m->method < TL_KRPC_OTHER);
    tl_ben_put_mark(&w, 'd');
    if (query) {
        tl_ben_put_key(&w, "a");
        put_arguments(&w, m);
    } else if (m->kind == TL_KRPC_ERROR) {
        tl_ben_put_key(&w, "e");
        put_error(&w, m);
    }
    put_ip(&w, &m->ip);
    if (query)
        tl_ben_put_pair_text(&w, "q", tl_slice_str(method_names[m->method]));
    if (m->kind == TL_KRPC_RESPONSE) {
        tl_ben_put_key(&w, "r");
        put_results(&w, m);
    }
    if (query && m->read_only)
        tl_ben_put_pair_number(&w, "ro", 1);
    tl_ben_put_pair_text(&w, "t", m->tid);
    tl_ben_put_pair_text(&w, "v", TL_KRPC_CLIENT);
    tl_ben_put_pair_text(&w, "y", tl_slice_of(&"qre"[m->kind], 1));
    tl_ben_put_mark(&w, 'e');
    if (w.full)
        return TL_ERR_TOO_LARGE;
    *ret_n = w.n;
    return TL_OK;
}
