#include "quic/mark.h"

#include "crypto/blake2s.h"

#define RANDOM 4

static void digest(tl_slice mark, const uint8_t random[RANDOM], uint8_t ret[TL_BLAKE2S_SIZE])
{
    tl_blake2s b;
    tl_blake2s_init(&b);
    tl_blake2s_update(&b, TL_SLICE_LIT("teale/v1/mark"));
    tl_blake2s_update(&b, mark);
    tl_blake2s_update(&b, tl_slice_of(random, RANDOM));
    tl_blake2s_final(&b, ret);
}

void tl_quic_mark_write(tl_slice mark, uint8_t cid[TL_QUIC_CID_SIZE])
{
    uint8_t d[TL_BLAKE2S_SIZE];
    digest(mark, cid, d);
    memcpy(cid + RANDOM, d, TL_QUIC_CID_SIZE - RANDOM);
}

bool tl_quic_mark_is(tl_slice mark, tl_slice cid)
{
    uint8_t d[TL_BLAKE2S_SIZE];
    if (cid.n != TL_QUIC_CID_SIZE)
        return false;
    digest(mark, cid.p, d);
    return memcmp(cid.p + RANDOM, d, TL_QUIC_CID_SIZE - RANDOM) == 0;
}
