#include "relayd/check.h"

#include "base/rand.h"
#include "io/stream.h"
#include "relayd/cluster.h"
#include "wire/stun.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS   1000 /* for an answer of this machine, or of one in its network */
#define FILES_MIN 4096 /* with fewer descriptors a relay is for friends only */

typedef struct {
    const tl_relayd_options *o;
    bool all_well;
} checking;

static void print(const char *word, const char *fmt, va_list ap) TL_PRINTF(2, 0);
static void print(const char *word, const char *fmt, va_list ap)
{
    printf("%-5s", word);
    vprintf(fmt, ap);
    fputs("\n", stdout);
    fflush(stdout); /* the next test may take seconds */
}

static void say(checking *c, bool good, const char *fmt, ...) TL_PRINTF(3, 4);
static void say(checking *c, bool good, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print(good ? "OK" : "FAIL", fmt, ap);
    va_end(ap);
    c->all_well &= good;
}

/* What is wrong unless something that cannot be seen from here makes it right. */
static void warn(const char *fmt, ...) TL_PRINTF(1, 2);
static void warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print("WARN", fmt, ap);
    va_end(ap);
}

/* --- the certificate --- */

static void check_certificate(checking *c)
{
    const tl_relayd_options *o = c->o;
    tl_tls *tls;
    tl_why why;
    char host[TL_HOST_MAX];
    uint16_t port;
    if (!o->tls_cert) {
        say(c, true, "certificate: none is set, so the relay speaks ws:// alone");
        return;
    }
    if (tl_tls_server(o->tls_cert, o->tls_key, &tls, &why)) {
        say(c, false, "certificate %s: %s", o->tls_cert, why.text);
        return;
    }
    bool good = tl_tls_examine(tls, NULL, &why) == TL_OK;
    say(c, good, "certificate %s%s%s%s", o->tls_cert, good ? "" : ": ", good ? "" : why.text,
        good ? "" : "; renew it, or set this machine's clock");
    for (size_t i = 0; good && i < o->relay.name_count; i++) {
        if (tl_hostport_parse(tl_slice_str(o->relay.names[i]), 443, host, &port))
            continue;
        bool named = tl_tls_examine(tls, host, &why) == TL_OK;
        say(c, named, "certificate for %s%s%s%s", host, named ? "" : ": ", named ? "" : why.text,
            named ? "" : "; get one for that name, or correct --name");
    }
    tl_tls_unref(tls);
}

/* --- names --- */

static bool listens_on_loopback_alone(const tl_relayd_options *o)
{
    for (size_t i = 0; i < o->listen_count; i++) {
        tl_addr a;
        bool literal = tl_addr_parse_ip(tl_slice_str(o->listen[i].host), &a) == TL_OK;
        if (literal ? !tl_addr_is_loopback(&a) : strcmp(o->listen[i].host, "localhost") != 0)
            return false;
    }
    return true;
}

/* The port that nodes sign with the name; 0: none, for it is the scheme's own. */
static uint16_t signed_port(const tl_relayd_endpoint *at)
{
    return at->port == (at->tls ? 443 : 80) ? 0 : at->port;
}

/* Whether a node that dials this name at one of the relay's own ports is taken, or comes through a
 * proxy. `port` is 0 where the name has none. */
static bool is_signed_so(const tl_relayd_options *o, uint16_t port)
{
    if (o->proxies.count || listens_on_loopback_alone(o))
        return true;
    for (size_t i = 0; i < o->listen_count; i++)
        if (!o->listen[i].port || signed_port(&o->listen[i]) == port)
            return true;
    return false;
}

/* Names the port that the first listener has. */
static void warn_of_port(const tl_relayd_options *o, const char *name, const char *host)
{
    const tl_relayd_endpoint *at = &o->listen[0];
    bool v6 = strchr(host, ':');
    char right[TL_HOST_MAX + 9];
    int n = snprintf(right, sizeof right, v6 ? "[%s]" : "%s", host);
    if (signed_port(at))
        snprintf(right + n, sizeof right - (size_t)n, ":%u", at->port);
    warn("name %s: a node that dials %s://%s signs that, and is refused as unauthorized; give "
         "--name %s, unless a proxy or router in front has the port of the name",
         name, at->tls ? "wss" : "ws", right, right);
}

