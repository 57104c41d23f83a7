/* whole_moves.h - what a node does after a change of its network (peer/reconnect), and a record of it.
 * A part of every whole_node. */
#ifndef TEALE_SIM_WHOLE_MOVES_H
#define TEALE_SIM_WHOLE_MOVES_H

#include "peer/reconnect.h"

#define WHOLE_MOVES_STEPS   6
#define WHOLE_MOVES_FRIENDS 4

struct whole_node;

typedef struct {
    tl_reconnect *reconnect;
    size_t n_steps; /* of the last change */
    tl_step steps[WHOLE_MOVES_STEPS];
    unsigned begun, announced;
    /* who holds fragments of ours, whose we hold */
    size_t n_holders, n_owners, n_members;
    tl_node_id holders[WHOLE_MOVES_FRIENDS], owners[WHOLE_MOVES_FRIENDS],
        members[WHOLE_MOVES_FRIENDS];
    bool bootstraps;         /* there are nodes to ask, which answer at once */
    tl_time bootstrapped_at; /* 0: not asked yet */
} whole_moves;

void whole_moves_start(struct whole_node *n);
void whole_moves_stop(struct whole_node *n);
/* `link`: an interface is another one; else the public address is. */
void whole_moves_changed(struct whole_node *n, bool link);
/* The last change is over, in the six events of its phases, in order, each in time. */
void whole_moves_check(const struct whole_node *n);
/* The end of that phase of the last change. */
const tl_step *whole_moves_end(const struct whole_node *n, tl_phase phase);

#endif
