/* whole_node.h - a node on a host of the simulator: everything of src/node that decides (relay
 * link, direct ways, peers, asker, server, router) with the real QUIC below, a scripted model
 * server beside it, a WebSocket to a relay_host and, where a test joins it to a network, UDP. */
#ifndef TEALE_SIM_WHOLE_NODE_H
#define TEALE_SIM_WHOLE_NODE_H

#include "ask/router.h"
#include "relay_host.h"
#include "sim.h"
#include "whole_moves.h"
#include "whole_net.h"
#include "whole_second.h"
#include "wire/ws.h"

/* One exchange at the scripted model server. */
typedef struct model_job {
    tl_exchange exchange;
    struct whole_node *node;
    tl_exchange_sink sink;
    void *user;
    tl_ask ask;
    tl_buf body;
    uint64_t left; /* pieces of the answer to come */
    uint64_t at;   /* of the pattern */
    tl_time next;
    bool head_sent, paused;
    struct model_job *prev, *next_job;
} model_job;

/* A question asked here, and what came of it. */
typedef struct {
    tl_exchange *exchange; /* NULL when over */
    bool head_seen, ended, failed;
    tl_answer_head head;
    tl_fail fail;
    char why[256];
    uint64_t bytes;
    bool patterned, altered; /* the bytes are checked against whole_node_pattern; were others */
    tl_time asked_at, first_byte_at, last_byte_at, over_at;
    tl_time longest_gap; /* between two of its bytes */
    tl_buf answer;       /* its first 64 KiB */
} question_record;

typedef struct whole_node {
    sim *sim;
    sim_host *host;
    tl_identity identity;
    tl_rand rand;
    relay_host_conn *uplink;
    bool connected;
    tl_ws_reader reader;
    tl_buf outgoing; /* the frame between begin and commit */
    size_t begun;
    bool hold;      /* the connection to the relay takes nothing */
    bool no_tokens; /* an old node: it asks for no tokens. Takes effect at the next start */
    bool no_first;  /* an old node: it reads no datagram in a relayOpen. Set it before it serves */
    tl_ws_opcode outgoing_as;

    struct whole_relaying *relaying;       /* NULL: it does not relay (whole_relaying.h) */
    struct whole_lan *lan;                 /* NULL: it is on no local network (whole_lan.h) */
    struct whole_introducing *introducing; /* NULL: it introduces nobody (whole_introducing.h) */
    bool no_relay;                         /* it uses none: peers are reached directly */
    bool retell;                           /* its capabilities have changed */
    json_t *relayed_lies;                  /* what it says of who relays for it; NULL: the truth */
    whole_second *second;                  /* NULL: it is at one relay alone */
    unsigned goodbyes, doubts;             /* of relays: heard, and of their silence */

    tl_peer_table table;
    tl_relays *relays;
    tl_relay_link *link; /* its first relay */
    whole_net net;       /* without an interface: everything is relayed */
    tl_direct *direct;
    tl_peers *peers;
    whole_moves moves;
    tl_asker *asker;
    tl_server *server;
    tl_router *router;
    tl_access access;
    tl_env env;
    struct whole_accounts *accounts; /* NULL: it keeps none (whole_credit.h) */
    tl_networks *book;               /* NULL: in no network (whole_networks.h) */
    bool hide;                       /* it shows tags in place of its networks */
    json_t *lies;                    /* what it shows instead; NULL: the truth */
    tl_server_policy policy;
    bool awake;
    tl_unix clock_off; /* of the wall clock, seconds */

    /* the model server */
    size_t n_models;
    const char *models[4];
    uint64_t pieces;   /* of an answer; default 1 */
    size_t piece_size; /* of whole_node_pattern; 0: a piece is the request's body */
    tl_time piece_every;
    tl_time thinks;    /* before the head */
    tl_fail fail_with; /* TL_FAIL_COUNT: answers */
    model_job *jobs;
    unsigned cancelled, answered;
    uint64_t produced; /* bytes */
    /* What it asks for every model, and the version of that; version 0: nothing, and it tells no
     * bids. */
    int64_t price, price_version;

    /* A hostile provider: writes this on every stream instead of serving it. */
    tl_slice raw;
    bool raw_fin;

    unsigned joined, left, refused, path_changes;
    char refused_code[32];
} whole_node;

whole_node *whole_node_new(sim *s, relay_host *r, tl_time delay);
/* With a given identity. */
whole_node *whole_node_new_as(sim *s, relay_host *r, tl_time delay, const tl_identity *identity);
void whole_node_free(whole_node *n);
/* Registers at the relay. */
void whole_node_connect(whole_node *n);
/* A sign of life, without which the relay forgets a silent node after 300 s. */
void whole_node_ping(whole_node *n);
void whole_node_disconnect(whole_node *n);
/* The process dies and another starts with the same key. */
void whole_node_restart(whole_node *n);
/* Serves one more model. */
void whole_node_serve(whole_node *n, const char *model);
void whole_node_tell(whole_node *n);
size_t whole_node_jobs(const whole_node *n);

/* As tl_server_backend.price and tl_peers_events.bids. */
int64_t whole_node_price(void *user, const tl_ask *ask, int64_t *ret_version);
json_t *whole_node_bids(void *user);

/* The byte at that place of every answer with a piece size. */
uint8_t whole_node_pattern(uint64_t at);
/* Asks; `q` is the caller's, zeroed. */
void whole_node_ask(whole_node *n, question_record *q, const char *model, const char *body);
/* Pays no more than `maximum`. */
void whole_node_ask_within(whole_node *n, question_record *q, const char *model, int64_t maximum);
void whole_node_ask_peer(whole_node *n, question_record *q, const whole_node *peer,
                         const char *model);
void question_clear(question_record *q);
bool question_is_over(void *q);

#endif
