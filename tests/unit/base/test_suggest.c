#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *nearest(const char *word)
{
    static const char *const names[] = {"status", "peers", "chat", "config", "wan_relay_url", "up"};
    tl_suggest s = tl_suggest_begin(word);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tl_suggest_offer(&s, names[i]);
    return s.best;
}

static void a_slip_of_the_finger_finds_its_name(void **state)
{
    (void)state;
    assert_string_equal(nearest("stauts"), "status");
    assert_string_equal(nearest("peer"), "peers");
    assert_string_equal(nearest("chta"), "chat");
    assert_string_equal(nearest("wan-relay-url"), "wan_relay_url");
    assert_string_equal(nearest("WAN_RELAY_URI"), "wan_relay_url");
}

static void a_word_near_to_nothing_gets_no_suggestion(void **state)
{
    (void)state;
    assert_null(nearest("xyzzy"));
    assert_null(nearest(""));
    char big[400];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_null(nearest(big));
}

static void an_alias_suggests_the_whole_name(void **state)
{
    (void)state;
    tl_suggest s = tl_suggest_begin("stun_server");
    tl_suggest_offer_as(&s, "stun_servers", "nat.stun_servers");
    assert_string_equal(s.best, "nat.stun_servers");
    assert_int_equal(s.distance, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_finger_finds_its_name),
        cmocka_unit_test(a_word_near_to_nothing_gets_no_suggestion),
        cmocka_unit_test(an_alias_suggests_the_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
