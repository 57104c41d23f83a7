#include "io/tls.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX  SSL3_RT_MAX_PLAIN_LENGTH /* 16 KiB, RFC 8446 5.1 */
/* What OpenSSL allocates to read a record into: one of the largest, with what encryption adds. */
#define READ_BUFFER (SSL3_RT_MAX_ENCRYPTED_LENGTH + 512)

struct tl_tls {
    SSL_CTX *ctx;
    BIO_METHOD *method;
    unsigned users;
};

struct tl_tls_session {
    tl_tls *tls;
    SSL *ssl;
    int fd;
    bool eof;        /* the descriptor ended */
    bool read_empty; /* the last read found less than a record */
    tl_buf out;      /* encrypted, not yet taken by the kernel */
    char *host;      /* NULL: we are the server */
    tl_why *why;     /* where the verification writes what is wrong; set during a handshake */
};

/* --- the BIO --- */

static int bio_read(BIO *bio, char *buf, int cap)
{
    tl_tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do
        n = recv(s->fd, buf, (size_t)cap, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        s->eof = true;
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    return (int)n;
}

/* Takes all bytes or fails, so that OpenSSL never asks for the same write again. */
static int bio_write(BIO *bio, const char *buf, int len)
{
    tl_tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = 0;
    if (!s->out.len) {
        do
            n = send(s->fd, buf, (size_t)len, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n < 0)
            n = 0;
    }
    if (n < len && tl_buf_append(&s->out, tl_slice_of(buf + n, (size_t)(len - n))))
        return -1;
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)num, (void)ptr;
    const tl_tls_session *s = BIO_get_data(bio);
    if (cmd == BIO_CTRL_EOF)
        return s->eof;
    return cmd == BIO_CTRL_FLUSH;
}

/* --- contexts --- */

static const char *openssl_reason(void)
{
    const char *r = ERR_reason_error_string(ERR_peek_error());
    return r ? r : "unknown reason";
}

void tl_tls_ref(tl_tls *tls)
{
    tls->users++;
}

void tl_tls_unref(tl_tls *tls)
{
    if (!tls || --tls->users)
        return;
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->method);
    free(tls);
}

static tl_err context_new(const SSL_METHOD *method, tl_tls **ret_tls)
{
    tl_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return TL_ERR_NOMEM;
    tls->users = 1;
    tls->ctx = SSL_CTX_new(method);
    tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "teale");
    if (!tls->ctx || !tls->method) {
        tl_tls_unref(tls);
        return TL_ERR_NOMEM;
    }
    BIO_meth_set_read(tls->method, bio_read);
    BIO_meth_set_write(tls->method, bio_write);
    BIO_meth_set_ctrl(tls->method, bio_ctrl);
    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    /* Renegotiation would make a write wait for a read, so it is off. Partial writes and moving
     * buffers do not occur (bio_write). Released buffers keep an idle connection small. */
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls->ctx, 1); /* one recv for each record, not two */
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    *ret_tls = tls;
    return TL_OK;
}

/* Without this, OpenSSL would ask on the terminal for the passphrase of an encrypted key. */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
    (void)buf, (void)size, (void)rwflag, (void)user;
    return 0;
}

/* Refuses a file that is not a plain one: OpenSSL would wait for ever on a pipe, and nothing else
 * would be served. */
static tl_err check_readable(const char *what, const char *file, tl_why *why)
{
    struct stat st;
    tl_err e = TL_OK;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st))
        e = tl_why_set(why, TL_ERR_IO, "cannot read the %s %s: %s", what, file, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        e = tl_why_set(why, TL_ERR_IO, "the %s %s is not a plain file", what, file);
    if (fd >= 0)
        close(fd);
    return e;
}

