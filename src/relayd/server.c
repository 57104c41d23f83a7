#include "relayd/server.h"

#include "io/sysinfo.h"
#include "relayd/cluster.h"
#include "relayd/hub.h"
#include "relayd/loops.h"
#include "relayd/quote.h"
#include "relayd/udp.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BACKLOG     1024 /* many nodes reconnect at once after a restart */
#define SOCKETS_MAX (4 * TL_RELAYD_LISTEN_MAX)
#define DRAIN_LOOK  (100 * TL_MS) /* between two looks whether all have moved */
#define NEAR_LOOK_AT                                                                               \
    (4u << 20) /* bytes in another loop's mailbox: from here on it is looked at again */
#define NEAR_LOOK    (2 * TL_MS)
#define RESERVED_FDS 64 /* for listeners, the loop, and files that are read again */

typedef struct {
    tl_relayd_server *server;
    tl_listener *listener;
    bool tls;
} relayd_socket;

struct tl_relayd_server {
    tl_loop *loop;
    tl_relayd_loops *loops; /* NULL: this is the only one */
    size_t index;           /* among them */
    tl_timer near_timer;    /* looks whether a full mailbox has emptied */
    tl_rand rand;
    tl_relay *relay;
    tl_relayd_hub hub;
    tl_relayd_cluster *cluster; /* NULL: no --redis */
    tl_relayd_udp *udp;         /* NULL: no --udp */
    tl_tls *tls;
    char *tls_cert, *tls_key, *admin_token_file;
    tl_proxies proxies; /* --trusted-proxy */
    size_t name_count;
    char names[TL_RELAY_NAMES_MAX][TL_HOST_MAX + 6]; /* --name: what nodes dial */
    size_t socket_count;
    relayd_socket sockets[SOCKETS_MAX];
    tl_timer farewell, drain;
    unsigned drain_secs;
    tl_time drain_until;
    bool ending;
};

static void check_ended(tl_relayd_server *s)
{
    /* what the cluster is told of our nodes goes out before we do */
    if (s->ending && s->hub.conn_count == 0 &&
        (!s->cluster || tl_relayd_cluster_is_idle(s->cluster)))
        tl_loop_stop(s->loop);
}

static void on_last_conn(void *user)
{
    check_ended(user);
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    relayd_socket *at = user;
    tl_relayd_server *s = at->server;
    tl_relayd_hub_accept(&s->hub, fd, remote, at->tls ? s->tls : NULL);
}

/* --- beginning --- */

static tl_err listen_at(tl_relayd_server *s, const tl_addr *addr, bool tls, tl_why *why)
{
    if (s->socket_count == SOCKETS_MAX)
        return tl_why_set(why, TL_ERR_INVALID, "more than %d addresses to listen on", SOCKETS_MAX);
    relayd_socket *at = &s->sockets[s->socket_count];
    *at = (relayd_socket){.server = s, .tls = tls};
    tl_err e = s->loops ? tl_listen_shared(s->loop, addr, BACKLOG, s->index > 0, on_accept, at,
                                           &at->listener, why)
                        : tl_listen(s->loop, addr, BACKLOG, on_accept, at, &at->listener, why);
    if (e)
        return e;
    s->socket_count++;
    if (!tls && s->index == 0 && !tl_addr_is_loopback(addr)) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, addr);
        tl_log(TL_LOG_WARN,
               "event=not_encrypted listen=%s effect=\"the network sees which node asks which\" "
               "remedy=\"--tls-cert and --tls-key, or a TLS proxy in front\"",
               text);
    }
    return TL_OK;
}

/* Listens on every address of a name (localhost has two). An address that this machine lacks (IPv6
 * is switched off) is skipped if another works. */
