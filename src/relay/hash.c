#include "relay/hash.h"

#include <sodium.h>
#include <string.h>

unsigned tl_relay_hash(const uint8_t key[16], const void *bytes, size_t n)
{
    uint8_t digest[crypto_shorthash_BYTES];
    unsigned value;
    crypto_shorthash(digest, bytes, n, key);
    memcpy(&value, digest, sizeof value);
    return value;
}
