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

static struct {
    char authority[TL_HOST_MAX + 6], host[TL_HOST_MAX];
    struct sockaddr_storage addr;
    socklen_t addr_n;
    SSL_CTX *tls;
} relay;

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

void load_target(const char *url, const char *ca)
{
    bool tls = strncmp(url, "wss://", 6) == 0;
    uint16_t port;
    char port_text[8];
    const char *at = url + (tls ? 6 : 5);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (!tls && strncmp(url, "ws://", 5) != 0)
        load_die("%s is not ws://HOST[:PORT] or wss://HOST[:PORT]", url);
    snprintf(relay.authority, sizeof relay.authority, "%.*s", (int)strcspn(at, "/"), at);
    load_must(tl_hostport_parse(tl_slice_str(relay.authority), tls ? 443 : 80, relay.host, &port),
              url);
    snprintf(port_text, sizeof port_text, "%u", port);
    int status = getaddrinfo(relay.host, port_text, &hints, &list);
    if (status)
        load_die("%s: %s", relay.host, gai_strerror(status));
    memcpy(&relay.addr, list->ai_addr, list->ai_addrlen);
    relay.addr_n = list->ai_addrlen;
    freeaddrinfo(list);
    if (!tls)
        return;
    relay.tls = SSL_CTX_new(TLS_client_method());
    if (!relay.tls || (ca ? SSL_CTX_load_verify_locations(relay.tls, ca, NULL)
                          : SSL_CTX_set_default_verify_paths(relay.tls)) != 1)
        load_die("cannot use the certificates of %s", ca ? ca : "the system");
    SSL_CTX_set_verify(relay.tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(relay.tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

/* --- bytes --- */

static void wait_for(const load_node *n, short events)
{
    struct pollfd p = {n->fd, events, 0};
    if (poll(&p, 1, PATIENCE_MS) == 0)
        load_die("the relay does not answer");
}

/* What SSL wants: a wait, or the end. */
static bool is_blocked(const load_node *n, int result)
{
    int e = SSL_get_error(n->ssl, result);
    if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
        load_die("the relay ended a connection (TLS error %d)", e);
    return true;
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
        load_die("send: %s", strerror(errno));
    return (size_t)sent;
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
        if (got <= 0)
            load_die("the relay ended a connection");
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
    while (bytes.n) {
        size_t sent = load_write(n, bytes.p, bytes.n);
        bytes.p += sent;
        bytes.n -= sent;
        if (!sent)
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

static tl_identity me; /* of the node that is being made */

static void answer_challenge(load_node *n, const tl_signal *s)
{
    static const char capabilities[] =
        "{\"hardware\":{\"chipFamily\":\"unknown\",\"chipName\":\"load\",\"totalRAMGB\":16,"
        "\"gpuCoreCount\":0,\"memoryBandwidthGBs\":50,\"tier\":2},\"loadedModels\":[],"
        "\"maxModelSizeGB\":8,\"isAvailable\":true,\"ptnIDs\":[]}";
    tl_signal_challenge challenge;
    tl_signature proof, legacy;
    char body[TL_HOST_MAX + 200], proof_hex[2 * TL_SIGNATURE_SIZE + 1],
        legacy_hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_buf text = {0};
    load_must(tl_signal_read_challenge(s, &challenge), "challenge");
    snprintf(body, sizeof body, "%s:%s:%s", challenge.nonce, relay.authority, n->id);
    load_must(tl_sign(&me, TL_SIGN_REGISTER, tl_slice_str(body), &proof), "sign");
    load_must(tl_sign_bare(&me, tl_slice_str(n->id), &legacy), "sign");
    tl_signature_write(proof_hex, &proof);
    tl_signature_write(legacy_hex, &legacy);
    tl_signal_registration r = {.node_id = n->id,
                                .display_name = "load",
                                .capabilities = tl_slice_str(capabilities),
                                .signature = legacy_hex,
                                .challenge_signature = proof_hex,
                                .features = {.quiet = true, .relay_token = true}};
    load_must(tl_signal_write_register(&text, &r), "register");
    load_send_text(n, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

static void take(load_node *n, const tl_signal *s)
{
    if (s->type == TL_SIGNAL_CHALLENGE)
        answer_challenge(n, s);
    if (s->type != TL_SIGNAL_RELAY_OFFER)
        return;
    load_must(tl_signal_read_relay_offer(s, &n->offer), "relayOffer");
    snprintf(n->offer_udp, sizeof n->offer_udp, "%s", n->offer.udp ? n->offer.udp : "");
    n->offer.session = NULL;
    n->offer.udp = n->offer_udp;
}

void load_await(load_node *n, tl_signal_type type)
{
    for (bool found = false; !found;) {
        tl_ws_frame f;
        uint16_t code;
        tl_err e;
        while ((e = tl_ws_frame_parse(tl_slice_of(n->in, n->in_n), false, LOAD_READ_SIZE, &f,
                                      &code)) == TL_ERR_SHORT ||
               (!e && n->in_n < f.header_n + f.n))
            read_more(n);
        load_must(e, "frame from the relay");
        if (f.opcode == TL_WS_TEXT) {
            tl_signal s;
            tl_slice text = tl_slice_of(n->in + f.header_n, (size_t)f.n);
            load_must(tl_signal_scan(text, TL_SIGNAL_AT_NODE, &s), "message from the relay");
            if (s.type == TL_SIGNAL_ERROR)
                load_die("the relay says %.*s", (int)text.n, (const char *)text.p);
            found = s.type == type;
            take(n, &s);
            tl_signal_clear(&s);
        }
        load_drop(n, f.header_n + (size_t)f.n);
    }
}

static void open_socket(load_node *n, int number)
{
    int on = 1;
    const struct sockaddr_in *to = (const void *)&relay.addr;
    n->fd = socket(relay.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0)
        load_die("socket: %s", strerror(errno));
    if (to->sin_family == AF_INET && ntohl(to->sin_addr.s_addr) >> 24 == 127) {
        int row = number / (PER_ADDRESS * ADDRESSES_MIN);
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr =
            htonl(0x7F000002u + (uint32_t)(row * ADDRESSES_MIN + number % ADDRESSES_MIN));
        if (bind(n->fd, (struct sockaddr *)&from, sizeof from) < 0)
            load_die("bind: %s", strerror(errno));
    }
    if (connect(n->fd, (struct sockaddr *)&relay.addr, relay.addr_n) < 0)
        load_die("connect to %s: %s", relay.authority, strerror(errno));
    setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(n->fd, F_SETFL, O_NONBLOCK);
}

static void shake_hands(load_node *n)
{
    n->ssl = SSL_new(relay.tls);
    if (!n->ssl || SSL_set_fd(n->ssl, n->fd) != 1 || SSL_set1_host(n->ssl, relay.host) != 1)
        load_die("TLS: out of memory");
    SSL_set_tlsext_host_name(n->ssl, relay.host);
    for (int r; (r = SSL_connect(n->ssl)) != 1;) {
        int e = SSL_get_error(n->ssl, r);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
            load_die("TLS with %s: %s", relay.authority,
                     X509_verify_cert_error_string(SSL_get_verify_result(n->ssl)));
        wait_for(n, e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    }
}

static void upgrade(load_node *n, tl_rand *rand)
{
    char key[TL_WS_KEY_SIZE];
    tl_buf request = {0};
    tl_http1_head head;
    size_t scanned = 0;
    tl_err e;
    load_must(tl_ws_upgrade_ask(&request, rand, relay.authority, "/ws", key), "upgrade");
    send_all(n, tl_buf_slice(&request));
    tl_buf_clear(&request);
    while ((e = tl_http1_response_parse(tl_slice_of(n->in, n->in_n), &scanned, &head)) ==
           TL_ERR_SHORT)
        read_more(n);
    load_must(e ? e : tl_ws_upgrade_confirm(&head, key), "upgrade");
    load_drop(n, head.head_n);
}

void load_node_new(load_node *n, tl_rand *rand, int number)
{
    *n = (load_node){.in = malloc(LOAD_READ_SIZE)};
    if (!n->in)
        load_die("out of memory");
    load_must(tl_identity_new(rand, &me), "identity");
    tl_node_id_write(n->id, &me.id);
    open_socket(n, number);
    if (relay.tls)
        shake_hands(n);
    upgrade(n, rand);
    load_await(n, TL_SIGNAL_CHALLENGE);
    load_await(n, TL_SIGNAL_REGISTER_ACK);
}

void load_node_end(load_node *n)
{
    SSL_free(n->ssl);
    close(n->fd);
    free(n->in);
}
