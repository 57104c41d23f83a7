/* state.h - what the sources of peer/peers share. Never touches a socket or a clock, and nothing
 * else includes it.
 *
 *   peers.c     makes the whole, takes what relays and direct tell, answers the owner
 *   run.c       drives: QUIC's events, the tasks noted on connections, the timers
 *   dial.c      makes a connection
 *   ways.c      chooses the best way
 *   outage.c    finds a lost path again
 *   quiet.c     notices a relay that carries nothing
 *   control.c   speaks on the control stream
 *   udp_ways.c  proves and watches the ways by UDP over the relay; udp_legs.c asks the relays
 *   nodes.c     makes peer/relayers part of this: the nodes that relay
 *   traffic.c   carries datagrams, in both directions
 *   sessions.c  gives out path ids
 *   contact.c   keeps the connections to one peer, and the wishes for streams to it
 *
 * Calls go down this list. What must go up is noted on the connection (tl_conn_note), and
 * tl_peers_run drains it. */
#ifndef TL_PEER_STATE_H
#define TL_PEER_STATE_H

#include "base/ratelimit.h"
#include "path/choice.h"
#include "peer/outbox.h"
#include "peer/peers.h"
#include "peer/proof.h"
#include "peer/watch.h"
#include "wire/cluster.h"
#include "wire/codes.h"
#include "wire/streamframe.h"

#include <utlist.h>

/* A session that a peer opened is closed after this time, if no connection came over it. */
#define TL_PATH_UNUSED_MAX     (30 * TL_SEC)
/* Bounds on what strangers cost us. Beyond the first, further sessions of one peer are declined at
 * once. The second bounds the sessions over which no connection came. When there are so many, one
 * makes room: a stranger's before that of a peer that we know; among these one of the peer that had
 * most; among these the oldest. A session that would be the next to make room is declined. */
#define TL_PATHS_OF_PEER_MAX   16
#define TL_PATHS_WAITING_MAX   512
/* The pauses between attempts to get a session; a pause doubles. While the path is lost, questions
 * may wait for the session. A session that is only to be kept warm is not urgent. */
#define TL_REOPEN_FIRST        (250 * TL_MS)
#define TL_REOPEN_LOST_MAX     (1 * TL_SEC)
#define TL_REOPEN_WARM_MAX     (30 * TL_SEC)
#define TL_REOPEN_REFUSED      (5 * TL_SEC) /* at least, after `busy` and `rate_limited` */
/* The same between dials of one peer, whatever asks for them. */
#define TL_DIAL_REFUSED        (2 * TL_SEC)
#define TL_DIAL_REFUSED_MAX    (30 * TL_SEC)
/* So long a peer on the local network is asked there alone: ten times what it takes on a busy Wi-Fi. */
#define TL_DIAL_NEAR           (300 * TL_MS)
#define TL_RETIRE_AFTER        (1 * TL_SEC) /* the other side's last stream may be on its way */
#define TL_CONTROL_PENDING_MAX (2 * TL_FRAME_MESSAGE_MAX) /* more unread: the peer is stuck */

/* What a peer may say on its control stream. Each message costs a parse, a hello an answer as long
 * as our capabilities. A connection that says more is closed. An honest node says hello when its
 * models change, and a heartbeat each 25 s or for each ping.
 *
 *   messages <= burst + rate x seconds, and the same of bytes; ten times as much of a known peer */
#define TL_CONTROL_RATE        20
#define TL_CONTROL_BURST       100
#define TL_CONTROL_BYTES_RATE  (64 * 1024)
#define TL_CONTROL_BYTES_BURST (2 * TL_FRAME_MESSAGE_MAX) /* a hello of the largest size, twice */
#define TL_CONTROL_KNOWN       10

#define TL_REOPEN_OVERLAP (2 * TL_SEC) /* an old session is kept after it was followed */

/* How long the peer has for a sign of life: after the connection found a new path (the peer may be
 * a new process that does not know the connection), and after the peer was silent for long. */
#define TL_PROBE_NEW_PATH (2 * TL_SEC)
#define TL_PROBE_STALE    (10 * TL_SEC)
/* The same after the relay ended the session that was kept warm: the peer's process may have died,
 * or a NAT has forgotten the relay and the direct path alike. Once the peer is at the relay again,
 * it has little time, so that a process that started again is asked soon. With a long round trip it
 * has what a new path has. */
