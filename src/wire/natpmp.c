#include "wire/natpmp.h"

#define ERROR_SIZE_MIN 8
#define ERROR_SIZE_MAX                                                                             \
    1100 /* a gateway sends back what it did not understand: at most a PCP packet */
#define ADDRESS_ANSWER 12
#define MAP_ANSWER     16
#define ANSWER_BIT     0x80

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

void tl_natpmp_address_write(uint8_t ret_pkt[TL_NATPMP_ADDRESS_SIZE])
{
    ret_pkt[0] = 0;
    ret_pkt[1] = TL_NATPMP_ADDRESS;
}

void tl_natpmp_map_write(uint8_t ret_pkt[TL_NATPMP_MAP_SIZE], uint16_t internal_port,
                         uint16_t external_port, uint32_t lifetime_s)
{
    memset(ret_pkt, 0, TL_NATPMP_MAP_SIZE);
    ret_pkt[1] = TL_NATPMP_MAP_UDP;
    put16(ret_pkt + 4, internal_port);
    put16(ret_pkt + 6, external_port);
    put16(ret_pkt + 8, (uint16_t)(lifetime_s >> 16));
    put16(ret_pkt + 10, (uint16_t)lifetime_s);
}

bool tl_natpmp_is(tl_slice pkt)
{
    return pkt.n >= 2 && pkt.p[0] == 0 && (pkt.p[1] & ANSWER_BIT);
}

tl_err tl_natpmp_answer_parse(tl_slice pkt, tl_natpmp_answer *ret_answer)
{
    if (pkt.n < ERROR_SIZE_MIN)
        return TL_ERR_SHORT;
    const uint8_t *p = pkt.p;
    tl_natpmp_answer a = {
        .op = p[1] & (ANSWER_BIT - 1), .result = get16(p + 2), .epoch_s = get32(p + 4)};
    if (!tl_natpmp_is(pkt) || (a.op != TL_NATPMP_ADDRESS && a.op != TL_NATPMP_MAP_UDP))
        return TL_ERR_PROTO;
    if (a.result == TL_NATPMP_SUCCESS) {
        size_t size = a.op == TL_NATPMP_ADDRESS ? ADDRESS_ANSWER : MAP_ANSWER;
        if (pkt.n != size)
            return pkt.n < size ? TL_ERR_SHORT : TL_ERR_PROTO;
        if (a.op == TL_NATPMP_ADDRESS) {
            a.address.family = TL_ADDR_V4;
            memcpy(a.address.bytes, p + 8, 4);
        } else {
            a.internal_port = get16(p + 8);
            a.external_port = get16(p + 10);
            a.lifetime_s = get32(p + 12);
        }
    } else if (pkt.n > ERROR_SIZE_MAX) {
        return TL_ERR_PROTO;
    }
    *ret_answer = a;
    return TL_OK;
}

const char *tl_natpmp_result_text(unsigned result)
{
    static const char *const texts[] = {
        "success",
        "it does not speak this version",
        "not authorized",
        "it has no connection to the internet",
        "it has no resources left",
        "it does not know this request",
    };
    return result < sizeof texts / sizeof *texts ? texts[result] : "for a reason of its own";
}
