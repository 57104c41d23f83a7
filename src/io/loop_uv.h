/* loop_uv.h - what the other sources of this room need from the inside of a loop. No other room may
 * include it. */
#ifndef TL_IO_LOOP_UV_H
#define TL_IO_LOOP_UV_H

#include "io/loop.h"

#include <uv.h>

uv_loop_t *tl_loop_uv(tl_loop *loop);
/* Every callback from libuv calls this first: it makes tl_loop_now true for this turn. */
void tl_loop_woke(tl_loop *loop);
/* Has `fn` called at the begin of each turn, with the time and with when the turn had to begin at the
 * latest (TL_NEVER: no timer was set). It may only read and defer. NULL: nothing is called. */
void tl_loop_on_turn(tl_loop *loop, void (*fn)(void *user, tl_time now, tl_time alarm), void *user);

#endif
