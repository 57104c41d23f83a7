/* The way the HTTP client takes: through TLS, through a proxy, or past it. */
#include "io/httpclient.h"

#include "asking.h"
#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- TLS --- */

static EVP_PKEY *key;
static X509 *cert;
static char cert_path[] = "/tmp/teale-test-XXXXXX";

/* A self-signed certificate for `san`, written to cert_path. */
static void make_cert(const char *san)
{
    X509_free(cert);
    cert = X509_new();
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    assert_non_null(x);
    X509_add_ext(cert, x, -1);
    X509_EXTENSION_free(x);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *f = fopen(cert_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
}

/* Answers one request inside TLS with the text in `arg`. */
static void say_in_tls(scripted *s, parrot_conn *c)
{
    char request[4096];
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, c->fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof request) > 0) {
        s->requests++;
        SSL_write(ssl, s->arg, (int)strlen(s->arg));
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void https_is_spoken_only_with_whom_the_certificate_names(void **state)
{
    (void)state;
    static const struct {
        const char *san;
        bool trusted;
        tl_err want;
    } cases[] = {
        {"IP:127.0.0.1", true, TL_OK},
        {"IP:127.0.0.1", false, TL_ERR_AUTH},
        {"IP:127.0.0.2", true, TL_ERR_AUTH},
        {"DNS:example.org", true, TL_ERR_AUTH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client k;
        scripted s;
        char url[64];
        got g = {0};
        make_cert(cases[i].san);
        if (cases[i].trusted)
            setenv("SSL_CERT_FILE", cert_path, 1);
        else
            unsetenv("SSL_CERT_FILE");
        scripted_start(&s, 0, say_in_tls, OK_HELLO);
        client_init(&k);
        snprintf(url, sizeof url, "https://127.0.0.1:%u/", s.port);
        start_url(&k, &g, url);
        run(&k);
        if (g.err != cases[i].want)
            fail_msg("case %zu: %s %s", i, tl_err_name(g.err), g.why);
        assert_int_equal(s.requests, g.err == TL_OK);
        tl_buf_clear(&g.body);
        client_clear(&k);
        scripted_stop(&s);
    }
    unsetenv("SSL_CERT_FILE");
}

/* As servers do that hear no HTTP: without a wait for more. */
static void say_400(scripted *s, parrot_conn *c)
{
    (void)s;
    parrot_answer(c, 400, "", "text/plain", "no HTTP");
}

static void https_to_a_server_without_tls_is_unreachable(void **state)
{
    (void)state;
    client k;
    scripted s;
    char url[64];
    got g = {0};
    scripted_start(&s, 0, say_400, NULL);
    client_init(&k);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", s.port);
    start_url(&k, &g, url);
    run(&k);
    assert_int_equal(g.err, TL_ERR_UNREACHABLE);
    client_clear(&k);
    scripted_stop(&s);
}

/* --- proxies --- */

/* Answers with the target of the request line. */
static void say_target(scripted *s, parrot_conn *c)
{
    parrot_request r;
    while (parrot_read(c, &r) == PARROT_REQUEST) {
        s->requests++;
        parrot_answer(c, 200, "", "text/plain", r.path);
        tl_buf_clear(&r.body);
    }
}

static void a_proxy_is_used_for_the_world_and_never_for_this_machine(void **state)
{
    (void)state;
    client k;
    scripted proxy, here;
    char local[64];
    got far = {0}, ip = {0}, name = {0};
    scripted_start(&proxy, 0, say_target, NULL);
    scripted_start(&here, 0, say_arg, OK_HELLO);
    setenv("http_proxy", proxy.url, 1);
    client_init(&k);

    start_url(&k, &far, "http://models.invalid/v1/models"); /* a name only the proxy could know */
    run(&k);
    assert_string_equal(body_text(&far), "http://models.invalid/v1/models");

    start_url(&k, &ip, here.url);
    snprintf(local, sizeof local, "http://localhost:%u/", here.port);
    start_url(&k, &name, local);
    run(&k);
    assert_string_equal(body_text(&ip), "hello");
    assert_string_equal(body_text(&name), "hello");
    assert_int_equal(proxy.requests, 1);

    unsetenv("http_proxy");
    tl_buf_clear(&far.body);
    tl_buf_clear(&ip.body);
    tl_buf_clear(&name.body);
    client_clear(&k);
    scripted_stop(&proxy);
    scripted_stop(&here);
}

static int make_key(void **state)
{
    (void)state;
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    signal(SIGPIPE, SIG_IGN); /* the server's OpenSSL writes to a client that hung up */
    key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    int fd = mkstemp(cert_path);
    if (fd >= 0)
        close(fd);
    return key && fd >= 0 ? 0 : -1;
}

static int drop_key(void **state)
{
    (void)state;
    unlink(cert_path);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(https_is_spoken_only_with_whom_the_certificate_names),
        cmocka_unit_test(https_to_a_server_without_tls_is_unreachable),
        cmocka_unit_test(a_proxy_is_used_for_the_world_and_never_for_this_machine),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
