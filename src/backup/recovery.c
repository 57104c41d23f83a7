#include "backup/recovery.h"

#include <sodium.h>

static const char context[crypto_kdf_CONTEXTBYTES + 1] = "tealebak";

enum { ROOT = 1, IDENTITY, BLOB, POINTER };

static void derive(const uint8_t from[TL_RECOVERY_KEY], uint64_t number,
                   uint8_t ret[TL_RECOVERY_KEY])
{
    (void)crypto_kdf_derive_from_key(ret, TL_RECOVERY_KEY, number, context, from);
}

void tl_recovery_root(const uint8_t entropy[TL_PHRASE_ENTROPY], uint8_t ret_root[TL_RECOVERY_KEY])
{
    derive(entropy, ROOT, ret_root);
}

tl_err tl_recovery_of(const uint8_t root[TL_RECOVERY_KEY], tl_recovery *ret)
{
    uint8_t seed[TL_RECOVERY_KEY];
    tl_recovery r = {{0}};
    memcpy(r.root, root, sizeof r.root);
    derive(root, IDENTITY, seed);
    derive(root, BLOB, r.blob_key);
    derive(root, POINTER, r.pointer_key);
    tl_err e = tl_identity_from_seed(seed, &r.identity);
    sodium_memzero(seed, sizeof seed);
    if (!e)
        *ret = r;
    tl_recovery_clear(&r);
    return e;
}

void tl_recovery_clear(tl_recovery *r)
{
    sodium_memzero(r, sizeof *r);
}
