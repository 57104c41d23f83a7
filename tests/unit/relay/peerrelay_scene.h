/* peerrelay_scene.h - a relaying node without a network, and nodes that write to it: for the tests of
 * relay/peerrelay. What it sends is kept until the next call. */
#ifndef TL_TESTS_PEERRELAY_SCENE_H
#define TL_TESTS_PEERRELAY_SCENE_H

#include "relay/peerrelay.h"
#include "relay/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WALL  1790000000
#define NODES 8
#define SENT  64

enum { A, B, C, D };

typedef struct {
    tl_addr to;
    uint8_t bytes[1600];
    size_t n;
} sent_datagram;

typedef struct {
    tl_peerrelay *r;
    tl_rand rand;
    tl_identity self, id[NODES];
    tl_addr at[NODES]; /* where each writes from */
    tl_time now;
    tl_peerrelay_config config;
    /* the world */
    const tl_node_id *refused;    /* nobody relays for this one */
    const tl_node_id *reciprocal; /* this one alone */
    tl_addr ours;                 /* an address of a relay of ours */
    const tl_node_id *direct;     /* this one has a direct way, */
    tl_addr direct_at;            /* there, */
    bool direct_local_unknown;    /* by an address of ours that nobody knows */
    /* what was sent by the last call */
    sent_datagram sent[SENT];
    size_t n_sent;
    uint64_t bytes_sent; /* of all, also of those for which there was no room in `sent` */
} scene;

void begin(scene *s);
/* With the limits of s->config, which must be set. */
void begin_with(scene *s);
void end(scene *s);

tl_addr addr_of(const char *text);
tl_burst_way way_from(const tl_addr *remote);
tl_unix wall(const scene *s);

/* Give the datagram to the node and keep what it sends. */
void write_control(scene *s, const tl_addr *from, tl_slice datagram);
void write_packet(scene *s, const tl_addr *from, const uint8_t token[16], size_t payload);
void write_raw(scene *s, const tl_addr *from, const uint8_t *bytes, size_t n, size_t segment);
void tick(scene *s, tl_time by);

/* A datagram of that node, well-formed, signed and fresh, with a new nonce. */
tl_control attach_of(scene *s, int node);
tl_control request_of(scene *s, int initiator, int target);
void sign_as(tl_control *c, const tl_identity *signer);
void write_signed(scene *s, const tl_addr *from, const tl_control *c);
/* Asserts that it is not answered, for that reason. */
void refused_attach(scene *s, const tl_addr *from, const tl_control *c, tl_asked why);
/* The whole exchange; asserts that it is taken. */
void attach(scene *s, int node);
/* Offers of the initiator and of the target. */
void request(scene *s, int initiator, int target, tl_control ret_offers[2]);
/* `b` attaches, `a` asks for it, and both come. */
void join(scene *s, int a, int b, tl_control ret_offers[2]);

uint64_t requests(const scene *s, tl_asked result);
uint64_t attaches(const scene *s, tl_asked result);
uint64_t dropped(const scene *s, tl_tokens_drop why);
/* The control datagram that was sent to that node; NULL: none. */
const tl_control *sent_to(const scene *s, int node, tl_control_type type);

#endif
