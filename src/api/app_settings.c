/* The settings, for the page: read with all that a person needs to change them, and changed as
 * `teale config set` does. */
#include "api/app_body.h"

#include "base/log.h"
#include "config/config_table.h"

#include <stdlib.h>

#define DEPTH_MAX 4

static const char key_file[] = "backend_key_file";

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

/* The model server's key goes to whoever `share` names. So nobody turns it to another server over
 * HTTP, whether its file is saved, or in force only: by an option, or until a restart. */
static bool carries_key(const tl_api *api, const json_t *all, const char *key)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    if (strcmp(key, "share") != 0)
        return false;
    json_t *in_force = hooks->settings ? hooks->settings(hooks->user) : NULL;
    bool unknown = hooks->settings && !in_force; /* out of memory */
    bool carries = unknown || tl_json_string(find(all, key_file), "value", "")[0] ||
                   tl_json_string(in_force, key_file, "")[0];
    json_decref(in_force);
    return carries;
}

/* False: 400 is answered. A value that is wrong is added to `wrong` with why, and the rest looked at. */
static bool check(tl_api *api, tl_httpd_req *r, const json_t *all, const char *key,
                  const json_t *value, json_t *wrong)
{
    tl_settings scratch = tl_settings_default();
    const tl_setting_def *def;
    tl_why why, whole;
    if (tl_setting_find(key, &def, &why))
        return refuse(api, r, "unknown_setting", NULL, why.text);
    if (tl_setting_names_file(def) || carries_key(api, all, key)) {
        tl_api_error(api, r, 403, "command_line_only", def->info.key,
                     "%s decides which file this node reads, or who gets what is in it. That is "
                     "said on the command line alone: teale config set %s VALUE",
                     def->info.key, def->info.key);
        return false;
    }
    if (tl_setting_apply(&scratch, def, value, &why)) {
        (void)!tl_why_set(&whole, TL_ERR_INVALID, "%s %s", key, why.text);
        (void)!json_object_set_new(wrong, def->info.key, json_string(whole.text));
    }
    return true;
}

/* 400 with the first wrong value as any other error has it, and all of them in `values`. */
static void refuse_values(tl_api *api, tl_httpd_req *r, json_t *wrong)
{
    void *first = json_object_iter(wrong);
    json_t *error = json_pack("{s:O, s:s, s:s, s:s, s:O}", "message", json_object_iter_value(first),
                              "type", "invalid_request_error", "param", json_object_iter_key(first),
                              "code", "invalid_value", "values", wrong);
    tl_api_json(api, r, 400, error ? json_pack("{s:o}", "error", error) : NULL);
}

/* False: it is answered. */
static bool check_all(tl_api *api, tl_httpd_req *r, json_t *asked, const json_t *all)
{
    const char *key;
    json_t *value, *wrong = json_object();
    bool ok = wrong != NULL;
    if (!ok)
        tl_api_json(api, r, 500, NULL);
    json_object_foreach (asked, key, value)
        ok = ok && check(api, r, all, key, value, wrong);
    if (ok && json_object_size(wrong)) {
        refuse_values(api, r, wrong);
        ok = false;
    }
    json_decref(wrong);
    return ok;
}

/* One setting of the answer. NULL: out of memory. */
static json_t *result(const char *key, const char *state, const char *message)
{
    return json_pack("{s:s, s:s, s:s}", "key", key, "state", state, "message", message);
}

/* What is to be changed, and its texts. */
typedef struct {
    tl_setting_change *change;
    char **text;
    size_t n;
} changes;

static void clear_changes(changes *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->text[i]);
    free(c->text);
    free(c->change);
}

/* False: out of memory. The caller clears `ret` in any case. */
static bool collect(json_t *asked, const json_t *all, changes *ret)
{
    const char *key;
    json_t *value;
    size_t most = json_object_size(asked) + 1;
    *ret = (changes){.change = calloc(most, sizeof *ret->change),
                     .text = calloc(most, sizeof *ret->text)};
    if (!ret->change || !ret->text)
        return false;
    json_object_foreach (asked, key, value) {
        if (is_shown_form(find(all, key), value))
            continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (!text)
            return false;
        ret->text[ret->n] = text;
        ret->change[ret->n++].to = (tl_setting_text){key, text};
    }
    return true;
}

/* In the order of the request. */
static json_t *results(json_t *asked, const changes *c)
{
    const char *key;
    json_t *value, *done = json_array();
    size_t i = 0;
    json_object_foreach (asked, key, value) {
        if (i == c->n || strcmp(c->change[i].to.key, key) != 0) {
            done = tl_json_append(done, result(key, "unchanged", "its login is kept"));
            continue;
        }
        bool later = c->change[i].state;
        tl_log(TL_LOG_INFO, "setting %s changed by the page: %s", key,
               later ? "after a restart" : "in force");
        done = tl_json_append(done, result(key, later ? "restart" : "applied",
                                           later ? c->change[i].why.text : "in force"));
        i++;
    }
    return done;
}

/* The setting that an error is about; NULL: several. */
static const char *to_blame(const changes *c, size_t refused)
{
    return refused < c->n ? c->change[refused].to.key : c->n == 1 ? c->change[0].to.key : NULL;
}

static void change_all(tl_api *api, tl_httpd_req *r, json_t *asked, const json_t *all)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    changes c;
    size_t refused = 0;
    tl_why why = {""};
    if (!check_all(api, r, asked, all))
        return;
    if (!collect(asked, all, &c)) {
        tl_api_json(api, r, 500, NULL);
        clear_changes(&c);
        return;
    }
    tl_err e = c.n ? hooks->set_settings(hooks->user, c.change, c.n, &refused, &why) : TL_OK;
    if (e)
        tl_api_error(api, r, e == TL_ERR_IO ? 500 : 400,
                     e == TL_ERR_IO ? "not_saved" : "invalid_value", to_blame(&c, refused), "%s",
                     why.text);
    else
        tl_api_json(api, r, 200, json_pack("{s:o}", "settings", results(asked, &c)));
    clear_changes(&c);
}

void tl_api_on_settings(tl_api *api, tl_httpd_req *r)
{
    const tl_api_hooks *hooks = &api->config.hooks;
    json_t *asked = NULL;
    tl_why why = {"it is no object"};
    if (!hooks->explain_settings || !hooks->set_settings) {
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
