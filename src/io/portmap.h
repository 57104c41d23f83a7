/* portmap.h - a mapping of our UDP port (IPv4) at the gateway, by PCP, NAT-PMP or UPnP, whichever
 * answers, in that order. Finds the gateway by netlink, carries the bytes; nat/mapper decides.
 * Nothing here blocks the loop. */
#ifndef TL_IO_PORTMAP_H
#define TL_IO_PORTMAP_H

#include "io/loop.h"
#include "nat/mapper.h"

typedef struct tl_portmap tl_portmap;

typedef struct {
    /* The report changed in something but its counters. May call anything here but
     * tl_portmap_free. */
    void (*on_change)(void *user);
} tl_portmap_events;

/* `rand` must outlive it, and be a system source (the PCP nonce is a secret). TL_ERR_NOMEM. */
TL_CHECK tl_err tl_portmap_new(tl_loop *loop, tl_rand *rand, const tl_portmap_events *events,
                               void *user, tl_portmap **ret_portmap);
/* Ends everything at once; a mapping stays at the gateway until its lifetime is over. */
void tl_portmap_free(tl_portmap *m);

/* Looks for a mapping of `internal_port` from now on, keeps it, and goes on looking at long
 * intervals while there is none. With another port than before, the old mapping is given up. */
void tl_portmap_start(tl_portmap *m, uint16_t internal_port);
/* The network changed: looks the gateway up anew. A mapping at another gateway, or for another
 * address of ours, is given up; one at the same is confirmed. Nothing while idle. */
void tl_portmap_restart(tl_portmap *m);

#define TL_PORTMAP_STOP_NS (1500 * TL_MS) /* no gateway delays an exit by more */
/* Removes the mapping at the gateway. on_done(user) is called once, from the loop, when that is
 * done or TL_PORTMAP_STOP_NS are over; then the state is IDLE. */
void tl_portmap_stop(tl_portmap *m, void (*on_done)(void *user), void *user);

/* Borrowed until the next turn of the loop. `external` there is to be offered as a candidate also
 * with second_nat: behind a carrier's NAT it still reaches the neighbours. */
const tl_mapper_report *tl_portmap_report(const tl_portmap *m);

#endif
