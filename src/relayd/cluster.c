#include "relayd/cluster.h"

#include "base/log.h"
#include "relayd/clusterscripts.h"
#include "relayd/quote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define RETRY_MIN    (100 * TL_MS)
#define RETRY_MAX    (2 * TL_SEC) /* so that all relays are back within 5 s of Redis */
#define TELL_EVERY   TL_MIN       /* the same cause again, in the log */
#define CHANNEL_ALL  "teale:all"
#define CHANNEL_TO   "teale:to:"
#define KEY_EPOCH    "teale:epoch"
#define KEY_NODE     "teale:node:"
#define KEY_RELAY    "teale:relay:"
#define MESSAGE_ROOM (64u << 10) /* of an envelope around the longest message */

/* tl_relayd_cluster.state:
 *
 *   RESTING --time--> ASKING --Sentinel named the server--> CONNECTING --both ready--> UP
 *      ^  \---no Sentinels are set--------------------------^  |                       |
 *      \-----------------------anything failed-----------------/-----------------------/ */
typedef enum {
    RESTING,    /* nothing is connected */
    ASKING,     /* a Sentinel is asked where the server is */
    CONNECTING, /* two connections begin: for commands, and for messages */
    UP,
} cluster_state;

struct tl_relayd_cluster {
    tl_loop *loop;
    tl_relay *relay;
    void (*on_input)(void *user);
    void *user;
    tl_redis_server server, sentinel[TL_RELAYD_SENTINELS_MAX];
    size_t sentinel_count, sentinel_next;
    char master[64];
    char id[TL_FED_ID_MAX + 1], process[TL_FED_ID_MAX + 1];
    tl_time ttl;
    size_t message_max;
    tl_tls *tls;
    tl_rand rand;
    cluster_state state;
    tl_redis *commands, *messages, *asked; /* `asked` is a Sentinel */
    bool commands_ready;
    tl_timer timer;    /* RESTING: until the next try; UP: watches for silence */
    tl_time heard;     /* when a message came last: our own heartbeat comes back, too */
    unsigned failures; /* since it was UP last */
    tl_defer report;
    tl_why last_why;
    tl_time told;
    size_t owed;       /* requests whose answer has not come */
    size_t refreshing; /* parts of a refresh among them */
    bool refresh_failed;
    tl_time refresh_since;
};

/* What a request was, for its answer. */
typedef struct {
    tl_relayd_cluster *c;
    tl_fed_output_kind kind;
    tl_node_id node;
    uint64_t ticket;
    tl_relay_chunk *chunk; /* SEND: what nobody heard is told to its sender */
    tl_slice bytes;
    char to[TL_FED_ID_MAX + 1];
    size_t n; /* REFRESH: so many nodes follow */
    struct {
        tl_node_id id;
        uint64_t epoch;
    } part[];
} request;

static void rest(tl_relayd_cluster *c, const char *why);

/* --- requests --- */

static request *new_request(tl_relayd_cluster *c, tl_fed_output_kind kind, size_t n)
{
    request *q = calloc(1, sizeof *q + n * sizeof q->part[0]);
    if (q)
        *q = (request){.c = c, .kind = kind, .n = n};
    return q;
}

static void end_request(request *q)
{
    q->c->owed--;
    tl_relay_chunk_unref(q->chunk);
    free(q);
}

static void on_part_refreshed(request *q, const redisReply *reply, tl_time now)
{
    tl_relayd_cluster *c = q->c;
    for (size_t i = 0; reply && i < reply->elements; i++) {
        const redisReply *at = reply->element[i];
        if (at->type == REDIS_REPLY_INTEGER && at->integer >= 1 && (size_t)at->integer <= q->n)
            tl_fed_on_lost(c->relay, &q->part[at->integer - 1].id, q->part[at->integer - 1].epoch,
                           now);
    }
    c->refresh_failed |= !reply || reply->type != REDIS_REPLY_ARRAY;
    if (--c->refreshing == 0 && !c->refresh_failed)
        tl_fed_on_refreshed(c->relay, c->refresh_since, now);
}

