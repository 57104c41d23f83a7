#include "wire/bencode.h"

#include <stdio.h>

/* --- read --- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits up to `end`, which it takes, too. At most `max`; no leading zero. */
static tl_err take_digits(tl_slice *in, uint8_t end, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < in->n && is_digit(in->p[i]); i++) {
        unsigned digit = in->p[i] - '0';
        if (i == 1 && in->p[0] == '0')
            return TL_ERR_PROTO;
        if (v > (max - digit) / 10)
            return TL_ERR_TOO_LARGE;
        v = v * 10 + digit;
    }
    if (i == in->n)
        return TL_ERR_SHORT;
    if (i == 0 || in->p[i] != end)
        return TL_ERR_PROTO;
    *in = tl_slice_of(in->p + i + 1, in->n - i - 1);
    *ret = v;
    return TL_OK;
}

static tl_err take_number(tl_slice *in, int64_t *ret)
{
    uint64_t v;
    *in = tl_slice_of(in->p + 1, in->n - 1);
    bool minus = in->n && in->p[0] == '-';
    if (minus)
        *in = tl_slice_of(in->p + 1, in->n - 1);
    tl_err e = take_digits(in, 'e', (uint64_t)INT64_MAX + minus, &v);
    if (e)
        return e;
    if (minus && v == 0)
        return TL_ERR_PROTO;
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return TL_OK;
}

static tl_err take_text(tl_slice *in, tl_slice *ret)
{
    uint64_t n;
    tl_err e = take_digits(in, ':', INT64_MAX, &n);
    if (e)
        return e;
    if (n > in->n)
        return TL_ERR_SHORT;
    *ret = tl_slice_of(in->p, (size_t)n);
    *in = tl_slice_of(in->p + n, in->n - (size_t)n);
    return TL_OK;
}

/* The keys of one dictionary so far. */
typedef struct {
    tl_slice list[TL_BEN_UNSORTED_MAX]; /* the first ones */
    size_t n;
    tl_slice highest;
    bool unsorted;
} keys;

