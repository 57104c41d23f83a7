#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *tl_err_name(tl_err e)
{
    switch (e) {
    case TL_OK: return "ok";
    case TL_ERR_SHORT: return "truncated";
    case TL_ERR_PROTO: return "malformed";
    case TL_ERR_TOO_LARGE: return "too large";
    case TL_ERR_AUTH: return "not authentic";
    case TL_ERR_FORBIDDEN: return "forbidden";
    case TL_ERR_REPLAY: return "replayed";
    case TL_ERR_INVALID: return "invalid value";
    case TL_ERR_NOMEM: return "out of memory";
    case TL_ERR_IO: return "input/output error";
    case TL_ERR_AGAIN: return "would block";
    case TL_ERR_BUSY: return "busy";
    case TL_ERR_TIMEOUT: return "timed out";
    case TL_ERR_UNREACHABLE: return "unreachable";
    case TL_ERR_CLOSED: return "closed";
    case TL_ERR_NOT_FOUND: return "not found";
    case TL_ERR_EXISTS: return "exists already";
    case TL_ERR_CANCELLED: return "cancelled";
    }
    return "unknown error";
}

tl_err tl_why_set(tl_why *why, tl_err e, const char *fmt, ...)
{
    if (why) {
        tl_why made; /* separate, since an argument may be the old text */
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(made.text, sizeof made.text, fmt, ap);
        va_end(ap);
        *why = made;
    }
    return e;
}

static const char *file_remedy(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT: return ". Free some space on that disk";
    case EROFS:
        return ". That file system is mounted read-only: mount it writable, or keep the files "
               "elsewhere (--home DIR)";
    case EACCES:
    case EPERM:
        return ". This user may not do so: correct the owner and the mode of the file or its "
               "directory, or keep the files elsewhere (--home DIR)";
    default: return "";
    }
}

tl_err tl_why_file(tl_why *why, const char *what, const char *path, int error)
{
    return tl_why_set(why, TL_ERR_IO, "cannot %.40s %.250s: %s%s", what, path, strerror(error),
                      file_remedy(error));
}
