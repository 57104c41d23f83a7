/* waiting.h - shows that a command which waits moves: on a terminal after half a second a live line with what it
 * waits for and the seconds; elsewhere a plain line on standard error after 5 s, and each 10 s from then. With --json
 * nothing. Never reads a clock: whoever waits says how long. */
#ifndef TL_CLI_WAITING_H
#define TL_CLI_WAITING_H

#include "base/time.h"
#include "cli/cli.h"

#define TL_WAITING_LIVE                                                                            \
    (500 * TL_MS) /* quicker than this needs no line, which would only flicker */
#define TL_WAITING_FIRST (5 * TL_SEC) /* a plain line stays, and so shall be worth reading */
#define TL_WAITING_EVERY (10 * TL_SEC)

typedef struct {
    bool silent; /* --json */
    char what[120];
    tl_time plain_at; /* the next plain line */
    bool shown;       /* a live line is on the terminal */
} tl_waiting;

/* Nothing is shown yet. `what` completes "waiting for". */
tl_waiting tl_waiting_for(const tl_cli *cli, const char *fmt, ...) TL_PRINTF(2, 3);
/* It waits for something else now. */
void tl_waiting_say(tl_waiting *w, const char *fmt, ...) TL_PRINTF(2, 3);
/* `waited`: since the beginning. */
void tl_waiting_tick(tl_waiting *w, tl_time waited);
/* Removes a live line: before anything else is printed. */
void tl_waiting_end(tl_waiting *w);

#endif
