/* state.h - what the sources of node/ share. Never includes the API or the command line, and no
 * other room includes it.
 *
 *   node.c           makes, drives and ends the node
 *   node_wiring.c    hands the events of each part to the others
 *   node_network.c   the UDP port and the direct ways
 *   node_lan.c       the local network: who is found there, the TCP port for them, whom this node connects to;
 *                    trials.c connects
 *   node_reconnect.c what follows a change of network
 *   beside.c         small files that may be lost
 *   node_store.c     the database, and how its thread wakes the loop
 *   node_legacy.c    the old protocol
 *   node_scope.c     what the book of networks changes
 *   node_settings.c  puts settings into force
 *   node_slots.c     the queue before the model server, and the pause of its owner
 *   node_look.c      waits for a fresh look at peers and network; node_names.c who is meant by a name
 *   node_report.c    status, peers, models, events; node_net_report.c the network
 *   node_ptn_report.c  private networks, in reports
 *   node_ping.c      round trips to one peer
 *   node_keeping.c   this node's own backup; node_backup_verbs.c, node_backup_drop.c its verbs; restore.c
 *                    gets one back; node_aside.c what a node does that was restored elsewhere
 *   node_greets.c    whether nodes that nobody knows are let in by introductions
 *   node_members.c   private networks: what members/ needs; node_ptn.c, node_ptn_lists.c,
 *                    node_ptn_keys.c their verbs
 *   node_fragments.c fragments of backups: at others and here (node_holding.c); the pointers to them
 *                    (node_pointers.c)
 *   node_rank.c      who would be asked, at what price, and why
 *   verbs.c          what a person has the node do, by name
 *   sharing.c        what is shared with whom, or why it is not; pure
 *   facts.c          what metrics show
 *   reach.h, accounts.h say what else there is of it */
#ifndef TL_NODE_STATE_H
#define TL_NODE_STATE_H

#include "ask/access.h"
#include "ask/asker.h"
#include "ask/named.h"
#include "ask/router.h"
#include "ask/server.h"
#include "ask/slots.h"
#include "backup/backup.h"
#include "credit/credit.h"
#include "direct/direct.h"
#include "io/waker.h"
#include "legacy/legacy.h"
#include "legacy/message.h"
#include "members/members.h"
#include "net/network.h"
#include "net/relay_pair.h"
#include "node/hardware.h"
#include "node/node.h"
#include "node/sharing.h"
#include "peer/again.h"
#include "peer/reconnect.h"
#include "store/store.h"
#include "tell/doctor.h"

#define TL_NODE_GOODBYE_WITHIN (1 * TL_SEC) /* the time for the relay to take our goodbye */
#define TL_NODE_UNMAP_WITHIN   (1 * TL_SEC) /* after that, the time to end the port mapping */

/* How often something was seen, and when last. */
typedef struct {
    uint64_t count;
    tl_time at;
} tl_node_sign;

#define TL_NODE_BIDS_PAST 64 /* in the few seconds that one counts, there are hardly more */

/* The standing bids of this node (node_bids.c). */
typedef struct {
    tl_bids now, idle;            /* as they are; and while nothing runs, for the relay's list */
    uint64_t speeds[TL_BIDS_MAX]; /* of the models of `now`: what their cost was made of */
    int64_t version;              /* the last one that was given; 0: none yet */
    uint32_t slots, running, queued;
    /* Bids that were higher a moment ago: who asks for one of these pays it. */
    struct {
        uint64_t model; /* a hash of its name */
        int64_t price, version;
        tl_time until;
    } past[TL_NODE_BIDS_PAST];
    size_t past_next;
    bool stale;        /* speeds, models or settings are others than `now` was made of */
    bool changed;      /* since the last heartbeat of all */
    bool telling;      /* inside tl_node_tell_capabilities */
    tl_time beat_from; /* not before */
} tl_node_bids;

/* Is this machine the node, or is another one, that was restored from its backup (node_aside.c)?
 *
 *   LOOKING --the DHT knows of no other, or is silent--> NO --another one is found--> LEAVING --> TWIN
 *   LOOKING --another one is found--> TWIN --its owner takes over--> NO                              */
