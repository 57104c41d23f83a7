/* backend_models.h - the list that a model server answers to GET /v1/models, and what it tells of
 * the kind of server. Parses bytes and compares; touches nothing else. */
#ifndef TL_BACKEND_BACKEND_MODELS_H
#define TL_BACKEND_BACKEND_MODELS_H

#include "base/slice.h"

#define TL_BACKEND_MODELS_MAX 1024u /* kept of one list; the largest hosters list some hundred */
#define TL_BACKEND_LIST_MAX   (1u << 20) /* bytes of one list: about 1 KiB for each of them */

typedef struct {
    size_t n;
    char **id;
} tl_backend_models;

void tl_backend_models_clear(tl_backend_models *m);
/* Same names in the same order. */
bool tl_backend_models_eq(const tl_backend_models *a, const tl_backend_models *b);

/* Reads `{"object":"list","data":[{"id":...}]}`; `data` null is an empty list (Ollama without
 * models). A name that is empty, over TL_MODEL_MAX - 1 bytes, has control characters, or came
 * before is left out; so is what follows TL_BACKEND_MODELS_MAX names. *ret_kind is the server's
 * name where the list or `server_header` (NULL: there is none) gives it away, else NULL; static
 * storage. TL_ERR_PROTO with `why`, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_models_parse(tl_slice json, const char *server_header,
                                        tl_backend_models *ret_models, const char **ret_kind,
                                        tl_why *why);

#endif
