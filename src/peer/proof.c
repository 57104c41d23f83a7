#include "peer/proof.h"

#include <assert.h>

static void set_state(tl_proof *f, tl_proof_state state)
{
    assert(state != TL_PROOF_BARREN || f->state != TL_PROOF_RESTING);
    f->state = state;
}

tl_proof tl_proof_new(void)
{
    return (tl_proof){.state = TL_PROOF_RESTING, .look_at = TL_NEVER};
}

void tl_proof_begin(tl_proof *f, uint64_t heard, tl_time now)
{
    if (f->state != TL_PROOF_RESTING)
        return;
    f->heard = heard;
    f->quiet = 0;
    f->look_at = now + TL_PROOF_EVERY;
    set_state(f, TL_PROOF_LOOKING);
}

void tl_proof_end(tl_proof *f)
{
    f->look_at = TL_NEVER;
    set_state(f, TL_PROOF_RESTING);
}

bool tl_proof_is_due(const tl_proof *f, tl_time now)
{
    assert((f->state == TL_PROOF_RESTING) == (f->look_at == TL_NEVER));
    return now >= f->look_at;
}

bool tl_proof_look(tl_proof *f, uint64_t heard, bool unanswered, tl_time rtt, tl_time now)
{
    assert(f->state != TL_PROOF_RESTING);
    bool vain = heard == f->heard || unanswered;
    f->heard = heard;
    f->look_at = now + TL_PROOF_EVERY;
    if (!vain) {
        f->quiet = 0;
        set_state(f, TL_PROOF_LOOKING);
        return false;
    }
    if (++f->quiet < TL_PROOF_QUIET + rtt / TL_PROOF_EVERY)
        return false;
    f->quiet = 0;
    set_state(f, TL_PROOF_BARREN);
    return true;
}

tl_time tl_proof_expiry(const tl_proof *f)
{
    return f->look_at;
}
