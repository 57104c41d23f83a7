/* Bencoding: what is read is within the bytes, and a walk writes the same again. */
#include "wire/bencode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void write_again(const tl_ben *v, tl_ben_writer *w, int depth)
{
    tl_slice inside = v->inside, key;
    tl_ben one;
    check(depth <= TL_BEN_DEPTH_MAX);
    switch (v->kind) {
    case TL_BEN_NUMBER: tl_ben_put_number(w, v->number); return;
    case TL_BEN_TEXT: tl_ben_put_text(w, v->text); return;
    case TL_BEN_LIST:
        tl_ben_put_mark(w, 'l');
        while (tl_ben_next(&inside, &one))
            write_again(&one, w, depth + 1);
        break;
    case TL_BEN_DICT:
        tl_ben_put_mark(w, 'd');
        while (tl_ben_next_pair(&inside, &key, &one)) {
            tl_ben_put_text(w, key);
            write_again(&one, w, depth + 1);
        }
        break;
    }
    check(inside.n == 0);
    tl_ben_put_mark(w, 'e');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t again[1 << 16];
    tl_slice bytes = tl_slice_of(data, n);
    tl_ben v;
    bool canonical = tl_ben_is_canonical(bytes);
    if (n > sizeof again || tl_ben_parse(bytes, TL_BEN_ANY_ORDER, &v)) {
        check(!canonical || n > sizeof again);
        return 0;
    }
    tl_ben_writer w = {.p = again, .max = n};
    write_again(&v, &w, 0);
    check(!w.full && w.n == n && (n == 0 || memcmp(again, data, n) == 0));
    check(tl_slice_eq(v.raw, bytes));
    return 0;
}
