#include "cli/chat_complete.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    static const char *const files[] = {"notes.txt", "note two", ".hidden", "d/in", "bad\x1bname"};
    snprintf(dir, sizeof dir, "/tmp/teale-tab-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("d", 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        fclose(fopen(files[i], "w"));
    setenv("HOME", dir, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return chdir("/") || system(command);
}

static json_t *models(void *user)
{
    (void)user;
    return json_pack("[s, s, s]", "qwen3:8b", "qwen3:32b", "llama");
}

/* `want`: the offers, each between bars. */
static void offers(const char *text, size_t from, const char *want)
{
    static const char *const commands[] = {"/help", "/load", "/save", NULL};
    const tl_chat_words words = {commands, models, NULL};
    char got[512] = "";
    size_t at = 99, i;
    json_t *one, *list = tl_chat_complete(&words, text, &at);
    json_array_foreach (list, i, one)
        snprintf(got + strlen(got), sizeof got - strlen(got), "|%s", json_string_value(one));
    if (strcmp(got, want) != 0 || (*want && at != from))
        fail_msg("%s: %s at %zu", text, got, at);
    json_decref(list);
}

static void commands_models_and_paths_are_offered_where_they_belong(void **state)
{
    (void)state;
    offers("/", 0, "|/help |/load |/save ");
    offers("/l", 0, "|/load ");
    offers("/x", 0, "");
    offers("/model q", 7, "|qwen3:8b |qwen3:32b ");
    offers("/model x", 7, "");
    offers("/load no", 6, "|\"note two\" |notes.txt ");
    offers("see @no", 5, "|\"note two\" |notes.txt ");
    offers("see @notes", 5, "|notes.txt ");
    offers("see @\"note t", 5, "|\"note two\" ");
    offers("@d", 1, "|d/");
    offers("@d/", 1, "|d/in ");
    offers("@~/nott", 1, "");
    offers("@~/notes", 1, "|~/notes.txt ");
    offers("@./.h", 1, "|./.hidden ");
    offers("@.", 1, "|.hidden ");
    offers("@bad", 1, ""); /* a terminal would obey it */
    offers("a@no", 0, "");
    offers("@@no", 0, "");
    offers("see @notes.txt ", 0, "");
    offers("plain", 0, "");
    offers("", 0, "");
    offers("@/nothing/x", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_models_and_paths_are_offered_where_they_belong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
