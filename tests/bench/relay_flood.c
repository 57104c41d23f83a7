#include "relay_flood.h"

#include "relay_pair.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE       (64u << 10) /* bytes of one write */
#define SLOW_PAIRS  8
#define SLOW_ROUND  3.0 /* seconds without reading: less than the relay endures */
/* The number of the first node; what is measured has 0. A relay bounds the work of an address, so each
 * kind comes from addresses of its own. */
#define FIRST(kind) (1 + 2 * (int)(kind))

const char *const load_flood_names[LOAD_FLOODS] = {"data", "frames", "discover", "slow"};

/* Sends the bytes for ever; what comes back is read and dropped. */
static void repeat(load_node *n, tl_slice bytes, int ready)
{
    for (bool told = false;; told = true) {
        for (size_t at = 0; at < bytes.n;) {
            size_t sent = load_write(n, bytes.p + at, bytes.n - at);
            at += sent;
            load_skip(n);
            if (!sent)
                usleep(200);
        }
        if (!told && write(ready, "x", 1) != 1)
            exit(1);
    }
}

static void flood_frames(load_node *n, tl_ws_opcode opcode, tl_slice text, int ready)
{
    tl_buf piece = {0};
    while (piece.len < PIECE)
        load_must(tl_ws_append(&piece, opcode, text, load_mask), "frame");
    repeat(n, tl_buf_slice(&piece), ready);
}

static void flood_discover(load_node *n, int ready)
{
    tl_buf ask = {0};
    load_must(tl_signal_write_discover(&ask, n->id, NULL, 0, 0, NULL, 500, NULL), "discover");
    flood_frames(n, TL_WS_TEXT, tl_buf_slice(&ask), ready);
}

static void flood_data(load_pair *p, int ready)
{
    load_pair_begin(p, LOAD_BY_JSON, 1200, FIRST(LOAD_FLOOD_DATA));
    load_pump(p, 1, 32, load_seconds() + 0.2, UINT64_MAX);
    if (write(ready, "x", 1) != 1)
        exit(1);
    load_pump(p, 1, 32, load_seconds() + 3600, UINT64_MAX);
}

/* Whatever a receiver reads at the end of a round lets its connection live. */
static void flood_slow(load_pair *pairs, int ready)
{
    static uint8_t zeros[16384];
    for (int round = 0;; round++) {
        tl_buf piece[SLOW_PAIRS] = {{0}};
        size_t at[SLOW_PAIRS] = {0};
        for (int i = 0; i < SLOW_PAIRS; i++) {
            char session[40];
            tl_buf text = {0};
            load_node *from = &pairs[i].from, *to = &pairs[i].to;
            snprintf(session, sizeof session, "slow-%d-%d-%d", (int)getpid(), round, i);
            load_must(
                tl_signal_write_session(&text, TL_SIGNAL_RELAY_OPEN, from->id, to->id, session),
                "session");
            load_send_text(from, tl_buf_slice(&text));
            load_await(to, TL_SIGNAL_RELAY_OPEN);
            tl_buf_clear(&text);
            load_must(
                tl_signal_write_session(&text, TL_SIGNAL_RELAY_READY, to->id, from->id, session),
                "session");
            load_send_text(to, tl_buf_slice(&text));
            load_await(from, TL_SIGNAL_RELAY_READY);
            tl_buf_clear(&text);
            load_must(tl_signal_write_data(&text, from->id, to->id, session,
                                           tl_slice_of(zeros, sizeof zeros)),
                      "data");
            load_must(tl_ws_append(&piece[i], TL_WS_TEXT, tl_buf_slice(&text), load_mask), "frame");
            tl_buf_clear(&text);
        }
        if (!round && write(ready, "x", 1) != 1)
            exit(1);
        for (double until = load_seconds() + SLOW_ROUND; load_seconds() < until;) {
            bool sent = false;
            for (int i = 0; i < SLOW_PAIRS; i++) {
                load_skip(&pairs[i].from);
                size_t n = load_write(&pairs[i].from, tl_buf_begin(&piece[i]) + at[i],
                                      piece[i].len - at[i]);
                at[i] = (at[i] + n) % piece[i].len;
                sent |= n > 0;
            }
            if (!sent)
                usleep(1000);
        }
        for (int i = 0; i < SLOW_PAIRS; i++) {
            while (at[i]) { /* the rest of a message */
                size_t n = load_write(&pairs[i].from, tl_buf_begin(&piece[i]) + at[i],
                                      piece[i].len - at[i]);
                at[i] = (at[i] + n) % piece[i].len;
                load_skip(&pairs[i].from);
                load_skip(&pairs[i].to);
            }
            tl_buf_clear(&piece[i]);
        }
    }
}

static _Noreturn void run(load_flood kind, const load_relay *at, int ready)
{
    load_pair pairs[SLOW_PAIRS] = {0};
    tl_rand rand = tl_rand_system();
    for (int i = 0; i < (kind == LOAD_FLOOD_SLOW ? SLOW_PAIRS : 1); i++) {
        load_node_new(&pairs[i].from, at, &rand, FIRST(kind) + 2 * i);
        load_node_new(&pairs[i].to, at, &rand, FIRST(kind) + 2 * i + 1);
        pairs[i].from.may_fail = pairs[i].to.may_fail = true;
    }
    switch (kind) {
    case LOAD_FLOOD_DATA: flood_data(pairs, ready); break;
    case LOAD_FLOOD_FRAMES:
        flood_frames(&pairs->from, TL_WS_PING, tl_slice_of(NULL, 0), ready);
        break;
    case LOAD_FLOOD_DISCOVER: flood_discover(&pairs->from, ready); break;
    default: flood_slow(pairs, ready);
    }
    exit(1);
}

pid_t load_flood_begin(load_flood kind, const load_relay *at)
{
    int ready[2];
    char byte;
    if (pipe(ready) < 0)
        load_die("pipe");
    fflush(stdout);
    pid_t flood = fork();
    if (flood < 0)
        load_die("fork");
    if (!flood) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        run(kind, at, ready[1]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        load_die("the flood of %s did not begin", load_flood_names[kind]);
    close(ready[0]);
    return flood;
}

void load_flood_end(pid_t flood)
{
    int status;
    bool ran = waitpid(flood, &status, WNOHANG) == 0;
    kill(flood, SIGKILL);
    waitpid(flood, &status, 0);
    if (!ran)
        load_die("the flood ended by itself");
}
