/* view.h - what operators see of a relay, summed over all its loops: filled in by one loop after the
 * other, and read when all have done so. Only adds. */
#ifndef TL_RELAYD_VIEW_H
#define TL_RELAYD_VIEW_H

#include "relay/federation.h"
#include "relay/relay.h"
#include "relay/stunserver.h"

typedef struct {
    tl_relay_counters relay;
    tl_tokens_counters datagrams;
    bool has_stun, has_fed;
    tl_stun_counters stun;
    tl_fed_counters fed;
    bool leaving;        /* the relay ends */
    bool far, far_is_up; /* it is in a cluster; all of its loops are */
    bool wants_peers;
    tl_buf peers; /* the objects of JSON, with commas; if they are wanted */
    bool failed;  /* memory ran out */
    size_t loops; /* so many have filled it in */
} tl_relayd_view;

/* Adds what one loop has. `stun` may be NULL. */
void tl_relayd_view_add(tl_relayd_view *v, const tl_relay *relay, const tl_stunserver *stun,
                        tl_time now);
void tl_relayd_view_clear(tl_relayd_view *v);

#endif
