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

/* What formatters and people make of the same settings. */
static void every_form_of_toml_means_the_same_settings(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "udp_port = 1234\nshare_models = [\"a b\", \"c\"]\n[nat]\ndirect = false\n",
        "udp_port = 1_234\nshare_models = [\n  'a b', # the first\n  'c',\n]\n[ 'nat' ]\n"
        "'direct'=false",
        "udp_port = 0x4D2 # hex\nnat.direct = false\nshare_models = [ \"\"\"a b\"\"\", "
        "'''c''' ]\n",
        "udp_port = 0o2322\nnat = { direct = false }\nshare_models = [\"a\\u0020b\", "
        "\"\\U00000063\"]\n",
        "\"udp_port\" = 0b10011010010\n'nat' . direct = false\nshare_models = [\n# c\n\"a b\"\n"
        ",'c']",
        "share_models = [ \"\"\"\r\na \\\r\n  b\"\"\", 'c' ] # crlf\r\nudp_port = "
        "+1234\r\n[nat]\r\n"
        "direct = false\r\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        tl_settings s = tl_settings_default();
        tl_why why = {""};
        if (read_text(forms[i], &s, &why))
            fail_msg("%s", why.text);
        assert_false(s.nat_direct);
        assert_int_equal(s.udp_port, 1234);
        assert_int_equal(s.share_models.n, 2);
        assert_string_equal(s.share_models.item[0], "a b");
        assert_string_equal(s.share_models.item[1], "c");
    }
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
    {"nt.relay_enabled = true\n", "nat.relay_enabled = true\n",
     ":1: unknown setting \"nt.relay_enabled\"; did you mean \"nat.relay_enabled\"?",
     TL_ERR_NOT_FOUND},
    {"nat.a.b = true\n", "nat.direct = true\n", ":1: unknown setting \"nat.a.b\"",
     TL_ERR_NOT_FOUND},
    {"nat = { relay = true }\n", "nat = { direct = true }\n", ":1: unknown setting \"nat.relay\"",
     TL_ERR_NOT_FOUND},
    {"[net]\n", "[nat]\n", ":1: unknown section [net]", TL_ERR_NOT_FOUND},
    {"[[net]]\n", "[nat]\n", ":1: unknown section [net]", TL_ERR_NOT_FOUND},
    {"\n[nat.direct]\n", "[nat]\ndirect=true\n",
     ":2: nat.direct is a setting and no section; it is written: nat.direct = value",
     TL_ERR_INVALID},
    {"udp_port = { a = 1 }\n", "udp_port = 1\n", "udp_port is a setting and no section",
     TL_ERR_INVALID},
    {"udp_port.a = 1\n", "udp_port = 1\n", "udp_port is a setting and no section", TL_ERR_INVALID},
    {"nat = 1\n", "nat.direct = true\n", ":1: nat is a section, with settings below it: [nat]",
     TL_ERR_INVALID},
    {"[[nat]]\n", "[nat]\n", ":1: [[nat]] begins a list of sections; write [nat]", TL_ERR_INVALID},
    {"\"nat.direct\" = true\n", "\"nat\".'direct' = true\n",
     "the name \"nat.direct\" in quotes is no setting", TL_ERR_NOT_FOUND},
    {"\"udp_port\\u0000\" = 1\n", "\"udp_por\\u0074\" = 1\n", "in quotes is no setting",
     TL_ERR_NOT_FOUND},
    {"[nat]\n[nat]\n", "[nat]\n", ":2: section [nat] is already at line 1", TL_ERR_EXISTS},
    {"udp_port = 1\nudp_port = 1\n", "udp_port = 1\n", ":2: udp_port is already set at line 1",
     TL_ERR_EXISTS},
    {"nat.relay_enabled = true\n[nat]\n", "[nat]\nrelay_enabled = true\n",
     ":2: settings of nat already stand at line 1; write them below [nat] too", TL_ERR_EXISTS},
    {"udp_port = 70000\n", "udp_port = 7000\n",
     ":1: udp_port must be a whole number from 0 to 65535", TL_ERR_INVALID},
    {"udp_port = 7.0\n", "udp_port = 7_0\n",
     ":1: udp_port must be a whole number from 0 to 65535, not a decimal number", TL_ERR_INVALID},
    {"udp_port = 07:32:00\n", "udp_port = 0x10\n", "from 0 to 65535, not a time", TL_ERR_INVALID},
    {"udp_port = '7'\n", "udp_port = 0b111\n", "from 0 to 65535, not text", TL_ERR_INVALID},
    {"display_name = 2026-11-29\n", "display_name = '2026-11-29'\n",
     ":1: display_name must be text in quotes, not a date", TL_ERR_INVALID},
    {"display_name = 1979-05-27T07:32:00Z\n", "display_name = \"\"\"\nx\"\"\"\n",
     "not a date with a time", TL_ERR_INVALID},
    {"display_name = \"\"\"a\nb\"\"\"\n", "display_name = \"\"\"a\\\n  b\"\"\"\n",
     "must not contain control characters", TL_ERR_INVALID},
    {"wan_enabled = True\n", "wan_enabled = true\n", "write true or false", TL_ERR_PROTO},
    {"wan_enabled = yes\n", "wan_enabled = false\n",
     ":1: wan_enabled: yes is no value: write true or false, in small letters", TL_ERR_PROTO},
    {"wan_enabled = \"true\"\n", "wan_enabled = true\n", "must be true or false, not text",
     TL_ERR_INVALID},
    {"wan_enabled = 1\n", "wan_enabled = true\n", "must be true or false, not a whole number",
     TL_ERR_INVALID},
    {"share_with = public\n", "share_with = 'public'\n",
     "share_with: text goes in quotes: \"public\"", TL_ERR_PROTO},
    {"share_models = [[\"a\"]]\n", "share_models = [\"a\"]\n",
     ":1: share_models item 1 must be text in quotes", TL_ERR_INVALID},
    {"share_models = [\n'a',\n1,\n]\n", "share_models = [\n'a',\n\"\"\"b\"\"\",\n]\n",
     ":1: share_models item 2 must be text in quotes", TL_ERR_INVALID},
    {"udp_port =\n", "udp_port = 1\n", ":1: udp_port: the value is missing", TL_ERR_PROTO},
    {"# \x01\n", "# \t\n", "control character", TL_ERR_PROTO},
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

static void a_text_at_the_limit_is_read_and_a_longer_one_refused(void **state)
{
    (void)state;
    char *text = malloc(TL_TOML_TEXT_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', TL_TOML_TEXT_MAX + 1);
    tl_settings s = tl_settings_default();
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_TOML_TEXT_MAX), "f", &s, NULL),
                     TL_OK);
    assert_int_equal(tl_config_text_read(tl_slice_of(text, TL_TOML_TEXT_MAX + 1), "f", &s, NULL),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seeds_block_reads_as_it_stands),
        cmocka_unit_test(comments_strings_and_line_ends_are_told_apart),
        cmocka_unit_test(every_form_of_toml_means_the_same_settings),
        cmocka_unit_test(a_wrong_file_is_refused_whole_and_its_good_twin_taken),
        cmocka_unit_test(a_text_at_the_limit_is_read_and_a_longer_one_refused),
        cmocka_unit_test(hostile_names_are_escaped_in_the_reason),
        cmocka_unit_test(every_cut_of_a_good_file_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
