/* stream.h - one byte stream: TCP, a Unix socket, or TLS over TCP (OpenSSL on a BIO of ours,
 * io/tls.h). Never blocks, never buffers more than TLS needs; whoever owns it keeps its own queues.
 */
#ifndef TL_IO_STREAM_H
#define TL_IO_STREAM_H

#include "io/loop.h"

#include <sys/uio.h>

typedef struct tl_stream tl_stream;
typedef struct tl_tls tl_tls; /* a TLS context, shared by streams; counts its users */

typedef struct {
    void (*on_open)(void *user);     /* connected, and TLS done; now read and write */
    void (*on_readable)(void *user); /* level-triggered while reading is on (it is after on_open) */
    void (*on_writable)(void *user); /* only while tl_stream_want_write(true) */
    /* The connection could not be made or broke. Not called after tl_stream_free, nor for the
     * peer's orderly end (tl_stream_read returns TL_ERR_CLOSED then). `why` is for a person. */
    void (*on_error)(void *user, tl_err e, const char *why);
} tl_stream_events;

#define TL_STREAM_OPEN_MAX_NS                                                                      \
    (10 * TL_SEC) /* to look up, connect and do TLS; then TL_ERR_TIMEOUT */

/* Any callback may be NULL. None is called from inside a call of ours. on_open comes for every kind
 * of stream. TL_ERR_AUTH in on_error: the certificate was refused. */
/* Connects to `host` (name or literal; every address is tried in turn) or to a Unix socket path
 * (tl_stream_connect_unix). `tls` NULL: plain. `host` is also the name the certificate must bear.
 * TL_ERR_NOMEM; everything later comes through on_error. */
TL_CHECK tl_err tl_stream_connect(tl_loop *loop, const char *host, uint16_t port, tl_tls *tls,
                                  const tl_stream_events *events, void *user,
                                  tl_stream **ret_stream);
TL_CHECK tl_err tl_stream_connect_unix(tl_loop *loop, const char *path,
                                       const tl_stream_events *events, void *user,
                                       tl_stream **ret_stream);
/* Takes the accepted descriptor, also when it fails. The owner bounds the time of a TLS handshake.
 */
TL_CHECK tl_err tl_stream_accepted(tl_loop *loop, int fd, tl_tls *tls,
                                   const tl_stream_events *events, void *user,
                                   tl_stream **ret_stream);
/* Who gets the events from now on (a protocol upgrade). */
void tl_stream_set_events(tl_stream *s, const tl_stream_events *events, void *user);
/* Closes. Allowed inside any callback. With TLS a close_notify is tried once. */
void tl_stream_free(tl_stream *s);

/* Reads what is there, at most `cap` (at least 1). TL_ERR_AGAIN: nothing now. TL_ERR_CLOSED: the
 * peer ended; on_readable is not called again, writing still works. TL_ERR_IO: broken, or TLS cut
 * short. */
TL_CHECK tl_err tl_stream_read(tl_stream *s, uint8_t *buf, size_t cap, size_t *ret_n);
/* Gathers; *ret_n tells how many bytes were taken (possibly fewer than given). TL_ERR_AGAIN: none.
 */
TL_CHECK tl_err tl_stream_writev(tl_stream *s, const struct iovec *iov, int iovcnt, size_t *ret_n);
/* Half-close after what was written. */
void tl_stream_shutdown(tl_stream *s);
/* Back-pressure: while off, the kernel's buffer fills and the peer is slowed. Even while off the
 * stream notices a peer that is gone (reset, or both directions closed) through on_error. */
void tl_stream_want_read(tl_stream *s, bool on);
void tl_stream_want_write(tl_stream *s, bool on);

/* Addresses, as the kernel tells them; family NONE on a Unix socket. */
tl_addr tl_stream_local(const tl_stream *s);
tl_addr tl_stream_remote(const tl_stream *s);
int tl_stream_fd(const tl_stream *s);

/* --- listening --- */
typedef struct tl_listener tl_listener;
/* on_accept takes `fd` (non-blocking, TCP_NODELAY set). An IPv6 address is IPv6 alone. When
 * descriptors run out, accepting rests a moment instead of spinning. TL_ERR_EXISTS: the port is in
 * use. TL_ERR_IO, with `why`. */
TL_CHECK tl_err tl_listen(tl_loop *loop, const tl_addr *addr, int backlog,
                          void (*on_accept)(void *user, int fd, const tl_addr *remote), void *user,
                          tl_listener **ret_listener, tl_why *why);
/* A Unix socket, mode 0600; a stale file (nobody answers) is replaced, a live one is TL_ERR_EXISTS.
 */
TL_CHECK tl_err tl_listen_unix(tl_loop *loop, const char *path, int backlog,
                               void (*on_accept)(void *user, int fd, const tl_addr *remote),
                               void *user, tl_listener **ret_listener, tl_why *why);
tl_addr tl_listener_addr(const tl_listener *l); /* with the real port */
void tl_listener_free(tl_listener *l);

/* --- TLS 1.2 and later --- */
/* Server: PEM files; loading again (SIGHUP) makes a new context for new streams. */
TL_CHECK tl_err tl_tls_server(const char *cert_file, const char *key_file, tl_tls **ret_tls,
                              tl_why *why);
/* Client: the system's trust store (SSL_CERT_FILE works), plus `ca_file` if not NULL. Verifies the
 * chain and the name or IP dialled, always. */
TL_CHECK tl_err tl_tls_client(const char *ca_file, tl_tls **ret_tls, tl_why *why);
void tl_tls_unref(tl_tls *tls);

#endif
