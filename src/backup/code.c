#include "backup/code.h"

#include <isa-l.h>

bool tl_code_fits(size_t size, unsigned k, unsigned n)
{
    return k >= 1 && k <= n && n <= TL_FRAGMENTS_MAX && size >= 1 && size <= TL_BLOB_MAX;
}

size_t tl_code_fragment_size(size_t size, unsigned k)
{
    return (size + k - 1) / k;
}

/* ret = row[0] * in[0] + ... + row[k - 1] * in[k - 1], byte by byte; each of `n` bytes. */
static void combine(uint8_t *row, unsigned k, uint8_t **in, size_t n, uint8_t *ret)
{
    uint8_t tables[32 * TL_FRAGMENTS_MAX];
    ec_init_tables((int)k, 1, row, tables);
    ec_encode_data((int)n, (int)k, 1, tables, in, &ret);
}

/* A row of k coefficients for each fragment: the first k rows are the identity, the others a Cauchy
 * matrix. Any k of them can be inverted. */
static void rows_of(unsigned k, unsigned n, uint8_t ret[TL_FRAGMENTS_MAX * TL_FRAGMENTS_MAX])
{
    gf_gen_cauchy1_matrix(ret, (int)n, (int)k);
}

tl_err tl_code_make(tl_slice blob, unsigned k, unsigned n, unsigned index, tl_buf *out)
{
    uint8_t rows[TL_FRAGMENTS_MAX * TL_FRAGMENTS_MAX], *part[TL_FRAGMENTS_MAX], *room;
    tl_buf padded = {0}; /* the blob, filled up with zeros to k parts */
    if (!tl_code_fits(blob.n, k, n) || index >= n)
        return TL_ERR_INVALID;
    size_t size = tl_code_fragment_size(blob.n, k);
    tl_err e = tl_buf_reserve(&padded, size * k, &part[0]);
    if (!e && !(e = tl_buf_reserve(out, size, &room))) {
        memcpy(part[0], blob.p, blob.n);
        memset(part[0] + blob.n, 0, size * k - blob.n);
        for (unsigned i = 1; i < k; i++)
            part[i] = part[i - 1] + size;
        rows_of(k, n, rows);
        combine(rows + (size_t)index * k, k, part, size, room);
        tl_buf_added(out, size);
    }
    tl_buf_clear(&padded);
    return e;
}

/* The library reads what it is given, and its prototype does not say so. */
static uint8_t *read_only(const uint8_t *p)
{
    uint8_t *same;
    memcpy(&same, &p, sizeof same);
    return same;
}

/* k different fragments, each of the right size? */
static bool is_enough(const tl_slice *fragment, const uint8_t *index, unsigned k, unsigned n,
                      size_t size)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < k; i++) {
        if (index[i] >= n || seen & 1u << index[i] || fragment[i].n != size)
            return false;
        seen |= 1u << index[i];
    }
    return true;
}

tl_err tl_code_join(const tl_slice *fragment, const uint8_t *index, unsigned k, unsigned n,
                    size_t size, tl_buf *out)
{
    uint8_t rows[TL_FRAGMENTS_MAX * TL_FRAGMENTS_MAX], there[TL_FRAGMENTS_MAX * TL_FRAGMENTS_MAX];
    uint8_t inverse[TL_FRAGMENTS_MAX * TL_FRAGMENTS_MAX], *in[TL_FRAGMENTS_MAX], *room;
    if (!tl_code_fits(size, k, n))
        return TL_ERR_INVALID;
    size_t part = tl_code_fragment_size(size, k);
    if (!is_enough(fragment, index, k, n, part))
        return TL_ERR_INVALID;
    rows_of(k, n, rows);
    for (unsigned i = 0; i < k; i++) {
        memcpy(there + (size_t)i * k, rows + (size_t)index[i] * k, k);
        in[i] = read_only(fragment[i].p);
    }
    if (gf_invert_matrix(there, inverse, (int)k))
        return TL_ERR_INVALID;
    tl_err e = tl_buf_reserve(out, part * k, &room);
    if (e)
        return e;
    for (unsigned i = 0; i < k; i++)
        combine(inverse + (size_t)i * k, k, in, part, room + i * part);
    tl_buf_added(out, size);
    return TL_OK;
}
