#include "ask/bodytype.h"

#include "wire/multipart.h"

#include <stdio.h>
#include <strings.h>

static const char json[] = "application/json";

static bool is_json(const char *type)
{
    size_t n = sizeof json - 1;
    return !type[0] || (strncasecmp(type, json, n) == 0 && strchr("; \t", type[n]));
}

bool tl_body_type_fits(const tl_ask_path *path, const char *content_type)
{
    unsigned kind = is_json(content_type)           ? TL_ASK_PATH_JSON
                    : tl_multipart_is(content_type) ? TL_ASK_PATH_FORM
                                                    : 0;
    return path->body & kind;
}

const char *tl_body_type_words(const tl_ask_path *path)
{
    static const char *const words[] = {
        [TL_ASK_PATH_JSON] = json,
        [TL_ASK_PATH_FORM] = "multipart/form-data",
        [TL_ASK_PATH_BOTH] = "application/json or multipart/form-data",
    };
    return words[path->body];
}

tl_err tl_body_type_write(const char *content_type, char *ret_type, size_t cap)
{
    if (!is_json(content_type))
        return tl_multipart_type(content_type, ret_type, cap);
    if (sizeof json > cap)
        return TL_ERR_TOO_LARGE;
    memcpy(ret_type, json, sizeof json);
    return TL_OK;
}
