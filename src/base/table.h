/* table.h - uthash as this project uses it: the caller is told when memory runs out, and the hash
 * is keyed, so that a stranger who chooses the keys cannot fill one bucket. Touches nothing but
 * memory. Include it instead of <uthash.h>; HASH_FIND, HASH_DELETE, HASH_ITER and HASH_COUNT are
 * used as they are. */
#ifndef TL_BASE_TABLE_H
#define TL_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Outside the macros below, HASH_ADD does not compile: there is no `tl_table_full` for it. */
#define HASH_NONFATAL_OOM                     1
#define uthash_nonfatal_oom(element)          (tl_table_full = true)
#define HASH_FUNCTION(key, key_n, hash_value) ((hash_value) = tl_table_hash(key, key_n))
#include <uthash.h>

#define TL_TABLE_KEY_SIZE 16

/* Sets the key of every table of the process, once. A second call changes nothing, since tables may
 * hold elements by then. tl_crypto_init (crypto/identity.h) calls it with random bytes. A simulator
 * calls it earlier, with bytes of its own, so that a seed replays. Until then the key is zeros. */
void tl_table_start(const uint8_t key[TL_TABLE_KEY_SIZE]);
/* SipHash-2-4 under that key. */
unsigned tl_table_hash(const void *bytes, size_t n);
/* The same with all its bits. */
uint64_t tl_table_hash64(const void *bytes, size_t n);

/* Adds `element`, which the table does not hold yet. Its key is the `field_n` bytes from its member
 * `field` on. False: out of memory; the element is not in the table and remains the caller's. */
#define TL_TABLE_ADD(hh, head, field, field_n, element)                                            \
    __extension__({                                                                                \
        bool tl_table_full = false;                                                                \
        HASH_ADD(hh, head, field, field_n, element);                                               \
        !tl_table_full;                                                                            \
    })
/* The same with the `key_n` bytes at `key` as key, which must live as long as the element. */
#define TL_TABLE_ADD_KEYPTR(hh, head, key, key_n, element)                                         \
    __extension__({                                                                                \
        bool tl_table_full = false;                                                                \
        HASH_ADD_KEYPTR(hh, head, key, key_n, element);                                            \
        !tl_table_full;                                                                            \
    })

#endif
