/* backend_models.h - the list with which a model server answers GET /v1/models, and what the list
 * tells about the kind of server. Parses and compares; touches no network and no file. */
#ifndef TL_BACKEND_BACKEND_MODELS_H
#define TL_BACKEND_BACKEND_MODELS_H

#include "base/slice.h"

#define TL_BACKEND_MODELS_MAX                                                                      \
    1024u                              /* names kept from one list; the largest hosters list some
                                       hundred */
#define TL_BACKEND_LIST_MAX (1u << 20) /* bytes of one list: about 1 KiB for each name */

/* The kind that breaks off an answer when it is asked for anything beside it. */
#define TL_BACKEND_ONE_AT_A_TIME "llama-cpp-python"

typedef struct {
    size_t n;
    char **id;
} tl_backend_models;

void tl_backend_models_clear(tl_backend_models *m);
/* True: both have the same names in the same order. */
bool tl_backend_models_eq(const tl_backend_models *a, const tl_backend_models *b);

/* Reads `{"object":"list","data":[{"id":...}]}`; `data` null is an empty list (Ollama without
 * models). A name is left out if it is empty, longer than TL_MODEL_MAX - 1 bytes, has control
 * characters, or came before. Names after the first TL_BACKEND_MODELS_MAX are left out too.
 * *ret_kind is the name of the server program if the list or `server_header` (NULL: there is none)
 * shows it, else NULL; it is static. TL_ERR_PROTO with `why`, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_backend_models_parse(tl_slice json, const char *server_header,
                                        tl_backend_models *ret_models, const char **ret_kind,
                                        tl_why *why);

#endif
