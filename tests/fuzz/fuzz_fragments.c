/* Messages about fragments of backups. */
#include "backup/talk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_talk m, back;
    tl_buf out = {0};
    if (tl_talk_parse(tl_slice_of(data, n), &m))
        return 0;
    /* What we accept we can say again, and understand. */
    if (tl_talk_write(&out, &m) || tl_talk_parse(tl_buf_slice(&out), &back) || back.type != m.type)
        abort();
    tl_buf_clear(&out);
    return 0;
}
