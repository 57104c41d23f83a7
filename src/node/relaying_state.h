/* relaying_state.h - what node_relay.c and node_relay_report.c share. No other source includes it. */
#ifndef TL_NODE_RELAYING_STATE_H
#define TL_NODE_RELAYING_STATE_H

#include "node/reach.h"
#include "node/state.h"
#include "relay/peerrelay.h"
#include "tell/relaying.h"

struct tl_node_relaying {
    tl_peerrelay *core;
    tl_relaying now;  /* where it serves, or why it does not */
    tl_relaying told; /* what capabilities say */
    uint32_t told_free;
    tl_time told_at;
    tl_time look_at; /* then it is judged anew where it may serve */
    uint64_t book_seen;
    tl_time review_at;
    tl_time leaves_until; /* 0: it stays */
};

#endif
