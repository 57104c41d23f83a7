#include "api/state.h"

#include "ask/modelname.h"

#include <stdio.h>

/* --- models --- */

#define AUTO_MODEL "teale-auto"

static json_t *model_object(const tl_api *api, const char *id, const json_t *peers, bool local)
{
    json_t *m = json_pack("{s:s, s:s, s:I, s:s}", "id", id, "object", "model", "created",
                          (json_int_t)api->started, "owned_by", local ? "local" : "teale");
    if (m && json_is_array(peers) && json_object_set(m, "peers", (json_t *)(uintptr_t)peers)) {
        json_decref(m);
        return NULL;
    }
    return m;
}

/* The node's own list: {"models": [{"id", "local", "peers", "ptns": {ID: [peers]}}]}. NULL: nothing
 * in it fits. */
static const json_t *find_model(const json_t *list, const char *id)
{
    size_t i;
    const json_t *m, *best = NULL;
    tl_model_fit best_fit = TL_MODEL_OTHER;
    json_array_foreach (json_object_get(list, "models"), i, m) {
        tl_model_fit fit = tl_model_fits(id, tl_json_string(m, "id", ""));
        if (fit < best_fit) {
            best = m;
            best_fit = fit;
        }
    }
    return best;
}

static void write_hint(const json_t *list, const char *model, char ret_hint[TL_API_HINT_MAX])
{
    const char *meant = tl_model_meant(list, model);
    *ret_hint = 0;
    if (meant)
        snprintf(ret_hint, TL_API_HINT_MAX, "; did you mean '%s'?", meant);
}

bool tl_api_model_may_come(tl_api *api, const char *model, char ret_hint[TL_API_HINT_MAX])
{
    if (strcmp(model, AUTO_MODEL) == 0)
        return true;
    json_t *list = tl_node_models(api->node);
    bool none = json_array_size(json_object_get(list, "models")) == 0;
    bool known = none || find_model(list, model);
    if (!known)
        write_hint(list, model, ret_hint);
    json_decref(list);
    return known;
}

static bool add_model(json_t *data, json_t *model)
{
    bool added = model && !json_array_append(data, model);
    json_decref(model);
    return added;
}

/* What stands behind the "@" for this network: its name, or its ID where two bear the name. */
static void write_suffix(const tl_api *api, const char *id, char ret[TL_NODE_ID_HEX + 1])
{
    tl_membership *found[2];
    const tl_networks *book = tl_node_networks(api->node);
    snprintf(ret, TL_NODE_ID_HEX + 1, "%s", id);
    if (tl_networks_find(book, tl_slice_str(id), found) != 1)
        return;
    const char *name = found[0]->name;
    if (tl_networks_find(book, tl_slice_str(name), found) == 1)
        snprintf(ret, TL_NODE_ID_HEX + 1, "%s", name);
}

/* The model once more for each network whose members serve it. */
static bool add_scoped(const tl_api *api, json_t *data, const json_t *m)
{
    const char *id;
    json_t *peers;
    json_object_foreach ((json_t *)(uintptr_t)json_object_get(m, "ptns"), id, peers) {
        char name[TL_MODEL_MAX + TL_NODE_ID_HEX + 2], suffix[TL_NODE_ID_HEX + 1];
        write_suffix(api, id, suffix);
        snprintf(name, sizeof name, "%s@%s", tl_json_string(m, "id", ""), suffix);
        if (!add_model(data, model_object(api, name, peers, false)))
            return false;
    }
    return true;
}

