/* Pictures that a person was sent: whatever the bytes are, decoding ends, within its bounds. */
#include "cli/qrimage.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_grey g;
    tl_why why = {""};
    if (tl_qrimage_decode(tl_slice_of(data, n), &g, &why)) {
        assert(why.text[0]);
        return 0;
    }
    assert(g.width && g.height && g.width * g.height <= TL_QRIMAGE_PIXELS_MAX);
    volatile unsigned sum = 0;
    for (size_t i = 0; i < g.width * g.height; i += g.width) /* every row was written */
        sum += g.pixels[i];
    free(g.pixels);
    return 0;
}
