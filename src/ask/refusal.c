#include "ask/refusal.h"

#include "base/json.h"
#include "base/log.h"

#include <stdio.h>

#define DEPTH_MAX 16

/* The words in what servers write: {"error": {"message"}}, {"error"}, {"message"}, {"detail"}. */
static const char *message_of(const json_t *root)
{
    static const char *const names[] = {"error", "message", "detail"};
    const char *text = tl_json_string(json_object_get(root, "error"), "message", "");
    for (size_t i = 0; !text[0] && i < sizeof names / sizeof *names; i++)
        text = tl_json_string(root, names[i], "");
    return text;
}

/* The server's own error object, or a new one; a new reference. */
static json_t *error_of(json_t *root, int status)
{
    json_t *own = json_object_get(root, "error");
    if (json_is_object(own))
        return json_incref(own);
    return json_pack("{s:s, s:n, s:n}", "type",
                     status == 429 ? "rate_limit_error" : "invalid_request_error", "param", "code");
}

tl_err tl_refusal_write(tl_slice body, int status, const char *whose, tl_buf *out)
{
    json_t *root = NULL;
    char message[600];
    if (tl_json_parse(body, DEPTH_MAX, &root, NULL))
        root = NULL;
    const char *text = message_of(root);
    snprintf(message, sizeof message, "%s answers with status %d%s%s", whose, status,
             text[0] ? ": " : "", tl_log_safe(tl_slice_str(text)).text);
    json_t *error = error_of(root, status), *shown = NULL;
    if (error && !json_object_set_new(error, "message", json_string(message)))
        shown = json_pack("{s:O}", "error", error);
    size_t before = out->len;
    tl_err e = shown ? tl_json_write(out, shown) : TL_ERR_NOMEM;
    if (e)
        out->len = before;
    json_decref(shown);
    json_decref(error);
    json_decref(root);
    return e;
}
