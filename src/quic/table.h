/* table.h - finds by its connection ID the connection to which a datagram belongs, or the tomb of a
 * closed one. Opens no packets. */
#ifndef TL_QUIC_TABLE_H
#define TL_QUIC_TABLE_H

#include "quic/state.h"

/* TL_ERR_EXISTS, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_quic_table_add(tl_quic_conn *c, tl_slice cid);
/* Does nothing when the ID is not there. */
void tl_quic_table_remove(tl_quic_conn *c, tl_slice cid);
/* To whom a datagram belongs: either `conn` or `tomb` is set. */
typedef struct {
    tl_quic_conn *conn;
    tl_quic_tomb *tomb;
    tl_quic_where where; /* with a connection */
    bool misplaced; /* at a server: it came by another path than the one on which this ID is in use,
                       or it is one move too many */
} tl_quic_owner;
/* False: nobody's. At a server, the first datagram binds the ID to its path. An honest client takes
 * a fresh ID for another path, so a datagram with this ID on another path was put there by somebody
 * in between. */
bool tl_quic_table_find(tl_quic *q, tl_slice cid, tl_path_id path, tl_quic_owner *ret_owner);
/* The answer of tl_quic_path_of. */
tl_path_id tl_quic_table_path(tl_quic *q, tl_slice cid, bool *ret_client);
/* The answer of tl_quic_conn_of. */
tl_quic_conn *tl_quic_table_conn(tl_quic *q, tl_slice cid);
/* Does as if a datagram had come by `path` for every ID there is. */
void tl_quic_table_bind(tl_quic_conn *c, tl_path_id path);
void tl_quic_table_remove_all(tl_quic *q, tl_quic_cid_entry **cids);
/* The IDs lead to the tomb from now on. */
void tl_quic_table_bury(tl_quic_conn *c, tl_quic_tomb *tomb);

#endif
