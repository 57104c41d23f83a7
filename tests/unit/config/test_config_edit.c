#include "config/config_text.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static tl_err read_text(const char *text, tl_settings *s, tl_why *why)
{
    return tl_config_text_read(tl_slice_str(text), "teale.toml", s, why);
}

static char *edited(const char *text, const char *key, const char *json)
{
    static char result[4096];
    const tl_setting_def *def;
    assert_int_equal(tl_setting_find(key, &def, NULL), TL_OK);
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    tl_buf out = {0};
    assert_int_equal(tl_config_text_edit(tl_slice_str(text), def, value, &out), TL_OK);
    memcpy(result, tl_buf_begin(&out), out.len);
    result[out.len] = 0;
    tl_buf_clear(&out);
    json_decref(value);
    tl_settings s = tl_settings_default();
    tl_why why;
    if (read_text(result, &s, &why))
        fail_msg("edited text is refused: %s", why.text);
    return result;
}

static void a_key_that_is_there_changes_its_value_alone(void **state)
{
    (void)state;
    assert_string_equal(edited("# head\nudp_port   =  5\t# why\n\n", "udp_port", "77"),
                        "# head\nudp_port   =  77\t# why\n\n");
    assert_string_equal(
        edited("[nat]\nstun_servers=[\"a#b\"]", "nat.stun_servers", "[\"c\", \"d\"]"),
        "[nat]\nstun_servers=[\"c\", \"d\"]");
    assert_string_equal(edited("nat.relay_enabled = true\n", "nat.relay_enabled", "false"),
                        "nat.relay_enabled = false\n");
}

static void a_new_top_level_key_goes_before_the_first_section(void **state)
{
    (void)state;
    assert_string_equal(edited("", "wan_enabled", "true"), "wan_enabled = true\n");
    assert_string_equal(edited("# note", "wan_enabled", "true"), "# note\nwan_enabled = true\n");
    assert_string_equal(edited("[nat]\nrelay_enabled = true\n", "wan_enabled", "true"),
                        "wan_enabled = true\n\n[nat]\nrelay_enabled = true\n");
    assert_string_equal(edited("# mine\n\n# of nat\n[nat]\n", "wan_enabled", "true"),
                        "# mine\n\nwan_enabled = true\n\n# of nat\n[nat]\n");
    assert_string_equal(edited("ask = \"any\" # x\n\n# of nat\n[nat]\n", "wan_enabled", "true"),
                        "ask = \"any\" # x\nwan_enabled = true\n\n# of nat\n[nat]\n");
    assert_string_equal(edited("\xEF\xBB\xBF[nat]\n", "wan_enabled", "true"),
                        "\xEF\xBB\xBFwan_enabled = true\n\n[nat]\n");
}

static void a_new_key_of_a_section_goes_into_it(void **state)
{
    (void)state;
    assert_string_equal(edited("ask = \"any\"\r\n", "nat.relay_enabled", "true"),
                        "ask = \"any\"\r\n\r\n[nat]\r\nrelay_enabled = true\r\n");
    assert_string_equal(edited("", "nat.relay_enabled", "true"), "[nat]\nrelay_enabled = true\n");
    assert_string_equal(edited("[nat] # c\n", "nat.relay_enabled", "true"),
                        "[nat] # c\nrelay_enabled = true\n");
    assert_string_equal(
        edited("[nat]\nrelay_max_sessions = 9\n# tail", "nat.relay_enabled", "true"),
        "[nat]\nrelay_max_sessions = 9\nrelay_enabled = true\n# tail");
}

static void text_is_escaped_when_written(void **state)
{
    (void)state;
    assert_string_equal(edited("", "display_name", "\"a \\\"b\\\" # \\\\ \\u00e9\""),
                        "display_name = \"a \\\"b\\\" # \\\\ \xC3\xA9\"\n");
}

typedef struct {
    const char *text, *key, *json, *after;
} change;

