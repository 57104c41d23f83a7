#include "wire/rfc4571.h"

#include <assert.h>

tl_err tl_rfc4571_next(uint8_t *data, size_t n, size_t *at, uint8_t **ret_frame, size_t *ret_n)
{
    while (n - *at >= TL_RFC4571_HEAD) {
        size_t length = (size_t)data[*at] << 8 | data[*at + 1];
        if (length > TL_RFC4571_FRAME_MAX)
            return TL_ERR_TOO_LARGE;
        if (n - *at - TL_RFC4571_HEAD < length)
            break;
        uint8_t *frame = data + *at + TL_RFC4571_HEAD;
        *at += TL_RFC4571_HEAD + length;
        if (!length)
            continue;
        *ret_frame = frame;
        *ret_n = length;
        return TL_OK;
    }
    return TL_ERR_SHORT;
}

void tl_rfc4571_head_write(uint8_t ret_head[TL_RFC4571_HEAD], size_t n)
{
    assert(n > 0 && n <= TL_RFC4571_FRAME_MAX);
    ret_head[0] = (uint8_t)(n >> 8);
    ret_head[1] = (uint8_t)n;
}
