#include "cli/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void becomes(const char *text, const char *expected)
{
    tl_buf out = {0};
    assert_int_equal(tl_redact(&out, tl_slice_str(text)), TL_OK);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    assert_string_equal((const char *)tl_buf_begin(&out), expected);
    tl_buf_clear(&out);
}

static void addresses_lose_what_tells_them_apart(void **state)
{
    (void)state;
    becomes("public 203.0.113.7:41820, via 192.168.1.1.",
            "public 203.0.x.x:41820, via 192.168.x.x.");
    becomes("ws://198.18.1.2:8080/ws", "ws://198.18.x.x:8080/ws");
    becomes("{\"remote\":\"[2001:db8::5]:41820\"}", "{\"remote\":\"[2001:x]:41820\"}");
    becomes("2001:db8::5 fe80::1%4 fe80::: x", "2001:x fe80:x fe80::: x");
    becomes("ends with 2001:db8::", "ends with 2001:x");
    becomes("203.0.113.7: no answer", "203.0.x.x: no answer");
}

static void what_is_no_address_stays(void **state)
{
    (void)state;
    static const char *const same[] = {"127.0.0.1:11435 and [::1]:80",
                                       "11:23:27 1.2.3 1.2.3.4.5 999.1.1.1",
                                       "wss://relay.example.org/ws",
                                       "version 0.1.0, 31.0 ms",
                                       "ba14d5e9-9160-4253-82c3-ad9231cf1b8e",
                                       "0123456789abcdef",
                                       "tl-short",
                                       "caf\xC3\xA9 \xFF\n",
                                       ""};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        becomes(same[i], same[i]);
}

static void keys_and_whole_ids_are_cut(void **state)
{
    (void)state;
    becomes("node=3f9a00112233445566778899aabbccddeeff00112233445566778899aabbccdd ok",
            "node=3f9a0011... ok");
    becomes("x_0123456789ABCDEF0123456789abcdef_y", "x_01234567..._y");
    becomes("OPENAI_API_KEY=tl-0123456789abcdef0123456789abcdef;", "OPENAI_API_KEY=tl-...;");
    becomes("http://me:secret@203.0.113.7/v1", "http://(hidden)@203.0.x.x/v1");
    becomes("\"http://a$b:c!d@h/\" x@y //no user", "\"http://(hidden)@h/\" x@y //no user");
}

static void own_texts_become(const char *text, const char *expected)
{
    static const tl_redact_own own[] = {{"/home/anna/.teale", "(data)", true},
                                        {"/home/anna", "~", true},
                                        {"lab", "network-1", false},
                                        {"lab.2", "network-2", false}};
    tl_buf out = {0};
    assert_int_equal(tl_redact_texts(&out, tl_slice_str(text), own, 4), TL_OK);
    assert_int_equal(tl_buf_append(&out, tl_slice_of("", 1)), TL_OK);
    assert_string_equal((const char *)tl_buf_begin(&out), expected);
    tl_buf_clear(&out);
}

static void what_is_the_users_own_gets_another_name(void **state)
{
    (void)state;
    own_texts_become("/home/anna/.teale/teale.db, /home/anna/x, /home/ann",
                     "(data)/teale.db, ~/x, /home/ann");
    own_texts_become("network lab: \"lab\" lab", "network network-1: \"network-1\" network-1");
    own_texts_become("m@lab. label slab lab-x lab_x xlab",
                     "m@network-1. label slab lab-x lab_x xlab");
    own_texts_become("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_lose_what_tells_them_apart),
        cmocka_unit_test(what_is_no_address_stays),
        cmocka_unit_test(keys_and_whole_ids_are_cut),
        cmocka_unit_test(what_is_the_users_own_gets_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
