#include "cli/nattext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(void (*write)(const json_t *, char *), const char *json)
{
    static char text[TL_NATTEXT_MAX];
    json_t *nat = json_loads(json, 0, NULL);
    assert_non_null(nat);
    write(nat, text);
    json_decref(nat);
    return text;
}

static void step(const json_t *nat, char *text)
{
    tl_nattext_step(nat, text);
}

static void status(const json_t *nat, char *text)
{
    tl_nattext_status(nat, text);
}

static void type(const json_t *nat, char *text)
{
    snprintf(text, TL_NATTEXT_MAX, "%s", tl_nattext_type(nat));
}

#define KNOWN                                                                                      \
    "\"state\":\"known\",\"type\":\"portRestricted\",\"mapping\":\"endpoint-independent\","        \
    "\"filtering\":\"address-and-port-dependent\",\"public\":\"203.0.113.7:41820\","

static void what_is_known_is_one_line(void **state)
{
    (void)state;
    const char *mapped = "{" KNOWN "\"mapped_by\":\"PCP\",\"mapped\":\"203.0.113.7:41821\","
                         "\"ipv6\":null}";
    assert_string_equal(text_of(step, mapped),
                        "portRestricted NAT, 203.0.113.7:41820; PCP mapping yes; IPv6 no");
    assert_string_equal(text_of(status, mapped),
                        "portRestricted, mapping endpoint-independent, filtering "
                        "address-and-port-dependent, public 203.0.113.7:41820, mapped by PCP to "
                        "203.0.113.7:41821, IPv6 no");
    const char *bare = "{" KNOWN "\"mapped_by\":null,\"ipv6\":\"2001:db8::5\"}";
    assert_string_equal(text_of(step, bare),
                        "portRestricted NAT, 203.0.113.7:41820; port mapping no; IPv6 yes");
    assert_non_null(strstr(text_of(status, bare), "no port mapping, IPv6 2001:db8::5"));
}

static void a_public_address_is_no_nat(void **state)
{
    (void)state;
    const char *open =
        "{\"state\":\"known\",\"type\":\"fullCone\",\"mapping\":\"none\",\"filtering\":"
        "\"unknown\",\"public\":\"203.0.113.7:1\",\"ipv6\":null}";
    assert_string_equal(text_of(step, open), "no NAT, 203.0.113.7:1; IPv6 no");
    assert_string_equal(text_of(status, open),
                        "no NAT, filtering unknown, public 203.0.113.7:1, IPv6 no");
    assert_string_equal(text_of(type, open), "no NAT");
    assert_string_equal(text_of(type, "{" KNOWN "\"ipv6\":null}"), "portRestricted");
}

static void blocked_udp_is_said_with_the_remedy(void **state)
{
    (void)state;
    static const char blocked[] =
        "{\"state\":\"blocked\",\"type\":\"unknown\",\"stun_asked\":4,\"ipv6\":null}";
    assert_string_equal(text_of(step, blocked),
                        "E_UDP_BLOCKED: 0 of 4 STUN servers answered; relayed only. Allow outgoing "
                        "UDP, or go on relayed. See: teale doctor");
    assert_non_null(strstr(text_of(status, blocked), "unknown, E_UDP_BLOCKED"));
}

static void servers_without_an_answer_are_no_blocked_udp_while_no_relay_shows_it(void **state)
{
    (void)state;
    static const char silent[] =
        "{\"state\":\"unanswered\",\"type\":\"unknown\",\"stun_asked\":4,\"ipv6\":null}";
    assert_string_equal(
        text_of(step, silent),
        "0 of 4 STUN servers answered: offline, or UDP is blocked. See: teale doctor");
    assert_string_equal(text_of(status, silent),
                        "unknown, 0 of 4 STUN servers answered: offline, or UDP is blocked");
}

static void what_is_not_known_yet_is_not_invented(void **state)
{
    (void)state;
    static const char asking[] = "{\"state\":\"asking\",\"type\":\"unknown\",\"port\":41820,"
                                 "\"mapped_by\":\"UPnP\",\"ipv6\":null}";
    assert_string_equal(text_of(step, asking), "UDP port 41820, no STUN server has answered yet "
                                               "(teale netcheck); UPnP mapping yes; IPv6 no");
    assert_string_equal(text_of(status, asking), "unknown, no STUN server has answered yet");
    assert_string_equal(text_of(step, "{\"state\":\"off\"}"),
                        "no UDP port, relayed only. See: teale doctor");
    assert_string_equal(text_of(status, "{}"), "unknown, no UDP port: relayed only");
}

static void only_the_first_round_is_worth_waiting_for(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool settled;
    } cases[] = {{"{\"state\":\"asking\"}", false},
                 {"{\"state\":\"known\",\"type\":\"unknown\"}", false},
                 {"{\"state\":\"known\",\"type\":\"symmetric\"}", true},
                 {"{\"state\":\"blocked\"}", true},
                 {"{\"state\":\"unanswered\"}", true},
                 {"{\"state\":\"off\"}", true},
                 {"{}", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *nat = json_loads(cases[i].json, 0, NULL);
        assert_int_equal(tl_nattext_is_settled(nat), cases[i].settled);
        json_decref(nat);
    }
}

static void the_longest_answer_is_cut_and_harmless(void **state)
{
    (void)state;
    char longest[2000] = "{\"state\":\"known\",\"type\":\"";
    memset(longest + strlen(longest), 'x', 1000);
    strcat(longest, "\",\"public\":\"");
    memset(longest + strlen(longest), 'y', 500);
    strcat(longest, "\"}");
    assert_true(strlen(text_of(status, longest)) < TL_NATTEXT_MAX);
    assert_true(strlen(text_of(step, longest)) < TL_NATTEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_known_is_one_line),
        cmocka_unit_test(a_public_address_is_no_nat),
        cmocka_unit_test(blocked_udp_is_said_with_the_remedy),
        cmocka_unit_test(servers_without_an_answer_are_no_blocked_udp_while_no_relay_shows_it),
        cmocka_unit_test(what_is_not_known_yet_is_not_invented),
        cmocka_unit_test(only_the_first_round_is_worth_waiting_for),
        cmocka_unit_test(the_longest_answer_is_cut_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
