#include "backend/backend_models.h"

#include "ask/exchange.h"
#include "base/json.h"

#include <stdlib.h>
#include <strings.h>

#define LIST_DEPTH_MAX 32 /* vLLM nests permissions three deep */

void tl_backend_models_clear(tl_backend_models *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->id[i]);
    free(m->id);
    *m = (tl_backend_models){0};
}

bool tl_backend_models_eq(const tl_backend_models *a, const tl_backend_models *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->id[i], b->id[i]) != 0)
            return false;
    return true;
}

static bool is_name(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n >= TL_MODEL_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
            return false;
    return true;
}

static bool is_listed(const tl_backend_models *m, const char *id)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->id[i], id) == 0)
            return true;
    return false;
}

/* The kind of server. The table shows what these servers answer: Ollama 0.5, llama.cpp b4000, vLLM
 * 0.6, LM Studio 0.3, llama-cpp-python 0.3. */
static const char *kind_of(const json_t *data, const char *server_header)
{
    static const struct {
        const char *owned_by, *kind;
    } owners[] = {
        {"library", "Ollama"},
        {"llamacpp", "llama-server"},
        {"vllm", "vLLM"},
        {"organization_owner", "LM Studio"},
    };
    if (server_header && strncasecmp(server_header, "llama.cpp", 9) == 0)
        return "llama-server";
    const char *owner = tl_json_string(json_array_get(data, 0), "owned_by", "");
    if (server_header && strcasecmp(server_header, "uvicorn") == 0 && strcmp(owner, "me") == 0)
        return TL_BACKEND_ONE_AT_A_TIME;
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        if (strcmp(owners[i].owned_by, owner) == 0)
            return owners[i].kind;
    return NULL;
}

tl_err tl_backend_models_parse(tl_slice json, const char *server_header,
                               tl_backend_models *ret_models, const char **ret_kind, tl_why *why)
{
    static const char not_a_list[] = "its answer to /v1/models is not a list of models";
    tl_backend_models m = {0};
    json_t *root = NULL;
    tl_err e = tl_json_parse(json, LIST_DEPTH_MAX, &root, NULL);
    if (e != TL_OK)
        return e == TL_ERR_NOMEM ? e : tl_why_set(why, e, "%s", not_a_list);
    const json_t *data = json_object_get(root, "data");
    if (!json_is_array(data) && !(json_is_null(data) && json_object_get(root, "object"))) {
        e = tl_why_set(why, TL_ERR_PROTO, "%s", not_a_list);
        goto out;
    }
    if (strcmp(tl_json_string(json_array_get(data, 0), "owned_by", ""), "teale") == 0) {
        e = tl_why_set(why, TL_ERR_PROTO,
                       "it is a Teale node: to share it could send questions round in a circle");
        goto out;
    }
    size_t n = json_array_size(data);
    m.id = calloc(n ? n : 1, sizeof *m.id);
    if (!m.id) {
        e = TL_ERR_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < n && m.n < TL_BACKEND_MODELS_MAX; i++) {
        const char *id = tl_json_string(json_array_get(data, i), "id", "");
        if (!is_name(id) || is_listed(&m, id))
            continue;
        if (!(m.id[m.n] = strdup(id))) {
            e = TL_ERR_NOMEM;
            goto out;
        }
        m.n++;
    }
    *ret_kind = kind_of(data, server_header);
    *ret_models = m;
    m = (tl_backend_models){0};
out:
    tl_backend_models_clear(&m);
    json_decref(root);
    return e;
}
