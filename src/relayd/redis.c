#include "relayd/redis.h"

#include "base/log.h"
#include "relayd/outqueue.h"

#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE    (64u << 10)
#define READS_MAX    8            /* in one turn of the loop */
#define REPLY_EXTRA  (256u << 10) /* what a reply has beside the message in it */
#define IOV_MAX_OWN  64
#define ELEMENTS_MAX 1024         /* of an array; ours have 64, and ROLE lists the replicas */
#define READY_MAX    (5 * TL_SEC) /* to connect and to be let in */

/* tl_redis.state:
 *
 *   OPENING --connected--> GREETING --let in--> READY --subscribe--> LISTENING
 *      \-----------------------\------------------\-------------------\---> DOWN */
typedef enum {
    OPENING,   /* look-up, connection, TLS */
    GREETING,  /* password, database, role */
    READY,     /* takes commands */
    LISTENING, /* gets messages */
    DOWN,
} redis_state;

typedef struct owed {
    tl_redis_on_reply on_reply;
    void *user;
    struct owed *next;
} owed;

/* Before 1.0 hiredis makes and frees an array as long as the server announces: with 10^9 elements that
 * takes seconds. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct tl_redis {
    tl_loop *loop;
    tl_stream *stream;
    tl_redis_events events;
    void *user;
    tl_redis_server server;
    bool any_role;
    redis_state state;
    size_t reply_max, unread; /* bytes fed since the last whole reply */
    redisReader *reader;
    redisReplyObjectFunctions functions; /* hiredis' own, but for the bound of arrays */
    void *(*create_array)(const redisReadTask *task, element_count n);
    tl_outqueue out;
    tl_defer flush;
    tl_timer timer;
    tl_time heard;
    owed *first, *last;
    size_t subscribing; /* channels that the server has not confirmed */
    bool reading, freed;
    uint8_t buffer[READ_SIZE];
};

/* --- the bound of hiredis --- */

static void *create_short_array(const redisReadTask *task, element_count n)
{
    const tl_redis *c = task->privdata;
    return n > ELEMENTS_MAX ? NULL : c->create_array(task, n);
}

static bool make_reader(tl_redis *c)
{
    c->reader = redisReaderCreate();
    if (!c->reader)
        return false;
    c->functions = *c->reader->fn;
    c->create_array = c->functions.createArray;
    c->functions.createArray = create_short_array;
    c->reader->fn = &c->functions;
    c->reader->privdata = c;
    return true;
}

/* --- URL --- */

static tl_err bad_url(tl_why *why)
{
    return tl_why_set(why, TL_ERR_INVALID,
                      "redis: not redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://... or "
                      "redis+unix:///PATH, as in redis://10.0.0.5:6379");
}

/* Copies, and undoes %XX. */
static bool copy_decoded(tl_slice text, char *ret, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '%') {
            if (i + 2 >= text.n || tl_hex_parse(tl_slice_of(text.p + i + 1, 2), true, &c, 1) || !c)
                return false;
            i += 2;
        }
        if (n + 1 >= size)
            return false;
        ret[n++] = (char)c;
    }
    ret[n] = 0;
    return true;
}

static bool parse_db(const char *text, unsigned *ret_db)
{
    char *end;
    unsigned long db = strtoul(text, &end, 10);
    *ret_db = (unsigned)db;
    return *text >= '0' && *text <= '9' && !*end && db < 1000;
}

tl_err tl_redis_server_parse(const char *url, tl_redis_server *ret_server, tl_why *why)
{
    tl_redis_server s = {.port = TL_REDIS_PORT};
    if (strncmp(url, "redis+unix://", 13) == 0) {
        if (url[13] != '/' || strlen(url + 13) >= sizeof s.host)
            return bad_url(why);
        snprintf(s.host, sizeof s.host, "%s", url + 13);
        *ret_server = s;
        return TL_OK;
    }
    s.tls = strncmp(url, "rediss://", 9) == 0;
    if (!s.tls && strncmp(url, "redis://", 8) != 0)
        return bad_url(why);
    const char *rest = url + (s.tls ? 9 : 8), *at = strrchr(rest, '@');
    if (at) {
        const char *colon = memchr(rest, ':', (size_t)(at - rest));
        if (!colon ||
            !copy_decoded(tl_slice_of(rest, (size_t)(colon - rest)), s.user, sizeof s.user) ||
            !copy_decoded(tl_slice_of(colon + 1, (size_t)(at - colon - 1)), s.password,
                          sizeof s.password))
            return bad_url(why);
        rest = at + 1;
    }
    size_t n = strcspn(rest, "/");
    if (tl_hostport_parse(tl_slice_of(rest, n), TL_REDIS_PORT, s.host, &s.port) ||
        (rest[n] && rest[n + 1] && !parse_db(rest + n + 1, &s.db)))
        return bad_url(why);
    *ret_server = s;
    return TL_OK;
}