static tl_err load_server_files(SSL_CTX *ctx, const char *cert_file, const char *key_file,
                                tl_why *why)
{
    tl_err e = check_readable("certificate", cert_file, why);
    if (!e)
        e = check_readable("private key", key_file, why);
    if (e)
        return e;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return tl_why_set(why, TL_ERR_INVALID,
                          "%s is not a usable certificate (%s); it must be PEM, the server's own "
                          "certificate first, then its issuers",
                          cert_file, openssl_reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1)
        return TL_OK;
    if (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH)
        return tl_why_set(why, TL_ERR_INVALID,
                          "the private key %s does not belong to the certificate %s", key_file,
                          cert_file);
    return tl_why_set(why, TL_ERR_INVALID,
                      "%s is not a usable private key (%s); it must be PEM, without a passphrase",
                      key_file, openssl_reason());
}

tl_err tl_tls_server(const char *cert_file, const char *key_file, tl_tls **ret_tls, tl_why *why)
{
    tl_tls *tls;
    tl_err e = context_new(TLS_server_method(), &tls);
    if (e)
        return tl_why_set(why, e, "out of memory");
    SSL_CTX_set_num_tickets(tls->ctx, 0); /* no client resumes: a session lasts for days */
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_default_passwd_cb(tls->ctx, no_passphrase);
    e = load_server_files(tls->ctx, cert_file, key_file, why);
    ERR_clear_error();
    if (e) {
        tl_tls_unref(tls);
        return e;
    }
    *ret_tls = tls;
    return TL_OK;
}

tl_err tl_tls_client(const char *ca_file, tl_tls **ret_tls, tl_why *why)
{
    tl_tls *tls;
    tl_err e = context_new(TLS_client_method(), &tls);
    if (e)
        return tl_why_set(why, e, "out of memory");
    SSL_CTX_set_default_verify_paths(tls->ctx);
    if (ca_file) {
        e = check_readable("CA file", ca_file, why);
        ERR_clear_error();
        if (!e && SSL_CTX_load_verify_file(tls->ctx, ca_file) != 1)
            e = tl_why_set(why, TL_ERR_INVALID, "the CA file %s holds no usable certificate (%s)",
                           ca_file, openssl_reason());
    }
    ERR_clear_error();
    if (e) {
        tl_tls_unref(tls);
        return e;
    }
    *ret_tls = tls;
    return TL_OK;
}

/* --- verification, in words --- */

static void write_date(char *ret, size_t cap, const ASN1_TIME *t)
{
    struct tm tm;
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1 || !strftime(ret, cap, "%Y-%m-%d %H:%M UTC", &tm))
        snprintf(ret, cap, "an unreadable date");
}

static void write_ip(char ret[TL_ADDR_TEXT_MAX], const uint8_t *p, size_t len)
{
    tl_addr a = {.family = len == 4 ? TL_ADDR_V4 : TL_ADDR_V6};
    memcpy(a.bytes, p, len);
    tl_addr_write_ip(ret, &a);
}

/* Writes the DNS names and IP addresses of a certificate, as many as fit. */
static void write_names(char *ret, size_t cap, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t n = 0;
    ret[0] = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && n < cap; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *v = g->type == GEN_DNS ? g->d.dNSName : g->d.iPAddress;
        if (g->type != GEN_DNS && g->type != GEN_IPADD)
            continue;
        const uint8_t *p = ASN1_STRING_get0_data(v);
        size_t len = (size_t)ASN1_STRING_length(v);
        tl_safe text = {""};
        if (g->type == GEN_DNS)
            text = tl_log_safe(tl_slice_of(p, len));
        else if (len == 4 || len == 16)
            write_ip(text.text, p, len);
        n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", text.text);
    }
    GENERAL_NAMES_free(names);
    if (!n)
        snprintf(ret, cap, "no name at all");
}

static void explain_verification(const char *host, int error, X509 *cert, tl_why *why)
{
    char detail[200];
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        write_date(detail, sizeof detail, X509_get0_notAfter(cert));
        tl_why_set(
            why, TL_ERR_AUTH,
            "the certificate of %s expired on %s; its owner must renew it, or this machine's "
            "clock is wrong",
            host, detail);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        write_date(detail, sizeof detail, X509_get0_notBefore(cert));
        tl_why_set(why, TL_ERR_AUTH,
                   "the certificate of %s is not valid before %s; is this machine's clock right?",
                   host, detail);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        write_names(detail, sizeof detail, cert);
        tl_why_set(why, TL_ERR_AUTH,
                   "the certificate is for another name: it is for %s, not for %s; use one of its "
                   "names in the address",
                   detail, host);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        tl_why_set(why, TL_ERR_AUTH,
                   "the certificate of %s is %s; if it is the right one, name its CA file in "
                   "wan_relay_ca_file or SSL_CERT_FILE",
                   host,
                   error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
                       ? "self-signed"
                       : "signed by an authority that this machine does not trust");
        break;
    default:
        tl_why_set(why, TL_ERR_AUTH, "the certificate of %s does not verify: %s", host,
                   X509_verify_cert_error_string(error));
    }
}

