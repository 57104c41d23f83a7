/* config_edit.c - changes one setting in the text of teale.toml (config_text.h). Every byte that
 * does not belong to the value stays as it is. */
#include "config/config_text.h"

#include <assert.h>
#include <stdlib.h>

/* The text that is being copied to `out`; the bytes before `done` are there already. */
typedef struct {
    tl_slice text;
    size_t done;
    tl_buf *out;
    tl_err e; /* sticky */
} editor;

static void put(editor *d, const char *text)
{
    if (!d->e)
        d->e = tl_buf_append_str(d->out, text);
}

static void put_slice(editor *d, tl_slice bytes)
{
    if (!d->e)
        d->e = tl_buf_append(d->out, bytes);
}

static void keep_to(editor *d, size_t at)
{
    assert(at >= d->done && at <= d->text.n);
    put_slice(d, tl_slice_of(d->text.p + d->done, at - d->done));
    d->done = at;
}

static void drop_to(editor *d, size_t at)
{
    assert(at >= d->done && at <= d->text.n);
    d->done = at;
}

/* Writes a value; a text in single quotes where it stood in them and can. JSON's form of a text,
 * a number, a boolean and a list is TOML's too. */
static void put_value(editor *d, const json_t *value, bool single_quotes)
{
    const char *text = json_string_value(value);
    if (single_quotes && text && !strchr(text, '\'') && !strpbrk(text, "\r\n\t")) {
        put(d, "'");
        put(d, text);
        put(d, "'");
        return;
    }
    char *json = json_dumps(value, JSON_ENCODE_ANY); /* with ", " between items, as people write */
    if (!json)
        d->e = d->e ? d->e : TL_ERR_NOMEM;
    else
        put(d, json);
    free(json);
}

static bool has_single_quotes(const editor *d, const tl_toml *node)
{
    return node->type == TL_TOML_STRING && d->text.p[node->start] == '\'';
}

