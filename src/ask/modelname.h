/* modelname.h - replaces the model's name in a request's body, and nothing else of it. Pure. */
#ifndef TL_ASK_MODELNAME_H
#define TL_ASK_MODELNAME_H

#include "base/slice.h"

/* Appends `body` with the value of its one top-level "model" replaced by `name`; every other byte
 * stays as it is. TL_ERR_PROTO: not a JSON object with exactly one "model", which is a string.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_model_replace(tl_slice body, const char *name, tl_buf *out);

#endif