static void check_names(checking *c)
{
    char host[TL_HOST_MAX];
    uint16_t port;
    for (size_t i = 0; i < c->o->relay.name_count; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        if (tl_hostport_parse(tl_slice_str(c->o->relay.names[i]), 0, host, &port))
            continue;
        int status = getaddrinfo(host, NULL, &hints, &list);
        if (status)
            say(c, false, "name %s: %s; make an A or AAAA record for it that names this machine",
                host, gai_strerror(status));
        else if (!is_signed_so(c->o, port))
            warn_of_port(c->o, c->o->relay.names[i], host);
        else
            say(c, true, "name %s", host);
        if (list)
            freeaddrinfo(list);
    }
    if (!c->o->relay.name_count)
        say(c, true, "name: none is set, so nodes must dial an IP address of this machine");
}

static void check_limits(checking *c)
{
    const tl_relay_limits *l = &c->o->relay.limits;
    if (c->o->limits_given && !l->on)
        say(c, false,
            "limits: a limit is set, and none holds without limits; add --limits, or "
            "limits = true");
    else if (l->on)
        say(c, true, "limits: %u sessions at once, %u KB/s a node", (unsigned)l->max_sessions,
            (unsigned)l->bootstrap_kbps);
    else
        say(c, true, "limits: none hold");
}

/* --- TCP ports --- */

static void forget_connection(void *user, int fd, const tl_addr *remote)
{
    (void)user, (void)remote;
    close(fd);
}

static void listen_at(checking *c, tl_loop *loop, const tl_addr *a, bool tls)
{
    char text[TL_ADDR_TEXT_MAX];
    const char *scheme = tls ? "wss" : "ws";
    tl_listener *listener;
    tl_why why;
    tl_addr_write(text, a);
    tl_err e = tl_listen(loop, a, 1, forget_connection, NULL, &listener, &why);
    if (!e)
        tl_listener_free(listener);
    if (e == TL_ERR_EXISTS)
        say(c, true, "listen %s://%s: in use already; right if this relay runs now", scheme, text);
    else
        say(c, !e, "listen %s://%s%s%s", scheme, text, e ? ": " : "", e ? why.text : "");
}

static void check_listen(checking *c, tl_loop *loop)
{
    for (size_t i = 0; i < c->o->listen_count; i++) {
        const tl_relayd_endpoint *at = &c->o->listen[i];
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        int status = getaddrinfo(at->host, NULL, &hints, &list);
        if (status)
            say(c, false, "listen %s: no such name (%s)", at->host, gai_strerror(status));
        for (struct addrinfo *a = list; a; a = a->ai_next) {
            tl_addr addr = tl_addr_from_sockaddr(a->ai_addr);
            addr.port = at->port;
            if (addr.family != TL_ADDR_NONE)
                listen_at(c, loop, &addr, at->tls);
        }
        if (list)
            freeaddrinfo(list);
    }
}

static void check_files(checking *c)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    unsigned long long most = (unsigned long long)rl.rlim_max;
    if (rl.rlim_max < FILES_MIN)
        say(c, false, "open files: %llu, and each node takes one; raise it (ulimit -Hn 65536)",
            most);
    else
        say(c, true, "open files: %llu", most);
}

/* --- UDP --- */

/* The real port is put into `bound`. */
static int udp_socket(tl_addr *bound, int *ret_error)
{
    struct sockaddr_storage ss;
    int fd = socket(bound->family == TL_ADDR_V6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = tl_addr_to_sockaddr(bound, &ss);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&ss, n) == 0) {
        if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
            bound->port = tl_addr_from_sockaddr((struct sockaddr *)&ss).port;
        return fd;
    }
    *ret_error = errno;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* What nodes are told to ask. TL_ERR_UNREACHABLE: there is no such name. */
static tl_err announced(const tl_relayd_options *o, const tl_addr *bound, tl_addr *ret)
{
    char host[TL_HOST_MAX];
    uint16_t port = bound->port, of_name;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list = NULL;
    tl_err e = TL_ERR_NOT_FOUND;
    *ret = *bound;
    if (o->udp_announce[0])
        e = tl_hostport_parse(tl_slice_str(o->udp_announce), bound->port, host, &port);
    else if (tl_addr_is_unspecified(bound))
        e = tl_hostport_parse(tl_slice_str(o->relay.names[0]), 1, host, &of_name);
    if (e)
        return TL_OK;
    hints.ai_family = bound->family == TL_ADDR_V6 ? AF_INET6 : AF_INET;
    if (getaddrinfo(host, NULL, &hints, &list) || !list)
        return TL_ERR_UNREACHABLE;
    *ret = tl_addr_from_sockaddr(list->ai_addr);
    ret->port = port;
    freeaddrinfo(list);
    return TL_OK;
}

