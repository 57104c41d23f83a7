#include "base/base64.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 12 bits to two characters at once, and the way back: each character's six bits are already
 * shifted to their place, and bit 31 is set for a character that is not in the alphabet. Filled
 * once, before main. */
static uint16_t pair_of[4096];
static uint32_t value_at[4][256];

__attribute__((constructor)) static void fill_tables(void)
{
    for (unsigned i = 0; i < 4096; i++) {
        uint8_t two[2] = {(uint8_t)alphabet[i >> 6], (uint8_t)alphabet[i & 63]};
        memcpy(&pair_of[i], two, 2);
    }
    for (int at = 0; at < 4; at++) {
        for (int c = 0; c < 256; c++)
            value_at[at][c] = UINT32_C(1) << 31;
        for (unsigned v = 0; v < 64; v++)
            value_at[at][(uint8_t)alphabet[v]] = v << (18 - 6 * at);
    }
}

void tl_base64_write(uint8_t *ret, tl_slice s)
{
    const uint8_t *p = s.p;
    size_t n = s.n;
    for (; n >= 3; n -= 3, p += 3, ret += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        memcpy(ret, &pair_of[v >> 12], 2);
        memcpy(ret + 2, &pair_of[v & 4095], 2);
    }
    if (n) {
        uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
        memcpy(ret, &pair_of[v >> 12], 2);
        ret[2] = n == 2 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
        ret[3] = '=';
    }
}

static uint32_t quad_value(const uint8_t *p)
{
    return value_at[0][p[0]] | value_at[1][p[1]] | value_at[2][p[2]] | value_at[3][p[3]];
}

tl_err tl_base64_parse(tl_slice text, uint8_t *ret, size_t *ret_n)
{
    if (text.n % 4)
        return TL_ERR_PROTO;
    if (text.n == 0) {
        *ret_n = 0;
        return TL_OK;
    }
    size_t pad = text.p[text.n - 1] == '=' ? 1 + (text.p[text.n - 2] == '=') : 0;
    const uint8_t *p = text.p, *end = text.p + text.n - (pad ? 4 : 0);
    uint8_t *out = ret;
    uint32_t bad = 0;
    for (; p < end; p += 4, out += 3) {
        uint32_t v = quad_value(p);
        bad |= v;
        out[0] = (uint8_t)(v >> 16);
        out[1] = (uint8_t)(v >> 8);
        out[2] = (uint8_t)v;
    }
    if (pad) {
        uint8_t last[4] = {p[0], p[1], pad == 2 ? 'A' : p[2], 'A'};
        uint32_t v = quad_value(last);
        if (v & (pad == 2 ? 0xFFFFu : 0xFFu))
            bad |= UINT32_C(1) << 31; /* spare bits must be zero */
        bad |= v;
        *out++ = (uint8_t)(v >> 16);
        if (pad == 1)
            *out++ = (uint8_t)(v >> 8);
    }
    if (bad >> 31)
        return TL_ERR_PROTO;
    *ret_n = (size_t)(out - ret);
    return TL_OK;
}