static const change changes[] = {
    /* a value keeps its form where it can */
    {"share = 'auto' # c\n", "share", "\"\"", "share = '' # c\n"},
    {"display_name = 'a'\n", "display_name", "\"it's\"", "display_name = \"it's\"\n"},
    {"display_name = \"\"\"\na \\\n  b\"\"\" # c\n", "display_name", "\"d\"",
     "display_name = \"d\" # c\n"},
    {"display_name = '''a''' # c\n", "display_name", "\"d\"", "display_name = 'd' # c\n"},
    {"udp_port = 0x1_0\n", "udp_port", "17", "udp_port = 17\n"},
    {"udp_port = 0x1_0\n", "udp_port", "16", "udp_port = 0x1_0\n"},
    {"'udp_port' = 5 # c\n", "udp_port", "6", "'udp_port' = 6 # c\n"},
    /* dots, and tables in a line */
    {"nat.direct = true # d\nnat . relay_enabled=false\n", "nat.relay_enabled", "true",
     "nat.direct = true # d\nnat . relay_enabled=true\n"},
    {"nat.direct = true # d\nask = 'any'\n", "nat.relay_enabled", "true",
     "nat.direct = true # d\nnat.relay_enabled = true\nask = 'any'\n"},
    {"nat = { direct = true } # d\n", "nat.direct", "false", "nat = { direct = false } # d\n"},
    {"nat = { direct = true } # d\n", "nat.relay_enabled", "true",
     "nat = { direct = true, relay_enabled = true } # d\n"},
    {"nat = { stun_servers = [\n'a', # a\n] } # d\n", "nat.direct", "true",
     "nat = { stun_servers = [\n'a', # a\n], direct = true } # d\n"},
    {"nat={}# d\n", "nat.direct", "true", "nat={ direct = true }# d\n"},
    {"nat = { direct = true }\n", "udp_port", "1", "nat = { direct = true }\nudp_port = 1\n"},
    {"['nat'] # d\n# e\n", "nat.direct", "true", "['nat'] # d\ndirect = true\n# e\n"},
    {"[nat]\nstun_servers = [\n'a',\n'b' # b\n] # c\n# d\n", "nat.direct", "true",
     "[nat]\nstun_servers = [\n'a',\n'b' # b\n] # c\ndirect = true\n# d\n"},
    {"share_models = [\n'[nat]',\n]\n\n# of nat\n  [nat]\n", "udp_port", "1",
     "share_models = [\n'[nat]',\n]\nudp_port = 1\n\n# of nat\n  [nat]\n"},
    {"display_name = \"\"\"\\\n  [nat]\\\n  \"\"\"\n", "nat.direct", "true",
     "display_name = \"\"\"\\\n  [nat]\\\n  \"\"\"\n\n[nat]\ndirect = true\n"},
    /* lists in one line */
    {"share_models = [ 'a', \"b\" ] # c\n", "share_models", "[\"a\", \"d\"]",
     "share_models = [ 'a', \"d\" ] # c\n"},
    {"share_models = ['a', 'b']\n", "share_models", "[\"a\"]", "share_models = ['a']\n"},
    {"share_models = ['a', 'b']\n", "share_models", "[\"b\"]", "share_models = ['b']\n"},
    {"share_models = ['a', 'b', 'c']\n", "share_models", "[\"a\", \"c\"]",
     "share_models = ['a', 'c']\n"},
    {"share_models = ['a', 'b', 'c']\n", "share_models", "[]", "share_models = []\n"},
    {"share_models = []\n", "share_models", "[\"a\", \"b\"]", "share_models = [\"a\", \"b\"]\n"},
    {"share_models = ['a']\n", "share_models", "[\"a\", \"b\", \"c\"]",
     "share_models = ['a', 'b', 'c']\n"},
    {"share_models = ['b',]\n", "share_models", "[\"a\", \"b\"]", "share_models = ['a', 'b',]\n"},
    {"share_models = ['b',]\n", "share_models", "[\"b\", \"c\"]", "share_models = ['b', 'c',]\n"},
    {"wan_relay_url = 'wss://a'\n", "wan_relay_url", "[\"wss://b\", \"wss://c\"]",
     "wan_relay_url = [\"wss://b\", \"wss://c\"]\n"},
    {"wan_relay_url = [ # of us\n'wss://a',\n]\n", "wan_relay_url", "\"wss://b\"",
     "wan_relay_url = [ # of us\n'wss://b',\n]\n"},
    /* lists over lines: what stays is not touched, and every comment stays */
    {"share_models = [\n  # small\n  \"a\", # fast\n  \"b\"  # slow\n] # end\n", "share_models",
     "[\"a\", \"b\", \"c\"]",
     "share_models = [\n  # small\n  \"a\", # fast\n  \"b\",  # slow\n  \"c\"\n] # end\n"},
    {"share_models = [\r\n\t'a', # fast\r\n\t'b',\r\n]\r\n", "share_models",
     "[\"a\", \"c\", \"b\"]", "share_models = [\r\n\t'a', # fast\r\n\t'c',\r\n\t'b',\r\n]\r\n"},
    {"share_models = [\n  'a',\n  'b',\n  'c',\n]\n", "share_models", "[\"a\", \"c\"]",
     "share_models = [\n  'a',\n  'c',\n]\n"},
    {"share_models = [\n  'a', # a\n  'b', # b\n]\n", "share_models", "[\"a\"]",
     "share_models = [\n  'a', # a\n   # b\n]\n"},
    {"share_models = [\n  'b',\n]\n", "share_models", "[\"a\", \"b\"]",
     "share_models = [\n  'a',\n  'b',\n]\n"},
    {"share_models = [ # none\n]\n", "share_models", "[\"a\"]",
     "share_models = [\"a\" # none\n]\n"},
    {"share_models = [\n  'a' # a\n  , 'b'\n]\n", "share_models", "[]",
     "share_models = [\n   # a\n  \n]\n"},
};

