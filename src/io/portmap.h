/* portmap.h - keeps a mapping of our UDP port (IPv4) at the gateway, by the first of PCP, NAT-PMP
 * and UPnP that answers, in this order. Finds the gateway by netlink and carries the bytes;
 * nat/mapper decides. Never blocks the loop. */
#ifndef TL_IO_PORTMAP_H
#define TL_IO_PORTMAP_H

#include "io/loop.h"
#include "nat/mapper.h"

typedef struct tl_portmap tl_portmap;

typedef struct {
    /* The report changed, in more than its counters. May call anything here but tl_portmap_free. */
    void (*on_change)(void *user);
} tl_portmap_events;

/* `rand` must outlive the portmap, and must be a system source (the PCP nonce is a secret).
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_portmap_new(tl_loop *loop, tl_rand *rand, const tl_portmap_events *events,
                               void *user, tl_portmap **ret_portmap);
/* Ends everything at once; a mapping stays at the gateway until its lifetime is over. */
void tl_portmap_free(tl_portmap *m);

/* From now on asks for a mapping of `internal_port` and keeps it. While there is none, it asks
 * again at long intervals. If the port is another than before, the old mapping is given up. */
void tl_portmap_start(tl_portmap *m, uint16_t internal_port);
/* The network changed: looks the gateway up anew. If the gateway or our own address is another, the
 * mapping is given up; else it is confirmed. Does nothing while idle. */
void tl_portmap_restart(tl_portmap *m);

#define TL_PORTMAP_STOP_NS (1500 * TL_MS) /* a gateway can delay an exit by no more than this */
/* Removes the mapping at the gateway. on_done(user) is called once, from the loop, when that is
 * done or after TL_PORTMAP_STOP_NS; then the state is IDLE. */
void tl_portmap_stop(tl_portmap *m, void (*on_done)(void *user), void *user);

/* Borrowed until the next turn of the loop. Its `external` is worth offering as a candidate even
 * with second_nat: neighbours behind the same carrier's NAT can still reach it. */
const tl_mapper_report *tl_portmap_report(const tl_portmap *m);

#endif
