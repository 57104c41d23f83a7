/* stream.h - one byte stream: TCP, a Unix socket, or TLS over TCP (OpenSSL on a BIO of ours,
 * io/tls.h). Never blocks, and never buffers more than TLS needs: its owner keeps queues of its
 * own. */
#ifndef TL_IO_STREAM_H
#define TL_IO_STREAM_H

#include "io/loop.h"
#include "wire/proxyurl.h"

#include <sys/uio.h>

typedef struct tl_stream tl_stream;
typedef struct tl_tls tl_tls; /* a TLS context that streams share; it counts its users */

typedef struct {
    void (*on_open)(void *user);     /* connected, and TLS is done: reading and writing may begin */
    void (*on_readable)(void *user); /* level-triggered while reading is on (as it is at on_open) */
    void (*on_writable)(void *user); /* only after tl_stream_want_write(true) */
    /* The connection could not be made, or it broke. Not called after tl_stream_free. Not called
     * for the peer's orderly end either: then tl_stream_read returns TL_ERR_CLOSED. `why` is for a
     * person. */
    void (*on_error)(void *user, tl_err e, const char *why);
} tl_stream_events;

#define TL_STREAM_OPEN_MAX_NS                                                                      \
    (10 * TL_SEC) /* for look-up, connection and TLS together; then TL_ERR_TIMEOUT */

/* Any callback may be NULL. No callback is made from inside a call to this module. on_open comes
 * for every kind of stream. TL_ERR_AUTH in on_error: the certificate was refused. */
/* Connects to `host` (a name or a literal; each of its addresses is tried) or to a Unix socket path
 * (tl_stream_connect_unix). `tls` NULL: plain. The certificate must be for `host`. TL_ERR_NOMEM;
 * all later errors come through on_error. */
TL_CHECK tl_err tl_stream_connect(tl_loop *loop, const char *host, uint16_t port, tl_tls *tls,
                                  const tl_stream_events *events, void *user,
                                  tl_stream **ret_stream);
/* The same through a proxy (NULL or none: straight). An error while the proxy is at work, and one of
 * the TLS handshake, names it. */
TL_CHECK tl_err tl_stream_connect_by(tl_loop *loop, const tl_proxy *proxy, const char *host,
                                     uint16_t port, tl_tls *tls, const tl_stream_events *events,
                                     void *user, tl_stream **ret_stream);
TL_CHECK tl_err tl_stream_connect_unix(tl_loop *loop, const char *path,
                                       const tl_stream_events *events, void *user,
                                       tl_stream **ret_stream);
/* Takes over the accepted descriptor, even when the call fails. The owner bounds the time of a TLS
 * handshake. */
TL_CHECK tl_err tl_stream_accepted(tl_loop *loop, int fd, tl_tls *tls,
                                   const tl_stream_events *events, void *user,
                                   tl_stream **ret_stream);
/* From now on sends the events to other callbacks (after a protocol upgrade). */
void tl_stream_set_events(tl_stream *s, const tl_stream_events *events, void *user);
/* Closes the stream. Allowed inside any callback. With TLS it tries once to send a close_notify. */
void tl_stream_free(tl_stream *s);

/* Reads what is there, at most `cap` bytes (`cap` is at least 1). TL_ERR_AGAIN: nothing is there
 * now. TL_ERR_CLOSED: the peer ended; on_readable is not called again, but writing still works.
 * TL_ERR_IO: the stream is broken, or TLS was cut short. */
TL_CHECK tl_err tl_stream_read(tl_stream *s, uint8_t *buf, size_t cap, size_t *ret_n);
/* Writes from several places; *ret_n tells how many bytes were taken, maybe fewer than given.
 * TL_ERR_AGAIN: none was taken. */
TL_CHECK tl_err tl_stream_writev(tl_stream *s, const struct iovec *iov, int iovcnt, size_t *ret_n);
/* Bytes that it holds now beyond what an idle stream takes: TLS has buffers while a record is under way.
 * 0 for any other. */
size_t tl_stream_held(const tl_stream *s);
/* Closes the sending half after what was written. */
void tl_stream_shutdown(tl_stream *s);
/* While reading is off, the kernel's buffer fills, which slows the peer down. Even then on_error
 * tells when the peer is gone (a reset, or both directions closed). */
void tl_stream_want_read(tl_stream *s, bool on);
void tl_stream_want_write(tl_stream *s, bool on);

/* Addresses, as the kernel tells them; family NONE on a Unix socket. */
tl_addr tl_stream_local(const tl_stream *s);
tl_addr tl_stream_remote(const tl_stream *s);
int tl_stream_fd(const tl_stream *s);

/* --- listening --- */
typedef struct tl_listener tl_listener;
/* on_accept takes over `fd` (non-blocking, TCP_NODELAY set). An IPv6 address accepts only IPv6. If
 * descriptors run out, accepting rests for a moment. TL_ERR_EXISTS: the port is in use. TL_ERR_IO,
 * with `why`. */
TL_CHECK tl_err tl_listen(tl_loop *loop, const tl_addr *addr, int backlog,
                          void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                          tl_listener **ret_listener, tl_why *why);
/* The same for several loops of this process, which share the port: the kernel spreads connections
 * over them. `again`: another loop listens there already. If it does not, another program that uses
 * the port is told as by tl_listen. */
TL_CHECK tl_err tl_listen_shared(tl_loop *loop, const tl_addr *addr, int backlog, bool again,
                                 void (*on_accept)(void *user, int fd, const tl_addr *remote),
                                 void *user, tl_listener **ret_listener, tl_why *why);
/* Listens on a Unix socket, mode 0600. If the file exists and nobody answers there, it is replaced;
 * if a process answers, TL_ERR_EXISTS. */
TL_CHECK tl_err tl_listen_unix(tl_loop *loop, const char *path, int backlog,
                               void (*on_accept)(void *user, int fd, const tl_addr *remote),
                               void *user, tl_listener **ret_listener, tl_why *why);
tl_addr tl_listener_addr(const tl_listener *l); /* with the real port */
void tl_listener_free(tl_listener *l);

/* --- TLS 1.2 and later --- */
/* For a server, from PEM files. Loading again (SIGHUP) makes a new context for new streams. */
TL_CHECK tl_err tl_tls_server(const char *cert_file, const char *key_file, tl_tls **ret_tls,
                              tl_why *why);
/* What every client holds against the certificate of this server, whomever it trusts. TL_ERR_AUTH: it
 * has expired, is not valid yet, or is for another name than `host` (a name or an IP; NULL: it may
 * be for any). */
TL_CHECK tl_err tl_tls_examine(const tl_tls *tls, const char *host, tl_why *why);
/* For a client: trusts the system's store (SSL_CERT_FILE works), and `ca_file` if it is not NULL.
 * Always verifies the chain and the name or IP that was dialled. */
TL_CHECK tl_err tl_tls_client(const char *ca_file, tl_tls **ret_tls, tl_why *why);
void tl_tls_unref(tl_tls *tls);

#endif