static void a_change_keeps_the_form_and_every_other_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *after = edited(changes[i].text, changes[i].key, changes[i].json);
        if (strcmp(after, changes[i].after) != 0)
            fail_msg("%s\nset %s to %s:\n%s\nwanted\n%s", changes[i].text, changes[i].key,
                     changes[i].json, after, changes[i].after);
    }
}

/* --- random files, random changes --- */

static const char *pick(tl_rand *rand, const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return words[tl_rand_below(rand, n)];
}

static bool toss(tl_rand *rand)
{
    return tl_rand_below(rand, 2);
}

static void add_list(tl_rand *rand, char *text)
{
    static const char *const gaps[] = {"", " ", "\n  ", " # k\n\t", "\n# k 'x', ]\n", NULL};
    static const char *const items[] = {"'a'",           "\"b\"",       "'''c'''",
                                        "\"\"\"d\"\"\"", "\"\\u0061\"", NULL};
    strcat(text, "[");
    for (uint64_t n = tl_rand_below(rand, 5); n > 0; n--) {
        strcat(text, pick(rand, gaps));
        strcat(text, pick(rand, items));
        strcat(text, pick(rand, gaps));
        if (n > 1 || toss(rand))
            strcat(text, ",");
    }
    strcat(text, pick(rand, gaps));
    strcat(text, "]");
}

static const char *const line_ends[] = {"\n", " # k\n", "\n\n# k = 'x'\n", " \n# [nat]\n\n", NULL};

static void add_line(tl_rand *rand, char *text, const char *name, const char *const *values)
{
    strcat(text, name);
    if (values)
        strcat(text, pick(rand, values));
    else
        add_list(rand, text);
    strcat(text, pick(rand, line_ends));
}

/* The settings of nat below a header, with dots, in one table, or not at all. */
static void add_nat(tl_rand *rand, char *text)
{
    static const char *const headers[] = {"[nat]", " [ \"nat\" ]", "['nat']", NULL};
    static const char *const booleans[] = {"true", "false", NULL};
    bool list = toss(rand), direct = toss(rand);
    uint64_t form = tl_rand_below(rand, 4);
    if (form == 0) {
        add_line(rand, text, "", headers);
        if (list)
            add_line(rand, text, "  stun_servers = ", NULL);
        if (direct)
            add_line(rand, text, "direct = ", booleans);
    } else if (form == 1) {
        if (direct)
            add_line(rand, text, "nat . \"direct\"=", booleans);
        if (list)
            add_line(rand, text, "nat.stun_servers = ", NULL);
    } else if (form == 2) {
        strcat(text, direct ? "nat = { direct= true " : "nat={");
        strcat(text, direct && list ? "," : "");
        if (list) {
            strcat(text, "'stun_servers' = ");
            add_list(rand, text);
        }
        strcat(text, "}");
        strcat(text, pick(rand, line_ends));
    }
}

