/* networks_state.h - what the sources of networks.h share. Only this room includes it. */
#ifndef TL_STORE_NETWORKS_STATE_H
#define TL_STORE_NETWORKS_STATE_H

#include "store/networks.h"

/* Adds or replaces a member's row. */
TL_CHECK tl_err tl_store_write_member(tl_db *db, const tl_member_row *row);
/* "revocations", as in the database; static storage. */
const char *tl_object_kind_name(tl_object_kind kind);

#endif
