/* What is particular to UPnP. */
#include "fake_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const tl_mapper_report *report(const fake_gateway *g)
{
    return &g->m.report;
}

/* A gateway with UPnP alone, which says at once that nothing else is there. */
static void init_upnp(fake_gateway *g)
{
    fake_init(g);
    g->upnp = g->unreachable = true;
}

static void a_port_that_is_another_hosts_is_left_to_it(void **state)
{
    (void)state;
    fake_gateway g;
    init_upnp(&g);
    g.others_port = 41820;
    fake_start(&g, 0);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_not_equal(report(&g)->external.port, 41820);
    assert_true(report(&g)->external.port >= 1024);
    assert_int_equal(g.mapping.internal, 41820);
    fake_clear(&g);
}

static void a_conflict_has_another_port_tried(void **state)
{
    (void)state;
    fake_gateway g;
    init_upnp(&g);
    g.upnp_error = TL_UPNP_CONFLICT; /* for 41820 */
    fake_start(&g, 0);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_not_equal(report(&g)->external.port, 41820);
    assert_int_equal(report(&g)->external.port, g.mapping.external);
    fake_clear(&g);
}

static void a_gateway_that_knows_only_permanent_mappings_gives_one(void **state)
{
    (void)state;
    fake_gateway g;
    init_upnp(&g);
    g.upnp_error = TL_UPNP_PERMANENT_ONLY;
    fake_start(&g, 0);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_equal(report(&g)->lifetime_s, 0);
    fake_run(&g, 11 * TL_MIN);
    assert_int_equal(report(&g)->renewals, 1);
    tl_mapper_stop(&g.m, g.now);
    fake_carry(&g);
    assert_int_equal(g.mapping.external, 0);
    fake_clear(&g);
}

static void refusals_and_a_missing_address_are_told(void **state)
{
    (void)state;
    static const struct {
        int error;
        const char *reason;
    } cases[] = {
        {606, "the gateway refused: not authorized (UPnP error 606)"},
        {501, "the gateway refused: for a reason of its own (UPnP error 501)"},
        {724, "the gateway refused: it maps a port only to the same port, which is taken (UPnP "
              "error 724)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_gateway g;
        init_upnp(&g);
        g.upnp_error = cases[i].error;
        fake_start(&g, TL_SEC);
        assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
        assert_string_equal(report(&g)->reason, cases[i].reason);
        assert_int_equal(report(&g)->refusals, 1);
        assert_in_range(g.http_asked, 4, 2 + 2 * TL_IGD_TRIES_MAX);
        fake_clear(&g);
    }
    fake_gateway g;
    init_upnp(&g);
    g.upnp_offline = true;
    fake_start(&g, TL_SEC);
    assert_string_equal(report(&g)->reason,
                        "the gateway has no external address: is it connected? (UPnP)");
    fake_clear(&g);
}

static void a_device_elsewhere_is_neither_believed_nor_asked(void **state)
{
    (void)state;
    static const struct {
        uint8_t from;
        const char *location;
        bool ok;
    } cases[] = {
        {1, "http://192.168.1.1:80/d.xml", true},    {9, "http://192.168.1.1:80/d.xml", false},
        {1, "http://192.168.1.9:80/d.xml", false},   {1, "http://127.0.0.1:11435/v1/x", false},
        {1, "http://169.254.169.254/latest", false}, {1, "http://router.example/d.xml", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_gateway g;
        char text[256];
        tl_igd_request r;
        fake_init(&g);
        tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
        tl_mapper_start(&g.m, 41820, g.now);
        tl_addr from = g.ip;
        from.bytes[3] = cases[i].from;
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nLOCATION: %s\r\n\r\n", cases[i].location);
        tl_mapper_on_ssdp(&g.m, &from, tl_slice_str(text), g.now);
        tl_mapper_on_unreachable(&g.m, g.now);
        assert_int_equal(tl_mapper_wants(&g.m, &r), cases[i].ok);
        assert_int_equal(report(&g)->lies, !cases[i].ok);
        fake_clear(&g);
    }
}

static void a_control_url_elsewhere_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://127.0.0.1:11435/v1/chat/completions",
                                       "http://192.168.1.9/ctl", "http://192.168.1.1@10.0.0.1/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        fake_gateway g;
        init_upnp(&g);
        g.control = urls[i];
        fake_start(&g, TL_SEC);
        assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
        assert_int_equal(report(&g)->lies, 1);
        assert_int_equal(g.http_asked, 1); /* the description alone */
        fake_clear(&g);
    }
    fake_gateway g;
    init_upnp(&g);
    g.control = "http://192.168.1.1:5000/ctl";
    fake_start(&g, TL_SEC);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    fake_clear(&g);
}

