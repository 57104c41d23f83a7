/* side.h - one end of a benchmark: a tl_quic over a plain UDP socket, driven by a thread of its own
 * on a core of its own. Both ends are in one process, their sockets where the options say. */
#ifndef TEALE_BENCH_SIDE_H
#define TEALE_BENCH_SIDE_H

#include "io/udp.h"
#include "quic/quic.h"

#include <stdatomic.h>

typedef struct side {
    const char *name;
    int core;
    tl_udp *udp;
    tl_addr peer;
    tl_rand rand;
    tl_identity identity;
    tl_quic *quic;
    tl_quic_conn *conn;
    void (*on_event)(struct side *s, const tl_quic_event *e, tl_time now);
    void (*at_rest)(struct side *s, tl_time now); /* before it waits; or NULL */
    tl_time wake;                                 /* not to be slept past; TL_NEVER */
    void *user;
    uint64_t refused; /* sends the socket had no room for */
    double cpu;       /* seconds this thread computed */
} side;

extern atomic_bool side_stop; /* ends every side_run */

tl_time side_now(void);
_Noreturn void side_die(const char *what);

/* Where a side's socket is: "ADDRESS", or "NAMESPACE/ADDRESS" for a network namespace of ip(8);
 * NULL: loopback. */
void side_init(side *s, const char *name, int core, const char *where, uint32_t suites);
void side_clear(side *s);
/* Each sends to the other; `a` dials. */
void side_join(side *a, side *b);
/* Moves this thread to a core. */
void side_pin(const char *name, int core);
/* pthread_create's function: runs `side` until side_stop. */
void *side_run(void *arg);
/* Runs both for so long. */
void side_run_both(side *a, side *b, double seconds);

#endif
