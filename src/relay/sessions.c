#include "relay/sessions.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

tl_relay_session *tl_relay_table_find(const tl_relay_table *t, tl_slice id)
{
    tl_relay_session *s;
    HASH_FIND(hh, t->table, id.p, id.n, s);
    return s;
}

static void join(tl_relay_session *s, int side, tl_relay_node *n)
{
    tl_relay_member *m = &s->side[side];
    m->session = s;
    m->node = n;
    DL_PREPEND(n->sessions, m);
    n->session_count++;
}

tl_err tl_relay_table_add(tl_relay_table *t, tl_slice id, tl_relay_node *opener,
                          tl_relay_node *target, tl_relay_session **ret_session)
{
    assert(tl_signal_session_is(id) && opener != target);
    tl_relay_session *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    memcpy(s->id, id.p, id.n);
    s->id_n = (uint8_t)id.n;
    if (!TL_TABLE_ADD(hh, t->table, id, s->id_n, s)) {
        free(s);
        return TL_ERR_NOMEM;
    }
    assert(s->state == TL_RELAY_OPENING); /* every session begins so */
    join(s, 0, opener);
    join(s, 1, target);
    t->count++;
    *ret_session = s;
    return TL_OK;
}

void tl_relay_session_open(tl_relay_session *s)
{
    assert(s->state == TL_RELAY_OPENING);
    s->state = TL_RELAY_OPEN;
}

void tl_relay_table_remove(tl_relay_table *t, tl_relay_session *s)
{
    for (int i = 0; i < 2; i++) {
        tl_relay_member *m = &s->side[i];
        assert(!m->blocked_in);
        DL_DELETE(m->node->sessions, m);
        m->node->session_count--;
    }
    HASH_DELETE(hh, t->table, s);
    t->count--;
    free(s);
}

tl_relay_member *tl_relay_session_side(tl_relay_session *s, const tl_relay_node *n)
{
    for (int i = 0; i < 2; i++)
        if (s->side[i].node == n)
            return &s->side[i];
    return NULL;
}
