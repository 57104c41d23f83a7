/* bench_relay - loads a teale-relay on loopback and says what it costs: memory of an idle node,
 * then for each size messages a second, the relay's processor time a message, and the way of one
 * message alone. Every byte that arrives is compared.
 *
 *   bench_relay --port PORT --pid PID [--pairs N] [--idle N] [--secs N]
 */
#include "crypto/sign.h"
#include "wire/signalread.h"
#include "wire/signalwrite.h"
#include "wire/wsupgrade.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOW        32 /* messages under way in each pair */
#define PER_ADDRESS   500
#define SEQUENCE      12 /* digits at the front of each message's data */
#define READ_SIZE     (512u << 10)
#define LATENCY_COUNT 2000

static struct {
    int port, pid, pairs, idle;
    double secs;
} opt = {.pairs = 4, .idle = 1000, .secs = 2};

typedef struct {
    int fd;
    char id[TL_NODE_ID_HEX + 1];
    uint8_t *in; /* READ_SIZE, and behind it what a frame still lacks */
    size_t in_n;
} peer;

typedef struct {
    peer from, to;
    uint8_t *frame, *plain; /* one message as sent (masked), and as it arrives */
    size_t header_n, n, sequence_at;
    uint64_t sent, received;
    tl_buf out;
} pair;

static const uint8_t mask[4] = {0x5A, 0xC3, 0x96, 0x0F};

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("bench_relay: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    exit(1);
}

