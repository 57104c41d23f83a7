/* What this node does for others, for pages and programs: /v1/app/sharing, and its owner who takes the
 * machine back: /v1/app/pause and resume. */
#include "api/app_body.h"
#include "node/pausefile.h"

void tl_api_on_sharing(tl_api *api, tl_httpd_req *r)
{
    tl_app_do(api, r, "serving", json_object());
}

void tl_api_on_pause(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {
        {"for_s", .form = TL_APP_NUMBER, .least = 1, .most = TL_PAUSE_MAX_SECS},
        {"now", .form = TL_APP_BOOL},
        {NULL}};
    tl_app_do(api, r, "pause", tl_app_body(api, r, fields));
}

void tl_api_on_resume(tl_api *api, tl_httpd_req *r)
{
    static const tl_app_field fields[] = {{NULL}};
    tl_app_do(api, r, "resume", tl_app_body(api, r, fields));
}
