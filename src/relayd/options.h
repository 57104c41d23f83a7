/* options.h - what an operator may set: the command line of teale-relay and its configuration file.
 * Reads that file and the token file; never touches a socket. */
#ifndef TL_RELAYD_OPTIONS_H
#define TL_RELAYD_OPTIONS_H

#include "base/err.h"
#include "base/log.h"
#include "relay/relay.h"
#include "relayd/clusteroptions.h"
#include "wire/forwarded.h"

#define TL_RELAYD_LISTEN_MAX  16          /* more addresses than one machine has */
#define TL_RELAYD_UDP_MAX     4           /* two of each address family */
#define TL_RELAYD_MESSAGE_MIN (64u << 10) /* the longest control message (docs/protocol.md) */
#define TL_RELAYD_MESSAGE_MAX (64u << 20) /* frames are held in memory until they are complete */
#define TL_RELAYD_MEMORY_MIN  (64u << 20) /* with less, one address could not fill one queue */
#define TL_RELAYD_MEMORY_MAX  (1ull << 40)
#define TL_RELAYD_TOKEN_MAX   256
#define TL_RELAYD_DRAIN_MAX   3600
#define TL_RELAYD_THREADS_MAX 64

typedef enum {
    TL_RELAYD_RUN,
    TL_RELAYD_CHECK,   /* tl_relayd_check, exit 0 or 1 */
    TL_RELAYD_HELP,    /* print tl_relayd_help, exit 0 */
    TL_RELAYD_VERSION, /* print TL_VERSION, exit 0 */
} tl_relayd_action;

typedef struct {
    bool tls;
    char host[TL_HOST_MAX]; /* a name or an IP address */
    uint16_t port;          /* 0: any free one */
} tl_relayd_endpoint;

typedef struct {
    tl_relayd_action action;
    size_t listen_count;
    uint32_t bare; /* bit i: listen[i] was given without ws:// or wss:// */
    tl_relayd_endpoint listen[TL_RELAYD_LISTEN_MAX];
    size_t udp_count; /* at most two of a family; two must differ, and none of them may be a
                         wildcard */
    tl_addr udp[TL_RELAYD_UDP_MAX];
    char udp_announce[TL_HOST_MAX + 6]; /* host[:port] that nodes are told; "" = udp[0], or the
                                           first name if udp[0] is a wildcard */
    char *tls_cert, *tls_key;           /* both are set, or neither */
    char *admin_token_file;             /* NULL: no /peers */
    tl_relay_config relay;              /* names, legacy_clients, message_max; memory_max, 0: of the
                                           machine's what is due */
    tl_relayd_cluster_options cluster;
    tl_proxies proxies;  /* that tell whose connections they pass on */
    bool proxy_protocol; /* by a PROXY header, before X-Forwarded-For */
    bool limits_given;   /* the value of a limit is set, whether they hold or not */
    unsigned threads;    /* loops, each in a thread; at least 1 */
    unsigned drain_secs; /* how long nodes may take to move when the relay is to end */
    tl_log_level log_level;
} tl_relayd_options;

/* A setting of the command line wins over the same setting of the file that --config names; its
 * lists replace the file's lists. TL_ERR_INVALID: `why` says what is wrong and what would be right,
 * and nothing is kept. */
TL_CHECK tl_err tl_relayd_options_parse(int argc, char **argv, tl_relayd_options *ret_options,
                                        tl_why *why);
void tl_relayd_options_clear(tl_relayd_options *o);

/* The text of --help. */
const char *tl_relayd_help(void);

/* Reads the operator's token: the first line of the file, without its newline. TL_ERR_IO: the file
 * is not readable. TL_ERR_INVALID: the token is empty, longer than TL_RELAYD_TOKEN_MAX - 1, or not
 * printable ASCII without spaces. */
TL_CHECK tl_err tl_relayd_token_read(const char *file, char ret_token[TL_RELAYD_TOKEN_MAX],
                                     tl_why *why);

#endif
