/* router_scene.h - a router whose peers, model server and relay the test plays: every provider that
 * is asked is written down, and answers by the test's hand. In place of ask/asker.c and
 * peer/peers.c. */
#ifndef TESTS_UNIT_ASK_ROUTER_SCENE_H
#define TESTS_UNIT_ASK_ROUTER_SCENE_H

#include "ask/router.h"
#include "fake_env.h"
#include "listener.h"
#include "members.h"

#define OWN      1 /* the first byte of the node's own ID; of a peer's: 2 and more */
#define QUESTION "{\"model\":\"m\"}"

/* A provider that has the question, at one time or another. */
typedef struct {
    tl_exchange exchange; /* first: the handle */
    tl_exchange_sink sink;
    void *user;
    unsigned who;    /* OWN, or the peer */
    tl_ask ask;      /* its body is gone: */
    char body[2048]; /* as it was */
    char model[TL_MODEL_MAX];
    bool over, cancelled, paused;
    bool in_clear; /* asked by the old protocol */
} provider;

typedef struct {
    bool connected;
    tl_time rtt;
    bool silent;
} peer_fact;

typedef struct {
    fake_env env;
    tl_env clock;
    members members; /* after router_scene_join */
    tl_access access;
    tl_peer_table table;
    tl_router *router;
    peer_fact facts[256];     /* by the first byte of a peer's ID */
    tl_peer_wish *wishes[32]; /* for connections: who is met */
    size_t n_wishes;
    tl_err wish_err; /* of the next one */
    provider providers[32];
    size_t n_providers;
    tl_err ask_err; /* of the next provider */
    /* the world */
    const char *models[4]; /* of the model server */
    const char *alias;     /* of peer 3; NULL: it has none */
    const char *local_error, *relay_hopeless, *relay_error;
    bool has_near; /* nodes of the local network are found */
    tl_err discover_err;
    unsigned discovers;
    char discovered[TL_MODEL_MAX]; /* the last one's model */
    unsigned dones;
    tl_fail done; /* the last one's result */
    unsigned done_by;
} router_scene;

/* No model server; a relay that can be asked; peers all to be asked. */
void router_scene_init(router_scene *s);
void router_scene_clear(router_scene *s);

/* The node has this role in a network, s->members. */
void router_scene_join(router_scene *s, tl_role ours);
/* The peer has shown that it is a provider of that network. */
void router_scene_member(router_scene *s, unsigned who);

/* The relay lists the peer with the network among its ptnIDs. */
void router_scene_claims(router_scene *s, tl_peer *p);
/* The peer to which a connection is wished for is connected, or is not. */
void router_scene_connects(router_scene *s, unsigned who);
void router_scene_connects_not(router_scene *s, unsigned who);
bool router_scene_meets(const router_scene *s, unsigned who);
/* It shows its certificate: that of a provider, or another. */
void router_scene_shows(router_scene *s, unsigned who, tl_role role);
/* A question for members alone. */
tl_ask router_scene_private(const router_scene *s, const char *model);

tl_node_id router_scene_id(unsigned who);
/* A connected peer that serves `model`, of tier 2, 20 ms away. */
tl_peer *router_scene_peer(router_scene *s, unsigned who, const char *model);

/* Asked and looked at. */
void router_scene_ask(router_scene *s, listener *l, const char *model);
void router_scene_ask_full(router_scene *s, listener *l, const tl_ask *ask);
tl_ask router_scene_question(const char *model);
tl_ask router_scene_question_to(const char *model, unsigned who);
/* The relay has told all who serve it, by its two names if it was asked for both. */
void router_scene_discovered(router_scene *s, const char *model);
void router_scene_pass(router_scene *s, tl_time time);

/* What `who` was like before: a named question of its own, answered or failed. */
void router_scene_served(router_scene *s, unsigned who);
void router_scene_failed(router_scene *s, unsigned who, tl_fail fail);

/* The provider asked last, which is `who` and has the question still. */
provider *router_scene_at(router_scene *s, unsigned who);
/* How many were asked until now. */
#define assert_asked(s, n) assert_int_equal((s)->n_providers, n)
void provider_progress(provider *p);
void provider_queued(provider *p, unsigned position, unsigned wait_seconds);
void provider_head(provider *p);
/* With this status and type, and "7" to wait. */
void provider_head_of(provider *p, int status, const char *type);
void provider_body(provider *p, const char *text);
void provider_end(provider *p);
void provider_fail(provider *p, tl_fail fail, const char *message);
/* It asks this price now, of version 9. */
void provider_asks(provider *p, int64_t price);
/* The answer is whole, and had so many tokens. */
void provider_end_with(provider *p, uint64_t tokens);
/* The peer bids this for its first model. */
void router_scene_bids(tl_peer *p, int64_t price, int64_t version);

#endif
