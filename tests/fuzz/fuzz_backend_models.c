/* The list of models of a model server: what is taken from it is usable as a name. */
#include "backend/backend_models.h"

#include "ask/exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_backend_models m;
    const char *kind;
    if (tl_backend_models_parse(tl_slice_of(data, size), NULL, &m, &kind, NULL) != TL_OK)
        return 0;
    if (m.n > TL_BACKEND_MODELS_MAX)
        abort();
    for (size_t i = 0; i < m.n; i++) {
        size_t n = strlen(m.id[i]);
        if (n == 0 || n >= TL_MODEL_MAX || !tl_utf8_is(tl_slice_str(m.id[i])))
            abort();
    }
    if (!tl_backend_models_eq(&m, &m))
        abort();
    tl_backend_models_clear(&m);
    return 0;
}
