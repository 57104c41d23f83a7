#include "relay_node.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_ADDRESS   500 /* half of what a relay grants one address */
#define ADDRESSES_MIN 64  /* so that the work of one address is no bound */
#define PATIENCE_MS   30000

const uint8_t load_mask[4] = {0x5A, 0xC3, 0x96, 0x0F};

struct load_relay {
    char authority[TL_HOST_MAX + 6], host[TL_HOST_MAX];
    struct sockaddr_storage addr;
    socklen_t addr_n;
    SSL_CTX *tls;
};

void load_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("teale-relay-load: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

void load_must(tl_err e, const char *what)
{
    if (e)
        load_die("%s: %s", what, tl_err_name(e));
}

double load_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const load_relay *load_relay_at(const char *url, const char *ca)
{
    load_relay *r = calloc(1, sizeof *r);
    bool tls = strncmp(url, "wss://", 6) == 0;
    uint16_t port;
    char port_text[8];
    const char *at = url + (tls ? 6 : 5);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (!r)
        load_die("out of memory");
    if (!tls && strncmp(url, "ws://", 5) != 0)
        load_die("%s is not ws://HOST[:PORT] or wss://HOST[:PORT]", url);
    snprintf(r->authority, sizeof r->authority, "%.*s", (int)strcspn(at, "/"), at);
    load_must(tl_hostport_parse(tl_slice_str(r->authority), tls ? 443 : 80, r->host, &port), url);
    snprintf(port_text, sizeof port_text, "%u", port);
    int status = getaddrinfo(r->host, port_text, &hints, &list);
    if (status)
        load_die("%s: %s", r->host, gai_strerror(status));
    memcpy(&r->addr, list->ai_addr, list->ai_addrlen);
    r->addr_n = list->ai_addrlen;
    freeaddrinfo(list);
    if (!tls)
        return r;
    r->tls = SSL_CTX_new(TLS_client_method());
    if (!r->tls || (ca ? SSL_CTX_load_verify_locations(r->tls, ca, NULL)
                       : SSL_CTX_set_default_verify_paths(r->tls)) != 1)
        load_die("cannot use the certificates of %s", ca ? ca : "the system");
    SSL_CTX_set_verify(r->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(r->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    return r;
}

/* --- bytes --- */

static void wait_for(const load_node *n, short events)
{
    struct pollfd p = {n->fd, events, 0};
    if (poll(&p, 1, PATIENCE_MS) == 0)
        load_die("the relay does not answer");
}

static void ended(load_node *n, const char *why)
{
    if (!n->may_end)
        load_die("the relay ended a connection: %s", why);
    n->joining = LOAD_ENDED;
}

/* What SSL wants: a wait, or the end. */
static void is_blocked(load_node *n, int result)
{
    int e = SSL_get_error(n->ssl, result);
    if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
        ended(n, "TLS");
}

size_t load_write(load_node *n, const void *bytes, size_t size)
{
    if (n->ssl) {
        int sent = SSL_write(n->ssl, bytes, size > INT32_MAX ? INT32_MAX : (int)size);
        return sent > 0 ? (size_t)sent : (is_blocked(n, sent), 0);
    }
    ssize_t sent = send(n->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return 0;
    if (sent <= 0)
        ended(n, strerror(errno));
    return sent > 0 ? (size_t)sent : 0;
}

size_t load_read(load_node *n)
{
    size_t room = LOAD_READ_SIZE - n->in_n;
    ssize_t got;
    if (n->ssl) {
        got = SSL_read(n->ssl, n->in + n->in_n, (int)room);
        if (got <= 0)
            return is_blocked(n, (int)got), 0;
    } else {
        got = recv(n->fd, n->in + n->in_n, room, 0);
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got <= 0) {
            ended(n, got ? strerror(errno) : "end of stream");
            return 0;
        }
    }
    n->in_n += (size_t)got;
    return (size_t)got;
}

void load_drop(load_node *n, size_t size)
{
    n->in_n -= size;
    memmove(n->in, n->in + size, n->in_n);
}

static void read_more(load_node *n)
{
    while (load_read(n) == 0)
        wait_for(n, POLLIN);
}

static void send_all(load_node *n, tl_slice bytes)
{
    while (bytes.n && n->joining != LOAD_ENDED) {
        size_t sent = load_write(n, bytes.p, bytes.n);
        bytes.p += sent;
        bytes.n -= sent;
        if (!sent && n->joining != LOAD_ENDED)
            wait_for(n, POLLOUT | POLLIN);
    }
}

static void send_frame(load_node *n, tl_ws_opcode opcode, tl_slice payload)
{
    tl_buf frame = {0};
    load_must(tl_ws_append(&frame, opcode, payload, load_mask), "frame");
    send_all(n, tl_buf_slice(&frame));
    tl_buf_clear(&frame);
}

void load_send_text(load_node *n, tl_slice text)
{
    send_frame(n, TL_WS_TEXT, text);
}

void load_send_binary(load_node *n, tl_slice bytes)
{
    send_frame(n, TL_WS_BINARY, bytes);
}

/* --- becoming a node --- */

static bool old_nodes;

void load_make_old_nodes(void)
{
    old_nodes = true;
}

static void send_register(load_node *n, const char *proof_hex)
{
    static const char capabilities[] =
        "{\"hardware\":{\"chipFamily\":\"unknown\",\"chipName\":\"load\",\"totalRAMGB\":16,"
        "\"gpuCoreCount\":0,\"memoryBandwidthGBs\":50,\"tier\":2},\"loadedModels\":[],"
        "\"maxModelSizeGB\":8,\"isAvailable\":true,\"ptnIDs\":[]}";
    tl_buf text = {0};
    tl_signal_registration r = {.node_id = n->id,
                                .display_name = "load",
                                .capabilities = tl_slice_str(capabilities),
                                .signature = n->legacy,
                                .challenge_signature = proof_hex};
    if (!old_nodes)
        r.features = (tl_signal_features){
            .quiet = n->quiet, .relay_token = true, .peers_changed = !n->quiet};
    load_must(tl_signal_write_register(&text, &r), "register");
    load_send_text(n, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

static void answer_challenge(load_node *n, const tl_signal *s)
{
    tl_signal_challenge challenge;
    tl_signature proof;
    char body[TL_HOST_MAX + 200], proof_hex[2 * TL_SIGNATURE_SIZE + 1];
    load_must(tl_signal_read_challenge(s, &challenge), "challenge");
    snprintf(body, sizeof body, "%s:%s:%s", challenge.nonce, n->at->authority, n->id);
    load_must(tl_sign(&n->identity, TL_SIGN_REGISTER, tl_slice_str(body), &proof), "sign");
    tl_signature_write(proof_hex, &proof);
    send_register(n, proof_hex);
}

static void take(load_node *n, const tl_signal *s)
{
    if (s->type == TL_SIGNAL_CHALLENGE && !old_nodes)
        answer_challenge(n, s);
    if (s->type == TL_SIGNAL_REGISTER_ACK)
        n->joining = LOAD_JOINED;
    if (s->type != TL_SIGNAL_RELAY_OFFER)
        return;
    load_must(tl_signal_read_relay_offer(s, &n->offer), "relayOffer");
    snprintf(n->offer_udp, sizeof n->offer_udp, "%s", n->offer.udp ? n->offer.udp : "");
    n->offer.session = NULL;
    n->offer.udp = n->offer_udp;
}

/* The frame at the front, if it is whole. */
static bool next_frame(tl_slice in, tl_ws_frame *ret)
{
    uint16_t code;
    tl_err e = tl_ws_frame_parse(in, false, LOAD_READ_SIZE, ret, &code);
    if (e == TL_ERR_SHORT)
        return false;
    load_must(e, "frame from the relay");
    return in.n >= ret->header_n + ret->n;
}

void load_skip(load_node *n)
{
    tl_ws_frame f;
    while (load_read(n)) {
        size_t used = 0;
        while (next_frame(tl_slice_of(n->in + used, n->in_n - used), &f))
            used += f.header_n + (size_t)f.n;
        load_drop(n, used);
    }
}

/* Takes the frame, and scans its text: afterwards tl_signal_clear. False: it needs nothing more. */
static bool take_frame(load_node *n, const tl_ws_frame *f, tl_signal *ret)
{
    if (f->opcode != TL_WS_TEXT)
        return false;
    tl_slice text = tl_slice_of(n->in + f->header_n, (size_t)f->n);
    tl_signal_peek(text, TL_SIGNAL_AT_NODE, ret);
    if (ret->type == TL_SIGNAL_PEERS_CHANGED || ret->type == TL_SIGNAL_PEER_JOINED) {
        n->told = load_seconds(); /* there may be half a million */
        return false;
    }
    load_must(tl_signal_scan(text, TL_SIGNAL_AT_NODE, ret), "message from the relay");
    if (ret->type == TL_SIGNAL_ERROR && !n->may_fail)
        load_die("the relay says %.*s", (int)text.n, (const char *)text.p);
    take(n, ret);
    return true;
}

void load_await_signal(load_node *n, tl_signal_type type, tl_signal *ret, size_t *ret_frame_n)
{
    for (;;) {
        tl_ws_frame f;
        while (!next_frame(tl_slice_of(n->in, n->in_n), &f))
            read_more(n);
        *ret_frame_n = f.header_n + (size_t)f.n;
        if (take_frame(n, &f, ret)) {
            if (ret->type == type)
                return;
            tl_signal_clear(ret);
        }
        load_drop(n, *ret_frame_n);
    }
}

void load_await(load_node *n, tl_signal_type type)
{
    tl_signal s;
    size_t frame_n;
    load_await_signal(n, type, &s, &frame_n);
    tl_signal_clear(&s);
    load_drop(n, frame_n);
}

static void open_socket(load_node *n, int number, bool wait)
{
    int on = 1;
    const struct sockaddr_in *to = (const void *)&n->at->addr;
    n->fd =
        socket(n->at->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
    if (n->fd < 0)
        load_die("socket: %s", strerror(errno));
    if (to->sin_family == AF_INET && ntohl(to->sin_addr.s_addr) >> 24 == 127) {
        int row = number / (PER_ADDRESS * ADDRESSES_MIN);
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr =
            htonl(0x7F000002u + (uint32_t)(row * ADDRESSES_MIN + number % ADDRESSES_MIN));
        setsockopt(n->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(n->fd, (struct sockaddr *)&from, sizeof from) < 0)
            load_die("bind: %s", strerror(errno));
    }
    if (connect(n->fd, (const struct sockaddr *)&n->at->addr, n->at->addr_n) < 0 &&
        errno != EINPROGRESS)
        ended(n, strerror(errno));
    setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(n->fd, F_SETFL, O_NONBLOCK);
}

static void begin_tls(load_node *n)
{
    n->ssl = SSL_new(n->at->tls);
    if (!n->ssl || SSL_set_fd(n->ssl, n->fd) != 1 || SSL_set1_host(n->ssl, n->at->host) != 1)
        load_die("TLS: out of memory");
    SSL_set_tlsext_host_name(n->ssl, n->at->host);
}

/* True: the handshake is over. */
static bool shake_hands(load_node *n)
{
    int r = SSL_connect(n->ssl), e = r == 1 ? 0 : SSL_get_error(n->ssl, r);
    if (r != 1 && e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
        long bad = SSL_get_verify_result(n->ssl);
        if (bad != X509_V_OK)
            load_die("TLS with %s: %s", n->at->authority, X509_verify_cert_error_string(bad));
        ended(n, "TLS handshake");
    }
    return r == 1;
}

static void ask_upgrade(load_node *n, tl_rand *rand)
{
    tl_buf request = {0};
    load_must(tl_ws_upgrade_ask(&request, rand, n->at->authority, "/ws", n->key), "upgrade");
    send_all(n, tl_buf_slice(&request));
    tl_buf_clear(&request);
}

/* True: the answer is there. */
static bool take_upgrade(load_node *n)
{
    tl_http1_head head;
    size_t scanned = 0;
    tl_err e = tl_http1_response_parse(tl_slice_of(n->in, n->in_n), &scanned, &head);
    if (e == TL_ERR_SHORT)
        return false;
    if (!e)
        e = tl_ws_upgrade_confirm(&head, n->key);
    if (e && n->may_end)
        n->joining = LOAD_ENDED; /* 503: it is full, or ends */
    else
        load_must(e, "upgrade");
    if (!e)
        load_drop(n, head.head_n);
    return !e;
}

void load_node_prepare(load_node *n, tl_rand *rand)
{
    tl_signature legacy;
    *n = (load_node){.fd = -1};
    load_must(tl_identity_new(rand, &n->identity), "identity");
    tl_node_id_write(n->id, &n->identity.id);
    load_must(tl_sign_bare(&n->identity, tl_slice_str(n->id), &legacy), "sign");
    tl_signature_write(n->legacy, &legacy);
}

void load_node_new(load_node *n, const load_relay *at, tl_rand *rand, int number)
{
    load_node_prepare(n, rand);
    n->quiet = true;
    n->at = at;
    n->in = malloc(LOAD_READ_SIZE);
    if (!n->in)
        load_die("out of memory");
    open_socket(n, number, true);
    if (at->tls) {
        begin_tls(n);
        while (!shake_hands(n))
            wait_for(n, POLLIN);
    }
    ask_upgrade(n, rand);
    while (!take_upgrade(n))
        read_more(n);
    load_await(n, TL_SIGNAL_CHALLENGE);
    load_await(n, TL_SIGNAL_REGISTER_ACK);
}

void load_node_end(load_node *n)
{
    SSL_free(n->ssl);
    if (n->fd >= 0)
        close(n->fd);
    free(n->in);
    n->ssl = NULL;
    n->fd = -1;
    n->in = NULL;
    n->in_n = 0;
}

/* --- the same without waiting --- */

void load_join_begin(load_node *n, const load_relay *at, int number)
{
    n->at = at;
    n->may_end = true;
    n->told = 0;
    n->asked = false;
    n->joining = LOAD_CONNECTING;
    n->in = malloc(LOAD_READ_SIZE);
    if (!n->in)
        load_die("out of memory");
    open_socket(n, number, false);
}

static void step_connected(load_node *n, tl_rand *rand)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct pollfd p = {n->fd, POLLOUT, 0};
    if (poll(&p, 1, 0) != 1)
        return;
    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
        ended(n, strerror(error));
        return;
    }
    if (n->at->tls) {
        begin_tls(n);
        SSL_set_verify(n->ssl, SSL_VERIFY_NONE, NULL);
    }
    n->joining = n->at->tls ? LOAD_SHAKING_HANDS : LOAD_UPGRADING;
    if (!n->at->tls)
        ask_upgrade(n, rand);
}

static void read_frames(load_node *n)
{
    tl_ws_frame f;
    tl_signal s;
    while (n->joining != LOAD_ENDED && next_frame(tl_slice_of(n->in, n->in_n), &f)) {
        if (f.opcode == TL_WS_CLOSE)
            ended(n, "it said so");
        else if (take_frame(n, &f, &s))
            tl_signal_clear(&s);
        load_drop(n, f.header_n + (size_t)f.n);
    }
}

void load_join_step(load_node *n, tl_rand *rand)
{
    if (n->joining == LOAD_CONNECTING)
        step_connected(n, rand);
    if (n->joining == LOAD_SHAKING_HANDS && shake_hands(n)) {
        n->joining = LOAD_UPGRADING;
        ask_upgrade(n, rand);
    }
    while (n->joining >= LOAD_UPGRADING && n->joining != LOAD_ENDED && load_read(n)) {
        if (n->joining == LOAD_UPGRADING && take_upgrade(n))
            n->joining = LOAD_REGISTERING;
        if (n->joining == LOAD_REGISTERING && old_nodes && !n->asked) {
            n->asked = true;
            send_register(n, NULL);
        }
        if (n->joining > LOAD_UPGRADING)
            read_frames(n);
    }
}
