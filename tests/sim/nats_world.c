#include "nats_world.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const sim_faults line = {.delay = NATS_ONE_WAY};

/* With SIM_LOG set, what the nodes log is printed with the virtual time. */
static void print_log(void *user, tl_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "%9.3f %s\n", (double)sim_now(user) / (double)TL_SEC, text);
}

void nats_begin(nats_world *w, uint64_t seed, const sim_faults *core)
{
    *w = (nats_world){.sim = sim_new(seed)};
    if (getenv("SIM_LOG")) {
        tl_log_set_sink(print_log, w->sim);
        tl_log_set_level(TL_LOG_DEBUG);
    }
    w->in = sim_inet_new(w->sim, core ? core : &line);
    w->relay = relay_host_new(w->sim);
    w->stun[0] = stun_host_new(w->sim, w->in, "198.51.100.53", "198.51.100.54", NATS_ONE_WAY);
    w->stun[1] = stun_host_new(w->sim, w->in, "192.0.2.53", NULL, NATS_ONE_WAY);
}

void nats_add(nats_world *w, int i, sim_site *site, const char *ip)
{
    whole_node *n = w->node[i] = whole_node_new(w->sim, w->relay, 2 * NATS_ONE_WAY);
    w->site[i] = site;
    n->piece_size = NATS_PIECE;
    n->piece_every = NATS_PIECE_EACH;
    for (int s = 0; s < 2; s++) {
        tl_addr server = stun_host_addr(w->stun[s]);
        whole_net_ask_server(&n->net, &server);
    }
    if (ip)
        w->line[i] = whole_net_join(&n->net, w->in, WHOLE_NET_PATH, site, ip, 24, &line);
}

void nats_pair(nats_world *w, uint64_t seed, const sim_nat_kind *a, const sim_nat_kind *b,
               const sim_faults *core)
{
    nats_begin(w, seed, core);
    if (a)
        w->kind[0] = *a;
    if (b)
        w->kind[1] = *b;
    w->may_search = a && b && nats_search(a, b);
    sim_site *site_a = a ? sim_inet_site(w->in, NULL, a, "203.0.113.1") : NULL;
    sim_site *site_b = b ? sim_inet_site(w->in, NULL, b, "203.0.113.129") : NULL;
    nats_add(w, 0, site_a, a ? "192.168.1.10" : "198.19.0.77");
    nats_add(w, 1, site_b, b ? "192.168.1.10" : "198.18.0.77");
}

void nats_give_tokens(nats_world *w)
{
    w->tokens = token_host_new(w->sim, w->in, w->relay, "198.51.100.80", NATS_ONE_WAY);
}

void nats_end(nats_world *w)
{
    question_clear(&w->q);
    for (int i = 0; i < 2; i++)
        if (w->node[i])
            whole_node_free(w->node[i]);
    for (int i = 0; i < 2; i++)
        stun_host_free(w->stun[i]);
    if (w->tokens)
        token_host_free(w->tokens);
    relay_host_free(w->relay);
    sim_inet_free(w->in);
    sim_free(w->sim);
}

void nats_settle(nats_world *w)
{
    for (int i = 0; i < 2; i++)
        whole_node_connect(w->node[i]);
    whole_node_serve(w->node[1], "m");
    sim_run_for(w->sim, 6 * TL_SEC);
    for (int i = 0; i < 2; i++)
        sim_expect(tl_relay_link_is_registered(w->node[i]->link));
}

void nats_ask(nats_world *w, tl_time lasts)
{
    w->pieces = lasts / NATS_PIECE_EACH;
    w->node[1]->pieces = w->pieces;
    w->q.patterned = true;
    whole_node_ask_peer(w->node[0], &w->q, w->node[1], "m");
}

bool nats_facts(const nats_world *w, int i, tl_peer_facts *ret_facts)
{
    const tl_peer *peer = tl_peer_table_find(&w->node[i]->table, &w->node[1 - i]->identity.id);
    return peer && tl_peers_facts(w->node[i]->peers, peer, ret_facts);
}

tl_via nats_via(const nats_world *w)
{
    tl_peer_facts facts;
    return nats_facts(w, 0, &facts) ? facts.via : TL_VIA_RELAYED;
}

static bool is_direct(void *user)
{
    nats_world *w = user;
    if (nats_via(w) == TL_VIA_RELAYED)
        return false;
    if (!w->direct_at)
        w->direct_at = sim_now(w->sim);
    return true;
}

static bool is_relayed(void *user)
{
    return nats_via(user) == TL_VIA_RELAYED;
}