typedef enum {
    TL_ASIDE_NO,      /* it is */
    TL_ASIDE_LOOKING, /* it has just started, and shows itself to nobody before it knows */
    TL_ASIDE_LEAVING, /* it is not; what runs is ended */
    TL_ASIDE_TWIN,    /* it is not, and shows itself to nobody */
} tl_aside;

struct tl_node {
    tl_loop *loop;
    tl_settings settings;
    tl_identity identity;
    char hex[TL_NODE_ID_HEX + 1];
    char name[64];
    tl_rand rand;
    tl_env env;
    tl_hardware hardware;
    tl_peer_table table;
    struct tl_node_names *names; /* node/names.h; NULL while the node is made */
    tl_relays *relays;
    tl_relay_pair *client; /* keeps us connected to them */
    tl_network *network;   /* NULL: wan_enabled is false, or there is no socket */
    tl_direct *direct;
    tl_direct_self self;
    tl_candidate candidates[TL_CANDIDATES_MAX];
    char network_error[512]; /* why there is no network */
    bool network_stopped;
    char port_file[1024];
    tl_store *store; /* NULL: none. Jobs may be submitted in every stage of the node's life */
    tl_waker *store_waker;
    tl_members *members; /* our part in private networks; NULL where there is no store */
    struct tl_members_held *members_world;
    tl_reciprocity *deeds; /* what nodes did for us and for fellow members */
    tl_time deeds_keep_at, deeds_sweep_at;
    struct tl_node_fragments *fragments; /* NULL while the node is made */
    tl_credit *credit;                   /* NULL: there is no store, and nobody keeps accounts */
    tl_pay pay;
    tl_named_world named;
    struct tl_settle_call *settling; /* node_wallet.c */
    tl_networks *book;               /* our private networks, and who has shown to be a member */
    uint64_t book_seen;              /* the version of it that all parts know */
    tl_unix book_looked_at;          /* when questions were last held against it */
    json_t *ptns_told;               /* the last ptnIDs of our capabilities */
    tl_unix ptns_until;              /* they may be others then */
    bool told_serving;
    tl_access access; /* who may ask us, whom we may ask; set by tl_node_apply_access */
    tl_peers *peers;
    tl_reconnect *reconnect;        /* what follows a change of network */
    struct tl_node_again *comeback; /* to peers that are known (node_again.c) */
    struct tl_node_lan *lan;        /* the local network (node_lan.c) */
    tl_asker *asker;
    tl_router *router;
    tl_server *server;
    tl_slots *slots; /* between the server and the backend; the owner's questions pass by it */
    struct {
        bool on;
        tl_unix until; /* TL_PAUSE_NO_END */
        tl_time ends;  /* the same moment; TL_NEVER */
    } pause;           /* by the owner's word; the setting share_pause comes on top */
    struct {
        tl_aside state;
        tl_time leave_by, idle_at; /* LEAVING: when it ends at the latest, and where nothing runs */
    } aside;
    struct {
        bool changed;    /* the nodes that relay for us are others than we told */
        bool unsaved;    /* what is remembered has changed */
        tl_time save_at; /* not before */
    } relayed;
    tl_legacy *legacy;
    struct tl_node_dht *dht;           /* NULL: this node is not in the DHT */
    struct tl_node_keeping *keeping;   /* this node's own backup; NULL: there is no store */
    struct tl_node_relaying *relaying; /* NULL: nothing is relayed for others (node_relay.c) */
    struct tl_node_introducing *introducing; /* NULL: there is no UDP port (node_introduce.c) */
    tl_backend *backend;                     /* NULL: nothing is shared */
    char sharing_told[sizeof((tl_sharing *)NULL)->cause]; /* the cause that was last logged */

