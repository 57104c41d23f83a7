#include "config/config_text.h"

#include "base/log.h"

/* One line. Its positions count from the start of the text. */
typedef struct {
    enum { BLANK, COMMENT, SECTION, ENTRY } kind;
    size_t start, end, next;       /* content is [start, end); the next line begins at `next` */
    tl_slice name;                 /* the name of the section, or the key */
    size_t value_start, value_end; /* of an entry: its JSON, without the blanks and the comment
                                      around it */
    const char *fault;             /* NULL, or what is wrong with the line */
} line;

typedef struct {
    char section[64];               /* "" before the first section */
    unsigned seen[TL_SETTINGS_MAX]; /* the line of each setting; 0 = not seen yet */
    unsigned
        section_seen[TL_SETTINGS_MAX]; /* the line of each section, kept at the index of its first
                                          setting */
    unsigned number;
} reader;

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool is_name_character(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static size_t skip_blanks(tl_slice t, size_t i, size_t end)
{
    while (i < end && is_blank(t.p[i]))
        i++;
    return i;
}

static tl_slice take_name(tl_slice t, size_t *i, size_t end)
{
    size_t from = *i;
    while (*i < end && is_name_character(t.p[*i]))
        (*i)++;
    return tl_slice_of(t.p + from, *i - from);
}

/* Where the value ends: before trailing blanks, and before a `#` outside of strings. */
static size_t value_end(tl_slice t, size_t i, size_t end)
{
    size_t last = i;
    for (bool in_string = false; i < end && (in_string || t.p[i] != '#'); i++) {
        if (in_string && t.p[i] == '\\' && i + 1 < end)
            i++;
        else if (t.p[i] == '"')
            in_string = !in_string;
        if (!is_blank(t.p[i]))
            last = i + 1;
    }
    return last;
}

static const char *parse_section(tl_slice t, line *l, size_t i)
{
    i = skip_blanks(t, i + 1, l->end);
    l->name = take_name(t, &i, l->end);
    i = skip_blanks(t, i, l->end);
    if (!l->name.n || i == l->end || t.p[i] != ']')
        return "a section is written [name]";
    i = skip_blanks(t, i + 1, l->end);
    return i < l->end && t.p[i] != '#' ? "unexpected text behind the section's name" : NULL;
}

static const char *parse_entry(tl_slice t, line *l, size_t i)
{
    l->name = take_name(t, &i, l->end);
    i = skip_blanks(t, i, l->end);
    if (!l->name.n || i == l->end || t.p[i] != '=')
        return "a setting is written: key = value";
    l->value_start = skip_blanks(t, i + 1, l->end);
    l->value_end = value_end(t, l->value_start, l->end);
    return l->value_start == l->value_end ? "the value is missing" : NULL;
}

/* The size of the byte-order mark that some Windows editors put in front. */
static size_t mark_size(tl_slice t)
{
    return t.n >= 3 && !memcmp(t.p, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

static line read_line(tl_slice t, size_t start)
{
    line l = {.start = start};
    const uint8_t *newline = t.n > start ? memchr(t.p + start, '\n', t.n - start) : NULL;
    l.end = newline ? (size_t)(newline - t.p) : t.n;
    l.next = newline ? l.end + 1 : t.n;
    if (newline && l.end > start && t.p[l.end - 1] == '\r')
        l.end--;
    size_t i = skip_blanks(t, start ? start : mark_size(t), l.end);
    if (i == l.end) {
        l.kind = BLANK;
    } else if (t.p[i] == '#') {
        l.kind = COMMENT;
    } else if (t.p[i] == '[') {
        l.kind = SECTION;
        l.fault = parse_section(t, &l, i);
    } else {
        l.kind = ENTRY;
        l.fault = parse_entry(t, &l, i);
    }
    for (i = l.start; i < l.end; i++)
        if (t.p[i] == 0x7F || (t.p[i] < 0x20 && t.p[i] != '\t'))
            l.fault = "control character";
    if (l.end - l.start > TL_CONFIG_LINE_MAX)
        l.fault = "line too long";
    else if (!tl_utf8_is(tl_slice_of(t.p + l.start, l.end - l.start)))
        l.fault = "not valid UTF-8";
    return l;
}

/* Writes the whole name of an entry's setting. A name longer than any setting's is cut; the cut
 * name is no setting either. */
static void full_key(const char *section, tl_slice name, char *ret, size_t size)
{
    snprintf(ret, size, "%s%s%.*s", section, *section ? "." : "", (int)name.n,
             (const char *)name.p);
}

static tl_err enter_section(reader *r, tl_slice name, tl_why *why)
{
    char text[sizeof r->section];
    snprintf(text, sizeof text, "%.*s", (int)name.n, (const char *)name.p);
    const tl_setting_def *first = tl_setting_section(text);
    if (!first) {
        tl_safe safe = tl_log_safe(name);
        return tl_why_set(why, TL_ERR_NOT_FOUND, "unknown section [%s]; the only one is [nat]",
                          safe.text);
    }
    unsigned *seen = &r->section_seen[first - tl_setting_def_at(0)];
    if (*seen)
        return tl_why_set(why, TL_ERR_EXISTS, "section [%s] is already at line %u", text, *seen);
    *seen = r->number;
    memcpy(r->section, text, sizeof text);
    return TL_OK;
}

static tl_err bad_json(const char *key, const char *value, tl_why *why)
{
    const char *hint = "not a JSON value";
    if (*value == '[')
        hint = "not a list; it is written [\"a\", \"b\"], on one line";
    else if (*value == '"')
        hint = "not a text; it is written \"...\", on one line, with \\\" for a quote inside";
    else if (strchr("+-.0123456789", *value))
        hint = "not a number, true, false, \"text\" or list";
    else
        hint = "text goes in double quotes";
    return tl_why_set(why, TL_ERR_PROTO, "%s: %s", key, hint);
}

static tl_err take_entry(reader *r, tl_slice text, const line *l, tl_settings *s, tl_why *why)
{
    char key[2 * sizeof r->section];
    full_key(r->section, l->name, key, sizeof key);
    const tl_setting_def *def;
    tl_err e = tl_setting_find(key, &def, why);
    if (e)
        return e;
    size_t i = (size_t)(def - tl_setting_def_at(0));
    if (r->seen[i])
        return tl_why_set(why, TL_ERR_EXISTS, "%s is already set at line %u", key, r->seen[i]);
    r->seen[i] = r->number;
    tl_slice json = tl_slice_of(text.p + l->value_start, l->value_end - l->value_start);
    json_t *value;
    e = tl_json_parse(json, 2, &value, NULL);
    if (e == TL_ERR_PROTO)
        return bad_json(key, (const char *)json.p, why);
    if (e)
        return e;
    tl_why must;
    e = tl_setting_apply(s, def, value, &must);
    json_decref(value);
    return e ? tl_why_set(why, e, "%s %s", key, must.text) : TL_OK;
}

tl_err tl_config_text_read(tl_slice text, const char *name, tl_settings *s, tl_why *why)
{
    if (text.n > TL_CONFIG_TEXT_MAX)
        return tl_why_set(why, TL_ERR_TOO_LARGE, "%s: larger than %u bytes", name,
                          TL_CONFIG_TEXT_MAX);
    reader r = {.section = ""};
    tl_settings changed = *s;
    for (size_t at = 0; at < text.n;) {
        line l = read_line(text, at);
        tl_why reason = {""};
        tl_err e = TL_OK;
        r.number++;
        if (l.fault)
            e = tl_why_set(&reason, TL_ERR_PROTO, "%s", l.fault);
        else if (l.kind == SECTION)
            e = enter_section(&r, l.name, &reason);
        else if (l.kind == ENTRY)
            e = take_entry(&r, text, &l, &changed, &reason);
        if (e == TL_ERR_NOMEM)
            return tl_why_set(why, e, "%s: out of memory", name);
        if (e)
            return tl_why_set(why, e, "%s:%u: %s", name, r.number, reason.text);
        at = l.next;
    }
    *s = changed;
    return TL_OK;
}

/* The position of a key, or the position where it would go. */
typedef struct {
    bool found;
    line entry;          /* when found */
    bool has_section;    /* the key's section is there (the top counts as one) */
    size_t insert;       /* where to insert: the start of a line */
    bool before_section; /* the header of a section, or a comment above it, follows the insertion */
} place;

static place find_place(tl_slice text, const tl_setting_def *def)
{
    const char *key = def->info.key, *dot = strrchr(key, '.');
    size_t section_n = dot ? (size_t)(dot - key) : 0;
    place p = {.has_section = !dot, .insert = mark_size(text)};
    bool inside = !dot, has_entry = false, ever_section = false;
    char section[64] = "", full[128];
    size_t comments = p.insert; /* start of the comments directly above this line */
    for (size_t at = 0; at < text.n;) {
        line l = read_line(text, at);
        if (l.kind == SECTION) {
            if (!dot && !ever_section && !has_entry)
                p.insert = comments;
            p.before_section |= !dot && !ever_section;
            ever_section = true;
            snprintf(section, sizeof section, "%.*s", (int)l.name.n, (const char *)l.name.p);
            inside = dot && strlen(section) == section_n && !strncmp(section, key, section_n);
            if (inside) {
                p.has_section = true;
                p.insert = l.next;
            }
        } else if (l.kind == ENTRY) {
            full_key(section, l.name, full, sizeof full);
            if (!strcmp(full, key)) {
                p.found = true;
                p.entry = l;
                return p;
            }
            if (inside) {
                has_entry = true;
                p.insert = l.next;
            }
        } else if (!dot && !ever_section && !has_entry && l.kind == COMMENT) {
            p.insert = l.next;
        }
        at = l.next;
        if (l.kind != COMMENT)
            comments = at;
    }
    return p;
}

/* "\r\n" if the first line of the text ends so, else "\n". */
static const char *newline_of(tl_slice text)
{
    const uint8_t *n = text.n ? memchr(text.p, '\n', text.n) : NULL;
    return n && n > text.p && n[-1] == '\r' ? "\r\n" : "\n";
}

static tl_err insert_entry(tl_slice text, const tl_setting_def *def, const char *json,
                           const place *p, tl_buf *out)
{
    const char *nl = newline_of(text), *dot = strrchr(def->info.key, '.');
    const char *name = dot ? dot + 1 : def->info.key;
    size_t at = p->has_section ? p->insert : text.n;
    tl_err e = tl_buf_append(out, tl_slice_of(text.p, at));
    if (!e && at > mark_size(text) && text.p[at - 1] != '\n')
        e = tl_buf_append_str(out, nl);
    if (!e && !p->has_section)
        e = tl_buf_printf(out, "%s[%.*s]%s", text.n ? nl : "", (int)(dot - def->info.key),
                          def->info.key, nl);
    if (!e)
        e = tl_buf_printf(out, "%s = %s%s", name, json, nl);
    bool touches = p->before_section && at < text.n && text.p[at] != '\n' && text.p[at] != '\r';
    if (!e && touches)
        e = tl_buf_append_str(out, nl);
    return e ? e : tl_buf_append(out, tl_slice_of(text.p + at, text.n - at));
}

tl_err tl_config_text_edit(tl_slice text, const tl_setting_def *def, const json_t *value,
                           tl_buf *out)
{
    char *json = json_dumps(value, JSON_ENCODE_ANY);
    if (!json)
        return TL_ERR_NOMEM;
    size_t before = out->len;
    place p = find_place(text, def);
    tl_err e;
    if (p.found) {
        e = tl_buf_append(out, tl_slice_of(text.p, p.entry.value_start));
        if (!e)
            e = tl_buf_append_str(out, json);
        if (!e)
            e = tl_buf_append(out,
                              tl_slice_of(text.p + p.entry.value_end, text.n - p.entry.value_end));
    } else {
        e = insert_entry(text, def, json, &p, out);
    }
    free(json);
    if (e)
        out->len = before;
    return e;
}