#define TL_PROBE_ENDED    (2 * TL_SEC)
#define TL_PROBE_BACK     (600 * TL_MS)
#define TL_PROBE_BACK_RTT (100 * TL_MS) /* up to this round trip, with one packet lost */

typedef struct tl_peer_conn tl_peer_conn;
typedef struct tl_contact tl_contact;

/* --- path ids --- */

/* The kinds of way that a path id can stand for. Only traffic.c chooses by the kind where a
 * datagram is sent. */
typedef enum {
    TL_PATH_SESSION,   /* a session at the relay; the relay link uses the same id for it */
    TL_PATH_DIRECT,    /* a pair of addresses; direct/ uses the same id for it */
    TL_PATH_LENT,      /* a session at the relay that is somebody else's: no QUIC passes over it */
    TL_PATH_RELAY_UDP, /* a session at the relay, by UDP; the session has an id of its own */
} tl_path_kind;

typedef struct tl_udp_way tl_udp_way;

/*  A session that we asked for: OPENING --relayReady--> OPEN.
 *  A session that a peer asked for, and a direct way: OPEN from the start.
 *  OPENING, OPEN --it leads nowhere, or no connection needs it--> GONE
 *  GONE --no connection is on it--> freed                               */
typedef enum {
    TL_PATH_OPENING, /* a session for which relayReady has not come yet */
    TL_PATH_OPEN,    /* datagrams may go over it */
    TL_PATH_GONE,    /* it leads nowhere; a connection may still name it */
} tl_path_state;

/* One way to reach one peer. */
typedef struct {
    tl_path_id id;
    tl_path_kind kind;
    tl_path_state state;
    tl_node_id peer;    /* of a session: the relay says so. QUIC proves it. */
    bool ours;          /* a session that we opened */
    bool used;          /* the peer opened it, and a connection came over it or keeps it warm */
    bool known;         /* the peer opened it, and we knew the peer then */
    bool heard;         /* of a session: the peer has sent over it */
    tl_time text_until; /* of a session: datagrams go as relayData until then */
    tl_udp_way *udp;    /* of a session with a token, and of its way by UDP; NULL: none */
    unsigned nth;       /* how many sessions the peer had that waited when it opened this one */
    tl_time made;
    UT_hash_handle hh;
} tl_path;

/* --- ways by UDP over the relay --- */

/* So long after a move to the session itself its datagrams are relayData, which reaches the peer
 * whatever its UDP does: both sides have found out by then which of them lost it. */
#define TL_UDP_TEXT_FOR      (2 * TL_SEC)
#define TL_UDP_TOKEN_EVERY   (15 * TL_SEC) /* a token alone keeps NATs and the relay's session open */
#define TL_UDP_PROVE_WITHIN  (2500 * TL_MS) /* five checks, the last after 1.5 s */
#define TL_UDP_PAUSE_LOST    (1 * TL_SEC)   /* after a loss; doubles */
#define TL_UDP_PAUSE_VAIN    (5 * TL_SEC)   /* when the peer did not answer; doubles */
#define TL_UDP_PAUSE_MAX     (60 * TL_SEC)
#define TL_UDP_CALM          (60 * TL_SEC) /* a way that stood so long begins with short pauses */
#define TL_UDP_VOUCHED       (2 * TL_SEC)  /* so long an answered doubt is not doubted again */
#define TL_UDP_MIGRATE_EVERY (500 * TL_MS)
#define TL_UDP_MIGRATE_TRIES 5
#define TL_UDP_LEGS_MAX      8 /* relays' UDP addresses: two for each relay that a node uses */

/* Our UDP port's way to one relay. */
typedef struct {
    tl_leg leg;
    size_t users; /* ways by UDP that go over it; 0: the place is free */
} tl_udp_leg;

