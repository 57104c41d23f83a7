/* stun_host.h - a STUN server (the relay's own: relay/stunserver) on a host of the simulator's
 * internet, at one address or two, with two ports each. May be silent, or lie.
 *
 * Memory is the simulator's; running out of it aborts. */
#ifndef TEALE_SIM_STUN_HOST_H
#define TEALE_SIM_STUN_HOST_H

#include "inet.h"
#include "relay/stunserver.h"

typedef struct {
    sim *sim;
    sim_host *host;
    tl_stunserver *server;
    tl_stun_site site;
    bool silent;
    bool lies; /* tells every asker that it is at `lie`, and that it may be asked there, too */
    tl_addr lie;
    uint64_t asked;
} stun_host;

/* `other_ip` NULL: one address, no behaviour discovery. `delay` one way. */
stun_host *stun_host_new(sim *s, sim_inet *in, const char *ip, const char *other_ip, tl_time delay);
void stun_host_free(stun_host *h);
/* Where to ask. */
tl_addr stun_host_addr(const stun_host *h);

#endif
