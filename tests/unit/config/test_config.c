#include "config/config.h"

#include "config/config_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static char *shown(const tl_settings *s, const char *key)
{
    static char text[9000];
    tl_buf out = {0};
    assert_int_equal(tl_settings_get(s, key, &out, NULL), TL_OK);
    assert_true(out.len < sizeof text);
    memcpy(text, tl_buf_slice(&out).p ? tl_buf_slice(&out).p : (const uint8_t *)"", out.len);
    text[out.len] = 0;
    tl_buf_clear(&out);
    return text;
}

static void every_default_is_the_one_its_table_tells(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    size_t n = 0;
    for (const tl_setting_info *i; (i = tl_setting_at(n)); n++) {
        assert_string_equal(shown(&s, i->key), i->default_text);
        assert_true(strlen(i->meaning) > 10);
    }
    assert_true(n > 20);
}

static void every_default_obeys_its_own_rule(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    tl_why why = {""};
    for (size_t i = 0; tl_setting_at(i); i++) {
        const tl_setting_info *info = tl_setting_at(i);
        if (tl_settings_set(&s, info->key, info->default_text, &why))
            fail_msg("%s: %s", info->key, why.text);
    }
    tl_settings fresh = tl_settings_default();
    for (size_t i = 0; tl_setting_at(i); i++) {
        char was[9000];
        snprintf(was, sizeof was, "%s", shown(&s, tl_setting_at(i)->key));
        assert_string_equal(was, shown(&fresh, tl_setting_at(i)->key));
    }
}

static void a_proxys_login_is_read_by_its_owner_alone(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    tl_buf out = {0};
    tl_why why = {""};
    assert_int_equal(tl_settings_set(&s, "wan_proxy", "http://ann:secret@proxy:3128", &why), TL_OK);
    assert_string_equal(shown(&s, "wan_proxy"), "http://ann:secret@proxy:3128");
    assert_int_equal(tl_settings_show(&s, "wan_proxy", &out, &why), TL_OK);
    assert_true(tl_slice_eq(tl_buf_slice(&out), tl_slice_str("http://proxy:3128")));
    tl_buf_clear(&out);
    json_t *all = tl_settings_json(&s), *one = tl_setting_json(&s, "wan_proxy");
    assert_string_equal(json_string_value(json_object_get(all, "wan_proxy")), "http://proxy:3128");
    assert_string_equal(json_string_value(one), "http://ann:secret@proxy:3128");
    json_decref(all);
    json_decref(one);
    assert_null(tl_setting_json(&s, "wan_prox"));
    assert_int_equal(tl_settings_set(&s, "wan_proxy", "https://ann:secret@proxy:3128", &why),
                     TL_ERR_INVALID);
    assert_null(strstr(why.text, "secret"));
    assert_int_equal(tl_settings_set(&s, "wan_proxy", "proxy:3128", &why), TL_ERR_INVALID);
    assert_int_equal(tl_settings_set(&s, "wan_proxy", "none", &why), TL_OK);
}

static void the_seeds_commands_set_what_they_say(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    assert_int_equal(tl_settings_set(&s, "wan_enabled", "true", NULL), TL_OK);
    assert_true(s.wan_enabled);
    assert_int_equal(tl_settings_set(&s, "wan_relay_url", "wss://my-relay.example.com/ws", NULL),
                     TL_OK);
    assert_int_equal(s.wan_relay_url.n, 1);
    assert_string_equal(shown(&s, "wan_relay_url"), "wss://my-relay.example.com/ws");
    assert_int_equal(
        tl_settings_set(&s, "wan_relay_url", "[\"ws://a/ws\",\"wss://b:444/ws\"]", NULL), TL_OK);
    assert_string_equal(shown(&s, "wan_relay_url"), "[\"ws://a/ws\", \"wss://b:444/ws\"]");
    assert_int_equal(tl_settings_set(&s, "wan_relay_url", "", NULL), TL_OK); /* no relay */
    assert_int_equal(s.wan_relay_url.n, 0);
    assert_string_equal(shown(&s, "wan_relay_url"), "[]");
    assert_int_equal(tl_settings_set(&s, "wan_relay_url", "wss://a/ws", NULL), TL_OK);
    assert_int_equal(tl_settings_set(&s, "wan_relay_url", "[]", NULL), TL_OK);
    assert_int_equal(s.wan_relay_url.n, 0);
    assert_int_equal(tl_settings_set(&s, "wan_relay_url", "[\"\"]", NULL), TL_ERR_INVALID);
}

