/* refusal.h - a model server's own refusal of a question (404, 429), told to somebody else than the
 * owner of that server: it says whose server it is. Pure. */
#ifndef TL_ASK_REFUSAL_H
#define TL_ASK_REFUSAL_H

#include "base/slice.h"

/* Appends `body`, an error in OpenAI's shape, with `whose` ("the model server of peer x") before its
 * message. Of another body such an error is made. TL_ERR_NOMEM, `out` as before. */
TL_CHECK tl_err tl_refusal_write(tl_slice body, int status, const char *whose, tl_buf *out);

#endif
