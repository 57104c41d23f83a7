/* A round of questions: what each answer leads to, and what they say together. */
#include "nat/behaviour_state.h"

/* --- what may be believed --- */

/* A public server can see us only at an address that packets may come from. If the server is on
 * loopback, on this very machine, that address is loopback. */
bool tl_round_may_see(const server *s, const tl_addr *a)
{
    if (a->family != s->info.addr.family || a->port == 0)
        return false;
    if (tl_addr_is_loopback(a))
        return tl_addr_is_loopback(&s->info.addr);
    return tl_addr_kind_of(a) != TL_ADDR_FORBIDDEN;
}

/* We send where OTHER-ADDRESS says. So no server may make us send into networks it is not part
 * of. */
bool tl_round_may_be_other(const server *s, const tl_addr *other)
{
    bool global = tl_addr_kind_of(&s->info.addr) == TL_ADDR_GLOBAL;
    return s->info.addr.family == TL_ADDR_V4 && tl_round_may_see(s, other) &&
           !tl_addr_eq(other, &s->info.addr) &&
           (!global || tl_addr_kind_of(other) == TL_ADDR_GLOBAL);
}

bool tl_round_is_own(const tl_behaviour *b, const tl_addr *a)
{
    for (size_t i = 0; i < b->n_own; i++)
        if (tl_addr_same_ip(&b->own[i].addr, a))
            return true;
    return tl_addr_is_loopback(a);
}

/* --- the facts --- */

static bool same_facts(const tl_nat_facts *a, const tl_nat_facts *b)
{
    return a->mapping == b->mapping && a->filtering == b->filtering && a->hairpin == b->hairpin &&
           tl_addr_eq(&a->public4, &b->public4) && tl_addr_eq(&a->public6, &b->public6) &&
           a->udp_blocked == b->udp_blocked && a->port_preserved == b->port_preserved;
}

static bool is_settled(const tl_behaviour *b, tl_time now)
{
    return !b->round || b->settled || now >= b->settle_at ||
           !tl_behaviour_ask_runs(b, SERVER_KINDS);
}

/* Judged by its public address alone. */
static bool is_same_nat(const tl_behaviour *b, const tl_nat_facts *f)
{
    return f->public4.family != TL_ADDR_NONE && tl_addr_same_ip(&f->public4, &b->last.public4);
}

static tl_nat_mapping judge_mapping(const tl_behaviour *b, const tl_nat_facts *f, tl_time now)
{
    if (f->public4.family == TL_ADDR_NONE)
        return TL_MAPPING_UNKNOWN;
    if (f->public4.port == b->port4 && tl_round_is_own(b, &f->public4))
        return TL_MAPPING_NONE;
    tl_nat_mapping m = tl_judge_mapping(b->voice4, b->n4, is_settled(b, now));
    /* Until the round is over, the last round's result for this very NAT stands. */
    if (m == TL_MAPPING_UNKNOWN && b->round && is_same_nat(b, f) &&
        b->last.mapping != TL_MAPPING_NONE)
        return b->last.mapping;
    return m;
}

/* A packet that came through is proof; silence may be somebody's fault. */
static tl_nat_filtering judge_filtering(const tl_behaviour *b, const tl_nat_facts *f)
{
    bool both_silent = false, port_silent = false, port_passed = false, spoiled = false;
    for (size_t i = 0; i < b->n_servers; i++) {
        const server *s = &b->servers[i];
        if (!s->prober)
            continue;
        if (s->both == TEST_PASSED)
            return TL_FILTERING_ENDPOINT_INDEPENDENT;
        both_silent |= s->both == TEST_SILENT;
        port_silent |= s->port == TEST_SILENT;
        port_passed |= s->port == TEST_PASSED;
        spoiled |= s->spoiled;
    }
    bool same_nat = is_same_nat(b, f);
    bool silent = both_silent || port_silent;
    if (same_nat && (tl_behaviour_ask_runs(b, FILTER_KINDS) || (b->round && !silent)))
        return b->last.filtering;
    if (tl_behaviour_ask_runs(b, FILTER_KINDS))
        return TL_FILTERING_UNKNOWN;
    if (same_nat && spoiled && !silent && b->last.filtering != TL_FILTERING_UNKNOWN)
        return b->last.filtering;
    if (port_passed) /* at least this: nobody could be asked about the rest */
        return TL_FILTERING_ADDRESS_DEPENDENT;
    return port_silent ? TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT : TL_FILTERING_UNKNOWN;
}