bool nats_until_direct(nats_world *w, tl_time limit)
{
    return sim_run_while(w->sim, is_direct, w, limit);
}

bool nats_until_relayed(nats_world *w, tl_time limit)
{
    return sim_run_while(w->sim, is_relayed, w, limit);
}

void nats_run(nats_world *w, tl_time span)
{
    sim_run_for(w->sim, span);
}

tl_direct_report nats_report(const nats_world *w, int i)
{
    tl_direct_report r = {.state = TL_DIRECT_NEVER};
    (void)tl_direct_report_of(w->node[i]->direct, &w->node[1 - i]->identity.id, &r);
    return r;
}

void nats_block_udp(nats_world *w, int i, bool on)
{
    sim_link_set_down(w->line[i], on);
}

void nats_check_sending(const nats_world *w, int i)
{
    const whole_net *net = &w->node[i]->net;
    const tl_direct_counters *c = tl_direct_counters_of(w->node[i]->direct);
    /* each attempt, and each change of the network under one, has a budget of its own */
    uint64_t budgets = c->attempts + net->changes, unheard = 0,
             each = TL_CHECKS_UNHEARD_MAX + (w->may_search ? TL_BIRTHDAY_SOCKETS : 0),
             all = TL_CHECKS_ATTEMPT_MAX +
                   (w->may_search ? TL_BIRTHDAY_PROBES + TL_BIRTHDAY_SOCKETS : 0);
    for (size_t k = 0; k < net->n_tallies; k++) {
        const whole_net_tally *t = &net->tallies[k];
        if (t->heard_at)
            continue;
        if (t->unheard > each * budgets)
            fprintf(stderr, "%lu datagrams to one silent address, %lu budgets\n",
                    (unsigned long)t->unheard, (unsigned long)budgets);
        sim_expect(t->unheard <= each * budgets);
        unheard += t->unheard;
    }
    sim_expect(unheard <= all * budgets);
    sim_expect(net->forbidden == 0);
}

void nats_check(nats_world *w)
{
    sim_expect(sim_run_while(w->sim, question_is_over, &w->q,
                             w->pieces * NATS_PIECE_EACH * 2 + 60 * TL_SEC));
    if (w->q.failed)
        fprintf(stderr, "%s: %s\n", tl_fail_name(w->q.fail), w->q.why);
    sim_expect(w->q.ended);
    sim_expect(w->q.bytes == w->pieces * NATS_PIECE);
    sim_expect(!w->q.altered);
    for (int i = 0; i < 2; i++) {
        sim_expect(w->node[i]->joined == 1);
        sim_expect(w->node[i]->left == 0);
        nats_check_sending(w, i);
    }
}

/* --- physics --- */

sim_nat_kind nats_kind(unsigned k)
{
    static const tl_nat_mapping mappings[] = {TL_MAPPING_ENDPOINT_INDEPENDENT,
                                              TL_MAPPING_ADDRESS_DEPENDENT,
                                              TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT};
    static const tl_nat_filtering filterings[] = {TL_FILTERING_ENDPOINT_INDEPENDENT,
                                                  TL_FILTERING_ADDRESS_DEPENDENT,
                                                  TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
    return (sim_nat_kind){.mapping = mappings[k / 3], .filtering = filterings[k % 3]};
}

static bool is_symmetric(const sim_nat_kind *k)
{
    return k->mapping != TL_MAPPING_ENDPOINT_INDEPENDENT;
}

static bool is_strict(const sim_nat_kind *k)
{
    return k->filtering == TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
}

/* One whose port nobody knows needs another that lets in any port. Two of them need one that lets
 * in anyone, even at the port that only a STUN server was asked from, and one that settles on a
 * port for an address. */
bool nats_meet(const sim_nat_kind *a, const sim_nat_kind *b)
{
    if (is_symmetric(a) && is_symmetric(b))
        return (a->mapping == TL_MAPPING_ADDRESS_DEPENDENT ||
                b->mapping == TL_MAPPING_ADDRESS_DEPENDENT) &&
               !is_strict(a) && !is_strict(b) &&
               (a->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT ||
                b->filtering == TL_FILTERING_ENDPOINT_INDEPENDENT);
    return !(is_symmetric(a) && is_strict(b)) && !(is_symmetric(b) && is_strict(a));
}

bool nats_search(const sim_nat_kind *a, const sim_nat_kind *b)
{
    return is_symmetric(a) != is_symmetric(b) && !nats_meet(a, b);
}
