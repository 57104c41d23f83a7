#include "base/table.h"

#include <sodium.h>
#include <string.h>

static uint8_t table_key[TL_TABLE_KEY_SIZE];
static bool started;

_Static_assert(TL_TABLE_KEY_SIZE == crypto_shorthash_KEYBYTES, "the key is SipHash's");

void tl_table_start(const uint8_t key[TL_TABLE_KEY_SIZE])
{
    if (started)
        return;
    memcpy(table_key, key, sizeof table_key);
    started = true;
}

uint64_t tl_table_hash64(const void *bytes, size_t n)
{
    uint8_t digest[crypto_shorthash_BYTES];
    uint64_t value;
    crypto_shorthash(digest, bytes, n, table_key);
    memcpy(&value, digest, sizeof value);
    return value;
}

unsigned tl_table_hash(const void *bytes, size_t n)
{
    return (unsigned)tl_table_hash64(bytes, n);
}