static void judge(tl_behaviour *b, tl_time now)
{
    tl_nat_facts f = b->facts;
    bool settled = is_settled(b, now);
    if (b->n4 || !b->round)
        f.public4 = tl_judge_public(b->voice4, b->n4, &b->facts.public4, settled);
    if (b->n6 || !b->round)
        f.public6 = tl_judge_public(b->voice6, b->n6, &b->facts.public6, settled);
    if (b->n4 || !b->round) {
        f.mapping = judge_mapping(b, &f, now);
        f.filtering = judge_filtering(b, &f);
        f.port_preserved = f.public4.family != TL_ADDR_NONE && f.public4.port == b->port4;
        if (!tl_addr_same_ip(&f.public4, &b->facts.public4) || f.mapping == TL_MAPPING_NONE)
            f.hairpin = TL_HAIRPIN_UNKNOWN;
    }
    f.udp_blocked = f.udp_blocked && !b->heard;
    if (!b->round)
        f.udp_blocked = f.asked > 0 && !b->heard;
    b->tell |= !same_facts(&f, &b->facts);
    b->facts = f;
}

/* --- tests beyond the plain questions --- */

/* Filtering is tested before anything is sent to the other address: a datagram to that address
 * opens the NAT for it. */
void tl_round_test_filter(tl_behaviour *b, size_t i, tl_time now)
{
    server *s = &b->servers[i];
    size_t probers = 0;
    for (size_t k = 0; k < b->n_servers; k++)
        probers += b->servers[k].prober;
    if (probers == PROBERS || s->prober || s->other.family == TL_ADDR_NONE)
        return;
    tl_addr other_port = s->info.addr;
    other_port.port = s->other.port;
    bool has_ip = !tl_addr_same_ip(&s->other, &s->info.addr);
    bool has_port = s->other.port != s->info.addr.port;
    bool ip_spoiled = has_ip && tl_trace_found(b, &s->other, true, now);
    bool port_spoiled = has_port && tl_trace_found(b, &other_port, false, now);
    s->prober = true;
    s->spoiled = ip_spoiled || port_spoiled;
    s->both = s->port = TEST_NOT;
    if (has_ip && has_port && !ip_spoiled &&
        tl_behaviour_ask_start(b, ASK_BOTH, i, &s->info.addr, now))
        s->both = TEST_RUNS;
    if (has_port && !port_spoiled && tl_behaviour_ask_start(b, ASK_PORT, i, &s->info.addr, now))
        s->port = TEST_RUNS;
}

/* Asks a prober's other addresses, once each. False: there is nobody left to ask. */
static bool ask_further(tl_behaviour *b, ask_kind kind, tl_time now)
{
    for (size_t i = 0; i < b->n_servers; i++) {
        server *s = &b->servers[i];
        bool *done = kind == ASK_MAP_PORT      ? &s->map_port
                     : kind == ASK_MAP_ADDRESS ? &s->map_address
                                               : &s->map_other;
        tl_addr to = kind == ASK_MAP_PORT ? s->info.addr : s->other;
        to.port = kind == ASK_MAP_ADDRESS ? s->info.addr.port : s->other.port;
        if (!s->prober || *done || tl_addr_eq(&to, &s->info.addr) ||
            (kind != ASK_MAP_PORT && tl_addr_same_ip(&to, &s->info.addr)))
            continue;
        *done = true;
        if (tl_behaviour_ask_start(b, kind, i, &to, now))
            return true;
    }
    return false;
}

/* How many servers' IPs have a voice. */
static size_t ips_heard(const tl_behaviour *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->n4; i++) {
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= !tl_addr_same_ip(&b->voice4[i].to, &b->voice4[j].to);
        count += first;
    }
    return count;
}

static void want_mapping(tl_behaviour *b, tl_time now)
{
    if (b->n4 == 0 || !is_settled(b, now) || b->facts.mapping == TL_MAPPING_NONE ||
        tl_behaviour_ask_runs(b, FILTER_KINDS | MAP_KINDS))
        return;
    tl_nat_mapping m = tl_judge_mapping(b->voice4, b->n4, true);
    if (ips_heard(b) < 2 &&
        (ask_further(b, ASK_MAP_ADDRESS, now) || ask_further(b, ASK_MAP_OTHER, now)))
        return;
    if (m != TL_MAPPING_ENDPOINT_INDEPENDENT && !tl_judge_has_pair(b->voice4, b->n4))
        (void)ask_further(b, ASK_MAP_PORT, now);
}

