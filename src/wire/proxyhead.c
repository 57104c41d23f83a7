#include "wire/proxyhead.h"

#define V1_MAX    107 /* the protocol's own bound, with CR and LF */
#define V2_FIXED  16
#define INET_N    12 /* two addresses and two ports */
#define INET6_N   36
#define UNIX_N    216
#define TLV_FIXED 3

static const tl_slice v1_mark = {(const uint8_t *)"PROXY ", 6};
static const tl_slice v2_mark = {(const uint8_t *)"\r\n\r\n\0\r\nQUIT\n", 12};

bool tl_proxyhead_is_client(const tl_addr *a)
{
    bool group = a->bytes[0] == 0xFF || (a->family == TL_ADDR_V4 && a->bytes[0] >= 224);
    return a->family != TL_ADDR_NONE && !group && !tl_addr_is_unspecified(a);
}

/* True: `bytes` begin with the mark, as far as either goes. */
static bool agrees(tl_slice bytes, tl_slice mark)
{
    size_t n = bytes.n < mark.n ? bytes.n : mark.n;
    return n == 0 || memcmp(bytes.p, mark.p, n) == 0;
}

bool tl_proxyhead_begins(tl_slice bytes)
{
    return (bytes.n >= v1_mark.n && agrees(bytes, v1_mark)) ||
           (bytes.n >= v2_mark.n && agrees(bytes, v2_mark));
}

/* --- version 1: one line --- */

/* Takes the next word, which ends with one blank or with the line. */
static tl_slice next_word(tl_slice *line)
{
    const uint8_t *blank = line->n ? memchr(line->p, ' ', line->n) : NULL;
    tl_slice word = {line->p, blank ? (size_t)(blank - line->p) : line->n};
    size_t used = word.n + (blank != NULL);
    *line = tl_slice_of(line->p + used, line->n - used);
    return word;
}

static tl_err read_ip(tl_slice word, tl_addr_family family, tl_addr *ret_addr)
{
    tl_addr a;
    tl_err e = tl_addr_parse_ip(word, &a);
    if (e || a.family != family || a.scope)
        return TL_ERR_PROTO;
    *ret_addr = a;
    return TL_OK;
}

static tl_err read_port(tl_slice word, uint16_t *ret_port)
{
    uint32_t n = 0;
    if (word.n == 0 || word.n > 5 || (word.n > 1 && word.p[0] == '0'))
        return TL_ERR_PROTO;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return TL_ERR_PROTO;
        n = 10 * n + (uint32_t)(word.p[i] - '0');
    }
    if (n > UINT16_MAX)
        return TL_ERR_PROTO;
    *ret_port = (uint16_t)n;
    return TL_OK;
}

static tl_err read_line(tl_slice line, tl_proxyhead *head)
{
    tl_addr client, server;
    uint16_t server_port;
    tl_slice kind = next_word(&line);
    if (tl_slice_eq(kind, TL_SLICE_LIT("UNKNOWN")))
        return TL_OK; /* whatever follows it is to be ignored */
    tl_addr_family family = tl_slice_eq(kind, TL_SLICE_LIT("TCP4"))   ? TL_ADDR_V4
                            : tl_slice_eq(kind, TL_SLICE_LIT("TCP6")) ? TL_ADDR_V6
                                                                      : TL_ADDR_NONE;
    if (family == TL_ADDR_NONE || read_ip(next_word(&line), family, &client) ||
        read_ip(next_word(&line), family, &server) || read_port(next_word(&line), &client.port))
        return TL_ERR_PROTO;
    if (read_port(line, &server_port)) /* it has no blank, so it is the last */
        return TL_ERR_PROTO;
    head->client = tl_addr_normal(client);
    head->has_client = true;
    return TL_OK;
}

static tl_err parse_v1(tl_slice bytes, tl_proxyhead *head)
{
    tl_slice seen = {bytes.p, bytes.n < V1_MAX ? bytes.n : V1_MAX};
    const uint8_t *cr = memchr(seen.p, '\r', seen.n), *lf = memchr(seen.p, '\n', seen.n);
    if (lf && (!cr || lf != cr + 1))
        return TL_ERR_PROTO;
    if (cr && cr + 1 < seen.p + seen.n && !lf)
        return TL_ERR_PROTO; /* another byte is there */
    if (!lf)
        return bytes.n < V1_MAX ? TL_ERR_SHORT : TL_ERR_TOO_LARGE;
    size_t n = (size_t)(cr - seen.p);
    head->n = n + 2;
    return read_line(tl_slice_of(seen.p + v1_mark.n, n - v1_mark.n), head);
}

/* --- version 2: binary --- */

/* Type, length, value, to the end. What they say is not for us. */
static tl_err check_tlvs(tl_slice rest)
{
    while (rest.n) {
        if (rest.n < TLV_FIXED)
            return TL_ERR_PROTO;
        size_t n = TLV_FIXED + (size_t)(rest.p[1] << 8 | rest.p[2]);
        if (n > rest.n)
            return TL_ERR_PROTO;
        rest = tl_slice_of(rest.p + n, rest.n - n);
    }
    return TL_OK;
}

static tl_err read_addresses(uint8_t kind, tl_slice body, tl_proxyhead *head)
{
    static const size_t sizes[] = {0, INET_N, INET6_N, UNIX_N};
    unsigned family = kind >> 4, transport = kind & 15;
    if (family > 3 || transport > 2 || !family != !transport || body.n < sizes[family])
        return TL_ERR_PROTO;
    size_t ip = family == 1 ? 4 : 16;
    if (family == 1 || family == 2) {
        tl_addr a = {.family = family == 1 ? TL_ADDR_V4 : TL_ADDR_V6};
        memcpy(a.bytes, body.p, ip);
        a.port = (uint16_t)(body.p[2 * ip] << 8 | body.p[2 * ip + 1]);
        head->client = tl_addr_normal(a);
        head->has_client = true;
    }
    return check_tlvs(tl_slice_of(body.p + sizes[family], body.n - sizes[family]));
}

static tl_err parse_v2(tl_slice bytes, tl_proxyhead *head)
{
    if (bytes.n > v2_mark.n && (bytes.p[12] >> 4 != 2 || (bytes.p[12] & 15) > 1))
        return TL_ERR_PROTO;
    if (bytes.n < V2_FIXED)
        return TL_ERR_SHORT;
    size_t n = (size_t)(bytes.p[14] << 8 | bytes.p[15]);
    if (V2_FIXED + n > TL_PROXYHEAD_MAX)
        return TL_ERR_TOO_LARGE;
    if (bytes.n < V2_FIXED + n)
        return TL_ERR_SHORT;
    head->n = V2_FIXED + n;
    bool is_local = (bytes.p[12] & 15) == 0;
    return is_local ? TL_OK : read_addresses(bytes.p[13], tl_slice_of(bytes.p + V2_FIXED, n), head);
}

tl_err tl_proxyhead_parse(tl_slice bytes, tl_proxyhead *ret_head)
{
    tl_proxyhead head = {0};
    tl_err e = TL_ERR_PROTO;
    if (agrees(bytes, v2_mark))
        e = bytes.n < v2_mark.n ? TL_ERR_SHORT : parse_v2(bytes, &head);
    else if (agrees(bytes, v1_mark))
        e = bytes.n < v1_mark.n ? TL_ERR_SHORT : parse_v1(bytes, &head);
    if (e)
        return e;
    if (head.has_client && !tl_proxyhead_is_client(&head.client))
        return TL_ERR_PROTO;
    *ret_head = head;
    return TL_OK;
}
