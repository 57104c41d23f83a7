/* dashboard.h - the files of the page at `/`, as constant bytes. The build embeds them from
 * src/api/dashboard/; the node never reads them from disk. */
#ifndef TL_API_DASHBOARD_H
#define TL_API_DASHBOARD_H

#include <stddef.h>

typedef struct {
    const char *path, *type;
    const unsigned char *bytes;
    size_t n;
} tl_dashboard_file;

extern const tl_dashboard_file tl_dashboard_files[]; /* ends with path NULL */

#endif
