#include "cli/chat_complete.h"

#include "base/plain.h"
#include "cli/chat_attach.h"
#include "cli/files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool begins(const char *word, const char *typed)
{
    return !strncmp(word, typed, strlen(typed));
}

/* Takes the list; NULL: out of memory. */
static json_t *offer(json_t *list, const char *lead, const char *word, const char *end)
{
    char text[PATH_MAX + NAME_MAX + 8];
    int n = snprintf(text, sizeof text, "%s%s%s", lead, word, end);
    if (n < 0 || (size_t)n >= sizeof text || json_array_size(list) == TL_CHAT_OFFERS_MAX ||
        !tl_plain_is(tl_slice_str(text)))
        return list;
    return tl_json_append(list, json_string(text));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_directory(const char *in, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s%s", in, name);
    return n > 0 && n < PATH_MAX && !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Names in the directory that begin so. `quotes`: the path began with a quote, or needs one. */
static json_t *offer_files(const char *typed, bool quoted)
{
    char in[PATH_MAX], real[PATH_MAX], names[TL_CHAT_OFFERS_MAX][NAME_MAX + 1];
    char *sorted[TL_CHAT_OFFERS_MAX];
    size_t count = 0;
    const char *slash = strrchr(typed, '/'), *base = slash ? slash + 1 : typed;
    size_t n = (size_t)(base - typed);
    if (n >= sizeof in)
        return NULL;
    memcpy(in, typed, n);
    in[n] = 0;
    DIR *dir = tl_path_expand(tl_slice_str(n ? in : "./"), real) ? opendir(real) : NULL;
    for (struct dirent *d; dir && count < TL_CHAT_OFFERS_MAX && (d = readdir(dir));)
        if (begins(d->d_name, base) && (*d->d_name != '.' || *base == '.') &&
            strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
            !strchr(d->d_name, '"')) {
            snprintf(names[count], sizeof names[count], "%s", d->d_name);
            sorted[count] = names[count];
            count++;
        }
    if (dir)
        closedir(dir);
    qsort(sorted, count, sizeof *sorted, by_text);
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        char lead[PATH_MAX + 2];
        bool directory = is_directory(real, sorted[i]);
        bool quotes = quoted || strpbrk(sorted[i], " \t") || strpbrk(in, " \t");
        snprintf(lead, sizeof lead, "%s%s", quotes ? "\"" : "", in);
        list = offer(list, lead, sorted[i], directory ? "/" : quotes ? "\" " : " ");
    }
    return list;
}

static json_t *offer_models(const tl_chat_words *w, const char *typed)
{
    json_t *models = w->models(w->user), *list = json_array(), *one;
    size_t i;
    json_array_foreach (models, i, one)
        if (list && json_is_string(one) && begins(json_string_value(one), typed))
            list = offer(list, "", json_string_value(one), " ");
    json_decref(models);
    return list;
}

static json_t *offer_commands(const tl_chat_words *w, const char *typed)
{
    json_t *list = json_array();
    for (const char *const *c = w->commands; list && *c; c++)
        if (begins(*c, typed))
            list = offer(list, "", *c, " ");
    return list;
}

/* Where the path behind the last `@` that names a file begins; NULL: the cursor is in no such word. */
static const char *path_at_end(const char *text, bool *ret_quoted)
{
    const char *found = NULL;
    for (const char *p = text; *p; p++) {
        if (*p != '@' || !tl_attach_begins_word(p == text ? 0 : p[-1]) || p[1] == '@')
            continue;
        bool quoted = p[1] == '"';
        const char *end = quoted ? strchr(p + 2, '"') : strpbrk(p + 1, " \t\n");
        if (!end) {
            found = p + 1 + quoted;
            *ret_quoted = quoted;
        }
    }
    return found;
}

json_t *tl_chat_complete(const tl_chat_words *w, const char *text, size_t *ret_from)
{
    const char *space = strpbrk(text, " \t\n");
    bool quoted = false;
    if (*text == '/' && !space) {
        *ret_from = 0;
        return offer_commands(w, text);
    }
    if (*text == '/' && *space != '\n' && !strpbrk(space + 1, " \t\n")) {
        *ret_from = (size_t)(space + 1 - text);
        if (begins(text, "/model "))
            return offer_models(w, space + 1);
        if (begins(text, "/save ") || begins(text, "/load "))
            return offer_files(space + 1, false);
    }
    const char *path = path_at_end(text, &quoted);
    if (!path)
        return NULL;
    *ret_from = (size_t)(path - text) - quoted;
    return offer_files(path, quoted);
}