static void want_hairpin(tl_behaviour *b, tl_time now)
{
    const tl_nat_facts *f = &b->facts;
    bool decided = f->mapping != TL_MAPPING_UNKNOWN || !tl_behaviour_ask_runs(b, SERVER_KINDS);
    if (b->hairpin || !decided || b->n4 == 0 || f->mapping == TL_MAPPING_NONE ||
        f->public4.family != TL_ADDR_V4)
        return;
    size_t best = 0; /* its round trip sets the pace: our NAT is no farther away than any server */
    for (size_t i = 0; i < b->n_servers; i++)
        if (b->servers[i].answered &&
            (!b->servers[best].answered || b->servers[i].rtt < b->servers[best].rtt))
            best = i;
    b->hairpin = true;
    if (!tl_behaviour_ask_start(b, ASK_HAIRPIN, best, &f->public4, now))
        b->facts.hairpin = TL_HAIRPIN_UNKNOWN;
}

/* --- a round --- */

static void plan_fresh(tl_behaviour *b, tl_time now)
{
    bool any = false;
    for (size_t i = 0; i < b->n_servers; i++)
        any |= b->servers[i].asked;
    b->fresh_at = any ? now + b->keepalive : TL_NEVER;
    b->blind = BLIND_FIRST;
}

/* Do most others contradict this server? */
bool tl_round_outvoted(const tl_behaviour *b, const server *s)
{
    const tl_nat_facts *f = &b->facts;
    const tl_addr *truth = s->info.addr.family == TL_ADDR_V4 ? &f->public4 : &f->public6;
    if (!s->answered || truth->family == TL_ADDR_NONE)
        return false;
    if (f->mapping == TL_MAPPING_ENDPOINT_INDEPENDENT)
        return !tl_addr_eq(&s->mapped, truth);
    return !tl_addr_same_ip(&s->mapped, truth);
}

static void end_round(tl_behaviour *b, tl_time now)
{
    bool spoiled = false, both_silent = false;
    b->round = false;
    judge(b, now);
    b->facts.at = now;
    for (size_t i = 0; i < b->n_servers; i++) {
        b->counters.outvoted += tl_round_outvoted(b, &b->servers[i]);
        spoiled |= b->servers[i].spoiled;
        both_silent |= b->servers[i].both == TEST_SILENT;
    }
    b->tell = true;
    if (b->facts.public4.family != TL_ADDR_NONE)
        b->last = b->facts;
    plan_fresh(b, now);
    if (!b->heard && b->fresh_at != TL_NEVER)
        b->fresh_at = now + b->blind;
    /* Our own datagrams may have opened the NAT and spoiled a test; those openings will have closed
     * by then. So will the openings of an earlier run of this program on the same port, which we
     * cannot know. */
    tl_nat_filtering f = b->facts.filtering;
    bool by_chance = f == TL_FILTERING_ENDPOINT_INDEPENDENT &&
                     b->facts.mapping != TL_MAPPING_NONE && now < b->arrived_at + TRACE_FADES;
    bool unsure = spoiled && (f == TL_FILTERING_UNKNOWN ||
                              (f == TL_FILTERING_ADDRESS_DEPENDENT && !both_silent));
    b->retest_at = unsure || by_chance ? now + TRACE_FADES + TL_SEC : TL_NEVER;
}

/* Does whatever follows from what is known now. */
void tl_round_advance(tl_behaviour *b, tl_time now)
{
    if (!b->round)
        return;
    if (now >= b->settle_at) {
        b->settled = true;
        b->settle_at = TL_NEVER;
    }
    judge(b, now);
    want_mapping(b, now);
    want_hairpin(b, now);
    if (!tl_behaviour_ask_runs(b, ROUND_KINDS))
        end_round(b, now);
}

void tl_behaviour_begin(tl_behaviour *b, tl_time now)
{
    tl_behaviour_ask_end_all(b);
    b->arrived_at = b->arrived_at ? b->arrived_at : now;
    b->round = true;
    b->heard = b->hairpin = b->settled = false;
    b->n4 = b->n6 = 0;
    b->settle_at = TL_NEVER;
    b->fresh_at = b->retest_at = TL_NEVER;
    b->facts.asked = b->facts.answered = 0;
    for (size_t i = 0; i < b->n_servers; i++) {
        server *s = &b->servers[i];
        *s = (server){.info = s->info, .mapped = s->mapped, .rtt = s->rtt};
        s->asked = tl_behaviour_ask_start(b, ASK_SERVER, i, &s->info.addr, now);
        b->facts.asked += s->asked;
    }
    if (b->facts.asked == 0)
        b->settle_at = now; /* nobody was asked: the timer ends the round at once */
}