static void on_reply(void *user, const redisReply *reply)
{
    request *q = user;
    tl_relayd_cluster *c = q->c;
    tl_time now = tl_loop_now(c->loop);
    if (q->kind == TL_FED_REFRESH)
        on_part_refreshed(q, reply, now);
    else if (reply && q->kind == TL_FED_CLAIM && reply->type == REDIS_REPLY_STRING)
        tl_fed_on_claimed(c->relay, &q->node, q->ticket, strtoull(reply->str, NULL, 10), now);
    else if (reply && q->kind == TL_FED_SEND && reply->type == REDIS_REPLY_INTEGER &&
             reply->integer == 0)
        tl_fed_on_unheard(c->relay, q->to, q->bytes, now);
    end_request(q);
    if (reply && reply->type == REDIS_REPLY_ERROR) {
        tl_why why;
        bool readonly = strncmp(reply->str, "READONLY", 8) == 0;
        (void)tl_why_set(&why, TL_ERR_IO, "%s%s",
                         readonly ? "it became a replica; name the primary, or use redis-sentinel: "
                                  : "it refused a command: ",
                         tl_log_safe(tl_slice_of(reply->str, reply->len)).text);
        rest(c, why.text);
    }
}

/* Frees the request when it cannot be sent. */
static bool ask(request *q, size_t argc, const tl_slice *argv)
{
    tl_relayd_cluster *c = q->c;
    c->owed++;
    if (c->commands && tl_redis_command(c->commands, argc, argv, on_reply, q) == TL_OK)
        return true;
    end_request(q);
    return false;
}

/* Takes over the chunk of a SEND. */
static void publish(tl_relayd_cluster *c, tl_fed_output *out)
{
    char channel[sizeof CHANNEL_TO + TL_FED_ID_MAX] = CHANNEL_ALL;
    request *q = new_request(c, out->kind, 0);
    if (!q)
        return;
    if (out->kind == TL_FED_SEND) {
        snprintf(channel, sizeof channel, CHANNEL_TO "%s", out->to);
        snprintf(q->to, sizeof q->to, "%s", out->to);
        q->chunk = out->chunk;
        q->bytes = out->bytes;
        out->chunk = NULL;
    }
    const tl_slice argv[] = {TL_SLICE_LIT("PUBLISH"), tl_slice_str(channel), out->bytes};
    (void)ask(q, 3, argv);
}

static void claim(tl_relayd_cluster *c, const tl_fed_output *out)
{
    char key[sizeof KEY_NODE + TL_NODE_ID_HEX], epoch[24], seconds[24];
    request *q = new_request(c, out->kind, 0);
    if (!q)
        return;
    q->node = out->node;
    q->ticket = out->ticket;
    memcpy(key, KEY_NODE, sizeof KEY_NODE);
    tl_node_id_write(key + sizeof KEY_NODE - 1, &out->node);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)out->epoch);
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(3 * c->ttl / TL_SEC));
    size_t at = TL_FED_EPOCH_AT + TL_FED_EPOCH_SIZE;
    const tl_slice argv[] = {
        TL_SLICE_LIT("EVAL"),
        TL_SLICE_LIT(TL_RELAYD_SCRIPT_CLAIM),
        TL_SLICE_LIT("2"),
        tl_slice_str(key),
        TL_SLICE_LIT(KEY_EPOCH),
        tl_slice_str(epoch),
        tl_slice_str(seconds),
        tl_slice_str(c->id),
        TL_SLICE_LIT(CHANNEL_ALL),
        tl_slice_of(out->bytes.p, TL_FED_EPOCH_AT),
        tl_slice_of(out->bytes.p + at, out->bytes.n - at),
    };
    (void)ask(q, sizeof argv / sizeof *argv, argv);
}

