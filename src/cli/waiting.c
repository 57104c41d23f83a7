#include "cli/waiting.h"

#include <stdarg.h>

void tl_waiting_say(tl_waiting *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->what, sizeof w->what, fmt, ap);
    va_end(ap);
}

tl_waiting tl_waiting_for(const tl_cli *cli, const char *fmt, ...)
{
    tl_waiting w = {.silent = cli->json, .plain_at = TL_WAITING_FIRST};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w.what, sizeof w.what, fmt, ap);
    va_end(ap);
    return w;
}

void tl_waiting_tick(tl_waiting *w, tl_time waited)
{
    bool live = tl_out_is_live(stderr);
    unsigned seconds = (unsigned)(waited / TL_SEC);
    if (w->silent || !*w->what || waited < (live ? TL_WAITING_LIVE : w->plain_at))
        return;
    if (live) {
        tl_progress_note("waiting for %s: %u s", w->what, seconds);
        w->shown = true;
    } else {
        tl_out_note("waiting for %s: %u s", w->what, seconds);
        w->plain_at = waited + TL_WAITING_EVERY;
    }
}

void tl_waiting_end(tl_waiting *w)
{
    if (w->shown)
        tl_progress_clear();
    w->shown = false;
}
