#include "relay/state.h"

#include <utlist.h>

/* Estimates for memory that is not counted exactly. They are a little more than glibc and OpenSSL
 * were seen to take. */
#define CONN_COST    (4u << 10)  /* our structs and the driver's */
#define TLS_COST     (40u << 10) /* OpenSSL's, with both buffers */
#define QUEUE_COST   (4u << 10)  /* the driver's queue takes memory in such blocks */
#define SESSION_COST 256         /* half of a session: each of its two members pays for half */
/* An address may take at most a quarter of the budget, and never more than this, or than four
 * of the longest messages. It is enough for the full queues of 32 nodes; an office behind one
 * address seldom has one full queue. */
#define SHARE_MAX    (128u << 20)

static size_t memory_of(const tl_relay_conn *c)
{
    if (c->written_off)
        return 0;
    size_t n = CONN_COST + (c->tls ? TLS_COST : 0) + c->held + c->reader.parts.cap;
    if (c->queued)
        n += QUEUE_COST + c->queue_cost + c->lines.memory;
    if (c->node)
        n += tl_relay_node_memory(c->node) + c->node->session_count * SESSION_COST;
    return n;
}

static tl_relay_conn *largest_of(const tl_relay_address *a)
{
    tl_relay_conn *largest = NULL, *c;
    DL_FOREACH2(a->first, c, next_there)
    if (!c->written_off && (!largest || c->memory > largest->memory))
        largest = c;
    return largest;
}

static tl_relay_address *greediest(const tl_relay *r)
{
    tl_relay_address *most = NULL, *a;
    for (a = r->addresses.table; a; a = a->hh.next)
        if (!most || a->memory > most->memory)
            most = a;
    return most;
}

/* Dooms the largest connection of the address. False: the address has none left. */
static bool give_up_one(tl_relay *r, const tl_relay_address *a)
{
    tl_relay_conn *c = a ? largest_of(a) : NULL;
    if (!c)
        return false;
    r->counters.cut_budget++;
    tl_relay_doom(r, c);
    return true;
}

/* How far memory is freed: to a little below the bound, so that the next byte does not make us
 * search again. */
static size_t enough(size_t max)
{
    return max - max / 16;
}

static void shed(tl_relay *r, const tl_relay_address *a)
{
    if (r->shedding)
        return; /* this call came from tl_relay_doom below */
    r->shedding = true;
    if (a->memory > r->memory_share)
        while (a->memory > enough(r->memory_share) && give_up_one(r, a)) {
        }
    if (r->memory > r->config.memory_max)
        while (r->memory > enough(r->config.memory_max) && give_up_one(r, greediest(r))) {
        }
    r->shedding = false;
}

void tl_relay_account(tl_relay *r, tl_relay_conn *c)
{
    size_t before = c->memory, now = memory_of(c);
    c->memory = now;
    c->address->memory += now - before;
    r->memory += now - before;
    r->counters.memory_bytes = r->memory;
    if (now > before && (r->memory > r->config.memory_max || c->address->memory > r->memory_share))
        shed(r, c->address);
}

void tl_relay_account_begin(tl_relay *r, tl_relay_conn *c)
{
    DL_APPEND2(c->address->first, c, prev_there, next_there);
    tl_relay_account(r, c);
}

void tl_relay_account_end(tl_relay *r, tl_relay_conn *c)
{
    c->written_off = true;
    tl_relay_account(r, c);
    DL_DELETE2(c->address->first, c, prev_there, next_there);
}

void tl_relay_memory_init(tl_relay *r)
{
    size_t quarter = r->config.memory_max / 4, most = 4 * r->config.message_max;
    if (most < SHARE_MAX)
        most = SHARE_MAX;
    r->memory_share = quarter < most ? quarter : most;
    r->counters.memory_max = r->config.memory_max;
    r->counters.memory_share = r->memory_share;
}
