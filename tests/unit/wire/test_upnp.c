#include "wire/upnp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LOCATION "http://192.168.1.1:39405/rootDesc.xml"

/* An answer of miniupnpd 2.3.1. */
static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "CACHE-CONTROL: max-age=120\r\n"
                             "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                             "USN: uuid:7b2d3c1e-5f70-4a6b-9d7e-0c1a2b3c4d5e::"
                             "urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                             "EXT:\r\n"
                             "SERVER: Debian/6.1 UPnP/1.1 MiniUPnPd/2.3.1\r\n"
                             "LOCATION: " LOCATION "\r\n"
                             "OPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n"
                             "\r\n";

static void a_search_names_what_is_searched_for(void **state)
{
    (void)state;
    char text[TL_SSDP_SEARCH_MAX];
    for (unsigned i = 0; i < TL_SSDP_TARGETS; i++) {
        size_t n = tl_ssdp_search_write(text, i);
        assert_int_equal(n, strlen(text));
        assert_memory_equal(text, "M-SEARCH * HTTP/1.1\r\n", 21);
        assert_non_null(strstr(text, i ? "service:WANIPConnection:1\r\n"
                                       : "device:InternetGatewayDevice:1\r\n"));
        assert_string_equal(text + n - 4, "\r\n\r\n");
    }
}

static tl_err location_of(const char *text, size_t n, char ret_location[TL_UPNP_URL_MAX])
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    tl_err e = tl_ssdp_answer_parse(tl_slice_of(copy, n), ret_location);
    free(copy);
    return e;
}

static void the_location_of_an_answer_is_found(void **state)
{
    (void)state;
    char location[TL_UPNP_URL_MAX] = "";
    assert_int_equal(location_of(answer, sizeof answer - 1, location), TL_OK);
    assert_string_equal(location, LOCATION);
    static const char sloppy[] = "HTTP/1.0 200 OK\nlocation:http://10.0.0.1/d.xml"; /* cut short */
    assert_int_equal(location_of(sloppy, sizeof sloppy - 1, location), TL_OK);
    assert_string_equal(location, "http://10.0.0.1/d.xml");
}

static void an_answer_without_a_usable_location_is_refused(void **state)
{
    (void)state;
    char location[TL_UPNP_URL_MAX] = "as it was", text[1024];
    static const char *const locations[] = {
        "https://10.0.0.1/",    "ftp://10.0.0.1/",    "http://",       "http://10.0.0.1/a b",
        "http://10.0.0.1/\x01", "http://10.0.0.1/\"", "/rootDesc.xml", ""};
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++) {
        int n =
            snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nLOCATION: %s\r\n\r\n", locations[i]);
        assert_int_equal(location_of(text, (size_t)n, location), TL_ERR_PROTO);
    }
    static const char *const heads[] = {"HTTP/1.1 404 Not Found", "NOTIFY * HTTP/1.1", "HTTP/2 200",
                                        "HTTP/1.1 2001"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        int n = snprintf(text, sizeof text, "%s\r\nLOCATION: http://10.0.0.1/\r\n\r\n", heads[i]);
        assert_int_equal(location_of(text, (size_t)n, location), TL_ERR_PROTO);
    }
    int n =
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nLOCATION: http://10.0.0.1/%0300d\r\n", 1);
    assert_int_equal(location_of(text, (size_t)n, location), TL_ERR_TOO_LARGE);
    assert_string_equal(location, "as it was");
}

static void an_answer_cut_anywhere_gives_its_location_or_an_error(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof answer - 1; n++) {
        char location[TL_UPNP_URL_MAX];
        if (location_of(answer, n, location) == TL_OK)
            assert_memory_equal(location, LOCATION, strlen(location));
    }
}

static void a_url_is_at_an_address_only_with_that_literal_host(void **state)
{
    (void)state;
    tl_addr ip = {.family = TL_ADDR_V4, .port = 5351, .bytes = {192, 168, 1, 1}};
    assert_true(tl_upnp_url_is_at(LOCATION, &ip));
    assert_true(tl_upnp_url_is_at("HTTP://192.168.1.1", &ip));
    assert_true(tl_upnp_url_is_at("http://192.168.1.1?x", &ip));
    static const char *const others[] = {
        "http://192.168.1.2/",       "http://127.0.0.1:11435/", "http://192.168.1.1@10.0.0.1/",
        "http://user@192.168.1.1/",  "http://fritz.box/",       "http://192.168.1.1:0/",
        "http://192.168.1.1:99999/", "https://192.168.1.1/",    "http://192.168.1.1.evil.example/",
        "http://3232235777/",        "http://192.168.001.1/",   "http:///",
        "http://192.168.1.1\\@x/",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(tl_upnp_url_is_at(others[i], &ip));
}

/* --- descriptions --- */

static char *whole_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = malloc(TL_UPNP_BODY_MAX);
    assert_non_null(text);
    *ret_n = fread(text, 1, TL_UPNP_BODY_MAX, f);
    fclose(f);
    return text;
}