static tl_err listen_endpoint(tl_relayd_server *s, const tl_relayd_endpoint *at, tl_why *why)
{
    tl_addr literal;
    if (tl_addr_parse_ip(tl_slice_str(at->host), &literal) == TL_OK) {
        literal.port = at->port;
        return listen_at(s, &literal, at->tls, why);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int status = getaddrinfo(at->host, NULL, &hints, &list);
    if (status)
        return tl_why_set(why, TL_ERR_UNREACHABLE, "cannot listen on %s: no such name (%s)",
                          at->host, gai_strerror(status));
    size_t before = s->socket_count;
    tl_err e = TL_OK, last = TL_OK;
    for (struct addrinfo *i = list; i && (!e || e == TL_ERR_IO); i = i->ai_next) {
        tl_addr addr = tl_addr_from_sockaddr(i->ai_addr);
        addr.port = at->port;
        if (addr.family != TL_ADDR_NONE && (e = listen_at(s, &addr, at->tls, why)) != TL_OK)
            last = e;
    }
    freeaddrinfo(list);
    return last != TL_ERR_IO || s->socket_count == before ? last : TL_OK;
}

/* Each connection needs a descriptor. With this limit the relay refuses with a reason, before the
 * kernel refuses without one. */
static void fit_descriptors(tl_relay_config *config, bool tells)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &rl) < 0 && getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rlim_t room = rl.rlim_cur > 2 * RESERVED_FDS ? rl.rlim_cur - RESERVED_FDS : RESERVED_FDS;
    if (room >= config->conns_max)
        return;
    if (tells)
        tl_log(TL_LOG_INFO,
               "event=few_descriptors connections_max=%llu remedy=\"a higher limit of open files "
               "(ulimit -n, LimitNOFILE=)\"",
               (unsigned long long)room);
    config->conns_max = (uint32_t)room;
    if (config->unregistered_max > config->conns_max / 4)
        config->unregistered_max = config->conns_max / 4;
}

/* A quarter of the machine's memory, but at most half of what the service may have at all: what the
 * kernel keeps for sockets counts there, too. */
static void fit_memory(tl_relay_config *config)
{
    tl_sysinfo_memory memory;
    if (config->memory_max)
        return;
    tl_sysinfo_read_memory("", &memory);
    uint64_t most = memory.machine / 4;
    if (most > memory.group / 2)
        most = memory.group / 2;
    if (most > TL_RELAYD_MEMORY_MAX)
        most = TL_RELAYD_MEMORY_MAX;
    config->memory_max = most > TL_RELAYD_MEMORY_MIN ? (size_t)most : TL_RELAYD_MEMORY_MIN;
}

static void advise(const tl_relayd_options *o)
{
    bool beyond = false;
    for (size_t i = 0; i < o->listen_count; i++) {
        tl_addr a;
        beyond |= tl_addr_parse_ip(tl_slice_str(o->listen[i].host), &a) || !tl_addr_is_loopback(&a);
    }
    if (beyond && o->relay.name_count == 0)
        tl_log(
            TL_LOG_INFO,
            "event=no_name effect=\"only nodes that dial an IP address or localhost can register\" "
            "remedy=--name");
}

static tl_err copy_files(tl_relayd_server *s, const tl_relayd_options *o)
{
    if (o->tls_cert && !(s->tls_cert = strdup(o->tls_cert)))
        return TL_ERR_NOMEM;
    if (o->tls_key && !(s->tls_key = strdup(o->tls_key)))
        return TL_ERR_NOMEM;
    if (o->admin_token_file && !(s->admin_token_file = strdup(o->admin_token_file)))
        return TL_ERR_NOMEM;
    return TL_OK;
}

/* Sets the STUN server that registerAck tells to nodes (docs/protocol.md "Relay signalling"). Nodes
 * cannot ask a wildcard; the options make sure that there is a name then. */
static void announce(const tl_relayd_options *o, tl_addr at, tl_relay_config *config)
{
    char host[TL_HOST_MAX] = "";
    uint16_t port = at.port, of_name;
    tl_err e;
    if (o->udp_announce[0])
        e = tl_hostport_parse(tl_slice_str(o->udp_announce), at.port, host, &port);
    else if (tl_addr_is_unspecified(&at))
        e = tl_hostport_parse(tl_slice_str(o->relay.names[0]), 1, host, &of_name);
    else
        e = TL_ERR_NOT_FOUND;
    if (e)
        tl_addr_write(config->udp, &at);
    else
        snprintf(config->udp, sizeof config->udp, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                 port);
}

static tl_err start_udp(tl_relayd_server *s, const tl_relayd_options *o, tl_relay_config *config,
                        tl_why *why)
{
    if (o->udp_count == 0)
        return TL_OK;
    tl_err e =
        tl_relayd_udp_new(s->loop, o->udp, o->udp_count, (unsigned)s->index,
                          s->loops ? (unsigned)tl_relayd_loops_count(s->loops) : 1, &s->udp, why);
    if (e)
        return e;
    announce(o, tl_relayd_udp_addr(s->udp), config);
    tl_relayd_udp_config(s->udp, &config->tokens);
    return TL_OK;
}

/* Nodes would refuse the certificate. Here it is told where its owner looks; the relay starts all the
 * same, because the certificate may be renewed while it runs. */