static void release(tl_relayd_cluster *c, const tl_fed_output *out)
{
    char key[sizeof KEY_NODE + TL_NODE_ID_HEX], value[TL_FED_ID_MAX + 32];
    request *q = new_request(c, out->kind, 0);
    if (!q)
        return;
    memcpy(key, KEY_NODE, sizeof KEY_NODE);
    tl_node_id_write(key + sizeof KEY_NODE - 1, &out->node);
    snprintf(value, sizeof value, "%s %llu", c->id, (unsigned long long)out->epoch);
    const tl_slice argv[] = {
        TL_SLICE_LIT("EVAL"), TL_SLICE_LIT(TL_RELAYD_SCRIPT_RELEASE),
        TL_SLICE_LIT("1"),    tl_slice_str(key),
        tl_slice_str(value),  TL_SLICE_LIT(CHANNEL_ALL),
        out->bytes,
    };
    (void)ask(q, sizeof argv / sizeof *argv, argv);
}

/* --- leases --- */

static bool refresh_part(tl_relayd_cluster *c, request *q)
{
    enum { HEAD = 5 };
    char keys[TL_RELAYD_REFRESH_PART][sizeof KEY_NODE + TL_NODE_ID_HEX];
    char epochs[TL_RELAYD_REFRESH_PART][24], count[8], seconds[24];
    tl_slice argv[HEAD + 2 + 2 * TL_RELAYD_REFRESH_PART] = {TL_SLICE_LIT("EVAL"),
                                                            TL_SLICE_LIT(TL_RELAYD_SCRIPT_REFRESH)};
    size_t n = 4;
    snprintf(count, sizeof count, "%zu", q->n + 1);
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(3 * c->ttl / TL_SEC));
    argv[2] = tl_slice_str(count);
    argv[3] = TL_SLICE_LIT(KEY_EPOCH);
    for (size_t i = 0; i < q->n; i++) {
        memcpy(keys[i], KEY_NODE, sizeof KEY_NODE);
        tl_node_id_write(keys[i] + sizeof KEY_NODE - 1, &q->part[i].id);
        argv[n++] = tl_slice_str(keys[i]);
    }
    argv[n++] = tl_slice_str(c->id);
    argv[n++] = tl_slice_str(seconds);
    for (size_t i = 0; i < q->n; i++) {
        snprintf(epochs[i], sizeof epochs[i], "%llu", (unsigned long long)q->part[i].epoch);
        argv[n++] = tl_slice_str(epochs[i]);
    }
    c->refreshing++;
    if (ask(q, n, argv))
        return true;
    c->refreshing--;
    c->refresh_failed = true;
    return false;
}

/* Shows operators which relays there are. */
static void tell_presence(tl_relayd_cluster *c)
{
    char key[sizeof KEY_RELAY + TL_FED_ID_MAX], value[32], seconds[24];
    request *q = new_request(c, TL_FED_TO_FAR, 0);
    if (!q)
        return;
    snprintf(key, sizeof key, KEY_RELAY "%s", c->id);
    snprintf(value, sizeof value, "%llu",
             (unsigned long long)tl_relay_counters_of(c->relay)->nodes_registered);
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(3 * c->ttl / TL_SEC));
    const tl_slice argv[] = {TL_SLICE_LIT("SET"), tl_slice_str(key), tl_slice_str(value),
                             TL_SLICE_LIT("EX"), tl_slice_str(seconds)};
    (void)ask(q, 5, argv);
}

static void refresh(tl_relayd_cluster *c)
{
    const tl_relay_node *at = NULL;
    tl_node_id id;
    uint64_t epoch;
    if (c->refreshing)
        return; /* the server is slow: what it answers late counts from when it was asked */
    c->refresh_since = tl_loop_now(c->loop);
    tell_presence(c);
    do {
        request *q = new_request(c, TL_FED_REFRESH, TL_RELAYD_REFRESH_PART);
        c->refresh_failed = !q;
        if (!q)
            return;
        for (q->n = 0; q->n < TL_RELAYD_REFRESH_PART; q->n++) {
            at = tl_fed_node_after(c->relay, at, &id, &epoch);
            if (!at)
                break;
            q->part[q->n].id = id;
            q->part[q->n].epoch = epoch;
        }
        if (!refresh_part(c, q))
            return;
    } while (at);
}

