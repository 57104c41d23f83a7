/* A chat's body, read for the conversation in it. */
#include "ask/warmth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const tl_node_id node = {{7}};
    tl_warmth w = {0};
    tl_warm_place place;
    tl_talk talk = tl_warmth_read(&w, "m", tl_slice_of(data, n), TL_SEC, &place);
    if (place.known || talk.bytes > n)
        abort();
    tl_warmth_note(&w, &talk, &node, TL_SEC);
    /* The same body is the same conversation. */
    tl_talk again = tl_warmth_read(&w, "m", tl_slice_of(data, n), TL_SEC, &place);
    if (again.hash != talk.hash || place.known != (talk.hash != 0) ||
        (place.known && place.bytes != talk.bytes))
        abort();
    tl_warmth_clear(&w);
    return 0;
}
