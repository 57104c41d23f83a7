#include "config/config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The block of the seed document on NAT traversal, to the letter. */
static const char seed[] =
    "[nat]\n"
    "# STUN servers for NAT type detection\n"
    "stun_servers = [\"stun.l.google.com:19302\", \"stun.cloudflare.com:3478\"]\n"
    "# Enable relay (forward traffic for other NATed peers)\n"
    "relay_enabled = false\n"
    "# Maximum simultaneous relay sessions\n"
    "relay_max_sessions = 50\n"
    "# Bandwidth limit for reciprocal peers (KB/s)\n"
    "relay_reciprocal_kbps = 256\n"
    "# Bandwidth limit for non-reciprocal peers (KB/s)\n"
    "relay_bootstrap_kbps = 64\n"
    "# Relay session idle timeout (seconds)\n"
    "relay_idle_timeout_secs = 60\n";

static tl_err read_text(const char *text, tl_settings *s, tl_why *why)
{
    return tl_config_text_read(tl_slice_str(text), "teale.toml", s, why);
}

static void the_seeds_block_reads_as_it_stands(void **state)
{
    (void)state;
    tl_settings s = {0};
    tl_why why = {""};
    if (read_text(seed, &s, &why))
        fail_msg("%s", why.text);
    assert_int_equal(s.nat_stun_servers.n, 2);
    assert_string_equal(s.nat_stun_servers.item[1], "stun.cloudflare.com:3478");
    assert_false(s.nat_relay_enabled);
    assert_int_equal(s.nat_relay_max_sessions, 50);
    assert_int_equal(s.nat_relay_reciprocal_kbps, 256);
    assert_int_equal(s.nat_relay_bootstrap_kbps, 64);
    assert_int_equal(s.nat_relay_idle_timeout_secs, 60);
}

static void comments_strings_and_line_ends_are_told_apart(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    tl_why why = {""};
    const char *text = "\xEF\xBB\xBFwan_enabled=true#c\r\n"
                       "  display_name\t=\t\"a # b ; \\\" # c\"   # the name\r\n"
                       "\r\n"
                       "[ nat ] # section\n"
                       "relay_enabled = true";
    if (read_text(text, &s, &why))
        fail_msg("%s", why.text);
    assert_true(s.wan_enabled);
    assert_string_equal(s.display_name, "a # b ; \" # c");
    assert_true(s.nat_relay_enabled);
    assert_int_equal(read_text("nat.relay_enabled = false\n", &s, &why), TL_OK);
    assert_false(s.nat_relay_enabled);
}

typedef struct {
    const char *bad, *good, *says;
    tl_err e;
} refusal;

static const refusal refusals[] = {
    {"wan_enable = true\n", "wan_enabled = true\n",
     ":1: unknown setting \"wan_enable\"; did you mean \"wan_enabled\"?", TL_ERR_NOT_FOUND},
    {"\n[nat]\nwan_enabled = true\n", "\nwan_enabled = true\n[nat]\n",
     ":3: unknown setting \"nat.wan_enabled\"; did you mean \"wan_enabled\"?", TL_ERR_NOT_FOUND},
    {"[net]\n", "[nat]\n", ":1: unknown section [net]", TL_ERR_NOT_FOUND},
    {"[nat]\n[nat]\n", "[nat]\n", ":2: section [nat] is already at line 1", TL_ERR_EXISTS},
    {"udp_port = 1\nudp_port = 1\n", "udp_port = 1\n", ":2: udp_port is already set at line 1",
     TL_ERR_EXISTS},
    {"nat.relay_enabled = true\n[nat]\nrelay_enabled = true\n", "[nat]\nrelay_enabled = true\n",
     "already set at line 1", TL_ERR_EXISTS},
    {"udp_port = 70000\n", "udp_port = 7000\n",
     ":1: udp_port must be a whole number from 0 to 65535", TL_ERR_INVALID},
    {"wan_enabled = True\n", "wan_enabled = true\n", "text goes in double quotes", TL_ERR_PROTO},
    {"share_with = public\n", "share_with = \"public\"\n", "text goes in double quotes",
     TL_ERR_PROTO},
    {"share_with = 'public'\n", "share_with = \"public\"\n", "text goes in double quotes",
     TL_ERR_PROTO},
    {"display_name = \"a\n", "display_name = \"a\"\n", ":1: display_name: not a text",
     TL_ERR_PROTO},
    {"share_models = [\"a\",\n\"b\"]\n", "share_models = [\"a\",\"b\"]\n",
     ":1: share_models: not a list", TL_ERR_PROTO},
    {"share_models = [[[[\"a\"]]]]\n", "share_models = [\"a\"]\n", ":1: share_models",
     TL_ERR_PROTO},
    {"udp_port = 0x10\n", "udp_port = 10\n", "not a number", TL_ERR_PROTO},
    {"udp_port = 1 2\n", "udp_port = 12\n", "not a number", TL_ERR_PROTO},
    {"udp_port =\n", "udp_port = 1\n", ":1: the value is missing", TL_ERR_PROTO},
    {"udp_port = # 5\n", "udp_port = 5 #\n", "the value is missing", TL_ERR_PROTO},
    {"udp_port: 5\n", "udp_port= 5\n", "key = value", TL_ERR_PROTO},
    {"udp_port\n", "udp_port=0\n", "key = value", TL_ERR_PROTO},
    {"= 5\n", "udp_port = 5\n", "key = value", TL_ERR_PROTO},
    {"\"udp_port\" = 5\n", "udp_port = 5\n", "key = value", TL_ERR_PROTO},
    {"; udp_port = 5\n", "# udp_port = 5\n", "key = value", TL_ERR_PROTO},
    {"[nat\n", "[nat]\n", "[name]", TL_ERR_PROTO},
    {"[[nat]]\n", "[nat]\n", "[name]", TL_ERR_PROTO},
    {"[nat] junk\n", "[nat] # junk\n", "unexpected text", TL_ERR_PROTO},
    {"# \x01\n", "# \t\n", "control character", TL_ERR_PROTO},
    {"udp_port = 1\r\r\n", "udp_port = 1\r\n", "control character", TL_ERR_PROTO},
    {"# \xC3\n", "# \xC3\xA9\n", "not valid UTF-8", TL_ERR_PROTO},
    {"wan_relay_url = 5\n", "wan_relay_url = \"wss://a\"\n", "must be a list", TL_ERR_INVALID},
};

