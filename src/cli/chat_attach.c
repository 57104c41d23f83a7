#include "cli/chat_attach.h"

#include "base/base64.h"
#include "cli/files.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#define IMAGE_MIN 26 /* bytes; a GIF of one point, and PNG, JPEG and WebP have more */

typedef struct {
    tl_buf text;  /* the message, as it is asked */
    tl_buf files; /* the texts of files, which follow it */
    json_t *images, *names;
    size_t sum, count;
    tl_why *why;
} message;

bool tl_attach_begins_word(char before)
{
    return !before || strchr(" \t\r\n([{,;\"'", before);
}

/* The type of a picture by its first bytes; NULL: it is none that models take. */
static const char *image_type(tl_slice b)
{
    if (b.n >= 8 && !memcmp(b.p, "\x89PNG\r\n\x1a\n", 8))
        return "image/png";
    if (b.n >= 3 && !memcmp(b.p, "\xff\xd8\xff", 3))
        return "image/jpeg";
    if (b.n >= 6 && (!memcmp(b.p, "GIF87a", 6) || !memcmp(b.p, "GIF89a", 6)))
        return "image/gif";
    if (b.n >= 12 && !memcmp(b.p, "RIFF", 4) && !memcmp(b.p + 8, "WEBP", 4))
        return "image/webp";
    return NULL;
}

static tl_err add_image(message *m, const char *type, tl_slice bytes)
{
    uint8_t *room;
    tl_buf url = {0};
    size_t n = tl_base64_size(bytes.n);
    tl_err e = tl_buf_printf(&url, "data:%s;base64,", type);
    if (!e)
        e = tl_buf_reserve(&url, n + 1, &room);
    if (!e) {
        tl_base64_write(room, bytes);
        tl_buf_added(&url, n);
        json_t *part = json_pack("{s:s, s:{s:o}}", "type", "image_url", "image_url", "url",
                                 json_stringn((const char *)tl_buf_begin(&url), url.len));
        e = json_array_append_new(m->images, part) ? TL_ERR_NOMEM : TL_OK;
    }
    tl_buf_clear(&url);
    return e;
}

