/* One peer, for pages and programs: why its path is what it is, and round trips to it. */
#include "api/state.h"

/* The node that the path names. False: there is none, and this is answered. `other`: nor may it be this one. */
static bool peer_of(tl_api *api, tl_httpd_req *r, bool other, tl_node_id *ret_peer)
{
    char text[TL_API_PEER_MAX];
    if (tl_api_path_star(r, 0, text, sizeof text))
        text[0] = 0; /* names nobody */
    return other ? tl_api_find_other(api, r, tl_slice_str(text), ret_peer)
                 : tl_api_find_peer(api, r, tl_slice_str(text), ret_peer);
}

static void answer_why(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, false, &peer))
        tl_api_json(api, r, 200, tl_node_why(api->node, &peer));
}

void tl_api_on_app_why(tl_api *api, tl_httpd_req *r)
{
    tl_api_after_look(api, r, answer_why);
}

void tl_api_on_app_ping(tl_api *api, tl_httpd_req *r)
{
    tl_node_id peer;
    if (peer_of(api, r, true, &peer))
        tl_api_ping_start(api, r, &peer);
}

/* A page asks for it every few seconds, so it looks around for nothing. */
void tl_api_on_traffic(tl_api *api, tl_httpd_req *r)
{
    tl_api_json(api, r, 200, tl_node_traffic(api->node));
}
