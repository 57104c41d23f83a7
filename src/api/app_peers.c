/* One peer, for pages and programs: why its path is what it is, and round trips to it. */
#include "api/state.h"

/* False: 400 is answered. */
static bool peer_of(tl_api *api, tl_httpd_req *r, tl_node_id *ret_peer)
{
    char hex[80];
    if (!tl_api_path_star(r, 0, hex, sizeof hex) && !tl_node_id_parse(tl_slice_str(hex), ret_peer))
        return true;
    tl_api_error(api, r, 400, "invalid_node_id", NULL,
                 "a node ID is 64 hex digits that are a key; a digit is missing or mistyped");
    return false;
}

static void answer_why(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, &peer))
        tl_api_json(api, r, 200, tl_node_why(api->node, &peer));
}

void tl_api_on_app_why(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, answer_why);
}

void tl_api_on_app_ping(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, &peer))
        tl_api_ping_start(api, r, &peer);
}

/* A page asks for it every few seconds, so it looks around for nothing. */
void tl_api_on_traffic(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, tl_node_traffic(api->node));
}
