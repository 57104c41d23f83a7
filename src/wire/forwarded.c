#include "wire/forwarded.h"

#include "base/log.h"
#include "wire/proxyhead.h"

#include <stdlib.h>

#define MAPPED_BITS 96 /* of ::ffff:0:0/96 */

/* --- networks --- */

static unsigned bits_of(const tl_addr *a)
{
    return a->family == TL_ADDR_V4 ? 32 : 128;
}

/* The first `bits` of the address; the rest 0. */
static tl_addr network_of(tl_addr a, unsigned bits)
{
    for (unsigned i = 0; i < sizeof a.bytes; i++) {
        unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
        a.bytes[i] &= keep >= 8 ? 0xFF : (uint8_t)(0xFF00 >> keep);
    }
    return a;
}

static tl_err parse_bits(const char *text, unsigned max, unsigned *ret_bits)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n > max || (*text == '0' && text[1]))
        return TL_ERR_PROTO;
    *ret_bits = (unsigned)n;
    return TL_OK;
}

tl_err tl_proxies_add(tl_proxies *p, const char *text, tl_why *why)
{
    tl_addr a;
    const char *slash = strchr(text, '/');
    tl_slice ip = slash ? tl_slice_of(text, (size_t)(slash - text)) : tl_slice_str(text);
    unsigned bits = 0;
    bool good = tl_addr_parse_ip(ip, &a) == TL_OK && !a.scope;
    if (good)
        bits = bits_of(&a);
    if (good && slash)
        good = parse_bits(slash + 1, bits, &bits) == TL_OK;
    if (!good)
        return tl_why_set(
            why, TL_ERR_INVALID,
            "%s is not an address or a network, as in 10.0.0.5, 10.0.0.0/8 or fd00::/8",
            tl_log_safe(tl_slice_str(text)).text);
    tl_addr net = tl_addr_normal(a);
    if (net.family != a.family) {
        if (bits < MAPPED_BITS)
            return tl_why_set(why, TL_ERR_INVALID,
                              "%s is neither a network of IPv4 nor one of IPv6; give that of IPv4",
                              tl_log_safe(tl_slice_str(text)).text);
        bits -= MAPPED_BITS;
    }
    tl_addr whole = network_of(net, bits);
    char shown[TL_ADDR_TEXT_MAX];
    tl_addr_write_ip(shown, &whole);
    if (bits == 0)
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is everybody, and everybody could say to be another; give the "
                          "addresses of your proxies",
                          tl_log_safe(tl_slice_str(text)).text);
    if (!tl_addr_eq(&whole, &net))
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s has bits beyond /%u; give the one address without /%u, or %s/%u",
                          tl_log_safe(tl_slice_str(text)).text, bits, bits, shown, bits);
    if (p->count == TL_PROXIES_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "more than %d networks; give wider ones",
                          TL_PROXIES_MAX);
    p->list[p->count++] = (tl_cidr){.net = net, .bits = (uint8_t)bits};
    return TL_OK;
}

bool tl_proxies_has(const tl_proxies *p, const tl_addr *addr)
{
    tl_addr a = tl_addr_normal(*addr);
    a.scope = 0;
    for (size_t i = 0; i < p->count; i++) {
        const tl_cidr *c = &p->list[i];
        tl_addr net = network_of(a, c->bits);
        if (net.family == c->net.family && tl_addr_same_ip(&net, &c->net))
            return true;
    }
    return false;
}

/* --- X-Forwarded-For --- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static tl_slice trim(tl_slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = tl_slice_of(s.p + 1, s.n - 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* An address, alone, in brackets, or with a port. */
static tl_err read_hop(tl_slice text, tl_addr *ret_addr)
{
    tl_addr a;
    bool bracketed = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    tl_slice ip = bracketed ? tl_slice_of(text.p + 1, text.n - 2) : text;
    tl_err e = tl_addr_parse_ip(ip, &a);
    if (!e && bracketed && a.family != TL_ADDR_V6)
        e = TL_ERR_PROTO;
    if (e && !bracketed)
        e = tl_addr_parse(text, &a);
    if (e || a.scope)
        return TL_ERR_PROTO;
    a = tl_addr_normal(a);
    a.port = 0;
    if (!tl_proxyhead_is_client(&a))
        return TL_ERR_PROTO;
    *ret_addr = a;
    return TL_OK;
}

typedef struct {
    const tl_proxies *trusted;
    unsigned hops;
    tl_addr client; /* the leftmost that was read; family NONE: none was */
    bool found;     /* and it is not trusted */
} walk;

/* From right to left until the client is found. Empty elements do not count (RFC 9110 5.6.1). */
static tl_err walk_value(walk *w, tl_slice value)
{
    while (value.n && !w->found) {
        size_t at = value.n;
        while (at && value.p[at - 1] != ',')
            at--;
        tl_slice hop = trim(tl_slice_of(value.p + at, value.n - at));
        value.n = at ? at - 1 : 0;
        if (!hop.n)
            continue;
        if (w->hops++ == TL_FORWARDED_HOPS)
            return TL_ERR_TOO_LARGE;
        tl_err e = read_hop(hop, &w->client);
        if (e)
            return e;
        w->found = !tl_proxies_has(w->trusted, &w->client);
    }
    return TL_OK;
}

tl_err tl_forwarded_client(const tl_http1_head *head, const tl_proxies *trusted,
                           tl_addr *ret_client)
{
    walk w = {.trusted = trusted};
    tl_err e = TL_OK;
    for (size_t i = head->header_count; !e && !w.found && i > 0; i--)
        if (tl_http1_equals_ignoring_case(head->headers[i - 1].name, TL_FORWARDED_HEADER))
            e = walk_value(&w, head->headers[i - 1].value);
    if (!e && w.client.family == TL_ADDR_NONE)
        e = TL_ERR_NOT_FOUND;
    if (!e)
        *ret_client = w.client;
    return e;
}
