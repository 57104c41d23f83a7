/* hash.h - keyed hash values for uthash's tables, whose own functions are not keyed: peers choose
 * node and session ids, and must not be able to aim at one bucket. Include instead of <uthash.h>.
 */
#ifndef TL_RELAY_HASH_H
#define TL_RELAY_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Running out of memory leaves the element out of the table; `hash_oom` in scope tells. */
#define HASH_NONFATAL_OOM            1
#define uthash_nonfatal_oom(element) (hash_oom = true)
#include <uthash.h>

/* SipHash-2-4. */
unsigned tl_relay_hash(const uint8_t key[16], const void *bytes, size_t n);

#endif