static void every_choice_is_allowed_and_nothing_else(void **state)
{
    (void)state;
    size_t n = 0;
    for (size_t i = 0; tl_setting_at(i); i++) {
        const tl_setting_info *info = tl_setting_at(i);
        tl_settings s = tl_settings_default();
        for (size_t k = 0; info->choices && info->choices[k]; k++, n++)
            assert_int_equal(tl_settings_set(&s, info->key, info->choices[k], NULL), TL_OK);
        if (info->choices)
            assert_int_equal(tl_settings_set(&s, info->key, "other", NULL), TL_ERR_INVALID);
    }
    assert_true(n > 10);
}

#define ID "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

typedef struct {
    const char *key, *bad, *good;
    const char *says;
} refusal;

static const refusal refusals[] = {
    {"wan_enabled", "yes", "true", "must be true or false; for yes write true"},
    {"wan_enabled", "Off", "false", "must be true or false; for Off write false"},
    {"wan_enabled", "TRUE", "true", "must be true or false; for TRUE write true"},
    {"wan_enabled", "1", "false", "must be true or false; for 1 write true"},
    {"wan_enabled", "\"true\"", "true", "must be true or false"},
    {"wan_enabled", "", "true", "must be true or false"},
    {"nat.relay_max_sessions", "-1", "1", "must be a whole number from 1 to 100000"},
    {"nat.relay_for", "all", "networks", "must be \"any\" or \"networks\""},
    {"nat.relay_session_max_secs", "0", "604800", "from 1 to 604800"},
    {"nat.relay_session_warn_secs", "86401", "0", "from 0 to 86400"},
    {"nat.relay_pause_secs", "-1", "0", "from 0 to 86400"},
    {"nat.relay_burst_ms", "19", "20", "from 20 to 60000"},
    {"nat.relay_max_sessions", "-9223372036854775809", "0x10", "from 1 to 100000"},
    {"udp_port", "1\nask = 2", "1_000", "from 0 to 65535"},
    {"udp_port", "2026-11-29", "+7", "from 0 to 65535"},
    {"udp_port", "{a = 1}", "7 # x", "from 0 to 65535"},
    {"share_models", "['a', 'b'", "['a', 'b',]", "must be a list"},
    {"share_models", "'a'", "[ 'a' ]", "must be a list"},
    {"display_name", "\"a", "'tis", "must be text"},
    {"udp_port", "65536", "65535", "from 0 to 65535"},
    {"udp_port", "-1", "0", "from 0 to 65535"},
    {"udp_port", "1.0", "1", "from 0 to 65535"},
    {"udp_port", "5x", "5", "from 0 to 65535"},
    {"udp_port", "\"5\"", "5", "from 0 to 65535"},
    {"udp_port", "", "7", "from 0 to 65535"},
    {"timeout_silence_secs", "0", "1", "from 1 to 86400"},
    {"timeout_silence_secs", "99999999999999999999", "86400", "from 1 to 86400"},
    {"share_with", "everyone", "networks", "\"public\" or \"networks\""},
    {"ask", "all", "any", "\"any\" or \"networks\""},
    {"dht.publish", "yes", "on", "\"auto\", \"on\" or \"off\""},
    {"dht.serve", "", "auto", "\"auto\", \"on\" or \"off\""},
    {"nat.introduce", "true", "off", "\"auto\", \"on\" or \"off\""},
    {"dht.enabled", "auto", "true", "true or false"},
    {"dht.republish_secs", "59", "60", "from 60 to 3600"},
    {"dht.bootstrap", "[\"a:0x\"]", "[\"a:1\"]", "HOST"},
    {"nat.introducers", "[\"" ID "@192.0.2.1\"]", "[\"" ID "@192.0.2.1:7\"]", "all 64 digits"},
    {"nat.introducers", "[\"" ID "@host:7\"]", "[\"" ID "@[2001:db8::1]:7\"]", "ADDRESS:PORT"},
    {"nat.introducers", "[\"d75a@192.0.2.1:7\"]", "[]", "NODE_ID@"},
    {"nat.introducers", "[\"" ID "\"]", "[]", "NODE_ID@"},
    {"key_store", "keyring", "keychain", "\"keychain\""},
    {"log_level", "verbose", "debug", "\"debug\""},
    {"wan_relay_url", "https://a/ws", "wss://a/ws", "relay's URL"},
    {"wan_relay_url", "wss://", "wss://a", "relay's URL"},
    {"wan_relay_url", "wss://a:0x/ws", "wss://a:8/ws", "relay's URL"},
    {"wan_relay_url", "wss://u@a/ws", "wss://a/ws", "relay's URL"},
    {"wan_relay_url", "wss://a/w s", "wss://a/ws", "relay's URL"},
    {"wan_relay_url", "[\"wss://a\",\"b\"]", "[\"wss://a\",\"wss://b\"]", "item 2"},
    {"share", "127.0.0.1:11434", "http://127.0.0.1:11434",
     "did you mean \"http://127.0.0.1:11434\"?"},
    {"share", "localhost:11434", "http://localhost:11434",
     "did you mean \"http://localhost:11434\"?"},
    {"share", "gpu.local:8000/v1", "http://gpu.local:8000/v1", "\"http://gpu.local:8000/v1\"?"},
    {"share", "[::1]:11434", "http://[::1]:11434", "\"http://[::1]:11434\"?"},
    {"share", "wss://a", "https://a", "\"https://a\"?"},
    {"wan_relay_url", "localhost:8080", "ws://localhost:8080/ws", "\"ws://localhost:8080/ws\"?"},
    {"wan_relay_url", "relay.example.org", "wss://relay.example.org/ws",
     "\"wss://relay.example.org/ws\"?"},
    {"wan_relay_url", "https://a/x", "wss://a/x", "\"wss://a/x\"?"},
    {"wan_relay_url", "http://a", "ws://a/ws", "\"ws://a/ws\"?"},
    {"wan_relay_url", "[\"wss://a\", \"b:1\"]", "[\"wss://a\", \"wss://b:1/ws\"]",
     "item 2 must be a relay's URL such as \"wss://relay.example.org/ws\"; did you mean "
     "\"wss://b:1/ws\"?"},
    {"api_allowed_origins", "[\"localhost:3000\"]", "[\"http://localhost:3000\"]",
     "\"http://localhost:3000\"?"},
    {"share", "ftp://a", "auto", "model server's URL"},
    {"api_listen", "127.0.0.1", "127.0.0.1:0", "HOST:PORT"},
    {"api_listen", "::1:80", "[::1]:80", "HOST:PORT"},
    {"api_allowed_hosts", "[\"a b\"]", "[\"a.b\"]", "HOST"},
    {"api_allowed_hosts", "a", "[\"a\"]", "must be a list"},
    {"api_allowed_origins", "[\"https://a/x\"]", "[\"https://a\"]", "origin"},
    {"api_allowed_origins", "[\"null\"]", "[\"app://obsidian.md\"]", "origin"},
    {"api_allowed_origins", "[\"*\"]", "[\"chrome-extension://abc\"]", "origin"},
    {"api_allowed_origins", "[\"a://\"]", "[\"a://b\"]", "origin"},
    {"api_allowed_origins", "[\"://a\"]", "[\"vscode-webview://a\"]", "origin"},
    {"api_allowed_origins", "[\"1a://b\"]", "[\"a1+-.://b\"]", "origin"},
    {"backend_key_file", "key.txt", "/k/key.txt", "whole path"},
    {"share_models", "[\"\"]", "[\"m\"]", "a model's name"},
    {"share_models", "[1]", "[\"1\"]", "item 1"},
    {"nat.stun_servers", "[[\"a\"]]", "[\"a\"]", "item 1"},
    {"display_name", "a\nb", "a b", "control characters"},
    {"display_name", "\"a\\u0000b\"", "\"a\\u00e9b\"", "control characters"},
    {"display_name", "\xff", "\xc3\xa9", "UTF-8"},
};