    tl_defer work;
    tl_timer timer;
    bool again; /* more work was noted while the node ran */
    tl_time started;
    tl_time discovered_at; /* when all nodes were last asked for; 0 = never */
    bool discovering;      /* that discovery is not answered yet */
    bool list_is_old;      /* a node has joined since then */
    tl_node_look *looks;   /* these wait for it */
    char wan_error[512];   /* why the relay client could not be started */
    tl_node_listener *listeners;
    tl_node_bids bids;
    tl_call *calls; /* in the order they came (node/verbs.h) */
    const char *(*option_of)(void *user, const char *key); /* NULL: no setting is fixed */
    void *option_user;
    tl_node_sign late, holes; /* offers refused as late; large packets that vanished */
    bool clock_told;          /* the log says that our clock and the relay's differ */
    bool relay_time_known;
    double relay_ahead; /* of our monotonic clock, in seconds since 1970 */

    enum { TL_NODE_NEW, TL_NODE_RUNNING, TL_NODE_DRAINING, TL_NODE_LEAVING, TL_NODE_GONE } stage;
    tl_time drain_deadline;
    void (*on_drained)(void *user);
    void *drained_user;
};

/* node.c */
void tl_node_wake(tl_node *n);

/* node_wiring.c */
TL_CHECK tl_err tl_node_wire(tl_node *n);
/* Sends the present capabilities to the relay and the peers. */
void tl_node_tell_capabilities(tl_node *n);
bool tl_node_is_shared(const tl_node *n, const char *model);
/* The name under which the model server has the model, if it is served to others now; else NULL. */
const char *tl_node_serves(const tl_node *n, const char *model);
TL_CHECK tl_err tl_node_ask_everybody(tl_node *n);
/* The settings name no relay, and that is right: peers are found through the DHT. */
bool tl_node_wants_no_relay(const tl_node *n);

/* node_scope.c */
/* The ptnIDs of our capabilities, which are told now; NULL: out of memory. */
json_t *tl_node_ptns(tl_node *n);
/* In each turn: all parts learn what has changed in the book. */
void tl_node_follow_book(tl_node *n);
/* Nodes were listed, or it became known what they claim. */
void tl_node_on_listed(tl_node *n);
/* A turn of the loop begins: looks at what nodes claim that the last turn had no time for. */
void tl_node_go_on_with_claims(tl_node *n);
/* All nodes were listed: asks for the members of our networks, too, where the relay has more nodes than
 * this one remembers. */
void tl_node_look_for_members(tl_node *n);
tl_time tl_node_scope_expiry(const tl_node *n);

/* node_network.c */
TL_CHECK tl_err tl_node_wire_direct(tl_node *n);
/* Opens or closes the UDP port, as the settings say. If it cannot be opened, the node runs without
 * it. */
void tl_node_apply_network(tl_node *n);
/* Takes the relay's STUN server from registerAck; n->network must exist. */
void tl_node_set_relay_udp(tl_node *n);
/* What peers asks of the UDP port; their user is the node. */
extern const tl_peers_udp tl_node_udp;
/* Handles the events of direct. */
void tl_node_run_direct(tl_node *n);
void tl_node_signalled(tl_node *n, tl_signal_type type, const tl_node_id *from, tl_slice payload);

/* node_aside.c */
/* Does this node show itself to nobody: neither to a relay nor to a peer, and in no record? */
bool tl_node_is_aside(const tl_node *n);
extern const char tl_node_aside_words[]; /* cause and remedy, for a TWIN */
void tl_node_begin_aside(tl_node *n);
void tl_node_run_aside(tl_node *n);
tl_time tl_node_aside_expiry(const tl_node *n);

/* node_reconnect.c; after the peers are there, and freed before them. */
TL_CHECK tl_err tl_node_wire_reconnect(tl_node *n);
/* The network has changed: bits of tl_network_why, of which there may be none. */
void tl_node_reconnect(tl_node *n, unsigned why);
/* node_members.c: private networks. tl_node_open_members reads the book from the store, if there is
 * one. tl_node_close_members comes after tl_node_stop_store, and before the peers are freed. */
TL_CHECK tl_err tl_node_open_members(tl_node *n, tl_why *why);
void tl_node_run_members(tl_node *n);
void tl_node_close_members(tl_node *n);
/* node_greets.c: as tl_direct_world has it. */
bool tl_node_greets(void *user);
/* Invites of the network were made, spent or withdrawn, or are not known yet. */
void tl_node_invites_changed(tl_node *n, const tl_node_id *network);
/* node_ptn.c: their callers are told otherwise, or not at all. */
void tl_node_drop_ptn_calls(tl_node *n);
/* `text` names no network of ours; where it is the old name of one, the words tell the new one. */
void tl_node_fail_network(const tl_node *n, const char *text, tl_call *call);