struct tl_udp_way {
    tl_path_id session, path; /* the relay session, and the way itself */
    tl_node_id peer;
    tl_udp_state state;
    char id[TL_SIGNAL_SESSION_MAX + 1];
    char hostport[TL_HOST_MAX + 6]; /* as the relay named its UDP port */
    uint8_t token[TL_RELAY_TOKEN];
    tl_udp_leg *leg;  /* NULL: the relay's address is not known yet */
    tl_addr bound_as; /* our address when we last sent the token; NONE: never */
    tl_checks *checks;
    uint16_t pair; /* in the checks */
    /* WAITING: the end of the pause. MOVING: the next RelayMigrate. PROVING: the end of our patience. STANDS: TL_NEVER. */
    tl_time due_at;
    tl_time pause; /* the next one */
    tl_time token_at, stands_since, knocked_at;
    bool doubted;           /* STANDS: no check was answered since something else fell silent */
    tl_time vouched_at;     /* when the last doubt was answered */
    unsigned answered;      /* doubted: how many checks were, before */
    unsigned losses, tries; /* tries: of RelayMigrate */
    uint64_t sequence;      /* of the last RelayMigrate */
    tl_udp_way *prev, *next;
};

/* --- connections --- */

/* STANDS --its path leads nowhere--> LOST --another path carries it--> STANDS
 *                                      \--TL_PEERS_OUTAGE_MAX--> the connection is closed */
typedef enum {
    TL_OUTAGE_STANDS, /* the connection has a path */
    TL_OUTAGE_LOST,   /* its path is gone, and it looks for another */
} tl_outage_state;

/* How the client gets a session at the relay.
 *
 *  RESTING --wanted--> DUE --asked for--> ASKED --relayReady--> RESTING
 *                       ^--refused, ended: after a pause, which doubles--/
 *  any state --another path was found, or the connection ended--> RESTING        */
typedef enum {
    TL_REOPEN_RESTING, /* the connection has its session, or wants none */
    TL_REOPEN_DUE,     /* at reopen_at the relay will be asked for one */
    TL_REOPEN_ASKED,   /* the relay has been asked: `asked` is the path */
} tl_reopen_state;

typedef struct {
    tl_outage_state state;
    tl_time lost_at; /* LOST: since when */
    tl_reopen_state reopen;
    tl_time reopen_at; /* DUE: when; else TL_NEVER */
    tl_time pause;     /* before the next try, if the present one fails */
    tl_path_id asked;  /* ASKED: the session; else 0 */
    bool replaces;     /* `relayed` shall be followed by a session at another relay */
    /* The session that was followed. It is kept for a moment: what is on its way by it still comes. */
    tl_path_id old;
    tl_time old_until; /* TL_NEVER: there is none */
    bool began;        /* at least once; then: */
    uint64_t heard;    /* packets until the last began, */
    unsigned barren;   /* and how often since then a way that answers checks carried nothing */
} tl_outage;

/* Silence of the relay under a question, on a client whose session could be at another relay.
 *
 * RESTING --a question begins--> LOOKING --none any more, or no other relay--> RESTING
 * While LOOKING the peer is asked for a packet each TL_QUIET_EVERY. */
typedef struct {
    tl_time look_at; /* LOOKING: when; RESTING: TL_NEVER */
    uint64_t heard;  /* packets until the last look */
    unsigned looks;  /* without a packet, one after the other */
} tl_quiet;

/* What a connection has to do at the next tl_peers_run. */
typedef enum {
    TL_TASK_CHOOSE = 1,   /* the ways to its peer have changed: choose one */
    TL_TASK_STRANDED = 2, /* its path may lead nowhere any more */
    TL_TASK_SESSION = 4,  /* it may have no session at the relay */
    TL_TASK_USE = 8,      /* its path may have changed, or questions began or ended */
    TL_TASK_ASK_LIFE = 16 /* a question wants the peer, who has been silent for long */
} tl_conn_task;

