/* What was earned and spent, for pages and programs: /v1/app/wallet. */
#include "api/app_body.h"
#include "base/number.h"
#include "base/when.h"

#include <time.h>

#define HISTORY_MAX 1000 /* entries of a page, some 500 bytes each; without `limit` all of them */

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
    char text[TL_API_PEER_MAX];
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

/* `limit`, `after` (the `next` of the page before: AT-ID) and `order`. False: 400 is answered. */
static bool take_page(tl_api *api, tl_httpd_req *r, json_t *args)
{
    char text[64];
    int64_t limit, at, id;
    tl_err e = tl_api_query_field(r, "limit", text, sizeof text);
    if (e != TL_ERR_NOT_FOUND && (e || !tl_api_number(text, HISTORY_MAX, &limit) ||
                                  json_object_set_new(args, "limit", json_integer(limit)))) {
        tl_api_error(api, r, 400, "invalid_value", "limit", "'limit' must be a number, 1 to %d",
                     HISTORY_MAX);
        return false;
    }
    e = tl_api_query_field(r, "after", text, sizeof text);
    char *dash = e ? NULL : strchr(text, '-');
    if (dash)
        *dash = 0;
    if (e != TL_ERR_NOT_FOUND &&
        (!dash || !tl_api_number(text, TL_NUMBER_EXACT_MAX, &at) ||
         !tl_api_number(dash + 1, TL_NUMBER_EXACT_MAX, &id) ||
         json_object_set_new(
             args, "after", json_pack("{s:I, s:I}", "at", (json_int_t)at, "id", (json_int_t)id)))) {
        tl_api_error(api, r, 400, "invalid_value", "after",
                     "'after' must be AT-ID, the two numbers of `next`");
        return false;
    }
    e = tl_api_query_field(r, "order", text, sizeof text);
    bool newest = !e && strcmp(text, "newest") == 0;
    if (e == TL_ERR_NOT_FOUND || (!e && strcmp(text, "oldest") == 0) ||
        (newest && !json_object_set_new(args, "newest", json_true())))
        return true;
    tl_api_error(api, r, 400, "invalid_value", "order", "'order' must be oldest or newest");
    return false;
}

void tl_api_on_wallet_history(tl_api *api, tl_httpd_req *r)
{
    json_t *args = json_object();
    if (!take_since(api, r, args) || !take_page(api, r, args) ||
        !take_text(api, r, "peer", "peer", args) || !take_text(api, r, "ptn", "net", args)) {
        json_decref(args);
        return;
    }
    tl_app_do(api, r, "wallet.history", args);
}

void tl_api_on_settlements(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{"peer", .form = TL_APP_PEER, .needed = true},
                                          {"amount_micro", .form = TL_APP_NUMBER, .needed = true,
                                           .least = 1, .most = TL_NUMBER_EXACT_MAX},
                                          {NULL}};
    tl_app_do(api, r, "wallet.settle", tl_app_body(api, r, fields));
}
