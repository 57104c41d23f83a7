#include "relay_joins.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define WINDOW     900 /* that connect at the same time: as many as a relay lets wait (listen(2)) */
#define EVENTS     512
#define PATIENCE   300  /* seconds for all */
#define AT_REST    0.3  /* seconds without a text */
#define LOOK_EVERY 0.01 /* seconds between two looks for those whose time has come */
#define SHIFT_MAX  6    /* pauses of a minute at the most */

typedef struct {
    load_node node;
    unsigned failures;
    double not_before; /* the next try */
    bool waits;        /* for it */
} joiner;

struct load_joins {
    const load_relay *at;
    tl_rand *rand;
    joiner *all;
    int count, waiting, under_way, joined, poll, scan;
    unsigned tries_failed;
    double began, most_at, last_told, look_at;
};

load_joins *load_joins_new(const load_relay *at, tl_rand *rand, int count)
{
    load_joins *j = calloc(1, sizeof *j);
    if (j)
        j->all = calloc((size_t)count, sizeof *j->all);
    if (!j || !j->all)
        load_die("out of memory");
    *j = (load_joins){
        .at = at, .rand = rand, .all = j->all, .count = count, .poll = epoll_create1(0)};
    for (int i = 0; i < count; i++) {
        load_node_prepare(&j->all[i].node, rand);
        j->all[i].waits = true;
    }
    j->waiting = count;
    return j;
}

void load_joins_free(load_joins *j)
{
    for (int i = 0; i < j->count; i++)
        load_node_end(&j->all[i].node);
    close(j->poll);
    free(j->all);
    free(j);
}

static void start(load_joins *j, int i)
{
    joiner *one = &j->all[i];
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)i};
    one->waits = false;
    j->waiting--;
    j->under_way++;
    load_join_begin(&one->node, j->at, i);
    if (epoll_ctl(j->poll, EPOLL_CTL_ADD, one->node.fd, &e) < 0)
        load_die("epoll_ctl");
}

static void try_later(load_joins *j, joiner *one, double now)
{
    double pause = (double)(1u << (one->failures < SHIFT_MAX ? one->failures : SHIFT_MAX));
    one->failures++;
    one->waits = true;
    j->waiting++;
    one->not_before = now + pause / 2 + pause / 2 * (double)tl_rand_below(j->rand, 1000) / 1000;
    load_node_end(&one->node); /* the kernel takes it out of the poll */
}

/* Starts those whose time has come, while few are under way. */
static void start_some(load_joins *j, double now)
{
    if (now < j->look_at)
        return;
    for (int looked = 0; looked < j->count && j->waiting && j->under_way < WINDOW; looked++) {
        if (j->all[j->scan].waits && now >= j->all[j->scan].not_before)
            start(j, j->scan);
        j->scan = (j->scan + 1) % j->count;
    }
    if (j->under_way < WINDOW) /* those that are left wait for their time */
        j->look_at = now + LOOK_EVERY;
}

static void step(load_joins *j, joiner *one)
{
    load_joining before = one->node.joining;
    double told = one->node.told;
    load_join_step(&one->node, j->rand);
    load_joining now = one->node.joining;
    if (one->node.told > told)
        j->last_told = one->node.told;
    if (before < LOAD_JOINED && now >= LOAD_JOINED)
        j->under_way--;
    if (before < LOAD_JOINED && now == LOAD_JOINED) {
        one->failures = 0;
        if (++j->joined == (j->count * 99 + 99) / 100)
            j->most_at = load_seconds();
    }
    if (before == LOAD_JOINED && now == LOAD_ENDED)
        j->joined--;
    if (now == LOAD_ENDED) {
        j->tries_failed += before < LOAD_JOINED;
        try_later(j, one, load_seconds());
    }
}

static void turn(load_joins *j, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(j->poll, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++) {
        joiner *one = &j->all[events[i].data.u32];
        if (!one->waits)
            step(j, one);
    }
}

load_joined load_joins_run(load_joins *j)
{
    load_joined done = {0};
    double now = load_seconds(), all_at;
    if (!j->began)
        j->began = now;
    while (j->joined < j->count) {
        start_some(j, load_seconds());
        turn(j, 10);
        if (load_seconds() > j->began + PATIENCE)
            load_die("only %d of %d nodes joined within %d s", j->joined, j->count, PATIENCE);
    }
    all_at = now = load_seconds();
    while (now < (j->last_told > all_at ? j->last_told : all_at) + AT_REST) {
        turn(j, 10);
        now = load_seconds();
    }
    for (int i = 0; i < j->count; i++)
        done.told_count += j->all[i].node.told > 0;
    done.took = all_at - j->began;
    done.most_took = j->most_at - j->began;
    done.told = j->last_told > j->began ? j->last_told - j->began : 0;
    done.tries_failed = j->tries_failed;
    j->began = 0;
    j->tries_failed = 0;
    return done;
}

int load_joins_await_end(load_joins *j, double seconds)
{
    double until = load_seconds() + seconds;
    while (j->joined > 0 && load_seconds() < until) {
        turn(j, 20);
        if (!j->began && j->joined < j->count)
            j->began = load_seconds();
    }
    return j->count - j->joined;
}

size_t load_joins_list(load_joins *j, size_t *ret_pages, double *ret_took)
{
    load_node *n = &j->all[0].node;
    char cursor[200] = "";
    size_t nodes = 0, frame_n;
    double began = load_seconds();
    *ret_pages = 0;
    do {
        tl_buf ask = {0};
        tl_signal page;
        load_must(
            tl_signal_write_discover(&ask, n->id, NULL, 0, 0, NULL, 500, *cursor ? cursor : NULL),
            "discover");
        load_send_text(n, tl_buf_slice(&ask));
        tl_buf_clear(&ask);
        load_await_signal(n, TL_SIGNAL_DISCOVER_RESPONSE, &page, &frame_n);
        nodes += tl_signal_peer_count(&page);
        const char *next = tl_signal_next_cursor(&page);
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
        tl_signal_clear(&page);
        load_drop(n, frame_n);
        ++*ret_pages;
    } while (*cursor);
    *ret_took = load_seconds() - began;
    return nodes;
}
