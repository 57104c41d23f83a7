/* Chunked bodies. The first byte sets the size of the pieces the rest is fed in; whatever the
 * pieces, the outcome must be that of one piece. */
#include "wire/chunked.h"

#include <stdlib.h>

typedef struct {
    tl_err e;
    tl_chunked_state state;
    size_t used, n;
    uint64_t sum;
} outcome;

static outcome read_body(const uint8_t *p, size_t n, size_t step)
{
    outcome o = {0};
    tl_chunked c = {0};
    size_t have = 0;
    do {
        have = have + step < n ? have + step : n;
        size_t used = 1;
        while (used && !o.e) {
            tl_slice data = {NULL, 0};
            used = 0;
            o.e = tl_chunked_next(&c, tl_slice_of(p + o.used, have - o.used), &used, &data);
            o.used += used;
            o.n += data.n;
            for (size_t i = 0; i < data.n; i++)
                o.sum = o.sum * 31 + data.p[i];
        }
    } while (have < n && !o.e && c.state != TL_CHUNKED_DONE);
    o.state = c.state;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    outcome pieces = read_body(data + 1, n - 1, data[0] % 32 + 1);
    outcome whole = read_body(data + 1, n - 1, n);
    if (pieces.e != whole.e || pieces.state != whole.state)
        abort();
    if (!whole.e && (pieces.used != whole.used || pieces.n != whole.n || pieces.sum != whole.sum))
        abort();
    return 0;
}
