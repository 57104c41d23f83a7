#include "cli/silence.h"

#include "cli/waiting.h"

void tl_silence_say(tl_silence *s, const char *who, const char *why, tl_time since)
{
    if (!*s->who)
        s->plain_at = TL_WAITING_FIRST;
    snprintf(s->who, sizeof s->who, "%s", who);
    s->why = why;
    s->since = since;
}

void tl_silence_tick(tl_silence *s, tl_time now)
{
    bool live = tl_out_is_live(stderr);
    tl_time quiet = now - s->since;
    unsigned seconds = (unsigned)(quiet / TL_SEC);
    if (!*s->who || (!live && quiet < s->plain_at))
        return;
    if (live) {
        tl_progress_below("no word from %s for %u s%s", s->who, seconds, s->why);
        s->shown = true;
    } else {
        tl_out_note("no word from %s for %u s%s", s->who, seconds, s->why);
        s->plain_at = quiet + TL_WAITING_EVERY;
    }
}

void tl_silence_end(tl_silence *s)
{
    if (s->shown)
        tl_progress_clear();
    s->shown = false;
    *s->who = 0;
}
