/* code.h - the erasure code of backups: a blob becomes n fragments of which any k make it whole again.
 * Reed-Solomon over GF(2^8) with a Cauchy matrix, by Intel's ISA-L. The first k fragments are the blob
 * itself, cut in k. Pure; checks no content: a wrong fragment makes a wrong blob. */
#ifndef TL_BACKUP_CODE_H
#define TL_BACKUP_CODE_H

#include "backup/fragment.h"
#include "base/slice.h"

/* 1 <= k <= n <= TL_FRAGMENTS_MAX, and 1 <= size <= TL_BLOB_MAX. */
bool tl_code_fits(size_t size, unsigned k, unsigned n);
/* Bytes of each fragment: size / k, rounded up. */
size_t tl_code_fragment_size(size_t size, unsigned k);
/* Makes one fragment, `index` below n, and appends it to `out`. TL_ERR_INVALID: not tl_code_fits.
 * TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_code_make(tl_slice blob, unsigned k, unsigned n, unsigned index, tl_buf *out);
/* Makes the blob of k fragments; `index[i]` is that of `fragment[i]`. Appends `size` bytes to `out`.
 * TL_ERR_INVALID: not tl_code_fits, a fragment is of another size, or two are the same.
 * TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_code_join(const tl_slice *fragment, const uint8_t *index, unsigned k, unsigned n,
                             size_t size, tl_buf *out);

#endif
