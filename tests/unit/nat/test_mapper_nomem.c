/* Memory that runs out in the middle of a conversation is a search in vain: nothing worse. */
#include "../support/failalloc.h"
#include "fake_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static tl_err map_by_upnp(void *user)
{
    (void)user;
    fake_gateway g;
    fake_init(&g);
    g.upnp = g.unreachable = true;
    fake_start(&g, TL_SEC);
    bool mapped = g.m.report.state == TL_MAPPER_MAPPED;
    if (!mapped)
        assert_int_equal(g.m.report.state, TL_MAPPER_FAILED);
    tl_mapper_stop(&g.m, g.now);
    fake_run(&g, 2 * TL_SEC);
    assert_int_equal(g.m.report.state, TL_MAPPER_IDLE);
    if (failalloc_failed())
        mapped = false; /* it may have failed in taking the mapping back */
    fake_clear(&g);
    return mapped ? TL_OK : TL_ERR_NOMEM;
}

static void a_search_without_memory_fails_and_leaves_nothing(void **state)
{
    (void)state;
    assert_true(failalloc_sweep(map_by_upnp, NULL) > 8);
}

static tl_err read_a_description(void *user)
{
    static const char xml[] =
        "<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
        "<controlURL>/c</controlURL></service></root>";
    tl_upnp_service s[TL_UPNP_SERVICES_MAX];
    tl_upnp_answer a;
    size_t n = 77;
    (void)user;
    tl_err e = tl_upnp_description_parse(TL_SLICE_LIT(xml), "http://10.0.0.1/d", s, &n);
    assert_int_equal(n, e ? 77 : 1);
    return e ? e : tl_upnp_answer_parse(TL_SLICE_LIT(xml), &a);
}

static void a_description_without_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(failalloc_sweep(read_a_description, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_without_memory_fails_and_leaves_nothing),
        cmocka_unit_test(a_description_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
