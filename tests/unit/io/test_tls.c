#include "io/stream.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- certificates made here; the test chooses what is wrong with each --- */

typedef struct {
    const char *name;     /* DIR/NAME.pem and DIR/NAME.key are written */
    const char *san;      /* "DNS:localhost", "IP:127.0.0.1" */
    long from_s, until_s; /* validity, seconds from now */
    bool by_our_ca;       /* else self-signed */
} cert_wish;

static char dir[64];
static X509 *ca;
static EVP_PKEY *ca_key;

static const char *file(const char *name, const char *suffix)
{
    static char path[4][160];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s.%s", dir, name, suffix);
    return p;
}

static void extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(x);
    X509_add_ext(cert, x, -1);
    X509_EXTENSION_free(x);
}

static X509 *cert_new(const cert_wish *w, EVP_PKEY *key, bool is_ca)
{
    static long serial = 1;
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), w->from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), w->until_s);
    X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)w->name, -1, -1,
                               0);
    X509_set_issuer_name(cert, w->by_our_ca ? X509_get_subject_name(ca) : subject);
    extend(cert, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (w->san)
        extend(cert, NID_subject_alt_name, w->san);
    assert_true(X509_sign(cert, w->by_our_ca ? ca_key : key, EVP_sha256()) > 0);
    return cert;
}

static void write_files(const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(file(name, "pem"), "w");
    assert_non_null(f);
    PEM_write_X509(f, cert);
    fclose(f);
    f = fopen(file(name, "key"), "w");
    assert_non_null(f);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static void make_cert(const cert_wish *w)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = cert_new(w, key, false);
    write_files(w->name, cert, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

#define DAY 86400L

static int make_certs(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/teale-test-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    ca_key = EVP_EC_gen("P-256");
    ca = cert_new(&(cert_wish){.name = "ca", .from_s = -DAY, .until_s = DAY}, ca_key, true);
    write_files("ca", ca, ca_key);
    make_cert(&(cert_wish){"good", "IP:127.0.0.1,DNS:localhost", -DAY, DAY, true});
    make_cert(&(cert_wish){"other", "DNS:relay.example,IP:192.0.2.1", -DAY, DAY, true});
    make_cert(&(cert_wish){"old", "IP:127.0.0.1,DNS:localhost", -2 * DAY, -DAY, true});
    make_cert(&(cert_wish){"early", "IP:127.0.0.1,DNS:localhost", DAY, 2 * DAY, true});
    make_cert(&(cert_wish){"self", "IP:127.0.0.1,DNS:localhost", -DAY, DAY, false});
    return 0;
}

static int remove_certs(void **state)
{
    (void)state;
    static const char *const names[] = {"ca", "good", "other", "old", "early", "self"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(file(names[i], "pem"));
        unlink(file(names[i], "key"));
    }
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    return rmdir(dir);
}

/* --- two ends --- */

typedef struct {
    tl_stream *stream;
    bool opened;
    tl_err error, end;
    char why[512];
    size_t total, read_max;
    uint8_t first;
    bool in_order;
} side;

static tl_loop *loop;
static tl_listener *listener;
static tl_tls *server_tls, *client_tls;
static side client, server;
static tl_timer guard, poll_timer;

static void timed_out(void *user)
{
    (void)user;
    fail_msg("nothing happened for 5 s");
}

static void on_open(void *user)
{
    ((side *)user)->opened = true;
}

static uint8_t expected_byte(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 13));
}

static void on_readable(void *user)
{
    side *s = user;
    static uint8_t buf[65536];
    size_t n = 0;
    tl_err e = tl_stream_read(s->stream, buf, s->read_max ? s->read_max : sizeof buf, &n);
    if (e == TL_ERR_AGAIN)
        return;
    if (e) {
        s->end = e;
        return;
    }
    for (size_t i = 0; i < n; i++)
        s->in_order &= buf[i] == expected_byte(s->total + i);
    s->total += n;
}

static void on_error(void *user, tl_err e, const char *why)
{
    side *s = user;
    s->error = e;
    snprintf(s->why, sizeof s->why, "%s", why);
}

static const tl_stream_events events = {
    .on_open = on_open, .on_readable = on_readable, .on_error = on_error};

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    (void)user, (void)remote;
    assert_int_equal(tl_stream_accepted(loop, fd, server_tls, &events, &server, &server.stream),
                     TL_OK);
}

