/* server.h - the relay program as a whole: its listeners, certificates and life from start to
 * orderly end, over the hub. Never touches signals or the command line. */
#ifndef TL_RELAYD_SERVER_H
#define TL_RELAYD_SERVER_H

#include "io/loop.h"
#include "relayd/options.h"

#define TL_RELAYD_FAREWELL_NS (3 * TL_SEC) /* for nodes to take their leave at the end */

typedef struct tl_relayd_server tl_relayd_server;

/* Listens. Copies the options. TL_ERR_INVALID, TL_ERR_IO, TL_ERR_EXISTS, TL_ERR_UNREACHABLE, with
 * words. */
TL_CHECK tl_err tl_relayd_server_new(tl_loop *loop, const tl_relayd_options *options,
                                     tl_relayd_server **ret_server, tl_why *why);
/* Ends every connection at once. */
void tl_relayd_server_free(tl_relayd_server *s);

/* Appends `ready ws=ws://HOST:PORT/ws[,...] [udp=ADDR:PORT[,...]]` with the real ports, and a
 * newline. */
TL_CHECK tl_err tl_relayd_server_write_ready(const tl_relayd_server *s, tl_buf *out);
/* Reads certificate, key and token again, for connections to come; keeps the old ones when the new
 * are bad, and logs either. */
void tl_relayd_server_reload(tl_relayd_server *s);
/* No new connections; tells every node; stops the loop when all are gone, or TL_RELAYD_FAREWELL_NS
 * have passed. */
void tl_relayd_server_shutdown(tl_relayd_server *s);

#endif
