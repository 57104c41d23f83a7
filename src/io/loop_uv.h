/* loop_uv.h - what the other sources of this room need of a loop's inside. Not for other rooms. */
#ifndef TL_IO_LOOP_UV_H
#define TL_IO_LOOP_UV_H

#include "io/loop.h"

#include <uv.h>

uv_loop_t *tl_loop_uv(tl_loop *loop);
/* First thing in every callback from libuv: makes tl_loop_now true for this turn. */
void tl_loop_woke(tl_loop *loop);

#endif
