/* Memory that runs out at each allocation in turn, while a text is read and while it is changed:
 * the caller is told, and nothing is changed and nothing stays behind. */
#include "../support/failalloc.h"
#include "config/config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char text[] = "share_models = [ # c\n  'a',\n  \"\"\"b\"\"\",\n]\nudp_port = 0x1_0\n"
                           "[nat]\nstun_servers = [\"\\u0061\"]\n";

static tl_err read_it(void *user)
{
    tl_settings s = tl_settings_default(), before = s;
    (void)user;
    tl_err e = tl_config_text_read(tl_slice_str(text), "f", &s, NULL);
    if (e)
        assert_memory_equal(&s, &before, sizeof s);
    else
        assert_int_equal(s.share_models.n, 2);
    return e;
}

static void a_text_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_in_range(failalloc_sweep(read_it, NULL), 3, 200);
}

typedef struct {
    const char *key;
    json_t *value;
} change;

static tl_err change_it(void *user)
{
    const change *c = user;
    const tl_setting_def *def;
    tl_buf out = {0};
    assert_int_equal(tl_setting_find(c->key, &def, NULL), TL_OK);
    tl_err e = tl_config_text_edit(tl_slice_str(text), def, c->value, &out);
    assert_int_equal(out.len == 0, e != TL_OK);
    tl_buf_clear(&out);
    return e;
}

static void a_text_is_changed_whole_or_not_at_all(void **state)
{
    (void)state;
    change changes[] = {
        {"share_models", json_pack("[s, s, s]", "a", "c", "d")},
        {"udp_port", json_integer(5)},
        {"ask", json_string("networks")},
        {"nat.direct", json_false()},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_in_range(failalloc_sweep(change_it, &changes[i]), 2, 200);
        json_decref(changes[i].value);
    }
}

static tl_err read_a_value(void *user)
{
    json_t *value = NULL;
    tl_err e = tl_config_value_read(tl_slice_str(user), &value);
    assert_int_equal(value == NULL, e != TL_OK);
    json_decref(value);
    return e;
}

static void a_value_is_read_or_not(void **state)
{
    (void)state;
    static char toml[] = "['a', 'b',]", json[] = "[\"a\", \"b\"]";
    assert_in_range(failalloc_sweep(read_a_value, toml), 3, 200);
    assert_in_range(failalloc_sweep(read_a_value, json), 2, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_text_is_changed_whole_or_not_at_all),
        cmocka_unit_test(a_value_is_read_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