/* --- the end --- */

/* Gives NULL to all that wait. */
static void give_up_owed(tl_redis *c)
{
    owed *o;
    while ((o = c->first)) {
        c->first = o->next;
        if (o->on_reply)
            o->on_reply(o->user, NULL);
        free(o);
    }
    c->last = NULL;
}

static void go_down(tl_redis *c, const char *why)
{
    if (c->state == DOWN)
        return;
    c->state = DOWN;
    tl_timer_stop(&c->timer);
    tl_defer_cancel(c->loop, &c->flush);
    give_up_owed(c);
    c->events.on_down(c->user, why);
}

static void release(tl_redis *c)
{
    redisReaderFree(c->reader);
    tl_outqueue_clear(&c->out);
    free(c);
}

void tl_redis_free(tl_redis *c)
{
    if (!c)
        return;
    c->state = DOWN;
    tl_timer_stop(&c->timer);
    tl_defer_cancel(c->loop, &c->flush);
    give_up_owed(c);
    tl_stream_free(c->stream);
    c->stream = NULL;
    c->freed = true;
    if (!c->reading)
        release(c);
}

/* What the server says, in words that help. */
static void refuse(tl_redis *c, const char *said)
{
    tl_why why;
    tl_safe safe = tl_log_safe(tl_slice_str(said));
    const char *remedy = "";
    if (strncmp(said, "WRONGPASS", 9) == 0 || strstr(said, "invalid password") ||
        strstr(said, "invalid username-password"))
        remedy = "the password is wrong; correct redis-password-file: ";
    else if (strncmp(said, "NOAUTH", 6) == 0)
        remedy = "it wants a password; give redis-password-file: ";
    else if (strncmp(said, "NOPERM", 6) == 0)
        remedy = "its ACL does not let this user; allow teale:* keys and channels: ";
    else if (strncmp(said, "READONLY", 8) == 0)
        remedy = "it is a replica; name the primary, or use redis-sentinel: ";
    (void)tl_why_set(&why, TL_ERR_IO, "%s%s", remedy, safe.text);
    go_down(c, why.text);
}

/* --- time --- */

static void on_timer(void *user)
{
    tl_redis *c = user;
    tl_time now = tl_loop_now(c->loop);
    if (c->state < READY) {
        go_down(c, "it does not answer: is that a Redis server, and does a firewall let us?");
    } else if (c->first && now >= c->heard + TL_REDIS_SILENT_MAX) {
        go_down(c, "it owed an answer for 3 seconds");
    } else if (c->first) {
        tl_timer_set(&c->timer, c->heard + TL_REDIS_SILENT_MAX);
    }
}

/* --- writing --- */

static void flush(void *user)
{
    tl_redis *c = user;
    struct iovec iov[IOV_MAX_OWN];
    while (c->out.bytes) {
        size_t written = 0;
        int n = tl_outqueue_peek(&c->out, iov, IOV_MAX_OWN);
        tl_err e = tl_stream_writev(c->stream, iov, n, &written);
        if (e == TL_ERR_AGAIN || (!e && !written))
            break;
        if (e)
            return; /* on_error tells */
        tl_outqueue_consume(&c->out, written);
    }
    tl_stream_want_write(c->stream, c->out.bytes > 0);
}

static void on_writable(void *user)
{
    tl_redis *c = user;
    if (c->state != DOWN)
        flush(c);
}