/* The parser below is compiled without the sanitizer: a page that must not be touched stands in. */
static void no_cut_of_a_description_is_read_beyond_its_end(void **state)
{
    (void)state;
    size_t n, services_n, page = (size_t)sysconf(_SC_PAGESIZE);
    char *xml = whole_file(TL_TEST_DATA "/igd/miniupnpd-2.3.1.xml", &n);
    char *room = mmap(NULL, TL_UPNP_BODY_MAX + page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(room, MAP_FAILED);
    char *end = room + TL_UPNP_BODY_MAX;
    assert_int_equal(mprotect(end, page, PROT_NONE), 0);
    for (size_t k = 0; k <= n; k++) {
        tl_upnp_service s[TL_UPNP_SERVICES_MAX];
        tl_upnp_answer a;
        memcpy(end - k, xml, k);
        tl_err e = tl_upnp_description_parse(tl_slice_of(end - k, k), LOCATION, s, &services_n);
        assert_true(e == TL_OK || e == TL_ERR_NOT_FOUND);
        assert_int_equal(tl_upnp_answer_parse(tl_slice_of(end - k, k), &a), TL_OK);
    }
    munmap(room, TL_UPNP_BODY_MAX + page);
    free(xml);
}

static void the_service_is_found_in_a_real_description(void **state)
{
    (void)state;
    size_t n, services_n = 0;
    char *xml = whole_file(TL_TEST_DATA "/igd/miniupnpd-2.3.1.xml", &n);
    tl_upnp_service s[TL_UPNP_SERVICES_MAX];
    assert_int_equal(tl_upnp_description_parse(tl_slice_of(xml, n), LOCATION, s, &services_n),
                     TL_OK);
    assert_int_equal(services_n, 1);
    assert_string_equal(s[0].control_url, "http://192.168.1.1:39405/ctl/IPConn");
    assert_string_equal(s[0].type, "urn:schemas-upnp-org:service:WANIPConnection:2");
    for (size_t k = 0; k < n; k++) { /* from exact allocations */
        char *cut = malloc(k ? k : 1);
        assert_non_null(cut);
        memcpy(cut, xml, k);
        if (tl_upnp_description_parse(tl_slice_of(cut, k), LOCATION, s, &services_n) == TL_OK)
            assert_memory_equal(s[0].control_url, "http://192.168.1.1:39405/", 25);
        free(cut);
    }
    free(xml);
}

#define SERVICE(type, url)                                                                         \
    "<service><serviceType>" type "</serviceType><controlURL>" url "</controlURL></service>"
#define IP  "urn:schemas-upnp-org:service:WANIPConnection:"
#define PPP "urn:schemas-upnp-org:service:WANPPPConnection:"

static tl_err describe(const char *services, tl_upnp_service s[TL_UPNP_SERVICES_MAX], size_t *n)
{
    char xml[2048];
    int len = snprintf(xml, sizeof xml,
                       "<?xml version=\"1.0\"?><root><device><serviceList>%s</serviceList></device>"
                       "</root>",
                       services);
    return tl_upnp_description_parse(tl_slice_of(xml, (size_t)len), LOCATION, s, n);
}

static void both_services_are_found_and_only_known_types(void **state)
{
    (void)state;
    tl_upnp_service s[TL_UPNP_SERVICES_MAX];
    size_t n = 0;
    assert_int_equal(describe(SERVICE(PPP "1", "/ppp") SERVICE(IP "1", "/ip"), s, &n), TL_OK);
    assert_int_equal(n, 2);
    assert_int_equal(describe(SERVICE(IP "1", "http://192.168.1.9/x"), s, &n), TL_OK);
    assert_string_equal(s[0].control_url, "http://192.168.1.9/x"); /* whose it is, igd judges */
    static const char *const wrong[] = {
        "",
        SERVICE("urn:schemas-upnp-org:service:Layer3Forwarding:1", "/x"),
        SERVICE(IP, "/x"),
        SERVICE(IP "1\"", "/x"),
        SERVICE(IP "1#", "/x"),
        SERVICE(IP "1", ""),
        SERVICE(IP "1", "/a b"),
        SERVICE(IP "1", "/\r\nX-Injected: 1"),
        "<controlURL>/x</controlURL>",
        "no XML at all",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(describe(wrong[i], s, &n), TL_ERR_NOT_FOUND);
}

static void a_description_larger_than_any_is_refused(void **state)
{
    (void)state;
    uint8_t *xml = calloc(1, TL_UPNP_BODY_MAX + 1);
    tl_upnp_service s[TL_UPNP_SERVICES_MAX];
    size_t n = 0;
    assert_non_null(xml);
    assert_int_equal(
        tl_upnp_description_parse(tl_slice_of(xml, TL_UPNP_BODY_MAX + 1), LOCATION, s, &n),
        TL_ERR_TOO_LARGE);
    assert_int_equal(tl_upnp_description_parse(tl_slice_of(xml, TL_UPNP_BODY_MAX), LOCATION, s, &n),
                     TL_ERR_NOT_FOUND);
    free(xml);
}

/* --- SOAP --- */

static void a_call_holds_its_arguments_in_order(void **state)
{
    (void)state;
    const tl_upnp_argument arguments[] = {{"NewRemoteHost", ""}, {"NewExternalPort", "80"}};
    tl_buf body = {0};
    assert_int_equal(tl_upnp_call_write(&body, "urn:t:1", "DoIt", arguments, 2), TL_OK);
    assert_int_equal(tl_buf_append(&body, TL_SLICE_LIT("\0")), TL_OK);
    const char *text = (const char *)tl_buf_begin(&body);
    assert_non_null(strstr(text, "<s:Body><u:DoIt xmlns:u=\"urn:t:1\">"
                                 "<NewRemoteHost></NewRemoteHost>"
                                 "<NewExternalPort>80</NewExternalPort>"
                                 "</u:DoIt></s:Body>"));
    tl_buf_clear(&body);
}

#define SOAP(body)                                                                                 \
    "<?xml version=\"1.0\"?>\n"                                                                    \
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "                           \
    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>" body                  \
    "</s:Body></s:Envelope>\r\n"

static tl_upnp_answer answer_of(const char *xml)
{
    tl_upnp_answer a;
    assert_int_equal(tl_upnp_answer_parse(tl_slice_str(xml), &a), TL_OK);
    return a;
}

/* Answers of miniupnpd 2.3.1. */
static void answers_of_a_gateway_are_read(void **state)
{
    (void)state;
    tl_upnp_answer a = answer_of(SOAP("<u:GetExternalIPAddressResponse xmlns:u=\"" IP
                                      "1\"><NewExternalIPAddress>45.13.1.2"
                                      "</NewExternalIPAddress></u:GetExternalIPAddressResponse>"));
    assert_int_equal(a.error, 0);
    assert_memory_equal(a.external_ip.bytes, "\x2d\x0d\x01\x02", 4);

    a = answer_of(SOAP("<u:GetSpecificPortMappingEntryResponse xmlns:u=\"" IP "1\">"
                       "<NewInternalPort>6000</NewInternalPort><NewInternalClient>192.168.1.2"
                       "</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>x"
                       "</NewPortMappingDescription><NewLeaseDuration>600</NewLeaseDuration>"
                       "</u:GetSpecificPortMappingEntryResponse>"));
    assert_int_equal(a.internal_port, 6000);
    assert_memory_equal(a.internal_client.bytes, "\xc0\xa8\x01\x02", 4);
    assert_int_equal(a.external_ip.family, TL_ADDR_NONE);

    a = answer_of(
        SOAP("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError"
             "</faultstring><detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\">"
             "<errorCode>718</errorCode><errorDescription>ConflictInMappingEntry"
             "</errorDescription></UPnPError></detail></s:Fault>"));
    assert_int_equal(a.error, TL_UPNP_CONFLICT);
}

static void what_is_out_of_range_is_as_if_missing(void **state)
{
    (void)state;
    tl_upnp_answer a = answer_of("<NewInternalPort>65536</NewInternalPort><errorCode>-718"
                                 "</errorCode><NewExternalIPAddress>1.2.3.256"
                                 "</NewExternalIPAddress><NewInternalClient>::1"
                                 "</NewInternalClient>");
    assert_int_equal(a.internal_port, 0);
    assert_int_equal(a.error, 0);
    assert_int_equal(a.external_ip.family, TL_ADDR_NONE);
    assert_int_equal(a.internal_client.family, TL_ADDR_NONE);
    a = answer_of("<NewInternalPort>65535</NewInternalPort><errorCode>718</errorCode>"
                  "<NewExternalIPAddress>1.2.3.255</NewExternalIPAddress>"
                  "<NewInternalClient>10.0.0.1</NewInternalClient>");
    assert_int_equal(a.internal_port, 65535);
    assert_int_equal(a.error, 718);
    assert_int_equal(a.external_ip.family, TL_ADDR_V4);
    assert_int_equal(a.internal_client.family, TL_ADDR_V4);
    a = answer_of("");
    assert_int_equal(a.error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_names_what_is_searched_for),
        cmocka_unit_test(the_location_of_an_answer_is_found),
        cmocka_unit_test(an_answer_without_a_usable_location_is_refused),
        cmocka_unit_test(an_answer_cut_anywhere_gives_its_location_or_an_error),
        cmocka_unit_test(a_url_is_at_an_address_only_with_that_literal_host),
        cmocka_unit_test(no_cut_of_a_description_is_read_beyond_its_end),
        cmocka_unit_test(the_service_is_found_in_a_real_description),
        cmocka_unit_test(both_services_are_found_and_only_known_types),
        cmocka_unit_test(a_description_larger_than_any_is_refused),
        cmocka_unit_test(a_call_holds_its_arguments_in_order),
        cmocka_unit_test(answers_of_a_gateway_are_read),
        cmocka_unit_test(what_is_out_of_range_is_as_if_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
