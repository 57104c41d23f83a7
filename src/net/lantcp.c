/* The listener, the dialler, and who is let in. */
#include "net/lantcp_state.h"

#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#define LOOK_EVERY (1 * TL_SEC) /* at times that have run out */
#define BACKLOG    32

static void look_later(tl_lantcp *l)
{
    if (l->look.at == TL_NEVER)
        tl_timer_set(&l->look, tl_loop_now(l->loop) + LOOK_EVERY);
}

static tl_lan_pipe *pipe_new(tl_lantcp *l, const tl_addr *remote)
{
    tl_lan_pipe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->lan = l;
    p->remote = *remote;
    p->made = p->heard = tl_loop_now(l->loop);
    do
        p->sock = tl_sock_pipe(l->next_sock++);
    while (tl_lan_pipe_find(l, p->sock));
    if (!TL_TABLE_ADD(hh, l->by_sock, sock, sizeof p->sock, p)) {
        free(p);
        return NULL;
    }
    DL_APPEND(l->pipes, p);
    look_later(l);
    return p;
}

/* --- who is let in --- */

/* All link-local addresses are of one /64: their link tells more. */
static tl_lan_origin origin_of(const tl_addr *remote)
{
    tl_origin address = tl_origin_address(remote);
    uint32_t link = tl_addr_is_link_local(remote) ? remote->scope : 0;
    tl_lan_origin o;
    memcpy(o.bytes, address.bytes, sizeof address.bytes);
    memcpy(o.bytes + sizeof address.bytes, &link, sizeof link);
    return o;
}

static bool is_of(const tl_lan_pipe *p, const tl_lan_origin *origin)
{
    return !p->dialled && memcmp(&p->origin, origin, sizeof *origin) == 0;
}

typedef struct {
    size_t accepted, unproven; /* of all */
    size_t accepted_of_origin, unproven_of_origin;
    tl_lan_pipe *oldest; /* of the origin's unproven ones; NULL: there is none */
} crowd;

static crowd crowd_of(const tl_lantcp *l, const tl_lan_origin *origin)
{
    crowd c = {0};
    tl_lan_pipe *p;
    DL_FOREACH (l->pipes, p) {
        bool same = is_of(p, origin);
        c.accepted += !p->dialled;
        c.accepted_of_origin += same;
        if (tl_lan_pipe_is_known(p))
            continue;
        c.unproven++;
        c.unproven_of_origin += same;
        c.oldest = c.oldest || !same ? c.oldest : p;
    }
    return c;
}

/* The oldest unproven pipe of the origin that has most of them, once the newcomer of crowd `c` is one of its origin's. So
 * a flood costs itself. NULL: all are proven. */
static tl_lan_pipe *of_the_largest(const tl_lantcp *l, const crowd *c)
{
    tl_lan_pipe *p, *largest = c->oldest;
    size_t most = c->oldest ? c->unproven_of_origin + 1 : 0;
    DL_FOREACH (l->pipes, p) {
        if (tl_lan_pipe_is_known(p))
            continue;
        size_t n = crowd_of(l, &p->origin).unproven_of_origin;
        if (n > most) {
            most = n;
            largest = p;
        }
    }
    return largest;
}

/* --- where all places are taken --- */

static void look_at_strangers(tl_lantcp *l)
{
    tl_lan_pipe *p;
    DL_FOREACH (l->pipes, p)
        p->strange = !p->dialled && !(p->proven && l->events.is_known(l->user, &p->node));
}

static size_t strangers_of(const tl_lantcp *l, const tl_lan_origin *origin)
{
    const tl_lan_pipe *p;
    size_t n = 0;
    DL_FOREACH (l->pipes, p)
        n += p->strange && is_of(p, origin);
    return n;
}

/* Of the origin, which has some: the oldest unproven one, else the oldest stranger's. */
static tl_lan_pipe *oldest_stranger(const tl_lantcp *l, const tl_lan_origin *origin)
{
    tl_lan_pipe *p, *oldest = NULL;
    DL_FOREACH (l->pipes, p)
        if (p->strange && is_of(p, origin) && (!oldest || (oldest->proven && !p->proven)))
            oldest = p;
    return oldest;
}