/* One QUIC connection. */
struct tl_peer_conn {
    tl_stream_owner control_owner; /* first: the control stream's user points here */
    tl_peers *peers;
    tl_contact *contact;
    tl_quic_conn *quic;
    bool client, connected, retiring;
    tl_time connected_at, idle_since, retire_at, judge_at;
    size_t streams;                      /* of requests, both directions */
    size_t asked;                        /* of them: those that we opened */
    const char *closing;                 /* why we closed it; NULL: we did not close it */
    bool broke;                          /* we closed it because nothing passed any more */
    unsigned tasks;                      /* bits of tl_conn_task */
    tl_peer_conn *task_prev, *task_next; /* the list of connections with something to do */
    /* the control stream */
    tl_quic_stream *control;
    tl_frame_reader reader;
    tl_outbox out;
    bool hello_seen;
    bool control_known; /* the two are those of a peer that we know */
    tl_ratelimit control_messages, control_bytes;
    uint64_t sequence;
    tl_time heartbeat_at;
    tl_peer_pong *pongs;
    /* its small machines */
    tl_watch watch;   /* is the peer alive? */
    tl_proof proof;   /* does the present direct way carry anything? */
    tl_outage outage; /* is there a path? */
    tl_quiet quiet;   /* does its relay carry anything? */
    /* the session at the relay that carries the connection or is kept warm for it; 0 = none */
    tl_path_id relayed;
    tl_time relayed_rtt, relayed_since;
    /* the choice among the ways */
    tl_path_id path;    /* the path that direct and the owner were last told of */
    tl_time path_since; /* since when that path is in use */
    tl_choice_state choice;
    tl_time choose_at;
    const char *chosen; /* the rule that chose the way */
    bool was_active;
    tl_peer_conn *prev, *next;
};

/* NONE --wanted--> RELAY --the relay is connected--> OPENING --relayReady--> HANDSHAKE
 *   NONE becomes OPENING at once if the relay is connected, and DIRECT where the peer is on the local network: its
 *   relays are asked when no way stood there for a moment.
 *   OPENING, HANDSHAKE --the connection to the relay was lost--> RELAY
 *   NONE, RELAY, OPENING --no relay will carry it--> DIRECT
 *   RELAY, DIRECT --a direct way stands--> HANDSHAKE
 *   any state --the connection stands, is refused, is late, or is given up--> NONE      */
typedef enum {
    TL_DIAL_NONE,      /* no connection is being made */
    TL_DIAL_RELAY,     /* waits until the relay is connected, or a direct way stands */
    TL_DIAL_DIRECT,    /* waits until a direct way stands */
    TL_DIAL_OPENING,   /* the relay was asked for the session dial_path. dial_conn: the handshake's
                          first datagram rode along; NULL: it did not */
    TL_DIAL_HANDSHAKE, /* the handshake of dial_conn runs over dial_path, a session or a direct way */
} tl_dial_state;

/* One peer: its connections, the wishes for streams to it, the dial. */
struct tl_contact {
    tl_peers *peers;
    tl_peer *peer;
    tl_peer_conn *conns;
    tl_peer_wish *wishes;
    unsigned wish_turn;
    tl_dial_state dial;
    tl_path_id dial_path;
    tl_peer_conn *dial_conn;
    tl_time dial_deadline;
    /* The peer is near, and relays are asked then; 0: they have been, or it is not. */
    tl_time near_until;
    bool looking;               /* somebody looks where the peer is (the event on_sought) */
    bool sought;                /* and did so for this dial */
    const char *unfound;        /* why it was not found; a literal */
    bool joined;                /* on_joined was called */
    uint64_t gone_in, gone_out; /* bytes of connections that ended */
    tl_contact *prev, *next;
};

/* A peer whose last connection broke. */
typedef struct {
    tl_node_id peer;
    bool dialled; /* by us */
    tl_time at;   /* 0: this place is empty */
} tl_peers_lost_one;

struct tl_peers {
    tl_peers_config config;
    tl_peers_events events;
    void *user;
    tl_quic *quic;
    json_t *capabilities;
    tl_path *paths;    /* in the order they were made */
    size_t n_sessions; /* paths of this kind that are not GONE */
    tl_path_id next_path;
    tl_relayers *relayers;       /* NULL: there is no UDP */
    tl_introducers *introducers; /* the same */
    tl_udp_way *udp_ways;
    tl_udp_leg udp_legs[TL_UDP_LEGS_MAX];
    uint64_t udp_sequence; /* of RelayMigrate, of all ways together */
    bool sweep;            /* a path may not be needed any more */
    tl_contact *contacts;
    tl_peer_conn *tasks;
    bool goodbye, in_run;
    bool look;   /* a contact may have something to do, or may not be needed any more */
    tl_time due; /* when tl_peers_on_timer has something to do besides QUIC's; may be too early */
    tl_peers_lost_one lost[TL_PEERS_LOST_MAX];
    tl_peers_counters counters;
    uint8_t out[TL_QUIC_OUTPUT_MAX];
};

