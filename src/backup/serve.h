/* serve.h - streams of peers that begin with a request about fragments: reads the request, has the holder
 * answer it, and writes the answer. Sans-IO. */
#ifndef TL_BACKUP_SERVE_H
#define TL_BACKUP_SERVE_H

#include "backup/holder.h"
#include "peer/peers.h"

/* Between two signs of progress. The disk has less to do than that. */
#define TL_FRAGMENT_SERVE_IDLE         (20 * TL_SEC)
/* The same of a peer that is to send, and does not; or that is to take a refusal. */
#define TL_FRAGMENT_SERVE_HUSH         (5 * TL_SEC)
/* The whole. And how slow bytes may come or go: a fragment has SLACK + bytes / RATE. */
#define TL_FRAGMENT_SERVE_MAX          (5 * TL_MIN)
#define TL_FRAGMENT_SERVE_SLACK        (30 * TL_SEC)
#define TL_FRAGMENT_SERVE_RATE         (32u << 10) /* bytes a second */
/* Peers for which there is no place, and which are being told so: in all, and of one. Of more the stream is
 * reset. */
#define TL_FRAGMENT_SERVE_TOLD         64
#define TL_FRAGMENT_SERVE_TOLD_OF_PEER 2

typedef struct tl_fragment_server tl_fragment_server;

/* `holder` is borrowed for life. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_fragment_server_new(const tl_env *env, tl_holder *holder,
                                       tl_fragment_server **ret_server);
/* Streams under way are given up. Before tl_peers_free. NULL is allowed. */
void tl_fragment_server_free(tl_fragment_server *s);
/* Takes over a stream whose first message was read: `m`. `reader` is what read it; its memory is taken. */
void tl_fragment_server_on_stream(tl_fragment_server *s, const tl_node_id *peer,
                                  tl_quic_stream *stream, const tl_cluster_other *m,
                                  tl_frame_reader *reader);
void tl_fragment_server_on_timer(tl_fragment_server *s);
tl_time tl_fragment_server_expiry(const tl_fragment_server *s);
uint64_t tl_fragment_server_malformed(const tl_fragment_server *s);

#endif
