/* teale-relay-load - loads a relay and says what it costs: memory and processor time of a node that
 * joins, then for each carrier and size the messages a second, the relay's processor time for one,
 * and the way of one message alone. Every byte that arrives is compared. For one's own machine: with
 * --pid the relay's memory and processor time are read from /proc.
 */
#include "relay_node.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WINDOW        32 /* messages under way in each pair */
#define TRAIN_MAX     60 /* datagrams that leave in one call; the kernel takes 64 */
#define SEQUENCE      12 /* digits at the front of each message's data */
#define LATENCY_COUNT 2000
#define SIZES_MAX     16
#define LOST_AFTER    0.1 /* seconds in which none of what is under way has come */

typedef enum { BY_JSON, BY_BINARY, BY_UDP, BY_TRAINS, CARRIERS } carrier;

static const char *const carrier_names[CARRIERS] = {"json", "binary", "udp", "trains"};

static struct {
    const char *relay, *ca;
    int pid, pairs, idle;
    double secs, rate;
    bool carriers[CARRIERS];
    size_t sizes[SIZES_MAX], size_count;
} opt = {.relay = "ws://127.0.0.1:8080",
         .pairs = 4,
         .idle = 1000,
         .secs = 2,
         .carriers = {[BY_JSON] = true},
         .sizes = {256, 1200, 16384},
         .size_count = 3};

typedef struct {
    load_node from, to;
    carrier by;
    uint8_t *frame, *plain; /* one message as it is sent (masked), and as it arrives */
    size_t header_n, n, sequence_at;
    uint64_t sent, next, arrived, lost; /* `next`: the sequence that should come */
    double heard, began;
    tl_buf out;
    int udp_from, udp_to;
} pair;

/* --- the relay as the kernel sees it --- */

static double relay_cpu(void)
{
    char path[300];
    double total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", opt.pid);
    DIR *dir = opt.pid ? opendir(path) : NULL;
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
    FILE *f = opt.pid ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

/* --- one pair --- */

static int udp_socket(const char *where, const uint8_t token[16])
{
    char host[TL_HOST_MAX], port_text[8];
    uint16_t port;
    int room = 4 << 20, on = 1;
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list = NULL;
    load_must(tl_hostport_parse(tl_slice_str(where), 3478, host, &port),
              *where ? where : "the relay has no --udp");
    snprintf(port_text, sizeof port_text, "%u", port);
    if (getaddrinfo(host, port_text, &hints, &list))
        load_die("%s: no such name", host);
    int fd = socket(list->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) < 0 || send(fd, token, 16, 0) != 16)
        load_die("UDP to %s: %s", where, strerror(errno));
    freeaddrinfo(list);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    return fd;
}

static void session_message(load_node *from, const load_node *to, tl_signal_type type,
                            const char *session)
{
    tl_buf text = {0};
    load_must(tl_signal_write_session(&text, type, from->id, to->id, session), "session");
    load_send_text(from, tl_buf_slice(&text));
    tl_buf_clear(&text);
}

/* One message for all: only the digits at the front of its data change. */
static void prepare(pair *p, const char *session, size_t size)
{
    tl_buf text = {0};
    size_t token_n = p->by == BY_JSON ? 0 : 16;
    tl_ws_opcode opcode = p->by == BY_JSON ? TL_WS_TEXT : TL_WS_BINARY;
    uint8_t *data = calloc(1, size);
    load_must(data ? TL_OK : TL_ERR_NOMEM, "message");
    if (p->by == BY_JSON) {
        load_must(
            tl_signal_write_data(&text, p->from.id, p->to.id, session, tl_slice_of(data, size)),
            "message");
    } else {
        load_must(tl_buf_append(&text, tl_slice_of(data, size)), "message");
    }
    free(data);
    p->n = text.len;
    p->plain = malloc(p->n);
    p->frame = malloc(p->n + token_n + TL_WS_HEADER_MAX);
    if (!p->plain || !p->frame)
        load_die("out of memory");
    memcpy(p->plain, tl_buf_begin(&text), p->n);
    tl_buf_clear(&text);
    p->sequence_at = 0;
    if (p->by == BY_JSON)
        p->sequence_at =
            (size_t)((uint8_t *)memmem(p->plain, p->n, "AAAAAAAAAAAA", SEQUENCE) - p->plain);
    p->header_n =
        p->by >= BY_UDP ? 0 : tl_ws_header_write(p->frame, opcode, true, p->n + token_n, load_mask);
    uint8_t *body = p->frame + p->header_n;
    memcpy(body, p->from.offer.token, token_n);
    memcpy(body + token_n, p->plain, p->n);
    if (p->by < BY_UDP)
        tl_ws_mask(body, p->n + token_n, load_mask, 0);
    p->header_n += token_n; /* from here on: what stands in front of the message */
}

