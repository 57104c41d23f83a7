/* What the owner calls other nodes, for pages and programs: /v1/app/aliases. What `teale peers alias` does, by the
 * same verbs of the node. */
#include "api/app_body.h"

#define ALIAS_MAX 256 /* bytes that are handed on; the node knows what an alias may be */

void tl_api_on_aliases(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "alias.list", json_object());
}

void tl_api_on_alias(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"alias", .form = TL_APP_TEXT, .needed = true, .most = ALIAS_MAX}, {NULL}};
    char peer[TL_API_PEER_MAX];
    bool set = tl_app_method_is(r, "PUT");
    if (tl_api_path_star(r, 0, peer, sizeof peer)) {
        tl_api_error(api, r, 404, "not_found", NULL, "no such node is known");
        return;
    }
    json_t *args = set ? tl_app_body(api, r, fields) : json_object();
    if (args && json_object_set_new(args, "peer", json_string(peer))) {
        tl_api_json(api, r, 500, NULL);
        json_decref(args);
        return;
    }
    tl_app_do(api, r, set ? "alias.set" : "alias.remove", args);
}
