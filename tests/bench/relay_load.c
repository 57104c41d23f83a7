/* teale-relay-load - loads a relay and says what it costs: memory and processor time of a node that
 * joins, alone and with thousands at once, then for each carrier and size the messages a second, the
 * relay's processor time for one, and the way of one message alone or beside a flood. Every byte that
 * arrives is compared. For one's own machine: with --pid the relay's memory and processor time are read
 * from /proc.
 */
#include "relay_flood.h"
#include "relay_joins.h"
#include "relay_pair.h"

#include <dirent.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define WINDOW    32 /* messages under way in each pair */
#define SIZES_MAX 16
#define WAY_SIZE  1200  /* bytes of a message whose way is measured beside a flood, */
#define WAY_EVERY 0.001 /* and how often one is sent, in seconds */
#define IDLE_SECS 6     /* a relay gives freed memory back to the kernel after 5 */
#define KNOWN_LOOK                                                                                 \
    20000             /* microseconds between two looks whether a relay knows a node of another */
#define KNOWN_MAX 500 /* such looks */

static struct {
    const char *relay, *to, *ca;
    int pid, pairs, idle, storm;
    double secs, again;
    bool carriers[LOAD_CARRIERS], floods[LOAD_FLOODS];
    size_t sizes[SIZES_MAX], size_count;
} opt = {.relay = "ws://127.0.0.1:8080",
         .pairs = 4,
         .idle = 1000,
         .secs = 2,
         .carriers = {[LOAD_BY_JSON] = true},
         .sizes = {256, 1200, 16384},
         .size_count = 3};
static const load_relay *relay, *other; /* `other`: where those are that receive */

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