/* Keys cost nothing, so a proven stranger is worth no more than its origin. NULL: no origin has more than the
 * newcomer's, of crowd `c`. */
static tl_lan_pipe *of_the_richest(tl_lantcp *l, const tl_lan_origin *origin, bool expected,
                                   const crowd *c)
{
    const tl_lan_origin *richest = NULL;
    const tl_lan_pipe *p;
    look_at_strangers(l);
    size_t most = strangers_of(l, origin) + !expected;
    DL_FOREACH (l->pipes, p) {
        size_t n = p->strange ? strangers_of(l, &p->origin) : 0;
        if (n > most) {
            most = n;
            richest = &p->origin;
        }
    }
    return richest ? oldest_stranger(l, richest) : c->oldest;
}

/* False: there is no room, and nobody who could make some. */
static bool make_room(tl_lantcp *l, const tl_lan_origin *origin, bool expected)
{
    crowd c = crowd_of(l, origin);
    tl_lan_pipe *goes;
    if (c.accepted_of_origin >= TL_LANTCP_OF_ORIGIN ||
        c.unproven_of_origin >= TL_LANTCP_UNPROVEN_OF_ORIGIN)
        goes = c.oldest;
    else if (c.unproven >= TL_LANTCP_UNPROVEN)
        goes = of_the_largest(l, &c);
    else if (c.accepted >= TL_LANTCP_ACCEPTED || HASH_COUNT(l->by_sock) >= TL_LANTCP_MAX)
        goes = of_the_richest(l, origin, expected, &c);
    else
        return true;
    if (goes)
        tl_lan_pipe_end(goes, TL_LANTCP_CROWDED);
    return goes;
}

/* The origin's own budget comes first, so that its flood takes no more than that of the budget of all. Of this, half is
 * for those that come seldom: a flood of some addresses, each within its own budget, leaves it to them. */
static bool may_accept(tl_lantcp *l, const tl_lan_origin *origin, bool expected)
{
    tl_time now = tl_loop_now(l->loop);
    tl_slice key = tl_slice_of(origin->bytes, sizeof origin->bytes);
    if (!tl_origin_take(&l->accepts, key, TL_LANTCP_ACCEPT_RATE, TL_LANTCP_ACCEPT_BURST, now))
        return false;
    bool fresh = tl_origin_take(&l->fresh, key, TL_LANTCP_FRESH_RATE, TL_LANTCP_FRESH_BURST, now);
    return (fresh && tl_ratelimit_take(&l->fresh_sum, 1, now)) ||
           tl_ratelimit_take(&l->accepts_sum, 1, now) ||
           (expected && tl_ratelimit_take(&l->expected_sum, 1, now));
}

static void refuse(tl_lantcp *l, int fd, tl_lantcp_end why)
{
    l->counters.ends[why]++;
    close(fd);
}

static void on_accept(void *user, int fd, const tl_addr *remote)
{
    tl_lantcp *l = user;
    if (!l->events.is_near(l->user, remote)) {
        refuse(l, fd, TL_LANTCP_FOREIGN);
        return;
    }
    tl_lan_origin origin = origin_of(remote);
    bool expected = l->events.is_expected(l->user, remote);
    if (!may_accept(l, &origin, expected) || !make_room(l, &origin, expected)) {
        refuse(l, fd, TL_LANTCP_CROWDED);
        return;
    }
    tl_lan_pipe *p = pipe_new(l, remote);
    if (!p) {
        refuse(l, fd, TL_LANTCP_CROWDED);
        return;
    }
    p->origin = origin;
    l->counters.accepted++;
    if (tl_lan_pipe_take_over(p, fd))
        tl_lan_pipe_free(p);
}

