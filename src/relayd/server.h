/* server.h - the relay program as a whole, above the hub: its listeners, its certificates, and its
 * life from the start to the orderly end. Never touches signals or the command line. */
#ifndef TL_RELAYD_SERVER_H
#define TL_RELAYD_SERVER_H

#include "io/loop.h"
#include "relay/bursts.h"
#include "relayd/options.h"
#include "relayd/view.h"

#define TL_RELAYD_FAREWELL_NS (3 * TL_SEC) /* for nodes to close their connections at the end */

typedef struct tl_relayd_server tl_relayd_server;

/* Which of the loops of this process it is. */
typedef struct {
    struct tl_relayd_loops *loops; /* NULL: the only one */
    size_t index;
    const char *process; /* the relay's ID in a cluster, without the number of the loop */
} tl_relayd_place;

/* Begins to listen. Copies the options. TL_ERR_INVALID, TL_ERR_IO, TL_ERR_EXISTS,
 * TL_ERR_UNREACHABLE, all with `why`. */
TL_CHECK tl_err tl_relayd_server_new(tl_loop *loop, const tl_relayd_options *options,
                                     const tl_relayd_place *place, tl_relayd_server **ret_server,
                                     tl_why *why);
/* Ends every connection at once. */
void tl_relayd_server_free(tl_relayd_server *s);

/* --- for relayd/loops --- */
/* The ports that the kernel chose: the next loops listen at the same. */
void tl_relayd_server_fix_ports(const tl_relayd_server *s, tl_relayd_options *options);
/* Another loop says this. */
void tl_relayd_server_on_near(tl_relayd_server *s, tl_slice bytes);
/* A datagram for this loop came to another. Borrowed until the next tl_relayd_server_pump. */
void tl_relayd_server_on_datagram(tl_relayd_server *s, const tl_burst_way *way, uint8_t *bytes,
                                  size_t n);
void tl_relayd_server_pump(tl_relayd_server *s);
void tl_relayd_server_see(const tl_relayd_server *s, tl_relayd_view *v);

/* Appends `ready ws=ws://HOST:PORT/ws[,...] [udp=ADDR:PORT[,...]]`, with the real ports, and a
 * newline. */
TL_CHECK tl_err tl_relayd_server_write_ready(const tl_relayd_server *s, tl_buf *out);
/* Reads the certificate, key and token again, for new connections. If the new ones are bad, the old
 * ones stay. Logs both cases. */
void tl_relayd_server_reload(tl_relayd_server *s);
/* Tells the nodes to move, and lets what is under way go on: then shuts down, when no node that was
 * told and no session is left, or after --drain-secs. New connections get 503. */
void tl_relayd_server_drain(tl_relayd_server *s);
/* Takes no new connections and tells every node. Stops the loop when all connections are gone, or
 * after TL_RELAYD_FAREWELL_NS. */
void tl_relayd_server_shutdown(tl_relayd_server *s);

#endif
