/* natlook [--port-file FILE] STUN-SERVER... : a node's place on the network (net/network) and
 * nothing else. Prints one JSON object a line: when the first round is over, on every change, after
 * SIGUSR1 when another full round is over; SIGUSR2 raises a suspicion. SIGTERM ends it. */
#include "net/network.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define SIGNALS 4

typedef struct {
    tl_loop *loop;
    tl_network *network;
    tl_network_look look;
    bool looking;
    tl_sigwatch *signals[SIGNALS];
} app;

static void print_addr(const char *key, const tl_addr *a)
{
    char text[TL_ADDR_TEXT_MAX] = "";
    if (a->family != TL_ADDR_NONE)
        tl_addr_write(text, a);
    printf(", \"%s\": \"%s\"", key, text);
}

static void print_facts(const app *a, const char *event, bool moved)
{
    static const char *const hairpins[] = {"unknown", "no", "yes"};
    const tl_nat_facts *f = tl_network_facts(a->network);
    const tl_behaviour_counters *c = tl_network_stun_counters(a->network);
    printf(
        "{\"event\": \"%s\", \"moved\": %d, \"port\": %u, \"type\": \"%s\", \"mapping\": \"%s\", "
        "\"filtering\": \"%s\", \"hairpin\": \"%s\", \"preserved\": %d, \"blocked\": %d, "
        "\"asked\": %u, \"answered\": %u, \"keepalive_s\": %.1f, \"refused\": %llu, "
        "\"changes\": %llu",
        event, moved, tl_network_port(a->network), tl_nat_type_name(tl_nat_type_of(f)),
        tl_nat_mapping_name(f->mapping), tl_nat_filtering_name(f->filtering), hairpins[f->hairpin],
        f->port_preserved, f->udp_blocked, f->asked, f->answered,
        (double)tl_network_keepalive(a->network) / (double)TL_SEC, (unsigned long long)c->refused,
        (unsigned long long)tl_network_counters_of(a->network)->changes);
    print_addr("public4", &f->public4);
    print_addr("public6", &f->public6);
    tl_candidate list[TL_CANDIDATES_MAX];
    size_t n = tl_network_candidates(a->network, list);
    printf(", \"candidates\": [");
    for (size_t i = 0; i < n; i++) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr_write(text, &list[i].addr);
        printf("%s\"%s %s\"", i ? ", " : "", tl_candidate_type(list[i].kind), text);
    }
    printf("]}\n");
    fflush(stdout);
}

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    (void)user, (void)sock, (void)from, (void)datagram, (void)stun;
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    (void)user, (void)sock, (void)from, (void)data, (void)n, (void)segment;
}

static void on_change(void *user, unsigned why)
{
    print_facts(user, "change", why != 0);
}

static void on_look(void *user)
{
    app *a = user;
    a->looking = false;
    print_facts(a, "look", false);
}

static void on_signal(void *user, int signo)
{
    app *a = user;
    if (signo == SIGUSR2)
        tl_network_suspect(a->network);
    else if (signo != SIGUSR1)
        tl_loop_stop(a->loop);
    else if (!a->looking) {
        a->looking = true;
        tl_network_look_start(a->network, &a->look);
    }
}

int main(int argc, char **argv)
{
    static const tl_network_events events = {
        .on_stun = on_stun, .on_train = on_train, .on_change = on_change};
    static const int signals[SIGNALS] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    app a = {.look = {.on_done = on_look, .user = &a}, .looking = true};
    tl_rand rand = tl_rand_system();
    tl_network_config config = {.port_file = NULL};
    tl_why why = {""};
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "--port-file")) {
        config.port_file = argv[2];
        first = 3;
    }
    config.stun_servers = (const char *const *)(argv + first);
    config.n_stun_servers = (size_t)(argc - first);
    if (tl_loop_new(&a.loop))
        return 1;
    for (int i = 0; i < SIGNALS; i++)
        if (tl_sigwatch_new(a.loop, signals[i], on_signal, &a, &a.signals[i]))
            return 1;
    if (tl_network_new(a.loop, &rand, &config, &events, &a, &a.network, &why)) {
        fprintf(stderr, "natlook: %s\n", why.text);
        return 1;
    }
    tl_network_look_start(a.network, &a.look);
    tl_loop_run(a.loop);
    tl_network_unlook(&a.look);
    tl_network_free(a.network);
    for (int i = 0; i < SIGNALS; i++)
        tl_sigwatch_free(a.signals[i]);
    tl_loop_free(a.loop);
    return 0;
}
