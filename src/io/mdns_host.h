/* mdns_host.h - at which addresses this machine can be reached on its local networks, and the socket that tells of
 * changes. Changes nothing and sends nothing. */
#ifndef TL_IO_MDNS_HOST_H
#define TL_IO_MDNS_HOST_H

#include "base/addr.h"

#define TL_MDNS_HOST_MAX 24 /* more are not announced: each is a record in every packet */

typedef struct {
    int interface; /* the kernel's index */
    tl_addr addr;  /* without port */
} tl_mdns_address;

/* Those of interfaces that are up and carry multicast; none of loopback or of a point-to-point tunnel. */
size_t tl_mdns_host_look(tl_mdns_address ret_addresses[TL_MDNS_HOST_MAX]);
/* The same addresses in the same order? */
bool tl_mdns_host_same(const tl_mdns_address *a, size_t n_a, const tl_mdns_address *b, size_t n_b);

/* A netlink socket, which becomes readable when an address or an interface changes. -1: denied. */
int tl_mdns_host_watch(void);
/* Reads what is there. */
void tl_mdns_host_drain(int fd);

#endif
