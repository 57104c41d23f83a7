#include "wire/proxytalk.h"

#include "base/base64.h"
#include "wire/http1.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* RFC 1928 */
#define SOCKS_VERSION    5
#define METHOD_NONE      0x00
#define METHOD_LOGIN     0x02
#define METHOD_REFUSED   0xFF
#define LOGIN_VERSION    1 /* RFC 1929 */
#define COMMAND_CONNECT  1
#define ADDRESS_V4       1
#define ADDRESS_NAME     3
#define ADDRESS_V6       4
#define SOCKS_ANSWER_MAX (4 + 1 + 255 + 2) /* version, code, 0, kind; the longest name; port */

static void set_state(tl_proxytalk *t, tl_proxytalk_state state)
{
    assert(t->state != TL_PROXYTALK_OPEN && t->state != TL_PROXYTALK_FAILED);
    t->state = state;
}

static TL_PRINTF(4, 5) tl_err fail(tl_proxytalk *t, tl_err e, tl_why *why, const char *fmt, ...)
{
    char words[400], shown[TL_PROXY_SHOWN_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    tl_proxy_show(shown, t->proxy);
    set_state(t, TL_PROXYTALK_FAILED);
    return tl_why_set(why, e, "the proxy %s %s", shown, words);
}

static tl_err out_of_memory(tl_proxytalk *t, tl_why *why)
{
    set_state(t, TL_PROXYTALK_FAILED);
    return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
}

/* The host and port that we ask for, as text. */
static void write_target(const tl_proxytalk *t, char ret[TL_HOST_MAX + 8])
{
    snprintf(ret, TL_HOST_MAX + 8, strchr(t->host, ':') ? "[%s]:%u" : "%s:%u", t->host, t->port);
}

static tl_err unreachable(tl_proxytalk *t, tl_why *why, const char *reason)
{
    char target[TL_HOST_MAX + 8];
    write_target(t, target);
    return fail(t, TL_ERR_UNREACHABLE, why, "cannot connect to %s: %s", target, reason);
}

static tl_err forbidden(tl_proxytalk *t, tl_why *why, const char *how)
{
    char target[TL_HOST_MAX + 8];
    write_target(t, target);
    return fail(t, TL_ERR_FORBIDDEN, why,
                "does not allow a connection to %s (%s); whoever runs it must allow it", target,
                how);
}

static tl_err said_more(tl_proxytalk *t, size_t n, tl_why *why)
{
    return fail(t, TL_ERR_PROTO, why,
                "sent %zu bytes of its own behind its answer: it did not connect us", n);
}

/* --- HTTP --- */

static tl_err append_basic(const tl_proxy *p, tl_buf *out)
{
    char plain[2 * TL_PROXY_LOGIN_MAX + 2];
    int n = snprintf(plain, sizeof plain, "%s:%s", p->user, p->password);
    size_t coded_n = tl_base64_size((size_t)n);
    uint8_t *room;
    tl_err e = tl_buf_append_str(out, "Proxy-Authorization: Basic ");
    if (!e)
        e = tl_buf_reserve(out, coded_n, &room);
    if (e)
        return e;
    tl_base64_write(room, tl_slice_of(plain, (size_t)n));
    tl_buf_added(out, coded_n);
    return tl_buf_append_str(out, "\r\n");
}

static tl_err write_connect(const tl_proxytalk *t, tl_buf *out)
{
    char target[TL_HOST_MAX + 8];
    write_target(t, target);
    tl_err e = tl_buf_printf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
    if (!e && t->proxy->has_login)
        e = append_basic(t->proxy, out);
    return e ? e : tl_buf_append_str(out, "\r\n");
}

static bool offers(const tl_http1_head *head, const char *scheme)
{
    size_t n = strlen(scheme);
    for (size_t i = 0; i < head->header_count; i++) {
        const tl_http1_header *h = &head->headers[i];
        if (tl_http1_equals_ignoring_case(h->name, "proxy-authenticate") && h->value.n >= n &&
            tl_http1_equals_ignoring_case(tl_slice_of(h->value.p, n), scheme))
            return true;
    }
    return false;
}

static tl_err login_wanted(tl_proxytalk *t, const tl_http1_head *head, tl_why *why)
{
    if (head->status == 407 && !offers(head, "basic"))
        return fail(
            t, TL_ERR_AUTH, why,
            "wants a login of a kind that Teale does not speak (HTTP 407; Basic is spoken)");
    if (t->proxy->has_login)
        return fail(t, TL_ERR_AUTH, why, "refused the user or the password (HTTP %d)",
                    head->status);
    return fail(t, TL_ERR_AUTH, why,
                "wants a login (HTTP %d): put USER:PASSWORD@ before its name in the proxy's URL",
                head->status);
}

static tl_err refused(tl_proxytalk *t, const tl_http1_head *head, tl_why *why)
{
    char text[16];
    snprintf(text, sizeof text, "HTTP %d", head->status);
    switch (head->status) {
    case 401: /* tinyproxy, for a wrong password */
    case 407: return login_wanted(t, head, why);
    case 403: return forbidden(t, why, text);
    case 404:
    case 502:
    case 503:
    case 504: return unreachable(t, why, text);
    case 400:
    case 405:
    case 501:
        return fail(t, TL_ERR_PROTO, why, "does not take CONNECT (%s): is it a web server?", text);
    default: break;
    }
    return fail(t, TL_ERR_PROTO, why, "answered %s where a connection was expected", text);
}

static tl_err on_http(tl_proxytalk *t, tl_why *why)
{
    static const char begin[] = "HTTP/";
    for (;;) {
        tl_http1_head head;
        size_t known = t->in.len < sizeof begin - 1 ? t->in.len : sizeof begin - 1;
        if (known && tl_buf_begin(&t->in)[0] == SOCKS_VERSION)
            return fail(t, TL_ERR_PROTO, why, "speaks SOCKS5: write socks5h:// for http://");
        if (known && memcmp(tl_buf_begin(&t->in), begin, known) != 0)
            return fail(t, TL_ERR_PROTO, why, "does not speak HTTP");
        tl_err e = tl_http1_response_parse(tl_buf_slice(&t->in), &t->scanned, &head);
        if (e == TL_ERR_SHORT)
            return TL_ERR_AGAIN;
        if (e == TL_ERR_TOO_LARGE)
            return fail(t, e, why, "sent a head of more than %u KiB", TL_HTTP1_HEAD_MAX >> 10);
        if (e)
            return fail(t, TL_ERR_PROTO, why, "does not speak HTTP");
        if (head.status / 100 == 1 && head.status != 101) { /* an interim answer (RFC 9110 15.2) */
            tl_buf_consume(&t->in, head.head_n);
            t->scanned = 0;
            continue;
        }
        if (head.status / 100 != 2)
            return refused(t, &head, why);
        if (t->in.len > head.head_n)
            return said_more(t, t->in.len - head.head_n, why);
        set_state(t, TL_PROXYTALK_OPEN);
        return TL_OK;
    }
}

/* --- SOCKS5 --- */

static tl_err append_bytes(tl_buf *out, const uint8_t *p, size_t n)
{
    return tl_buf_append(out, tl_slice_of(p, n));
}

static tl_err write_greeting(const tl_proxytalk *t, tl_buf *out)
{
    const uint8_t both[] = {SOCKS_VERSION, 2, METHOD_NONE, METHOD_LOGIN};
    const uint8_t none[] = {SOCKS_VERSION, 1, METHOD_NONE};
    return t->proxy->has_login ? append_bytes(out, both, sizeof both)
                               : append_bytes(out, none, sizeof none);
}

static tl_err write_login(const tl_proxytalk *t, tl_buf *out)
{
    uint8_t m[3 + 2 * TL_PROXY_LOGIN_MAX];
    size_t n = 0, user_n = strlen(t->proxy->user), password_n = strlen(t->proxy->password);
    m[n++] = LOGIN_VERSION;
    m[n++] = (uint8_t)user_n;
    memcpy(m + n, t->proxy->user, user_n);
    n += user_n;
    m[n++] = (uint8_t)password_n;
    memcpy(m + n, t->proxy->password, password_n);
    return append_bytes(out, m, n + password_n);
}

static tl_err write_request(const tl_proxytalk *t, tl_buf *out)
{
    uint8_t m[SOCKS_ANSWER_MAX] = {SOCKS_VERSION, COMMAND_CONNECT, 0};
    size_t n = 4, host_n = strlen(t->host);
    tl_addr ip;
    if (!tl_addr_parse_ip(tl_slice_str(t->host), &ip)) {
        size_t ip_n = ip.family == TL_ADDR_V4 ? 4 : 16;
        m[3] = ip.family == TL_ADDR_V4 ? ADDRESS_V4 : ADDRESS_V6;
        memcpy(m + n, ip.bytes, ip_n);
        n += ip_n;
    } else {
        m[3] = ADDRESS_NAME;
        m[n++] = (uint8_t)host_n;
        memcpy(m + n, t->host, host_n);
        n += host_n;
    }
    m[n++] = (uint8_t)(t->port >> 8);
    m[n++] = (uint8_t)t->port;
    return append_bytes(out, m, n);
}

static tl_err on_method(tl_proxytalk *t, tl_buf *out, tl_why *why)
{
    const uint8_t *m = tl_buf_begin(&t->in);
    if (m[0] != SOCKS_VERSION)
        return fail(t, TL_ERR_PROTO, why,
                    m[0] == 'H' ? "speaks HTTP, not SOCKS5: write http:// for its scheme"
                                : "does not speak SOCKS5");
    if (t->in.len < 2)
        return TL_ERR_AGAIN;
    if (t->in.len > 2)
        return said_more(t, t->in.len - 2, why);
    uint8_t method = m[1];
    bool login = method == METHOD_LOGIN && t->proxy->has_login;
    if (method == METHOD_REFUSED && !t->proxy->has_login)
        return fail(t, TL_ERR_AUTH, why,
                    "wants a login: put USER:PASSWORD@ before its name in the proxy's URL");
    if (method == METHOD_REFUSED)
        return fail(
            t, TL_ERR_AUTH, why,
            "wants a login of a kind that Teale does not speak (a user with a password is)");
    if (method != METHOD_NONE && !login)
        return fail(t, TL_ERR_PROTO, why, "chose a login that was not offered (method %u)", method);
    tl_buf_consume(&t->in, 2);
    if (login ? write_login(t, out) : write_request(t, out))
        return out_of_memory(t, why);
    set_state(t, login ? TL_PROXYTALK_LOGGING_IN : TL_PROXYTALK_ASKED);
    return TL_ERR_AGAIN;
}

static tl_err on_login(tl_proxytalk *t, tl_buf *out, tl_why *why)
{
    const uint8_t *m = tl_buf_begin(&t->in);
    if (t->in.len < 2)
        return TL_ERR_AGAIN;
    if (t->in.len > 2)
        return said_more(t, t->in.len - 2, why);
    if (m[0] != LOGIN_VERSION)
        return fail(t, TL_ERR_PROTO, why, "does not follow the rules of a SOCKS5 login");
    if (m[1] != 0)
        return fail(t, TL_ERR_AUTH, why, "refused the user or the password");
    tl_buf_consume(&t->in, 2);
    if (write_request(t, out))
        return out_of_memory(t, why);
    set_state(t, TL_PROXYTALK_ASKED);
    return TL_ERR_AGAIN;
}

static tl_err on_reply(tl_proxytalk *t, tl_why *why)
{
    static const char *const reasons[] = {
        [1] = "general failure",         [3] = "network unreachable",
        [4] = "host unreachable",        [5] = "connection refused",
        [6] = "no answer in time",       [7] = "it makes no connections",
        [8] = "no such kind of address",
    };
    const uint8_t *m = tl_buf_begin(&t->in);
    size_t n = t->in.len;
    if (m[0] != SOCKS_VERSION)
        return fail(t, TL_ERR_PROTO, why, "does not speak SOCKS5");
    if (n < 2)
        return TL_ERR_AGAIN;
    if (m[1] == 2)
        return forbidden(t, why, "its rules");
    if (m[1] != 0)
        return unreachable(
            t, why, m[1] < sizeof reasons / sizeof *reasons ? reasons[m[1]] : "unknown reason");
    if (n < 5)
        return TL_ERR_AGAIN;
    size_t need = m[3] == ADDRESS_V4     ? 4 + 4 + 2
                  : m[3] == ADDRESS_V6   ? 4 + 16 + 2
                  : m[3] == ADDRESS_NAME ? 4 + 1 + (size_t)m[4] + 2
                                         : 0;
    if (!need || m[2] != 0)
        return fail(t, TL_ERR_PROTO, why, "does not follow the rules of SOCKS5");
    if (n < need)
        return TL_ERR_AGAIN;
    if (n > need)
        return said_more(t, n - need, why);
    set_state(t, TL_PROXYTALK_OPEN);
    return TL_OK;
}

/* --- the conversation --- */

tl_err tl_proxytalk_start(tl_proxytalk *t, const tl_proxy *proxy, const char *host, uint16_t port,
                          tl_buf *out)
{
    assert(proxy->kind != TL_PROXY_NONE);
    size_t n = strlen(host);
    if (n >= sizeof t->host)
        return TL_ERR_TOO_LARGE;
    bool http = proxy->kind == TL_PROXY_HTTP;
    *t = (tl_proxytalk){
        .proxy = proxy, .port = port, .state = http ? TL_PROXYTALK_ASKED : TL_PROXYTALK_GREETED};
    memcpy(t->host, host, n + 1);
    return http ? write_connect(t, out) : write_greeting(t, out);
}

void tl_proxytalk_clear(tl_proxytalk *t)
{
    tl_buf_clear(&t->in);
}

tl_err tl_proxytalk_on_bytes(tl_proxytalk *t, tl_slice bytes, tl_buf *out, tl_why *why)
{
    assert(bytes.n > 0);
    if (tl_buf_append(&t->in, bytes))
        return out_of_memory(t, why);
    if (t->proxy->kind == TL_PROXY_HTTP)
        return on_http(t, why);
    switch (t->state) {
    case TL_PROXYTALK_GREETED: return on_method(t, out, why);
    case TL_PROXYTALK_LOGGING_IN: return on_login(t, out, why);
    case TL_PROXYTALK_ASKED: return on_reply(t, why);
    case TL_PROXYTALK_OPEN:
    case TL_PROXYTALK_FAILED: break;
    }
    return tl_why_set(why, TL_ERR_PROTO, "the conversation is over");
}

tl_err tl_proxytalk_on_end(tl_proxytalk *t, tl_why *why)
{
    bool begun = t->in.len || t->state == TL_PROXYTALK_LOGGING_IN ||
                 (t->state == TL_PROXYTALK_ASKED && t->proxy->kind != TL_PROXY_HTTP);
    return fail(t, TL_ERR_CLOSED, why, "closed the connection %s",
                begun ? "in the middle of its answer" : "without an answer");
}

void tl_proxytalk_late(const tl_proxytalk *t, unsigned seconds, tl_why *why)
{
    char shown[TL_PROXY_SHOWN_MAX], target[TL_HOST_MAX + 8];
    tl_proxy_show(shown, t->proxy);
    write_target(t, target);
    (void)tl_why_set(why, TL_ERR_TIMEOUT, "the proxy %s did not connect to %s within %u s", shown,
                     target, seconds);
}
