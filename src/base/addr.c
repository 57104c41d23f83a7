#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

bool tl_addr_same_ip(const tl_addr *a, const tl_addr *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool tl_addr_eq(const tl_addr *a, const tl_addr *b)
{
    return a->port == b->port && tl_addr_same_ip(a, b);
}

tl_addr tl_addr_normal(tl_addr a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (a.family != TL_ADDR_V6 || memcmp(a.bytes, mapped, sizeof mapped) != 0)
        return a;
    tl_addr v4 = {.family = TL_ADDR_V4, .port = a.port};
    memcpy(v4.bytes, a.bytes + 12, 4);
    return v4;
}

bool tl_addr_is_loopback(const tl_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    tl_addr n = tl_addr_normal(*a);
    if (n.family == TL_ADDR_V4)
        return n.bytes[0] == 127;
    return n.family == TL_ADDR_V6 && memcmp(n.bytes, one, sizeof one) == 0;
}

bool tl_addr_is_unspecified(const tl_addr *a)
{
    static const uint8_t zero[16];
    return a->family != TL_ADDR_NONE && memcmp(a->bytes, zero, sizeof zero) == 0;
}

tl_addr tl_addr_from_sockaddr(const struct sockaddr *sa)
{
    tl_addr a = {.family = TL_ADDR_NONE};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a.family = TL_ADDR_V4;
        a.port = ntohs(in.sin_port);
        memcpy(a.bytes, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a.family = TL_ADDR_V6;
        a.port = ntohs(in6.sin6_port);
        a.scope = in6.sin6_scope_id;
        memcpy(a.bytes, &in6.sin6_addr, 16);
    }
    return a;
}

socklen_t tl_addr_to_sockaddr(const tl_addr *a, struct sockaddr_storage *ret_ss)
{
    memset(ret_ss, 0, sizeof *ret_ss);
    if (a->family == TL_ADDR_V4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->bytes, 4);
        memcpy(ret_ss, &in, sizeof in);
        return sizeof in;
    }
    if (a->family != TL_ADDR_V6)
        return 0;
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in6.sin6_addr, a->bytes, 16);
    memcpy(ret_ss, &in6, sizeof in6);
    return sizeof in6;
}

void tl_addr_write_ip(char ret_text[TL_ADDR_TEXT_MAX], const tl_addr *a)
{
    char ip[INET6_ADDRSTRLEN] = "-";
    if (a->family != TL_ADDR_NONE)
        inet_ntop(a->family == TL_ADDR_V4 ? AF_INET : AF_INET6, a->bytes, ip, sizeof ip);
    if (a->scope)
        snprintf(ret_text, TL_ADDR_TEXT_MAX, "%s%%%u", ip, a->scope);
    else
        snprintf(ret_text, TL_ADDR_TEXT_MAX, "%s", ip);
}

void tl_addr_write(char ret_text[TL_ADDR_TEXT_MAX], const tl_addr *a)
{
    char ip[TL_ADDR_TEXT_MAX];
    tl_addr_write_ip(ip, a);
    bool v6 = a->family == TL_ADDR_V6;
    snprintf(ret_text, TL_ADDR_TEXT_MAX, v6 ? "[%.56s]:%u" : "%.56s:%u", ip, a->port);
}

tl_err tl_addr_parse_ip(tl_slice text, tl_addr *ret_addr)
{
    char ip[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof ip || memchr(text.p, 0, text.n))
        return TL_ERR_PROTO;
    memcpy(ip, text.p, text.n);
    ip[text.n] = 0;
    tl_addr a = {.family = TL_ADDR_V4};
    if (inet_pton(AF_INET, ip, a.bytes) != 1) {
        a.family = TL_ADDR_V6;
        if (inet_pton(AF_INET6, ip, a.bytes) != 1)
            return TL_ERR_PROTO;
    }
    *ret_addr = a;
    return TL_OK;
}

tl_err tl_addr_parse(tl_slice text, tl_addr *ret_addr)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    bool bracketed = text.n && text.p[0] == '[';
    if (text.n && text.p[text.n - 1] == ']')
        return TL_ERR_PROTO; /* the port is not optional here */
    if (!memchr(text.p ? (const void *)text.p : "", ':', text.n))
        return TL_ERR_PROTO;
    tl_err e = tl_hostport_parse(text, 0, host, &port);
    if (e)
        return e;
    tl_addr a;
    e = tl_addr_parse_ip(tl_slice_str(host), &a);
    if (e)
        return e;
    if (bracketed != (a.family == TL_ADDR_V6))
        return TL_ERR_PROTO;
    a.port = port;
    *ret_addr = a;
    return TL_OK;
}

static tl_err parse_port(const uint8_t *p, size_t n, uint16_t *ret_port)
{
    if (n == 0 || n > 5 || (p[0] == '0' && n > 1))
        return TL_ERR_PROTO;
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return TL_ERR_PROTO;
        v = v * 10 + (p[i] - '0');
    }
    if (v > 65535)
        return TL_ERR_PROTO;
    *ret_port = (uint16_t)v;
    return TL_OK;
}

static bool is_name_character(uint8_t c)
{
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alnum || c == '.' || c == '-' || c == '_';
}

static bool is_host(tl_slice s, bool in_brackets)
{
    if (s.n == 0 || s.n >= TL_HOST_MAX)
        return false;
    if (in_brackets) {
        tl_addr a;
        return tl_addr_parse_ip(s, &a) == TL_OK && a.family == TL_ADDR_V6;
    }
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_character(s.p[i]))
            return false;
    return true;
}

tl_err tl_hostport_parse(tl_slice text, uint16_t default_port, char ret_host[TL_HOST_MAX],
                         uint16_t *ret_port)
{
    const uint8_t *host = text.p, *end = text.p + text.n, *rest;
    bool brackets = text.n && *host == '[';
    if (brackets) {
        rest = memchr(++host, ']', text.n - 1);
        if (!rest)
            return TL_ERR_PROTO;
    } else {
        rest = text.n ? memchr(host, ':', text.n) : NULL;
        if (!rest)
            rest = end;
    }
    size_t n = (size_t)(rest - host);
    if (!is_host(tl_slice_of(host, n), brackets))
        return TL_ERR_PROTO;
    if (brackets)
        rest++;
    uint16_t port = default_port;
    if (rest < end) {
        if (*rest != ':')
            return TL_ERR_PROTO;
        tl_err e = parse_port(rest + 1, (size_t)(end - rest - 1), &port);
        if (e)
            return e;
    }
    memcpy(ret_host, host, n);
    ret_host[n] = 0;
    *ret_port = port;
    return TL_OK;
}
