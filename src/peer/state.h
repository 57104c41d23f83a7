/* state.h - what the sources of peer/peers share: peers.c (the table of connections and
 * the driving), dial.c (making them), control.c (their control streams). Nobody else's.
 */
#ifndef TL_PEER_STATE_H
#define TL_PEER_STATE_H

#include "peer/peers.h"
#include "wire/cluster.h"
#include "wire/codes.h"
#include "wire/streamframe.h"

#include <utlist.h>

/* A session that a peer opened and over which no connection came is closed after this. */
#define TL_PATH_UNUSED_MAX     (30 * TL_SEC)
/* A stranger costs us no more than this: beyond, its sessions are declined at once; and from all
 * strangers together, the oldest session over which no connection came makes room for the next. */
#define TL_PATHS_OF_PEER_MAX   16
#define TL_PATHS_WAITING_MAX   512
#define TL_REOPEN_FIRST        (250 * TL_MS) /* between attempts to find a lost path again, doubling */
#define TL_RETIRE_AFTER        (1 * TL_SEC) /* the other side's last stream may be on its way */
#define TL_CONTROL_PENDING_MAX (2 * TL_FRAME_MESSAGE_MAX) /* unread by the peer: it is stuck */

/* For a sign of life: from a connection that found a new path (the peer may be another process by
 * now, which does not know it), and from one that was silent for long. */
#define TL_PROBE_NEW_PATH (2 * TL_SEC)
#define TL_PROBE_STALE    (10 * TL_SEC)

/* While questions are under way, silence is looked at this often, and the peer asked for a sign of
 * life after as much of it: a relay may stop carrying without a word. */
#define TL_WATCH_EVERY (2 * TL_SEC)
#define TL_WATCH_QUIET                                                                             \
    (TL_PEERS_OUTAGE_MAX / TL_WATCH_EVERY) /* such looks without a packet: it is gone */

typedef struct tl_peer_conn tl_peer_conn;
typedef struct tl_contact tl_contact;

/* One way to reach one peer. */
typedef struct {
    tl_path_id id;
    tl_node_id peer; /* whom the relay says it leads to; QUIC finds out */
    bool open;       /* relayReady came or went */
    bool ours;       /* we opened it */
    bool used;       /* a connection came over it, or is kept warm by it */
    bool finished;   /* its connection closed: goes when the last datagrams were sent */
    tl_time made;
    UT_hash_handle hh;
} tl_path;

/* One QUIC connection. */
struct tl_peer_conn {
    tl_stream_owner control_owner; /* first: the control stream's user points here */
    tl_peers *peers;
    tl_contact *contact;
    tl_quic_conn *quic;
    bool client, connected, retiring;
    tl_time connected_at, idle_since, retire_at;
    size_t streams; /* of requests, both directions */
    /* control stream */
    tl_quic_stream *control;
    tl_frame_reader reader;
    tl_buf pending;
    bool hello_seen;
    uint64_t sequence;
    tl_time heartbeat_at;
    tl_peer_pong *pongs;
    tl_time heard_at;
    tl_time probe_at; /* no sign of life until then: the peer is gone; TL_NEVER: none awaited */
    tl_time watch_at; /* TL_NEVER: no question is under way */
    uint64_t watch_heard;
    unsigned quiet;
    /* the path is gone; the client looks for another */
    bool lost;
    tl_time lost_at, reopen_at, reopen_pause;
    tl_path_id reopening; /* asked for; 0 = none */
    tl_path_id relayed;   /* the session at the relay that carries it, or is kept warm; 0 = none */
    tl_time relayed_rtt, relayed_since;
    /* the choice among the ways */
    tl_path_id path;     /* as told last */
    tl_time path_since;  /* since when it is in use */
    tl_time switched_at; /* by choice; 0 = never */
    tl_time choose_at;
    const char *chosen; /* the rule */
    tl_time proof_at;   /* the next look whether the direct way carries anything; TL_NEVER: none */
    uint64_t proof_heard;
    unsigned proof_quiet;
    tl_path_id barren; /* the present way, when it carries nothing; 0 = it does */
    bool was_active;
    const char *closing; /* why we closed it; NULL: we did not */
    tl_peer_conn *prev, *next;
};

typedef enum {
    TL_DIAL_NONE,
    TL_DIAL_RELAY,     /* waits until the relay is connected */
    TL_DIAL_OPENING,   /* relayOpen sent */
    TL_DIAL_HANDSHAKE, /* QUIC on its way */
} tl_dial_state;