static inline tl_time tl_peers_now(const tl_peers *p)
{
    return tl_env_now(&p->config.env);
}
/* The next tl_peers_run looks at the contacts. */
static inline void tl_peers_look(tl_peers *p)
{
    p->look = true;
    tl_env_wake(&p->config.env);
}
static inline void tl_peers_wake(tl_peers *p)
{
    tl_env_wake(&p->config.env);
}
/* peers.c: is it a member of our networks, or a node with which a question went well? */
bool tl_peers_knows(const tl_peers *p, const tl_node_id *id);
/* Something is to be done at `at`. */
static inline void tl_peers_due(tl_peers *p, tl_time at)
{
    p->due = tl_time_min(p->due, at);
}

/* idle.c */
/* The connection is looked at in TL_PEERS_IDLE_MAX. */
void tl_idle_begin(tl_peer_conn *conn);
/* Closes it when it is idle and of no use. */
void tl_idle_judge(tl_peer_conn *conn, tl_time now);
/* Closes the connection that has been idle longest, if more than TL_PEERS_WARM_MAX of those that we
 * dialled are idle. */
void tl_idle_close_cold(tl_peers *p);

/* sessions.c */
tl_path *tl_path_find(const tl_peers *p, tl_path_id id);
/* NULL: out of memory. */
tl_path *tl_path_new(tl_peers *p, tl_path_kind kind, const tl_node_id *peer, bool ours);
/* The relay opened the session. */
void tl_path_opened(tl_path *path);
/* The session leads nowhere any more. `tell`: tell the relay, which does not know yet. */
void tl_path_drop(tl_peers *p, tl_path_id id, bool tell);
/* The path leads nowhere any more. */
void tl_path_end(tl_peers *p, tl_path *path);
/* Closes the sessions that no connection needs, and frees the paths that are GONE and that no
 * connection names. Called after the output is sent: a connection's close still goes over its
 * path. */
void tl_paths_sweep(tl_peers *p);
void tl_paths_free(tl_peers *p);
/* Returns when to call again. */
tl_time tl_paths_on_timer(tl_peers *p, tl_time now);
/* The connection that is on a path, keeps it warm, or asked for it; NULL: none. */
tl_peer_conn *tl_conn_of_path(const tl_peers *p, const tl_path *path);
/* The path that carries the connection; NULL: that path is freed already. */
tl_path *tl_conn_path(const tl_peer_conn *conn);
/* Is the connection's path a direct way? True also for one that is gone. */
bool tl_conn_is_direct(const tl_peer_conn *conn);
/* The UDP relay way that is the connection's path; NULL: it is on another kind of path. */
tl_udp_way *tl_conn_udp_way(const tl_peer_conn *conn);
tl_via tl_conn_via(const tl_peer_conn *conn);

/* udp_ways.c */
/* Does the relay send to us by UDP for this way? */
static inline bool tl_udp_is_bound(const tl_udp_way *w)
{
    return w->state == TL_UDP_PROVING || w->state == TL_UDP_STANDS;
}
/* The session of the connection has changed, or the connection's path, or how many questions are
 * under way: begins to prove the way of that session, and asks it as often as its use needs. */
void tl_udp_follow(tl_peer_conn *conn);
/* The session is over, and with it its way by UDP. */
void tl_udp_end(tl_peers *p, tl_path *session);
void tl_udp_free_all(tl_peers *p);
/* A datagram that is no QUIC came by our WebSocket. */
void tl_udp_on_knock(tl_peers *p, tl_slice datagram);
/* A direct way to the peer fell silent. What silenced it may have silenced this one, which is asked seldom
 * while it is not in use. It is asked now, and no connection moves to it until it has answered. */