static bool is_equal(const tl_toml *node, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return node->type == TL_TOML_STRING &&
               tl_slice_eq(node->text,
                           tl_slice_of(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER:
        return node->type == TL_TOML_INTEGER && node->integer == json_integer_value(value);
    case JSON_TRUE:
    case JSON_FALSE: return node->type == TL_TOML_BOOL && !!node->integer == json_is_true(value);
    default: return false;
    }
}

/* "\r\n" if the first line of the text ends so, else "\n". */
static const char *newline_of(tl_slice text)
{
    const uint8_t *n = text.n ? memchr(text.p, '\n', text.n) : NULL;
    return n && n > text.p && n[-1] == '\r' ? "\r\n" : "\n";
}

static bool ends_line(tl_slice text, size_t at)
{
    return at == text.n || text.p[at] == '\n' || text.p[at] == '\r';
}

/* The blanks in front of `at` when nothing else stands before it on its line; `ret_first` tells. */
static tl_slice indent_of(tl_slice text, size_t at, bool *ret_first)
{
    size_t start = at;
    while (start > 0 && (text.p[start - 1] == ' ' || text.p[start - 1] == '\t'))
        start--;
    *ret_first = start == 0 || text.p[start - 1] == '\n';
    return tl_slice_of(text.p + start, at - start);
}

/* --- a list that stays a list: items and comments that stay are not touched --- */

/* Where an item ends together with its comma; *ret_comma tells if it has one. */
static size_t behind_comma(tl_slice text, const tl_toml *item, bool *ret_comma)
{
    size_t at = tl_toml_skip(text, item->end, true);
    *ret_comma = at < text.n && text.p[at] == ',';
    return *ret_comma ? at + 1 : item->end;
}

/* Leaves out an item with its comma, and its line if nothing else stands on it. */
static void drop_item(editor *d, const tl_toml *item)
{
    bool comma, first;
    size_t end = behind_comma(d->text, item, &comma);
    tl_slice indent = indent_of(d->text, item->start, &first);
    size_t next = tl_toml_skip(d->text, end, false);
    size_t start = item->start - indent.n;
    bool alone = first && start >= d->done && ends_line(d->text, next) && next < d->text.n;
    keep_to(d, alone ? start : item->start);
    drop_to(d, item->end);
    if (comma) /* a comment may stand between an item and its comma */
        keep_to(d, tl_toml_skip(d->text, item->end, true));
    if (alone)
        drop_to(d, tl_toml_next_line(d->text, next));
    else
        drop_to(d, next < d->text.n && d->text.p[next] == '#' ? end : next);
}

/* Leaves out the comma between two items that stand on one line. */
static void drop_comma(editor *d, const tl_toml *item, const tl_toml *next)
{
    bool comma;
    size_t end = behind_comma(d->text, item, &comma);
    if (tl_toml_skip(d->text, end, false) != next->start ||
        tl_toml_skip(d->text, item->end, false) + 1 != end)
        return;
    keep_to(d, item->end);
    drop_to(d, next->start);
}

/* Puts items [from, to) of `list` behind `item`, each on a line of its own if `item` is. */
static void add_items(editor *d, const tl_toml *item, const json_t *list, size_t from, size_t to)
{
    bool comma, first;
    size_t at = behind_comma(d->text, item, &comma);
    tl_slice indent = indent_of(d->text, item->start, &first);
    size_t line_end = tl_toml_skip(d->text, at, false);
    bool ends = ends_line(d->text, line_end) || d->text.p[line_end] == '#';
    if (!comma) {
        keep_to(d, item->end);
        put(d, ",");
    }
    keep_to(d, at);
    if (first && ends) { /* behind the comment of the item's line */
        size_t next = tl_toml_next_line(d->text, at);
        size_t stop = next - (next > at && d->text.p[next - 1] == '\n');
        keep_to(d, stop - (stop > at && d->text.p[stop - 1] == '\r'));
    }
    for (size_t i = from; i < to; i++) {
        put(d, first && ends ? newline_of(d->text) : " ");
        if (first && ends)
            put_slice(d, indent);
        put_value(d, json_array_get(list, i), has_single_quotes(d, item));
        if (comma || i + 1 < to)
            put(d, ",");
    }
}

/* Puts items [0, to) of `list` in front of all that are there. */
static void add_in_front(editor *d, const tl_toml *array, const json_t *list, size_t to)
{
    bool on_own_line = false;
    tl_slice indent = {0};
    if (array->first)
        indent = indent_of(d->text, array->first->start, &on_own_line);
    keep_to(d, array->first ? array->first->start : array->start + 1);
    for (size_t i = 0; i < to; i++) {
        put_value(d, json_array_get(list, i), array->first && has_single_quotes(d, array->first));
        if (!array->first && i + 1 == to)
            break;
        put(d, on_own_line ? "," : ", ");
        if (on_own_line) {
            put(d, newline_of(d->text));
            put_slice(d, indent);
        }
    }
}

/* Items at the front and at the back that stay are not touched; between these the items change in
 * pairs, and what is left over is added or left out. */
static void edit_list(editor *d, const tl_toml *array, const json_t *list)
{
    const tl_toml *item[TL_SETTING_LIST_MAX];
    size_t had = 0, wants = json_array_size(list), front = 0, back = 0;
    for (const tl_toml *i = array->first; i; i = i->next) {
        assert(had < TL_SETTING_LIST_MAX); /* the text was accepted */
        item[had++] = i;
    }
    while (front < had && front < wants && is_equal(item[front], json_array_get(list, front)))
        front++;
    while (back < had - front && back < wants - front &&
           is_equal(item[had - 1 - back], json_array_get(list, wants - 1 - back)))
        back++;
    size_t i = front;
    for (; i < had - back && i < wants - back; i++) {
        keep_to(d, item[i]->start);
        put_value(d, json_array_get(list, i), has_single_quotes(d, item[i]));
        drop_to(d, item[i]->end);
    }
    if (i < wants - back && i > 0)
        add_items(d, item[i - 1], list, i, wants - back);
    else if (i < wants - back)
        add_in_front(d, array, list, wants - back);
    else if (i < had - back && i > 0 && back == 0)
        drop_comma(d, item[i - 1], item[i]);
    for (; i < had - back; i++)
        drop_item(d, item[i]);
}

/* --- a setting that is there --- */

static tl_err edit_value(editor *d, const tl_setting_def *def, const tl_toml *node,
                         const json_t *value)
{
    if (def->kind == TL_KIND_LIST && node->type == TL_TOML_ARRAY) {
        json_t *list = json_is_array(value) ? json_deep_copy(value) : json_pack("[O]", value);
        if (!list)
            return TL_ERR_NOMEM;
        edit_list(d, node, list);
        json_decref(list);
    } else if (!is_equal(node, value)) {
        keep_to(d, node->start);
        put_value(d, value, has_single_quotes(d, node));
        drop_to(d, node->end);
    }
    return d->e;
}

/* --- a setting that is not there yet --- */

static void put_entry(editor *d, const char *name, const json_t *value)
{
    put(d, name);
    put(d, " = ");
    put_value(d, value, false);
}

/* A line of its own at `at`, where a line begins. */
static void put_line(editor *d, size_t at, const char *name, const json_t *value)
{
    const char *nl = newline_of(d->text);
    keep_to(d, at);
    if (at > tl_toml_mark_size(d->text) && d->text.p[at - 1] != '\n')
        put(d, nl);
    put_entry(d, name, value);
    put(d, nl);
}

/* Where the last `name = value` of a table ends, except of the tables that have headers. 0: there is
 * none. */
static size_t last_end(const tl_toml *table)
{
    size_t end = 0;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a document that was read has a root */
    for (const tl_toml *m = table->first; m; m = m->next) {
        bool group = m->type == TL_TOML_TABLE || m->type == TL_TOML_ARRAY;
        size_t its = m->end;
        if (group && m->how == TL_TOML_BY_DOTS)
            its = last_end(m);
        else if (group && m->how != TL_TOML_BY_VALUE)
            its = 0;
        end = its > end ? its : end;
    }
    return end;
}

/* Where the first setting at the top goes when there is none: behind the comments that begin the
 * text, but before those directly above the first header. */
static size_t place_at_top(tl_slice text, size_t first_header)
{
    size_t insert = tl_toml_mark_size(text), above = insert;
    for (size_t at = insert; at < first_header;) {
        size_t i = tl_toml_skip(text, at, false), next = tl_toml_next_line(text, at);
        bool comment = i < text.n && text.p[i] == '#';
        if (i >= first_header)
            break;
        if (!comment)
            above = next;
        else
            insert = next;
        at = next;
    }
    return first_header < text.n ? above : insert;
}

static void add_at_top(editor *d, const tl_toml_doc *doc, const char *name, const json_t *value)
{
    tl_slice text = d->text;
    size_t end = last_end(doc->root), first = doc->first_header;
    while (first > 0 && first < text.n && text.p[first - 1] != '\n' &&
           first > tl_toml_mark_size(text))
        first--;
    size_t at = end ? tl_toml_next_line(text, end) : place_at_top(text, first);
    put_line(d, at, name, value);
    if (doc->first_header < text.n && !ends_line(text, at)) /* what follows belongs to a section */
        put(d, newline_of(text));
}

/* { a = 1 } */
static void add_inside(editor *d, const tl_toml *table, const char *name, const json_t *value)
{
    size_t end = last_end(table);
    if (end) {
        keep_to(d, end);
        put(d, ", ");
        put_entry(d, name, value);
    } else {
        keep_to(d, table->start);
        put(d, "{ ");
        put_entry(d, name, value);
        put(d, " }");
        drop_to(d, table->end);
    }
}

static void add_to_section(editor *d, const tl_toml *table, const char *key, const char *name,
                           const json_t *value)
{
    size_t end = last_end(table);
    if (table->how == TL_TOML_BY_VALUE)
        add_inside(d, table, name, value);
    else if (table->how == TL_TOML_BY_DOTS)
        put_line(d, tl_toml_next_line(d->text, end), key, value);
    else
        put_line(d, tl_toml_next_line(d->text, end ? end : table->end), name, value);
}

static void add_section(editor *d, tl_slice section, const char *name, const json_t *value)
{
    const char *nl = newline_of(d->text);
    keep_to(d, d->text.n);
    if (d->text.n > tl_toml_mark_size(d->text)) {
        put(d, d->text.p[d->text.n - 1] == '\n' ? "" : nl);
        put(d, nl);
    }
    put(d, "[");
    put_slice(d, section);
    put(d, "]");
    put(d, nl);
    put_entry(d, name, value);
    put(d, nl);
}

static tl_err edit(editor *d, const tl_toml_doc *doc, const tl_setting_def *def,
                   const json_t *value)
{
    const char *key = def->info.key, *dot = strrchr(key, '.'), *name = dot ? dot + 1 : key;
    tl_slice section = tl_slice_of(key, dot ? (size_t)(dot - key) : 0);
    const tl_toml *table = dot ? tl_toml_member(doc->root, section) : doc->root;
    const tl_toml *node = table ? tl_toml_member(table, tl_slice_str(name)) : NULL;
    if (node)
        return edit_value(d, def, node, value);
    if (!dot)
        add_at_top(d, doc, name, value);
    else if (table)
        add_to_section(d, table, key, name, value);
    else
        add_section(d, section, name, value);
    return d->e;
}

tl_err tl_config_text_edit(tl_slice text, const tl_setting_def *def, const json_t *value,
                           tl_buf *out)
{
    tl_toml_doc doc = {0};
    size_t before = out->len;
    tl_err e = tl_toml_read(text, "", &doc, NULL);
    if (e)
        return e;
    editor d = {.text = text, .out = out};
    e = edit(&d, &doc, def, value);
    if (!e) {
        keep_to(&d, text.n);
        e = d.e;
    }
    tl_toml_clear(&doc);
    if (e)
        out->len = before;
    return e;
}