/* --- what the relay wants --- */

static void report(void *user)
{
    tl_relayd_cluster *c = user;
    if (!c->commands)
        return;
    tl_fed_on_waiting(c->relay, false, tl_redis_queued(c->commands), tl_loop_now(c->loop));
    c->on_input(c->user);
}

void tl_relayd_cluster_output(tl_relayd_cluster *c, tl_fed_output out)
{
    if (c->state == UP) {
        switch (out.kind) {
        case TL_FED_SEND:
        case TL_FED_TO_FAR: publish(c, &out); break;
        case TL_FED_CLAIM: claim(c, &out); break;
        case TL_FED_RELEASE: release(c, &out); break;
        case TL_FED_REFRESH: refresh(c); break;
        case TL_FED_TO_NEAR: break;
        }
        tl_loop_defer(c->loop, &c->report, report, c);
    }
    tl_relay_chunk_unref(out.chunk);
}

bool tl_relayd_cluster_is_up(const tl_relayd_cluster *c)
{
    return c->state == UP;
}

bool tl_relayd_cluster_is_idle(const tl_relayd_cluster *c)
{
    return c->owed == 0;
}

/* --- what comes --- */

/* The other loops of this process are heard by another way. */
static bool is_of_process(const tl_relayd_cluster *c, tl_slice message)
{
    size_t id_at = TL_FED_EPOCH_AT + TL_FED_EPOCH_SIZE, n = strlen(c->process);
    return n && message.n > id_at + 1 + n && message.p[id_at] > n &&
           memcmp(message.p + id_at + 1, c->process, n) == 0;
}

static void on_message(void *user, tl_slice channel, tl_slice bytes)
{
    tl_relayd_cluster *c = user;
    (void)channel;
    c->heard = tl_loop_now(c->loop);
    if (c->state == UP && !is_of_process(c, bytes))
        tl_fed_on_message(c->relay, bytes, false, c->heard);
}

static void on_read(void *user)
{
    tl_relayd_cluster *c = user;
    if (c->state == UP)
        tl_loop_defer(c->loop, &c->report, report, c);
}

static void on_down(void *user, const char *why)
{
    rest(user, why);
}

/* --- connections --- */

static tl_time silence_max(const tl_relayd_cluster *c)
{
    return c->ttl / 4 + TL_REDIS_SILENT_MAX;
}

static void become_up(tl_relayd_cluster *c)
{
    c->state = UP;
    c->failures = 0;
    c->heard = tl_loop_now(c->loop);
    c->last_why.text[0] = 0;
    tl_log(TL_LOG_INFO, "event=redis_up server=%s:%u relay=%s", c->server.host, c->server.port,
           c->id);
    tl_timer_set(&c->timer, c->heard + silence_max(c));
    tl_fed_on_far(c->relay, true, c->heard);
    c->on_input(c->user);
}

static void on_commands_ready(void *user)
{
    tl_relayd_cluster *c = user;
    c->commands_ready = true;
}

/* The subscription has begun before anything is told: so no answer to it is missed. */
static void on_messages_ready(void *user)
{
    tl_relayd_cluster *c = user;
    char own[sizeof CHANNEL_TO + TL_FED_ID_MAX];
    snprintf(own, sizeof own, CHANNEL_TO "%s", c->id);
    const tl_slice channels[] = {TL_SLICE_LIT(CHANNEL_ALL), tl_slice_str(own)};
    if (tl_redis_subscribe(c->messages, 2, channels))
        rest(c, "out of memory");
}