static int setup(void **state)
{
    (void)state;
    client = server = (side){.in_order = true};
    server_tls = client_tls = NULL;
    if (tl_loop_new(&loop))
        return -1;
    tl_timer_init(&guard, loop, timed_out, NULL);
    tl_timer_set(&guard, tl_loop_now(loop) + 5 * TL_SEC);
    tl_addr a;
    tl_why why;
    assert_int_equal(tl_addr_parse_ip(TL_SLICE_LIT("127.0.0.1"), &a), TL_OK);
    return tl_listen(loop, &a, 16, on_accept, NULL, &listener, &why);
}

static int teardown(void **state)
{
    (void)state;
    tl_stream_free(client.stream);
    tl_stream_free(server.stream);
    tl_listener_free(listener);
    tl_tls_unref(server_tls);
    tl_tls_unref(client_tls);
    tl_timer_stop(&guard);
    tl_loop_free(loop);
    return 0;
}

static bool (*until)(void);

static void check(void *user)
{
    (void)user;
    if (until())
        tl_loop_stop(loop);
    else
        tl_timer_set(&poll_timer, tl_loop_now(loop) + 100 * TL_US);
}

static void run_until(bool (*cond)(void))
{
    until = cond;
    tl_timer_init(&poll_timer, loop, check, NULL);
    tl_timer_set(&poll_timer, tl_loop_now(loop));
    tl_loop_run(loop);
    tl_timer_stop(&poll_timer);
}

static bool decided(void)
{
    return (client.opened && server.opened) || client.error;
}

static void start(const char *cert, const char *ca_name, const char *host)
{
    tl_why why;
    assert_int_equal(tl_tls_server(file(cert, "pem"), file(cert, "key"), &server_tls, &why), TL_OK);
    assert_int_equal(tl_tls_client(ca_name ? file(ca_name, "pem") : NULL, &client_tls, &why),
                     TL_OK);
    assert_int_equal(tl_stream_connect(loop, host, tl_listener_addr(listener).port, client_tls,
                                       &events, &client, &client.stream),
                     TL_OK);
    run_until(decided);
}

static void assert_refused(const char *words, const char *more)
{
    assert_false(client.opened);
    assert_int_equal(client.error, TL_ERR_AUTH);
    if (!strstr(client.why, words) || !strstr(client.why, more))
        fail_msg("said: %s", client.why);
}

static void a_certificate_for_the_ip_dialled_is_accepted(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    assert_string_equal(client.why, "");
    assert_true(client.opened && server.opened);
}

static void a_certificate_for_the_name_dialled_is_accepted(void **state)
{
    (void)state;
    start("good", "ca", "localhost");
    assert_string_equal(client.why, "");
    assert_true(client.opened);
}

static void a_certificate_for_other_names_is_refused_and_they_are_listed(void **state)
{
    (void)state;
    start("other", "ca", "localhost");
    assert_refused("relay.example, 192.0.2.1", "not for localhost");
}

static void a_certificate_for_another_ip_is_refused(void **state)
{
    (void)state;
    start("other", "ca", "127.0.0.1");
    assert_refused("another name", "not for 127.0.0.1");
}

static void a_certificate_of_an_unknown_authority_is_refused_with_the_remedy(void **state)
{
    (void)state;
    start("good", NULL, "127.0.0.1");
    assert_refused("does not trust", "wan_relay_ca_file");
}

static void a_self_signed_certificate_is_refused_with_the_remedy(void **state)
{
    (void)state;
    start("self", "ca", "127.0.0.1");
    assert_refused("self-signed", "SSL_CERT_FILE");
}

static void a_self_signed_certificate_that_is_named_as_ca_is_accepted(void **state)
{
    (void)state;
    start("self", "self", "127.0.0.1");
    assert_string_equal(client.why, "");
    assert_true(client.opened);
}

static void an_expired_certificate_is_refused_with_the_date(void **state)
{
    (void)state;
    start("old", "ca", "127.0.0.1");
    assert_refused("expired on 20", "UTC");
}

static void a_certificate_of_tomorrow_is_refused_with_the_date(void **state)
{
    (void)state;
    start("early", "ca", "127.0.0.1");
    assert_refused("not valid before 20", "clock");
}

