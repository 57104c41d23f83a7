/* toml.c - the grammar of toml.h. */
#include "config/toml_state.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

/* --- places and faults --- */

unsigned tl_toml_line(tl_toml_reader *r, size_t at)
{
    if (at < r->counted_at) {
        r->counted_at = 0;
        r->counted_line = 1;
    }
    for (; r->counted_at < at; r->counted_at++)
        r->counted_line += r->text.p[r->counted_at] == '\n';
    return r->counted_line;
}

tl_err tl_toml_fail(tl_toml_reader *r, size_t at, tl_err e, const char *fmt, ...)
{
    char text[sizeof r->why->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tl_safe of = tl_log_safe(r->value_of);
    return tl_why_set(r->why, e, "%s:%u: %s%s%s", r->name, tl_toml_line(r, at), of.text,
                      *of.text ? ": " : "", text);
}

size_t tl_toml_mark_size(tl_slice text)
{
    return text.n >= 3 && !memcmp(text.p, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

size_t tl_toml_next_line(tl_slice text, size_t at)
{
    const uint8_t *newline = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
    return newline ? (size_t)(newline - text.p) + 1 : text.n;
}

size_t tl_toml_skip(tl_slice text, size_t at, bool lines)
{
    for (; at < text.n; at++) {
        uint8_t c = text.p[at];
        if (lines && c == '#')
            at = tl_toml_next_line(text, at) - 1;
        else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r')))
            break;
    }
    return at < text.n ? at : text.n;
}

const char *tl_toml_type_name(tl_toml_type type)
{
    switch (type) {
    case TL_TOML_TABLE: return "a table";
    case TL_TOML_ARRAY: return "a list";
    case TL_TOML_STRING: return "text";
    case TL_TOML_INTEGER: return "a whole number";
    case TL_TOML_FLOAT: return "a decimal number";
    case TL_TOML_BOOL: return "true or false";
    case TL_TOML_DATETIME:
    case TL_TOML_DATETIME_LOCAL: return "a date with a time";
    case TL_TOML_DATE_LOCAL: return "a date";
    case TL_TOML_TIME_LOCAL: return "a time";
    }
    return "";
}

/* What TOML allows nowhere: control characters, a carriage return alone, wrong UTF-8. */
static tl_err check_bytes(tl_toml_reader *r)
{
    tl_slice t = r->text;
    for (size_t i = 0, n; i < t.n; i += n) {
        uint8_t c = t.p[i];
        n = c < 0x80 ? 1 : tl_utf8_next(tl_slice_of(t.p + i, t.n - i));
        if (!n)
            return tl_toml_fail(r, i, TL_ERR_PROTO, "not valid UTF-8; save the file as UTF-8");
        bool newline = c == '\n' || (c == '\r' && i + 1 < t.n && t.p[i + 1] == '\n');
        if ((c < 0x20 && c != '\t' && !newline) || c == 0x7F)
            return tl_toml_fail(r, i, TL_ERR_PROTO, "a control character (0x%02x)", c);
    }
    return TL_OK;
}

static void skip(tl_toml_reader *r, bool lines)
{
    r->at = tl_toml_skip(r->text, r->at, lines);
}

/* --- names --- */

static bool is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static tl_err read_part(tl_toml_reader *r, tl_slice *ret_part)
{
    int c = tl_toml_peek(r);
    if (c == '"' || c == '\'')
        return tl_toml_string(r, false, ret_part);
    size_t start = r->at;
    while (is_bare(tl_toml_peek(r)))
        r->at++;
    if (r->at == start)
        return tl_toml_fail(r, start, TL_ERR_PROTO,
                            "a name of letters, digits, _ and - belongs here: name = value");
    return tl_toml_copy(r, tl_slice_of(r->text.p + start, r->at - start), ret_part);
}

static tl_err read_name(tl_toml_reader *r, tl_toml_name *ret_name)
{
    ret_name->n = 0;
    ret_name->start = r->at;
    for (;;) {
        if (ret_name->n == TL_TOML_DEPTH_MAX)
            return tl_toml_fail(r, r->at, TL_ERR_TOO_LARGE, "a name of more than %d parts",
                                TL_TOML_DEPTH_MAX);
        tl_err e = read_part(r, &ret_name->part[ret_name->n]);
        if (e)
            return e;
        ret_name->n++;
        ret_name->end = r->at;
        skip(r, false);
        if (tl_toml_peek(r) != '.')
            return TL_OK;
        r->at++;
        skip(r, false);
    }
}

/* --- values --- */

static tl_err read_value(tl_toml_reader *r, tl_toml *node);
static tl_err read_entry(tl_toml_reader *r, tl_toml *table);

static tl_err read_array(tl_toml_reader *r, tl_toml *array)
{
    size_t opened = r->at++;
    array->how = TL_TOML_BY_VALUE;
    for (;;) {
        skip(r, true);
        int c = tl_toml_peek(r);
        if (c == ']') {
            r->at++;
            return TL_OK;
        }
        if (c < 0)
            return tl_toml_fail(r, opened, TL_ERR_PROTO, "the closing ] of the list is missing");
        tl_toml *item;
        tl_err e = tl_toml_node(r, TL_TOML_STRING, r->at, &item);
        if (!e)
            e = read_value(r, item);
        if (e)
            return e;
        tl_toml_add(array, item);
        skip(r, true);
        c = tl_toml_peek(r);
        if (c == ',')
            r->at++;
        else if (c >= 0 && c != ']')
            return tl_toml_fail(r, r->at, TL_ERR_PROTO,
                                "a comma or the closing ] of the list is missing");
    }
}

static tl_err read_inline_table(tl_toml_reader *r, tl_toml *table)
{
    size_t opened = r->at++;
    unsigned outer = r->scope;
    r->scope = ++r->scopes;
    table->how = TL_TOML_BY_VALUE;
    skip(r, false);
    for (bool empty = tl_toml_peek(r) == '}'; !empty;) {
        tl_err e = read_entry(r, table);
        if (e)
            return e;
        skip(r, false);
        int c = tl_toml_peek(r);
        if (c == '}')
            break;
        if (c != ',')
            return tl_toml_fail(r, c < 0 ? opened : r->at, TL_ERR_PROTO,
                                "a comma or the closing } is missing, on the same line");
        r->at++;
        skip(r, false);
        if (tl_toml_peek(r) == '}')
            return tl_toml_fail(r, r->at, TL_ERR_PROTO, "no comma may stand before }");
    }
    r->at++;
    r->scope = outer;
    return TL_OK;
}

static tl_err read_value(tl_toml_reader *r, tl_toml *node)
{
    if (++r->depth > TL_TOML_DEPTH_MAX)
        return tl_toml_fail(r, r->at, TL_ERR_TOO_LARGE, "values nested deeper than %d",
                            TL_TOML_DEPTH_MAX);
    tl_err e;
    node->start = r->at;
    switch (tl_toml_peek(r)) {
    case '"':
    case '\'':
        node->type = TL_TOML_STRING;
        e = tl_toml_string(r, true, &node->text);
        break;
    case '[':
        node->type = TL_TOML_ARRAY;
        e = read_array(r, node);
        break;
    case '{':
        node->type = TL_TOML_TABLE;
        e = read_inline_table(r, node);
        break;
    default: e = tl_toml_scalar(r, node); break;
    }
    node->end = r->at;
    r->depth--;
    return e;
}

/* name = value, into `table` or a table below it. */
static tl_err read_entry(tl_toml_reader *r, tl_toml *table)
{
    tl_toml_name name;
    tl_toml *node;
    size_t start = r->at;
    tl_err e = read_name(r, &name);
    if (e)
        return e;
    if (tl_toml_peek(r) != '=')
        return tl_toml_fail(r, start, TL_ERR_PROTO, "a setting is written: name = value");
    r->at++;
    skip(r, false);
    e = tl_toml_open_dotted(r, table, &name, &table);
    if (!e)
        e = tl_toml_node(r, TL_TOML_STRING, start, &node);
    if (e)
        return e;
    node->key = name.part[name.n - 1];
    tl_toml_add(table, node);
    tl_slice outer = r->value_of;
    r->value_of = tl_slice_of(r->text.p + name.start, name.end - name.start);
    e = read_value(r, node);
    r->value_of = outer;
    return e;
}

/* --- lines --- */

static tl_err read_header(tl_toml_reader *r, tl_toml **ret_table)
{
    tl_toml_name name;
    size_t start = r->at;
    bool list = tl_toml_starts(r, "[[");
    const char *close = list ? "]]" : "]";
    if (r->doc.first_header > start)
        r->doc.first_header = start;
    r->at += list ? 2 : 1;
    skip(r, false);
    tl_err e = read_name(r, &name);
    if (e)
        return e;
    if (!tl_toml_starts(r, close))
        return tl_toml_fail(r, start, TL_ERR_PROTO, "a section is written [name], on one line");
    r->at += strlen(close);
    return tl_toml_open_header(r, &name, list, start, r->at, ret_table);
}

/* Behind a value or a header only blanks and a comment may follow. */
static tl_err finish_line(tl_toml_reader *r)
{
    skip(r, false);
    int c = tl_toml_peek(r);
    if (c >= 0 && c != '#' && c != '\n' && c != '\r') {
        size_t n = tl_toml_next_line(r->text, r->at) - r->at;
        while (n > 1 && strchr("\r\n", r->text.p[r->at + n - 1]))
            n--;
        tl_safe safe = tl_log_safe(tl_slice_of(r->text.p + r->at, n < 40 ? n : 40));
        return tl_toml_fail(r, r->at, TL_ERR_PROTO,
                            "unexpected text: %s (a comment begins with #; one setting a line)",
                            safe.text);
    }
    r->at = tl_toml_next_line(r->text, r->at);
    return TL_OK;
}

static tl_err read_lines(tl_toml_reader *r)
{
    tl_toml *table = r->doc.root;
    while (r->at < r->text.n) {
        skip(r, true);
        int c = tl_toml_peek(r);
        if (c < 0)
            break;
        tl_err e = c == '[' ? read_header(r, &table) : read_entry(r, table);
        if (!e)
            e = finish_line(r);
        if (e)
            return e;
    }
    return TL_OK;
}

tl_err tl_toml_read(tl_slice text, const char *name, tl_toml_doc *ret_doc, tl_why *why)
{
    if (text.n > TL_TOML_TEXT_MAX)
        return tl_why_set(why, TL_ERR_TOO_LARGE, "%s: larger than %u bytes", name,
                          TL_TOML_TEXT_MAX);
    tl_toml_reader r = {.text = text, .name = name, .why = why, .counted_line = 1};
    r.doc.first_header = text.n;
    r.at = tl_toml_mark_size(text);
    tl_err e = check_bytes(&r);
    if (!e)
        e = tl_toml_node(&r, TL_TOML_TABLE, r.at, &r.doc.root);
    if (!e) {
        r.doc.root->how = TL_TOML_BY_HEADER;
        e = read_lines(&r);
    }
    tl_buf_clear(&r.scratch);
    if (e) {
        if (e == TL_ERR_NOMEM)
            (void)tl_why_set(why, e, "%s: out of memory", name);
        tl_toml_clear(&r.doc);
        return e;
    }
    *ret_doc = r.doc;
    return TL_OK;
}
