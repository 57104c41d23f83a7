/* The public test suite of TOML (tests/vectors/toml-test), and what it leaves open. With --decode
 * this is the decoder that the suite's own runner wants: TOML in, tagged JSON out. */
#include "config/toml.h"

#include "base/json.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- the suite's form of a tree --- */

static json_t *tagged(const tl_toml *node);

/* jansson reads no zero in a key: U+FFFE stands for it, here and in what the suite expects. */
static size_t without_zeros(tl_slice from, char to[1024])
{
    size_t n = 0;
    for (size_t i = 0; i < from.n && n + 3 < 1024; i++)
        if (from.p[i])
            to[n++] = (char)from.p[i];
        else
            n += (size_t)sprintf(to + n, "\xEF\xBF\xBE");
    return n;
}

static json_t *tag(const char *type, const char *text, size_t n)
{
    char even[1024];
    n = without_zeros(tl_slice_of(text, n), even);
    return json_pack("{s:s, s:o}", "type", type, "value", json_stringn(even, n));
}

static json_t *tagged_table(const tl_toml *table)
{
    char key[1024];
    json_t *o = json_object();
    for (const tl_toml *m = table->first; m; m = m->next) {
        size_t n = without_zeros(m->key, key);
        if (json_object_setn_new(o, key, n, tagged(m)))
            abort();
    }
    return o;
}

static json_t *tagged(const tl_toml *node)
{
    static const char *const names[] = {
        [TL_TOML_STRING] = "string",         [TL_TOML_FLOAT] = "float",
        [TL_TOML_DATETIME] = "datetime",     [TL_TOML_DATETIME_LOCAL] = "datetime-local",
        [TL_TOML_DATE_LOCAL] = "date-local", [TL_TOML_TIME_LOCAL] = "time-local",
    };
    char number[32];
    json_t *a;
    switch (node->type) {
    case TL_TOML_TABLE: return tagged_table(node);
    case TL_TOML_ARRAY:
        a = json_array();
        for (const tl_toml *i = node->first; i; i = i->next)
            if (json_array_append_new(a, tagged(i)))
                abort();
        return a;
    case TL_TOML_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)node->integer);
        return tag("integer", number, strlen(number));
    case TL_TOML_BOOL: return node->integer ? tag("bool", "true", 4) : tag("bool", "false", 5);
    default: return tag(names[node->type], (const char *)node->text.p, node->text.n);
    }
}

/* A time in one form: T and Z, no zeros at the end of the fraction, three digits of it at most. */
static void even_time(const char *from, char *to)
{
    const char *dot = strchr(from, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0, kept = digits > 3 ? 3 : digits;
    while (dot && kept && dot[kept] == '0')
        kept--;
    for (const char *p = from; *p; p++) {
        if (dot && p >= dot && p <= dot + digits && (p > dot + kept || !kept))
            continue;
        *to++ = *p == ' ' ? 'T' : (char)toupper(*p);
    }
    *to = 0;
}

static bool is_same_scalar(const char *type, const json_t *a, const json_t *b)
{
    if (!strcmp(type, "float")) {
        double x = strtod(json_string_value(a), NULL), y = strtod(json_string_value(b), NULL);
        return (isnan(x) && isnan(y)) || x == y;
    }
    if (strstr(type, "date") || strstr(type, "time")) {
        char x[64], y[64];
        even_time(json_string_value(a), x);
        even_time(json_string_value(b), y);
        return !strcmp(x, y);
    }
    return json_equal(a, b);
}

static bool is_same(const json_t *a, json_t *b)
{
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        bool same = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; same && i < json_array_size(a); i++)
            same = is_same(json_array_get(a, i), json_array_get(b, i));
        return same;
    }
    const json_t *type = json_object_get(a, "type"), *of_b = json_object_get(b, "type");
    if (json_is_string(type) && json_is_string(of_b))
        return json_equal(type, of_b) &&
               is_same_scalar(json_string_value(type), json_object_get(a, "value"),
                              json_object_get(b, "value"));
    bool same = json_object_size(a) == json_object_size(b);
    const char *key;
    size_t n;
    json_t *v;
    json_object_keylen_foreach (b, key, n, v) {
        const json_t *w = json_object_getn(a, key, n);
        same = same && w && is_same(w, v);
    }
    return same;
}

