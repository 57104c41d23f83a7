#include "relay/nonces.h"

#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct tl_seen_nonce {
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE]; /* the signer, and its nonce */
    tl_time until;
    tl_seen_nonce *next; /* of the list, the oldest first */
    UT_hash_handle hh;
};

static void key_of(const uint8_t *signer, const uint8_t *nonce, uint8_t *ret_key)
{
    memcpy(ret_key, signer, TL_CONTROL_ID_SIZE);
    memcpy(ret_key + TL_CONTROL_ID_SIZE, nonce, TL_CONTROL_NONCE_SIZE);
}

bool tl_seen_nonces_has(const tl_seen_nonces *s, const uint8_t signer[TL_CONTROL_ID_SIZE],
                        const uint8_t nonce[TL_CONTROL_NONCE_SIZE])
{
    uint8_t key[TL_CONTROL_ID_SIZE + TL_CONTROL_NONCE_SIZE];
    const tl_seen_nonce *found;
    key_of(signer, nonce, key);
    HASH_FIND(hh, s->table, key, sizeof key, found);
    return found != NULL;
}

bool tl_seen_nonces_keep(tl_seen_nonces *s, const uint8_t signer[TL_CONTROL_ID_SIZE],
                         const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_time now)
{
    assert(!tl_seen_nonces_has(s, signer, nonce));
    tl_seen_nonce *n = s->n < s->max ? calloc(1, sizeof *n) : NULL;
    if (!n)
        return false;
    key_of(signer, nonce, n->key);
    n->until = now + TL_CONTROL_NONCE_KEPT * TL_SEC;
    if (!TL_TABLE_ADD(hh, s->table, key, sizeof n->key, n)) {
        free(n);
        return false;
    }
    if (s->last)
        s->last->next = n;
    else
        s->first = n;
    s->last = n;
    s->n++;
    return true;
}

static void forget_first(tl_seen_nonces *s)
{
    tl_seen_nonce *n = s->first;
    s->first = n->next;
    if (!n->next)
        s->last = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the entry is in the table */
    HASH_DELETE(hh, s->table, n);
    free(n);
    s->n--;
}

void tl_seen_nonces_sweep(tl_seen_nonces *s, tl_time now)
{
    while (s->first && now >= s->first->until)
        forget_first(s);
}

void tl_seen_nonces_clear(tl_seen_nonces *s)
{
    while (s->first)
        forget_first(s);
}
