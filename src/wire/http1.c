#include "wire/http1.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A letter, a digit, or one of `others`. */
static bool is_plain_or(uint8_t c, const char *others)
{
    uint8_t small = c | 0x20;
    return (small >= 'a' && small <= 'z') || is_digit(c) || (c && strchr(others, c));
}

/* RFC 9110 5.6.2 */
static bool is_token_byte(uint8_t c)
{
    return is_plain_or(c, "!#$%&'*+-.^_`|~");
}

/* RFC 9110 5.5: visible, space, tab, and bytes above ASCII. */
static bool is_value_byte(uint8_t c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

static bool is_hex_digit(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool tl_http1_equals_ignoring_case(tl_slice a, const char *b)
{
    if (a.n != strlen(b))
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower((uint8_t)b[i]))
            return false;
    return true;
}

tl_slice tl_http1_header_find(const tl_http1_head *head, const char *name, size_t *ret_count)
{
    tl_slice first = {NULL, 0};
    size_t count = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!tl_http1_equals_ignoring_case(head->headers[i].name, name))
            continue;
        if (count++ == 0)
            first = head->headers[i].value;
    }
    if (ret_count)
        *ret_count = count;
    return first;
}

static tl_slice trim(tl_slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool list_has(tl_slice list, const char *token)
{
    while (list.n) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (tl_http1_equals_ignoring_case(trim(tl_slice_of(list.p, n)), token))
            return true;
        n += comma != NULL;
        list.p += n;
        list.n -= n;
    }
    return false;
}

bool tl_http1_header_lists(const tl_http1_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (tl_http1_equals_ignoring_case(head->headers[i].name, name) &&
            list_has(head->headers[i].value, token))
            return true;
    return false;
}

/* Goes on from *scanned in search of the head's end, and of bytes that no head may contain. */
static tl_err find_end(tl_slice bytes, size_t *scanned, size_t *ret_n)
{
    size_t i = *scanned, limit = bytes.n < TL_HTTP1_HEAD_MAX ? bytes.n : TL_HTTP1_HEAD_MAX;
    for (; i < limit; i++) {
        uint8_t c = bytes.p[i];
        bool after_cr = i && bytes.p[i - 1] == '\r';
        if (after_cr != (c == '\n'))
            return TL_ERR_PROTO; /* a bare CR, or a bare LF */
        if (c == '\n') {
            if (i == 1)
                return TL_ERR_PROTO; /* an empty line instead of a request line */
            if (bytes.p[i - 2] == '\n') {
                *ret_n = i + 1;
                return TL_OK;
            }
        } else if (c != '\r' && !is_value_byte(c)) {
            return TL_ERR_PROTO;
        }
    }
    *scanned = i;
    return i < TL_HTTP1_HEAD_MAX ? TL_ERR_SHORT : TL_ERR_TOO_LARGE;
}

/* The next line, without its CRLF. The head is known to consist of whole lines. */
static tl_slice take_line(tl_slice *rest)
{
    const uint8_t *lf = memchr(rest->p, '\n', rest->n);
    size_t n = (size_t)(lf - rest->p);
    tl_slice line = tl_slice_of(rest->p, n - 1);
    rest->p += n + 1;
    rest->n -= n + 1;
    return line;
}

static bool header_parse(tl_slice line, tl_http1_header *ret)
{
    size_t n = 0;
    while (n < line.n && is_token_byte(line.p[n]))
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':')
        return false; /* also a folded line: it begins with white space */
    ret->name = tl_slice_of(line.p, n);
    ret->value = trim(tl_slice_of(line.p + n + 1, line.n - n - 1));
    return true;
}

static bool content_length_parse(tl_slice text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.n == 0 || text.n > 18) /* 18 digits fit 64 bits */
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!is_digit(text.p[i]))
            return false;
        n = n * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret = n;
    return true;
}

/* How the body is framed. Returns 0 or the status to answer. */
static int framing(tl_http1_head *h)
{
    size_t codings, lengths, expects;
    tl_slice coding = tl_http1_header_find(h, "transfer-encoding", &codings);
    tl_slice length = tl_http1_header_find(h, "content-length", &lengths);
    tl_slice expect = tl_http1_header_find(h, "expect", &expects);
    if (codings + lengths > 1 || (codings && h->minor == 0))
        return 400;
    if (codings) {
        if (!tl_http1_equals_ignoring_case(coding, "chunked"))
            return 501;
        h->chunked = true;
    }
    if (lengths && !content_length_parse(length, &h->content_length))
        return 400;
    h->has_content_length = lengths == 1;
    if (expects) {
        if (expects > 1 || !tl_http1_equals_ignoring_case(expect, "100-continue"))
            return 417;
        h->expect_continue = h->minor == 1;
    }
    h->keep_alive = h->minor == 1 ? !tl_http1_header_lists(h, "connection", "close")
                                  : tl_http1_header_lists(h, "connection", "keep-alive");
    return 0;
}

