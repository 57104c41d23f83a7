/* mapped - keeps a port mapping as the node does, and tells of it; what arrives at the port goes
 * back to its sender. For the lab.
 *
 *   mapped PORT      one JSON line on standard output at every change
 *   SIGHUP           the network changed        SIGTERM    removes the mapping and ends
 *   SIGUSR1          prints the report anew */
#include "base/log.h"
#include "io/portmap.h"
#include "io/udp.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    tl_loop *loop;
    tl_portmap *portmap;
    tl_udp *udp;
    tl_time stopping;
} program;

static void print_report(void *user)
{
    program *p = user;
    const tl_mapper_report *r = tl_portmap_report(p->portmap);
    char external[TL_ADDR_TEXT_MAX], gateway[TL_ADDR_TEXT_MAX];
    tl_addr_write(external, &r->external);
    tl_addr_write_ip(gateway, &r->gateway);
    printf("{\"state\": \"%s\", \"method\": \"%s\", \"external\": \"%s\", \"lifetime\": %u, "
           "\"second_nat\": %s, \"gateway\": \"%s\", \"reason\": \"%s\", \"renewals\": %llu, "
           "\"restarts\": %llu, \"refusals\": %llu, \"lies\": %llu, \"at_ms\": %llu}\n",
           tl_mapper_state_name(r->state), tl_mapper_method_name(r->method), external,
           r->lifetime_s, r->second_nat ? "true" : "false", gateway, r->reason,
           (unsigned long long)r->renewals, (unsigned long long)r->gateway_restarts,
           (unsigned long long)r->refusals, (unsigned long long)r->lies,
           (unsigned long long)(tl_loop_clock(p->loop) / TL_MS));
    fflush(stdout);
}

static void on_datagrams(void *user, int events)
{
    program *p = user;
    tl_udp_train trains[TL_UDP_TRAINS_MAX];
    size_t n = 0;
    (void)events;
    if (tl_udp_receive(p->udp, trains, &n) != TL_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        if (tl_udp_send(p->udp, &trains[i].from, trains[i].data, trains[i].n, trains[i].segment) !=
            TL_OK)
            fprintf(stderr, "an answer was not sent\n");
    }
}

static void on_stopped(void *user)
{
    program *p = user;
    printf("{\"stopped_ms\": %llu}\n",
           (unsigned long long)((tl_loop_clock(p->loop) - p->stopping) / TL_MS));
    fflush(stdout);
    tl_loop_stop(p->loop);
}

static void on_signal(void *user, int signo)
{
    program *p = user;
    if (signo == SIGHUP) {
        tl_portmap_restart(p->portmap);
    } else if (signo == SIGUSR1) {
        print_report(p);
    } else {
        p->stopping = tl_loop_clock(p->loop);
        tl_portmap_stop(p->portmap, on_stopped, p);
    }
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGHUP, SIGUSR1, SIGTERM};
    static const tl_portmap_events events = {.on_change = print_report};
    program p = {0};
    tl_rand rand = tl_rand_system();
    tl_addr any = {.family = TL_ADDR_V4};
    tl_why why = {0};
    tl_poll *poll = NULL;
    tl_sigwatch *watches[3] = {NULL};
    any.port = argc == 2 ? (uint16_t)atoi(argv[1]) : 0;
    if (any.port == 0) {
        fprintf(stderr, "usage: mapped PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    tl_log_set_level(TL_LOG_DEBUG);
    bool ok = tl_loop_new(&p.loop) == TL_OK && tl_udp_open(&any, 1 << 16, &p.udp, &why) == TL_OK &&
              tl_poll_new(p.loop, tl_udp_fd(p.udp), on_datagrams, &p, &poll) == TL_OK &&
              tl_portmap_new(p.loop, &rand, &events, &p, &p.portmap) == TL_OK;
    for (int i = 0; i < 3 && ok; i++)
        ok = tl_sigwatch_new(p.loop, signals[i], on_signal, &p, &watches[i]) == TL_OK;
    if (ok) {
        tl_poll_set(poll, TL_POLL_READ);
        tl_portmap_start(p.portmap, any.port);
        tl_loop_run(p.loop);
    } else {
        fprintf(stderr, "mapped: %s\n", why.text);
    }
    for (int i = 0; i < 3; i++)
        tl_sigwatch_free(watches[i]);
    tl_portmap_free(p.portmap);
    tl_poll_free(poll);
    tl_udp_close(p.udp);
    tl_loop_free(p.loop);
    return !ok;
}