static void a_wrong_file_is_refused_whole_and_its_good_twin_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        char text[512];
        snprintf(text, sizeof text, "requests_max = 7\n%s", r->bad);
        tl_settings s = tl_settings_default(), before = s;
        tl_why why = {""};
        tl_err e = read_text(r->bad, &s, &why);
        if (e != r->e || !strstr(why.text, r->says) || strncmp(why.text, "teale.toml:", 11))
            fail_msg("%s: %d %s", r->bad, e, why.text);
        e = read_text(text, &s, &why);
        assert_int_equal(e, r->e);
        assert_memory_equal(&s, &before, sizeof s);
        if (read_text(r->good, &s, &why))
            fail_msg("%s: %s", r->good, why.text);
    }
}

static void a_line_at_the_limit_is_read_and_a_longer_one_refused(void **state)
{
    (void)state;
    static char text[TL_CONFIG_LINE_MAX + 3];
    memset(text, '#', sizeof text);
    tl_settings s = tl_settings_default();
    tl_why why;
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_CONFIG_LINE_MAX), "f", &s, &why),
                     TL_OK);
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_CONFIG_LINE_MAX + 1), "f", &s, &why),
                     TL_ERR_PROTO);
    assert_string_equal(why.text, "f:1: line too long");
}

static void a_text_at_the_limit_is_read_and_a_longer_one_refused(void **state)
{
    (void)state;
    char *text = malloc(TL_CONFIG_TEXT_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', TL_CONFIG_TEXT_MAX + 1);
    tl_settings s = tl_settings_default();
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_CONFIG_TEXT_MAX), "f", &s, NULL),
                     TL_OK);
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_CONFIG_TEXT_MAX + 1), "f", &s, NULL),
                     TL_ERR_TOO_LARGE);
    free(text);
}

static void hostile_names_are_escaped_in_the_reason(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    tl_why why;
    assert_int_equal(tl_settings_set(&s, "\x1b[31mred", "1", &why), TL_ERR_NOT_FOUND);
    assert_null(strchr(why.text, '\x1b'));
}

static void every_cut_of_a_good_file_is_read_or_refused(void **state)
{
    (void)state;
    size_t taken = 0;
    for (size_t n = 0; n < sizeof seed; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, seed, n);
        tl_settings s = tl_settings_default();
        taken += !tl_config_text_read(tl_slice_of(exact, n), "f", &s, NULL);
        free(exact);
    }
    assert_true(taken > 100 && taken < sizeof seed);
}

/* --- changing one line --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seeds_block_reads_as_it_stands),
        cmocka_unit_test(comments_strings_and_line_ends_are_told_apart),
        cmocka_unit_test(a_wrong_file_is_refused_whole_and_its_good_twin_taken),
        cmocka_unit_test(a_line_at_the_limit_is_read_and_a_longer_one_refused),
        cmocka_unit_test(a_text_at_the_limit_is_read_and_a_longer_one_refused),
        cmocka_unit_test(hostile_names_are_escaped_in_the_reason),
        cmocka_unit_test(every_cut_of_a_good_file_is_read_or_refused),
        cmocka_unit_test(a_key_that_is_there_changes_its_value_alone),
        cmocka_unit_test(a_new_top_level_key_goes_before_the_first_section),
        cmocka_unit_test(a_new_key_of_a_section_goes_into_it),
        cmocka_unit_test(text_is_escaped_when_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