static long relay_kib(const char *field)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", opt.pid);
    FILE *f = opt.pid ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0 &&
            sscanf(strchr(line, ':'), ": %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static long relay_rss_kib(void)
{
    return relay_kib("VmRSS");
}

/* --- messages --- */

/* Relays that act as one, and loops of one relay, tell each other their nodes: that takes a moment. */
static void await_known(load_node *from, const load_node *to)
{
    for (int look = 0; look < KNOWN_MAX; look++) {
        tl_buf ask = {0};
        tl_signal page;
        tl_signal_peer peer;
        size_t frame_n;
        bool found = false;
        load_must(tl_signal_write_discover(&ask, from->id, NULL, 0, 0, NULL, 500, NULL),
                  "discover");
        load_send_text(from, tl_buf_slice(&ask));
        tl_buf_clear(&ask);
        load_await_signal(from, TL_SIGNAL_DISCOVER_RESPONSE, &page, &frame_n);
        for (size_t i = 0; !found && i < tl_signal_peer_count(&page); i++)
            found = !tl_signal_read_peer(&page, i, &peer) && strcmp(peer.node_id, to->id) == 0;
        tl_signal_clear(&page);
        load_drop(from, frame_n);
        if (found)
            return;
        usleep(KNOWN_LOOK);
    }
    load_die("the relay does not know a node of the other");
}

static load_pair *make_pairs(int n, tl_rand *rand)
{
    load_pair *pairs = calloc((size_t)n + 1, sizeof *pairs);
    if (!pairs)
        load_die("out of memory");
    for (int i = 0; i < n; i++) {
        load_node_new(&pairs[i].from, relay, rand, i);
        load_node_new(&pairs[i].to, other, rand, i);
    }
    for (int i = 0; i < n; i++) {
        await_known(&pairs[i].from, &pairs[i].to);
        await_known(&pairs[i].to, &pairs[i].from);
    }
    return pairs;
}

static void free_pairs(load_pair *pairs, int n)
{
    for (int i = 0; i < n; i++) {
        load_node_end(&pairs[i].from);
        load_node_end(&pairs[i].to);
    }
    free(pairs);
}

static void measure(load_pair *pairs, load_carrier by, size_t size)
{
    static double ways[LOAD_WAYS];
    unsigned window = by == LOAD_BY_TRAINS ? 2 * LOAD_TRAIN_MAX : WINDOW;
    uint64_t arrived = 0, lost = 0;
    for (int i = 0; i < opt.pairs; i++)
        load_pair_begin(&pairs[i], by, size, i);
    load_pump(pairs, opt.pairs, window, load_seconds() + 0.3, UINT64_MAX); /* warm */
    for (int i = 0; i < opt.pairs; i++)
        pairs[i].arrived = pairs[i].lost = 0;
    double cpu = relay_cpu(), began = load_seconds();
    load_pump(pairs, opt.pairs, window, began + opt.secs, UINT64_MAX);
    double took = load_seconds() - began;
    cpu = relay_cpu() - cpu;
    for (int i = 0; i < opt.pairs; i++) {
        arrived += pairs[i].arrived;
        lost += pairs[i].lost;
        load_pump(&pairs[i], 1, 0, load_seconds() + 1,
                  pairs[i].sent); /* take in what is under way */
    }
    double each = arrived ? cpu / (double)arrived : 0;
    load_ways(&pairs[0], 0, ways);
    printf("%-7s %7zu %11.0f %8.1f %8zu %8" PRIu64, load_carrier_names[by], size,
           (double)arrived / took, (double)arrived / took * (double)size / 1e6,
           pairs[0].header_n + pairs[0].n, lost);
    if (opt.pid && cpu > 0)
        printf(" %9.2f %12.0f", each * 1e6, 1 / each);
    else
        printf(" %9s %12s", "-", "-");
    printf(" %9.0f\n", ways[LOAD_WAYS / 2]);
    fflush(stdout);
    for (int i = 0; i < opt.pairs; i++)
        load_pair_end(&pairs[i]);
}

static void measure_pairs(tl_rand *rand)
{
    load_pair *pairs = make_pairs(opt.pairs, rand);
    printf("%d pairs:\n%-7s %7s %11s %8s %8s %8s %9s %12s %9s\n", opt.pairs, "by", "bytes",
           "messages/s", "MB/s", "sent as", "lost", "us each", "a core's/s", "alone us");
    for (load_carrier by = LOAD_BY_JSON; by < LOAD_CARRIERS; by++)
        for (size_t i = 0; i < opt.size_count && opt.carriers[by]; i++)
            measure(pairs, by, opt.sizes[i]);
    free_pairs(pairs, opt.pairs);
}

/* --- floods --- */

static void print_ways(const char *beside, const double ways[LOAD_WAYS], double cpu)
{
    printf("%-9s %9.0f %9.0f %9.0f %9ld", beside, ways[LOAD_WAYS / 2], ways[LOAD_WAYS * 99 / 100],
           ways[LOAD_WAYS - 1], relay_rss_kib());
    if (opt.pid)
        printf(" %8.0f%%\n", cpu * 100);
    else
        printf(" %9s\n", "-");
    fflush(stdout);
}

static void measure_floods(tl_rand *rand)
{
    static double ways[LOAD_WAYS];
    load_pair *pair = make_pairs(1, rand);
    load_pair_begin(pair, LOAD_BY_JSON, WAY_SIZE, 0);
    printf("the way of one message of %d B, microseconds:\n%-9s %9s %9s %9s %9s %9s\n", WAY_SIZE,
           "beside", "median", "99%", "longest", "KiB", "of a core");
    for (int kind = -1; kind < (int)LOAD_FLOODS; kind++) {
        if (kind >= 0 && !opt.floods[kind])
            continue;
        pid_t flood = kind >= 0 ? load_flood_begin((load_flood)kind, relay) : 0;
        double cpu = relay_cpu(), began = load_seconds();
        load_ways(pair, WAY_EVERY, ways);
        cpu = (relay_cpu() - cpu) / (load_seconds() - began);
        print_ways(kind >= 0 ? load_flood_names[kind] : "nothing", ways, cpu);
        if (flood)
            load_flood_end(flood);
    }
    load_pair_end(pair);
    free_pairs(pair, 1);
}

/* --- nodes --- */

static void print_joined(const load_joined *d)
{
    printf("99%% were in after %.2f s, all after %.2f s; %u tries failed\n", d->most_took, d->took,
           d->tries_failed);
    printf("%d heard that others came, the last after %.2f s\n", d->told_count, d->told);
    fflush(stdout);
}

static void measure_storm(tl_rand *rand)
{
    size_t pages;
    double took, cpu = 0;
    if (strncmp(opt.relay, "wss:", 4) == 0) { /* one looks at the certificate, for all */
        load_node first;
        load_node_new(&first, relay, rand, 0);
        load_node_end(&first);
    }
    load_joins *j = load_joins_new(relay, rand, opt.storm);
    cpu = relay_cpu();
    printf("%d nodes join at once:\n", opt.storm);
    load_joined done = load_joins_run(j);
    cpu = relay_cpu() - cpu;
    print_joined(&done);
    if (opt.pid)
        printf("the relay's processor time for one: %.0f us; its memory %ld KiB, %ld at most\n",
               cpu / opt.storm * 1e6, relay_rss_kib(), relay_kib("VmHWM"));
    if (opt.again > 0) {
        printf("waits for the end of the relay\n");
        fflush(stdout);
        int ended = load_joins_await_end(j, opt.again);
        if (ended < opt.storm)
            load_die("%d of %d connections did not end", opt.storm - ended, opt.storm);
        printf("%d connections ended; since the first of them\n", ended);
        done = load_joins_run(j);
        print_joined(&done);
    }
    size_t listed = load_joins_list(j, &pages, &took);
    printf("one of them reads the list: %zu nodes in %zu pages, %.0f ms\n", listed, pages,
           took * 1000);
    load_joins_free(j);
}

static void measure_idle(tl_rand *rand)
{
    load_node *idle = calloc((size_t)opt.idle, sizeof *idle), first;
    if (!idle)
        load_die("out of memory");
    load_node_new(&first, relay, rand,
                  0); /* what the first of all costs is the program's, not a node's */
    long before = relay_rss_kib();
    double cpu = relay_cpu(), began = load_seconds();
    for (int i = 0; i < opt.idle; i++)
        load_node_new(&idle[i], relay, rand, i);
    double took = load_seconds() - began;
    cpu = relay_cpu() - cpu;
    printf("%d nodes joined one after the other in %.1f s (%.0f a second)\n", opt.idle, took,
           opt.idle / took);
    if (opt.pid) {
        printf("the relay's processor time for one join: %.0f us (%.0f joins a second and core)\n",
               cpu / opt.idle * 1e6, opt.idle / cpu);
        cpu = relay_cpu();
        sleep(IDLE_SECS);
        long after = relay_rss_kib();
        printf("an idle node: %.2f KiB of the relay's memory (%ld KiB with 1, %ld KiB with %d)\n",
               (double)(after - before) / opt.idle, before, after, opt.idle + 1);
        printf("the relay with %d idle nodes: %.2f%% of a core\n", opt.idle + 1,
               (relay_cpu() - cpu) / IDLE_SECS * 100);
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
    "  --storm N         nodes that join at once (0)\n"
    "  --old-nodes       they are of the original protocol (--legacy-clients at the relay)\n"
    "  --again SECONDS   then waits so long for the end of the relay, and they join once more (0)\n"
    "  --to URL          where those are that receive: another relay of its cluster (the same)\n"
    "  --floods F,F...   what goes on beside one message: data, frames, discover, slow (none)\n"
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
        if (n < LOAD_SEQUENCE || n > 200000 || opt.size_count == SIZES_MAX)
            misused("--sizes: at most 16 sizes from 12 to 200000");
        opt.sizes[opt.size_count++] = (size_t)n;
    }
}

/* Sets those that the list names. */
static bool read_names(char *list, const char *const *names, size_t n, bool *ret)
{
    memset(ret, 0, n * sizeof *ret);
    for (char *save = NULL, *t = strtok_r(list, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
        size_t i = 0;
        while (i < n && strcmp(t, names[i]) != 0)
            i++;
        if (i == n)
            return false;
        ret[i] = true;
    }
    return true;
}

static void read_carriers(char *list)
{
    if (!read_names(list, load_carrier_names, LOAD_CARRIERS, opt.carriers))
        misused("--carriers: json, binary, udp, trains");
}

static void read_floods(char *list)
{
    if (!read_names(list, load_flood_names, LOAD_FLOODS, opt.floods))
        misused("--floods: data, frames, discover, slow");
}

static void parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"relay", 1, NULL, 'r'}, {"ca", 1, NULL, 'c'},        {"pid", 1, NULL, 'i'},
        {"idle", 1, NULL, 'd'},  {"pairs", 1, NULL, 'n'},     {"sizes", 1, NULL, 'z'},
        {"rate", 1, NULL, 't'},  {"secs", 1, NULL, 's'},      {"carriers", 1, NULL, 'k'},
        {"storm", 1, NULL, 'm'}, {"old-nodes", 0, NULL, 'l'}, {"again", 1, NULL, 'a'},
        {"to", 1, NULL, 'o'},    {"floods", 1, NULL, 'f'},    {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0}};
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
        case 't': load_rate = v; break;
        case 'm': opt.storm = (int)v; break;
        case 'l': load_make_old_nodes(); break;
        case 'a': opt.again = v; break;
        case 'o': opt.to = optarg; break;
        case 'f': read_floods(optarg); break;
        case 's': opt.secs = v; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: misused("unknown option");
        }
    }
    if (opt.pairs < 0 || opt.idle < 0 || opt.secs <= 0 || load_rate < 0 || opt.storm < 0 ||
        opt.again < 0 || optind < argc)
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
    other = relay = load_relay_at(opt.relay, opt.ca);
    if (opt.to)
        other = load_relay_at(opt.to, opt.ca);
    if (opt.idle)
        measure_idle(&rand);
    if (opt.storm)
        measure_storm(&rand);
    if (memchr(opt.floods, true, sizeof opt.floods))
        measure_floods(&rand);
    if (opt.pairs)
        measure_pairs(&rand);
    return 0;
}
