/* backend_probe.h - one look at a model server: does it answer /v1/models, which models does it
 * have, and which program is it? Asks over HTTP, reports once, keeps nothing. */
#ifndef TL_BACKEND_BACKEND_PROBE_H
#define TL_BACKEND_BACKEND_PROBE_H

#include "backend/backend_models.h"
#include "io/httpclient.h"

typedef struct tl_backend_probe tl_backend_probe;

typedef struct {
    const char *base; /* "http://127.0.0.1:11434": no slash and no /v1 at the end */
    const char *key;  /* bearer key; "" = none */
    const char *kind; /* the kind, if it is known from before; NULL = find out */
    tl_time limit;    /* for each request: connection, answer, silence */
} tl_backend_probe_ask;

/* TL_OK comes with the models and the kind. The callee may take the models over: it then sets n to
 * 0 and id to NULL. Other errors come with `why` for a person. TL_ERR_FORBIDDEN: the server wants a
 * key, or another key. TL_ERR_PROTO, TL_ERR_TOO_LARGE: something else answers there. TL_ERR_BUSY:
 * it says "not now". The errors of a request (io/httpclient.h) come too. */
typedef void (*tl_backend_probe_done)(void *user, tl_err e, tl_backend_models *models,
                                      const char *kind, const char *why);

/* Copies what it is given. on_done comes once, never from inside this call; the handle is invalid
 * by then. TL_ERR_INVALID with `why`: the URL is wrong. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_probe_start(tl_http *http, const tl_backend_probe_ask *ask,
                                       tl_backend_probe_done on_done, void *user,
                                       tl_backend_probe **ret_probe, tl_why *why);
/* Ends the look; on_done does not come. */
void tl_backend_probe_cancel(tl_backend_probe *p);

#endif