/* Sends a question to `to` and waits for it at `fd`, or, if a relay runs there already, for its
 * answer. */
static bool passes(int fd, bool is_ours, const tl_addr *to)
{
    struct sockaddr_storage ss;
    socklen_t n = tl_addr_to_sockaddr(to, &ss);
    tl_addr any = {.family = to->family};
    tl_rand rand = tl_rand_system();
    tl_stun_id id;
    tl_stun_writer w;
    uint8_t got[1500];
    int error;
    int asker = udp_socket(&any, &error);
    if (asker < 0)
        return false;
    tl_rand_bytes(&rand, id.bytes, sizeof id.bytes);
    tl_stun_begin(&w, TL_STUN_REQUEST, &id);
    tl_stun_finish(&w);
    bool came = false;
    if (sendto(asker, w.bytes, w.n, 0, (struct sockaddr *)&ss, n) == (ssize_t)w.n) {
        struct pollfd p = {.fd = is_ours ? fd : asker, .events = POLLIN};
        tl_stun s;
        ssize_t length = poll(&p, 1, WAIT_MS) == 1 ? recv(p.fd, got, sizeof got, 0) : -1;
        came = length > 0 && tl_stun_read(tl_slice_of(got, (size_t)length), &s) == TL_OK &&
               memcmp(s.id.bytes, id.bytes, sizeof id.bytes) == 0;
    }
    close(asker);
    return came;
}

static void check_udp(checking *c)
{
    for (size_t i = 0; i < c->o->udp_count; i++) {
        tl_addr at = c->o->udp[i], *bound = &at;
        char text[TL_ADDR_TEXT_MAX], told[TL_ADDR_TEXT_MAX];
        int error = 0;
        tl_addr to;
        int fd = udp_socket(bound, &error);
        tl_addr_write(text, bound);
        if (fd < 0 && error != EADDRINUSE) {
            say(c, false, "udp %s: %s; give an address of this machine", text, strerror(error));
            continue;
        }
        if (announced(c->o, bound, &to)) {
            say(c, false,
                "udp %s: what nodes are told to ask is no name of DNS; correct "
                "--udp-announce or --name",
                text);
        } else {
            tl_addr_write(told, &to);
            if (passes(fd, fd >= 0, &to))
                say(c, true, "udp %s: reached at %s from this machine%s", text, told,
                    fd < 0 ? ", where a relay answers now" : "");
            else
                say(c, false,
                    "udp %s: nothing comes back from %s; open UDP port %u in the firewall, or "
                    "correct --udp-announce (a NAT that does not turn packets round says this, "
                    "too)",
                    text, told, to.port);
        }
        if (fd >= 0)
            close(fd);
    }
    if (!c->o->udp_count)
        say(c, true, "udp: none is set, so nodes need another STUN server");
}

/* --- proxies in front --- */

static void check_proxies(checking *c)
{
    const tl_relayd_options *o = c->o;
    bool loopback_alone = listens_on_loopback_alone(o);
    for (size_t i = 0; i < o->proxies.count; i++) {
        const tl_cidr *p = &o->proxies.list[i];
        char ip[TL_ADDR_TEXT_MAX];
        tl_addr_write_ip(ip, &p->net);
        if (loopback_alone && !tl_addr_is_loopback(&p->net))
            say(c, false,
                "trusted-proxy %s/%u: the relay listens on loopback alone, where no such address "
                "comes from; give --listen an address that the proxy reaches",
                ip, p->bits);
        else
            say(c, true, "trusted-proxy %s/%u: %s", ip, p->bits,
                o->proxy_protocol ? "begins with a PROXY header"
                                  : "tells its clients by X-Forwarded-For");
    }
}

/* --- Redis --- */

typedef struct {
    tl_loop *loop;
    tl_redis *redis;
    const tl_relayd_options *o;
    tl_redis_server server;
    tl_tls *tls;
    bool asks_sentinel, good;
    tl_why why;
} redis_check;

static void end_redis(redis_check *k, bool good, const char *why)
{
    k->good = good;
    (void)tl_why_set(&k->why, TL_OK, "%s", why);
    tl_loop_stop(k->loop);
}

static void on_tried(void *user, const redisReply *reply)
{
    redis_check *k = user;
    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        end_redis(k, false, tl_log_safe(tl_slice_str(reply->str)).text);
    else
        end_redis(k, true, "");
}