/* `ask`: for which network; not scoped: for all. NULL: out of memory. A list never has gaps. */
static json_t *models_as_openai(const tl_api *api, const json_t *list, const tl_ask *ask)
{
    json_t *data = json_array();
    size_t i;
    const json_t *m;
    char network[TL_NODE_ID_HEX + 1];
    tl_node_id_write(network, &ask->network);
    bool ok = list && add_model(data, model_object(api, AUTO_MODEL, NULL, false));
    json_array_foreach (json_object_get(list, "models"), i, m) {
        const char *id = tl_json_string(m, "id", "");
        const json_t *members = json_object_get(json_object_get(m, "ptns"), network);
        if (!ok)
            break;
        if (!ask->scoped)
            ok = add_model(data, model_object(api, id, json_object_get(m, "peers"),
                                              tl_json_bool(m, "local", false))) &&
                 add_scoped(api, data, m);
        else if (members)
            ok = add_model(data, model_object(api, id, members, false));
    }
    if (!ok) {
        json_decref(data);
        return NULL;
    }
    return json_pack("{s:s, s:o}", "object", "list", "data", data);
}

/* Header and key may scope the request to a network; so may the name in ask->model, which then loses
 * that. False: refused. */
static bool scope_read(tl_api *api, tl_httpd_req *r, tl_ask *ask)
{
    tl_scope_view view = tl_api_scope_view(api);
    tl_scope_refusal no;
    bool renamed;
    if (tl_scope_find(&view, tl_httpd_head(r), ask, &renamed, &no))
        return true;
    tl_api_error(api, r, no.status, no.code, no.param, "%s", no.message);
    return false;
}

void tl_api_answer_models(tl_api *api, tl_httpd_req *r)
{
    tl_ask ask = {0};
    if (!scope_read(api, r, &ask))
        return;
    json_t *list = tl_node_models(api->node);
    tl_api_json(api, r, 200, models_as_openai(api, list, &ask));
    json_decref(list);
}

void tl_api_answer_model(tl_api *api, tl_httpd_req *r)
{
    char id[TL_MODEL_MAX], hint[TL_API_HINT_MAX], network[TL_NODE_ID_HEX + 1];
    tl_ask ask = {0};
    if (tl_api_path_rest(r, "/v1/models/", id, sizeof id)) {
        tl_api_error(api, r, 404, "model_not_found", "model", "that is not the name of a model");
        return;
    }
    if (strcmp(id, AUTO_MODEL) == 0) {
        tl_api_json(api, r, 200, model_object(api, AUTO_MODEL, NULL, false));
        return;
    }
    memcpy(ask.model, id, sizeof ask.model);
    if (!scope_read(api, r, &ask))
        return;
    json_t *list = tl_node_models(api->node);
    const json_t *m = find_model(list, ask.model);
    tl_node_id_write(network, &ask.network);
    const json_t *members = json_object_get(json_object_get(m, "ptns"), network);
    if (!list)
        tl_api_json(api, r, 500, NULL);
    else if (ask.scoped && members)
        tl_api_json(api, r, 200, model_object(api, id, members, false));
    else if (ask.scoped)
        tl_api_error(api, r, 404, "model_not_found", "model",
                     "no known member of that network serves '%s'", ask.model);
    else if (m)
        tl_api_json(api, r, 200,
                    model_object(api, tl_json_string(m, "id", id), json_object_get(m, "peers"),
                                 tl_json_bool(m, "local", false)));
    else {
        write_hint(list, id, hint);
        tl_api_error(api, r, 404, "model_not_found", "model", "no known node serves '%s'%s", id,
                     hint);
    }
    json_decref(list);
}

/* --- the node as a whole --- */

void tl_api_on_health(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, json_pack("{s:s}", "status", "ok"));
}

void tl_api_answer_app(tl_api *api, tl_httpd_req *r)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    json_t *settings = hooks->settings ? hooks->settings(hooks->user) : json_object();
    json_t *models = tl_node_models(api->node), *peers = tl_node_peers(api->node);
    tl_api_json(api, r, 200,
                json_pack("{s:o, s:o, s:O, s:O}", "status", tl_node_status(api->node), "settings",
                          settings, "models", json_object_get(models, "models"), "peers",
                          json_object_get(peers, "peers")));
    json_decref(models);
    json_decref(peers);
}