static int compare(tl_slice a, tl_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* While the keys ascend, the last one is the highest. Once one did not, each is compared with all. */
static tl_err add_key(keys *k, tl_slice key, tl_ben_order order)
{
    bool ascends = k->n == 0 || compare(key, k->highest) > 0;
    k->unsorted |= !ascends;
    if (k->unsorted && (order == TL_BEN_CANONICAL || k->n >= TL_BEN_UNSORTED_MAX))
        return TL_ERR_PROTO;
    for (size_t i = 0; !ascends && i < k->n; i++)
        if (tl_slice_eq(key, k->list[i]))
            return TL_ERR_PROTO;
    if (ascends)
        k->highest = key;
    if (k->n < TL_BEN_UNSORTED_MAX)
        k->list[k->n] = key;
    k->n++;
    return TL_OK;
}

static tl_err take_value(tl_slice *in, tl_ben_order order, int depth, tl_ben *ret);

/* Calls itself through take_value; the depth is bounded there. */
static tl_err take_inside(tl_slice *in, bool dict, tl_ben_order order, int depth, tl_slice *ret)
{
    keys k = {.n = 0};
    tl_slice key;
    tl_ben value;
    tl_err e;
    *in = tl_slice_of(in->p + 1, in->n - 1);
    const uint8_t *begin = in->p;
    while (in->n && in->p[0] != 'e') {
        if (dict && ((e = take_text(in, &key)) || (e = add_key(&k, key, order))))
            return e;
        if ((e = take_value(in, order, depth + 1, &value)))
            return e;
    }
    if (!in->n)
        return TL_ERR_SHORT;
    *ret = tl_slice_of(begin, (size_t)(in->p - begin));
    *in = tl_slice_of(in->p + 1, in->n - 1);
    return TL_OK;
}

static tl_err take_value(tl_slice *in, tl_ben_order order, int depth, tl_ben *ret)
{
    tl_ben v = {0};
    const uint8_t *begin = in->p;
    tl_err e;
    if (!in->n)
        return TL_ERR_SHORT;
    if (depth > TL_BEN_DEPTH_MAX)
        return TL_ERR_TOO_LARGE;
    if (begin[0] == 'i') {
        v.kind = TL_BEN_NUMBER;
        e = take_number(in, &v.number);
    } else if (begin[0] == 'l' || begin[0] == 'd') {
        v.kind = begin[0] == 'd' ? TL_BEN_DICT : TL_BEN_LIST;
        e = take_inside(in, v.kind == TL_BEN_DICT, order, depth, &v.inside);
    } else {
        v.kind = TL_BEN_TEXT;
        e = take_text(in, &v.text);
    }
    if (e)
        return e;
    v.raw = tl_slice_of(begin, (size_t)(in->p - begin));
    *ret = v;
    return TL_OK;
}

tl_err tl_ben_parse(tl_slice bytes, tl_ben_order order, tl_ben *ret_value)
{
    tl_ben v;
    tl_err e = take_value(&bytes, order, 0, &v);
    if (e)
        return e;
    if (bytes.n)
        return TL_ERR_PROTO;
    *ret_value = v;
    return TL_OK;
}

bool tl_ben_is_canonical(tl_slice bytes)
{
    tl_ben v;
    return tl_ben_parse(bytes, TL_BEN_CANONICAL, &v) == TL_OK;
}

/* --- walk --- */

/* What is walked was read before, so only its end stops the walk. */
bool tl_ben_next(tl_slice *inside, tl_ben *ret_value)
{
    return inside->n && take_value(inside, TL_BEN_ANY_ORDER, 0, ret_value) == TL_OK;
}

bool tl_ben_next_pair(tl_slice *inside, tl_slice *ret_key, tl_ben *ret_value)
{
    return inside->n && take_text(inside, ret_key) == TL_OK && tl_ben_next(inside, ret_value);
}

bool tl_ben_find(const tl_ben *dict, const char *key, tl_ben *ret_value)
{
    tl_slice inside = dict->inside, name;
    tl_ben value;
    if (dict->kind != TL_BEN_DICT)
        return false;
    while (tl_ben_next_pair(&inside, &name, &value))
        if (tl_slice_eq(name, tl_slice_str(key))) {
            *ret_value = value;
            return true;
        }
    return false;
}

bool tl_ben_find_kind(const tl_ben *dict, const char *key, tl_ben_kind kind, tl_ben *ret_value)
{
    tl_ben value;
    if (!tl_ben_find(dict, key, &value) || value.kind != kind)
        return false;
    *ret_value = value;
    return true;
}

/* --- write --- */

void tl_ben_put_raw(tl_ben_writer *w, tl_slice bytes)
{
    if (w->full || bytes.n > w->max - w->n) {
        w->full = true;
        return;
    }
    if (bytes.n)
        memcpy(w->p + w->n, bytes.p, bytes.n);
    w->n += bytes.n;
}

void tl_ben_put_number(tl_ben_writer *w, int64_t number)
{
    char text[32];
    int n = snprintf(text, sizeof text, "i%llde", (long long)number);
    tl_ben_put_raw(w, tl_slice_of(text, (size_t)n));
}

void tl_ben_put_text(tl_ben_writer *w, tl_slice text)
{
    char head[24]; /* filled from its end; every datagram has some twenty of these */
    size_t at = sizeof head, left = text.n;
    head[--at] = ':';
    do
        head[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    tl_ben_put_raw(w, tl_slice_of(head + at, sizeof head - at));
    tl_ben_put_raw(w, text);
}

void tl_ben_put_mark(tl_ben_writer *w, char mark)
{
    tl_ben_put_raw(w, tl_slice_of(&mark, 1));
}

void tl_ben_put_key(tl_ben_writer *w, const char *key)
{
    tl_ben_put_text(w, tl_slice_str(key));
}

void tl_ben_put_pair_text(tl_ben_writer *w, const char *key, tl_slice text)
{
    tl_ben_put_key(w, key);
    tl_ben_put_text(w, text);
}

void tl_ben_put_pair_number(tl_ben_writer *w, const char *key, int64_t number)
{
    tl_ben_put_key(w, key);
    tl_ben_put_number(w, number);
}