static void write_sequence(uint8_t *at, uint64_t sequence)
{
    for (int i = SEQUENCE - 1; i >= 0; i--, sequence /= 10)
        at[i] = (uint8_t)('0' + sequence % 10);
}

static void begin_pair(pair *p, carrier by, size_t size, int number)
{
    static int sessions;
    char session[32];
    snprintf(session, sizeof session, "load-%d-%d", ++sessions, number);
    p->by = by;
    session_message(&p->from, &p->to, TL_SIGNAL_RELAY_OPEN, session);
    load_await(&p->to, TL_SIGNAL_RELAY_OPEN);
    session_message(&p->to, &p->from, TL_SIGNAL_RELAY_READY, session);
    load_await(&p->from, TL_SIGNAL_RELAY_READY);
    if (by != BY_JSON) {
        load_await(&p->from, TL_SIGNAL_RELAY_OFFER);
        load_await(&p->to, TL_SIGNAL_RELAY_OFFER);
    }
    if (by == BY_BINARY)
        load_send_binary(&p->to, tl_slice_of(p->to.offer.token, 16));
    if (by >= BY_UDP) {
        p->udp_to = udp_socket(p->to.offer_udp, p->to.offer.token);
        p->udp_from = udp_socket(p->from.offer_udp, p->from.offer.token);
    }
    prepare(p, session, size);
    p->sent = p->next = p->arrived = p->lost = 0;
    p->heard = p->began = load_seconds();
}

static void end_pair(pair *p)
{
    free(p->frame);
    free(p->plain);
    tl_buf_clear(&p->out);
    if (p->by >= BY_UDP) {
        close(p->udp_from);
        close(p->udp_to);
    }
}

/* --- sending --- */

static bool may_send(const pair *p, unsigned window)
{
    if (opt.rate > 0 && (double)p->sent >= (load_seconds() - p->began) * opt.rate)
        return false;
    return p->sent - p->next < window;
}

static void queue_message(pair *p)
{
    uint8_t *at = p->frame + p->header_n + p->sequence_at;
    size_t token_n = p->by == BY_JSON ? 0 : 16;
    write_sequence(at, p->sent++);
    if (p->by < BY_UDP)
        tl_ws_mask(at, SEQUENCE, load_mask, p->sequence_at + token_n);
    load_must(tl_buf_append(&p->out, tl_slice_of(p->frame, p->header_n + p->n)), "queue");
}

/* One datagram, or a train of equal ones. */
static bool send_train(pair *p, unsigned window, size_t most)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    uint16_t segment = (uint16_t)(p->header_n + p->n);
    tl_buf_clear(&p->out);
    for (size_t i = 0; i < most && may_send(p, window); i++)
        queue_message(p);
    if (!p->out.len)
        return false;
    struct iovec v = {tl_buf_begin(&p->out), p->out.len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (p->out.len > segment) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof segment), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
        memcpy(CMSG_DATA(&control.head), &segment, sizeof segment);
    }
    if (sendmsg(p->udp_from, &m, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS)
        load_die("UDP: %s", strerror(errno)); /* what did not go is lost, and counted as such */
    return true;
}

