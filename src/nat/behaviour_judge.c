#include "nat/behaviour_judge.h"

static unsigned votes_of_ip(const tl_voice *v, size_t n, const tl_addr *ip)
{
    unsigned votes = 0;
    for (size_t i = 0; i < n; i++)
        votes += tl_addr_same_ip(&v[i].mapped, ip);
    return votes;
}

static unsigned votes_of(const tl_voice *v, size_t n, const tl_addr *a)
{
    unsigned votes = 0;
    for (size_t i = 0; i < n; i++)
        votes += tl_addr_eq(&v[i].mapped, a);
    return votes;
}

/* Among equal votes: first what was believed before, then a global address, then the earliest
 * voice. */
static unsigned rank_of_ip(const tl_voice *v, size_t n, const tl_addr *ip, const tl_addr *present)
{
    return votes_of_ip(v, n, ip) * 4 + (tl_addr_same_ip(ip, present) ? 2 : 0) +
           (tl_addr_kind_of(ip) == TL_ADDR_GLOBAL ? 1 : 0);
}

tl_addr tl_judge_public(const tl_voice *v, size_t n, const tl_addr *present, bool settled)
{
    bool known = present->family != TL_ADDR_NONE;
    if (n == 0 || (n == 1 && !settled && known && !tl_addr_same_ip(&v[0].mapped, present)))
        return n ? *present : (tl_addr){.family = TL_ADDR_NONE};
    tl_addr ip = v[0].mapped;
    for (size_t i = 1; i < n; i++)
        if (rank_of_ip(v, n, &v[i].mapped, present) > rank_of_ip(v, n, &ip, present))
            ip = v[i].mapped;
    tl_addr best = {.family = TL_ADDR_NONE};
    unsigned most = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned rank =
            votes_of(v, n, &v[i].mapped) * 2 + (tl_addr_eq(&v[i].mapped, present) ? 1 : 0);
        if (tl_addr_same_ip(&v[i].mapped, &ip) && rank > most) {
            best = v[i].mapped;
            most = rank;
        }
    }
    return best;
}

/* Is `i` the first voice from its server's IP? The others of that IP do not vote again. */
static bool is_first(const tl_voice *v, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (tl_addr_same_ip(&v[j].to, &v[i].to))
            return false;
    return true;
}

static unsigned servers_that_saw(const tl_voice *v, size_t n, const tl_addr *a)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++)
        count += is_first(v, i) && tl_addr_eq(&v[i].mapped, a);
    return count;
}

static bool is_pair(const tl_voice *a, const tl_voice *b)
{
    return tl_addr_same_ip(&a->to, &b->to) && a->to.port != b->to.port;
}

bool tl_judge_has_pair(const tl_voice *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (is_pair(&v[i], &v[j]))
                return true;
    return false;
}

static bool ports_differ(const tl_voice *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (is_pair(&v[i], &v[j]) && !tl_addr_eq(&v[i].mapped, &v[j].mapped))
                return true;
    return false;
}

tl_nat_mapping tl_judge_mapping(const tl_voice *v, size_t n, bool settled)
{
    unsigned servers = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned saw = servers_that_saw(v, n, &v[i].mapped);
        servers += is_first(v, i);
        most = saw > most ? saw : most;
    }
    if (most >= 2 && 2 * most > servers)
        return TL_MAPPING_ENDPOINT_INDEPENDENT;
    if (!settled || servers == 0)
        return TL_MAPPING_UNKNOWN;
    if (ports_differ(v, n))
        return TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    if (servers == 1)
        return TL_MAPPING_UNKNOWN;
    /* without a pair nobody knows which of the two; the stricter one promises less */
    return tl_judge_has_pair(v, n) ? TL_MAPPING_ADDRESS_DEPENDENT
                                   : TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}