static void judge_certificate(const tl_relayd_server *s)
{
    tl_why why;
    char host[TL_HOST_MAX];
    uint16_t port;
    if (tl_tls_examine(s->tls, NULL, &why)) {
        tl_log(TL_LOG_WARN,
               "event=certificate_unusable file=%s why=%s remedy=\"renew it, then SIGHUP; or set "
               "this machine's clock\"",
               tl_relayd_quote(s->tls_cert).text, tl_relayd_quote(why.text).text);
        return;
    }
    for (size_t i = 0; i < s->name_count; i++)
        if (!tl_hostport_parse(tl_slice_str(s->names[i]), 443, host, &port) &&
            tl_tls_examine(s->tls, host, &why))
            tl_log(TL_LOG_WARN,
                   "event=certificate_not_for_name name=%s file=%s why=%s remedy=\"a certificate "
                   "for that name, or another --name\"",
                   s->names[i], tl_relayd_quote(s->tls_cert).text, tl_relayd_quote(why.text).text);
}

/* --- the cluster --- */

static void look_at_mailboxes(void *user)
{
    tl_relayd_server *s = user;
    size_t waiting = tl_relayd_loops_waiting(s->loops);
    tl_fed_on_waiting(s->relay, true, waiting, tl_loop_now(s->loop));
    if (waiting >= NEAR_LOOK_AT)
        tl_timer_set(&s->near_timer, tl_loop_now(s->loop) + NEAR_LOOK);
    tl_relayd_hub_pump(&s->hub);
}

static void post(tl_relayd_server *s, const tl_fed_output *out)
{
    size_t waiting = s->loops ? tl_relayd_loops_post(s->loops, s->index, out) : 0;
    if (waiting < NEAR_LOOK_AT)
        tl_fed_on_waiting(s->relay, true, waiting, tl_loop_now(s->loop));
    else if (s->near_timer.at == TL_NEVER)
        tl_timer_set(&s->near_timer, tl_loop_now(s->loop));
    tl_relay_chunk_unref(out->chunk);
}

static void on_fed(void *user, tl_fed_output out)
{
    tl_relayd_server *s = user;
    if (out.kind == TL_FED_TO_NEAR || (out.kind == TL_FED_SEND && out.near))
        post(s, &out);
    else if (s->cluster)
        tl_relayd_cluster_output(s->cluster, out);
    else
        tl_relay_chunk_unref(out.chunk);
}

static bool ask_all(void *user, tl_relayd_conn *c, tl_slice request, bool with_peers)
{
    tl_relayd_server *s = user;
    return tl_relayd_loops_ask(s->loops, s->index, c, request, with_peers);
}

static void pass(void *user, size_t loop, const tl_burst_way *way, tl_slice bytes)
{
    tl_relayd_server *s = user;
    if (!tl_relayd_loops_pass(s->loops, loop, way, bytes))
        tl_relay_lost_datagram(s->relay);
}

void tl_relayd_server_on_near(tl_relayd_server *s, tl_slice bytes)
{
    tl_fed_on_message(s->relay, bytes, true, tl_loop_now(s->loop));
}

void tl_relayd_server_on_datagram(tl_relayd_server *s, const tl_burst_way *way, uint8_t *bytes,
                                  size_t n)
{
    tl_relay_on_datagrams(s->relay, way, bytes, n, n, tl_loop_now(s->loop));
}

void tl_relayd_server_pump(tl_relayd_server *s)
{
    tl_relayd_hub_pump(&s->hub);
    check_ended(s);
}

void tl_relayd_server_see(const tl_relayd_server *s, tl_relayd_view *v)
{
    tl_relayd_hub_see(&s->hub, v);
}

static void on_cluster_input(void *user)
{
    tl_relayd_server *s = user;
    tl_relayd_hub_pump(&s->hub);
    check_ended(s);
}

static tl_err start_cluster(tl_relayd_server *s, const tl_relayd_cluster_options *o,
                            const tl_relayd_place *place, tl_why *why)
{
    char id[TL_FED_ID_MAX + 1], process[TL_FED_ID_MAX + 1] = "";
    if (!o->on && !s->loops)
        return TL_OK;
    if (s->loops) {
        snprintf(id, sizeof id, "%.48s.%zu", place->process, place->index);
        snprintf(process, sizeof process, "%.48s.", place->process);
    } else {
        snprintf(id, sizeof id, "%s", place->process);
    }
    s->hub.on_fed = on_fed;
    s->hub.fed_user = s;
    s->hub.ask_all = s->loops ? ask_all : NULL;
    s->hub.pass = s->loops ? pass : NULL;
    tl_fed_config config = {.id = id, .ttl = o->ttl_secs * TL_SEC, .far = o->on};
    tl_err e = tl_relay_federate(s->relay, &config, tl_loop_now(s->loop));
    if (e)
        return tl_why_set(why, e, "out of memory");
    return o->on ? tl_relayd_cluster_new(s->loop, o, id, process, s->relay, on_cluster_input, s,
                                         &s->cluster, why)
                 : TL_OK;
}

