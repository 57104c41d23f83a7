/* What goes on of a provider's stream of events, and how the bytes are cut: the first byte says it. No line that goes on
 * is a comment or is called "error", and straining again takes nothing more. */
#include "api/strain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void strain(tl_slice in, size_t step, tl_buf *out)
{
    tl_strain s = {0};
    while (in.n) {
        size_t n = in.n < step ? in.n : step;
        if (tl_strain_feed(&s, tl_slice_of(in.p, n), out))
            abort();
        in = tl_slice_of(in.p + n, in.n - n);
    }
}

static bool is_error(tl_slice line)
{
    return tl_slice_eq(line, TL_SLICE_LIT("event: error")) ||
           tl_slice_eq(line, TL_SLICE_LIT("event:error"));
}

static void look(tl_slice text)
{
    while (text.n) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '\n' && text.p[n] != '\r')
            n++;
        if (text.p[0] == ':' || is_error(tl_slice_of(text.p, n)))
            abort();
        n += n < text.n;
        text = tl_slice_of(text.p + n, text.n - n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_buf whole = {0}, parts = {0}, again = {0};
    if (!size)
        return 0;
    tl_slice in = tl_slice_of(data + 1, size - 1);
    strain(in, in.n, &whole);
    strain(in, 1u + data[0], &parts);
    if (!tl_slice_eq(tl_buf_slice(&whole), tl_buf_slice(&parts)))
        abort();
    look(tl_buf_slice(&whole));
    strain(tl_buf_slice(&whole), whole.len, &again);
    if (again.len > whole.len)
        abort();
    tl_buf_clear(&whole);
    tl_buf_clear(&parts);
    tl_buf_clear(&again);
    return 0;
}
