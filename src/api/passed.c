#include "api/passed.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BYTES "application/octet-stream"

static bool is_type(const char *type, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(type, name, n) == 0 && strchr("; \t", type[n]);
}

static bool begins(const char *type, const char *kind)
{
    return strncasecmp(type, kind, strlen(kind)) == 0;
}

static bool is_listed(const char *type)
{
    static const char *const types[] = {"application/json",
                                        "application/x-ndjson",
                                        "text/event-stream",
                                        "text/plain",
                                        "text/vtt",
                                        "application/x-subrip",
                                        BYTES};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (is_type(type, types[i]))
            return true;
    /* An SVG picture can hold a script. */
    return begins(type, "audio/") || (begins(type, "image/") && !begins(type, "image/svg"));
}

/* Of a type and its parameters (RFC 9110 8.3.1); no list of types among them. */
static bool is_well_formed(const char *type)
{
    size_t n = strlen(type);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)type[i] < 0x20 || (unsigned char)type[i] > 0x7e || type[i] == ',')
            return false;
    return n > 0 && n < TL_PASSED_TYPE_MAX;
}

const char *tl_passed_type(const char *type)
{
    return is_well_formed(type) && is_listed(type) ? type : BYTES;
}

const char *tl_passed_retry_after(const char *value)
{
    long seconds = 0;
    for (const char *p = value; *p; p++) {
        if (*p < '0' || *p > '9' || seconds > 86400)
            return "";
        seconds = seconds * 10 + (*p - '0');
    }
    return *value && seconds <= 86400 ? value : "";
}
