#include "cli/chat_attach.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int set_up(void **state)
{
    (void)state;
    static const char png[] = "\x89PNG\r\n\x1a\nthe rest of a picture";
    snprintf(dir, sizeof dir, "/tmp/teale-attach-XXXXXX");
    assert_non_null(mkdtemp(dir));
    write_bytes("notes.txt", "one\ntwo\n", 8);
    write_bytes("my notes.txt", "three", 5);
    write_bytes("fence.md", "a ```` b", 8);
    write_bytes("p.png", png, sizeof png - 1);
    write_bytes("cut.png", png, 12);
    write_bytes("nul.bin", "a\0b", 3);
    write_bytes("latin", "caf\xe9", 4);
    write_bytes("empty", "", 0);
    setenv("HOME", dir, 1);
    return chdir(dir);
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return chdir("/") || system(command);
}

/* The content is this text alone. */
static void becomes(const char *text, const char *want, size_t attached)
{
    json_t *content, *names;
    tl_why why = {""};
    if (tl_attach_expand(tl_slice_str(text), &content, &names, &why))
        fail_msg("%s: %s", text, why.text);
    assert_true(json_is_string(content));
    assert_string_equal(json_string_value(content), want);
    assert_int_equal(json_array_size(names), attached);
    json_decref(content);
    json_decref(names);
}

static void refused(const char *text, const char *words)
{
    json_t *content, *names;
    tl_why why = {""};
    assert_int_equal(tl_attach_expand(tl_slice_str(text), &content, &names, &why), TL_ERR_INVALID);
    if (!strstr(why.text, words))
        fail_msg("%s: %s", text, why.text);
}

static void a_text_file_follows_the_message_under_its_name(void **state)
{
    (void)state;
    becomes("sum @notes.txt up", "sum notes.txt up\n\nFile notes.txt:\n```\none\ntwo\n```", 1);
    becomes("see @\"my notes.txt\".", "see my notes.txt.\n\nFile my notes.txt:\n```\nthree\n```",
            1);
    becomes("(@./notes.txt)", "(notes.txt)\n\nFile notes.txt:\n```\none\ntwo\n```", 1);
    becomes("@~/empty?", "empty?\n\nFile empty:\n```\n\n```", 1);
    becomes("@fence.md", "fence.md\n\nFile fence.md:\n`````\na ```` b\n`````", 1);
}

static void what_names_no_file_is_text(void **state)
{
    (void)state;
    becomes("mail a@notes.txt", "mail a@notes.txt", 0);
    becomes("@property\n@x.y def", "@property\n@x.y def", 0);
    becomes("@@notes.txt", "@notes.txt", 0);
    becomes("@", "@", 0);
    becomes("a @ b", "a @ b", 0);
    becomes("@\"", "@\"", 0);
    becomes("the \"@\" sign", "the \"@\" sign", 0);
    becomes("", "", 0);
}

static void what_can_only_be_a_file_and_is_none_is_refused(void **state)
{
    (void)state;
    refused("@./nothing", "there is no file ./nothing");
    refused("@/nothing/there", "there is no file");
    refused("@~/nothing", "there is no file");
    refused("sum up @missing.TXT", "there is no file missing.TXT");
    refused("@nothing/there", "there is no file nothing/there");
    refused("@\"no such\"", "there is no file no such");
    refused("@/tmp", "there is no file /tmp"); /* a directory */
    refused("@/dev/zero", "there is no file");
    refused("@nul.bin", "neither text");
    refused("@latin", "neither text");
    refused("@cut.png", "no whole picture");
    refused("read @\"notes.txt and say", "needs a \" at its end");
}

static void a_picture_is_a_part_with_a_data_url(void **state)
{
    (void)state;
    json_t *content, *names;
    tl_why why;
    assert_int_equal(tl_attach_expand(TL_SLICE_LIT("what is @p.png"), &content, &names, &why),
                     TL_OK);
    assert_int_equal(json_array_size(content), 2);
    const json_t *text = json_array_get(content, 0), *image = json_array_get(content, 1);
    assert_string_equal(tl_json_string(text, "text", ""), "what is p.png");
    assert_string_equal(tl_json_string(image, "type", ""), "image_url");
    assert_string_equal(tl_json_string(json_object_get(image, "image_url"), "url", ""),
                        "data:image/png;base64,iVBORw0KGgp0aGUgcmVzdCBvZiBhIHBpY3R1cmU=");
    json_decref(content);
    json_decref(names);
}

static void files_have_bounds(void **state)
{
    (void)state;
    static char big[TL_ATTACH_TEXT_MAX + 1];
    char many[TL_ATTACH_FILES_MAX * 16 + 32] = "";
    memset(big, 'x', sizeof big);
    write_bytes("big.txt", big, sizeof big);
    refused("@big.txt", "larger than the 1 MiB that a text may have");
    write_bytes("fits.txt", big, sizeof big - 1);
    json_t *content, *names;
    tl_why why;
    assert_int_equal(tl_attach_expand(TL_SLICE_LIT("@fits.txt"), &content, &names, &why), TL_OK);
    json_decref(content);
    json_decref(names);
    for (int i = 0; i <= TL_ATTACH_FILES_MAX; i++)
        strcat(many, "@notes.txt ");
    refused(many, "at most 16 files");
    char huge[128];
    snprintf(huge, sizeof huge, "%s/huge.png", dir);
    FILE *f = fopen(huge, "w");
    assert_non_null(f);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
    assert_int_equal(ftruncate(fileno(f), TL_ATTACH_IMAGE_MAX + 1), 0);
    fclose(f);
    refused("@huge.png", "larger than 8 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_file_follows_the_message_under_its_name),
        cmocka_unit_test(what_names_no_file_is_text),
        cmocka_unit_test(what_can_only_be_a_file_and_is_none_is_refused),
        cmocka_unit_test(a_picture_is_a_part_with_a_data_url),
        cmocka_unit_test(files_have_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
