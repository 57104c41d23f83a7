/* quic_compat.h - the differences between libngtcp2 0.12 (Debian 12) and 1.x, in one place.
 * Everything else in this room writes the 1.x names. Does nothing but rename. */
#ifndef TL_QUIC_QUIC_COMPAT_H
#define TL_QUIC_QUIC_COMPAT_H

#include <ngtcp2/ngtcp2.h>

#if NGTCP2_VERSION_NUM < 0x010000

#define ngtcp2_encryption_level             ngtcp2_crypto_level
#define NGTCP2_ENCRYPTION_LEVEL_INITIAL     NGTCP2_CRYPTO_LEVEL_INITIAL
#define NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE   NGTCP2_CRYPTO_LEVEL_HANDSHAKE
#define ngtcp2_conn_tls_handshake_completed ngtcp2_conn_handshake_completed
#define ngtcp2_conn_decode_and_set_remote_transport_params                                         \
    ngtcp2_conn_decode_remote_transport_params

#define ngtcp2_ccerr                       ngtcp2_connection_close_error
#define ngtcp2_ccerr_set_application_error ngtcp2_connection_close_error_set_application_error
#define ngtcp2_ccerr_set_transport_error   ngtcp2_connection_close_error_set_transport_error
#define ngtcp2_ccerr_set_liberr            ngtcp2_connection_close_error_set_transport_error_liberr
#define NGTCP2_CCERR_TYPE_APPLICATION      NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION

typedef ngtcp2_conn_stat tl_ngtcp2_info;
static inline void tl_ngtcp2_get_info(ngtcp2_conn *conn, tl_ngtcp2_info *ret_info)
{
    ngtcp2_conn_get_conn_stat(conn, ret_info);
}
static inline ngtcp2_ccerr tl_ngtcp2_get_ccerr(ngtcp2_conn *conn)
{
    ngtcp2_ccerr err;
    ngtcp2_conn_get_connection_close_error(conn, &err);
    return err;
}
static inline void tl_ngtcp2_set_token(ngtcp2_settings *settings, uint8_t *token, size_t n)
{
    settings->token = (ngtcp2_vec){token, n};
}
static inline ngtcp2_vec tl_ngtcp2_hd_token(const ngtcp2_pkt_hd *hd)
{
    return hd->token;
}
/* 0.12 takes a server's original_dcid as given. */
static inline void tl_ngtcp2_set_original_dcid(ngtcp2_transport_params *params,
                                               const ngtcp2_cid *dcid)
{
    params->original_dcid = *dcid;
}
/* For params that libngtcp2 did not fill itself. */
static inline void tl_ngtcp2_set_initial_scid(ngtcp2_transport_params *params,
                                              const ngtcp2_cid *scid)
{
    params->initial_scid = *scid;
}
static inline ngtcp2_ssize tl_ngtcp2_encode_params(uint8_t *dest, size_t cap, int client,
                                                   const ngtcp2_transport_params *params)
{
    return ngtcp2_encode_transport_params(dest, cap,
                                          client
                                              ? NGTCP2_TRANSPORT_PARAMS_TYPE_CLIENT_HELLO
                                              : NGTCP2_TRANSPORT_PARAMS_TYPE_ENCRYPTED_EXTENSIONS,
                                          params);
}
static inline int tl_ngtcp2_shutdown_write(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream_write(conn, id, code);
}
static inline int tl_ngtcp2_shutdown_read(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream_read(conn, id, code);
}
static inline int tl_ngtcp2_shutdown(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(conn, id, code);
}

#else

typedef ngtcp2_conn_info tl_ngtcp2_info;
static inline void tl_ngtcp2_get_info(ngtcp2_conn *conn, tl_ngtcp2_info *ret_info)
{
    ngtcp2_conn_get_conn_info(conn, ret_info);
}
static inline ngtcp2_ccerr tl_ngtcp2_get_ccerr(ngtcp2_conn *conn)
{
    return *ngtcp2_conn_get_ccerr(conn);
}
static inline void tl_ngtcp2_set_token(ngtcp2_settings *settings, uint8_t *token, size_t n)
{
    settings->token = token;
    settings->tokenlen = n;
}
static inline ngtcp2_vec tl_ngtcp2_hd_token(const ngtcp2_pkt_hd *hd)
{
    return (ngtcp2_vec){(uint8_t *)(uintptr_t)hd->token, hd->tokenlen};
}
static inline void tl_ngtcp2_set_original_dcid(ngtcp2_transport_params *params,
                                               const ngtcp2_cid *dcid)
{
    params->original_dcid = *dcid;
    params->original_dcid_present = 1;
}
static inline void tl_ngtcp2_set_initial_scid(ngtcp2_transport_params *params,
                                              const ngtcp2_cid *scid)
{
    params->initial_scid = *scid;
    params->initial_scid_present = 1;
}
static inline ngtcp2_ssize tl_ngtcp2_encode_params(uint8_t *dest, size_t cap, int client,
                                                   const ngtcp2_transport_params *params)
{
    (void)client;
    return ngtcp2_transport_params_encode(dest, cap, params);
}
static inline int tl_ngtcp2_shutdown_write(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream_write(conn, 0, id, code);
}
static inline int tl_ngtcp2_shutdown_read(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream_read(conn, 0, id, code);
}
static inline int tl_ngtcp2_shutdown(ngtcp2_conn *conn, int64_t id, uint64_t code)
{
    return ngtcp2_conn_shutdown_stream(conn, 0, id, code);
}

#endif
#endif
