/* peers_scene.h - two nodes' peers, each with a relay link and direct ways, and between them a relay
 * that passes everything on and a wire of UDP. Time is the test's. For the tests of peer/peers. */
#ifndef TL_TESTS_PEERS_SCENE_H
#define TL_TESTS_PEERS_SCENE_H

#include "peer/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct node {
    tl_identity identity;
    tl_rand rand;
    tl_peer_table table;
    tl_relays *relays;
    tl_relay_link *link; /* its first relay */
    tl_direct *direct;
    tl_peers *peers;
    tl_addr addr;
    tl_candidate candidate;
    tl_direct_self self;
    bool up;              /* the relay has it */
    bool useless;         /* nobody is worth an idle connection */
    const char *hopeless; /* what on_relay_wanted says */
    bool full;            /* may_send says no */
    unsigned joined, left, paths, wanted, streams;
    char why[128];          /* on_left's */
    tl_quic_stream *stream; /* the last that the peer opened */
    tl_stream_owner owner;  /* of `stream` */
    unsigned readable, closed;
    tl_buf room; /* a message on its way out */
    size_t room_n;
} node;

/* A wish, and what became of it. */
typedef struct {
    tl_peer_wish wish; /* first */
    tl_stream_owner owner;
    tl_quic_stream *stream;
    unsigned served, failed, closed;
    tl_err error;
    char why[128];
} wisher;

extern node nodes[2]; /* the first has the smaller node ID */
extern tl_time now;
extern bool relay_mute; /* the relay takes messages and passes nothing on */
extern bool udp_cut;    /* no UDP passes */
extern bool quic_cut;   /* of UDP, only STUN passes */
extern bool
    reads_first; /* scene_setup: each knows that the other reads a datagram in a relayOpen */

/* With `direct`, both have one public address, and a direct way is found. */
void scene_begin(bool direct);
void scene_end(void);
int scene_setup(void **state);        /* relayed only */
int scene_setup_direct(void **state); /* with direct ways */
int scene_teardown(void **state);

void relay_up(node *n);
void relay_down(node *n);
/* Time passes; everything is delivered. */
void run_for(tl_time span);

void wish(wisher *w, int from);
/* A wish of nodes[from] for a stream to the other, served. */
void connect_from(wisher *w, int from);
/* Writes a byte, so that the other side sees the stream. */
void say(wisher *w);
/* Both sides are done with the stream. */
void finish(wisher *w);
tl_contact *contact_of(int i);
tl_peer_conn *conn_of(int i);
tl_via via_of(int i);
/* How many sessions node `i` has at the relay that are not over. */
size_t sessions_of(int i);

#endif
