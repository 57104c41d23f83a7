/* Service workers that are not this page's, which has none: another program was at its address while the node
 * was down, and left one in the owner's browser. It would answer in the page's place from then on. */
#include "api/state.h"

#include "base/log.h"

/* A browser asks anew for a worker's script when it comes to the address. A script that does nothing takes
 * the old one's place, and loads the pages that this had in hand again. The page then says so, and removes
 * it (js/main.js). A refusal would leave the old one where it is. */
static const char script[] =
    "self.addEventListener(\"install\", () => self.skipWaiting());\n"
    "self.addEventListener(\"activate\", (event) => event.waitUntil((async () => {\n"
    "  await self.clients.claim();\n"
    "  for (const client of await self.clients.matchAll({ type: \"window\" }))\n"
    "    client.navigate(client.url).catch(() => {});\n"
    "})()));\n";

bool tl_api_is_for_worker(const tl_httpd_req *r)
{
    return tl_http1_header_lists(tl_httpd_head(r), "service-worker", "script");
}

void tl_api_answer_worker(tl_api *api, tl_httpd_req *r)
{
    if (!api->workers_seen++)
        tl_log(TL_LOG_WARN, "api: a browser has a service worker for this address, and this page "
                            "has none: another program answered here while the node was down; the "
                            "worker is being removed. See: teale doctor");
    tl_httpd_header(r, "Cache-Control", "no-store");
    tl_httpd_header(r, "Clear-Site-Data", "\"cache\"");
    tl_httpd_header(r, "Service-Worker-Allowed", "/"); /* wherever the old one's script was */
    tl_httpd_header(r, "Content-Security-Policy", "default-src 'none'");
    tl_api_count(api, r, 200);
    tl_httpd_respond(r, 200, "text/javascript; charset=utf-8", tl_slice_str(script));
}
