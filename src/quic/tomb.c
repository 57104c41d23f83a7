#include "quic/tomb.h"

#include "quic/table.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

static void tomb_free(tl_quic *q, tl_quic_tomb *t)
{
    tl_quic_table_remove_all(q, &t->cids);
    DL_DELETE(q->tombs, t);
    q->tombs_n--;
    free(t);
}

void tl_quic_tomb_raise(tl_quic_conn *c, tl_path_id path, tl_slice packet, tl_time now)
{
    tl_quic *q = c->quic;
    assert(packet.n <= TL_QUIC_PACKET_MAX);
    tl_quic_loose_push(q, path, packet);
    tl_quic_tomb *t = calloc(1, sizeof *t);
    if (!t)
        return;
    if (q->tombs_n == TL_QUIC_TOMBS_MAX)
        tomb_free(q, q->tombs);
    t->until = now + TL_QUIC_TOMB_TIME;
    t->path = path;
    t->n = packet.n;
    memcpy(t->packet, packet.p, packet.n);
    tl_quic_table_bury(c, t);
    DL_APPEND(q->tombs, t);
    q->tombs_n++;
}

void tl_quic_tomb_on_datagram(tl_quic *q, tl_quic_tomb *t, tl_path_id path)
{
    t->datagrams++;
    if (path == t->path && (t->datagrams & (t->datagrams - 1)) == 0)
        tl_quic_loose_push(q, t->path, tl_slice_of(t->packet, t->n));
}

tl_time tl_quic_tombs_expiry(const tl_quic *q)
{
    return q->tombs ? q->tombs->until : TL_NEVER;
}

void tl_quic_tombs_on_timer(tl_quic *q, tl_time now)
{
    while (q->tombs && q->tombs->until <= now)
        tomb_free(q, q->tombs);
}

void tl_quic_tombs_clear(tl_quic *q)
{
    tl_quic_output ignored;
    uint8_t packet[TL_QUIC_PACKET_MAX];
    tl_quic_tombs_on_timer(q, TL_NEVER);
    while (tl_quic_loose_pop(q, packet, &ignored))
        ;
}

void tl_quic_loose_push(tl_quic *q, tl_path_id path, tl_slice packet)
{
    if (q->loose_n == TL_QUIC_LOOSE_MAX)
        return;
    tl_quic_loose *l = calloc(1, sizeof *l);
    if (!l)
        return;
    l->path = path;
    l->n = packet.n;
    memcpy(l->packet, packet.p, packet.n);
    if (q->loose_last)
        q->loose_last->next = l;
    else
        q->loose = l;
    q->loose_last = l;
    q->loose_n++;
}

bool tl_quic_loose_pop(tl_quic *q, uint8_t *buf, tl_quic_output *ret_output)
{
    tl_quic_loose *l = q->loose;
    if (!l)
        return false;
    memcpy(buf, l->packet, l->n);
    *ret_output = (tl_quic_output){.path = l->path, .n = l->n, .segment = l->n};
    q->loose = l->next;
    if (!q->loose)
        q->loose_last = NULL;
    q->loose_n--;
    free(l);
    return true;
}
