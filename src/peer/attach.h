/* attach.h - the nonces of this node's Attaches to one other node (docs/protocol.md "Attach"). Pure.
 *
 *   0                       12      13            16
 *   +-----------------------+-------+-------------+
 *   | the question's ID     | try   | mark        |
 *   +-----------------------+-------+-------------+
 *
 * A nonce is taken once, so each try has its own. The mark is random, or what the other node last put there
 * instead: bearing it proves that we read what is sent to our address. */
#ifndef TL_PEER_ATTACH_H
#define TL_PEER_ATTACH_H

#include "crypto/identity.h"
#include "peer/leg.h"
#include "wire/control.h"

#define TL_ATTACH_AGAIN_APART (10 * TL_SEC) /* however often the other node asks for another mark */
#define TL_ATTACH_PROOFS      4

typedef struct {
    bool marked;
    uint8_t mark[3];
    tl_time again_at;     /* before that, a new mark is no reason to attach at once */
    tl_stun_id proofs_of; /* the question whose answers' signatures were checked, */
    unsigned proofs;      /* in vain so often */
} tl_attach_mark;

/* The nonce of the try that is due (tl_leg_is_due). */
void tl_attach_nonce(tl_attach_mark *m, const tl_leg *leg, tl_rand *rand,
                     uint8_t ret_nonce[TL_CONTROL_NONCE_SIZE]);
/* Is it the answer of that other node (`with`) to the question under way of this one (`self`)? An answer that
 * is not signed only tells a mark, which the next try bears; it is none. At most TL_ATTACH_PROOFS signatures are
 * checked for one question: whoever reads it may send any number of answers. */
bool tl_attach_is_answer(tl_attach_mark *m, const tl_leg *leg, const tl_node_id *self,
                         const tl_node_id *with, const tl_control *attached);
/* The question was answered with this nonce. True: this node is to attach again now, with a new mark. */
bool tl_attach_answered(tl_attach_mark *m, const uint8_t nonce[TL_CONTROL_NONCE_SIZE], tl_time now);

#endif
