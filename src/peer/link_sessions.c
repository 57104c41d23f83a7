#include "peer/link_sessions.h"

#include "wire/signalwrite.h"

#include <stdlib.h>

tl_link_session *tl_link_sessions_by_id(const tl_link_sessions *t, tl_slice id)
{
    tl_link_session *s;
    HASH_FIND(by_id, t->by_id, id.p, id.n, s);
    return s;
}

tl_link_session *tl_link_sessions_by_path(const tl_link_sessions *t, tl_path_id path)
{
    tl_link_session *s;
    HASH_FIND(by_path, t->by_path, &path, sizeof path, s);
    return s;
}

tl_err tl_link_sessions_add(tl_link_sessions *t, const char *own_hex, tl_slice id, tl_path_id path,
                            const tl_node_id *peer, tl_link_session **ret_session)
{
    if (tl_link_sessions_by_id(t, id) || tl_link_sessions_by_path(t, path))
        return TL_ERR_EXISTS;
    tl_link_session *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    memcpy(s->id, id.p, id.n);
    s->path = path;
    s->peer = *peer;
    tl_node_id_write(s->peer_hex, peer);
    tl_err e = tl_signal_write_data(&s->head, own_hex, s->peer_hex, s->id, tl_slice_of(NULL, 0));
    if (e) {
        free(s);
        return e;
    }
    s->head.len -= sizeof TL_RELAY_DATA_END - 1;
    if (!TL_TABLE_ADD(by_id, t->by_id, id, id.n, s))
        goto no_memory;
    if (!TL_TABLE_ADD(by_path, t->by_path, path, sizeof s->path, s)) {
        HASH_DELETE(by_id, t->by_id, s);
        goto no_memory;
    }
    *ret_session = s;
    return TL_OK;

no_memory:
    tl_buf_clear(&s->head);
    free(s);
    return TL_ERR_NOMEM;
}

void tl_link_sessions_remove(tl_link_sessions *t, tl_link_session *s)
{
    HASH_DELETE(by_id, t->by_id, s);
    HASH_DELETE(by_path, t->by_path, s);
    tl_buf_clear(&s->head);
    free(s);
}

tl_link_session *tl_link_sessions_any(const tl_link_sessions *t)
{
    return t->by_path;
}

tl_link_session *tl_link_sessions_only_opening(const tl_link_sessions *t)
{
    tl_link_session *only = NULL, *s, *next;
    HASH_ITER (by_path, t->by_path, s, next) {
        if (s->ready)
            continue;
        if (only)
            return NULL;
        only = s;
    }
    return only;
}

tl_link_session *tl_link_sessions_with(const tl_link_sessions *t, tl_slice peer_hex)
{
    tl_link_session *s, *next;
    HASH_ITER (by_path, t->by_path, s, next)
        if (tl_slice_eq(peer_hex, tl_slice_str(s->peer_hex)))
            return s;
    return NULL;
}

size_t tl_link_sessions_count(const tl_link_sessions *t)
{
    return HASH_CNT(by_path, t->by_path);
}