/* Connections are spread evenly over the loops, but for chance: each gets its part of the bounds, and
 * a quarter more of those that are counted by address. Sessions are few, and where a node is says
 * nothing of how many it wants: they have one bound for all loops. */
static void share_bounds(tl_relay_config *config, size_t loops)
{
    uint32_t n = (uint32_t)loops;
    config->memory_max /= loops;
    config->conns_max = config->conns_max / n + config->conns_max / n / 4;
    config->unregistered_max /= n;
    config->conns_per_address_max = config->conns_per_address_max / n * 5 / 4 + 1;
    config->unregistered_per_address_max = config->unregistered_per_address_max / n * 5 / 4 + 1;
    config->unregistered_per_site_max = config->unregistered_per_site_max / n * 5 / 4 + 1;
}

static tl_err start(tl_relayd_server *s, const tl_relayd_options *o, const tl_relayd_place *place,
                    tl_why *why)
{
    tl_relay_config config = o->relay;
    s->name_count = config.name_count;
    memcpy(s->names, config.names, sizeof s->names);
    tl_err e = copy_files(s, o);
    if (e)
        return tl_why_set(why, e, "out of memory");
    fit_descriptors(&config, s->index == 0);
    fit_memory(&config);
    if (s->loops) {
        share_bounds(&config, tl_relayd_loops_count(s->loops));
        tl_relayd_loops_share(s->loops, &config.limits);
    }
    e = start_udp(s, o, &config, why);
    if (e)
        return e;
    e = tl_relay_new(&config, &s->rand, &s->relay);
    if (!e)
        e = tl_relayd_hub_init(&s->hub, s->loop, s->relay);
    if (e)
        return tl_why_set(why, e, "out of memory");
    e = start_cluster(s, &o->cluster, place, why);
    if (e)
        return e;
    s->proxies = o->proxies;
    s->hub.proxies = o->proxies.count ? &s->proxies : NULL;
    s->hub.proxy_protocol = o->proxy_protocol;
    s->hub.udp = s->udp;
    if (s->udp)
        tl_relayd_udp_attach(s->udp, &s->hub);
    if (s->admin_token_file)
        e = tl_relayd_token_read(s->admin_token_file, s->hub.token, why);
    if (!e && s->tls_cert)
        e = tl_tls_server(s->tls_cert, s->tls_key, &s->tls, why);
    if (!e && s->tls_cert && s->index == 0)
        judge_certificate(s);
    for (size_t i = 0; !e && i < o->listen_count; i++)
        e = listen_endpoint(s, &o->listen[i], why);
    return e;
}

static void on_farewell_over(void *user)
{
    tl_relayd_server *s = user;
    tl_log(TL_LOG_INFO, "event=connections_cut count=%zu", s->hub.conn_count);
    tl_loop_stop(s->loop);
}

static void on_drain(void *user)
{
    tl_relayd_server *s = user;
    tl_time now = tl_loop_now(s->loop);
    if (now >= s->drain_until || !tl_relay_is_needed(s->relay))
        tl_relayd_server_shutdown(s);
    else
        tl_timer_set(&s->drain, now + DRAIN_LOOK);
}

void tl_relayd_server_drain(tl_relayd_server *s)
{
    tl_time now = tl_loop_now(s->loop);
    if (s->ending || s->drain_until)
        return;
    s->drain_until = now + s->drain_secs * TL_SEC;
    tl_relay_say_goodbye(s->relay, s->drain_secs, now);
    tl_relayd_hub_pump(&s->hub);
    on_drain(s);
}

tl_err tl_relayd_server_new(tl_loop *loop, const tl_relayd_options *options,
                            const tl_relayd_place *place, tl_relayd_server **ret_server,
                            tl_why *why)
{
    tl_relayd_server *s = calloc(1, sizeof *s);
    if (!s)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    s->loop = loop;
    s->loops = place->loops;
    s->index = place->index;
    s->rand = tl_rand_system();
    s->drain_secs = options->drain_secs;
    tl_timer_init(&s->farewell, loop, on_farewell_over, s);
    tl_timer_init(&s->drain, loop, on_drain, s);
    tl_timer_init(&s->near_timer, loop, look_at_mailboxes, s);
    tl_err e = start(s, options, place, why);
    if (e) {
        tl_relayd_server_free(s);
        return e;
    }
    s->hub.on_last_conn = on_last_conn;
    s->hub.user = s;
    if (s->index == 0)
        advise(options);
    *ret_server = s;
    return TL_OK;
}