static bool is_for(X509 *cert, const char *host)
{
    tl_addr ip;
    if (tl_addr_parse_ip(tl_slice_str(host), &ip) == TL_OK)
        return X509_check_ip_asc(cert, host, 0) == 1;
    return X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

tl_err tl_tls_examine(const tl_tls *tls, const char *host, tl_why *why)
{
    char detail[200];
    X509 *cert = SSL_CTX_get0_certificate(tls->ctx);
    tl_err e = TL_OK;
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        write_date(detail, sizeof detail, X509_get0_notAfter(cert));
        e = tl_why_set(why, TL_ERR_AUTH, "it expired on %s", detail);
    } else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        write_date(detail, sizeof detail, X509_get0_notBefore(cert));
        e = tl_why_set(why, TL_ERR_AUTH, "it is not valid before %s", detail);
    } else if (host && !is_for(cert, host)) {
        write_names(detail, sizeof detail, cert);
        e = tl_why_set(why, TL_ERR_AUTH, "it is for %s, not for %s", detail, host);
    }
    ERR_clear_error();
    return e;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    if (!ok) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        tl_tls_session *s = SSL_get_app_data(ssl);
        explain_verification(s->host, X509_STORE_CTX_get_error(store),
                             X509_STORE_CTX_get_current_cert(store), s->why);
    }
    return ok;
}

/* --- sessions --- */

/* Sets the host that we dial: SNI asks for it, and the certificate must be for it. */
static bool expect_host(tl_tls_session *s)
{
    tl_addr ip;
    X509_VERIFY_PARAM *param = SSL_get0_param(s->ssl);
    size_t n = strlen(s->host);
    if (n && s->host[n - 1] == '.') /* the dot of the DNS root is no part of a certificate's name */
        s->host[n - 1] = 0;
    SSL_set_verify(s->ssl, SSL_VERIFY_PEER, on_verify);
    if (tl_addr_parse_ip(tl_slice_str(s->host), &ip) == TL_OK)
        return X509_VERIFY_PARAM_set1_ip_asc(param, s->host) == 1;
    SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(s->ssl, s->host) == 1 && SSL_set_tlsext_host_name(s->ssl, s->host) == 1;
}

