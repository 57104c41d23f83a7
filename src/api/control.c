#include "api/state.h"

#include "base/log.h"
#include "io/owner.h"

#include <stdio.h>

/* The first address that other machines reach; NULL: there is none. */
static const tl_addr *beyond_loopback(const tl_api *api)
{
    for (size_t i = 0; i < api->config.listen_n; i++)
        if (!tl_addr_is_loopback(&api->config.listen[i]))
            return &api->config.listen[i];
    return NULL;
}

/* Where this API listens, which the node itself does not know. */
static json_t *own_status(const tl_api *api)
{
    char text[TL_ADDR_TEXT_MAX] = "";
    const tl_addr *open = beyond_loopback(api);
    if (open) {
        tl_addr shown = *open;
        shown.port = shown.port ? shown.port : api->port;
        tl_addr_write(text, &shown);
    }
    return json_pack("{s:s?, s:s?}", "url", api->base_url[0] ? api->base_url : NULL, "others_at",
                     text[0] ? text : NULL);
}

void tl_api_on_status(tl_api *api, tl_httpd_req *r)
{
    json_t *status = tl_node_status(api->node);
    if (status && json_object_set_new(status, "api", own_status(api))) {
        json_decref(status);
        status = NULL;
    }
    tl_api_json(api, r, 200, status);
}

void tl_api_answer_peers(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, tl_node_peers(api->node));
}

void tl_api_answer_control_models(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, tl_node_models(api->node));
}

/* OpenAI clients want some key. On loopback none is needed, and whoever listens at the port while this node
 * is down is sent it: so it is worth nothing. */
#define NO_KEY "unused"

void tl_api_on_env(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200,
                json_pack("{s:s, s:s, s:s}", "base_url", api->base_url, "api_key",
                          beyond_loopback(api) ? api->config.client_key : NO_KEY, "owner_key",
                          api->config.key));
}

void tl_api_on_stop(tl_api *api, tl_httpd_req *r)
{
    if (!api->config.hooks.stop) {
        tl_api_error(api, r, 501, "not_supported", NULL,
                     "this program cannot be stopped from here");
        return;
    }
    tl_api_json(api, r, 202, json_pack("{s:b}", "stopping", 1));
    api->config.hooks.stop(api->config.hooks.user);
}

/* --- the network: netcheck, doctor, why --- */

void tl_api_answer_netcheck(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, tl_node_netcheck(api->node));
}

/* Is, or was, the page's address another user's? False: not that one could tell. */
static bool was_taken(const tl_api *api, char *evidence, size_t cap)
{
    char name[TL_OWNER_TEXT_MAX];
    uid_t user;
    if (api->port && tl_owner_other_listens(api->port, &user)) {
        tl_owner_write(user, name);
        snprintf(
            evidence, cap,
            "a program of the user %s listens at port %u of this machine, too: `localhost` may "
            "lead to it instead of this node",
            name, api->port);
        return true;
    }
    if (api->workers_seen)
        snprintf(
            evidence, cap,
            "a browser had a service worker for the page's address, which another program left "
            "there while this node was down: it saw the page's conversations, and could do "
            "what the page can");
    return api->workers_seen > 0;
}

/* The doctor's check of the API, which only the API itself can make. */
static json_t *own_check(const tl_api *api)
{
    char evidence[256], text[TL_ADDR_TEXT_MAX];
    const tl_addr *open = beyond_loopback(api);
    if (was_taken(api, evidence, sizeof evidence))
        return json_pack(
            "{s:s, s:s, s:s, s:s}", "id", "api", "state", "warning", "evidence", evidence, "remedy",
            "Take another port (teale config set api_listen 127.0.0.1:PORT), and start "
            "the node with the machine: teale up --boot.");
    if (open) {
        tl_addr_write(text, open);
        snprintf(evidence, sizeof evidence,
                 "%s is reachable beyond this machine: only with the key, and nothing is encrypted",
                 text);
        return json_pack("{s:s, s:s, s:s, s:s}", "id", "api", "state", "warning", "evidence",
                         evidence, "remedy",
                         "Let it listen on 127.0.0.1 (api_listen), and reach it through a tunnel.");
    }
    snprintf(evidence, sizeof evidence, "%s, for this machine only",
             api->base_url[0] ? api->base_url : "the Unix socket");
    return json_pack("{s:s, s:s, s:s, s:s}", "id", "api", "state", "ok", "evidence", evidence,
                     "remedy", "");
}

void tl_api_answer_doctor(tl_api *api, tl_httpd_req *r)
{
    json_t *found = tl_node_doctor(api->node);
    if (json_array_append_new(json_object_get(found, "checks"), own_check(api))) {
        json_decref(found);
        found = NULL;
    }
    tl_api_json(api, r, 200, found);
}

/* The node that the path names after `prefix`. False: there is none, and this is answered. `other`: nor may it be
 * this one. */
static bool peer_of(tl_api *api, tl_httpd_req *r, const char *prefix, bool other,
                    tl_node_id *ret_peer)
{
    char text[TL_API_PEER_MAX];
    if (tl_api_path_rest(r, prefix, text, sizeof text))
        text[0] = 0; /* names nobody */
    return other ? tl_api_find_other(api, r, tl_slice_str(text), ret_peer)
                 : tl_api_find_peer(api, r, tl_slice_str(text), ret_peer);
}

void tl_api_answer_why(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, "/control/why/", false, &peer))
        tl_api_json(api, r, 200, tl_node_why(api->node, &peer));
}

/* --- a setting that changed in the file --- */

void tl_api_on_setting(tl_api *api, tl_httpd_req *r)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    json_t *asked = NULL;
    tl_why why = {""};
    if (!hooks->setting_changed) {
        tl_api_error(api, r, 501, "not_supported", NULL, "settings cannot be changed from here");
        return;
    }
    tl_err e = tl_json_parse(tl_httpd_body(r), 8, &asked, &why);
    const char *key = e ? NULL : tl_json_string(asked, "key", NULL);
    if (!key) {
        tl_api_error(api, r, 400, "invalid_json", "key", "the body must be {\"key\": \"name\"}");
        goto out;
    }
    e = hooks->setting_changed(hooks->user, key, &why);
    if (e && e != TL_ERR_AGAIN) {
        tl_api_error(api, r, 400, "invalid_setting", "key", "%s", why.text);
        goto out;
    }
    if (!why.text[0])
        snprintf(why.text, sizeof why.text, "%s", e ? "takes effect after a restart" : "applied");
    tl_safe shown = tl_log_safe(tl_slice_str(key));
    tl_log(TL_LOG_INFO, "setting %s changed: %s", shown.text, e ? "after a restart" : "in force");
    tl_api_json(
        api, r, 200,
        json_pack("{s:s, s:b, s:s}", "key", key, "applied", e == TL_OK, "message", why.text));
out:
    json_decref(asked);
}

/* --- ping --- */

void tl_api_on_ping(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, "/control/ping/", true, &peer))
        tl_api_ping_start(api, r, &peer);
}
