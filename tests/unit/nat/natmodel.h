/* natmodel.h - a NAT after RFC 4787, STUN servers behind it and a tl_behaviour before it, under
 * virtual time: every mapping, filtering and hairpinning, with loss and with servers that lie. */
#ifndef NATMODEL_H
#define NATMODEL_H

#include "nat/behaviour.h"

#define MODEL_SERVERS 8
#define MODEL_PORT    41820                   /* ours, inside */
#define MODEL_IP6     "[2a00:1450::10]:41820" /* our IPv6 address: no NAT before it */

typedef enum {
    HONEST,
    DEAD,
    SAYS_LOOPBACK,
    SAYS_OTHER_IP,   /* somebody else's address */
    SAYS_OTHER_PORT, /* our IP, another port */
    SAYS_NOTHING,    /* success without an address */
    SAYS_ERROR,
    ANSWERS_TWICE,
    ANSWERS_FROM_ELSEWHERE,
    ANSWERS_OTHER_ID,
} model_manner;

typedef struct {
    tl_addr addr, other; /* other: family NONE: a plain server */
    model_manner manner;
    bool deaf;   /* tells OTHER-ADDRESS, ignores CHANGE-REQUEST */
    bool mute;   /* drops what has CHANGE-REQUEST */
    bool strict; /* answers on `addr` and `other` alone, not on the two mixed addresses */
    tl_time delay;
    tl_addr names_other; /* says this as OTHER-ADDRESS instead; family NONE: the truth */
    unsigned heard;
} model_server;

typedef struct model model;

model *model_new(uint64_t seed);
void model_free(model *m);

/* Set before or between runs. */
typedef struct {
    tl_nat_mapping mapping; /* NONE: the machine itself has the public address */
    tl_nat_filtering filtering;
    bool hairpin, preserves_port;
    unsigned loss_percent; /* of packets, each way */
    tl_time lifetime;      /* of an idle mapping */
    tl_addr ip;            /* public; a change makes old mappings worthless */
} model_nat;
model_nat *model_nat_of(model *m);
/* "198.51.100.1:3478"; `other` NULL: a plain one. Known to the client after model_begin. */
model_server *model_add(model *m, const char *addr, const char *other);
tl_behaviour *model_client(model *m);
/* Tells the client its sockets, addresses and servers, and begins a round. */
void model_begin(model *m);
/* All mappings are gone, as after the NAT's reboot. */
void model_reboot(model *m);

/* The client ends and begins again, knowing nothing; its port is the same. */
void model_restart(model *m);

tl_time model_now(const model *m);
void model_run(model *m, tl_time how_long);
/* Until the round is over; returns how long it took. */
tl_time model_round(model *m);
/* How often on_facts was called, and packets that reached addresses where no server is. */
unsigned model_told(const model *m);
unsigned model_astray(const model *m);
/* A datagram from anywhere, straight to the client (past the NAT). */
bool model_inject(model *m, const tl_addr *from, tl_slice datagram);
/* The last datagram the client sent. */
tl_slice model_last(const model *m, tl_addr *ret_to);
tl_addr model_addr(const char *text);

#endif