tl_err tl_tls_session_new(tl_tls *tls, int fd, const char *host, tl_tls_session **ret_session)
{
    tl_tls_session *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    s->tls = tls;
    tl_tls_ref(tls);
    s->fd = fd;
    s->ssl = SSL_new(tls->ctx);
    BIO *bio = BIO_new(tls->method);
    if (!s->ssl || !bio || (host && !(s->host = strdup(host)))) {
        BIO_free(bio);
        goto fail;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_app_data(s->ssl, s);
    if (!host)
        SSL_set_accept_state(s->ssl);
    else if (expect_host(s))
        SSL_set_connect_state(s->ssl);
    else
        goto fail;
    *ret_session = s;
    return TL_OK;
fail:
    tl_tls_session_free(s);
    ERR_clear_error();
    return TL_ERR_NOMEM;
}

void tl_tls_session_free(tl_tls_session *s)
{
    if (!s)
        return;
    SSL_free(s->ssl);
    tl_tls_unref(s->tls);
    tl_buf_clear(&s->out);
    free(s->host);
    free(s);
}

static tl_err explain_handshake(tl_tls_session *s, int kind, tl_why *why)
{
    const char *peer = s->host ? s->host : "the client";
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    if (kind == SSL_ERROR_SYSCALL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return tl_why_set(why, TL_ERR_IO, "%s ended the connection during the TLS handshake", peer);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return TL_ERR_AUTH; /* on_verify has written why */
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
        return tl_why_set(why, TL_ERR_PROTO, "%s does not speak TLS on this port", peer);
    if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)
        return tl_why_set(why, TL_ERR_PROTO, "%s speaks only TLS versions older than 1.2", peer);
    return tl_why_set(why, TL_ERR_PROTO, "the TLS handshake with %s failed: %s", peer,
                      openssl_reason());
}

tl_err tl_tls_handshake(tl_tls_session *s, tl_why *why)
{
    tl_err e = TL_OK;
    ERR_clear_error();
    s->why = why;
    int r = SSL_do_handshake(s->ssl);
    s->why = NULL;
    if (r != 1) {
        int kind = SSL_get_error(s->ssl, r);
        e = kind == SSL_ERROR_WANT_READ ? TL_ERR_AGAIN : explain_handshake(s, kind, why);
    }
    ERR_clear_error();
    return e;
}

tl_err tl_tls_read(tl_tls_session *s, uint8_t *buf, size_t cap, size_t *ret_n)
{
    ERR_clear_error();
    size_t n = 0;
    int r = SSL_read_ex(s->ssl, buf, cap, &n);
    s->read_empty = r != 1;
    if (r == 1) {
        *ret_n = n;
        return TL_OK;
    }
    int kind = SSL_get_error(s->ssl, r);
    ERR_clear_error();
    if (kind == SSL_ERROR_WANT_READ)
        return TL_ERR_AGAIN;
    return kind == SSL_ERROR_ZERO_RETURN ? TL_ERR_CLOSED : TL_ERR_IO;
}

/* Fills `ret` from `iov`, after skipping its first `skip` bytes. */
static size_t gather(uint8_t *ret, size_t cap, const struct iovec *iov, int iovcnt, size_t skip)
{
    size_t n = 0;
    for (int i = 0; i < iovcnt && n < cap; i++) {
        size_t len = iov[i].iov_len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        len -= skip;
        size_t take = len < cap - n ? len : cap - n;
        memcpy(ret + n, (const uint8_t *)iov[i].iov_base + skip, take);
        n += take;
        skip = 0;
    }
    return n;
}

tl_err tl_tls_writev(tl_tls_session *s, const struct iovec *iov, int iovcnt, size_t *ret_n)
{
    uint8_t record[RECORD_MAX];
    size_t done = 0, n;
    tl_err e = tl_tls_flush(s);
    while (!e && (n = gather(record, sizeof record, iov, iovcnt, done)) > 0) {
        ERR_clear_error();
        size_t taken = 0;
        if (SSL_write_ex(s->ssl, record, n, &taken) != 1) {
            ERR_clear_error();
            return TL_ERR_IO;
        }
        done += taken;
        if (s->out.len)
            break;
    }
    if (e && !done)
        return e;
    *ret_n = done;
    return TL_OK;
}

bool tl_tls_has_input(const tl_tls_session *s)
{
    return !s->read_empty && SSL_has_pending(s->ssl);
}

bool tl_tls_has_output(const tl_tls_session *s)
{
    return s->out.len > 0;
}

tl_err tl_tls_flush(tl_tls_session *s)
{
    while (s->out.len) {
        ssize_t n = send(s->fd, tl_buf_begin(&s->out), s->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? TL_ERR_AGAIN : TL_ERR_IO;
        tl_buf_consume(&s->out, (size_t)n);
    }
    tl_buf_clear(&s->out);
    return TL_OK;
}

size_t tl_tls_held(const tl_tls_session *s)
{
    return (SSL_has_pending(s->ssl) ? READ_BUFFER : 0) + s->out.cap;
}

void tl_tls_end(tl_tls_session *s)
{
    ERR_clear_error();
    if (SSL_is_init_finished(s->ssl))
        SSL_shutdown(s->ssl);
    /* The buffer of that last record would stay until the peer has closed, too: 16 KiB for each
     * connection of a relay that ends. */
    (void)SSL_free_buffers(s->ssl);
    ERR_clear_error();
}
