/* Settings changed in the file and taken up by a node, and all of them explained. */
#include "config/config_change.h"
#include "config/config_show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    char dir[64], path[96];
    tl_err says;
    unsigned taken;
} scene;

static int begin(void **state)
{
    static scene s;
    s = (scene){.dir = "/tmp/teale-change-XXXXXX"};
    assert_non_null(mkdtemp(s.dir));
    snprintf(s.path, sizeof s.path, "%s/teale.toml", s.dir);
    *state = &s;
    return 0;
}

static int end(void **state)
{
    scene *s = *state;
    unlink(s->path);
    return rmdir(s->dir);
}

static void write_file(const scene *s, const char *text)
{
    FILE *f = fopen(s->path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_file(const scene *s, const char *text)
{
    char have[512] = {0};
    FILE *f = fopen(s->path, "re");
    assert_non_null(f);
    size_t n = fread(have, 1, sizeof have - 1, f);
    fclose(f);
    have[n] = 0;
    assert_string_equal(have, text);
}

static tl_err take(void *user, const char *key, tl_why *why)
{
    scene *s = user;
    assert_string_equal(key, "log_level");
    s->taken++;
    return s->says ? tl_why_set(why, s->says, "told") : TL_OK;
}

static void a_change_that_is_taken_stays_and_keeps_the_comments(void **state)
{
    scene *s = *state;
    tl_why why;
    write_file(s, "# mine\nlog_level = 'warn' # as it was\n");
    assert_int_equal(tl_settings_change(s->path, "log_level", "debug", take, s, &why), TL_OK);
    assert_file(s, "# mine\nlog_level = 'debug' # as it was\n");
    s->says = TL_ERR_AGAIN;
    assert_int_equal(tl_settings_change(s->path, "log_level", "\"info\"", take, s, &why),
                     TL_ERR_AGAIN);
    assert_string_equal(why.text, "told");
    assert_file(s, "# mine\nlog_level = 'info' # as it was\n");
    assert_int_equal(s->taken, 2);
}

static void a_change_that_the_node_refuses_leaves_the_file_as_it_was(void **state)
{
    scene *s = *state;
    tl_why why;
    s->says = TL_ERR_INVALID;
    write_file(s, "log_level = 'warn' # as it was\n");
    assert_int_equal(tl_settings_change(s->path, "log_level", "debug", take, s, &why),
                     TL_ERR_INVALID);
    assert_file(s, "log_level = 'warn' # as it was\n");
    write_file(s, "# nothing is set\n");
    assert_int_equal(tl_settings_change(s->path, "log_level", "debug", take, s, &why),
                     TL_ERR_INVALID);
    assert_string_equal(why.text, "told");
    assert_file(s, "# nothing is set\n");
    assert_int_equal(s->taken, 2);
}

static void a_wrong_value_or_name_reaches_neither_file_nor_node(void **state)
{
    scene *s = *state;
    tl_why why;
    write_file(s, "log_level = 'warn'\n");
    assert_int_equal(tl_settings_change(s->path, "log_level", "loud", take, s, &why),
                     TL_ERR_INVALID);
    assert_int_equal(tl_settings_change(s->path, "loglevel", "warn", take, s, &why),
                     TL_ERR_NOT_FOUND);
    assert_file(s, "log_level = 'warn'\n");
    write_file(s, "log_level = warn\n"); /* a person's mistake is not overwritten */
    assert_int_not_equal(tl_settings_change(s->path, "log_level", "debug", take, s, &why), TL_OK);
    assert_file(s, "log_level = warn\n");
    assert_int_equal(s->taken, 0);
}

/* --- several at once --- */

typedef struct {
    const char *refuses; /* this key */
    const char *keeps;   /* this one cannot be given back */
    const char *again;   /* this one needs a restart */
    const char *path;    /* written to, as by another program, when `refuses` comes */
    char told[128];
} taker_scene;

static tl_err take_one(void *user, const char *key, tl_why *why)
{
    taker_scene *t = user;
    snprintf(t->told + strlen(t->told), sizeof t->told - strlen(t->told), "+%s ", key);
    if (t->again && !strcmp(key, t->again))
        return tl_why_set(why, TL_ERR_AGAIN, "later");
    if (!t->refuses || strcmp(key, t->refuses) != 0)
        return TL_OK;
    if (t->path) {
        FILE *f = fopen(t->path, "we");
        assert_non_null(f);
        fputs("# another's\n", f);
        fclose(f);
    }
    return tl_why_set(why, TL_ERR_UNREACHABLE, "no");
}

static tl_err give_one_back(void *user, const char *key, tl_why *why)
{
    taker_scene *t = user;
    snprintf(t->told + strlen(t->told), sizeof t->told - strlen(t->told), "-%s ", key);
    return t->keeps && !strcmp(key, t->keeps) ? tl_why_set(why, TL_ERR_INVALID, "stuck") : TL_OK;
}

/* log_level, udp_port, ask and share, in this order. */
static tl_err change_four(scene *s, taker_scene *t, const char *share, size_t *ret_refused,
                          tl_why *why)
{
    tl_setting_change changes[] = {{{"log_level", "\"debug\""}},
                                   {{"udp_port", "5000"}},
                                   {{"ask", "networks"}},
                                   {{"share", share}}};
    const tl_setting_taker taker = {take_one, give_one_back, t};
    t->told[0] = 0;
    return tl_settings_change_all(s->path, changes, 4, &taker, ret_refused, why);
}

#define BEFORE "# mine\nlog_level = 'warn' # as it was\n"

static void several_changes_are_saved_and_taken_in_their_order(void **state)
{
    scene *s = *state;
    taker_scene t = {.again = "udp_port"};
    tl_why why;
    size_t refused;
    write_file(s, BEFORE);
    assert_int_equal(change_four(s, &t, "auto", &refused, &why), TL_OK);
    assert_string_equal(t.told, "+log_level +udp_port +ask +share ");
    assert_file(s, "# mine\nlog_level = 'debug' # as it was\nudp_port = 5000\nask = \"networks\"\n"
                   "share = \"auto\"\n");
}

static void a_refusal_gives_back_what_was_taken_in_reverse_and_the_file_each_byte(void **state)
{
    scene *s = *state;
    taker_scene t = {.again = "udp_port", .refuses = "share"};
    tl_why why;
    size_t refused;
    write_file(s, BEFORE);
    assert_int_equal(change_four(s, &t, "auto", &refused, &why), TL_ERR_UNREACHABLE);
    assert_int_equal(refused, 3);
    assert_string_equal(t.told, "+log_level +udp_port +ask +share -ask -log_level ");
    assert_string_equal(why.text, "no; nothing was changed");
    assert_file(s, BEFORE);
    assert_int_equal(change_four(s, &t, "ftp://x", &refused, &why), TL_ERR_INVALID);
    assert_int_equal(refused, 3);
    assert_string_equal(t.told, ""); /* it is wrong in itself */
    assert_file(s, BEFORE);
}

static void what_cannot_be_given_back_is_named(void **state)
{
    scene *s = *state;
    taker_scene t = {.refuses = "share", .keeps = "log_level"};
    tl_why why;
    size_t refused;
    write_file(s, BEFORE);
    assert_int_equal(change_four(s, &t, "auto", &refused, &why), TL_ERR_IO);
    assert_string_equal(why.text, "no; log_level stays changed until a restart: stuck");
    assert_file(s, BEFORE);
    t = (taker_scene){.refuses = "share", .path = s->path};
    assert_int_equal(change_four(s, &t, "auto", &refused, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "no; the file keeps the new values: another program"));
    assert_file(s, "# another's\n"); /* what another program wrote meanwhile stays */
}

static void one_setting_is_copied_and_no_other(void **state)
{
    (void)state;
    tl_settings from = tl_settings_default(), to = tl_settings_default();
    tl_why why;
    from.udp_port = 5000;
    from.wan_enabled = true;
    assert_int_equal(tl_settings_copy(&to, &from, "udp_port", &why), TL_OK);
    assert_int_equal(to.udp_port, 5000);
    assert_false(to.wan_enabled);
    assert_int_equal(tl_settings_copy(&to, &from, "nothing", &why), TL_ERR_NOT_FOUND);
}

/* --- explained --- */

static const char *option_of(void *user, const char *key)
{
    (void)user;
    return strcmp(key, "nat.direct") ? NULL : "relayed";
}

static const json_t *one(const json_t *all, const char *key)
{
    size_t i;
    const json_t *s;
    json_array_foreach (json_object_get(all, "settings"), i, s)
        if (!strcmp(tl_json_string(s, "key", ""), key))
            return s;
    fail_msg("%s is not explained", key);
    return NULL;
}

static void assert_field(const json_t *all, const char *key, const char *field, const char *wanted)
{
    char *have = json_dumps(json_object_get(one(all, key), field), JSON_ENCODE_ANY);
    if (!have || strcmp(have, wanted))
        fail_msg("%s of %s is %s", field, key, have ? have : "nothing");
    free(have);
}

static void each_setting_is_explained_with_its_range_and_what_a_restart_would_change(void **state)
{
    (void)state;
    tl_settings saved = tl_settings_default(), in_force = tl_settings_default();
    saved.udp_port = 5000;
    saved.nat_direct = true;
    in_force.nat_direct = false; /* by the option --relayed */
    json_t *all = tl_settings_explain(&saved, &in_force, option_of, NULL);
    size_t n = 0;
    while (tl_setting_at(n))
        n++;
    assert_int_equal(json_array_size(json_object_get(all, "settings")), n);
    assert_field(all, "udp_port", "value", "5000");
    assert_field(all, "udp_port", "default", "0");
    assert_field(all, "udp_port", "min", "0");
    assert_field(all, "udp_port", "max", "65535");
    assert_field(all, "udp_port", "live", "false");
    assert_field(all, "udp_port", "restart", "true");
    assert_field(all, "udp_port", "option", "null");
    assert_field(all, "nat.direct", "option", "\"relayed\"");
    assert_field(all, "nat.direct", "restart", "false");
    assert_field(all, "nat.direct", "choices", "null"); /* a switch needs none */
    assert_field(all, "log_level", "choices", "[\"error\", \"warn\", \"info\", \"debug\"]");
    assert_field(all, "wan_enabled", "live", "true");
    assert_field(all, "wan_relay_url", "default", "[\"wss://relay.teale.com/ws\"]");
    assert_field(all, "wan_relay_url", "max", "16");
    assert_field(all, "display_name", "max", "null");
    assert_field(all, "backend_key_file", "names_file", "true");
    assert_field(all, "share", "names_file", "false");
    json_decref(all);
}

static void the_login_of_a_proxy_is_not_shown(void **state)
{
    (void)state;
    tl_settings s = tl_settings_default();
    snprintf(s.wan_proxy, sizeof s.wan_proxy, "http://me:secret@proxy.example:3128");
    json_t *all = tl_settings_explain(&s, &s, NULL, NULL);
    assert_field(all, "wan_proxy", "value", "\"http://proxy.example:3128\"");
    assert_field(all, "wan_proxy", "login", "true");
    char *text = json_dumps(all, 0);
    assert_null(strstr(text, "secret"));
    free(text);
    json_decref(all);
    snprintf(s.wan_proxy, sizeof s.wan_proxy, "http://proxy.example:3128");
    all = tl_settings_explain(&s, &s, NULL, NULL);
    assert_field(all, "wan_proxy", "login", "false");
    json_decref(all);
}

int main(void)
{
#define SCENE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        SCENE(a_change_that_is_taken_stays_and_keeps_the_comments),
        SCENE(a_change_that_the_node_refuses_leaves_the_file_as_it_was),
        SCENE(a_wrong_value_or_name_reaches_neither_file_nor_node),
        SCENE(several_changes_are_saved_and_taken_in_their_order),
        SCENE(a_refusal_gives_back_what_was_taken_in_reverse_and_the_file_each_byte),
        SCENE(what_cannot_be_given_back_is_named),
        cmocka_unit_test(one_setting_is_copied_and_no_other),
        cmocka_unit_test(each_setting_is_explained_with_its_range_and_what_a_restart_would_change),
        cmocka_unit_test(the_login_of_a_proxy_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
