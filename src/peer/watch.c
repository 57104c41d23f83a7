#include "peer/watch.h"

#include <assert.h>

static void set_state(tl_watch *w, tl_watch_state state, tl_time look_at)
{
    assert((state == TL_WATCH_LOOKING) == (look_at != TL_NEVER));
    w->state = state;
    w->look_at = look_at;
    if (state == TL_WATCH_SILENT)
        w->doubt_at = TL_NEVER;
}

tl_watch tl_watch_new(tl_time now)
{
    return (tl_watch){
        .state = TL_WATCH_RESTING, .look_at = TL_NEVER, .doubt_at = TL_NEVER, .sign_at = now};
}

bool tl_watch_begin(tl_watch *w, uint64_t heard, tl_time now)
{
    if (w->state != TL_WATCH_RESTING)
        return false;
    w->heard = heard;
    w->quiet = 0;
    set_state(w, TL_WATCH_LOOKING, now + TL_WATCH_EVERY);
    return true;
}

bool tl_watch_doubts(const tl_watch *w)
{
    return w->doubt_at != TL_NEVER || w->state == TL_WATCH_SILENT;
}

bool tl_watch_doubt(tl_watch *w, tl_time within, uint64_t heard, tl_time now)
{
    if (w->state == TL_WATCH_SILENT || now + within >= w->doubt_at)
        return false;
    w->doubt_at = now + within;
    w->doubt_heard = heard;
    return true;
}

void tl_watch_sign(tl_watch *w, tl_time now)
{
    w->sign_at = now;
    w->doubt_at = TL_NEVER;
}

void tl_watch_excuse(tl_watch *w)
{
    if (w->state != TL_WATCH_SILENT)
        w->doubt_at = TL_NEVER;
}

static void look(tl_watch *w, uint64_t heard, bool busy, bool excused, tl_time now)
{
    if (!busy) {
        set_state(w, TL_WATCH_RESTING, TL_NEVER);
        return;
    }
    w->quiet = heard == w->heard && !excused ? w->quiet + 1 : 0;
    w->heard = heard;
    if (w->quiet < TL_WATCH_QUIET)
        set_state(w, TL_WATCH_LOOKING, now + TL_WATCH_EVERY);
    else
        set_state(w, TL_WATCH_SILENT, TL_NEVER);
}

tl_watch_state tl_watch_on_timer(tl_watch *w, uint64_t heard, bool busy, bool excused, tl_time now)
{
    if (now >= w->doubt_at && heard != w->doubt_heard)
        tl_watch_sign(w, now);
    if (now >= w->doubt_at)
        set_state(w, TL_WATCH_SILENT, TL_NEVER);
    else if (now >= w->look_at)
        look(w, heard, busy, excused, now);
    return w->state;
}

tl_time tl_watch_expiry(const tl_watch *w)
{
    return tl_time_min(w->look_at, w->doubt_at);
}
