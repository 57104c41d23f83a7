/* Bytes in one piece and the same bytes dripping in must be the same frames. The first byte sets the size of the
 * pieces. */
#include "wire/rfc4571.h"

#include <stdlib.h>

typedef struct {
    uint64_t sum;
    size_t frames;
    tl_err end;
} digest;

static digest read_all(const uint8_t *data, size_t n, size_t step)
{
    digest d = {.sum = UINT64_C(0xCBF29CE484222325), .end = TL_ERR_SHORT};
    uint8_t *copy = malloc(n ? n : 1), *frame;
    size_t at = 0, len;
    if (!copy)
        abort();
    memcpy(copy, data, n);
    for (size_t have = 0; have < n && d.end == TL_ERR_SHORT;) {
        have = n - have > step ? have + step : n;
        while (!(d.end = tl_rfc4571_next(copy, have, &at, &frame, &len))) {
            if (!len || len > TL_RFC4571_FRAME_MAX || frame < copy || frame + len > copy + have)
                abort();
            for (size_t i = 0; i < len; i++)
                d.sum = (d.sum ^ frame[i]) * UINT64_C(0x100000001B3);
            d.frames++;
        }
        if (have - at >= TL_RFC4571_HEAD + TL_RFC4571_FRAME_MAX && d.end == TL_ERR_SHORT)
            abort(); /* a driver's room for an unfinished frame is never exceeded */
    }
    free(copy);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    digest whole = read_all(data + 1, n - 1, n);
    digest drip = read_all(data + 1, n - 1, 1 + data[0]);
    if (whole.sum != drip.sum || whole.frames != drip.frames || whole.end != drip.end)
        abort();
    return 0;
}
