/* loops.h - a loop for each thread, and a relay in each: they share the ports (SO_REUSEPORT), tell
 * each other their nodes and carry messages by mailboxes (relay/federation, near carriers). The first
 * loop is the caller's. */
#ifndef TL_RELAYD_LOOPS_H
#define TL_RELAYD_LOOPS_H

#include "io/loop.h"
#include "relay/federation.h"
#include "relayd/hub.h"
#include "relayd/options.h"

typedef struct tl_relayd_loops tl_relayd_loops;

/* Makes the relays of all loops; their threads begin with tl_relayd_loops_run. All errors of
 * tl_relayd_server_new. */
TL_CHECK tl_err tl_relayd_loops_new(tl_loop *loop, const tl_relayd_options *options,
                                    tl_relayd_loops **ret_loops, tl_why *why);
/* As tl_relayd_server_write_ready. */
TL_CHECK tl_err tl_relayd_loops_write_ready(const tl_relayd_loops *l, tl_buf *out);
/* Runs all loops until each of them has ended. TL_ERR_IO with `why`: no thread. */
TL_CHECK tl_err tl_relayd_loops_run(tl_relayd_loops *l, tl_why *why);
/* To all of them, from the first loop. */
void tl_relayd_loops_reload(tl_relayd_loops *l);
void tl_relayd_loops_drain(tl_relayd_loops *l);
void tl_relayd_loops_shutdown(tl_relayd_loops *l);
/* Asks all other loops whether they turn. False: one of them has not answered the call before this one.
 * Whoever has ended counts as one that turns. From the first loop. */
bool tl_relayd_loops_turn(tl_relayd_loops *l);
/* At once. */
void tl_relayd_loops_stop(tl_relayd_loops *l);
void tl_relayd_loops_free(tl_relayd_loops *l);

/* --- for the relay of one loop --- */
size_t tl_relayd_loops_count(const tl_relayd_loops *l);
/* The bound of sessions is one for all loops. */
void tl_relayd_loops_share(tl_relayd_loops *l, tl_relay_limits *limits);
/* SEND (near) and TO_NEAR: copies. Returns the bytes that wait in the fullest box that it used. */
size_t tl_relayd_loops_post(tl_relayd_loops *l, size_t from, const tl_fed_output *out);
/* How much waits in the fullest of all boxes. */
size_t tl_relayd_loops_waiting(const tl_relayd_loops *l);
/* As tl_relayd_hub.ask_all. */
bool tl_relayd_loops_ask(tl_relayd_loops *l, size_t from, tl_relayd_conn *c, tl_slice request,
                         bool with_peers);
/* A datagram that came to one loop, and is for another (relayd/udp). False: there was no room. */
bool tl_relayd_loops_pass(tl_relayd_loops *l, size_t to, const tl_burst_way *way, tl_slice bytes);

#endif
