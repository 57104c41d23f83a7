/* bench_tls serve ADDRESS PORT aes|chacha
 * bench_tls send ADDRESS PORT aes|chacha SECONDS
 *
 * One stream of TCP with TLS 1.3, by OpenSSL: what a user would have without Teale. Both ends print
 * one line of JSON: the bytes, the seconds from the first byte on, and the processor time of these. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_tls: %s\n", what);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        die("no clock");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static SSL_CTX *context(const SSL_METHOD *method, const char *suite)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    const char *name =
        strcmp(suite, "aes") == 0 ? "TLS_AES_128_GCM_SHA256" : "TLS_CHACHA20_POLY1305_SHA256";
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, name) != 1)
        die("no TLS 1.3");
    return ctx;
}

/* A certificate that nobody checks: authentication is not what is measured. */
static void certify(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *cert = X509_new();
    if (!key || !cert || !X509_gmtime_adj(X509_getm_notBefore(cert), 0) ||
        !X509_gmtime_adj(X509_getm_notAfter(cert), 3600) || X509_set_pubkey(cert, key) != 1 ||
        X509_sign(cert, key, NULL) <= 0 || SSL_CTX_use_certificate(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1)
        die("no certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void report(const char *side, double bytes, double started, double computed)
{
    printf("{\"side\":\"%s\",\"bytes\":%.0f,\"seconds\":%.4f,\"cpu\":%.4f}\n", side, bytes,
           seconds_of(CLOCK_MONOTONIC) - started, seconds_of(CLOCK_PROCESS_CPUTIME_ID) - computed);
}

static void serve(int listener, const char *suite)
{
    SSL_CTX *ctx = context(TLS_server_method(), suite);
    certify(ctx);
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = SSL_new(ctx);
    if (fd < 0 || !ssl || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1)
        die("no handshake");
    static uint8_t buffer[64 * 1024];
    int n = SSL_read(ssl, buffer, sizeof buffer);
    double started = seconds_of(CLOCK_MONOTONIC), bytes = 0;
    double computed = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (; n > 0; n = SSL_read(ssl, buffer, sizeof buffer))
        bytes += n;
    report("server", bytes, started, computed);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(ctx);
}

static void send_for(int fd, const char *suite, double seconds)
{
    SSL_CTX *ctx = context(TLS_client_method(), suite);
    SSL *ssl = SSL_new(ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        die("no handshake");
    static const uint8_t zeros[16 * 1024]; /* one record */
    double started = seconds_of(CLOCK_MONOTONIC), bytes = 0;
    double computed = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    while (seconds_of(CLOCK_MONOTONIC) - started < seconds) {
        int n = SSL_write(ssl, zeros, sizeof zeros);
        if (n <= 0)
            die("the other end is gone");
        bytes += n;
    }
    report("client", bytes, started, computed);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    bool sends = argc == 6 && strcmp(argv[1], "send") == 0;
    if (!sends && (argc != 5 || strcmp(argv[1], "serve") != 0))
        die("usage: bench_tls serve ADDRESS PORT aes|chacha; or send ADDRESS PORT aes|chacha "
            "SECONDS");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || inet_pton(AF_INET, argv[2], &at.sin_addr) != 1)
        die("not an address");
    if (sends) {
        if (connect(fd, (struct sockaddr *)&at, sizeof at))
            die("not connected");
        send_for(fd, argv[4], atof(argv[5]));
    } else {
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
            bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1))
            die("cannot listen");
        serve(fd, argv[4]);
    }
    close(fd);
    return 0;
}
