#include "backend/backend_probe.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#define BASE_MAX 512

/* The list comes first. If it does not show the kind, then paths follow that only one kind
 * answers. */
typedef struct {
    const char *path;
    const char *kind;
    const char *field; /* the JSON object must have this field */
} step;

static const step steps[] = {
    {"/v1/models", NULL, NULL},
    {"/api/version", "Ollama", "version"},
    {"/props", "llama-server", "default_generation_settings"},
    {"/version", "vLLM", "version"},
    {"/api/v0/models", "LM Studio", "data"},
};
#define STEPS (sizeof steps / sizeof steps[0])

struct tl_backend_probe {
    tl_http *http;
    tl_http_request *request;
    tl_backend_probe_done on_done;
    void *user;
    char base[BASE_MAX], *authorization;
    tl_time limit;
    size_t step;
    int status;
    char server[128];
    tl_buf body;
    bool body_too_large;
    tl_backend_models models;
    const char *kind;
};

static void probe_free(tl_backend_probe *p)
{
    if (p->request)
        tl_http_cancel(p->request);
    if (p->authorization) {
        explicit_bzero(p->authorization, strlen(p->authorization));
        free(p->authorization);
    }
    tl_backend_models_clear(&p->models);
    tl_buf_clear(&p->body);
    free(p);
}

static void report(tl_backend_probe *p, tl_err e, const char *why)
{
    if (e == TL_OK && !p->kind)
        p->kind = "OpenAI-compatible";
    p->on_done(p->user, e, &p->models, p->kind, why);
    probe_free(p);
}

static void on_head(void *user, int status, const tl_http_head *head)
{
    tl_backend_probe *p = user;
    const char *server = tl_http_head_field(head, "Server");
    p->status = status;
    snprintf(p->server, sizeof p->server, "%s", server ? server : "");
}

static void on_body(void *user, tl_slice bytes)
{
    tl_backend_probe *p = user;
    if (p->body.len + bytes.n > TL_BACKEND_LIST_MAX || tl_buf_append(&p->body, bytes) != TL_OK) {
        p->body_too_large = true;
        tl_buf_clear(&p->body);
    }
}

/* A server that is loading a model, or is overloaded, may answer soon. */
static bool is_not_now(int status)
{
    return status == 429 || status >= 500;
}

static tl_err judge_list(tl_backend_probe *p, tl_why *why)
{
    if (p->status == 401 || p->status == 403)
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          p->authorization ? "it refuses the key" : "it wants a key");
    if (p->status != 200)
        return tl_why_set(why, is_not_now(p->status) ? TL_ERR_BUSY : TL_ERR_PROTO,
                          "it answers /v1/models with status %d", p->status);
    if (p->body_too_large)
        return tl_why_set(why, TL_ERR_TOO_LARGE, "its list of models is over %u bytes",
                          TL_BACKEND_LIST_MAX);
    const char *kind = NULL;
    tl_err e = tl_backend_models_parse(tl_buf_slice(&p->body), p->server, &p->models, &kind, why);
    if (e == TL_OK && !p->kind)
        p->kind = kind;
    return e;
}

/* Does the answer show the kind that the step asks about? */
static bool shows_kind(const tl_backend_probe *p)
{
    json_t *root = NULL;
    if (p->status != 200 || p->body_too_large ||
        tl_json_parse(tl_buf_slice(&p->body), 32, &root, NULL) != TL_OK)
        return false;
    bool has = json_object_get(root, steps[p->step].field);
    json_decref(root);
    return has;
}

static tl_err ask_step(tl_backend_probe *p, tl_why *why);

static void on_done(void *user, tl_err e, const char *text)
{
    tl_backend_probe *p = user;
    tl_why why = {0};
    p->request = NULL;
    if (p->step == 0) {
        snprintf(why.text, sizeof why.text, "%s", text);
        if (e == TL_OK)
            e = judge_list(p, &why);
        if (e != TL_OK) {
            report(p, e, why.text);
            return;
        }
    } else if (e == TL_OK && shows_kind(p)) {
        p->kind = steps[p->step].kind;
    }
    /* A server that does not know the question may take long to say so: one timeout is enough. */
    if (p->kind || e == TL_ERR_TIMEOUT || ++p->step == STEPS || ask_step(p, NULL) != TL_OK)
        report(p, TL_OK, "");
}

static tl_err ask_step(tl_backend_probe *p, tl_why *why)
{
    static const tl_http_events events = {on_head, on_body, on_done};
    char url[BASE_MAX + 32];
    snprintf(url, sizeof url, "%s%s", p->base, steps[p->step].path);
    p->status = 0;
    p->body_too_large = false;
    tl_buf_clear(&p->body);
    tl_http_ask ask = tl_http_ask_default();
    ask.url = url;
    ask.connect = ask.first_byte = ask.silence = p->limit;
    if (p->authorization)
        ask.fields[0] = (tl_http_field){"Authorization", p->authorization};
    return tl_http_start(p->http, &ask, &events, p, &p->request, why);
}

tl_err tl_backend_probe_start(tl_http *http, const tl_backend_probe_ask *ask,
                              tl_backend_probe_done on_probe_done, void *user,
                              tl_backend_probe **ret_probe, tl_why *why)
{
    tl_backend_probe *p = calloc(1, sizeof *p);
    if (!p)
        return TL_ERR_NOMEM;
    *p = (tl_backend_probe){.http = http,
                            .on_done = on_probe_done,
                            .user = user,
                            .limit = ask->limit,
                            .kind = ask->kind};
    tl_err e = TL_ERR_NOMEM;
    snprintf(p->base, sizeof p->base, "%s", ask->base);
    if (ask->key[0] && asprintf(&p->authorization, "Bearer %s", ask->key) < 0)
        p->authorization = NULL;
    else
        e = ask_step(p, why);
    if (e != TL_OK) {
        probe_free(p);
        return e;
    }
    *ret_probe = p;
    return TL_OK;
}

void tl_backend_probe_cancel(tl_backend_probe *p)
{
    probe_free(p);
}