/* A fence that the text does not hold. */
static tl_err add_text(message *m, const char *name, tl_slice text)
{
    size_t longest = 2, run = 0;
    char fence[80];
    for (size_t i = 0; i < text.n; i++) {
        run = text.p[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    if (longest > sizeof fence - 2)
        longest = sizeof fence - 2;
    memset(fence, '`', longest + 1);
    fence[longest + 1] = 0;
    bool ends = text.n && text.p[text.n - 1] == '\n';
    tl_err e = tl_buf_printf(&m->files, "\n\nFile %s:\n%s\n", name, fence);
    if (!e)
        e = tl_buf_append(&m->files, text);
    return e ? e : tl_buf_printf(&m->files, "%s%s", ends ? "" : "\n", fence);
}

static tl_err take_bytes(message *m, const char *name, tl_slice bytes)
{
    const char *type = image_type(bytes);
    if (type && bytes.n < IMAGE_MIN)
        return tl_why_set(m->why, TL_ERR_INVALID, "%s is no whole picture: it has %zu bytes alone",
                          name, bytes.n);
    if (type && bytes.n > TL_ATTACH_IMAGE_MAX)
        return tl_why_set(m->why, TL_ERR_INVALID,
                          "%s is larger than the %u MiB that a picture may have", name,
                          TL_ATTACH_IMAGE_MAX >> 20);
    if (!type && (!tl_utf8_is(bytes) || memchr(bytes.p, 0, bytes.n)))
        return tl_why_set(m->why, TL_ERR_INVALID,
                          "%s is neither text in UTF-8 nor a picture (PNG, JPEG, GIF or WebP)",
                          name);
    if (!type && bytes.n > TL_ATTACH_TEXT_MAX)
        return tl_why_set(m->why, TL_ERR_INVALID,
                          "%s is larger than the %u MiB that a text may have", name,
                          TL_ATTACH_TEXT_MAX >> 20);
    if (m->count == TL_ATTACH_FILES_MAX || m->sum + bytes.n > TL_ATTACH_SUM_MAX)
        return tl_why_set(m->why, TL_ERR_INVALID, "a message has at most %d files of %u MiB in all",
                          TL_ATTACH_FILES_MAX, TL_ATTACH_SUM_MAX >> 20);
    m->count++;
    m->sum += bytes.n;
    tl_buf told = {0};
    tl_err e = tl_buf_printf(&told, "%s (%zu bytes)", name, bytes.n);
    if (!e &&
        json_array_append_new(m->names, json_stringn((const char *)tl_buf_begin(&told), told.len)))
        e = TL_ERR_NOMEM;
    tl_buf_clear(&told);
    if (!e)
        e = type ? add_image(m, type, bytes) : add_text(m, name, bytes);
    return e ? e : tl_buf_append_str(&m->text, name);
}

static bool is_file(const char *path, char ret_full[PATH_MAX])
{
    struct stat st;
    return tl_path_expand(tl_slice_str(path), ret_full) && !stat(ret_full, &st) &&
           S_ISREG(st.st_mode);
}

static tl_err attach(message *m, const char *full, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    tl_buf bytes = {0};
    tl_err e = tl_utf8_is(tl_slice_str(name))
                   ? tl_file_read(full, TL_ATTACH_IMAGE_MAX, &bytes, m->why)
                   : tl_why_set(m->why, TL_ERR_INVALID, "a file's name is not UTF-8");
    if (e == TL_ERR_TOO_LARGE)
        e = tl_why_set(m->why, TL_ERR_INVALID, "%s is larger than %u MiB", name,
                       TL_ATTACH_IMAGE_MAX >> 20);
    else if (e && e != TL_ERR_NOMEM)
        e = TL_ERR_INVALID;
    if (!e)
        e = take_bytes(m, name, bytes.len ? tl_buf_slice(&bytes) : TL_SLICE_LIT(""));
    tl_buf_clear(&bytes);
    return e;
}

/* The path behind an `@`; `*ret_n` bytes of the text were its, with quotes. False: it is none. */
static bool path_of(tl_slice rest, bool *ret_quoted, char ret[PATH_MAX], size_t *ret_n)
{
    size_t n = 0, from = 0;
    *ret_quoted = rest.n && rest.p[0] == '"';
    if (*ret_quoted) {
        const uint8_t *end = memchr(rest.p + 1, '"', rest.n - 1);
        if (!end)
            return false;
        from = 1;
        n = (size_t)(end - rest.p) - 1;
    } else {
        while (n < rest.n && !strchr(" \t\r\n", rest.p[n]))
            n++;
    }
    if (!n || n >= PATH_MAX || memchr(rest.p + from, 0, n))
        return false;
    memcpy(ret, rest.p + from, n);
    ret[n] = 0;
    *ret_n = n + 2 * from;
    return true;
}

/* The `"@" sign` in a text opens none: no word follows. */
static bool is_open_quote(tl_slice rest)
{
    return rest.n > 1 && rest.p[0] == '"' && isalnum(rest.p[1]) &&
           !memchr(rest.p + 1, '"', rest.n - 1);
}

/* A mention has no slash, and none of these endings; a decorator of code (`@app.route`) has another one. */
static bool can_only_be_a_path(const char *path)
{
    static const char *const endings[] = {"txt",  "md",   "pdf",  "png", "jpg", "jpeg", "gif",
                                          "webp", "csv",  "json", "log", "xml", "yml",  "yaml",
                                          "toml", "html", "c",    "h",   "py",  "js"};
    const char *dot = strrchr(path, '.');
    if (strchr(path, '/'))
        return true;
    for (size_t i = 0; dot && dot != path && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return true;
    return false;
}

/* What stands behind an `@`. `*ret_taken`: so many bytes of it. */
static tl_err take_at(message *m, tl_slice rest, size_t *ret_taken)
{
    char path[PATH_MAX], full[PATH_MAX];
    size_t n;
    bool quoted;
    *ret_taken = 0;
    if (rest.n && rest.p[0] == '@') {
        *ret_taken = 1;
        return tl_buf_append_str(&m->text, "@");
    }
    if (is_open_quote(rest))
        return tl_why_set(m->why, TL_ERR_INVALID,
                          "the path behind @\" needs a \" at its end (@@ asks an @ as text)");
    if (!path_of(rest, &quoted, path, &n))
        return tl_buf_append_str(&m->text, "@");
    bool found = is_file(path, full);
    while (!found && !quoted && n > 1 &&
           strchr(",.;:!?)]}'\"", path[n - 1])) { /* the end of a sentence */
        path[--n] = 0;
        found = is_file(path, full);
    }
    if (!found && (quoted || can_only_be_a_path(path)))
        return tl_why_set(m->why, TL_ERR_INVALID, "there is no file %s (@@ asks an @ as text)",
                          path);
    if (!found)
        return tl_buf_append_str(&m->text, "@");
    *ret_taken = n;
    return attach(m, full, path);
}

static tl_err expand(message *m, tl_slice text)
{
    tl_err e = TL_OK;
    for (size_t i = 0, taken; !e && i < text.n; i++) {
        bool at = text.p[i] == '@' && tl_attach_begins_word(i ? (char)text.p[i - 1] : 0);
        if (!at) {
            e = tl_buf_append(&m->text, tl_slice_of(text.p + i, 1));
            continue;
        }
        e = take_at(m, tl_slice_of(text.p + i + 1, text.n - i - 1), &taken);
        i += taken;
    }
    return e ? e : tl_buf_append(&m->text, tl_buf_slice(&m->files));
}

tl_err tl_attach_expand(tl_slice text, json_t **ret_content, json_t **ret_names, tl_why *why)
{
    message m = {.images = json_array(), .names = json_array(), .why = why};
    json_t *content = NULL;
    tl_err e = m.images && m.names ? expand(&m, text) : TL_ERR_NOMEM;
    if (!e) {
        content = json_stringn(m.text.len ? (const char *)tl_buf_begin(&m.text) : "", m.text.len);
        if (json_array_size(m.images)) {
            json_t *parts = json_pack("[{s:s, s:o}]", "type", "text", "text", content);
            content = parts && !json_array_extend(parts, m.images) ? json_incref(parts) : NULL;
            json_decref(parts);
        }
        e = content ? TL_OK : TL_ERR_NOMEM;
    }
    if (!e) {
        *ret_content = content;
        *ret_names = json_incref(m.names);
    } else if (e == TL_ERR_NOMEM) {
        (void)!tl_why_set(why, e, "out of memory");
    }
    json_decref(m.images);
    json_decref(m.names);
    tl_buf_clear(&m.text);
    tl_buf_clear(&m.files);
    return e;
}
