/* A node changes its network: three phases, in order and in time, whatever else goes on; and those whose
 * connection did not survive it are connected anew, in order. */
#include "nats_world.h"

#define ACCESS  3 /* the host's second link to the internet */
#define FRIENDS 8

static const sim_nat_kind cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                  .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_nat_kind symmetric = {.mapping = TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       .filtering = TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};
static const sim_nat_kind open_cone = {.mapping = TL_MAPPING_ENDPOINT_INDEPENDENT,
                                       .filtering = TL_FILTERING_ENDPOINT_INDEPENDENT};
static const sim_faults line = {.delay = NATS_ONE_WAY};

/* --- under an answer --- */

/* Two, of whom the one that stays lets everybody in, some time into an answer that goes direct. */
static void begin(nats_world *w, uint64_t seed, int mover)
{
    const sim_nat_kind *kinds[2] = {&open_cone, &open_cone};
    kinds[mover] = &cone;
    nats_pair(w, seed, kinds[0], kinds[1], NULL);
    w->may_search = true; /* for the moment in which the new NAT is not known */
    nats_settle(w);
    nats_ask(w, 30 * TL_SEC);
    sim_expect(nats_until_direct(w, 1 * TL_SEC));
    nats_run(w, 1 * TL_SEC + tl_rand_below(sim_rand(w->sim), 2000) * TL_MS);
    w->q.longest_gap = 0;
    for (int i = 0; i < 2; i++)
        w->node[i]->moves.members[w->node[i]->moves.n_members++] = w->node[1 - i]->identity.id;
}

/* From Wi-Fi to cellular: another NAT type, another private address. The relay's TCP connection does not survive it. */
static void go_cellular(nats_world *w, int i)
{
    sim_site *other = sim_inet_site(w->in, NULL, &symmetric, "198.51.100.200");
    whole_node *n = w->node[i];
    n->moves.announced = 0;
    whole_net_leave(&n->net, "192.168.1.10");
    whole_net_join(&n->net, w->in, ACCESS, other, "10.7.0.3", 24, &line);
    whole_node_disconnect(n);
    nats_run(w, 300 * TL_MS);
    whole_node_connect(n);
}

static void an_answer_is_carried_from_wifi_to_cellular(uint64_t seed)
{
    nats_world w;
    int i = (int)(seed % 2);
    begin(&w, seed, i);
    go_cellular(&w, i);
    nats_run(&w, 11 * TL_SEC);
    whole_moves_check(w.node[i]);
    const tl_step *migration = whole_moves_end(w.node[i], TL_PHASE_MIGRATION);
    sim_expect(migration->state == TL_PHASE_DONE);
    sim_expect(migration->counts.connections == 1 && migration->counts.answers == 1);
    sim_expect(whole_moves_end(w.node[i], TL_PHASE_STUN)->state == TL_PHASE_DONE);
    sim_expect(whole_moves_end(w.node[i], TL_PHASE_REESTABLISH)->counts.wanted == 0);
    sim_expect(nats_until_direct(&w, 10 * TL_SEC));
    nats_check(&w);
    sim_expect(w.q.longest_gap <= 1500 * TL_MS);
    nats_end(&w);
}

/* There and back before the first change is dealt with: the last one counts. */
static void changes_in_a_row_end_in_one_course(uint64_t seed)
{
    nats_world w;
    int i = (int)(seed % 2);
    begin(&w, seed, i);
    whole_net *net = &w.node[i]->net;
    unsigned before = w.node[i]->moves.begun;
    for (int k = 0; k < 3; k++) {
        whole_net_leave(net, "192.168.1.10");
        nats_run(&w, tl_rand_below(sim_rand(w.sim), 300) * TL_MS);
        whole_net_join(net, w.in, WHOLE_NET_PATH, w.site[i], "192.168.1.10", 24, &line);
        nats_run(&w, tl_rand_below(sim_rand(w.sim), 300) * TL_MS);
    }
    nats_run(&w, 11 * TL_SEC);
    sim_expect(w.node[i]->moves.begun >= before + 1 && w.node[i]->moves.begun <= before + 8);
    whole_moves_check(w.node[i]);
    nats_check(&w);
    nats_end(&w);
}

/* The home's router gets another address: no interface changes. Servers tell, when they are asked next. */
static void a_public_address_that_changes_is_a_change_of_network(uint64_t seed)
{
    nats_world w;
    begin(&w, seed, 0);
    tl_addr other = sim_addr("198.51.100.201", 0);
    unsigned before = w.node[0]->moves.begun;
    sim_nat_move(sim_site_nat(w.site[0]), &other);
    nats_run(&w, 40 * TL_SEC);
    sim_expect(w.node[0]->moves.begun > before);
    whole_moves_check(w.node[0]);
    nats_check(&w);
    nats_end(&w);
}

/* --- those whom migration does not save --- */

/* A node behind a NAT and others in the public network, each of whom it has asked something. */
typedef struct {
    nats_world w; /* its second node is the first of the others */
    whole_node *other[FRIENDS];
} crowd;

static bool all_are_over(void *user)
{
    const question_record *q = user;
    for (int i = 0; i < FRIENDS; i++)
        if (!question_is_over((void *)(uintptr_t)&q[i]))
            return false;
    return true;
}

