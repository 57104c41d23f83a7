/* backend_probe.h - one look at a model server: does it answer /v1/models, with which models, and
 * which program is it? Asks over HTTP, reports once, keeps nothing. */
#ifndef TL_BACKEND_BACKEND_PROBE_H
#define TL_BACKEND_BACKEND_PROBE_H

#include "backend/backend_models.h"
#include "io/httpclient.h"

typedef struct tl_backend_probe tl_backend_probe;

typedef struct {
    const char *base; /* "http://127.0.0.1:11434": no slash and no /v1 at the end */
    const char *key;  /* bearer; "" = none */
    const char *kind; /* known from before: then it is not asked for; NULL = find out */
    tl_time limit;    /* of each request: connection, answer, silence */
} tl_backend_probe_ask;

/* TL_OK with models (taken by whoever wants them: set n to 0 and id to NULL) and kind. Else `why`
 * for a person; TL_ERR_AUTH: it wants a key, or another one; TL_ERR_PROTO: something else answers
 * there; and the errors of a request (io/httpclient.h). */
typedef void (*tl_backend_probe_done)(void *user, tl_err e, tl_backend_models *models,
                                      const char *kind, const char *why);

/* Copies what it is given. on_done comes once, never from inside, and the handle is invalid then.
 * TL_ERR_INVALID with `why`: the URL. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_probe_start(tl_http *http, const tl_backend_probe_ask *ask,
                                       tl_backend_probe_done on_done, void *user,
                                       tl_backend_probe **ret_probe, tl_why *why);
/* Ends it without a call. */
void tl_backend_probe_cancel(tl_backend_probe *p);

#endif