/* A file with some of five settings, in any form. */
static void make_file(tl_rand *rand, char text[4096])
{
    static const char *const names[] = {"\"n\"", "'n'", "'''it's'''", "\"\"\"\n[nat]\\\n\"\"\"",
                                        NULL};
    static const char *const numbers[] = {"7", "0x7", "1_0", "0b1", NULL};
    strcpy(text, toss(rand) ? "# head\n\n" : "");
    if (toss(rand))
        add_line(rand, text, "share_models = ", NULL);
    if (toss(rand))
        add_line(rand, text, "'udp_port'= ", numbers);
    if (toss(rand))
        add_line(rand, text, "display_name =\t", names);
    add_nat(rand, text);
    size_t n = strlen(text);
    if (n && toss(rand))
        text[n - 1] = 0; /* the last newline */
}

/* The comments of a text that has no other `#`, one after another. */
static size_t comments_of(tl_slice text, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '#')
            for (; i < text.n && text.p[i] != '\n'; i++)
                to[n++] = (char)text.p[i];
    return n;
}

static json_t *random_value(tl_rand *rand, const tl_setting_def *def)
{
    static const char *const items[] = {"a", "b", "c", "d", "e.f", NULL};
    if (def->kind == TL_KIND_BOOL)
        return json_boolean(toss(rand));
    if (def->kind == TL_KIND_NUMBER)
        return json_integer((json_int_t)tl_rand_below(rand, 12));
    if (def->kind == TL_KIND_TEXT)
        return json_string(strcmp(def->info.key, "ask") ? pick(rand, items) : "networks");
    json_t *list = json_array();
    for (uint64_t n = tl_rand_below(rand, 6); n > 0; n--)
        json_array_append_new(list, json_string(pick(rand, items)));
    return list;
}

/* Does the text `after` mean `before` with the one setting changed, with every comment in its
 * order? And does the same change again leave it as it is? */
static bool is_right(tl_slice before, tl_slice after, const tl_setting_def *def,
                     const json_t *value, tl_why *why)
{
    char was[4096], is[4096];
    tl_settings s = tl_settings_default(), t = s;
    tl_buf again = {0};
    if (tl_config_text_read(before, "before", &s, why) ||
        tl_config_text_read(after, "after", &t, why) || tl_setting_apply(&s, def, value, why))
        return false;
    size_t was_n = comments_of(before, was), is_n = comments_of(after, is);
    json_t *wanted = tl_settings_json(&s), *got = tl_settings_json(&t);
    bool ok = json_equal(wanted, got) && was_n == is_n && !memcmp(was, is, is_n) &&
              !tl_config_text_edit(after, def, value, &again) &&
              tl_slice_eq(after, tl_buf_slice(&again));
    tl_buf_clear(&again);
    json_decref(wanted);
    json_decref(got);
    return ok;
}

static void a_random_change_of_a_random_file_changes_that_alone(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "share_models",     "udp_port",          "display_name", "nat.direct",
        "nat.stun_servers", "nat.relay_enabled", "ask",          NULL};
    for (uint64_t seed = 1; seed <= 5000; seed++) {
        char text[4096];
        tl_rand rand = tl_rand_seeded(seed);
        const tl_setting_def *def;
        tl_buf out = {0};
        tl_why why = {""};
        make_file(&rand, text);
        assert_int_equal(tl_setting_find(pick(&rand, keys), &def, NULL), TL_OK);
        json_t *value = random_value(&rand, def);
        tl_err e = tl_config_text_edit(tl_slice_str(text), def, value, &out);
        if (e || !is_right(tl_slice_str(text), tl_buf_slice(&out), def, value, &why))
            fail_msg("seed %llu: %d %s\nset %s in\n%s\n->\n%.*s", (unsigned long long)seed, e,
                     why.text, def->info.key, text, (int)out.len, (char *)tl_buf_begin(&out));
        json_decref(value);
        tl_buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_is_there_changes_its_value_alone),
        cmocka_unit_test(a_new_top_level_key_goes_before_the_first_section),
        cmocka_unit_test(a_new_key_of_a_section_goes_into_it),
        cmocka_unit_test(text_is_escaped_when_written),
        cmocka_unit_test(a_change_keeps_the_form_and_every_other_byte),
        cmocka_unit_test(a_random_change_of_a_random_file_changes_that_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