void tl_lantcp_prove(tl_lantcp *l, tl_sock sock, const tl_node_id *node)
{
    tl_lan_pipe *p = tl_lan_pipe_find(l, sock), *other, *oldest = NULL;
    size_t n = 0;
    if (!p || p->proven)
        return;
    p->proven = true;
    p->node = *node;
    DL_FOREACH (l->pipes, other)
        if (other != p && other->proven && !other->over && tl_node_id_eq(&other->node, node)) {
            oldest = oldest ? oldest : other;
            n++;
        }
    if (n >= TL_LANTCP_OF_NODE) {
        oldest->over = true;
        tl_timer_set(&l->look, tl_loop_now(l->loop));
    }
}

/* --- dialling --- */

static void on_dialled(void *user, int fd, tl_err e, const char *why)
{
    tl_lan_pipe *p = user;
    (void)why;
    tl_dial_free(p->dial);
    p->dial = NULL;
    if (e || tl_lan_pipe_take_over(p, fd))
        tl_lan_pipe_end(p, TL_LANTCP_BROKEN);
}

static bool leads_there(const tl_lan_pipe *p, const tl_node_id *node, const tl_addr *addr)
{
    return p->dialled && tl_node_id_eq(&p->node, node) && tl_addr_eq(&p->remote, addr);
}

tl_err tl_lantcp_dial(tl_lantcp *l, const tl_node_id *node, const tl_addr *addr)
{
    tl_lan_pipe *p;
    size_t n = 0;
    DL_FOREACH (l->pipes, p) {
        if (leads_there(p, node, addr))
            return TL_OK;
        n += p->dialled && tl_node_id_eq(&p->node, node);
    }
    if (n >= TL_LANTCP_OF_NODE || HASH_COUNT(l->by_sock) >= TL_LANTCP_MAX)
        return TL_ERR_BUSY;
    p = pipe_new(l, addr);
    if (!p)
        return TL_ERR_NOMEM;
    p->dialled = true;
    p->node = *node;
    if (tl_dial_start_at(l->loop, addr, 1, on_dialled, p, &p->dial)) {
        tl_lan_pipe_free(p);
        return TL_ERR_NOMEM;
    }
    l->counters.dialled++;
    return TL_OK;
}

/* --- time --- */

/* Why the pipe is to be closed now; TL_LANTCP_ENDS: it is not. */
static tl_lantcp_end overdue(const tl_lan_pipe *p, tl_time now)
{
    if (p->over)
        return TL_LANTCP_CROWDED;
    if (!p->open)
        return now >= p->made + TL_LANTCP_DIAL_WITHIN ? TL_LANTCP_BROKEN : TL_LANTCP_ENDS;
    if (p->part_since && now >= p->part_since + TL_LANTCP_FRAME_WITHIN)
        return TL_LANTCP_SLOW;
    if (!p->proven && now >= p->made + TL_LANTCP_PROVE_WITHIN)
        return TL_LANTCP_UNKNOWN;
    return now >= p->heard + TL_LANTCP_SILENT_MAX ? TL_LANTCP_SILENT : TL_LANTCP_ENDS;
}

/* The callback of one that is closed may close others: begins anew after each. */
static bool end_one(tl_lantcp *l, tl_time now)
{
    tl_lan_pipe *p;
    DL_FOREACH (l->pipes, p) {
        tl_lantcp_end why = overdue(p, now);
        if (why == TL_LANTCP_ENDS)
            continue;
        tl_lan_pipe_end(p, why);
        return true;
    }
    return false;
}

static void on_look(void *user)
{
    tl_lantcp *l = user;
    while (end_one(l, tl_loop_now(l->loop)))
        ;
    if (l->pipes)
        look_later(l);
}

static bool is_ours(const tl_addr *a, const tl_interface *own, size_t n_own)
{
    for (size_t i = 0; i < n_own; i++)
        if (tl_addr_same_ip(a, &own[i].addr))
            return true;
    return false;
}

static bool end_stranded(tl_lantcp *l, const tl_interface *own, size_t n_own)
{
    tl_lan_pipe *p;
    DL_FOREACH (l->pipes, p)
        if (p->open && !is_ours(&p->local, own, n_own)) {
            tl_lan_pipe_end(p, TL_LANTCP_BROKEN);
            return true;
        }
    return false;
}