static void must(tl_err e, const char *what)
{
    if (e)
        die("%s: %s", what, tl_err_name(e));
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- the relay as the kernel sees it --- */

static double relay_cpu(void)
{
    char path[300];
    double total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", opt.pid);
    DIR *dir = opendir(path);
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        unsigned long long ns = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", opt.pid, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            total += (double)ns / 1e9;
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
    return total;
}

static long relay_rss_kib(void)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", opt.pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

/* --- becoming a node, one step after the other --- */

static void send_all(const peer *p, tl_slice bytes)
{
    while (bytes.n) {
        ssize_t n = send(p->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0)
            die("send: %s", strerror(errno));
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
}

static void send_text(const peer *p, tl_slice text)
{
    tl_buf frame = {0};
    must(tl_ws_append(&frame, TL_WS_TEXT, text, mask), "frame");
    send_all(p, tl_buf_slice(&frame));
    tl_buf_clear(&frame);
}

static void read_more(peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->in_n, READ_SIZE - p->in_n, 0);
    if (n <= 0)
        die("the relay ended a connection");
    p->in_n += (size_t)n;
}

static void drop(peer *p, size_t n)
{
    p->in_n -= n;
    memmove(p->in, p->in + n, p->in_n);
}

/* The next message of `type`; others are passed over, an error is the end. */
static void await(peer *p, tl_signal_type type, void (*take)(peer *, const tl_signal *))
{
    for (bool found = false; !found;) {
        tl_ws_frame f;
        uint16_t code;
        tl_err e;
        while ((e = tl_ws_frame_parse(tl_slice_of(p->in, p->in_n), false, READ_SIZE, &f, &code)) ==
                   TL_ERR_SHORT ||
               (!e && p->in_n < f.header_n + f.n))
            read_more(p);
        must(e, "frame from the relay");
        tl_signal s;
        tl_slice text = tl_slice_of(p->in + f.header_n, (size_t)f.n);
        must(tl_signal_scan(text, TL_SIGNAL_AT_NODE, &s), "message from the relay");
        if (s.type == TL_SIGNAL_ERROR)
            die("the relay says %.*s", (int)text.n, (const char *)text.p);
        found = s.type == type;
        if (found && take)
            take(p, &s);
        tl_signal_clear(&s);
        drop(p, f.header_n + (size_t)f.n);
    }
}

static void open_socket(peer *p, int number)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int on = 1;
    from.sin_addr.s_addr = htonl(0x7F000002u + (uint32_t)(number / PER_ADDRESS));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(p->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect to 127.0.0.1:%d: %s", opt.port, strerror(errno));
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void upgrade(peer *p, tl_rand *rand, const char *authority)
{
    char key[TL_WS_KEY_SIZE];
    tl_buf request = {0};
    tl_http1_head head;
    size_t scanned = 0;
    tl_err e;
    must(tl_ws_upgrade_ask(&request, rand, authority, "/ws", key), "upgrade");
    send_all(p, tl_buf_slice(&request));
    tl_buf_clear(&request);
    while ((e = tl_http1_response_parse(tl_slice_of(p->in, p->in_n), &scanned, &head)) ==
           TL_ERR_SHORT)
        read_more(p);
    must(e ? e : tl_ws_upgrade_confirm(&head, key), "upgrade");
    drop(p, head.head_n);
}

static tl_identity me; /* of the node that is being made */
static char my_authority[32];

static void answer_challenge(peer *p, const tl_signal *s)
{
    static const char capabilities[] =
        "{\"hardware\":{\"chipFamily\":\"unknown\",\"chipName\":\"bench\",\"totalRAMGB\":16,"
        "\"gpuCoreCount\":0,\"memoryBandwidthGBs\":50,\"tier\":2},\"loadedModels\":[],"
        "\"maxModelSizeGB\":8,\"isAvailable\":true,\"ptnIDs\":[]}";
    tl_signal_challenge challenge;
    tl_signature proof, legacy;
    char body[200], proof_hex[2 * TL_SIGNATURE_SIZE + 1], legacy_hex[2 * TL_SIGNATURE_SIZE + 1];
    tl_buf text = {0};
    must(tl_signal_read_challenge(s, &challenge), "challenge");
    snprintf(body, sizeof body, "%s:%s:%s", challenge.nonce, my_authority, p->id);
    must(tl_sign(&me, TL_SIGN_REGISTER, tl_slice_str(body), &proof), "sign");
    must(tl_sign_bare(&me, tl_slice_str(p->id), &legacy), "sign");
    tl_signature_write(proof_hex, &proof);
    tl_signature_write(legacy_hex, &legacy);
    tl_signal_registration r = {.node_id = p->id,
                                .display_name = "bench",
                                .capabilities = tl_slice_str(capabilities),
                                .signature = legacy_hex,
                                .challenge_signature = proof_hex,
                                .features = {.quiet = true}};
    must(tl_signal_write_register(&text, &r), "register");
    send_text(p, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

static void become(peer *p, tl_rand *rand, int number)
{
    p->in = malloc(READ_SIZE);
    if (!p->in)
        die("out of memory");
    must(tl_identity_new(rand, &me), "identity");
    tl_node_id_write(p->id, &me.id);
    open_socket(p, number);
    upgrade(p, rand, my_authority);
    await(p, TL_SIGNAL_CHALLENGE, answer_challenge);
    await(p, TL_SIGNAL_REGISTER_ACK, NULL);
}

static void leave(peer *p)
{
    close(p->fd);
    free(p->in);
}

/* --- pairs --- */

static void session_message(const peer *from, const peer *to, tl_signal_type type,
                            const char *session)
{
    tl_buf text = {0};
    must(tl_signal_write_session(&text, type, from->id, to->id, session), "session");
    send_text(from, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

/* One message for all: only the digits at the front of its data change. */
static void prepare(pair *p, const char *session, size_t size)
{
    tl_buf text = {0};
    uint8_t *data = calloc(1, size);
    must(data ? tl_signal_write_data(&text, p->from.id, p->to.id, session, tl_slice_of(data, size))
              : TL_ERR_NOMEM,
         "message");
    free(data);
    p->n = text.len;
    p->plain = malloc(p->n);
    p->frame = malloc(p->n + TL_WS_HEADER_MAX);
    if (!p->plain || !p->frame)
        die("out of memory");
    memcpy(p->plain, tl_buf_begin(&text), p->n);
    tl_buf_clear(&text);
    const uint8_t *at = memmem(p->plain, p->n, "AAAAAAAAAAAA", SEQUENCE);
    p->sequence_at = (size_t)(at - p->plain);
    p->header_n = tl_ws_header_write(p->frame, TL_WS_TEXT, true, p->n, mask);
    memcpy(p->frame + p->header_n, p->plain, p->n);
    tl_ws_mask(p->frame + p->header_n, p->n, mask, 0);
}

static void write_sequence(uint8_t *at, uint64_t sequence)
{
    for (int i = SEQUENCE - 1; i >= 0; i--, sequence /= 10)
        at[i] = (uint8_t)('0' + sequence % 10);
}

static void queue_message(pair *p)
{
    uint8_t *at = p->frame + p->header_n + p->sequence_at;
    write_sequence(at, p->sent++);
    tl_ws_mask(at, SEQUENCE, mask, p->sequence_at);
    must(tl_buf_append(&p->out, tl_slice_of(p->frame, p->header_n + p->n)), "queue");
}

static void pump_out(pair *p, unsigned window)
{
    while (p->sent - p->received < window && p->out.len < READ_SIZE)
        queue_message(p);
    while (p->out.len) {
        ssize_t n =
            send(p->from.fd, tl_buf_begin(&p->out), p->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            die("send: %s", strerror(errno));
        tl_buf_consume(&p->out, (size_t)n);
    }
}

static void check(pair *p, const uint8_t *text, size_t n)
{
    write_sequence(p->plain + p->sequence_at, p->received);
    if (n != p->n || memcmp(text, p->plain, n) != 0)
        die("message %" PRIu64 " did not arrive as it was sent: %.*s", p->received,
            (int)(n < 300 ? n : 300), (const char *)text);
    p->received++;
}

static void pump_in(pair *p)
{
    peer *to = &p->to;
    ssize_t got = recv(to->fd, to->in + to->in_n, READ_SIZE - to->in_n, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("the relay ended a connection");
    to->in_n += (size_t)got;
    size_t used = 0;
    tl_ws_frame f;
    uint16_t code;
    while (tl_ws_frame_parse(tl_slice_of(to->in + used, to->in_n - used), false, READ_SIZE, &f,
                             &code) == TL_OK &&
           to->in_n - used >= f.header_n + f.n) {
        check(p, to->in + used + f.header_n, (size_t)f.n);
        used += f.header_n + (size_t)f.n;
    }
    drop(to, used);
}

/* Runs until `until`, or until each pair has received `count`. */
static void pump(pair *pairs, int n, unsigned window, double until, uint64_t count)
{
    struct pollfd *fds = calloc(2 * (size_t)n, sizeof *fds);
    if (!fds)
        die("out of memory");
    while (seconds() < until && pairs[0].received < count) {
        for (int i = 0; i < n; i++) {
            pump_out(&pairs[i], window);
            fds[2 * i] = (struct pollfd){pairs[i].to.fd, POLLIN, 0};
            fds[2 * i + 1] = (struct pollfd){pairs[i].from.fd, pairs[i].out.len ? POLLOUT : 0, 0};
        }
        poll(fds, 2 * (nfds_t)n, 100);
        for (int i = 0; i < n; i++)
            if (fds[2 * i].revents)
                pump_in(&pairs[i]);
    }
    free(fds);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_way_us(pair *p)
{
    static double took[LATENCY_COUNT];
    for (int i = 0; i < LATENCY_COUNT; i++) {
        double t = seconds();
        pump(p, 1, 1, t + 5, p->received + 1);
        took[i] = seconds() - t;
    }
    qsort(took, LATENCY_COUNT, sizeof *took, by_value);
    return took[LATENCY_COUNT / 2] * 1e6;
}

static uint64_t total(const pair *pairs)
{
    uint64_t n = 0;
    for (int i = 0; i < opt.pairs; i++)
        n += pairs[i].received;
    return n;
}

static void measure(pair *pairs, size_t size, int round)
{
    char session[32];
    for (int i = 0; i < opt.pairs; i++) {
        snprintf(session, sizeof session, "bench-%d-%d", round, i);
        session_message(&pairs[i].from, &pairs[i].to, TL_SIGNAL_RELAY_OPEN, session);
        await(&pairs[i].to, TL_SIGNAL_RELAY_OPEN, NULL);
        session_message(&pairs[i].to, &pairs[i].from, TL_SIGNAL_RELAY_READY, session);
        await(&pairs[i].from, TL_SIGNAL_RELAY_READY, NULL);
        prepare(&pairs[i], session, size);
    }
    pump(pairs, opt.pairs, WINDOW, seconds() + 0.3, UINT64_MAX); /* warm */
    uint64_t before = total(pairs);
    double cpu = relay_cpu(), began = seconds();
    pump(pairs, opt.pairs, WINDOW, began + opt.secs, UINT64_MAX);
    double took = seconds() - began, messages = (double)(total(pairs) - before);
    cpu = relay_cpu() - cpu;
    pump(pairs, 1, 0, seconds() + 1, pairs[0].sent); /* take in what is under way */
    double way = median_way_us(&pairs[0]);
    printf(
        "  %6zu B: %8.0f messages/s, %6.0f MB/s of payload, %6.2f us of the relay's processor each "
        "(%.0f%% of a core), one alone %.0f us\n",
        size, messages / took, messages / took * (double)size / 1e6, cpu / messages * 1e6,
        cpu / took * 100, way);
    for (int i = 0; i < opt.pairs; i++) {
        pump(&pairs[i], 1, 0, seconds() + 1, pairs[i].sent);
        free(pairs[i].frame);
        free(pairs[i].plain);
        pairs[i].sent = pairs[i].received = 0;
    }
}

static void measure_idle(tl_rand *rand)
{
    peer *idle = calloc((size_t)opt.idle, sizeof *idle);
    peer first = {0};
    if (!idle)
        die("out of memory");
    become(&first, rand, 0); /* what the first of all costs is the program's, not a node's */
    long before = relay_rss_kib();
    for (int i = 0; i < opt.idle; i++)
        become(&idle[i], rand, i);
    long after = relay_rss_kib();
    printf(
        "  an idle registered node: %.2f KiB (relay %ld KiB resident with one, %ld KiB with %d)\n",
        (double)(after - before) / opt.idle, before, after, opt.idle + 1);
    for (int i = 0; i < opt.idle; i++)
        leave(&idle[i]);
    leave(&first);
    free(idle);
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'},  {"pid", 1, NULL, 'i'},
                                            {"pairs", 1, NULL, 'n'}, {"idle", 1, NULL, 'd'},
                                            {"secs", 1, NULL, 's'},  {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        double v = optarg ? atof(optarg) : 0;
        switch (c) {
        case 'p': opt.port = (int)v; break;
        case 'i': opt.pid = (int)v; break;
        case 'n': opt.pairs = (int)v; break;
        case 'd': opt.idle = (int)v; break;
        case 's': opt.secs = v; break;
        default: exit(2);
        }
    }
    if (opt.port <= 0 || opt.pid <= 0 || opt.pairs <= 0 || opt.idle <= 0 || opt.secs <= 0)
        die("usage: --port PORT --pid PID [--pairs N] [--idle N] [--secs N]");
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {256, 1200, 16384, 200000};
    parse_options(argc, argv);
    must(tl_crypto_init(), "libsodium");
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    tl_rand rand = tl_rand_system();
    snprintf(my_authority, sizeof my_authority, "127.0.0.1:%d", opt.port);
    printf("teale-relay, %d pairs, %d messages under way in each:\n", opt.pairs, WINDOW);
    measure_idle(&rand);
    pair *pairs = calloc((size_t)opt.pairs, sizeof *pairs);
    if (!pairs)
        die("out of memory");
    for (int i = 0; i < opt.pairs; i++) {
        become(&pairs[i].from, &rand, i);
        become(&pairs[i].to, &rand, i);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure(pairs, sizes[i], (int)i);
    for (int i = 0; i < opt.pairs; i++) {
        leave(&pairs[i].from);
        leave(&pairs[i].to);
        tl_buf_clear(&pairs[i].out);
    }
    free(pairs);
    return 0;
}
