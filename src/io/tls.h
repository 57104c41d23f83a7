/* tls.h - TLS on a connected descriptor; only stream.c uses it. OpenSSL runs over a BIO of our own,
 * which reads and writes the descriptor directly, and keeps what the kernel did not take yet (at
 * most one record and what a handshake needs). Never waits, never calls back. */
#ifndef TL_IO_TLS_H
#define TL_IO_TLS_H

#include "base/slice.h"
#include "io/stream.h"

typedef struct tl_tls_session tl_tls_session;

void tl_tls_ref(tl_tls *tls);

/* `host` is the name or IP for which the peer's certificate must be, or NULL if we are the server.
 * The descriptor stays the caller's. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_tls_session_new(tl_tls *tls, int fd, const char *host,
                                   tl_tls_session **ret_session);
void tl_tls_session_free(tl_tls_session *s);

/* TL_ERR_AGAIN: call again when the descriptor is readable (or, with tl_tls_has_output, writable).
 * TL_ERR_AUTH: the certificate was refused. TL_ERR_PROTO, TL_ERR_IO. `why` says the error in
 * words. */
TL_CHECK tl_err tl_tls_handshake(tl_tls_session *s, tl_why *why);
/* As tl_stream_read and tl_stream_writev. */
TL_CHECK tl_err tl_tls_read(tl_tls_session *s, uint8_t *buf, size_t cap, size_t *ret_n);
TL_CHECK tl_err tl_tls_writev(tl_tls_session *s, const struct iovec *iov, int iovcnt,
                              size_t *ret_n);

/* True: there are bytes read from the kernel that tl_tls_read has not given out. The kernel will
 * not tell of them again. */
bool tl_tls_has_input(const tl_tls_session *s);
/* True: there are bytes written that the kernel has not taken. */
bool tl_tls_has_output(const tl_tls_session *s);
/* Sends them. TL_ERR_AGAIN: some are left. TL_ERR_IO. */
TL_CHECK tl_err tl_tls_flush(tl_tls_session *s);
/* Bytes of buffers that the session holds now, beyond what an idle one takes: those of a record that is
 * not complete, or not read to its end, and of what the kernel has not taken. */
size_t tl_tls_held(const tl_tls_session *s);
/* Tells the peer that nothing more follows. */
void tl_tls_end(tl_tls_session *s);

#endif
