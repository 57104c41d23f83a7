/* The page at `/`: its policy, and how its files are sent. */
#include "harness.h"

#include "api/page.h"

#include <stdio.h>
#include <stdlib.h>

static void get(harness *h, client *c, const char *target)
{
    char *text;
    assert_true(asprintf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target) > 0);
    exchange(h, c, text);
    free(text);
}

static const char *page_etag(const char *path)
{
    for (const tl_page_file *f = tl_page_files; f->path; f++)
        if (strcmp(f->path, path) == 0)
            return f->etag;
    fail_msg("no file %s", path);
    return NULL;
}

static void the_page_is_served_under_a_strict_policy(void **state)
{
    (void)state;
    static const char *const targets[] = {"/", "/js/first.js", "/css/views/network.css",
                                          "/vendor/marked.js"};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        client c;
        get(&h, &c, targets[i]);
        assert_int_equal(client_status(&c), 200);
        assert_true(client_has(&c, "\r\nContent-Security-Policy: default-src 'none'; "));
        assert_true(client_has(&c, "frame-ancestors 'none'"));
        assert_true(client_has(&c, tl_page_style) && client_has(&c, tl_page_script));
        assert_true(client_has(&c, "require-trusted-types-for 'script'"));
        assert_true(client_has(&c, "\r\nX-Frame-Options: DENY\r\n"));
        assert_true(client_has(&c, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_false(client_has(&c, "unsafe-inline"));
        assert_false(client_has(&c, "Content-Encoding"));
        client_close(&c);
    }
    harness_clear(&h);
}

static void beyond_loopback_no_header_is_sent_that_browsers_warn_of_there(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        bool sent;
    } rows[] = {{"127.0.0.1:0", true}, {"0.0.0.0:0", false}};
    for (size_t i = 0; i < 2; i++) {
        tl_api_config config = harness_config();
        harness h;
        client c;
        assert_int_equal(tl_addr_parse(tl_slice_str(rows[i].listen), &config.listen[0]), TL_OK);
        harness_init(&h, &config);
        get(&h, &c, "/");
        assert_int_equal(client_status(&c), 200);
        assert_int_equal(client_has(&c, "\r\nCross-Origin-Opener-Policy: same-origin\r\n"),
                         rows[i].sent);
        assert_true(client_has(&c, "\r\nCross-Origin-Resource-Policy: same-origin\r\n"));
        client_close(&c);
        harness_clear(&h);
    }
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void nothing_of_the_page_is_inline_but_what_the_policy_names(void **state)
{
    (void)state;
    for (const tl_page_file *f = tl_page_files; f->path; f++) {
        if (strncmp(f->path, "/vendor/", 8) == 0)
            continue;
        harness h;
        client c;
        harness_init(&h, NULL);
        get(&h, &c, f->path);
        assert_int_equal(client_status(&c), 200);
        assert_int_equal(strlen(client_body(&c)), f->n);
        assert_null(strstr(client_body(&c), "style=\""));
        assert_null(strstr(client_body(&c), " onclick=\""));
        assert_null(strstr(client_body(&c), ".innerHTML"));
        bool is_page =
            strcmp(f->path, "/") == 0; /* two texts in it, whose hashes the policy names */
        assert_int_equal(count(client_body(&c), "<style"), is_page ? 1 : 0);
        assert_int_equal(count(client_body(&c), "<script"), is_page ? 2 : 0);
        assert_int_equal(count(client_body(&c), "<script src=\"/js/first.js\""), is_page ? 1 : 0);
        client_close(&c);
        harness_clear(&h);
    }
}

static void a_file_of_the_page_comes_packed_to_whom_takes_that(void **state)
{
    (void)state;
    harness h;
    client c;
    harness_init(&h, NULL);
    exchange(&h, &c, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br, gzip\r\n\r\n");
    assert_int_equal(client_status(&c), 200);
    assert_true(client_has(&c, "\r\nContent-Encoding: gzip\r\n"));
    assert_true(client_has(&c, "\r\nVary: Accept-Encoding\r\n"));
    assert_memory_equal(client_body(&c), "\x1f\x8b", 2);
    client_close(&c);
    harness_clear(&h);
}

static void a_file_that_the_browser_has_is_not_sent_again(void **state)
{
    (void)state;
    static const struct {
        bool same;
        int status;
    } rows[] = {{true, 304}, {false, 200}};
    harness h;
    harness_init(&h, NULL);
    for (size_t i = 0; i < 2; i++) {
        client c;
        char *text;
        assert_true(asprintf(&text,
                             "GET /js/main.js HTTP/1.1\r\nHost: localhost\r\n"
                             "If-None-Match: \"other\", %s\r\n\r\n",
                             rows[i].same ? page_etag("/js/main.js") : "W/\"0123\"") > 0);
        exchange(&h, &c, text);
        assert_int_equal(client_status(&c), rows[i].status);
        assert_int_equal(client_has(&c, "Content-Length"), !rows[i].same);
        assert_true(client_has(&c, "\r\nETag: W/\""));
        free(text);
        client_close(&c);
    }
    harness_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_served_under_a_strict_policy),
        cmocka_unit_test(beyond_loopback_no_header_is_sent_that_browsers_warn_of_there),
        cmocka_unit_test(nothing_of_the_page_is_inline_but_what_the_policy_names),
        cmocka_unit_test(a_file_of_the_page_comes_packed_to_whom_takes_that),
        cmocka_unit_test(a_file_that_the_browser_has_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