static void on_first_read(void *user)
{
    tl_relayd_cluster *c = user;
    if (c->state == CONNECTING && c->commands_ready && c->messages &&
        tl_redis_is_listening(c->messages))
        become_up(c);
    else
        on_read(c);
}

static void connect_both(tl_relayd_cluster *c)
{
    static const tl_redis_events for_commands = {
        .on_ready = on_commands_ready, .on_read = on_first_read, .on_down = on_down};
    static const tl_redis_events for_messages = {.on_ready = on_messages_ready,
                                                 .on_message = on_message,
                                                 .on_read = on_first_read,
                                                 .on_down = on_down};
    c->state = CONNECTING;
    c->commands_ready = false;
    tl_err e =
        tl_redis_connect(c->loop, &c->server, c->tls, false, 0, &for_commands, c, &c->commands);
    if (!e)
        e = tl_redis_connect(c->loop, &c->server, c->tls, false, c->message_max + MESSAGE_ROOM,
                             &for_messages, c, &c->messages);
    if (e)
        rest(c, "out of memory");
}

/* --- Sentinels --- */

static void on_named(void *user, const redisReply *reply)
{
    tl_relayd_cluster *c = user;
    tl_why why;
    uint16_t port = 0;
    char host[TL_HOST_MAX] = "";
    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->str &&
        reply->element[1]->str) {
        snprintf(host, sizeof host, "%s", reply->element[0]->str);
        port = (uint16_t)strtoul(reply->element[1]->str, NULL, 10);
    }
    if (!host[0] || !port) {
        (void)tl_why_set(&why, TL_ERR_IO,
                         "the Sentinel names no server for %s; correct redis-master", c->master);
        rest(c, why.text);
        return;
    }
    memcpy(c->server.host, host, sizeof host);
    c->server.port = port;
    tl_redis_free(c->asked);
    c->asked = NULL;
    connect_both(c);
}

static void on_sentinel_ready(void *user)
{
    tl_relayd_cluster *c = user;
    const tl_slice argv[] = {TL_SLICE_LIT("SENTINEL"), TL_SLICE_LIT("get-master-addr-by-name"),
                             tl_slice_str(c->master)};
    if (tl_redis_command(c->asked, 3, argv, on_named, c))
        rest(c, "out of memory");
}

static void on_nothing(void *user)
{
    (void)user;
}

static void ask_sentinel(tl_relayd_cluster *c)
{
    static const tl_redis_events events = {
        .on_ready = on_sentinel_ready, .on_read = on_nothing, .on_down = on_down};
    const tl_redis_server *s = &c->sentinel[c->sentinel_next++ % c->sentinel_count];
    c->state = ASKING;
    if (tl_redis_connect(c->loop, s, c->tls, true, 0, &events, c, &c->asked))
        rest(c, "out of memory");
}

/* --- life --- */

static void tell_away(tl_relayd_cluster *c, const char *why)
{
    tl_time now = tl_loop_now(c->loop);
    if (strcmp(why, c->last_why.text) == 0 && now < c->told + TELL_EVERY)
        return;
    const tl_redis_server *s =
        c->state == ASKING ? &c->sentinel[(c->sentinel_next - 1) % c->sentinel_count] : &c->server;
    tl_log(TL_LOG_WARN,
           "event=redis_away server=%s:%u why=%s effect=\"local nodes go on; others are busy\"",
           s->host, s->port, tl_relayd_quote(why).text);
    snprintf(c->last_why.text, sizeof c->last_why.text, "%s", why);
    c->told = now;
}

static void disconnect(tl_relayd_cluster *c)
{
    tl_redis *had[] = {c->commands, c->messages, c->asked};
    c->commands = c->messages = c->asked = NULL;
    c->state = RESTING;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): of pointers */
    for (size_t i = 0; i < sizeof had / sizeof *had; i++)
        tl_redis_free(had[i]);
    tl_defer_cancel(c->loop, &c->report);
}

