#include "api/state.h"

#include <stdlib.h>

/* One request that waits for a fresh list of nodes and models. */
typedef struct {
    tl_api *api;
    tl_httpd_req *r;
    void (*answer)(tl_api *api, tl_httpd_req *r);
    tl_node_look look;
} waiting;

static void on_gone(void *user)
{
    waiting *w = user;
    tl_node_unlook(&w->look);
    free(w);
}

static void on_done(void *user)
{
    waiting w = *(waiting *)user;
    free(user);
    tl_httpd_watch(w.r, NULL, NULL); /* `answer` answers it now, or watches it itself */
    w.answer(w.api, w.r);
}

void tl_api_after_look(tl_api *api, tl_httpd_req *r, void (*answer)(tl_api *api, tl_httpd_req *r))
{
    static const tl_httpd_watch_events watch = {.on_gone = on_gone};
    waiting *w = calloc(1, sizeof *w);
    if (!w) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
        return;
    }
    *w = (waiting){.api = api, .r = r, .answer = answer};
    tl_httpd_watch(r, &watch, w);
    tl_node_look_start(api->node, &w->look, on_done, w);
}

void tl_api_on_models(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_models);
}

void tl_api_on_model(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_model);
}

void tl_api_on_app(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_app);
}

void tl_api_on_peers(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_peers);
}

void tl_api_on_why(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_why);
}

void tl_api_on_control_models(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, tl_api_answer_control_models);
}

/* --- the same for a fresh round of STUN --- */

typedef struct {
    tl_api *api;
    tl_httpd_req *r;
    void (*answer)(tl_api *api, tl_httpd_req *r);
    tl_node_netlook look;
} net_waiting;

static void on_net_gone(void *user)
{
    net_waiting *w = user;
    tl_node_unnetlook(&w->look);
    free(w);
}

static void on_net_done(void *user)
{
    net_waiting w = *(net_waiting *)user;
    free(user);
    tl_httpd_watch(w.r, NULL, NULL);
    w.answer(w.api, w.r);
}

static void after_netlook(tl_api *api, tl_httpd_req *r,
                          void (*answer)(tl_api *api, tl_httpd_req *r))
{
    static const tl_httpd_watch_events watch = {.on_gone = on_net_gone};
    net_waiting *w = calloc(1, sizeof *w);
    if (!w) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
        return;
    }
    *w = (net_waiting){.api = api, .r = r, .answer = answer};
    tl_httpd_watch(r, &watch, w);
    tl_node_netlook_start(api->node, &w->look, on_net_done, w);
}

void tl_api_on_netcheck(tl_api *api, tl_httpd_req *r)
{
    after_netlook(api, r, tl_api_answer_netcheck);
}

void tl_api_on_doctor(tl_api *api, tl_httpd_req *r)
{
    after_netlook(api, r, tl_api_answer_doctor);
}
