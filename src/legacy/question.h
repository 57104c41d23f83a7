/* question.h - a client's chat request as the old protocol carries it: its bytes as they are, but
 * for two members. Pure text; sends nothing. */
#ifndef TL_LEGACY_QUESTION_H
#define TL_LEGACY_QUESTION_H

#include "base/slice.h"

/* Appends `body` with "stop" as an array (old nodes drop a request where it is a string) and
 * "stream" true (they answer in chunks, whatever was asked). TL_ERR_PROTO: it is not strict JSON, or
 * has one of the two twice; old nodes would drop it. TL_ERR_NOMEM. `out` is then as before. */
TL_CHECK tl_err tl_legacy_question_write(tl_buf *out, tl_slice body);

#endif
