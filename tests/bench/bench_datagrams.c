/* bench_datagrams - sends datagrams through a relay on loopback, over sockets that bench_datagrams.py
 * has set up, and says what that costs the relay: datagrams it passes on in a second of its own
 * processor time, one by one or in trains, and how long one alone takes. Counts what arrives.
 *
 *   bench_datagrams --out FD --in FD --to HOST:PORT --prefix HEX --size N --train N --pid PID --secs N
 */
#include "base/addr.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH         32
#define WINDOW        64 /* datagrams under way, or trains of them: what every kernel's buffers hold */
#define PREFIX_MAX    16
#define LATENCY_COUNT 4000

static struct {
    int out, in, pid, train;
    size_t size, prefix_n;
    double secs;
    tl_addr to;
    uint8_t prefix[PREFIX_MAX];
} opt = {.train = 1, .size = 1200, .secs = 2};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the relay has used of the processor, in seconds. */
static double relay_cpu(void)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", opt.pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f))
        die(path);
    fclose(f);
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest + 2, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
                        &system) != 2)
        die("stat");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* --- sending --- */

static uint8_t packet[65536];

/* One train, or BATCH datagrams one by one. Returns how many the kernel took. */
static unsigned send_some(void)
{
    struct sockaddr_storage ss;
    socklen_t ss_n = tl_addr_to_sockaddr(&opt.to, &ss);
    size_t one = opt.prefix_n + opt.size;
    if (opt.train > 1) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
        struct iovec iov = {packet, one * (size_t)opt.train};
        struct msghdr m = {.msg_name = &ss,
                           .msg_namelen = ss_n,
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        uint16_t segment = (uint16_t)one;
        *c = (struct cmsghdr){CMSG_LEN(sizeof segment), IPPROTO_UDP, UDP_SEGMENT};
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
        return sendmsg(opt.out, &m, 0) > 0 ? (unsigned)opt.train : 0;
    }
    struct mmsghdr msgs[BATCH];
    struct iovec iov = {packet, one};
    for (int i = 0; i < BATCH; i++)
        msgs[i] = (struct mmsghdr){
            .msg_hdr = {.msg_name = &ss, .msg_namelen = ss_n, .msg_iov = &iov, .msg_iovlen = 1}};
    int n = sendmmsg(opt.out, msgs, BATCH, 0);
    return n > 0 ? (unsigned)n : 0;
}

/* --- receiving --- */

/* How many datagrams came, if all have the size that was sent. */
static unsigned receive_some(void)
{
    static uint8_t bytes[16][65536];
    struct mmsghdr msgs[16];
    struct iovec iov[16];
    unsigned sum = 0;
    for (int i = 0; i < 16; i++) {
        iov[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    int n = recvmmsg(opt.in, msgs, 16, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) { /* joined by UDP_GRO, or alone */
        if (msgs[i].msg_len % opt.size || memcmp(bytes[i], packet + opt.prefix_n, opt.size) != 0)
            errno = EBADMSG, die("what arrived is not what was sent");
        sum += (unsigned)(msgs[i].msg_len / opt.size);
    }
    return sum;
}

static bool wait_for_input(int ms)
{
    struct pollfd p = {.fd = opt.in, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

static void run_load(double secs, uint64_t *ret_received, uint64_t *ret_sent)
{
    uint64_t sent = 0, received = 0, lost = 0, window = (uint64_t)WINDOW * (unsigned)opt.train;
    if (window > 512)
        window = 512;
    for (double end = seconds() + secs; seconds() < end;) {
        while (sent - received - lost + (opt.train > 1 ? (unsigned)opt.train : BATCH) <= window)
            sent += send_some();
        if (wait_for_input(50))
            for (unsigned n; (n = receive_some()) > 0;)
                received += n;
        else
            lost = sent - received; /* what does not come in 50 ms does not come */
    }
    while (wait_for_input(50))
        received += receive_some();
    *ret_received = received;
    *ret_sent = sent;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Half of all datagrams are faster than this, in microseconds. */
static double run_latency(void)
{
    static double took[LATENCY_COUNT];
    struct sockaddr_storage ss;
    socklen_t ss_n = tl_addr_to_sockaddr(&opt.to, &ss);
    for (int i = 0; i < LATENCY_COUNT; i++) {
        double began = seconds();
        if (sendto(opt.out, packet, opt.prefix_n + opt.size, 0, (struct sockaddr *)&ss, ss_n) < 0)
            die("sendto");
        while (!receive_some())
            if (seconds() > began + 1)
                errno = ETIMEDOUT, die("a datagram alone");
        took[i] = (seconds() - began) * 1e6;
    }
    qsort(took, LATENCY_COUNT, sizeof *took, compare);
    return took[LATENCY_COUNT / 2];
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"out", 1, NULL, 'o'},    {"in", 1, NULL, 'i'},   {"to", 1, NULL, 't'},
        {"prefix", 1, NULL, 'p'}, {"size", 1, NULL, 's'}, {"train", 1, NULL, 'n'},
        {"pid", 1, NULL, 'd'},    {"secs", 1, NULL, 'e'}, {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'o': opt.out = atoi(optarg); break;
        case 'i': opt.in = atoi(optarg); break;
        case 't':
            if (tl_addr_parse(tl_slice_str(optarg), &opt.to))
                errno = EINVAL, die(optarg);
            break;
        case 'p':
            opt.prefix_n = strlen(optarg) / 2;
            if (opt.prefix_n > PREFIX_MAX ||
                tl_hex_parse(tl_slice_str(optarg), false, opt.prefix, opt.prefix_n))
                errno = EINVAL, die(optarg);
            break;
        case 's': opt.size = (size_t)atoi(optarg); break;
        case 'n': opt.train = atoi(optarg); break;
        case 'd': opt.pid = atoi(optarg); break;
        case 'e': opt.secs = atof(optarg); break;
        default: exit(2);
        }
    }
    if ((opt.prefix_n + opt.size) * (size_t)opt.train > 65000)
        errno = EMSGSIZE, die("train");
}

int main(int argc, char **argv)
{
    int on = 1;
    uint64_t received, sent;
    read_options(argc, argv);
    (void)setsockopt(opt.in, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    for (int i = 0; i < opt.train; i++) {
        uint8_t *p = packet + (opt.prefix_n + opt.size) * (size_t)i;
        memcpy(p, opt.prefix, opt.prefix_n);
        for (size_t k = 0; k < opt.size; k++)
            p[opt.prefix_n + k] = (uint8_t)(k * 7);
    }
    run_load(0.2, &received, &sent); /* warm */
    double cpu = relay_cpu(), began = seconds();
    run_load(opt.secs, &received, &sent);
    cpu = relay_cpu() - cpu;
    double took = seconds() - began, latency = opt.train == 1 ? run_latency() : 0;
    printf("{\"size\": %zu, \"train\": %d, \"per_second\": %.0f, \"per_cpu_second\": %.0f, "
           "\"lost\": %.4f, \"relay_busy\": %.2f, \"latency_us\": %.1f}\n",
           opt.size, opt.train, (double)received / took, cpu > 0 ? (double)received / cpu : 0,
           sent ? 1 - (double)received / (double)sent : 0, cpu / took, latency);
    return 0;
}
