/* owner.h - whose program is at the other end of a TCP connection on loopback, by the kernel's table
 * of sockets (proc_net_tcp(5)). Reads /proc; never asks the program itself. */
#ifndef TL_IO_OWNER_H
#define TL_IO_OWNER_H

#include "base/addr.h"

/* The user of the client's socket of a connection from `client` to `server`, both on this machine.
 * It counts while its program holds it open: once closed, also in part, it is nobody's.
 * TL_ERR_NOT_FOUND: the kernel shows no such socket. TL_ERR_IO: it shows none at all. */
TL_CHECK tl_err tl_owner_find(const tl_addr *client, const tl_addr *server, uid_t *ret_user);

/* True if a program of another user listens at this TCP port of this machine's loopback: at an address of
 * loopback, or at all addresses. */
bool tl_owner_other_listens(uint16_t port, uid_t *ret_user);
/* "mallory (1001)", or the number alone where it has no name. */
#define TL_OWNER_TEXT_MAX 64
void tl_owner_write(uid_t user, char ret_text[TL_OWNER_TEXT_MAX]);

/* True if the client's end of the connection `fd` is open and this user's, or root's: those to whom
 * the node's Unix socket is open, too. Whoever cannot be told is somebody else. */
bool tl_owner_is_us(int fd);

#endif
