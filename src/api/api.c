#include "api/state.h"

#include "base/log.h"
#include "io/owner.h"

#include <stdio.h>
#include <stdlib.h>

/* --- making --- */

tl_api_config tl_api_config_default(void)
{
    tl_httpd_config httpd = tl_httpd_config_default();
    return (tl_api_config){
        .head_timeout = httpd.head,
        .body_timeout = httpd.body,
        .idle_timeout = httpd.idle,
        .stalled_timeout = httpd.stalled,
        .scan_wait = 5 * TL_SEC,
        .join_wait = 30 * TL_SEC,
        .heartbeat = 25 * TL_SEC,
        .queue_first = 2 * TL_SEC,
        .queue_every = 5 * TL_SEC,
        .queue_look = 1 * TL_SEC,
        .wait_first = 15 * TL_SEC,
        .wait_every = 10 * TL_SEC,
        .silent_first = 3 * TL_SEC,
        .silent_every = 5 * TL_SEC,
        .connections_max = httpd.connections_max,
    };
}

static void base_url_set(tl_api *api, const tl_addr *real)
{
    static const uint8_t any[16];
    tl_addr shown = *real;
    char text[TL_ADDR_TEXT_MAX];
    if (memcmp(shown.bytes, any, sizeof any) == 0) {
        static const uint8_t loopback4[4] = {127, 0, 0, 1};
        bool v4 = shown.family == TL_ADDR_V4;
        memcpy(shown.bytes, v4 ? loopback4 : any, 4);
        if (!v4)
            shown.bytes[15] = 1;
    }
    tl_addr_write(text, &shown);
    snprintf(api->base_url, sizeof api->base_url, "http://%s/v1", text);
    api->port = real->port;
}

/* Says more where the port is another user's: what is sent there does not come to this node. */
static tl_err taken(const tl_addr *a, tl_why *why)
{
    char text[TL_ADDR_TEXT_MAX], name[TL_OWNER_TEXT_MAX];
    uid_t user;
    if (!tl_owner_other_listens(a->port, &user))
        return TL_ERR_EXISTS;
    tl_addr_write(text, a);
    tl_owner_write(user, name);
    return tl_why_set(
        why, TL_ERR_EXISTS,
        "cannot listen on %s: a program of the user %s listens there, and gets what "
        "your browser and your programs send to that address: end it, or choose "
        "another port (teale config set api_listen HOST:PORT). With `teale up --boot` "
        "the node has its port before others log in",
        text, name);
}

static tl_err listen_all(tl_api *api, tl_why *why)
{
    for (size_t i = 0; i < api->config.listen_n; i++) {
        tl_addr *a = &api->config.listen[i], real;
        bool loopback = tl_addr_is_loopback(a);
        if (!loopback && (!api->config.key[0] || !api->config.client_key[0]))
            return tl_why_set(why, TL_ERR_INVALID, "listening beyond loopback needs an API key");
        tl_err e = tl_httpd_listen(api->httpd, a,
                                   loopback ? TL_API_DOOR_LOOPBACK : TL_API_DOOR_OTHER, &real, why);
        if (e)
            return e == TL_ERR_EXISTS ? taken(a, why) : e;
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, &real);
        if (!loopback)
            tl_log(TL_LOG_WARN,
                   "api: %s is reachable beyond this machine; the API key is asked for there, and "
                   "nothing is encrypted: prefer a tunnel",
                   text);
        if (i == 0)
            base_url_set(api, &real);
    }
    tl_err e = TL_OK;
    tl_why second = {""};
    for (size_t i = 0; i < TL_API_UNIX_MAX && !e; i++)
        if (api->config.unix_path[i])
            e = tl_httpd_listen_unix(api->httpd, api->config.unix_path[i], TL_API_DOOR_UNIX,
                                     i ? &second : why);
    if (e && second.text[0]) {
        /* Commands of the same login find the first. */
        tl_log(TL_LOG_WARN, "api: %s; commands of other sessions will not find this node",
               second.text);
        e = TL_OK;
    }
    return e;
}

static void on_deadline(void *user)
{
    tl_api *api = user;
    if (api->drained)
        return;
    api->drained = true;
    api->on_drained(api->drained_user);
}

tl_err tl_api_new(tl_loop *loop, tl_node *node, const tl_api_config *config, tl_api **ret_api,
                  tl_why *why)
{
    static const tl_httpd_events events = {
        .on_head = tl_api_on_head,
        .on_request = tl_api_on_request,
        .on_refusal = tl_api_on_refusal,
        .refusal_type = "application/json",
    };
    tl_httpd_config httpd = tl_httpd_config_default();
    httpd.head = config->head_timeout;
    httpd.body = config->body_timeout;
    httpd.idle = config->idle_timeout;
    httpd.stalled = config->stalled_timeout;
    httpd.connections_max = config->connections_max;
    httpd.body_max = TL_BODY_MAX;
    tl_api *api = calloc(1, sizeof *api);
    if (!api)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    api->loop = loop;
    api->node = node;
    api->config = *config;
    api->started = tl_loop_unix();
    api->rand = tl_rand_system();
    tl_timer_init(&api->deadline, loop, on_deadline, api);
    tl_api_events_init(api);
    tl_err e = tl_httpd_new(loop, &httpd, &events, api, &api->httpd);
    if (!e)
        e = listen_all(api, why);
    memset(api->config.unix_path, 0, sizeof api->config.unix_path); /* they were borrowed */
    if (e) {
        tl_api_free(api);
        return e;
    }
    *ret_api = api;
    return TL_OK;
}

void tl_api_free(tl_api *api)
{
    if (!api)
        return;
    api->drained = true;
    tl_timer_stop(&api->deadline);
    tl_httpd_free(api->httpd);
    tl_api_events_clear(api);
    free(api);
}

uint16_t tl_api_port(const tl_api *api)
{
    return api->port;
}

const char *tl_api_base_url(const tl_api *api)
{
    return api->base_url;
}

void tl_api_set_allowed(tl_api *api, const tl_string_list *hosts, const tl_string_list *origins)
{
    api->config.allowed_hosts = *hosts;
    api->config.allowed_origins = *origins;
}

/* --- draining --- */

static void on_httpd_drained(void *user)
{
    tl_api *api = user;
    tl_timer_set(&api->deadline, TL_NEVER);
    on_deadline(api);
}

void tl_api_drain(tl_api *api, tl_time deadline, void (*on_done)(void *user), void *user)
{
    api->draining = true;
    api->on_drained = on_done;
    api->drained_user = user;
    tl_api_events_end(api);
    tl_timer_set(&api->deadline, deadline);
    tl_httpd_drain(api->httpd, on_httpd_drained, api);
}
