/* Whatever we can read has one canonical form: written, read and written again it stays the same.
 */
#include "crypto/canonical.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *value, *again;
    tl_buf first = {0}, second = {0};
    if (tl_json_parse(tl_slice_of(data, n), 70, &value, NULL)) /* deeper than may be written */
        return 0;
    if (tl_canonical_write(&first, value) == TL_OK) {
        /* integers as reals: "1e20" is written with 21 digits, more than our integers have */
        again = json_loadb((const char *)first.data, first.len,
                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
                               JSON_DECODE_INT_AS_REAL,
                           NULL);
        if (!again || tl_canonical_write(&second, again) ||
            !tl_slice_eq(tl_buf_slice(&first), tl_buf_slice(&second)))
            abort();
        json_decref(again);
    } else if (first.len) {
        abort();
    }
    json_decref(value);
    tl_buf_clear(&first);
    tl_buf_clear(&second);
    return 0;
}
