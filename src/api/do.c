/* What the command line and the pages have the node do (node/verbs.c). */
#include "api/state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    tl_api *api;
    tl_httpd_req *r;
    tl_call *call; /* NULL: answered */
    tl_timer late; /* runs where the caller wants an answer in time */
    bool control;  /* for the command line: with the code as it is, and the exit code */
} doing;

static void answer_control(const doing *d, const tl_node_failure *f)
{
    tl_api_json(d->api, d->r, f->status,
                json_pack("{s:{s:s, s:i, s:s}}", "error", "code", f->code, "exit", f->exit,
                          "message", f->message));
}

/* "E_INVITE_USED" is "invite_used" in HTTP. */
static void answer_page(const doing *d, const tl_node_failure *f)
{
    char code[48];
    size_t n = 0;
    for (const char *p = f->code + 2; *p && n < sizeof code - 1; p++)
        code[n++] = (char)tolower((unsigned char)*p);
    code[n] = 0;
    tl_api_error(d->api, d->r, f->status, code, NULL, "%s", f->message);
}

static void on_done(void *user, json_t *result, const tl_node_failure *f)
{
    doing *d = user;
    d->call = NULL;
    tl_timer_stop(&d->late);
    tl_httpd_watch(d->r, NULL, NULL);
    if (!f)
        tl_api_json(d->api, d->r, 200, json_incref(result));
    else if (d->control)
        answer_control(d, f);
    else
        answer_page(d, f);
    free(d);
}

static void on_gone(void *user)
{
    doing *d = user;
    tl_timer_stop(&d->late);
    tl_node_uncall(d->call);
    free(d);
}

static void on_late(void *user)
{
    doing *d = user;
    tl_node_uncall(d->call);
    tl_httpd_watch(d->r, NULL, NULL);
    tl_api_error(d->api, d->r, 504, "timeout", NULL,
                 "it is not done yet; the node goes on trying and finishes by itself");
    free(d);
}

static void start(tl_api *api, tl_httpd_req *r, const char *verb, const json_t *args, bool control,
                  tl_time within)
{
    static const tl_httpd_watch_events watch = {.on_gone = on_gone};
    doing *d = calloc(1, sizeof *d);
    if (d)
        *d = (doing){.api = api, .r = r, .control = control};
    if (d)
        tl_timer_init(&d->late, api->loop, on_late, d);
    tl_err e = d ? tl_node_call(api->node, verb, args, on_done, d, &d->call) : TL_ERR_NOMEM;
    if (!e) {
        tl_httpd_watch(r, &watch, d);
        if (within != TL_NEVER)
            tl_timer_set(&d->late, tl_loop_now(api->loop) + within);
        return;
    }
    free(d);
    if (e == TL_ERR_NOT_FOUND)
        tl_api_error(api, r, 404, "unknown_verb", "verb",
                     "this node cannot do that: it is of another version than the command");
    else if (e == TL_ERR_BUSY)
        tl_api_error(api, r, 429, "queue_full", NULL, "too many commands are running");
    else
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
}

void tl_api_do(tl_api *api, tl_httpd_req *r, const char *verb, const json_t *args, bool control)
{
    start(api, r, verb, args, control, TL_NEVER);
}

void tl_api_do_within(tl_api *api, tl_httpd_req *r, const char *verb, const json_t *args,
                      tl_time within)
{
    start(api, r, verb, args, false, within);
}

void tl_api_on_do(tl_api *api, tl_httpd_req *r)
{
    json_t *asked = NULL;
    tl_why why;
    const char *verb = NULL;
    if (!tl_json_parse(tl_httpd_body(r), 8, &asked, &why))
        verb = tl_json_string(asked, "verb", NULL);
    json_t *args = json_object_get(asked, "args");
    if (verb && json_is_object(args))
        tl_api_do(api, r, verb, args, true);
    else
        tl_api_error(api, r, 400, "invalid_json", NULL,
                     "the body must be {\"verb\": \"name\", \"args\": {}}");
    json_decref(asked);
}
