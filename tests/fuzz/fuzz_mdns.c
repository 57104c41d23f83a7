/* The strings of a TXT record, each behind its length as on the wire, and a service's name: the same bytes. */
#include "wire/mdns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_mdns_txt t = {0};
    uint8_t hint[TL_MDNS_HINT];
    for (size_t at = 0; at < size;) {
        size_t n = data[at++];
        n = n < size - at ? n : size - at;
        tl_mdns_txt_add(&t, tl_slice_of(data + at, n));
        at += n;
    }
    if (t.strings > TL_MDNS_TXT_MAX || (t.valid && !t.has_id))
        abort();
    if (t.valid) { /* what was read is written the same, but for the key's case */
        char txt[TL_MDNS_TXT_SIZE];
        tl_mdns_txt again = {0};
        tl_mdns_txt_write(txt, t.id);
        tl_mdns_txt_add(&again, tl_slice_str(txt));
        if (!again.valid || memcmp(again.id, t.id, sizeof t.id) != 0)
            abort();
    }
    if (tl_mdns_name_hint(tl_slice_of(data, size), hint) == TL_OK && size < TL_MDNS_NAME_SIZE - 1)
        abort();
    uint8_t own[TL_MDNS_HINT];
    if (tl_mdns_name_own(tl_slice_of(data, size), own) == TL_OK &&
        (tl_mdns_name_hint(tl_slice_of(data, size), hint) || memcmp(own, hint, sizeof own) != 0 ||
         size > TL_MDNS_NAME_SIZE + 2))
        abort();
    return 0;
}