/* --- the suite --- */

#define SUITE TL_TEST_DATA "/toml-test/"

/* The file with its size exactly, so that a sanitizer sees a byte read behind it. */
static uint8_t *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    static uint8_t room[1 << 20];
    *ret_n = fread(room, 1, sizeof room, f);
    fclose(f);
    uint8_t *exact = malloc(*ret_n ? *ret_n : 1);
    assert_non_null(exact);
    memcpy(exact, room, *ret_n);
    return exact;
}

/* Calls `judge` for each case of one kind that the suite lists for TOML 1.0; returns how many. */
static size_t for_each(const char *kind, size_t (*judge)(const char *path, tl_slice text))
{
    size_t n, cases = 0, wrong = 0;
    char name[256], path[512];
    FILE *list = fopen(SUITE "files-toml-1.0.0", "r");
    assert_non_null(list);
    while (fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        size_t k = strlen(name);
        if (strncmp(name, kind, strlen(kind)) != 0 || k < 5 || strcmp(name + k - 5, ".toml") != 0)
            continue;
        snprintf(path, sizeof path, SUITE "%s", name);
        uint8_t *text = read_file(path, &n);
        wrong += judge(path, tl_slice_of(text, n));
        free(text);
        cases++;
    }
    fclose(list);
    assert_int_equal(wrong, 0);
    return cases;
}

static size_t reads_as_told(const char *path, tl_slice text)
{
    tl_toml_doc doc = {0};
    tl_why why = {""};
    if (tl_toml_read(text, path, &doc, &why)) {
        print_error("%s\n", why.text);
        return 1;
    }
    char json_path[512];
    snprintf(json_path, sizeof json_path, "%.*s.json", (int)strlen(path) - 5, path);
    size_t n;
    uint8_t *json = read_file(json_path, &n);
    for (uint8_t *p = json; (p = memmem(p, n - (size_t)(p - json), "\\u0000", 6)); p += 6)
        if (p[-1] != '\\')
            memcpy(p, "\\ufffe", 6);
    json_error_t error;
    json_t *want = json_loadb((char *)json, n, 0, &error);
    if (!want)
        fail_msg("%s: %s", json_path, error.text);
    free(json);
    json_t *got = tagged(doc.root);
    bool same = is_same(got, want);
    if (!same) {
        char *dump = json_dumps(got, 0);
        print_error("%s: read as %s\n", path, dump);
        free(dump);
    }
    json_decref(got);
    json_decref(want);
    tl_toml_clear(&doc);
    return !same;
}

static size_t is_refused(const char *path, tl_slice text)
{
    tl_toml_doc doc = {0};
    tl_why why = {""};
    tl_err e = tl_toml_read(text, "f", &doc, &why);
    bool said = (e == TL_ERR_PROTO || e == TL_ERR_EXISTS) && !strncmp(why.text, "f:", 2) &&
                isdigit(why.text[2]) && !doc.blocks;
    if (!said)
        print_error("%s: %d %s\n", path, e, why.text);
    tl_toml_clear(&doc);
    return !said;
}

static void every_valid_case_of_the_public_suite_reads_as_it_tells(void **state)
{
    (void)state;
    assert_int_equal(for_each("valid/", reads_as_told), 185);
}

static void every_invalid_case_of_the_public_suite_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_int_equal(for_each("invalid/", is_refused), 371);
}

/* Every cut of every valid case: nothing is read behind its end, and a failure leaves nothing. */
static size_t is_read_or_refused_at_every_cut(const char *path, tl_slice text)
{
    size_t wrong = 0, step = text.n > 2000 ? 37 : 1;
    for (size_t n = 0; n < text.n; n += step) {
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, text.p, n);
        tl_toml_doc doc = {0};
        tl_err e = tl_toml_read(tl_slice_of(exact, n), path, &doc, NULL);
        wrong += e ? doc.blocks != NULL : doc.root == NULL;
        tl_toml_clear(&doc);
        free(exact);
    }
    return wrong;
}

