/* quic_node.h - a tl_quic on a host of the simulator, with a small application: it echoes the
 * streams others open, and can send a known pattern and check that the same comes back. */
#ifndef TEALE_SIM_QUIC_NODE_H
#define TEALE_SIM_QUIC_NODE_H

#include "quic/quic.h"
#include "sim.h"

#define QUIC_NODE_CONNS_MAX  32
#define QUIC_NODE_REASON_MAX 96

/* One stream that this node opened or accepted. */
typedef struct quic_job {
    struct quic_job *next;
    tl_quic_stream *stream; /* NULL after CLOSED */
    bool mine;              /* opened here: sends `total` bytes of the pattern, expects them back */
    uint64_t seed;          /* of the pattern */
    uint64_t total, sent, received;
    bool fin_sent, fin_received, reset, closed, wrong;
    uint64_t reset_code;
} quic_job;

typedef struct quic_node {
    sim *sim;
    sim_host *host;
    tl_identity identity;
    tl_rand rand;
    tl_quic *quic;
    quic_job *jobs;

    /* what happened */
    tl_quic_conn *conns[QUIC_NODE_CONNS_MAX]; /* connected and not closed */
    unsigned conns_n;
    unsigned connected, closed, path_changes, opened, streams_available, readable;
    tl_err close_error;
    uint64_t close_code;
    char close_why[QUIC_NODE_REASON_MAX];
    tl_node_id connected_peer;         /* of the last CONNECTED */
    tl_time connected_at, readable_at; /* of the last */

    /* how it behaves */
    bool hold_reading;      /* does not consume */
    bool strangers;         /* nobody is known to it; else everybody is */
    bool mute;              /* accepts streams and does nothing with them */
    tl_time clock_unsteady; /* half the times it hands in are early, by less than this */
} quic_node;

/* NULL config: the default. The config's identity and rand are filled in. */
quic_node *quic_node_new(sim *s, const tl_quic_config *config);
void quic_node_free(quic_node *n);
tl_quic_config quic_node_config(void);
/* As if the process was started anew with the same key. */
void quic_node_restart(quic_node *n);

tl_quic_conn *quic_node_dial(quic_node *n, const quic_node *peer, tl_path_id path);
/* The only connection; NULL when there is none. */
tl_quic_conn *quic_node_conn(const quic_node *n);
/* Opens a stream of `total` pattern bytes and a fin. NULL: the peer allows no more. */
quic_job *quic_node_send(quic_node *n, tl_quic_conn *c, uint64_t total);
/* Goes on reading after hold_reading. */
void quic_node_resume_reading(quic_node *n);
/* All bytes of a job came back right, with the fin, and the stream is closed. */
bool quic_job_done(const quic_job *j);
/* quic_job_done for every job of this node's own. */
bool quic_node_all_done(void *node);
bool quic_node_is_connected(void *node);
bool quic_node_is_closed(void *node);

#endif
