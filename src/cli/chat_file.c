#include "cli/chat_file.h"

#include "base/plain.h"
#include "cli/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define VERSION 1
#define DEPTH   8

/* --- write --- */

static tl_err write_text(const char *model, const json_t *messages, tl_buf *out)
{
    const json_t *one;
    size_t i;
    json_t *head = json_pack("{s:i, s:s}", "teale_chat", VERSION, "model", model);
    tl_err e = head ? tl_json_write(out, head) : TL_ERR_NOMEM;
    json_decref(head);
    json_array_foreach (messages, i, one) {
        if (!e)
            e = tl_buf_append_str(out, "\n");
        if (!e)
            e = tl_json_write(out, one);
    }
    return e ? e : tl_buf_append_str(out, "\n");
}

/* Beside it, then in its place: a crash leaves the old one or the new one. */
static tl_err replace(const char *path, tl_slice bytes, tl_why *why)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.%ld.new", path, (long)getpid());
    if (n < 0 || n >= PATH_MAX)
        return tl_why_set(why, TL_ERR_IO, "the path is too long");
    tl_err e = tl_file_create(beside, bytes, why);
    if (!e && rename(beside, path)) {
        e = tl_why_file(why, "write", path, errno);
        (void)unlink(beside);
    }
    return e;
}

tl_err tl_chat_file_save(const char *path, const char *model, const json_t *messages, bool replaces,
                         tl_why *why)
{
    tl_buf text = {0};
    tl_err e = write_text(model, messages, &text);
    if (e)
        e = tl_why_set(why, e, "out of memory");
    else if (text.len > TL_CHAT_FILE_MAX || json_array_size(messages) > TL_CHAT_MESSAGES_MAX)
        e = tl_why_set(why, TL_ERR_TOO_LARGE,
                       "the conversation is larger than %u MiB or %d messages",
                       TL_CHAT_FILE_MAX >> 20, TL_CHAT_MESSAGES_MAX);
    else
        e = replaces ? replace(path, tl_buf_slice(&text), why)
                     : tl_file_create(path, tl_buf_slice(&text), why);
    tl_buf_clear(&text);
    return e;
}

/* --- read --- */

static bool has_only(const json_t *object, const char *a, const char *b)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)object, key, v)
        if (strcmp(key, a) != 0 && strcmp(key, b) != 0)
            return false;
    return true;
}

/* NULL: it is a part of a message; else what is wrong. */
static const char *wrong_part(const json_t *part)
{
    const char *type = tl_json_string(part, "type", "");
    const json_t *image = json_object_get(part, "image_url");
    if (!strcmp(type, "text"))
        return has_only(part, "type", "text") && json_is_string(json_object_get(part, "text"))
                   ? NULL
                   : "a part of type text needs a text, and has nothing else";
    if (strcmp(type, "image_url") != 0)
        return "a part is of type text or image_url";
    /* an address would have the model server fetch it */
    return has_only(part, "type", "image_url") && has_only(image, "url", "detail") &&
                   !strncmp(tl_json_string(image, "url", ""), "data:image/", 11)
               ? NULL
               : "a picture is a data URL";
}

static const char *wrong_message(const json_t *m, bool first)
{
    const json_t *content = json_object_get(m, "content"), *part;
    const char *role = tl_json_string(m, "role", ""), *wrong = NULL;
    size_t i;
    if (!json_is_object(m))
        return "a message is an object";
    if (!has_only(m, "role", "content"))
        return "a message has role and content, and nothing else";
    if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0 && strcmp(role, "system") != 0)
        return "role is user, assistant or system";
    if (!strcmp(role, "system") && !first)
        return "the message of role system is the first one";
    if (json_is_string(content))
        return NULL;
    if (!json_array_size(content))
        return "content is a text, or an array of parts";
    json_array_foreach (content, i, part)
        wrong = wrong ? wrong : wrong_part(part);
    return wrong;
}

bool tl_chat_model_is(const char *name)
{
    return *name && strlen(name) < TL_MODEL_MAX && tl_plain_is(tl_slice_str(name));
}

static const char *wrong_head(const json_t *head, char ret_model[TL_MODEL_MAX])
{
    const json_t *version = json_object_get(head, "teale_chat");
    const char *model = tl_json_string(head, "model", "");
    if (!json_is_integer(version))
        return "this is no conversation of teale: its first line has no \"teale_chat\"";
    if (json_integer_value(version) != VERSION)
        return "it was saved by a newer teale";
    if (!*model || strlen(model) >= TL_MODEL_MAX)
        return "\"model\" is missing or too long";
    if (!tl_chat_model_is(model))
        return "\"model\" has characters that cannot be shown";
    snprintf(ret_model, TL_MODEL_MAX, "%s", model);
    return NULL;
}

/* `messages` NULL: it is the first line. */
static tl_err take_line(const char *path, size_t number, tl_slice line, char *model,
                        json_t *messages, tl_why *why)
{
    json_t *value = NULL;
    tl_why cause = {""};
    tl_err e = tl_json_parse(line, DEPTH, &value, &cause);
    if (e == TL_ERR_PROTO && !messages)
        return tl_why_set(why, e, "%s: line 1: this is no conversation of teale", path);
    if (e)
        return tl_why_set(why, e, "%s: line %zu: %s", path, number, cause.text);
    const char *wrong =
        !messages ? wrong_head(value, model) : wrong_message(value, !json_array_size(messages));
    if (!wrong && messages && json_array_size(messages) == TL_CHAT_MESSAGES_MAX)
        wrong = "there are too many messages";
    if (wrong)
        e = tl_why_set(why, TL_ERR_INVALID, "%s: line %zu: %s", path, number, wrong);
    else if (messages && json_array_append(messages, value))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    json_decref(value);
    return e;
}

tl_err tl_chat_file_parse(const char *path, tl_slice bytes, char ret_model[TL_MODEL_MAX],
                          json_t **ret_messages, tl_why *why)
{
    char model[TL_MODEL_MAX] = "";
    json_t *messages = json_array();
    tl_err e = messages ? TL_OK : tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    size_t number = 0;
    if (!e && !bytes.n)
        e = tl_why_set(why, TL_ERR_INVALID, "%s: line 1: the file is empty", path);
    while (!e && bytes.n) {
        const uint8_t *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        number++;
        e = take_line(path, number, tl_slice_of(bytes.p, n), model, number == 1 ? NULL : messages,
                      why);
        n += end != NULL;
        bytes = tl_slice_of(bytes.p + n, bytes.n - n);
    }
    if (!e) {
        memcpy(ret_model, model, sizeof model);
        *ret_messages = json_incref(messages);
    }
    json_decref(messages);
    return e;
}

tl_err tl_chat_file_load(const char *path, char ret_model[TL_MODEL_MAX], json_t **ret_messages,
                         tl_why *why)
{
    tl_buf bytes = {0};
    tl_err e = tl_file_read(path, TL_CHAT_FILE_MAX, &bytes, why);
    if (e == TL_ERR_TOO_LARGE)
        e = tl_why_set(why, e, "%s is larger than %u MiB", path, TL_CHAT_FILE_MAX >> 20);
    if (!e)
        e = tl_chat_file_parse(path, tl_buf_slice(&bytes), ret_model, ret_messages, why);
    tl_buf_clear(&bytes);
    return e;
}