static void a_bad_value_is_refused_and_its_good_twin_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        tl_settings s = tl_settings_default(), before = s;
        tl_why why = {""};
        tl_err e = tl_settings_set(&s, r->key, r->bad, &why);
        if (e != TL_ERR_INVALID || !strstr(why.text, r->says) ||
            strncmp(why.text, r->key, strlen(r->key)))
            fail_msg("%s = %s: %d \"%s\"", r->key, r->bad, e, why.text);
        assert_memory_equal(&s, &before, sizeof s);
        if (tl_settings_set(&s, r->key, r->good, &why))
            fail_msg("%s = %s: \"%s\"", r->key, r->good, why.text);
    }
}

static void an_unknown_name_is_refused_with_the_one_meant(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"wan_enable", "\"wan_enabled\"?"},
        {"wan-enabled", "\"wan_enabled\"?"},
        {"stun_servers", "\"nat.stun_servers\"?"},
        {"nat.wan_enabled", "\"wan_enabled\"?"},
        {"relay_url", "\"wan_relay_url\"?"}, /* and not nat.relay_for, which is as near */
        {"nat", "config list"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_settings s = tl_settings_default();
        tl_buf out = {0};
        tl_why why = {""};
        assert_int_equal(tl_settings_set(&s, pairs[i][0], "true", &why), TL_ERR_NOT_FOUND);
        if (!strstr(why.text, pairs[i][1]))
            fail_msg("%s: %s", pairs[i][0], why.text);
        assert_int_equal(tl_settings_get(&s, pairs[i][0], &out, &why), TL_ERR_NOT_FOUND);
        assert_int_equal(out.len, 0);
    }
}

