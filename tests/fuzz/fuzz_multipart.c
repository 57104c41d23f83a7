/* Forms. The first line is the Content-Type, the rest the body. Every part lies in the body, behind
 * the one before it; and a model's name that was replaced is the one that is found. */
#include "ask/modelname.h"
#include "wire/multipart.h"

#include <stdio.h>
#include <stdlib.h>

static void walk(const char *type, tl_slice body)
{
    tl_multipart m;
    tl_multipart_part part;
    bool done = false;
    const uint8_t *at = body.p;
    if (tl_multipart_begin(&m, type, body))
        return;
    while (!tl_multipart_next(&m, &part, &done) && !done) {
        if (part.name.p < at || part.name.p + part.name.n > part.value.p ||
            part.value.p + part.value.n > body.p + body.n)
            abort();
        at = part.value.p + part.value.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char type[128];
    const uint8_t *lf = n ? memchr(data, '\n', n) : NULL;
    if (!lf || (size_t)(lf - data) >= sizeof type || memchr(data, 0, (size_t)(lf - data)))
        return 0;
    snprintf(type, sizeof type, "%.*s", (int)(lf - data), (const char *)data);
    tl_slice body = tl_slice_of(lf + 1, n - (size_t)(lf + 1 - data));
    walk(type, body);
    tl_buf out = {0};
    bool same = false;
    if (!tl_model_replace(type, body, "a:1", &out) &&
        (tl_model_compare(type, tl_buf_slice(&out), "a:1", &same) || !same))
        abort();
    tl_buf_clear(&out);
    return 0;
}
