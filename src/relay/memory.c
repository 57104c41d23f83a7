#include "relay/state.h"

#include <utlist.h>

/* Estimates for memory that is not counted exactly. They are a little more than glibc and OpenSSL
 * were seen to take. */
#define CONN_COST      (4u << 10) /* our structs and the driver's */
/* OpenSSL's: during the handshake, and of a connection that stands and has no record under way. What
 * records take beside it, the driver tells (tl_relay_on_held). */
#define HANDSHAKE_COST (41u << 10)
#define TLS_COST       (15u << 10)
#define QUEUE_COST     (4u << 10) /* the driver's queue takes memory in such blocks */
#define SESSION_COST   640        /* half of a session with its tokens: each member pays for half */
/* An address may take at most a quarter of the budget, and never more than this, or than four
 * of the longest messages. It is enough for the full queues of 32 nodes; an office behind one
 * address seldom has one full queue. */
#define SHARE_MAX      (128u << 20)

static size_t memory_of(const tl_relay_conn *c)
{
    if (c->written_off)
        return 0;
    size_t of_tls = c->state == TL_RELAY_CONN_ACCEPTED ? HANDSHAKE_COST : TLS_COST;
    size_t n = CONN_COST + (c->tls ? of_tls : 0) + c->held + c->reader.parts.cap;
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

/* Addresses stand in lists by what they take, to an eighth of it, so that the greediest is found
 * without a search. */
static unsigned rank_of(size_t memory)
{
    if (memory < 4096)
        return 0; /* in no list */
    unsigned power = 63 - (unsigned)__builtin_clzll(memory);
    return (power - 11) * 8 + (memory >> (power - 3) & 7);
}

static void set_rank(tl_relay *r, tl_relay_address *a)
{
    unsigned rank = rank_of(a->memory);
    if (rank == a->rank)
        return;
    if (a->rank)
        DL_DELETE2(r->ranks[a->rank], a, prev_there, next_there);
    a->rank = rank;
    if (rank)
        DL_PREPEND2(r->ranks[rank], a, prev_there, next_there);
}

static tl_relay_address *greediest(const tl_relay *r)
{
    for (unsigned i = TL_RELAY_RANKS - 1; i; i--)
        if (r->ranks[i])
            return r->ranks[i];
    return NULL;
}

/* Dooms `c`. False: there is none left. */
static bool give_up(tl_relay *r, tl_relay_conn *c)
{
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

/* When memory is short, connections that are not registered go first, until they have no more than
 * this part of it: so a flood of them costs the registered nothing, and newcomers still find
 * room. */
static bool are_new_too_many(const tl_relay *r)
{
    return r->new_memory > r->config.memory_max / 8;
}

static void give_up_some(tl_relay *r)
{
    tl_relay_conn *c;
    do {
        const tl_relay_address *a = greediest(r);
        c = are_new_too_many(r) ? r->oldest_new : a ? largest_of(a) : NULL;
    } while (r->memory > enough(r->config.memory_max) && give_up(r, c));
}

static void shed(tl_relay *r, const tl_relay_address *a)
{
    if (r->shedding)
        return; /* this call came from tl_relay_doom below */
    r->shedding = true;
    if (a->memory > r->memory_share)
        while (a->memory > enough(r->memory_share) && give_up(r, largest_of(a))) {
        }
    if (r->memory > r->config.memory_max)
        give_up_some(r);
    r->shedding = false;
}

void tl_relay_account(tl_relay *r, tl_relay_conn *c)
{
    size_t before = c->memory, now = memory_of(c);
    c->memory = now;
    c->address->memory += now - before;
    set_rank(r, c->address);
    r->memory += now - before;
    if (c->is_new)
        r->new_memory += now - before;
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

void tl_relay_account_move(tl_relay *r, tl_relay_conn *c, tl_relay_address *to)
{
    tl_relay_address *from = c->address;
    DL_DELETE2(from->first, c, prev_there, next_there);
    from->memory -= c->memory;
    set_rank(r, from);
    c->address = to;
    DL_APPEND2(to->first, c, prev_there, next_there);
    to->memory += c->memory;
    set_rank(r, to);
    if (to->memory > r->memory_share)
        shed(r, to);
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
