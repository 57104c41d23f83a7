/* nats_world.h - two whole nodes, each behind a NAT of some kind, a relay and two STUN servers on
 * one internet; a question whose answer streams while their connection finds its way. What holds in
 * every world is checked by nats_check. */
#ifndef TEALE_SIM_NATS_WORLD_H
#define TEALE_SIM_NATS_WORLD_H

#include "stun_host.h"
#include "token_host.h"
#include "whole_node.h"

#define NATS_ONE_WAY    (10 * TL_MS) /* of each access line, and of the core */
#define NATS_PIECE      1000
#define NATS_PIECE_EACH (20 * TL_MS)

typedef struct {
    sim *sim;
    sim_inet *in;
    relay_host *relay;
    token_host *tokens; /* NULL: the relay gives none */
    stun_host *stun[2];
    sim_nat_kind kind[2];
    sim_site *site[2]; /* NULL: that node is in the public network */
    sim_link *line[2];
    whole_node *node[2]; /* the first asks the second */
    question_record q;
    uint64_t pieces;
    bool may_search;   /* a birthday search is expected, which has a budget of its own */
    tl_time direct_at; /* when the asker's connection went direct first; 0: never */
} nats_world;

/* The internet, the relay, the servers; no nodes. `core` NULL: NATS_ONE_WAY, no faults. */
void nats_begin(nats_world *w, uint64_t seed, const sim_faults *core);
/* Node `i`, joined to `site` at `ip` (NULL: it joins nothing yet). */
void nats_add(nats_world *w, int i, sim_site *site, const char *ip);
/* Both, each behind a NAT of its own with the same private range inside. NULL: in the public
 * network. */
void nats_pair(nats_world *w, uint64_t seed, const sim_nat_kind *a, const sim_nat_kind *b,
               const sim_faults *core);
/* The relay gives tokens, and has a UDP port. */
void nats_give_tokens(nats_world *w);
void nats_end(nats_world *w);

/* Both register, and learn what their NATs do. */
void nats_settle(nats_world *w);
/* The question: its answer lasts so long. */
void nats_ask(nats_world *w, tl_time lasts);
/* True within `limit`. */
bool nats_until_direct(nats_world *w, tl_time limit);
bool nats_until_relayed(nats_world *w, tl_time limit);
void nats_run(nats_world *w, tl_time span);
/* Until the answer ended; then everything that must hold is checked: the answer is whole and
 * unaltered, over one connection; nothing went to a forbidden address; the bounds of what goes to
 * addresses that never answered. */
void nats_check(nats_world *w);
/* Only the bounds. */
void nats_check_sending(const nats_world *w, int i);

tl_via nats_via(const nats_world *w);
/* What node `i` knows of its connection to the other; false: there is none. */
bool nats_facts(const nats_world *w, int i, tl_peer_facts *ret_facts);
tl_direct_report nats_report(const nats_world *w, int i);
/* What one side's NAT does to every datagram in both directions: nothing passes. */
void nats_block_udp(nats_world *w, int i, bool on);

/* Every pairing of mapping and filtering: 0 to NATS_KINDS - 1. */
#define NATS_KINDS 9
sim_nat_kind nats_kind(unsigned k);
/* Does physics let these two meet without a search? */
bool nats_meet(const sim_nat_kind *a, const sim_nat_kind *b);
/* Would a birthday search be made? */
bool nats_search(const sim_nat_kind *a, const sim_nat_kind *b);

#endif