static bool server_open_or_client_failed(void)
{
    return server.opened || client.error;
}

static bool client_failed(void)
{
    return client.error != TL_OK;
}

static void what_clients_would_hold_against_a_certificate_is_known_to_its_server(void **state)
{
    (void)state;
    static const struct {
        const char *cert, *host, *why; /* why NULL: nothing */
    } rows[] = {
        {"good", NULL, NULL},
        {"good", "localhost", NULL},
        {"good", "127.0.0.1", NULL},
        {"good", "relay.example", "it is for 127.0.0.1, localhost, not for relay.example"},
        {"good", "127.0.0.2", "not for 127.0.0.2"},
        {"other", "relay.example", NULL},
        {"old", NULL, "it expired on 20"},
        {"old", "localhost", "it expired on 20"},
        {"early", NULL, "it is not valid before 20"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tl_tls *tls;
        tl_why why = {""};
        assert_int_equal(
            tl_tls_server(file(rows[i].cert, "pem"), file(rows[i].cert, "key"), &tls, &why), TL_OK);
        assert_int_equal(tl_tls_examine(tls, rows[i].host, &why),
                         rows[i].why ? TL_ERR_AUTH : TL_OK);
        if (rows[i].why && !strstr(why.text, rows[i].why))
            fail_msg("%s: %s", rows[i].cert, why.text);
        tl_tls_unref(tls);
    }
}

static void a_server_that_speaks_no_tls_is_told_as_such(void **state)
{
    (void)state;
    tl_why why;
    assert_int_equal(tl_tls_client(NULL, &client_tls, &why), TL_OK);
    assert_int_equal(tl_stream_connect(loop, "127.0.0.1", tl_listener_addr(listener).port,
                                       client_tls, &events, &client, &client.stream),
                     TL_OK);
    run_until(server_open_or_client_failed); /* server_tls is NULL: it accepts plainly */
    size_t n;
    struct iovec iov = {(void *)(uintptr_t) "HTTP/1.1 400 Bad Request\r\n\r\n", 28};
    assert_int_equal(tl_stream_writev(server.stream, &iov, 1, &n), TL_OK);
    run_until(client_failed);
    assert_int_equal(client.error, TL_ERR_PROTO);
    assert_non_null(strstr(client.why, "does not speak TLS"));
}

/* --- data --- */

enum { MEGABYTES = 3 << 20 };
static size_t sent;

static void on_writable(void *user)
{
    side *s = user;
    static uint8_t block[40000];
    while (sent < MEGABYTES) {
        size_t len = MEGABYTES - sent < sizeof block ? MEGABYTES - sent : sizeof block, n;
        for (size_t i = 0; i < len; i++)
            block[i] = expected_byte(sent + i);
        struct iovec iov[3] = {
            {block, 1}, {block + 1, len / 2}, {block + 1 + len / 2, len - 1 - len / 2}};
        tl_err e = tl_stream_writev(s->stream, iov, len > 2 ? 3 : 1, &n);
        if (e == TL_ERR_AGAIN)
            return;
        assert_int_equal(e, TL_OK);
        sent += n;
    }
    tl_stream_want_write(s->stream, false);
    tl_stream_shutdown(s->stream);
}

static const tl_stream_events sender_events = {.on_open = on_open,
                                               .on_readable = on_readable,
                                               .on_error = on_error,
                                               .on_writable = on_writable};

static bool server_ended(void)
{
    return server.end || server.error;
}

static void send_all(size_t read_max)
{
    server.read_max = read_max;
    sent = 0;
    tl_stream_set_events(client.stream, &sender_events, &client);
    tl_stream_want_write(client.stream, true);
    run_until(server_ended);
    assert_int_equal(sent, MEGABYTES);
    assert_int_equal(server.total, MEGABYTES);
    assert_true(server.in_order);
    assert_int_equal(server.end, TL_ERR_CLOSED); /* an orderly end, half-closed */
}

static void megabytes_arrive_in_order_and_end_orderly(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    send_all(0);
    /* the other direction is open still */
    size_t n;
    uint8_t b = expected_byte(0);
    assert_int_equal(tl_stream_writev(server.stream, &(struct iovec){&b, 1}, 1, &n), TL_OK);
}

static void a_reader_with_a_small_buffer_misses_nothing_that_tls_has_decrypted(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    send_all(1000);
}

static tl_timer resume;

static void on_resume(void *user)
{
    (void)user;
    tl_stream_want_read(server.stream, true);
}

static void reading_switched_off_and_on_again_misses_nothing(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    tl_stream_want_read(server.stream, false);
    tl_timer_init(&resume, loop, on_resume, NULL);
    tl_timer_set(&resume, tl_loop_now(loop) + 3 * TL_MS);
    send_all(777);
}

static bool client_ended(void)
{
    return client.end || client.error;
}

static void a_connection_cut_without_tls_end_is_no_orderly_end(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    shutdown(tl_stream_fd(server.stream), SHUT_RDWR); /* as an attacker on the way would */
    run_until(client_ended);
    assert_int_equal(client.end, TL_ERR_IO);
}

static void a_stream_freed_ends_orderly_for_its_peer(void **state)
{
    (void)state;
    start("good", "ca", "127.0.0.1");
    tl_stream_free(server.stream);
    server.stream = NULL;
    run_until(client_ended);
    assert_int_equal(client.end, TL_ERR_CLOSED);
}

/* --- files --- */

static void assert_no_server(const char *cert, const char *key, tl_err expected, const char *words)
{
    tl_why why = {""};
    tl_tls *tls = NULL;
    assert_int_equal(tl_tls_server(cert, key, &tls, &why), expected);
    assert_null(tls);
    if (!strstr(why.text, words))
        fail_msg("said: %s", why.text);
}

static void bad_certificate_files_are_told_apart(void **state)
{
    (void)state;
    assert_no_server(file("none", "pem"), file("good", "key"), TL_ERR_IO,
                     "cannot read the certificate");
    assert_no_server(file("good", "pem"), file("none", "key"), TL_ERR_IO,
                     "cannot read the private key");
    assert_no_server(file("good", "key"), file("good", "key"), TL_ERR_INVALID,
                     "not a usable certificate");
    assert_no_server(file("good", "pem"), file("good", "pem"), TL_ERR_INVALID,
                     "not a usable private key");
    assert_no_server(file("good", "pem"), file("other", "key"), TL_ERR_INVALID, "does not belong");
    tl_why why;
    /* A pipe that nobody writes to: the program would wait in it for ever. */
    const char *pipe = file("a", "fifo");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_no_server(pipe, file("good", "key"), TL_ERR_IO, "not a plain file");
    assert_no_server(file("good", "pem"), pipe, TL_ERR_IO, "not a plain file");
    assert_int_equal(tl_tls_client(pipe, &client_tls, &why), TL_ERR_IO);
    unlink(pipe);
    assert_int_equal(tl_tls_server(file("good", "pem"), file("good", "key"), &server_tls, &why),
                     TL_OK);
    assert_int_equal(tl_tls_client(file("none", "pem"), &client_tls, &why), TL_ERR_IO);
    assert_int_equal(tl_tls_client(file("good", "key"), &client_tls, &why), TL_ERR_INVALID);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_certificate_for_the_ip_dialled_is_accepted),
        T(a_certificate_for_the_name_dialled_is_accepted),
        T(a_certificate_for_other_names_is_refused_and_they_are_listed),
        T(a_certificate_for_another_ip_is_refused),
        T(a_certificate_of_an_unknown_authority_is_refused_with_the_remedy),
        T(a_self_signed_certificate_is_refused_with_the_remedy),
        T(a_self_signed_certificate_that_is_named_as_ca_is_accepted),
        T(an_expired_certificate_is_refused_with_the_date),
        T(a_certificate_of_tomorrow_is_refused_with_the_date),
        T(what_clients_would_hold_against_a_certificate_is_known_to_its_server),
        T(a_server_that_speaks_no_tls_is_told_as_such),
        T(megabytes_arrive_in_order_and_end_orderly),
        T(a_reader_with_a_small_buffer_misses_nothing_that_tls_has_decrypted),
        T(reading_switched_off_and_on_again_misses_nothing),
        T(a_connection_cut_without_tls_end_is_no_orderly_end),
        T(a_stream_freed_ends_orderly_for_its_peer),
        T(bad_certificate_files_are_told_apart),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
