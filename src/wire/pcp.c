#include "wire/pcp.h"

#define HEADER_SIZE  24
#define PROTOCOL_UDP 17
#define ANSWER_BIT   0x80

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* IPv4 as ::ffff:a.b.c.d; without an address ::ffff:0.0.0.0, "any IPv4 address" (RFC 6887 5). */
static void put_address(uint8_t p[16], const tl_addr *a)
{
    memset(p, 0, 16);
    p[10] = p[11] = 0xFF;
    if (a->family == TL_ADDR_V4)
        memcpy(p + 12, a->bytes, 4);
}

void tl_pcp_map_write(uint8_t ret_pkt[TL_PCP_MAP_SIZE], const tl_pcp_map *map)
{
    memset(ret_pkt, 0, TL_PCP_MAP_SIZE);
    ret_pkt[0] = TL_PCP_VERSION;
    ret_pkt[1] = TL_PCP_MAP;
    put32(ret_pkt + 4, map->lifetime_s);
    put_address(ret_pkt + 8, &map->client);
    memcpy(ret_pkt + 24, map->nonce, TL_PCP_NONCE_SIZE);
    ret_pkt[36] = PROTOCOL_UDP;
    put16(ret_pkt + 40, map->internal_port);
    put16(ret_pkt + 42, map->external.port);
    put_address(ret_pkt + 44, &map->external);
}

static tl_err check_options(tl_slice s)
{
    while (s.n) {
        if (s.n < 4)
            return TL_ERR_SHORT;
        size_t size = 4 + (((size_t)get16(s.p + 2) + 3) & ~(size_t)3);
        if (size > s.n)
            return TL_ERR_PROTO;
        s = tl_slice_of(s.p + size, s.n - size);
    }
    return TL_OK;
}

tl_err tl_pcp_answer_parse(tl_slice pkt, tl_pcp_answer *ret_answer)
{
    if (pkt.n < HEADER_SIZE)
        return TL_ERR_SHORT;
    if (pkt.n > TL_PCP_MAX)
        return TL_ERR_TOO_LARGE;
    const uint8_t *p = pkt.p;
    if (p[0] != TL_PCP_VERSION || !(p[1] & ANSWER_BIT))
        return TL_ERR_PROTO;
    tl_pcp_answer a = {.opcode = p[1] & (ANSWER_BIT - 1),
                       .result = p[3],
                       .lifetime_s = get32(p + 4),
                       .epoch_s = get32(p + 8)};
    size_t at = HEADER_SIZE;
    if (a.opcode == TL_PCP_MAP) {
        a.has_map = pkt.n >= TL_PCP_MAP_SIZE;
        if (!a.has_map && a.result == TL_PCP_SUCCESS)
            return TL_ERR_SHORT;
    }
    if (pkt.n % 4)
        return TL_ERR_PROTO;
    if (a.has_map) {
        at = TL_PCP_MAP_SIZE;
        memcpy(a.nonce, p + 24, TL_PCP_NONCE_SIZE);
        a.protocol = p[36];
        a.internal_port = get16(p + 40);
        a.external = (tl_addr){.family = TL_ADDR_V6, .port = get16(p + 42)};
        memcpy(a.external.bytes, p + 44, 16);
        a.external = tl_addr_normal(a.external);
    }
    /* an error may carry the options that the gateway could not read */
    tl_err e = a.result == TL_PCP_SUCCESS ? check_options(tl_slice_of(p + at, pkt.n - at)) : TL_OK;
    if (e)
        return e;
    *ret_answer = a;
    return TL_OK;
}

const char *tl_pcp_result_text(unsigned result)
{
    static const char *const texts[] = {
        "success",
        "it does not speak this version",
        "not authorized",
        "it could not read the request",
        "it does not know this request",
        "it does not know this option",
        "it could not read an option",
        "it has no connection to the internet",
        "it has no resources left",
        "it does not map UDP",
        "this machine has all the mappings it may have",
        "the external address or port is not to be had",
        "another NAT lies between this machine and it",
        "too many remote peers",
    };
    return result < sizeof texts / sizeof *texts ? texts[result] : "for a reason of its own";
}
