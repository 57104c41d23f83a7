/* Frames of a peer's stream and the messages in them: the first byte says in what pieces they come.
 */
#include "wire/cluster.h"
#include "wire/streamframe.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void message(tl_slice text)
{
    tl_cluster_message m, back;
    tl_buf out = {0};
    if (tl_cluster_parse(text, &m))
        return;
    if (m.type != TL_CLUSTER_OTHER) {
        /* What we accept we can say again, and understand. */
        if (tl_cluster_write(&out, &m) || tl_cluster_parse(tl_buf_slice(&out), &back) ||
            back.type != m.type)
            abort();
        tl_cluster_message_clear(&back);
    }
    tl_cluster_message_clear(&m);
    tl_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    size_t step = data[0] ? data[0] : n;
    tl_frame_reader r = {0};
    for (size_t at = 1; at < n; at += step) {
        tl_slice in = tl_slice_of(data + at, n - at < step ? n - at : step);
        tl_frame_piece piece;
        while (tl_frame_next(&r, &in, &piece) == TL_OK)
            if (piece.kind == TL_FRAME_MESSAGE)
                message(piece.bytes);
    }
    tl_frame_reader_clear(&r);
    return 0;
}
