/* redis.h - one connection to a Redis or Valkey server, on our loop. hiredis writes the commands and
 * reads the replies; io/stream carries them, because hiredis itself looks names up while everything
 * waits, and has no TLS on Debian 12. Bounds what a server may send and how long it may be silent.
 * Decides nothing about relays. */
#ifndef TL_RELAYD_REDIS_H
#define TL_RELAYD_REDIS_H

#include "io/stream.h"

#include <hiredis/hiredis.h>

#define TL_REDIS_PORT         6379
#define TL_REDIS_PASSWORD_MAX 512
#define TL_REDIS_SILENT_MAX   (3 * TL_SEC) /* it owes an answer for so long: it is as good as gone */
#define TL_REDIS_QUEUE_MAX    (128u << 20) /* bytes that it did not take yet */

typedef struct {
    bool tls;
    char host[TL_HOST_MAX]; /* a name, an IP address, or the path of a Unix socket */
    uint16_t port;
    unsigned db;
    char user[64];                        /* "": none */
    char password[TL_REDIS_PASSWORD_MAX]; /* "": none */
} tl_redis_server;

/* redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// the same with TLS, redis+unix:///PATH.
 * TL_ERR_INVALID. The text may hold a password, so `why` does not repeat it. */
TL_CHECK tl_err tl_redis_server_parse(const char *url, tl_redis_server *ret_server, tl_why *why);

typedef struct tl_redis tl_redis;
typedef struct {
    /* It is connected, takes our password, and is no replica (where that was asked for). */
    void (*on_ready)(void *user);
    /* A message of a channel to which this connection has subscribed. */
    void (*on_message)(void *user, tl_slice channel, tl_slice bytes);
    /* After some messages or replies were handed out. */
    void (*on_read)(void *user);
    /* It is gone, or answers what no such server does. Free the connection now or later; nothing
     * else is called any more. `why` has the cause and the remedy. */
    void (*on_down)(void *user, const char *why);
} tl_redis_events;

/* Events come later, never inside this call. `tls` NULL: plain. `any_role`: a replica will do, and so
 * will a Sentinel. `reply_max`: bytes of the longest message that may come. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_redis_connect(tl_loop *loop, const tl_redis_server *server, tl_tls *tls,
                                 bool any_role, size_t reply_max, const tl_redis_events *events,
                                 void *user, tl_redis **ret_redis);
/* The answers that are owed are given as NULL first. */
void tl_redis_free(tl_redis *c);

/* `on_reply` gets the reply, or NULL if the connection ended before. Errors of the server come as
 * such a reply, too. TL_ERR_BUSY: TL_REDIS_QUEUE_MAX is reached. TL_ERR_NOMEM. On failure on_reply is
 * not called. */
typedef void (*tl_redis_on_reply)(void *user, const redisReply *reply);
TL_CHECK tl_err tl_redis_command(tl_redis *c, size_t argc, const tl_slice *argv,
                                 tl_redis_on_reply on_reply, void *user);
/* From now on on_message is called, and no other command may be sent. */
TL_CHECK tl_err tl_redis_subscribe(tl_redis *c, size_t n, const tl_slice *channels);
/* The server confirmed it: from then on nothing is missed. */
bool tl_redis_is_listening(const tl_redis *c);
/* Bytes that were not sent yet. */
size_t tl_redis_queued(const tl_redis *c);

#endif