static void pump_out(pair *p, unsigned window)
{
    if (p->by >= BY_UDP) {
        size_t fit = 65000 / (p->header_n + p->n);
        size_t most = p->by == BY_UDP ? 1 : fit < TRAIN_MAX ? fit : TRAIN_MAX;
        while (send_train(p, window, most)) {
        }
        return;
    }
    while (may_send(p, window) && p->out.len < LOAD_READ_SIZE)
        queue_message(p);
    while (p->out.len) {
        size_t n = load_write(&p->from, tl_buf_begin(&p->out), p->out.len);
        if (!n)
            return;
        tl_buf_consume(&p->out, n);
    }
}

/* --- receiving --- */

static void check(pair *p, const uint8_t *message, size_t n)
{
    uint64_t sequence = 0;
    for (size_t i = 0; n == p->n && i < SEQUENCE; i++)
        sequence = 10 * sequence + (uint64_t)(message[p->sequence_at + i] - '0');
    if (p->by >= BY_UDP && n == p->n && sequence < p->sent) {
        if (sequence < p->next)
            return; /* late: it is counted as lost */
        p->lost += sequence - p->next;
        p->next = sequence;
    }
    write_sequence(p->plain + p->sequence_at, p->next);
    if (n != p->n || memcmp(message, p->plain, n) != 0)
        load_die("message %" PRIu64 " did not arrive as it was sent (%zu bytes of %zu)", p->next, n,
                 p->n);
    p->next++;
    p->arrived++;
}

static bool receive_train(pair *p)
{
    static uint8_t bytes[65536];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {bytes, sizeof bytes};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(p->udp_to, &m, 0);
    if (n <= 0)
        return false;
    size_t segment = (size_t)n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        int size;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            segment = (size_t)size;
        }
    }
    for (size_t at = 0; at < (size_t)n; at += segment)
        check(p, bytes + at, segment < (size_t)n - at ? segment : (size_t)n - at);
    return true;
}

static void receive_frames(pair *p)
{
    load_node *to = &p->to;
    size_t used = 0;
    tl_ws_frame f;
    uint16_t code;
    while (tl_ws_frame_parse(tl_slice_of(to->in + used, to->in_n - used), false, LOAD_READ_SIZE, &f,
                             &code) == TL_OK &&
           to->in_n - used >= f.header_n + f.n) {
        /* relayOffers come as texts, too */
        bool is_offer = p->by == BY_JSON ? memmem(to->in + used + f.header_n, f.n < 200 ? f.n : 200,
                                                  "relayOffer", 10) != NULL
                                         : f.opcode != TL_WS_BINARY;
        if (!is_offer)
            check(p, to->in + used + f.header_n, (size_t)f.n);
        used += f.header_n + (size_t)f.n;
    }
    load_drop(to, used);
}

static void pump_in(pair *p)
{
    uint64_t before = p->next;
    if (p->by >= BY_UDP) {
        while (receive_train(p)) {
        }
    } else {
        while (load_read(&p->to))
            receive_frames(p);
    }
    double now = load_seconds();
    if (p->next != before || p->sent == p->next)
        p->heard = now;
    if (p->by >= BY_UDP && now - p->heard > LOST_AFTER) {
        p->lost += p->sent - p->next;
        p->next = p->sent;
    }
}

/* Runs until `until`, or until the first pair has received `count`. */
static void pump(pair *pairs, int n, unsigned window, double until, uint64_t count)
{
    struct pollfd *fds = calloc(2 * (size_t)n, sizeof *fds);
    if (!fds)
        load_die("out of memory");
    while (load_seconds() < until && pairs[0].next < count) {
        for (int i = 0; i < n; i++) {
            pair *p = &pairs[i];
            bool udp = p->by >= BY_UDP;
            pump_out(p, window);
            fds[2 * i] = (struct pollfd){udp ? p->udp_to : p->to.fd, POLLIN, 0};
            fds[2 * i + 1] =
                (struct pollfd){udp ? -1 : p->from.fd, (short)(p->out.len ? POLLOUT : 0), 0};
        }
        poll(fds, 2 * (nfds_t)n, opt.rate > 0 ? 1 : 50);
        for (int i = 0; i < n; i++)
            pump_in(&pairs[i]);
    }
    free(fds);
}