static void gather(crowd *c, uint64_t seed)
{
    static question_record q[FRIENDS];
    nats_begin(&c->w, seed, NULL);
    nats_add(&c->w, 0, sim_inet_site(c->w.in, NULL, &cone, "203.0.113.1"), "192.168.1.10");
    whole_node_connect(c->w.node[0]);
    for (int i = 0; i < FRIENDS; i++) {
        char ip[32];
        snprintf(ip, sizeof ip, "198.19.0.%d", 10 + i);
        c->other[i] = whole_node_new(c->w.sim, c->w.relay, 2 * NATS_ONE_WAY);
        tl_addr server = stun_host_addr(c->w.stun[0]);
        whole_net_ask_server(&c->other[i]->net, &server);
        whole_net_join(&c->other[i]->net, c->w.in, WHOLE_NET_PATH, NULL, ip, 24, &line);
        whole_node_serve(c->other[i], "m");
        whole_node_connect(c->other[i]);
    }
    sim_run_for(c->w.sim, 4 * TL_SEC);
    for (int i = 0; i < FRIENDS; i++) {
        q[i] = (question_record){.exchange = NULL};
        whole_node_ask_peer(c->w.node[0], &q[i], c->other[i], "m");
    }
    sim_expect(sim_run_while(c->w.sim, all_are_over, q, 10 * TL_SEC));
    for (int i = 0; i < FRIENDS; i++) {
        sim_expect(q[i].ended);
        question_clear(&q[i]);
    }
    sim_run_for(c->w.sim, 2 * TL_SEC);
}

static void scatter(crowd *c)
{
    for (int i = 0; i < FRIENDS; i++)
        whole_node_free(c->other[i]);
    whole_node_free(c->w.node[0]);
    c->w.node[0] = NULL;
    nats_end(&c->w);
}

static tl_time connected_at(const crowd *c, int i)
{
    tl_peer_facts facts;
    const tl_peer *peer = tl_peer_table_find(&c->w.node[0]->table, &c->other[i]->identity.id);
    return peer && tl_peers_facts(c->w.node[0]->peers, peer, &facts) ? facts.connected_at : 0;
}

static void hold(crowd *c)
{
    whole_moves *m = &c->w.node[0]->moves;
    for (int i = 0; i < 2; i++) { /* in an order that is not theirs in the table */
        m->holders[m->n_holders++] = c->other[FRIENDS - 1 - i]->identity.id;
        m->owners[m->n_owners++] = c->other[FRIENDS - 3 - i]->identity.id;
    }
    m->bootstraps = true;
}

/* While the node sleeps, all the others begin anew: they do not know its connections any more, and it sleeps too
 * deeply to hear that. */
static void those_who_are_lost_are_connected_anew_in_order(uint64_t seed)
{
    crowd c;
    gather(&c, seed);
    hold(&c);
    whole_node *n = c.w.node[0];
    tl_time moved_at = sim_now(c.w.sim);
    whole_net_leave(&n->net, "192.168.1.10");
    whole_node_disconnect(n);
    for (int i = 0; i < FRIENDS; i++)
        whole_node_restart(c.other[i]);
    n->moves.announced = 0;
    whole_net_join(&n->net, c.w.in, ACCESS,
                   sim_inet_site(c.w.in, NULL, &symmetric, "198.51.100.200"), "10.7.0.3", 24,
                   &line);
    whole_node_connect(n);
    sim_run_for(c.w.sim, 11 * TL_SEC);
    whole_moves_check(n);
    const tl_step *end = whole_moves_end(n, TL_PHASE_REESTABLISH);
    sim_expect(end->state == TL_PHASE_DONE);
    sim_expect(n->moves.bootstrapped_at > moved_at);
    tl_time last[3] = {0}, first[3] = {TL_NEVER, TL_NEVER, TL_NEVER};
    for (int i = 0; i < FRIENDS; i++) {
        int rank = i >= FRIENDS - 2 ? 0 : i >= FRIENDS - 4 ? 1 : 2;
        tl_time at = connected_at(&c, i);
        sim_expect(at > moved_at);
        last[rank] = tl_time_max(last[rank], at);
        first[rank] = tl_time_min(first[rank], at);
    }
    sim_expect(n->moves.bootstrapped_at <= first[0]);
    sim_expect(last[0] <= first[1] && last[1] <= first[2]);
    scatter(&c);
}

/* Nobody is there any more: all is over in ten seconds, and nothing is left behind. */
static void a_network_where_nobody_answers_ends_in_time(uint64_t seed)
{
    crowd c;
    gather(&c, seed);
    whole_node *n = c.w.node[0];
    for (int i = 0; i < FRIENDS; i++)
        whole_node_disconnect(c.other[i]);
    n->moves.announced = 0;
    whole_net_leave(&n->net, "192.168.1.10");
    whole_node_disconnect(n);
    sim_run_for(c.w.sim, 12 * TL_SEC);
    whole_moves_check(n);
    sim_expect(whole_moves_end(n, TL_PHASE_MIGRATION)->state == TL_PHASE_FAILED);
    sim_expect(whole_moves_end(n, TL_PHASE_STUN)->state == TL_PHASE_FAILED);
    sim_expect(whole_moves_end(n, TL_PHASE_REESTABLISH)->counts.back == 0);
    sim_expect(tl_reconnect_phase(n->moves.reconnect) == TL_PHASE_RESTING);
    scatter(&c);
}

int main(void)
{
    if (tl_crypto_init())
        return 1;
    sim_each_seed("an answer is carried from Wi-Fi to cellular", 1, 20,
                  an_answer_is_carried_from_wifi_to_cellular);
    sim_each_seed("changes in a row end in one course", 1, 10, changes_in_a_row_end_in_one_course);
    sim_each_seed("a public address that changes is a change of network", 1, 6,
                  a_public_address_that_changes_is_a_change_of_network);
    sim_each_seed("those who are lost are connected anew in order", 1, 8,
                  those_who_are_lost_are_connected_anew_in_order);
    sim_each_seed("a network where nobody answers ends in time", 1, 4,
                  a_network_where_nobody_answers_ends_in_time);
    return sim_result();
}
