/* linkkind.h - which network interfaces are tunnels: asks the kernel for its links, and reads the
 * answer. Changes nothing. A tunnel is no local network, wherever its other end is: what looks like
 * one hop may be an ocean wide, and the bytes pay for another encryption. */
#ifndef TL_IO_LINKKIND_H
#define TL_IO_LINKKIND_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define TL_LINKKIND_TUNNELS_MAX 64 /* twice the addresses that we keep; each may be a tunnel's */

typedef struct {
    size_t n;
    unsigned index[TL_LINKKIND_TUNNELS_MAX]; /* the kernel's indices of interfaces */
} tl_linkkind;

/* The tunnels of this network namespace. Empty if netlink is denied. */
tl_linkkind tl_linkkind_look(void);
bool tl_linkkind_is_tunnel(const tl_linkkind *k, unsigned index);

/* Adds the tunnels of the netlink messages in `bytes`. True: the list ends here. */
bool tl_linkkind_read(tl_linkkind *k, tl_slice bytes);

#endif