static void rest(tl_relayd_cluster *c, const char *why)
{
    bool was_up = c->state == UP;
    if (c->state == RESTING)
        return;
    tell_away(c, why);
    disconnect(c);
    tl_time most = RETRY_MIN << (c->failures < 6 ? c->failures : 6);
    if (most > RETRY_MAX)
        most = RETRY_MAX;
    c->failures++;
    /* relays that lost it together do not come back together */
    tl_timer_set(&c->timer,
                 tl_loop_now(c->loop) + most / 2 + tl_rand_below(&c->rand, most / 2 + 1));
    if (!was_up)
        return;
    tl_fed_on_far(c->relay, false, tl_loop_now(c->loop));
    c->on_input(c->user);
}

static void on_timer(void *user)
{
    tl_relayd_cluster *c = user;
    tl_time now = tl_loop_now(c->loop);
    if (c->state == UP && now < c->heard + silence_max(c))
        tl_timer_set(&c->timer, c->heard + silence_max(c));
    else if (c->state == UP)
        rest(c, "it passes no messages on");
    else if (c->state == RESTING && c->sentinel_count)
        ask_sentinel(c);
    else if (c->state == RESTING)
        connect_both(c);
}

tl_err tl_relayd_cluster_password(const tl_relayd_cluster_options *o, tl_redis_server *ret_server,
                                  tl_why *why)
{
    struct stat st;
    char line[TL_REDIS_PASSWORD_MAX + 2] = "";
    if (!o->password_file)
        return TL_OK;
    FILE *f = fopen(o->password_file, "re");
    if (!f)
        return tl_why_set(why, TL_ERR_IO, "cannot read the Redis password file %s: %s",
                          o->password_file, strerror(errno));
    if (fstat(fileno(f), &st) == 0 && st.st_mode & 07)
        tl_log(TL_LOG_WARN, "event=file_open_to_all file=%s remedy=\"chmod 600\"",
               tl_relayd_quote(o->password_file).text);
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    if (!got || !line[0] || strlen(line) >= sizeof ret_server->password)
        return tl_why_set(why, TL_ERR_INVALID,
                          "the first line of %s is not a password of 1 to %d characters",
                          o->password_file, TL_REDIS_PASSWORD_MAX - 1);
    snprintf(ret_server->password, sizeof ret_server->password, "%s", line);
    return TL_OK;
}

tl_err tl_relayd_cluster_new(tl_loop *loop, const tl_relayd_cluster_options *o, const char *id,
                             const char *process, tl_relay *relay, void (*on_input)(void *user),
                             void *user, tl_relayd_cluster **ret_cluster, tl_why *why)
{
    tl_relayd_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    c->loop = loop;
    c->relay = relay;
    c->on_input = on_input;
    c->user = user;
    c->server = o->server;
    memcpy(c->sentinel, o->sentinel, sizeof c->sentinel);
    c->sentinel_count = o->sentinel_count;
    memcpy(c->master, o->master, sizeof c->master);
    snprintf(c->id, sizeof c->id, "%s", id);
    snprintf(c->process, sizeof c->process, "%s", process);
    c->ttl = o->ttl_secs * TL_SEC;
    c->message_max = tl_relay_message_max(relay);
    c->rand = tl_rand_system();
    tl_timer_init(&c->timer, loop, on_timer, c);
    tl_err e = tl_relayd_cluster_password(o, &c->server, why);
    if (!e && o->server.tls)
        e = tl_tls_client(o->ca_file, &c->tls, why);
    if (e) {
        tl_relayd_cluster_free(c);
        return e;
    }
    tl_timer_set(&c->timer, tl_loop_now(loop));
    *ret_cluster = c;
    return TL_OK;
}

void tl_relayd_cluster_free(tl_relayd_cluster *c)
{
    if (!c)
        return;
    disconnect(c);
    tl_timer_stop(&c->timer);
    tl_tls_unref(c->tls);
    free(c);
}