static void a_device_that_stops_answering_midway_is_given_up_in_time(void **state)
{
    (void)state;
    fake_gateway g;
    tl_igd_request first, r;
    init_upnp(&g);
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    tl_mapper_start(&g.m, 41820, g.now);
    static const char answer[] = "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1/d\r\n\r\n";
    tl_mapper_on_ssdp(&g.m, &g.ip, TL_SLICE_LIT(answer), g.now);
    tl_mapper_on_unreachable(&g.m, g.now);
    assert_true(tl_mapper_wants(&g.m, &first));
    tl_mapper_on_timer(&g.m, g.now + TL_IGD_STEP_NS);
    assert_false(tl_mapper_wants(&g.m, &r));
    assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
    assert_string_equal(report(&g)->reason, "the gateway's UPnP service did not answer");
    tl_mapper_on_answer(&g.m, first.id, 200, TL_SLICE_LIT("<late/>"), g.now);
    assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
    fake_clear(&g);
}

static void a_gone_device_loses_the_mapping_and_its_return_is_found(void **state)
{
    (void)state;
    fake_gateway g;
    init_upnp(&g);
    fake_start(&g, TL_SEC);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    g.upnp = false;
    g.mapping = (fake_mapping){0};
    fake_run(&g, 12 * TL_MIN);
    assert_int_equal(report(&g)->state, TL_MAPPER_FAILED);
    g.upnp = true;
    fake_run(&g, 20 * TL_MIN);
    assert_int_equal(report(&g)->state, TL_MAPPER_MAPPED);
    assert_int_equal(g.mapping.external, 41820);
    fake_clear(&g);
}

static void stopping_while_the_mapping_is_being_added_removes_it(void **state)
{
    (void)state;
    fake_gateway g;
    tl_igd_request r;
    init_upnp(&g);
    tl_mapper_set_network(&g.m, &g.ip, &g.own, g.now);
    tl_mapper_start(&g.m, 41820, g.now);
    static const char answer[] = "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1/d\r\n\r\n";
    static const char *const answers[] = {
        ("<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
         "<controlURL>/c</controlURL></service></root>"),
        "<NewExternalIPAddress>203.0.113.7</NewExternalIPAddress>",
        "<errorCode>714</errorCode>",
    };
    tl_mapper_on_ssdp(&g.m, &g.ip, TL_SLICE_LIT(answer), g.now);
    tl_mapper_on_unreachable(&g.m, g.now);
    for (int i = 0; i < 3; i++) {
        assert_true(tl_mapper_wants(&g.m, &r));
        tl_mapper_on_answer(&g.m, r.id, i < 2 ? 200 : 500, tl_slice_str(answers[i]), g.now);
    }
    assert_true(tl_mapper_wants(&g.m, &r));
    assert_non_null(strstr(r.action, "#AddPortMapping"));
    tl_mapper_stop(&g.m, g.now);
    assert_int_equal(report(&g)->state, TL_MAPPER_STOPPING);
    assert_true(tl_mapper_wants(&g.m, &r));
    assert_non_null(strstr(r.action, "#DeletePortMapping"));
    tl_mapper_on_answer(&g.m, r.id, 200, TL_SLICE_LIT("<ok/>"), g.now);
    assert_int_equal(report(&g)->state, TL_MAPPER_IDLE);
    fake_clear(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_that_is_another_hosts_is_left_to_it),
        cmocka_unit_test(a_conflict_has_another_port_tried),
        cmocka_unit_test(a_gateway_that_knows_only_permanent_mappings_gives_one),
        cmocka_unit_test(refusals_and_a_missing_address_are_told),
        cmocka_unit_test(a_device_elsewhere_is_neither_believed_nor_asked),
        cmocka_unit_test(a_control_url_elsewhere_is_refused),
        cmocka_unit_test(a_device_that_stops_answering_midway_is_given_up_in_time),
        cmocka_unit_test(a_gone_device_loses_the_mapping_and_its_return_is_found),
        cmocka_unit_test(stopping_while_the_mapping_is_being_added_removes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
