#include "net/kinds.h"

#define QUIC_MIN    21 /* RFC 9000 section 10.3: no packet is shorter */
#define STUN_MIN    20 /* the header */
#define CONTROL_MIN 2  /* marker and type */
#define STUN_LAST   0x03
#define CONTROL     0x0C
#define FIRST_QUIC  0x40
#define TOKEN_MIN   0x80 /* RFC 9443: neither QUIC's nor STUN's */
#define TOKEN_MAX   0xBF

static bool is_krpc(const uint8_t *p, size_t n)
{
    return n > 3 && p[0] == 'd' && p[1] >= '0' && p[1] <= '9' && p[n - 1] == 'e';
}

tl_datagram_kind tl_datagram_kind_of(const uint8_t *p, size_t n)
{
    uint8_t first = n ? p[0] : 0;
    if (first >= TOKEN_MIN && first <= TOKEN_MAX)
        return TL_DATAGRAM_TOKEN;
    if (is_krpc(p, n))
        return TL_DATAGRAM_KRPC;
    if (first >= FIRST_QUIC)
        return n < QUIC_MIN ? TL_DATAGRAM_SHORT : TL_DATAGRAM_QUIC;
    if (first == CONTROL)
        return n < CONTROL_MIN ? TL_DATAGRAM_SHORT : TL_DATAGRAM_CONTROL;
    if (n < STUN_MIN)
        return TL_DATAGRAM_SHORT;
    return first <= STUN_LAST ? TL_DATAGRAM_STUN : TL_DATAGRAM_UNKNOWN;
}
