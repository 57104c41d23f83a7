/* Base64 text that we accept is the only text of its bytes; bytes survive the way there and back.
 */
#include "base/base64.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *bytes = malloc(n / 4 * 3 + 1), *text = malloc(tl_base64_size(n) + 1);
    size_t got;
    if (!bytes || !text)
        abort();
    if (tl_base64_parse(tl_slice_of(data, n), bytes, &got) == TL_OK) {
        tl_base64_write(text, tl_slice_of(bytes, got));
        if (!tl_slice_eq(tl_slice_of(text, tl_base64_size(got)), tl_slice_of(data, n)))
            abort();
    }
    tl_base64_write(text, tl_slice_of(data, n));
    if (tl_base64_parse(tl_slice_of(text, tl_base64_size(n)), text, &got) ||
        !tl_slice_eq(tl_slice_of(text, got), tl_slice_of(data, n)))
        abort();
    free(bytes);
    free(text);
    return 0;
}