static tl_err send_command(tl_redis *c, size_t argc, const tl_slice *argv)
{
    enum { ARGS_MAX = 160 };
    const char *args[ARGS_MAX];
    size_t lengths[ARGS_MAX];
    char *command;
    if (argc > ARGS_MAX)
        return TL_ERR_TOO_LARGE;
    for (size_t i = 0; i < argc; i++) {
        args[i] = argv[i].n ? (const char *)argv[i].p : "";
        lengths[i] = argv[i].n;
    }
    int n = redisFormatCommandArgv(&command, (int)argc, args, lengths);
    if (n < 0)
        return TL_ERR_NOMEM;
    tl_err e = tl_outqueue_add(&c->out, tl_slice_of(command, (size_t)n));
    redisFreeCommand(command);
    if (!e && c->state != OPENING)
        tl_loop_defer(c->loop, &c->flush, flush, c);
    return e;
}

tl_err tl_redis_command(tl_redis *c, size_t argc, const tl_slice *argv, tl_redis_on_reply on_reply,
                        void *user)
{
    if (c->state == DOWN || c->state == LISTENING || c->out.bytes > TL_REDIS_QUEUE_MAX)
        return TL_ERR_BUSY;
    owed *o = malloc(sizeof *o);
    tl_err e = o ? send_command(c, argc, argv) : TL_ERR_NOMEM;
    if (e) {
        free(o);
        return e;
    }
    *o = (owed){.on_reply = on_reply, .user = user};
    if (!c->first) {
        c->first = o;
        c->heard = tl_loop_now(c->loop);
        if (c->state >= READY)
            tl_timer_set(&c->timer, c->heard + TL_REDIS_SILENT_MAX);
    } else {
        c->last->next = o;
    }
    c->last = o;
    return TL_OK;
}

tl_err tl_redis_subscribe(tl_redis *c, size_t n, const tl_slice *channels)
{
    tl_slice argv[8] = {TL_SLICE_LIT("SUBSCRIBE")};
    if (c->state != READY || n > 7)
        return TL_ERR_INVALID;
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = channels[i];
    tl_err e = send_command(c, n + 1, argv);
    if (!e) {
        c->state = LISTENING;
        c->subscribing = n;
    }
    return e;
}

bool tl_redis_is_listening(const tl_redis *c)
{
    return c->state == LISTENING && !c->subscribing;
}

size_t tl_redis_queued(const tl_redis *c)
{
    return c->out.bytes;
}

/* --- greeting --- */

static void become_ready(tl_redis *c)
{
    c->state = READY;
    tl_timer_set(&c->timer, TL_NEVER);
    c->events.on_ready(c->user);
}

/* A server that knows no ROLE, or does not let us ask, is taken for a primary: it says READONLY if it
 * is none. */
static void on_role(void *user, const redisReply *reply)
{
    tl_redis *c = user;
    if (!reply)
        return;
    const redisReply *first =
        reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0] : NULL;
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOAUTH", 6) == 0)
        refuse(c, reply->str);
    else if (first && first->str && strcmp(first->str, "slave") == 0 && !c->any_role)
        refuse(c, "READONLY this server is a replica");
    else if (first && first->str && strcmp(first->str, "sentinel") == 0 && !c->any_role)
        go_down(c, "it is a Sentinel; name it with redis-sentinel");
    else if (reply->type != REDIS_REPLY_ERROR && !first)
        go_down(c, "it does not speak as a Redis server does");
    else
        become_ready(c);
}

static void on_admitted(void *user, const redisReply *reply)
{
    tl_redis *c = user;
    if (reply && reply->type == REDIS_REPLY_ERROR)
        refuse(c, reply->str);
}

static tl_err greet(tl_redis *c)
{
    const tl_redis_server *s = &c->server;
    char db[16];
    tl_err e = TL_OK;
    if (s->password[0]) {
        tl_slice auth[3] = {TL_SLICE_LIT("AUTH")};
        size_t n = 1;
        if (s->user[0])
            auth[n++] = tl_slice_str(s->user);
        auth[n++] = tl_slice_str(s->password);
        e = tl_redis_command(c, n, auth, on_admitted, c);
    }
    if (!e && s->db) {
        snprintf(db, sizeof db, "%u", s->db);
        const tl_slice select[] = {TL_SLICE_LIT("SELECT"), tl_slice_str(db)};
        e = tl_redis_command(c, 2, select, on_admitted, c);
    }
    const tl_slice role[] = {TL_SLICE_LIT("ROLE")};
    return e ? e : tl_redis_command(c, 1, role, on_role, c);
}