void tl_relayd_server_fix_ports(const tl_relayd_server *s, tl_relayd_options *options)
{
    size_t at = 0;
    for (size_t i = 0; i < options->listen_count && at < s->socket_count; i++) {
        tl_addr a = tl_listener_addr(s->sockets[at].listener);
        if (!options->listen[i].port) { /* port 0 of a name with two addresses has two ports */
            options->listen[i].port = a.port;
            tl_addr_write_ip(options->listen[i].host, &a);
        }
        at++;
    }
    if (s->udp)
        for (size_t i = 0; i < options->udp_count; i++)
            options->udp[i].port =
                options->udp[i].port ? options->udp[i].port : tl_relayd_udp_addr(s->udp).port;
}

tl_err tl_relayd_server_write_ready(const tl_relayd_server *s, tl_buf *out)
{
    tl_err e = tl_buf_append_str(out, "ready ws=");
    for (size_t i = 0; !e && i < s->socket_count; i++) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr a = tl_listener_addr(s->sockets[i].listener);
        tl_addr_write(text, &a);
        e = tl_buf_printf(out, "%s%s://%s/ws", i ? "," : "", s->sockets[i].tls ? "wss" : "ws",
                          text);
    }
    if (!e && s->udp)
        e = tl_relayd_udp_write_ready(s->udp, out);
    return e ? e : tl_buf_append_str(out, "\n");
}

/* --- while it lives --- */

void tl_relayd_server_reload(tl_relayd_server *s)
{
    tl_why why;
    tl_tls *tls;
    char token[TL_RELAYD_TOKEN_MAX];
    if (s->tls_cert) {
        if (tl_tls_server(s->tls_cert, s->tls_key, &tls, &why)) {
            tl_log(
                TL_LOG_ERROR,
                "event=reload_failed what=certificate why=%s effect=\"the old one stays in use\"",
                tl_relayd_quote(why.text).text);
        } else {
            tl_tls_unref(s->tls);
            s->tls = tls;
            tl_log(TL_LOG_INFO, "event=reloaded what=certificate file=%s",
                   tl_relayd_quote(s->tls_cert).text);
            judge_certificate(s);
        }
    }
    if (s->admin_token_file) {
        if (tl_relayd_token_read(s->admin_token_file, token, &why)) {
            tl_log(
                TL_LOG_ERROR,
                "event=reload_failed what=admin_token why=%s effect=\"the old one stays in use\"",
                tl_relayd_quote(why.text).text);
        } else {
            memcpy(s->hub.token, token, sizeof token);
            tl_log(TL_LOG_INFO, "event=reloaded what=admin_token file=%s",
                   tl_relayd_quote(s->admin_token_file).text);
        }
    }
    if (!s->tls_cert && !s->admin_token_file)
        tl_log(TL_LOG_INFO, "event=reloaded what=nothing");
}

static void stop_listening(tl_relayd_server *s)
{
    for (size_t i = 0; i < s->socket_count; i++) {
        tl_listener_free(s->sockets[i].listener);
        s->sockets[i].listener = NULL;
    }
    s->socket_count = 0;
    if (s->udp)
        tl_relayd_udp_stop(s->udp);
}

void tl_relayd_server_shutdown(tl_relayd_server *s)
{
    if (s->ending)
        return;
    s->ending = true;
    tl_timer_stop(&s->drain);
    stop_listening(s);
    tl_relay_shutdown(s->relay, tl_loop_now(s->loop));
    tl_timer_set(&s->farewell, tl_loop_now(s->loop) + TL_RELAYD_FAREWELL_NS);
    tl_relayd_hub_pump(&s->hub);
    check_ended(s);
}

void tl_relayd_server_free(tl_relayd_server *s)
{
    if (!s)
        return;
    stop_listening(s);
    if (s->hub.buffer)
        tl_relayd_hub_clear(&s->hub); /* its last words to full mailboxes set near_timer */
    tl_timer_stop(&s->farewell);
    tl_timer_stop(&s->drain);
    tl_timer_stop(&s->near_timer);
    tl_relayd_cluster_free(s->cluster);
    tl_relay_free(s->relay);
    tl_relayd_udp_free(s->udp);
    tl_tls_unref(s->tls);
    free(s->tls_cert);
    free(s->tls_key);
    free(s->admin_token_file);
    free(s);
}