void tl_udp_doubt(tl_peers *p, tl_udp_way *w);
/* The way carries checks and no QUIC. */
void tl_udp_on_barren(tl_peers *p, tl_udp_way *w);
/* Our own address has changed, or may have. */
void tl_udp_on_moved(tl_peers *p);
bool tl_udp_measured(const tl_udp_way *w, tl_way *ret_way);
tl_time tl_udp_on_timer(tl_peers *p, tl_time now);
/* For udp_legs.c. UDP passes to the relay, or does not, or the relay sees us elsewhere. */
void tl_udp_on_leg(tl_peers *p, const tl_udp_leg *leg, tl_time now);
void tl_udp_proceed(tl_peers *p, tl_udp_way *w, tl_time now);

/* nodes.c */
TL_CHECK tl_err tl_nodes_new(tl_peers *p);
/* Is the connection's session, which is at the relay otherwise, at a node that relays? */
bool tl_conn_by_node(const tl_peer_conn *conn, tl_relayer_name *ret_name);
/* The path of a datagram from a node that relays for us; 0: it is of none. */
tl_path_id tl_nodes_path_of(tl_peers *p, tl_sock sock, const tl_addr *from, tl_slice datagram);
/* A control datagram from elsewhere than a relay. False: it is for others. */
bool tl_nodes_on_control(tl_peers *p, const tl_addr *from, tl_slice datagram);
/* The session of the connection ends soon: where a node relays it, another one is looked for. */
void tl_nodes_on_warning(tl_peer_conn *conn);
/* A relay is connected again: connections that a node relays only for want of it go back. */
void tl_nodes_on_registered(tl_peers *p);

/* udp_legs.c */
/* The leg to the relay that named this HOST:PORT. NULL: its address is not known, or there are
 * TL_UDP_LEGS_MAX. Each call counts as one user more. */
tl_udp_leg *tl_udp_leg_get(tl_peers *p, const char *hostport);
void tl_udp_leg_put(tl_udp_leg *leg);
/* NULL: no relay of ours is there. */
tl_udp_leg *tl_udp_leg_at(tl_peers *p, const tl_addr *relay);
/* Sends to the relay, with `prefix` in front of each datagram. */
TL_CHECK tl_err tl_udp_leg_send(tl_peers *p, const tl_udp_leg *leg, tl_slice prefix,
                                const uint8_t *data, size_t n, size_t segment);
void tl_udp_leg_doubt(tl_peers *p, tl_udp_leg *leg);
tl_time tl_udp_legs_on_timer(tl_peers *p, tl_time now);

/* traffic.c */
bool tl_traffic_is_held(void *user, tl_path_id id);
void tl_traffic_send(tl_peers *p);
/* Sends what there is to send, until a datagram comes for the path: that one is copied to `ret_room`.
 * Returns its bytes; 0: none came, or it was larger. */
size_t tl_traffic_first(tl_peers *p, tl_path_id path, uint8_t *ret_room, size_t cap);

/* contact.c */
/* NULL: out of memory, or TL_PEERS_MAX. */
tl_contact *tl_contact_get(tl_peers *p, const tl_node_id *id);
/* NULL: there is no connection to this peer, none is being made and none is wanted. */
tl_contact *tl_contact_find(const tl_peers *p, const tl_node_id *id);
/* Calls on_left, if the last connection is gone. */
void tl_contact_tell_left(tl_contact *c, const char *why);
/* Forgets a contact that has neither connections nor wishes nor a dial. */
void tl_contact_tidy(tl_contact *c);
tl_peer_conn *tl_contact_add_conn(tl_contact *c, tl_quic_conn *quic, bool client);
/* Frees the connection. Its QUIC connection has ended. */
void tl_contact_remove_conn(tl_peer_conn *conn);
/* `why` is a literal. The owners of the connection's streams are told it. */
void tl_conn_close(tl_peer_conn *conn, uint64_t code, const char *why);
/* Notes that the connection has something to do. */
void tl_conn_note(tl_peer_conn *conn, tl_conn_task what);
bool tl_conn_is_lost(const tl_peer_conn *conn);
void tl_contact_serve_wishes(tl_contact *c);
/* Fails every wish. Wishes that are made during the call stay. */
void tl_contact_fail_wishes(tl_contact *c, tl_err e, const char *why);
/* The connection that counts as the peer's; NULL: none stands. */
tl_peer_conn *tl_contact_best(const tl_contact *c);
/* The same for new streams: one that is being closed takes none. */
tl_peer_conn *tl_contact_open(const tl_contact *c);
/* Decides which of several connections stays. The others are marked to be closed. */
void tl_contact_mark_retiring(tl_contact *c);

