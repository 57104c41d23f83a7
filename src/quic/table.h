/* table.h - where a datagram belongs: connection ID to connection, or to the tomb of a closed one.
 */
#ifndef TL_QUIC_TABLE_H
#define TL_QUIC_TABLE_H

#include "quic/state.h"

/* TL_ERR_EXISTS, TL_ERR_NOMEM. */
TL_CHECK tl_err tl_quic_table_add(tl_quic_conn *c, tl_slice cid);
/* Nothing when it is not there. */
void tl_quic_table_remove(tl_quic_conn *c, tl_slice cid);
/* True when found; one of the two is set then. */
bool tl_quic_table_find(tl_quic *q, tl_slice cid, tl_quic_conn **ret_conn, tl_quic_tomb **ret_tomb);
void tl_quic_table_remove_all(tl_quic *q, tl_quic_cid_entry **cids);
/* The IDs lead to the tomb from now on. */
void tl_quic_table_bury(tl_quic_conn *c, tl_quic_tomb *tomb);

#endif