/* node_keeping.c */
typedef struct tl_node_keeping tl_node_keeping;
/* After the store, the book and the fragments. TL_ERR_NOMEM, TL_ERR_PROTO. */
TL_CHECK tl_err tl_node_open_keeping(tl_node *n, tl_why *why);
/* After tl_node_stop_store. */
void tl_node_free_keeping(tl_node *n);
/* Something hints at another machine that is this node. */
void tl_node_keeping_doubt(tl_node *n);
void tl_node_run_keeping(tl_node *n);
void tl_node_keeping_on_timer(tl_node *n);
tl_time tl_node_keeping_expiry(const tl_node *n);
/* node_backup_verbs.c: "kept", as `backup status` has it; static storage. */
const char *tl_node_backup_state(const tl_node *n, int *ret_may_lose);
/* As tl_keeper_other_at. */
tl_unix tl_node_backup_other_at(const tl_node *n);

/* node_store.c */
/* Sets n->store. The errors of tl_store_open, whose words say the remedy. */
TL_CHECK tl_err tl_node_open_store(tl_node *n, const char *path, tl_why *why);
bool tl_node_store_is_idle(const tl_node *n);
/* All that was submitted is done; n->store stays, and refuses. */
void tl_node_stop_store(tl_node *n);
void tl_node_free_store(tl_node *n);
/* What the doctor says of the store. `f` borrows from `ret_state`. */
void tl_node_store_facts(const tl_node *n, tl_store_state *ret_state, tl_doctor_facts *f);

/* node_fragments.c */
typedef struct tl_node_fragments tl_node_fragments;
/* After the peers, and after the book was read: it says who is a member. `store`: the database's path; where
 * there is none, this node holds nothing and has no backup, and can fetch one. */
TL_CHECK tl_err tl_node_open_fragments(tl_node *n, const char *store, tl_why *why);
/* After tl_node_stop_store, and before the peers are freed. */
void tl_node_close_fragments(tl_node *n);
void tl_node_fragments_on_timer(tl_node *n);
tl_time tl_node_fragments_expiry(const tl_node *n);
/* A connection to the peer stands. */
void tl_node_fragments_hello(tl_node *n, const tl_node_id *peer);
void tl_node_apply_store_quota(tl_node *n);
uint64_t tl_node_store_quota(const tl_node *n); /* bytes */
/* NULL: there is no store. */
tl_backup *tl_node_backup(const tl_node *n);
tl_exchanges *tl_node_exchanges(const tl_node *n);
/* Who makes the pointer of this node's backup, as tl_backup_world.on_map says. */
void tl_node_set_on_map(tl_node *n, void (*told)(tl_node *n, const tl_backup_map *map));
/* Does this node hold fragments for others? */
bool tl_node_takes_fragments(const tl_node *n);
/* Is there a fragment here that the peer may get? */
bool tl_node_admits_fragments(const tl_node *n, const tl_node_id *peer);
/* The peer holds a fragment of ours; we hold one of the peer's. */
bool tl_node_holds_ours(const tl_node *n, const tl_node_id *peer);
bool tl_node_we_hold(const tl_node *n, const tl_node_id *peer);
/* `fragments` of the status, what is held for others; NULL: out of memory. */
json_t *tl_node_fragments_json(const tl_node *n);

/* node_legacy.c */
TL_CHECK tl_err tl_node_wire_legacy(tl_node *n, const tl_server_backend *backend);
/* True: `data`, which came over the session `path`, is a message of the old protocol and is dealt
 * with. */
bool tl_node_old_datagram(tl_node *n, tl_path_id path, tl_slice data);
/* A tl_ask_fn. */
TL_CHECK tl_err tl_node_ask_old(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                                void *sink_user, tl_exchange **ret_exchange);

/* node_slots.c */
TL_CHECK tl_err tl_node_wire_slots(tl_node *n);
/* A tl_ask_fn: the model server, for questions of others. */
TL_CHECK tl_err tl_node_ask_for_others(void *user, const tl_ask *ask, const tl_exchange_sink *sink,
                                       void *sink_user, tl_exchange **ret_exchange);