static void every_cut_of_a_valid_case_is_read_or_refused(void **state)
{
    (void)state;
    assert_int_equal(for_each("valid/", is_read_or_refused_at_every_cut), 185);
}

/* --- what the suite leaves open --- */

static tl_err read_text(const char *text, tl_why *why)
{
    tl_toml_doc doc = {0};
    tl_err e = tl_toml_read(tl_slice_str(text), "f", &doc, why);
    tl_toml_clear(&doc);
    return e;
}

static char *repeated(const char *front, const char *part, size_t n, const char *back)
{
    static char text[TL_TOML_TEXT_MAX];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", front);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", part);
    snprintf(text + at, sizeof text - at, "%s", back);
    return text;
}

static void a_text_at_each_limit_is_read_and_beyond_it_refused(void **state)
{
    (void)state;
    char closing[64];
    tl_why why = {""};
    memset(closing, ']', sizeof closing);
    closing[TL_TOML_DEPTH_MAX] = 0;
    assert_int_equal(read_text(repeated("a=", "[", TL_TOML_DEPTH_MAX, closing), &why), TL_OK);
    assert_int_equal(read_text(repeated("a=", "[", TL_TOML_DEPTH_MAX + 1, "]"), &why),
                     TL_ERR_TOO_LARGE);
    assert_string_equal(why.text, "f:1: a: values nested deeper than 32");
    assert_int_equal(read_text(repeated("a=", "[", 100000, ""), &why), TL_ERR_TOO_LARGE);
    assert_int_equal(read_text(repeated("a=", "{a=", 60000, ""), &why), TL_ERR_TOO_LARGE);
    assert_int_equal(read_text(repeated("a", ".a", TL_TOML_DEPTH_MAX - 1, "=1"), &why), TL_OK);
    assert_int_equal(read_text(repeated("a", ".a", TL_TOML_DEPTH_MAX, "=1"), &why),
                     TL_ERR_TOO_LARGE);
    /* the root, the list and its items */
    assert_int_equal(read_text(repeated("a=[", "1,", TL_TOML_NODES_MAX - 2, "]"), &why), TL_OK);
    assert_int_equal(read_text(repeated("a=[", "1,", TL_TOML_NODES_MAX - 1, "]"), &why),
                     TL_ERR_TOO_LARGE);
    assert_non_null(strstr(why.text, "more than 4096 names and values"));
}

typedef struct {
    const char *bad, *says, *good;
} remedy;

