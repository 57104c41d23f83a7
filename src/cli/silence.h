/* silence.h - shows that in the middle of an answer no word comes, for how long, and why: on a terminal by a live line
 * below the text, which goes when words come; elsewhere by a plain line on standard error after 5 s, and each 10 s from
 * then. With --json nothing. Never reads a clock. */
#ifndef TL_CLI_SILENCE_H
#define TL_CLI_SILENCE_H

#include "base/time.h"
#include <stdbool.h>

typedef struct {
    char who[96];    /* "": words come */
    const char *why; /* a literal, with its own comma; "": nothing more is known */
    tl_time since, plain_at;
    bool shown; /* a live line is on the terminal */
} tl_silence;

/* No word has come from `who` since then, or there is another cause now. */
void tl_silence_say(tl_silence *s, const char *who, const char *why, tl_time since);
/* Time has passed. */
void tl_silence_tick(tl_silence *s, tl_time now);
/* Words come again, or never will: before anything else is printed. */
void tl_silence_end(tl_silence *s);

#endif
