#include "cli/chat_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "{\"teale_chat\":1,\"model\":\"m\"}\n"

static const char whole[] =
    HEAD "{\"role\":\"system\",\"content\":\"short\"}\n"
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\nb\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA==\"}}]}\n"
         "{\"role\":\"assistant\",\"content\":\"caf\u00e9\"}\n";

static tl_err parse(const char *text, size_t n, json_t **ret, tl_why *why)
{
    char model[TL_MODEL_MAX];
    return tl_chat_file_parse("f", tl_slice_of(text, n), model, ret, why);
}

static void what_was_saved_comes_back_private_and_replaces_only_its_own(void **state)
{
    (void)state;
    char dir[] = "/tmp/teale-chat-XXXXXX", path[64], model[TL_MODEL_MAX];
    json_t *messages, *back;
    struct stat st;
    tl_why why = {""};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c", dir);
    assert_int_equal(parse(whole, sizeof whole - 1, &messages, &why), TL_OK);
    assert_int_equal(tl_chat_file_save(path, "m", messages, false, &why), TL_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(tl_chat_file_load(path, model, &back, &why), TL_OK);
    assert_string_equal(model, "m");
    assert_true(json_equal(messages, back));
    json_decref(back);
    assert_int_equal(tl_chat_file_save(path, "m", messages, false, &why), TL_ERR_EXISTS);
    json_array_remove(messages, 2);
    assert_int_equal(tl_chat_file_save(path, "other", messages, true, &why), TL_OK);
    assert_int_equal(tl_chat_file_load(path, model, &back, &why), TL_OK);
    assert_string_equal(model, "other");
    assert_int_equal(json_array_size(back), 2);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    json_decref(back);
    json_decref(messages);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left */
}

static void a_bad_file_is_refused_with_its_line_and_cause(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "f: line 1: the file is empty"},
        {"hello\n", "f: line 1: this is no conversation"},
        {"{}\n", "f: line 1: this is no conversation"},
        {"{\"teale_chat\":2,\"model\":\"m\"}\n", "f: line 1: it was saved by a newer teale"},
        {"{\"teale_chat\":1,\"model\":\"a\\u001b]0;x\\u0007b\"}\n",
         "f: line 1: \"model\" has characters that cannot be shown"},
        {"{\"teale_chat\":1}\n", "f: line 1: \"model\" is missing"},
        {HEAD "[]\n", "f: line 2: a message is an object"},
        {HEAD "\n", "f: line 2: "},
        {HEAD "{\"role\":\"king\",\"content\":\"x\"}\n", "f: line 2: role is user"},
        {HEAD "{\"role\":\"user\"}\n", "f: line 2: content is a text"},
        {HEAD "{\"role\":\"user\",\"content\":[]}\n", "f: line 2: content is a text"},
        {HEAD "{\"role\":\"user\",\"content\":\"x\",\"tool\":1}\n",
         "f: line 2: a message has role"},
        {HEAD "{\"role\":\"user\",\"content\":\"x\"}\n{\"role\":\"system\",\"content\":\"x\"}\n",
         "f: line 3: the message of role system is the first"},
        {HEAD "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
              "\"http://x/y\"}}]}\n",
         "f: line 2: a picture is a data URL"},
        {HEAD "{\"role\":\"user\",\"content\":[{\"type\":\"sound\"}]}\n",
         "f: line 2: a part is of type"},
        {HEAD "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":5}]}\n",
         "f: line 2: a part of type text"},
        {HEAD "{\"role\":\"user\",\"role\":\"user\",\"content\":\"x\"}\n", "f: line 2: "},
        {HEAD "{\"role\":\"user\",\"content\":\"\xff\"}\n", "f: line 2: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *messages = NULL;
        tl_why why = {""};
        assert_int_not_equal(parse(rows[i].text, strlen(rows[i].text), &messages, &why), TL_OK);
        assert_null(messages);
        if (strncmp(why.text, rows[i].words, strlen(rows[i].words)) != 0)
            fail_msg("%s: %s", rows[i].text, why.text);
    }
}

static void a_file_that_was_cut_is_refused_or_ends_with_a_whole_message(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        json_t *messages;
        tl_why why;
        char *copy = test_malloc(n + 1); /* ends where it ends */
        memcpy(copy, whole, n);
        bool at_a_line = n && (whole[n - 1] == '\n' || whole[n] == '\n' || whole[n] == 0);
        tl_err e = parse(copy, n, &messages, &why);
        assert_int_equal(e == TL_OK, at_a_line);
        if (!e)
            json_decref(messages);
        test_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_comes_back_private_and_replaces_only_its_own),
        cmocka_unit_test(a_bad_file_is_refused_with_its_line_and_cause),
        cmocka_unit_test(a_file_that_was_cut_is_refused_or_ends_with_a_whole_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
