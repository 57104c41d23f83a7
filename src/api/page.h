/* page.h - the files of the page at `/`, as constant bytes. The build embeds them from src/api/page/ and
 * from packages of Debian (embed.py there says which); the node never reads them from disk. */
#ifndef TL_API_PAGE_H
#define TL_API_PAGE_H

#include <stddef.h>

typedef struct {
    const char *path, *type;
    const char *etag; /* of the bytes as they are before compression: W/"..." */
    const unsigned char *gzip;
    size_t gzip_n;
    size_t n; /* bytes when it is inflated */
} tl_page_file;

extern const tl_page_file tl_page_files[]; /* ends with path NULL */

/* What a policy calls the one <style> and the one <script> that stand in the page: "sha256-...". */
extern const char tl_page_style[], tl_page_script[];

#endif