void tl_lantcp_on_change(tl_lantcp *l, const tl_interface *own, size_t n_own)
{
    while (end_stranded(l, own, n_own))
        ;
}

/* --- life --- */

static tl_err listen_at(tl_lantcp *l, uint16_t port, tl_why *why)
{
    static const tl_addr any4 = {.family = TL_ADDR_V4}, any6 = {.family = TL_ADDR_V6};
    tl_addr at4 = any4, at6 = any6;
    tl_why why6;
    at4.port = port;
    tl_err e = tl_listen(l->loop, &at4, BACKLOG, on_accept, l, &l->listener[0], why);
    if (e == TL_ERR_EXISTS)
        return e;
    at6.port = e ? port : tl_listener_addr(l->listener[0]).port;
    tl_err e6 = tl_listen(l->loop, &at6, BACKLOG, on_accept, l, &l->listener[1], &why6);
    if (e && e6)
        return e; /* a machine without IPv6 is told of IPv4 */
    l->port = tl_listener_addr(l->listener[e ? 1 : 0]).port;
    return TL_OK;
}

tl_err tl_lantcp_new(tl_loop *loop, uint16_t port, const tl_lantcp_events *events, void *user,
                     tl_lantcp **ret_lantcp, tl_why *why)
{
    tl_lantcp *l = calloc(1, sizeof *l);
    if (!l)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    l->loop = loop;
    l->events = *events;
    l->user = user;
    l->accepts_sum = l->fresh_sum = tl_ratelimit_make(
        TL_LANTCP_ACCEPT_SUM_RATE / 2, TL_LANTCP_ACCEPT_SUM_BURST / 2, tl_loop_now(loop));
    l->expected_sum =
        tl_ratelimit_make(TL_LANTCP_EXPECTED_RATE, TL_LANTCP_EXPECTED_BURST, tl_loop_now(loop));
    tl_timer_init(&l->look, loop, on_look, l);
    tl_err e = listen_at(l, port, why);
    if (e == TL_ERR_EXISTS && port)
        e = listen_at(l, 0, why);
    if (e) {
        tl_lantcp_free(l);
        return e;
    }
    *ret_lantcp = l;
    return TL_OK;
}

void tl_lantcp_free(tl_lantcp *l)
{
    if (!l)
        return;
    while (l->pipes)
        tl_lan_pipe_free(l->pipes);
    for (size_t i = 0; i < 2; i++)
        tl_listener_free(l->listener[i]);
    tl_timer_stop(&l->look);
    free(l);
}

/* --- asked --- */

uint16_t tl_lantcp_port(const tl_lantcp *l)
{
    return l->port;
}

bool tl_lantcp_local(const tl_lantcp *l, tl_sock sock, tl_addr *ret_local)
{
    const tl_lan_pipe *p = tl_lan_pipe_find(l, sock);
    if (!p || !p->open)
        return false;
    *ret_local = p->local;
    return true;
}

size_t tl_lantcp_pipes(const tl_lantcp *l, const tl_node_id *node,
                       tl_lantcp_pipe ret_pipes[TL_LANTCP_OF_NODE])
{
    const tl_lan_pipe *p;
    size_t n = 0;
    DL_FOREACH (l->pipes, p)
        if (p->open && p->dialled && n < TL_LANTCP_OF_NODE && tl_node_id_eq(&p->node, node))
            ret_pipes[n++] = (tl_lantcp_pipe){p->sock, p->remote};
    return n;
}

size_t tl_lantcp_count(const tl_lantcp *l, size_t *ret_proven)
{
    const tl_lan_pipe *p;
    size_t n = 0;
    *ret_proven = 0;
    DL_FOREACH (l->pipes, p) {
        n += p->open;
        *ret_proven += p->open && p->proven;
    }
    return n;
}

const tl_lantcp_counters *tl_lantcp_counted(const tl_lantcp *l)
{
    return &l->counters;
}