/* dial.c */
void tl_contact_dial_start(tl_contact *c);
/* Ends the attempt; the contact stays. */
void tl_contact_dial_stop(tl_contact *c);
void tl_contact_dial_fail(tl_contact *c, tl_err e, const char *why);
/* A connection to the peer stands. */
void tl_contact_dial_connected(tl_contact *c, tl_peer_conn *conn);
void tl_contact_dial_on_registered(tl_contact *c);
/* The session dial_path is ready, or has ended. */
void tl_contact_dial_on_ready(tl_contact *c);
/* `refused`: as of tl_outage_on_ended. */
void tl_contact_dial_on_ended(tl_contact *c, const char *why, bool refused);
/* The direct ways to the peer have changed, or an attempt at one has ended. */
void tl_contact_dial_on_ways(tl_contact *c);
/* The look for the peer has ended: it is known where it is, or `why` it is not. */
void tl_contact_dial_on_looked(tl_contact *c, const char *why);
/* dial_conn was closed, and is freed already. */
void tl_contact_dial_on_closed(tl_contact *c, tl_err e, const char *why);
/* Every function ..._on_timer does what is due and returns when to call it again. */
tl_time tl_contact_dial_on_timer(tl_contact *c, tl_time now);

/* outage.c */
/* The connection has lost its path. */
void tl_outage_begin(tl_peer_conn *conn);
/* Calls tl_outage_begin if the connection's path leads nowhere any more. */
void tl_outage_begin_if_stranded(tl_peer_conn *conn);
/* Another path carries the connection. */
void tl_outage_over(tl_peer_conn *conn);
/* Asks for a session at the relay, if the connection has none. */
void tl_outage_want_session(tl_peer_conn *conn);
/* Asks for a session at another relay than the present one's, and moves there. The present session is kept
 * until then, and for a moment longer. No effect on a server. */
void tl_outage_replace_session(tl_peer_conn *conn);
void tl_outage_on_registered(tl_peer_conn *conn);
/* The session outage.asked is ready, or has ended. `refused`: the relay said that it is too busy, or that
 * we ask too much. */
void tl_outage_on_ready(tl_peer_conn *conn);
void tl_outage_on_ended(tl_peer_conn *conn, bool refused);
tl_time tl_outage_on_timer(tl_peer_conn *conn, tl_time now);

/* quiet.c */
/* Is the relay silent under a question? Then another one is asked for a session. */
tl_time tl_quiet_on_timer(tl_peer_conn *conn, tl_time now);
/* Questions are under way from now on. */
void tl_quiet_begin(tl_peer_conn *conn);

/* ways.c */
/* Does the connection's path lead to the peer, as far as we know? Its direct way may be lost before
 * another path is there, or before the client has moved. */
bool tl_ways_stands(const tl_peer_conn *conn);
/* Moves the connection to the best way there is. */
void tl_ways_choose(tl_peer_conn *conn, tl_time now);
tl_time tl_ways_on_timer(tl_peer_conn *conn, tl_time now);
/* The path may have changed, or questions began or ended: tells direct, and calls on_path. */
void tl_ways_use(tl_peer_conn *conn);

/* moved.c */
/* The last connection to the peer is gone, and no side wanted that. */
void tl_peers_note_lost(tl_peers *p, const tl_node_id *peer, bool dialled);

/* control.c */
/* TL_ERR_AGAIN, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_control_open(tl_peer_conn *conn);
void tl_control_accept(tl_peer_conn *conn, tl_quic_stream *s);
void tl_control_clear(tl_peer_conn *conn);
void tl_control_send_hello(tl_peer_conn *conn);
void tl_control_send_goodbye(tl_peer_conn *conn, const char *reason);
/* As tl_peers_tell. */
TL_CHECK tl_err tl_control_tell(tl_peer_conn *conn, const char *name, json_t *payload);
/* Sends a heartbeat now; `g` may be NULL. */
void tl_control_beat(tl_peer_conn *conn, tl_peer_pong *g);
/* Asks the peer for a sign of life. */
void tl_control_probe(tl_peer_conn *conn, tl_time within);

#endif