/* Puts the settings, the pause and the stage into force. `now`: where others are not served, what runs
 * for them ends, too. */
void tl_node_apply_slots(tl_node *n, bool now);
bool tl_node_is_paused(const tl_node *n);
/* The pause of an earlier run, if it has not ended. Before tl_node_start. */
void tl_node_read_pause(tl_node *n);
void tl_node_slots_on_timer(tl_node *n);
tl_time tl_node_slots_expiry(const tl_node *n);
json_t *tl_node_share_json(const tl_node *n); /* `share` of the status; NULL: out of memory */
void tl_node_do_pause(tl_node *n, const json_t *args, tl_call *call);
/* {model, peer?}: a local client will ask this soon. Connects to who would be asked. */
void tl_node_do_prepare(tl_node *n, const json_t *args, tl_call *call);
void tl_node_do_resume(tl_node *n, const json_t *args, tl_call *call);

/* node_ptn_report.c: new references; NULL: out of memory */
/* One of our networks, as `teale ptn list` and status show it. */
json_t *tl_node_ptn_json(const tl_node *n, const tl_membership *m);
/* The array of all that this node has not left. */
json_t *tl_node_ptns_json(const tl_node *n);
/* The array of IDs of those networks in which both the peer and this node are members now. */
json_t *tl_node_ptns_of(const tl_node *n, const tl_node_id *peer);
/* The array of our networks that the peer has shown a certificate of: {"ptn_id", "name", "role", "asks",
 * "answers"}; the last two are null where the peer may ask us, or answer us, else they say why not. */
json_t *tl_node_why_networks(const tl_node *n, const tl_node_id *peer);
/* Is this node a member of a network whose role serves? */
bool tl_node_serves_network(const tl_node *n);
/* For the doctor; returns how many. Borrows from the book. */
size_t tl_node_doctor_networks(const tl_node *n, tl_doctor_network ret[TL_NETWORKS_MAX]);

/* node_rank.c */
/* Adds `offers`, and `too_dear`, those above the highest price, to each of {"id"}. False: out of memory. */
bool tl_node_add_offers(const tl_node *n, json_t *models);
/* The verb why.model. */
void tl_node_why_model(tl_node *n, const json_t *args, tl_call *call);

/* node_look.c */
/* A discovery of all nodes has ended. */
void tl_node_looks_done(tl_node *n);

/* node_settings.c */
TL_CHECK tl_err tl_node_apply_share(tl_node *n, tl_why *why);
/* If the relay cannot be used, the node runs without it, and the status says why. */
void tl_node_apply_relay(tl_node *n);
/* Connects to this relay, in place of none. TL_ERR_INVALID: it cannot be used; this is logged. */
TL_CHECK tl_err tl_node_visit_relay(tl_node *n, const char *url);
/* Call after every change of the stage or of what is shared. */
void tl_node_apply_access(tl_node *n);
void tl_node_apply_limits(tl_node *n);
void tl_node_apply_prices(tl_node *n);

/* node_report.c */
void tl_node_judge_sharing(const tl_node *n, tl_sharing *ret_sharing);
/* `wan` and `sharing` of the status; NULL: out of memory. */
json_t *tl_node_wan_json(const tl_node *n);
json_t *tl_node_sharing_json(const tl_node *n);
/* Emits PeerJoined, PeerLeft or PathChanged, with the present path and the path told before. `why`
 * NULL: gives the rule that chose the path. */
void tl_node_emit_peer(tl_node *n, const char *name, const tl_peer *peer, const char *why);
/* Emits NetworkChanged, with what is known of the NAT now. `why`: as of tl_network_events. */
void tl_node_emit_network(tl_node *n, unsigned why);
/* The same of a phase (peer/phases) that begins or ends. */
void tl_node_emit_phase(tl_node *n, const tl_step *step);
/* Takes the reference to `data`; adds the time. */
void tl_node_emit(tl_node *n, const char *name, json_t *data);
void tl_node_write_time(char ret[32], tl_unix at);

#endif
