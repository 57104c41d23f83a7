#include "wire/wsurl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void good(const char *text, const char *authority, const char *path, bool loopback)
{
    tl_wsurl u;
    assert_int_equal(tl_wsurl_parse(text, &u, NULL), TL_OK);
    assert_string_equal(u.authority, authority);
    assert_string_equal(u.path, path);
    assert_int_equal(u.loopback, loopback);
}

static void bad(const char *text)
{
    tl_wsurl u;
    tl_why why;
    assert_int_equal(tl_wsurl_parse(text, &u, &why), TL_ERR_INVALID);
    assert_true(strlen(why.text) > 0);
}

static void the_authority_is_lower_case_without_the_default_port(void **state)
{
    (void)state;
    good("wss://Relay.Teale.COM/ws", "relay.teale.com", "/ws", false);
    good("wss://relay.teale.com:443/ws", "relay.teale.com", "/ws", false);
    good("ws://relay.teale.com:443/ws", "relay.teale.com:443", "/ws", false);
    good("WS://127.0.0.1:8080", "127.0.0.1:8080", "/", true);
    good("ws://127.0.0.1:80/ws?x=1", "127.0.0.1", "/ws?x=1", true);
    good("ws://[::1]:8080/ws", "[::1]:8080", "/ws", true);
    good("wss://[2001:db8::1]/ws", "[2001:db8::1]", "/ws", false);
    good("ws://localhost/ws", "localhost", "/ws", true);
}

static void what_is_not_a_websockets_address_is_refused_with_a_reason(void **state)
{
    (void)state;
    bad("");
    bad("http://relay/ws");
    bad("wss://");
    bad("wss:///ws");
    bad("wss://relay:0/ws");
    bad("wss://relay:65536/ws");
    bad("wss://user@relay/ws");
    bad("wss://relay/w s");
    bad("wss://relay/ws\r\nX: y");
    bad("wss://relay/ws#part");
    bad("wss://relay?ws");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_authority_is_lower_case_without_the_default_port),
        cmocka_unit_test(what_is_not_a_websockets_address_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
