/* link_sessions.h - the table of a node's sessions at one relay, found by session ID and by path
 * id. Pure memory: never touches a socket or a clock, and sends nothing. */
#ifndef TL_PEER_LINK_SESSIONS_H
#define TL_PEER_LINK_SESSIONS_H

#include "base/table.h"
#include "crypto/identity.h"
#include "path/via.h"
#include "wire/signal.h"

typedef struct {
    char id[TL_SIGNAL_SESSION_MAX + 1];
    tl_path_id path;
    tl_node_id peer;
    char peer_hex[TL_NODE_ID_HEX + 1];
    bool ready; /* relayReady was sent or received: data may flow */
    bool has_token;
    uint8_t token[16]; /* what goes in front of a datagram that is no relayData */
    tl_buf head;       /* the beginning of every relayData of the session, up to its base64 */
    UT_hash_handle by_id, by_path;
} tl_link_session;

#define TL_RELAY_DATA_END "\"}}" /* what ends every relayData after its base64 */

/* Zero-initialise to begin. */
typedef struct {
    tl_link_session *by_id, *by_path;
} tl_link_sessions;

/* `id` is a legal session ID. TL_ERR_EXISTS: the session ID or the path is in the table.
 * TL_ERR_NOMEM. */
TL_CHECK tl_err tl_link_sessions_add(tl_link_sessions *t, const char *own_hex, tl_slice id,
                                     tl_path_id path, const tl_node_id *peer,
                                     tl_link_session **ret_session);
/* NULL: none. */
tl_link_session *tl_link_sessions_by_id(const tl_link_sessions *t, tl_slice id);
tl_link_session *tl_link_sessions_by_path(const tl_link_sessions *t, tl_path_id path);
void tl_link_sessions_remove(tl_link_sessions *t, tl_link_session *s);
/* Any one session, for emptying the table; NULL when the table is empty. */
tl_link_session *tl_link_sessions_any(const tl_link_sessions *t);
/* The only session that waits for its relayReady; NULL when none waits, or more than one. */
tl_link_session *tl_link_sessions_only_opening(const tl_link_sessions *t);
/* Any one session with this peer; NULL: none. */
tl_link_session *tl_link_sessions_with(const tl_link_sessions *t, tl_slice peer_hex);
size_t tl_link_sessions_count(const tl_link_sessions *t);

#endif