static const remedy remedies[] = {
    {"a = yes", "f:1: a: yes is no value: write true or false", "a = true"},
    {"a = TRUE", "write true or false, in small letters", "a = false"},
    {"\na = public", "f:2: a: text goes in quotes: \"public\"", "a = \"public\""},
    {"a = 12ab", "12ab is not a number", "a = 12"},
    {"a = 1_", "1_ is not a number", "a = 1_0"},
    {"a = 9223372036854775808", "beyond 64 bits", "a = 9223372036854775807"},
    {"a = 2026-02-29", "no date or time", "a = 2024-02-29"},
    {"a = ", "a: the value is missing", "a = 1"},
    {"a = # 5", "a: the value is missing", "a = 5 #"},
    {"a = \"C:\\dir\"", "single quotes: 'C:\\dir'", "a = 'C:\\dir'"},
    {"a = \"x", "closing \" of the text", "a = \"x\""},
    {"a = 'x", "closing ' of the text", "a = 'x'"},
    {"a = \"\"\"x\n\n", "f:1: a: the closing \"\"\"", "a = \"\"\"x\n\"\"\""},
    {"a = [1\n\n", "f:1: a: the closing ] of the list", "a = [1\n\n]"},
    {"a = [1 2]", "a comma or the closing ]", "a = [1, 2]"},
    {"a = {b = 1,}", "no comma may stand before }", "a = {b = 1}"},
    {"a = {b = 1\n}", "on the same line", "a = {b = [\n1\n]}"},
    {"a: 1", "name = value", "a = 1"},
    {"; a", "a name of letters", "# a"},
    {"[a", "a section is written [name]", "[a]"},
    {"[a] b", "unexpected text: b", "[a] # b"},
    {"a = 1 b = 2", "unexpected text: b = 2", "a = 1\nb = 2"},
    {"a = 1\r\rb = 1", "control character (0x0d)", "a = 1\r\nb = 1"},
    {"a = \"\xff\"", "save the file as UTF-8", "a = \"\xc3\xbf\""},
    {"a = \"\\ud800\"", "\\uD800 is no character", "a = \"\\ud7ff\""},
    {"a = 1\na = 1", "f:2: a is already set at line 1", "a = 1\nb = 1"},
    {"[a]\n[b]\n[a]", "f:3: section [a] is already at line 1", "[a]\n[b]\n[c]"},
    {"a.b = 1\n[a]", "f:2: settings of a already stand at line 1", "a.b = 1\n[c]"},
    {"a = {}\na.b = 1", "a is complete since line 1", "a.c = 1\na.b = 1"},
};

static void what_is_no_toml_is_told_with_its_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        tl_why why = {""};
        tl_err e = read_text(remedies[i].bad, &why);
        if (!e || !strstr(why.text, remedies[i].says))
            fail_msg("%s: %d %s", remedies[i].bad, e, why.text);
        if (read_text(remedies[i].good, &why))
            fail_msg("%s: %s", remedies[i].good, why.text);
    }
}

static void a_value_knows_its_place_in_the_text(void **state)
{
    (void)state;
    static const char text[] = "# c\n[a] # d\n  b.c = [ 1,\n 'x' ] # e\n";
    tl_toml_doc doc = {0};
    assert_int_equal(tl_toml_read(tl_slice_str(text), "f", &doc, NULL), TL_OK);
    const tl_toml *a = tl_toml_member(doc.root, TL_SLICE_LIT("a"));
    assert_int_equal(doc.first_header, strstr(text, "[a]") - text);
    assert_int_equal(a->end - a->start, 3);
    const tl_toml *c = tl_toml_member(tl_toml_member(a, TL_SLICE_LIT("b")), TL_SLICE_LIT("c"));
    assert_int_equal(c->line, 3);
    assert_memory_equal(text + c->start, "[ 1,\n 'x' ]", c->end - c->start);
    assert_memory_equal(text + c->last->start, "'x'", c->last->end - c->last->start);
    assert_int_equal(c->last->line, 4);
    tl_toml_clear(&doc);
}

static int decode(void)
{
    static uint8_t text[TL_TOML_TEXT_MAX + 1];
    tl_toml_doc doc = {0};
    tl_why why = {""};
    size_t n = fread(text, 1, sizeof text, stdin);
    if (tl_toml_read(tl_slice_of(text, n), "stdin", &doc, &why)) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    json_t *all = tagged(doc.root);
    char *json = json_dumps(all, JSON_ENSURE_ASCII);
    json_decref(all);
    for (char *p = json; (p = strcasestr(p, "\\ufffe"));)
        memcpy(p, "\\u0000", 6);
    puts(json);
    free(json);
    tl_toml_clear(&doc);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--decode"))
        return decode();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_valid_case_of_the_public_suite_reads_as_it_tells),
        cmocka_unit_test(every_invalid_case_of_the_public_suite_is_refused_with_its_line),
        cmocka_unit_test(every_cut_of_a_valid_case_is_read_or_refused),
        cmocka_unit_test(a_text_at_each_limit_is_read_and_beyond_it_refused),
        cmocka_unit_test(what_is_no_toml_is_told_with_its_remedy),
        cmocka_unit_test(a_value_knows_its_place_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
