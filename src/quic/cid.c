#include "quic/cid.h"

void tl_quic_cid_make(tl_rand *rand, uint8_t *ret_cid, size_t n)
{
    tl_rand_bytes(rand, ret_cid, n);
    while (*ret_cid >= '0' && *ret_cid <= '9')
        tl_rand_bytes(rand, ret_cid, 1);
}