static void on_open(void *user)
{
    tl_redis *c = user;
    c->state = GREETING;
    if (greet(c))
        go_down(c, "out of memory");
}

/* --- reading --- */

static bool is_text(const redisReply *r, const char *text)
{
    return r->type == REDIS_REPLY_STRING && r->len == strlen(text) &&
           memcmp(r->str, text, r->len) == 0;
}

static void on_listened(tl_redis *c, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        refuse(c, reply->str);
    else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        go_down(c, "it does not speak as a Redis server does");
    else if (is_text(reply->element[0], "subscribe"))
        c->subscribing -= c->subscribing > 0;
    else if (is_text(reply->element[0], "message") &&
             reply->element[1]->type == REDIS_REPLY_STRING &&
             reply->element[2]->type == REDIS_REPLY_STRING)
        c->events.on_message(c->user, tl_slice_of(reply->element[1]->str, reply->element[1]->len),
                             tl_slice_of(reply->element[2]->str, reply->element[2]->len));
}

static void on_reply(tl_redis *c, const redisReply *reply)
{
    owed *o = c->first;
    if (c->state == LISTENING && !o) {
        on_listened(c, reply);
        return;
    }
    if (!o) {
        go_down(c, "it answers what was not asked");
        return;
    }
    c->first = o->next;
    if (!c->first)
        c->last = NULL;
    if (o->on_reply)
        o->on_reply(o->user, reply);
    free(o);
}

/* False: it is down. */
static bool read_replies(tl_redis *c, size_t n)
{
    void *reply;
    c->unread += n;
    if (redisReaderFeed(c->reader, (const char *)c->buffer, n) != REDIS_OK) {
        go_down(c, "out of memory");
        return false;
    }
    while (c->state != DOWN) {
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            go_down(c, "it does not speak as a Redis server does");
            return false;
        }
        if (!reply)
            break;
        c->unread = c->reader->len - c->reader->pos;
        on_reply(c, reply);
        freeReplyObject(reply);
    }
    if (c->state != DOWN && c->unread > c->reply_max + REPLY_EXTRA)
        go_down(c, "it sends more than any answer has");
    return c->state != DOWN;
}

static void on_readable(void *user)
{
    tl_redis *c = user;
    tl_err e = TL_OK;
    c->reading = true;
    for (int i = 0; i < READS_MAX && c->state != DOWN; i++) {
        size_t n;
        e = tl_stream_read(c->stream, c->buffer, sizeof c->buffer, &n);
        if (e)
            break;
        c->heard = tl_loop_now(c->loop);
        if (!read_replies(c, n) || n < sizeof c->buffer)
            break;
    }
    if (e && e != TL_ERR_AGAIN)
        go_down(c, "it closed the connection");
    if (!c->freed)
        c->events.on_read(c->user);
    c->reading = false;
    if (c->freed)
        release(c);
}

static void on_error(void *user, tl_err e, const char *why)
{
    (void)e;
    go_down(user, why);
}

/* --- the beginning --- */

tl_err tl_redis_connect(tl_loop *loop, const tl_redis_server *server, tl_tls *tls, bool any_role,
                        size_t reply_max, const tl_redis_events *events, void *user,
                        tl_redis **ret_redis)
{
    static const tl_stream_events stream_events = {.on_open = on_open,
                                                   .on_readable = on_readable,
                                                   .on_writable = on_writable,
                                                   .on_error = on_error};
    tl_redis *c = calloc(1, sizeof *c);
    if (!c)
        return TL_ERR_NOMEM;
    c->loop = loop;
    c->events = *events;
    c->user = user;
    c->server = *server;
    c->any_role = any_role;
    c->reply_max = reply_max;
    tl_timer_init(&c->timer, loop, on_timer, c);
    tl_err e = TL_ERR_NOMEM;
    if (make_reader(c) && server->host[0] == '/')
        e = tl_stream_connect_unix(loop, server->host, &stream_events, c, &c->stream);
    else if (c->reader)
        e = tl_stream_connect(loop, server->host, server->port, server->tls ? tls : NULL,
                              &stream_events, c, &c->stream);
    if (e) {
        if (c->reader)
            redisReaderFree(c->reader);
        free(c);
        return e;
    }
    tl_timer_set(&c->timer, tl_loop_now(loop) + READY_MAX);
    *ret_redis = c;
    return TL_OK;
}