/* --- the table --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_way_us(pair *p)
{
    static double took[LATENCY_COUNT];
    double rate = opt.rate;
    opt.rate = 0;
    for (int i = 0; i < LATENCY_COUNT; i++) {
        double t = load_seconds();
        pump(p, 1, 1, t + 5, p->next + 1);
        took[i] = load_seconds() - t;
    }
    opt.rate = rate;
    qsort(took, LATENCY_COUNT, sizeof *took, by_value);
    return took[LATENCY_COUNT / 2] * 1e6;
}

static void measure(pair *pairs, carrier by, size_t size)
{
    unsigned window = by == BY_TRAINS ? 2 * TRAIN_MAX : WINDOW;
    uint64_t arrived = 0, lost = 0;
    for (int i = 0; i < opt.pairs; i++)
        begin_pair(&pairs[i], by, size, i);
    pump(pairs, opt.pairs, window, load_seconds() + 0.3, UINT64_MAX); /* warm */
    for (int i = 0; i < opt.pairs; i++)
        pairs[i].arrived = pairs[i].lost = 0;
    double cpu = relay_cpu(), began = load_seconds();
    pump(pairs, opt.pairs, window, began + opt.secs, UINT64_MAX);
    double took = load_seconds() - began;
    cpu = relay_cpu() - cpu;
    for (int i = 0; i < opt.pairs; i++) {
        arrived += pairs[i].arrived;
        lost += pairs[i].lost;
        pump(&pairs[i], 1, 0, load_seconds() + 1, pairs[i].sent); /* take in what is under way */
    }
    double each = arrived ? cpu / (double)arrived : 0, way = median_way_us(&pairs[0]);
    printf("%-7s %7zu %11.0f %8.1f %8zu %8" PRIu64, carrier_names[by], size, (double)arrived / took,
           (double)arrived / took * (double)size / 1e6, pairs[0].header_n + pairs[0].n, lost);
    if (opt.pid && cpu > 0)
        printf(" %9.2f %12.0f", each * 1e6, 1 / each);
    else
        printf(" %9s %12s", "-", "-");
    printf(" %9.0f\n", way);
    fflush(stdout);
    for (int i = 0; i < opt.pairs; i++)
        end_pair(&pairs[i]);
}

static void measure_idle(tl_rand *rand)
{
    load_node *idle = calloc((size_t)opt.idle, sizeof *idle), first;
    if (!idle)
        load_die("out of memory");
    load_node_new(&first, rand, 0); /* what the first of all costs is the program's, not a node's */
    long before = relay_rss_kib();
    double cpu = relay_cpu(), began = load_seconds();
    for (int i = 0; i < opt.idle; i++)
        load_node_new(&idle[i], rand, i);
    double took = load_seconds() - began;
    cpu = relay_cpu() - cpu;
    long after = relay_rss_kib();
    printf("%d nodes joined one after the other in %.1f s (%.0f a second)\n", opt.idle, took,
           opt.idle / took);
    if (opt.pid) {
        printf("the relay's processor time for one join: %.0f us (%.0f joins a second and core)\n",
               cpu / opt.idle * 1e6, opt.idle / cpu);
        printf("an idle node: %.2f KiB of the relay's memory (%ld KiB with 1, %ld KiB with %d)\n",
               (double)(after - before) / opt.idle, before, after, opt.idle + 1);
        cpu = relay_cpu();
        sleep(2);
        printf("the relay with %d idle nodes: %.2f%% of a core\n", opt.idle + 1,
               (relay_cpu() - cpu) / 2 * 100);
    }
    for (int i = 0; i < opt.idle; i++)
        load_node_end(&idle[i]);
    load_node_end(&first);
    free(idle);
}

/* --- options --- */

