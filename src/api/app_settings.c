/* The settings, for the page: read with all that a person needs to change them, and changed as
 * `teale config set` does. */
#include "api/app_body.h"

#include "base/log.h"
#include "config/config_table.h"

#include <stdlib.h>

#define DEPTH_MAX 4

/* A refusal of one setting, or of the whole body. False, so that callers can pass it on. */
static bool refuse(tl_api *api, tl_httpd_req *r, const char *code, const char *key,
                   const char *message)
{
    tl_api_error(api, r, 400, code, key, "%s", message);
    return false;
}

/* What is shown in place of a proxy's URL: it comes back as it was shown, and changes nothing. Stored,
 * it would lose the login. */
static bool is_shown_form(const json_t *known, const json_t *value)
{
    return tl_json_bool(known, "login", false) &&
           json_equal(json_object_get(known, "value"), value);
}

static const json_t *find(const json_t *all, const char *key)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(all, "settings"), i, one)
        if (!strcmp(tl_json_string(one, "key", ""), key))
            return one;
    return NULL;
}

/* The model server's key goes to whoever `share` names, and other users of this machine may be able
 * to speak to this API. So the page cannot turn it to another server. */
static bool carries_key(const json_t *all, const char *key)
{
    const json_t *file = find(all, "backend_key_file");
    return !strcmp(key, "share") && tl_json_string(file, "value", "")[0];
}

/* False: 400 is answered. */
static bool check(tl_api *api, tl_httpd_req *r, const json_t *all, const char *key,
                  const json_t *value)
{
    tl_settings scratch = tl_settings_default();
    const tl_setting_def *def;
    tl_why why, whole;
    if (tl_setting_find(key, &def, &why))
        return refuse(api, r, "unknown_setting", NULL, why.text);
    if (tl_setting_names_file(def) || carries_key(all, key)) {
        tl_api_error(api, r, 403, "command_line_only", def->info.key,
                     "%s decides which file this node reads, or who gets what is in it. That is "
                     "said on the command line alone: teale config set %s VALUE",
                     def->info.key, def->info.key);
        return false;
    }
    if (tl_setting_apply(&scratch, def, value, &why)) {
        (void)!tl_why_set(&whole, TL_ERR_INVALID, "%s %s", key, why.text);
        return refuse(api, r, "invalid_value", def->info.key, whole.text);
    }
    return true;
}

/* {"key", "state": "applied" or "restart", "message"}; NULL: it was refused, and that is answered. */
static json_t *change(tl_api *api, tl_httpd_req *r, const char *key, const json_t *value)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    tl_why why = {""};
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (!text) {
        tl_api_json(api, r, 500, NULL);
        return NULL;
    }
    tl_err e = hooks->set_setting(hooks->user, key, text, &why);
    free(text);
    if (e && e != TL_ERR_AGAIN) {
        tl_api_error(api, r, e == TL_ERR_IO ? 500 : 400,
                     e == TL_ERR_IO ? "not_saved" : "invalid_value", key, "%s", why.text);
        return NULL;
    }
    tl_log(TL_LOG_INFO, "setting %s changed by the page: %s", key,
           e ? "after a restart" : "in force");
    return json_pack("{s:s, s:s, s:s}", "key", key, "state", e ? "restart" : "applied", "message",
                     e ? why.text : "in force");
}

static void change_all(tl_api *api, tl_httpd_req *r, json_t *asked, const json_t *all)
{
    const char *key;
    json_t *value, *done = json_array();
    json_object_foreach (asked, key, value)
        if (!check(api, r, all, key, value))
            goto out;
    json_object_foreach (asked, key, value) {
        json_t *one = is_shown_form(find(all, key), value)
                          ? json_pack("{s:s, s:s, s:s}", "key", key, "state", "unchanged",
                                      "message", "its login is kept")
                          : change(api, r, key, value);
        if (!one)
            goto out;
        done = tl_json_append(done, one);
    }
    tl_api_json(api, r, 200, json_pack("{s:O}", "settings", done));
out:
    json_decref(done);
}

void tl_api_on_settings(tl_api *api, tl_httpd_req *r)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    json_t *asked = NULL;
    tl_why why = {"it is no object"};
    if (!hooks->explain_settings || !hooks->set_setting) {
        tl_api_error(api, r, 501, "not_supported", NULL, "settings cannot be changed from here");
        return;
    }
    json_t *all = hooks->explain_settings(hooks->user);
    if (!tl_app_method_is(r, "PUT")) {
        tl_api_json(api, r, 200, all);
        return;
    }
    if (!all)
        tl_api_json(api, r, 500, NULL);
    else if (tl_json_parse(tl_httpd_body(r), DEPTH_MAX, &asked, &why) || !json_is_object(asked))
        tl_api_error(api, r, 400, "invalid_json", NULL, "the body must be {\"NAME\": value}: %s",
                     why.text);
    else
        change_all(api, r, asked, all);
    json_decref(asked);
    json_decref(all);
}
