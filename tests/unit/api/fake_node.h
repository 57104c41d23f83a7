/* fake_node.h - a node that does what the test says: stands behind the API in place of node/node.c.
 * Every question is recorded, and answered by the test's own hand. */
#ifndef TESTS_UNIT_API_FAKE_NODE_H
#define TESTS_UNIT_API_FAKE_NODE_H

#include "node/facts.h"

#define FAKE_ASKS_MAX 2048

typedef struct {
    tl_exchange base; /* first: the API gets a pointer to this */
    tl_exchange_sink sink;
    void *user;
    tl_loop *loop;
    tl_ask ask; /* ask.body points at `body` */
    uint8_t *body;
    bool over, cancelled, paused;
    tl_progress progress;
    unsigned retry_after; /* told with a failure */
    unsigned pauses;
} fake_ask;

struct tl_node {
    tl_node_id id;
    tl_loop *loop; /* stopped at every question, cancel and pause, so that a waiting test looks */
    fake_ask *asks[FAKE_ASKS_MAX];
    size_t ask_n;
    tl_node_listener *listeners;
    tl_networks *book;     /* its own; empty at first */
    tl_node_facts facts;   /* for /metrics */
    unsigned told_waiting; /* tl_node_tell_waiting, and what it said last */
    char waits_for[16];
    const char *models;            /* JSON for tl_node_models */
    const char *models_after_look; /* and once a look around is over; NULL: the same */
    tl_time look_takes;
    unsigned looks, unlooked; /* begun, given up */
    unsigned netlooks, unnetlooked;
    tl_time netlook_takes;
    tl_node_id why_asked; /* the peer of the last tl_node_why */
    /* the one command: what was asked for last, and how it is answered, by fake_call_answer */
    char verb[64];
    json_t *args;
    tl_node_done on_call;
    void *call_user;
    bool uncalled;
    /* the one ping */
    void (*on_ping)(void *user, tl_time rtt, tl_via via, bool more, const char *why);
    void *ping_user;
    unsigned ping_count;
    bool ping_until_direct;
    bool ping_freed;
};

void fake_node_init(tl_node *n, tl_loop *loop);
void fake_node_clear(tl_node *n);
void fake_head(fake_ask *a, int status, const char *type);
void fake_body(fake_ask *a, const char *text);
void fake_body_bytes(fake_ask *a, tl_slice bytes);
void fake_end(fake_ask *a);
void fake_fail(fake_ask *a, tl_fail f, const char *message);
/* Answers the command; `code` NULL: with `json`. */
void fake_call_answer(tl_node *n, const char *json, const char *code, int exit, int status);
void fake_event(tl_node *n, const char *name, const char *json);

#endif