/* Everything that is between us and one peer. */
struct tl_contact {
    tl_peers *peers;
    tl_peer *peer;
    tl_peer_conn *conns;
    tl_peer_wish *wishes;
    tl_dial_state dial;
    tl_path_id dial_path;
    tl_peer_conn *dial_conn;
    tl_time dial_deadline;
    bool joined; /* on_joined was called */
    tl_contact *prev, *next;
};

struct tl_peers {
    tl_peers_config config;
    tl_peers_events events;
    void *user;
    tl_quic *quic;
    json_t *capabilities;
    tl_path *paths;
    tl_path_id next_path;
    tl_contact *contacts;
    bool goodbye, in_run, any_finished;
    bool look;   /* a contact may have something to do, or nothing left to be for */
    tl_time due; /* when tl_peers_on_timer has something to do besides QUIC's; may be too early */
    tl_peers_counters counters;
    uint8_t out[TL_QUIC_OUTPUT_MAX];
};

static inline tl_time tl_peers_now(const tl_peers *p)
{
    return tl_env_now(&p->config.env);
}
/* The contacts are looked after at the next run. */
static inline void tl_peers_look(tl_peers *p)
{
    p->look = true;
    p->config.env.wake(p->config.env.user);
}
static inline void tl_peers_wake(tl_peers *p)
{
    p->config.env.wake(p->config.env.user);
}

/* Something is to be done at `at`. */
static inline void tl_peers_due(tl_peers *p, tl_time at)
{
    p->due = tl_time_min(p->due, at);
}

/* peers.c */
tl_contact *tl_contact_get(tl_peers *p, const tl_node_id *id);
/* Forgets a contact that has neither connections nor wishes nor a dial. True: it is gone. */
bool tl_contact_tidy(tl_contact *c, const char *why);
/* `why` is a literal: its streams' owners are told it. */
void tl_conn_close(tl_peer_conn *conn, uint64_t code, const char *why);
tl_peer_conn *tl_contact_add_conn(tl_contact *c, tl_quic_conn *quic, bool client);
void tl_contact_serve_wishes(tl_contact *c);
void tl_contact_fail_wishes(tl_contact *c, tl_err e, const char *why);
/* The connection for new streams; NULL: none stands. */
tl_peer_conn *tl_contact_best(const tl_contact *c);

/* dial.c */
tl_path *tl_path_new(tl_peers *p, const tl_node_id *peer, bool ours);
void tl_path_drop(tl_peers *p, tl_path_id id, bool tell);
/* Drops it after the next output: the close itself is still to be sent over it. */
void tl_path_finish(tl_peers *p, tl_path_id id);
void tl_paths_drop_finished(tl_peers *p);
tl_path *tl_path_find(const tl_peers *p, tl_path_id id);
void tl_contact_dial_start(tl_contact *c);
/* Ends the attempt; the contact stays. */
void tl_contact_dial_stop(tl_contact *c);
void tl_contact_dial_connected(tl_contact *c, tl_peer_conn *conn);
/* The path under a connection is gone: the client looks for another. */
void tl_conn_lost_path(tl_peer_conn *conn);
/* Each does what is due and returns when to come back. */
tl_time tl_contact_dial_on_timer(tl_contact *c, tl_time now);
tl_time tl_conn_path_on_timer(tl_peer_conn *conn, tl_time now);
tl_time tl_paths_on_timer(tl_peers *p, tl_time now);

/* Asks for a session at the relay, if the connection has none. */
void tl_conn_want_session(tl_peer_conn *conn);

/* ways.c */
/* Moves the connection to the best way there is. Returns when to look again. */
tl_time tl_conn_choose(tl_peer_conn *conn, tl_time now);
tl_time tl_conn_ways_on_timer(tl_peer_conn *conn, tl_time now);
/* The path may have changed: tells direct, counts, and calls on_path. */
void tl_conn_path_is(tl_peer_conn *conn);
tl_via tl_conn_via(const tl_peer_conn *conn);

/* control.c */
/* TL_ERR_AGAIN, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_control_open(tl_peer_conn *conn);
void tl_control_accept(tl_peer_conn *conn, tl_quic_stream *s);
void tl_control_clear(tl_peer_conn *conn);
void tl_control_send_hello(tl_peer_conn *conn);
void tl_control_send_goodbye(tl_peer_conn *conn, const char *reason);
/* Asks for a sign of life. */
void tl_control_probe(tl_peer_conn *conn, tl_time within);
void tl_control_heard(tl_peer_conn *conn);
/* A question is under way from now on. */
void tl_control_watch(tl_peer_conn *conn);
/* Returns when to come back. */
tl_time tl_control_watch_on_timer(tl_peer_conn *conn, tl_time now);
/* A heartbeat now; `g` may be NULL. */
void tl_control_beat(tl_peer_conn *conn, tl_peer_pong *g);

#endif