static void on_ready(void *user);
static void on_down(void *user, const char *why)
{
    end_redis(user, false, why);
}

static void on_read(void *user)
{
    (void)user;
}

static void connect_redis(redis_check *k, const tl_redis_server *server, bool is_sentinel)
{
    static const tl_redis_events events = {
        .on_ready = on_ready, .on_read = on_read, .on_down = on_down};
    tl_redis_free(k->redis);
    k->redis = NULL;
    k->asks_sentinel = is_sentinel;
    if (tl_redis_connect(k->loop, server, k->tls, is_sentinel, 0, &events, k, &k->redis))
        end_redis(k, false, "out of memory");
}

static void on_named(void *user, const redisReply *reply)
{
    redis_check *k = user;
    if (!reply)
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !reply->element[0]->str ||
        !reply->element[1]->str) {
        end_redis(k, false, "the Sentinel knows no such server; correct --redis-master");
        return;
    }
    snprintf(k->server.host, sizeof k->server.host, "%s", reply->element[0]->str);
    k->server.port = (uint16_t)strtoul(reply->element[1]->str, NULL, 10);
    connect_redis(k, &k->server, false);
}

/* What the cluster needs: a script that writes a key with a lifetime, and publishes. */
static void on_ready(void *user)
{
    redis_check *k = user;
    static const char script[] = "redis.call('SET',KEYS[1],'1','EX',1)\n"
                                 "redis.call('PUBLISH','teale:check','')\n"
                                 "return redis.call('TIME')";
    const tl_slice try[] = {TL_SLICE_LIT("EVAL"), TL_SLICE_LIT(script), TL_SLICE_LIT("1"),
                            TL_SLICE_LIT("teale:check")};
    const tl_slice ask[] = {TL_SLICE_LIT("SENTINEL"), TL_SLICE_LIT("get-master-addr-by-name"),
                            tl_slice_str(k->o->cluster.master)};
    tl_err e = k->asks_sentinel ? tl_redis_command(k->redis, 3, ask, on_named, k)
                                : tl_redis_command(k->redis, 4, try, on_tried, k);
    if (e)
        end_redis(k, false, "out of memory");
}

static void check_redis(checking *c, tl_loop *loop)
{
    const tl_relayd_cluster_options *o = &c->o->cluster;
    redis_check k = {.loop = loop, .o = c->o, .server = o->server};
    if (!o->on)
        return;
    tl_err e = tl_relayd_cluster_password(o, &k.server, &k.why);
    if (!e && o->server.tls)
        e = tl_tls_client(o->ca_file, &k.tls, &k.why);
    for (size_t i = 0; !e && i < (o->sentinel_count ? o->sentinel_count : 1); i++) {
        const tl_redis_server *s = o->sentinel_count ? &o->sentinel[i] : &k.server;
        connect_redis(&k, s, o->sentinel_count > 0);
        if (k.redis)
            tl_loop_run(loop);
        if (o->sentinel_count)
            say(c, k.good, "redis-sentinel %s:%u: %s%s", o->sentinel[i].host, o->sentinel[i].port,
                k.good ? "it names a server that works" : k.why.text, "");
        tl_redis_free(k.redis);
        k.redis = NULL;
    }
    if (k.good)
        say(c, true, "redis %s:%u: keys, scripts and messages work", k.server.host, k.server.port);
    else
        say(c, false, "redis %s:%u: %s", k.server.host, k.server.port, k.why.text);
    tl_tls_unref(k.tls);
}

bool tl_relayd_check(const tl_relayd_options *options)
{
    checking c = {.o = options, .all_well = true};
    tl_loop *loop;
    char token[TL_RELAYD_TOKEN_MAX];
    tl_why why;
    say(&c, true, "configuration");
    if (options->admin_token_file) {
        bool good = tl_relayd_token_read(options->admin_token_file, token, &why) == TL_OK;
        say(&c, good, "admin token%s%s", good ? "" : ": ", good ? "" : why.text);
    }
    if (tl_loop_new(&loop)) {
        say(&c, false, "out of memory");
        return false;
    }
    check_certificate(&c);
    check_names(&c);
    check_listen(&c, loop);
    check_files(&c);
    check_limits(&c);
    check_udp(&c);
    check_proxies(&c);
    check_redis(&c, loop);
    tl_loop_free(loop);
    return c.all_well;
}
