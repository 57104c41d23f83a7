#include "whole_moves.h"

#include "whole_node.h"

#include <stdlib.h>

static tl_reconnect_address known_address(void *user)
{
    const whole_node *n = user;
    const tl_nat_facts *f = tl_behaviour_facts(n->net.behaviour);
    if (!n->net.n_servers || !n->net.n_interfaces)
        return TL_RECONNECT_NOBODY;
    return f->answered && (f->public4.family || f->public6.family) ? TL_RECONNECT_KNOWN
                                                                   : TL_RECONNECT_ASKED;
}

static bool is_among(const tl_node_id *ids, size_t n, const tl_node_id *id)
{
    for (size_t i = 0; i < n; i++)
        if (tl_node_id_eq(&ids[i], id))
            return true;
    return false;
}

static bool is_member(void *user, const tl_node_id *peer)
{
    const whole_moves *m = &((whole_node *)user)->moves;
    return is_among(m->members, m->n_members, peer);
}

static bool holds_ours(void *user, const tl_node_id *peer)
{
    const whole_moves *m = &((whole_node *)user)->moves;
    return is_among(m->holders, m->n_holders, peer);
}

static bool we_hold(void *user, const tl_node_id *peer)
{
    const whole_moves *m = &((whole_node *)user)->moves;
    return is_among(m->owners, m->n_owners, peer);
}

static void announce(void *user)
{
    ((whole_node *)user)->moves.announced++;
}

static bool bootstrap(void *user)
{
    whole_node *n = user;
    n->moves.bootstrapped_at = sim_now(n->sim);
    return n->moves.bootstraps;
}

static bool joined(void *user)
{
    (void)user;
    return true;
}

static void on_phase(void *user, const tl_step *step)
{
    whole_moves *m = &((whole_node *)user)->moves;
    if (step->phase == TL_PHASE_MIGRATION && step->state == TL_PHASE_BEGINS) {
        m->n_steps = 0;
        m->begun++;
    }
    sim_expect(m->n_steps < WHOLE_MOVES_STEPS);
    m->steps[m->n_steps++] = *step;
}

void whole_moves_start(whole_node *n)
{
    static const tl_reconnect_world world = {known_address, is_member, holds_ours, we_hold,
                                             announce,      bootstrap, joined,     on_phase};
    if (tl_reconnect_new(n->peers, &n->env, &world, n, &n->moves.reconnect))
        abort();
}

void whole_moves_stop(whole_node *n)
{
    tl_reconnect_free(n->moves.reconnect);
    n->moves.reconnect = NULL;
}

void whole_moves_changed(whole_node *n, bool link)
{
    if (link)
        tl_reconnect_on_moved(n->moves.reconnect);
    else
        tl_reconnect_on_address(n->moves.reconnect);
}

void whole_moves_check(const whole_node *n)
{
    static const tl_time within[] = {[TL_PHASE_MIGRATION] = TL_PHASES_MIGRATION_WITHIN,
                                     [TL_PHASE_STUN] = TL_PHASES_STUN_WITHIN,
                                     [TL_PHASE_REESTABLISH] = TL_PHASES_REESTABLISH_WITHIN};
    const whole_moves *m = &n->moves;
    sim_expect(m->n_steps == WHOLE_MOVES_STEPS);
    for (size_t i = 0; i < m->n_steps; i++) {
        const tl_step *s = &m->steps[i];
        sim_expect(s->phase == TL_PHASE_MIGRATION + i / 2);
        sim_expect((s->state == TL_PHASE_BEGINS) == (i % 2 == 0));
        sim_expect(s->after <= within[s->phase]);
        sim_expect(i == 0 || s->after >= m->steps[i - 1].after);
    }
    sim_expect(m->announced >= 1);
}

const tl_step *whole_moves_end(const whole_node *n, tl_phase phase)
{
    const tl_step *end = &n->moves.steps[2 * (phase - TL_PHASE_MIGRATION) + 1];
    sim_expect(n->moves.n_steps == WHOLE_MOVES_STEPS && end->phase == phase);
    return end;
}
