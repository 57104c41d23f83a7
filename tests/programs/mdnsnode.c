/* mdnsnode SEED PORT [SEED...]: announces the node of that number at that TCP port, as io/mdns does it, and says what is
 * found. Nodes of the other numbers are preferred. A line each:
 *
 *   us ID                            the first line
 *   state STATE WHY
 *   found ID ADDRESS...              or "gone ID"
 *   report STATE NAME services N nodes N found N malformed N silent N dropped N renamed N late US
 *                                    for each line of standard input; `late`: the longest time that the loop stood still
 *                                    since the last report
 *
 * The end of the input ends the program, and with it the announcement. */
#include "io/mdns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BEAT (2 * TL_MS)

typedef struct {
    tl_loop *loop;
    tl_mdns *mdns;
    tl_timer beat;
    tl_time due, late;
} app;

static tl_node_id node_of(const char *number)
{
    tl_rand r = tl_rand_seeded(strtoull(number, NULL, 10));
    tl_identity identity;
    if (tl_identity_new(&r, &identity))
        exit(1);
    return identity.id;
}

static void print_id(const char *what, const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, id);
    printf("%s %s", what, hex);
}

static void on_found(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n)
{
    (void)user;
    print_id(n ? "found" : "gone", node);
    for (size_t i = 0; i < n; i++) {
        char text[TL_ADDR_TEXT_MAX];
        tl_addr a = addrs[i];
        if (a.family == TL_ADDR_V4)
            a.scope = 0; /* people write none there */
        tl_addr_write(text, &a);
        printf(" %s", text);
    }
    puts("");
}

static void on_state(void *user, tl_mdns_state state, const char *why)
{
    (void)user;
    printf("state %s %s\n", tl_mdns_state_name(state), why);
}

static void on_beat(void *user)
{
    app *a = user;
    tl_time now = tl_loop_clock(a->loop);
    a->late = tl_time_max(a->late, now - a->due);
    a->due = now + BEAT;
    tl_timer_set(&a->beat, a->due);
}

static void on_input(void *user, int events)
{
    app *a = user;
    char bytes[256];
    tl_mdns_report r;
    (void)events;
    if (read(0, bytes, sizeof bytes) <= 0) {
        tl_loop_stop(a->loop);
        return;
    }
    tl_mdns_report_get(a->mdns, &r);
    for (char *c = r.name; *c; c++)
        *c = *c == ' ' ? '_' : *c;
    printf("report %s %s services %zu nodes %zu found %llu malformed %llu silent %llu dropped %llu "
           "renamed %llu late %llu\n",
           tl_mdns_state_name(r.state), r.name[0] ? r.name : "-", r.services, r.nodes,
           (unsigned long long)r.found, (unsigned long long)r.malformed,
           (unsigned long long)r.silent, (unsigned long long)r.dropped,
           (unsigned long long)r.renamed, (unsigned long long)(a->late / TL_US));
    a->late = 0;
}

int main(int argc, char **argv)
{
    static const tl_mdns_events events = {on_found, on_state};
    app a = {0};
    tl_poll *input = NULL;
    if (argc < 3 || tl_crypto_init() || tl_loop_new(&a.loop))
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    tl_rand rand = tl_rand_system();
    tl_node_id us = node_of(argv[1]);
    print_id("us", &us);
    puts("");
    if (tl_mdns_start(a.loop, &rand, &us, (uint16_t)atoi(argv[2]), &events, &a, &a.mdns) ||
        tl_poll_new(a.loop, 0, on_input, &a, &input))
        return 1;
    tl_node_id preferred[16];
    size_t n = 0;
    for (; n < 16 && (int)n + 3 < argc; n++)
        preferred[n] = node_of(argv[n + 3]);
    tl_mdns_prefer(a.mdns, preferred, n);
    tl_poll_set(input, TL_POLL_READ);
    tl_timer_init(&a.beat, a.loop, on_beat, &a);
    a.due = tl_loop_clock(a.loop) + BEAT;
    tl_timer_set(&a.beat, a.due);
    tl_loop_run(a.loop);
    tl_timer_stop(&a.beat);
    tl_poll_free(input);
    tl_time before = tl_loop_clock(a.loop);
    tl_mdns_free(a.mdns);
    printf("ended in %llu\n", (unsigned long long)((tl_loop_clock(a.loop) - before) / TL_US));
    tl_loop_free(a.loop);
    return 0;
}
