#include "api/app_body.h"

#include "base/log.h"

#define NET_MAX 65 /* a ptnID or a name, and NUL */

bool tl_app_method_is(const tl_httpd_req *r, const char *method)
{
    return tl_slice_eq(tl_httpd_head(r)->method, tl_slice_str(method));
}

static const tl_app_field *find(const tl_app_field *fields, const char *name)
{
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

/* NULL: the value has the field's form; else what it must be. */
static const char *wrong(const tl_app_field *f, const json_t *v)
{
    json_int_t n = json_integer_value(v);
    size_t length = json_string_length(v);
    switch (f->form) {
    case TL_APP_TEXT:
        /* a NUL would end it for those who read it as a C string */
        return json_is_string(v) && length > 0 && (int64_t)length <= f->most &&
                       strlen(json_string_value(v)) == length
                   ? NULL
                   : "must be a text that is neither empty nor too long";
    case TL_APP_PEER:
        return json_is_string(v) && length > 0 && length < TL_API_PEER_MAX &&
                       strlen(json_string_value(v)) == length
                   ? NULL
                   : "must name a node: by its ID, an alias or its display name";
    case TL_APP_BOOL: return json_is_boolean(v) ? NULL : "must be true or false";
    case TL_APP_NUMBER:
        return json_is_integer(v) && n >= f->least && n <= f->most
                   ? NULL
                   : "must be a whole number within its range";
    }
    return "is not known";
}

/* Adds the body's fields to `args`. False: 400 is answered. */
static bool take(tl_api *api, tl_httpd_req *r, const tl_app_field *fields, json_t *body,
                 json_t *args)
{
    const char *name;
    json_t *v;
    json_object_foreach (body, name, v) {
        const tl_app_field *f = find(fields, name);
        const char *must = f ? NULL : "is not known here";
        if (f && json_is_null(v))
            continue;
        if (f)
            must = wrong(f, v);
        if (must) {
            tl_safe safe = tl_log_safe(tl_slice_str(name));
            tl_api_error(api, r, 400, "invalid_value", f ? f->name : NULL, "'%s' %s", safe.text,
                         must);
            return false;
        }
        if (json_object_set(args, f->name, v)) {
            tl_api_json(api, r, 500, NULL);
            return false;
        }
    }
    for (const tl_app_field *f = fields; f->name; f++)
        if (f->needed && !json_object_get(args, f->name)) {
            tl_api_error(api, r, 400, "invalid_value", f->name, "'%s' is missing", f->name);
            return false;
        }
    return true;
}

static bool take_body(tl_api *api, tl_httpd_req *r, const tl_app_field *fields, json_t *args)
{
    tl_slice text = tl_httpd_body(r);
    json_t *body = NULL;
    tl_why why = {"it is no object"};
    if (!text.n)
        text = TL_SLICE_LIT("{}");
    if (tl_json_parse(text, 4, &body, &why) || !json_is_object(body)) {
        tl_api_error(api, r, 400, "invalid_json", NULL, "the body must be a JSON object: %s",
                     why.text);
        json_decref(body);
        return false;
    }
    bool good = take(api, r, fields, body, args);
    json_decref(body);
    return good;
}

json_t *tl_app_body(tl_api *api, tl_httpd_req *r, const tl_app_field *fields)
{
    json_t *args = json_object();
    if (args && take_body(api, r, fields, args))
        return args;
    if (!args)
        tl_api_json(api, r, 500, NULL);
    json_decref(args);
    return NULL;
}

json_t *tl_app_net(tl_api *api, tl_httpd_req *r)
{
    char net[NET_MAX];
    if (tl_api_path_star(r, 0, net, sizeof net)) {
        tl_api_error(api, r, 404, "not_found", NULL, "there is no such private network here");
        return NULL;
    }
    json_t *args = json_pack("{s:s}", "net", net);
    if (!args)
        tl_api_json(api, r, 500, NULL);
    return args;
}

json_t *tl_app_net_body(tl_api *api, tl_httpd_req *r, const tl_app_field *fields)
{
    json_t *args = tl_app_net(api, r);
    if (args && take_body(api, r, fields, args))
        return args;
    json_decref(args);
    return NULL;
}

void tl_app_do(tl_api *api, tl_httpd_req *r, const char *verb, json_t *args)
{
    if (args)
        tl_api_do(api, r, verb, args, false);
    json_decref(args);
}
