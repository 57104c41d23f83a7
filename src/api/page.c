/* The page at `/`: its files, as the build has embedded them, under a policy that lets nothing in. */
#include "api/page.h"

#include "api/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

/* Nothing inline but the two texts of these hashes, nothing of another host, nothing made of text by
 * the page's scripts: a string becomes markup by DOMPurify's policy alone, and the address of a worker
 * by the page's own. */
static const char policy_form[] =
    "default-src 'none'; script-src 'self' '%s'; style-src 'self' '%s'; img-src 'self' data: "
    "blob:; "
    "media-src blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify teale";

/* The node names no file to itself that would not inflate: NULL means out of memory. */
static unsigned char *inflated(const tl_page_file *f)
{
    unsigned char *bytes = malloc(f->n ? f->n : 1);
    z_stream z = {
        .next_in = (z_const Bytef *)(uintptr_t)f->gzip,
        .avail_in = (uInt)f->gzip_n,
        .next_out = bytes,
        .avail_out = (uInt)f->n,
    };
    if (!bytes || inflateInit2(&z, MAX_WBITS + 16) != Z_OK) {
        free(bytes);
        return NULL;
    }
    int rc = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (rc == Z_STREAM_END && z.total_out == f->n)
        return bytes;
    free(bytes);
    return NULL;
}

static void send_file(tl_api *api, tl_httpd_req *r, const tl_page_file *f)
{
    const tl_http1_head *head = tl_httpd_head(r);
    bool known = tl_http1_header_lists(head, "if-none-match", f->etag);
    bool packed = tl_http1_header_lists(head, "accept-encoding", "gzip");
    unsigned char *bytes = known || packed ? NULL : inflated(f);
    if (!known && !packed && !bytes) {
        tl_api_error(api, r, 500, "internal_error", NULL, "out of memory");
        return;
    }
    tl_httpd_header(r, "ETag", f->etag);
    tl_httpd_header(r, "Vary", "Accept-Encoding");
    if (!known && packed)
        tl_httpd_header(r, "Content-Encoding", "gzip");
    tl_api_count(api, r, known ? 304 : 200);
    if (known)
        tl_httpd_respond(r, 304, NULL, tl_slice_of(NULL, 0));
    else
        tl_httpd_respond(r, 200, f->type,
                         packed ? tl_slice_of(f->gzip, f->gzip_n) : tl_slice_of(bytes, f->n));
    free(bytes);
}

void tl_api_on_page(tl_api *api, tl_httpd_req *r)
{
    tl_slice path = tl_httpd_path(r);
    char policy[sizeof policy_form + 128]; /* a hash is 51 characters */
    snprintf(policy, sizeof policy, policy_form, tl_page_script, tl_page_style);
    tl_httpd_header(r, "Content-Security-Policy", policy);
    tl_httpd_header(r, "X-Frame-Options", "DENY");
    /* browsers warn of it where a page of http is not local */
    if (tl_httpd_tag(r) == TL_API_DOOR_LOOPBACK)
        tl_httpd_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    tl_httpd_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    tl_httpd_header(r, "Permissions-Policy",
                    "camera=(self), clipboard-write=(self), microphone=(), geolocation=()");
    tl_httpd_header(r, "Referrer-Policy", "no-referrer");
    tl_httpd_header(r, "Cache-Control", "no-cache"); /* asks anew each time, by the ETag */
    for (const tl_page_file *f = tl_page_files; f->path; f++)
        if (tl_slice_eq(path, tl_slice_str(f->path))) {
            send_file(api, r, f);
            return;
        }
    tl_api_error(api, r, 404, "not_found", NULL, "there is no such page");
}
