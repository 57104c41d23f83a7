#include "peer/attach.h"

#include "relay/signed.h"

#include <assert.h>

enum { ID = 12, TRY = ID, MARK = 13 };

void tl_attach_nonce(tl_attach_mark *m, const tl_leg *leg, tl_rand *rand,
                     uint8_t ret_nonce[TL_CONTROL_NONCE_SIZE])
{
    static_assert(sizeof leg->id.bytes == ID && MARK + sizeof m->mark == TL_CONTROL_NONCE_SIZE,
                  "the nonce is filled");
    if (leg->tries == 1 && !m->marked)
        tl_rand_bytes(rand, m->mark, sizeof m->mark);
    memcpy(ret_nonce, leg->id.bytes, ID);
    ret_nonce[TRY] = (uint8_t)leg->tries;
    memcpy(ret_nonce + MARK, m->mark, sizeof m->mark);
}

bool tl_attach_is_answer(tl_attach_mark *m, const tl_leg *leg, const tl_node_id *self,
                         const tl_node_id *with, const tl_control *attached)
{
    static const uint8_t unsigned_sig[TL_CONTROL_SIG_SIZE];
    if (!leg->tries || memcmp(attached->nonce, leg->id.bytes, ID) != 0 ||
        memcmp(attached->node, self->key, sizeof self->key) != 0)
        return false;
    if (memcmp(attached->sig, unsigned_sig, sizeof unsigned_sig) == 0) {
        m->marked = true;
        memcpy(m->mark, attached->nonce + MARK, sizeof m->mark);
        return false;
    }
    if (memcmp(m->proofs_of.bytes, leg->id.bytes, ID) != 0) {
        m->proofs_of = leg->id;
        m->proofs = 0;
    }
    if (m->proofs >= TL_ATTACH_PROOFS)
        return false;
    m->proofs++;
    return !tl_control_verify(attached, with);
}

bool tl_attach_answered(tl_attach_mark *m, const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_time now)
{
    if (memcmp(nonce + MARK, m->mark, sizeof m->mark) == 0)
        return false;
    m->marked = true;
    memcpy(m->mark, nonce + MARK, sizeof m->mark);
    if (now < m->again_at)
        return false;
    m->again_at = now + TL_ATTACH_AGAIN_APART;
    return true;
}
