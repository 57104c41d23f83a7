/* Control datagrams: what is read is written again as the same bytes. */
#include "wire/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_control c;
    uint8_t again[TL_CONTROL_MAX];
    tl_slice datagram = tl_slice_of(data, n);
    if (tl_control_parse(datagram, &c))
        return 0;
    if (!tl_control_is(datagram) || tl_control_peek(datagram) != c.type ||
        tl_control_write(&c, again) != n || memcmp(again, data, n) != 0)
        abort();
    if (tl_control_write_body(&c, again) + 2 > n)
        abort();
    return 0;
}
