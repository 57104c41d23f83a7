#include "backend/backend_slots.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#define DEPTH 32

/* Where each kind tells it: llama-server {"total_slots": n}; vLLM
 * {"vllm_config": {"scheduler_config": {"max_num_seqs": n}}}. */
static const struct {
    const char *kind, *path;
    const char *keys[3];
} tellers[] = {
    {"llama-server", "/props", {"total_slots"}},
    {"vLLM",
     "/server_info?config_format=json",
     {"vllm_config", "scheduler_config", "max_num_seqs"}},
};
#define TELLERS (sizeof tellers / sizeof *tellers)

struct tl_backend_slots_look {
    tl_http_request *request;
    void (*on_done)(void *user, unsigned slots);
    void *user;
    size_t teller;
    int status;
    tl_buf body;
};

static size_t find(const char *kind)
{
    size_t i = 0;
    while (i < TELLERS && strcmp(tellers[i].kind, kind) != 0)
        i++;
    return i;
}

bool tl_backend_slots_askable(const char *kind)
{
    return find(kind) < TELLERS;
}

unsigned tl_backend_slots_parse(const char *kind, tl_slice json)
{
    size_t t = find(kind);
    json_t *root = NULL;
    if (t == TELLERS || tl_json_parse(json, DEPTH, &root, NULL))
        return 0;
    const json_t *at = root;
    for (size_t i = 0; i < 3 && tellers[t].keys[i]; i++)
        at = json_object_get(at, tellers[t].keys[i]);
    json_int_t n = json_integer_value(at); /* 0 for what is no whole number */
    json_decref(root);
    return n < 1 ? 0 : n > TL_BACKEND_SLOTS_MAX ? TL_BACKEND_SLOTS_MAX : (unsigned)n;
}

static void look_free(tl_backend_slots_look *l)
{
    if (l->request)
        tl_http_cancel(l->request);
    tl_buf_clear(&l->body);
    free(l);
}

static void report(tl_backend_slots_look *l, unsigned slots)
{
    void (*on_done)(void *user, unsigned slots) = l->on_done;
    void *user = l->user;
    look_free(l);
    on_done(user, slots);
}

static void on_head(void *user, int status, const tl_http_head *head)
{
    (void)head;
    ((tl_backend_slots_look *)user)->status = status;
}

static void on_body(void *user, tl_slice bytes)
{
    tl_backend_slots_look *l = user;
    if (l->body.len + bytes.n > TL_BACKEND_SLOTS_BYTES || tl_buf_append(&l->body, bytes))
        report(l, 0);
}

static void on_done(void *user, tl_err e, const char *why)
{
    tl_backend_slots_look *l = user;
    (void)why;
    l->request = NULL;
    bool told = !e && l->status == 200;
    report(l, told ? tl_backend_slots_parse(tellers[l->teller].kind, tl_buf_slice(&l->body)) : 0);
}

tl_err tl_backend_slots_start(tl_http *http, const char *base, const char *key, const char *kind,
                              tl_time limit, void (*on_slots)(void *user, unsigned slots),
                              void *user, tl_backend_slots_look **ret_look)
{
    static const tl_http_events events = {on_head, on_body, on_done};
    char url[600], authorization[1100];
    tl_backend_slots_look *l = calloc(1, sizeof *l);
    if (!l)
        return TL_ERR_NOMEM;
    *l = (tl_backend_slots_look){.on_done = on_slots, .user = user, .teller = find(kind)};
    tl_http_ask ask = tl_http_ask_default();
    int url_n =
        l->teller < TELLERS ? snprintf(url, sizeof url, "%s%s", base, tellers[l->teller].path) : -1;
    int key_n = snprintf(authorization, sizeof authorization, "Bearer %s", key);
    ask.url = url;
    ask.connect = ask.first_byte = ask.silence = limit;
    if (key[0])
        ask.fields[0] = (tl_http_field){"Authorization", authorization};
    bool fits = url_n > 0 && url_n < (int)sizeof url && key_n < (int)sizeof authorization;
    tl_err e = fits ? tl_http_start(http, &ask, &events, l, &l->request, NULL) : TL_ERR_INVALID;
    explicit_bzero(authorization, sizeof authorization);
    if (e)
        look_free(l);
    else
        *ret_look = l;
    return e;
}

void tl_backend_slots_cancel(tl_backend_slots_look *l)
{
    look_free(l);
}