/* "HTTP/1.0" or "HTTP/1.1". Returns 0, 400 or 505. */
static int version_parse(tl_slice text, uint8_t *ret_minor)
{
    if (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 || text.p[6] != '.')
        return 400;
    uint8_t major = text.p[5], minor = text.p[7];
    if (!is_digit(major) || !is_digit(minor))
        return 400;
    if (major != '1' || minor > '1')
        return 505;
    *ret_minor = (uint8_t)(minor - '0');
    return 0;
}

/* RFC 3986: absolute path and query, percent signs followed by two hex digits. */
static bool target_is(tl_slice t)
{
    if (t.n == 0 || t.p[0] != '/')
        return false;
    for (size_t i = 0; i < t.n; i++) {
        uint8_t c = t.p[i];
        if (c == '%' ? t.n - i < 3 || !is_hex_digit(t.p[i + 1]) || !is_hex_digit(t.p[i + 2])
                     : !is_plain_or(c, "-._~!$&'()*+,;=:@/?"))
            return false;
    }
    return true;
}

/* RFC 9110 7.2, RFC 3986 3.2.2: what may stand in host and port. */
static bool host_is(tl_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_plain_or(s.p[i], "-._~!$&'()*+;=:[]%"))
            return false;
    return s.n > 0;
}

/* RFC 9112 3.2.2: a target in absolute form names the host, and Host counts for nothing then. Cuts
 * such a target down to its path. False: there is no host where one must be. */
static bool absolute_form_cut(tl_http1_head *h)
{
    static const char *const schemes[] = {"http://", "https://"};
    tl_slice t = h->target;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]), end = n;
        if (t.n < n || !tl_http1_equals_ignoring_case(tl_slice_of(t.p, n), schemes[i]))
            continue;
        while (end < t.n && t.p[end] != '/')
            end++;
        h->host = tl_slice_of(t.p + n, end - n);
        h->target = end < t.n ? tl_slice_of(t.p + end, t.n - end) : TL_SLICE_LIT("/");
        return host_is(h->host);
    }
    return true;
}

static int request_line_parse(tl_slice line, tl_http1_head *h)
{
    size_t n = 0;
    while (n < line.n && is_token_byte(line.p[n]))
        n++;
    if (n == 0 || n == line.n || line.p[n] != ' ')
        return 400;
    h->method = tl_slice_of(line.p, n);
    line = tl_slice_of(line.p + n + 1, line.n - n - 1);
    const uint8_t *space = memchr(line.p, ' ', line.n);
    if (!space)
        return 400;
    h->target = tl_slice_of(line.p, (size_t)(space - line.p));
    int status = version_parse(tl_slice_of(space + 1, line.n - h->target.n - 1), &h->minor);
    if (status)
        return status;
    return absolute_form_cut(h) && target_is(h->target) ? 0 : 400;
}

static int status_line_parse(tl_slice line, tl_http1_head *h)
{
    if (line.n < 12 || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
        return 400;
    int status = version_parse(tl_slice_of(line.p, 8), &h->minor);
    if (status)
        return status;
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit(line.p[i]))
            return 400;
        h->status = h->status * 10 + (line.p[i] - '0');
    }
    return h->status >= 100 && h->status < 600 ? 0 : 400;
}

static int headers_parse(tl_slice rest, tl_http1_head *h)
{
    while (rest.n > 2) {
        if (h->header_count == TL_HTTP1_HEADERS_MAX)
            return 431;
        if (!header_parse(take_line(&rest), &h->headers[h->header_count]))
            return 400;
        h->header_count++;
    }
    return framing(h);
}

static int host_find(tl_http1_head *h)
{
    size_t hosts;
    tl_slice host = tl_http1_header_find(h, "host", &hosts);
    if (hosts > 1 || (hosts == 0 && h->minor == 1) || (hosts == 1 && !host_is(host)))
        return 400;
    if (!h->host.n) /* the target is in origin form */
        h->host = host;
    return 0;
}

static tl_err head_parse(tl_slice bytes, size_t *scanned, bool request, tl_http1_head *ret_head,
                         int *ret_status)
{
    size_t n = 0;
    tl_err e = find_end(bytes, scanned, &n);
    if (e) {
        if (e != TL_ERR_SHORT)
            *ret_status = e == TL_ERR_TOO_LARGE ? 431 : 400;
        return e;
    }
    tl_slice rest = tl_slice_of(bytes.p, n), line = take_line(&rest);
    *ret_head = (tl_http1_head){.head_n = n};
    int status = request ? request_line_parse(line, ret_head) : status_line_parse(line, ret_head);
    if (!status)
        status = headers_parse(rest, ret_head);
    if (!status && request)
        status = host_find(ret_head);
    if (!status)
        return TL_OK;
    *ret_status = status;
    return status == 431 ? TL_ERR_TOO_LARGE : TL_ERR_PROTO;
}

tl_err tl_http1_request_parse(tl_slice bytes, size_t *scanned, tl_http1_head *ret_head,
                              int *ret_status)
{
    return head_parse(bytes, scanned, true, ret_head, ret_status);
}

tl_err tl_http1_response_parse(tl_slice bytes, size_t *scanned, tl_http1_head *ret_head)
{
    int status;
    return head_parse(bytes, scanned, false, ret_head, &status);
}

const char *tl_http1_phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].text;
    return status < 400 ? "OK" : "Error";
}
