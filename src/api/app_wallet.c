/* What was earned and spent, for pages and programs: /v1/app/wallet. */
#include "api/app_body.h"
#include "base/number.h"
#include "base/when.h"

#include <time.h>

void tl_api_on_wallet(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "wallet.show", json_object());
}

void tl_api_on_wallet_audit(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "wallet.audit", json_object());
}

/* Copies a field of the query. False: 400 is answered. */
static bool take_text(tl_api *api, tl_httpd_req *r, const char *name, const char *as, json_t *args)
{
    char text[80];
    tl_err e = tl_api_query_field(r, name, text, sizeof text);
    if (e == TL_ERR_NOT_FOUND)
        return true;
    if (!e && *text && !json_object_set_new(args, as, json_string(text)))
        return true;
    tl_api_error(api, r, 400, "invalid_value", name, "'%s' is not a text of this form", name);
    return false;
}

/* `since`: a time (RFC 3339), or a time ago such as 24h. */
static bool take_since(tl_api *api, tl_httpd_req *r, json_t *args)
{
    char text[80];
    int64_t span;
    tl_unix at;
    tl_err e = tl_api_query_field(r, "since", text, sizeof text);
    if (e == TL_ERR_NOT_FOUND)
        return true;
    if (!e && !tl_span_parse(tl_slice_str(text), &span))
        at = (tl_unix)time(NULL) - span;
    else if (e || tl_when_parse(tl_slice_str(text), &at)) {
        tl_api_error(api, r, 400, "invalid_value", "since",
                     "'since' must be a time such as 2026-01-31T18:00:00Z, or a time ago such as "
                     "24h");
        return false;
    }
    if (!json_object_set_new(args, "since", json_integer(at > 0 ? at : 0)))
        return true;
    tl_api_json(api, r, 500, NULL);
    return false;
}

void tl_api_on_wallet_history(tl_api *api, tl_httpd_req *r)
{
    char peer[80];
    tl_node_id id;
    json_t *args = json_object();
    if (!tl_api_query_field(r, "peer", peer, sizeof peer) &&
        tl_node_id_parse(tl_slice_str(peer), &id)) {
        tl_api_error(api, r, 400, "invalid_value", "peer",
                     "'peer' must be a node ID: 64 lower-case hex digits that are a key");
        json_decref(args);
        return;
    }
    if (!take_since(api, r, args) || !take_text(api, r, "peer", "peer", args) ||
        !take_text(api, r, "ptn", "net", args)) {
        json_decref(args);
        return;
    }
    tl_app_do(api, r, "wallet.history", args);
}

void tl_api_on_settlements(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{"peer", .form = TL_APP_NODE, .needed = true},
                                          {"amount_micro", .form = TL_APP_NUMBER, .needed = true,
                                           .least = 1, .most = TL_NUMBER_EXACT_MAX},
                                          {NULL}};
    tl_app_do(api, r, "wallet.settle", tl_app_body(api, r, fields));
}