static const char usage[] =
    "Usage: teale-relay-load [OPTION]...\n"
    "Loads a relay on your own machine, and says what each node and message costs it.\n"
    "\n"
    "  --relay URL       ws://HOST[:PORT] or wss://HOST[:PORT] (ws://127.0.0.1:8080)\n"
    "  --ca FILE         trust this certificate, PEM (those of the system)\n"
    "  --pid PID         the relay's process here: its memory and processor time are told\n"
    "  --idle N          nodes that join and do nothing (1000); 0: none\n"
    "  --pairs N         pairs that send, one to the other, for each line (4); 0: none\n"
    "  --sizes N,N...    bytes of a message (256,1200,16384)\n"
    "  --carriers C,C... json, binary, udp (one datagram a call), trains (many a call); (json)\n"
    "  --rate N          messages a second in each pair (0: as many as go)\n"
    "  --secs N          seconds for each line (2)\n"
    "  --help\n";

static _Noreturn void misused(const char *what)
{
    fprintf(stderr, "teale-relay-load: %s\n%s", what, usage);
    exit(2);
}

static void read_sizes(char *list)
{
    opt.size_count = 0;
    for (char *save = NULL, *t = strtok_r(list, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
        long n = atol(t);
        if (n < SEQUENCE || n > 200000 || opt.size_count == SIZES_MAX)
            misused("--sizes: at most 16 sizes from 12 to 200000");
        opt.sizes[opt.size_count++] = (size_t)n;
    }
}

static void read_carriers(char *list)
{
    memset(opt.carriers, 0, sizeof opt.carriers);
    for (char *save = NULL, *t = strtok_r(list, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
        carrier c = BY_JSON;
        while (c < CARRIERS && strcmp(t, carrier_names[c]) != 0)
            c++;
        if (c == CARRIERS)
            misused("--carriers: json, binary, udp, trains");
        opt.carriers[c] = true;
    }
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"relay", 1, NULL, 'r'}, {"ca", 1, NULL, 'c'},    {"pid", 1, NULL, 'i'},
        {"idle", 1, NULL, 'd'},  {"pairs", 1, NULL, 'n'}, {"sizes", 1, NULL, 'z'},
        {"rate", 1, NULL, 't'},  {"secs", 1, NULL, 's'},  {"carriers", 1, NULL, 'k'},
        {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        double v = optarg ? atof(optarg) : 0;
        switch (c) {
        case 'r': opt.relay = optarg; break;
        case 'c': opt.ca = optarg; break;
        case 'i': opt.pid = (int)v; break;
        case 'd': opt.idle = (int)v; break;
        case 'n': opt.pairs = (int)v; break;
        case 'z': read_sizes(optarg); break;
        case 'k': read_carriers(optarg); break;
        case 't': opt.rate = v; break;
        case 's': opt.secs = v; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misused("unknown option");
        }
    }
    if (opt.pairs < 0 || opt.idle < 0 || opt.secs <= 0 || opt.rate < 0 || optind < argc)
        misused("a number is out of range, or there is a word too many");
    if (opt.pid && relay_rss_kib() == 0)
        misused("--pid: there is no such process");
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    load_must(tl_crypto_init(), "libsodium");
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    tl_rand rand = tl_rand_system();
    load_target(opt.relay, opt.ca);
    if (opt.idle)
        measure_idle(&rand);
    pair *pairs = calloc((size_t)opt.pairs + 1, sizeof *pairs);
    if (!pairs)
        load_die("out of memory");
    for (int i = 0; i < opt.pairs; i++) {
        load_node_new(&pairs[i].from, &rand, i);
        load_node_new(&pairs[i].to, &rand, i);
    }
    if (opt.pairs)
        printf("%d pairs:\n%-7s %7s %11s %8s %8s %8s %9s %12s %9s\n", opt.pairs, "by", "bytes",
               "messages/s", "MB/s", "sent as", "lost", "us each", "a core's/s", "alone us");
    for (carrier by = BY_JSON; by < CARRIERS && opt.pairs; by++)
        for (size_t i = 0; i < opt.size_count && opt.carriers[by]; i++)
            measure(pairs, by, opt.sizes[i]);
    for (int i = 0; i < opt.pairs; i++) {
        load_node_end(&pairs[i].from);
        load_node_end(&pairs[i].to);
    }
    free(pairs);
    return 0;
}