static void a_list_or_text_at_its_limit_fits_and_one_more_does_not(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    char text[1100] = "/";
    memset(text + 1, 'a', 510);
    assert_int_equal(tl_settings_set(&s, "backend_key_file", text, NULL), TL_OK);
    strcat(text, "a");
    assert_int_equal(tl_settings_set(&s, "backend_key_file", text, NULL), TL_ERR_INVALID);
    char list[200] = "[\"m\"";
    for (int i = 1; i < TL_SETTING_LIST_MAX; i++)
        strcat(list, ",\"m\"");
    strcpy(text, list);
    strcat(text, "]");
    assert_int_equal(tl_settings_set(&s, "share_models", text, NULL), TL_OK);
    strcpy(text, list);
    strcat(text, ",\"m\"]");
    assert_int_equal(tl_settings_set(&s, "share_models", text, NULL), TL_ERR_INVALID);
    assert_int_equal(s.share_models.n, TL_SETTING_LIST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_the_one_its_table_tells),
        cmocka_unit_test(every_default_obeys_its_own_rule),
        cmocka_unit_test(every_choice_is_allowed_and_nothing_else),
        cmocka_unit_test(a_proxys_login_is_read_by_its_owner_alone),
        cmocka_unit_test(the_seeds_commands_set_what_they_say),
        cmocka_unit_test(a_bad_value_is_refused_and_its_good_twin_taken),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_one_meant),
        cmocka_unit_test(a_list_or_text_at_its_limit_fits_and_one_more_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
