#include "ask/places.h"

#include "ask/paths.h"

#include <assert.h>

tl_places tl_places_new(const tl_access *access, tl_time now)
{
    return (tl_places){.access = access, .guests = tl_guests_new(now)};
}

void tl_places_clear(tl_places *p)
{
    tl_guests_clear(&p->guests);
}

tl_fail tl_places_enter(tl_places *p, const tl_question_of *q, tl_time now, tl_guest **ret_guest,
                        const char **ret_why)
{
    static const tl_fail fails[] = {[TL_ACCESS_NOT_SHARED] = TL_FAIL_MODEL_NOT_LOADED,
                                    [TL_ACCESS_LEAVING] = TL_FAIL_UNAVAILABLE,
                                    [TL_ACCESS_NO_MEMBER] = TL_FAIL_FORBIDDEN,
                                    [TL_ACCESS_ENCRYPTED] = TL_FAIL_UNAVAILABLE,
                                    [TL_ACCESS_UNPROVEN] = TL_FAIL_FORBIDDEN};
    tl_access_verdict verdict = q->in_clear ? tl_access_for_old(p->access)
                                            : tl_access_for_peer(p->access, q->peer, q->network);
    if (verdict) {
        *ret_why = tl_access_words(verdict);
        return verdict < TL_ACCESS_NETWORK ? fails[verdict] : TL_FAIL_FORBIDDEN;
    }
    if (p->closed) {
        *ret_why = p->closed;
        return TL_FAIL_UNAVAILABLE;
    }
    if (!tl_ask_path_find(tl_slice_str(q->path))) {
        *ret_why = "this path of the model server is not shared";
        return TL_FAIL_FORBIDDEN;
    }
    if (!q->served) {
        *ret_why = "this node does not serve the model";
        return TL_FAIL_MODEL_NOT_LOADED;
    }
    if (p->running >= p->running_max) {
        *ret_why = "this node answers as many requests as it takes";
        return TL_FAIL_QUEUE_FULL;
    }
    tl_guest_key who = {*q->peer, q->in_clear};
    bool member = !q->in_clear && tl_access_is_member(p->access, q->peer);
    tl_guest *guest = tl_guests_enter(&p->guests, &who, member, p->running_max, now, ret_why);
    if (!guest)
        return TL_FAIL_QUEUE_FULL;
    p->running++;
    *ret_guest = guest;
    return TL_FAIL_COUNT;
}

const char *tl_places_charge(tl_places *p, tl_guest *guest, size_t n)
{
    const char *why = "this node has no memory for the request now";
    if (p->bodies + n > TL_PLACES_BODIES_MAX ||
        !tl_guests_take(&p->guests, guest, n, TL_PLACES_BODIES_MAX, &why))
        return why;
    p->bodies += n;
    return NULL;
}

void tl_places_discharge(tl_places *p, tl_guest *guest, size_t n)
{
    assert(p->bodies >= n);
    p->bodies -= n;
    tl_guests_return(&p->guests, guest, n);
}

void tl_places_leave(tl_places *p, tl_guest *guest, bool whole)
{
    assert(p->running);
    p->running--;
    tl_guests_leave(&p->guests, guest, whole);
}
