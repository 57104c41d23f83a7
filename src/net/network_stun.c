/* network_stun.c - looks up the names of the STUN servers and relays, and carries behaviour's
 * questions and answers over the endpoint. */
#include "net/network_state.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>

#define NAMES_AGAIN   (10 * TL_MIN) /* look names up again: their addresses may change */
#define NAMES_RETRY   (30 * TL_SEC) /* while some name has no address; doubles up to NAMES_AGAIN */
#define NAMES_SETTLE  (250 * TL_MS) /* after the first address, time for the others to come */
#define LOOK_MAX      (8 * TL_SEC)  /* a look is over after this, even if answers are missing */
#define SUSPECT_APART (1 * TL_SEC)

/* --- the round --- */

static void flush(tl_network *w)
{
    tl_time now = tl_loop_now(w->loop);
    tl_stun_output out;
    while (tl_behaviour_next_output(w->behaviour, now, &out)) {
        tl_err e = tl_endpoint_send(w->endpoint, out.sock, &out.to, out.bytes, out.n, out.n);
        if (e == TL_ERR_UNREACHABLE)
            tl_behaviour_on_unsent(w->behaviour, &out, now);
    }
    tl_timer_set(&w->behaviour_due, tl_behaviour_expiry(w->behaviour));
}

static bool is_resolving(const tl_network *w)
{
    for (size_t i = 0; i < w->n_names; i++)
        if (w->names[i].resolve)
            return true;
    return false;
}

static void finish_looks(void *user)
{
    tl_network *w = user;
    bool over = tl_loop_now(w->loop) >= w->looks_until;
    if (!over &&
        (tl_behaviour_busy(w->behaviour) || is_resolving(w) || w->round_due.at != TL_NEVER))
        return;
    tl_timer_stop(&w->looks_due);
    tl_network_look *list = w->looks;
    w->looks = NULL;
    w->looks_now = list;
    while (w->looks_now) {
        tl_network_look *l = w->looks_now;
        w->looks_now = l->next;
        l->network = NULL;
        l->on_done(l->user);
    }
}

static void after(tl_network *w)
{
    flush(w);
    if (w->looks)
        tl_loop_defer(w->loop, &w->looks_done, finish_looks, w);
}

static void on_behaviour_due(void *user)
{
    tl_network *w = user;
    tl_behaviour_on_timer(w->behaviour, tl_loop_now(w->loop));
    after(w);
}

/* Others send to the public address. Keeps a known one in `seen`. True: it is another than
 * before. */
static bool moved_to(tl_addr *seen, const tl_addr *now)
{
    bool moved =
        seen->family != TL_ADDR_NONE && now->family != TL_ADDR_NONE && !tl_addr_eq(seen, now);
    if (now->family != TL_ADDR_NONE)
        *seen = *now;
    return moved;
}

static void on_facts(void *user)
{
    tl_network *w = user;
    const tl_nat_facts *f = tl_behaviour_facts(w->behaviour);
    bool moved4 = moved_to(&w->seen4, &f->public4), moved6 = moved_to(&w->seen6, &f->public6);
    if (moved4 || moved6)
        w->changes++;
    tl_network_tell(w, moved4 || moved6 ? TL_NETWORK_ADDRESS : 0);
    if (w->looks)
        tl_loop_defer(w->loop, &w->looks_done, finish_looks, w);
}

/* May this be the address of a relay, which is on this machine or not? */
static bool is_allowed(const tl_network *w, const tl_addr *relay, bool local)
{
    size_t n_own;
    const tl_interface *own = tl_netmon_interfaces(w->netmon, &n_own);
    return local || tl_candidate_allowed(relay, own, n_own, tl_endpoint_port(w->endpoint));
}

/* Is it a STUN server of ours, or the nearest relay's? */
static bool is_asked(const tl_network *w, const tl_stun_name *name)
{
    return name == w->names || name >= w->names + TL_RELAYS_MAX;
}

/* Gives behaviour the present sockets and addresses, and those servers whose names are known. Then
 * begins a round. */
static void begin_round(void *user)
{
    tl_network *w = user;
    tl_stun_server servers[TL_STUN_SERVERS_MAX];
    size_t n = 0, n_own;
    tl_timer_stop(&w->round_due);
    const tl_interface *own = tl_netmon_interfaces(w->netmon, &n_own);
    tl_sock sock4 = tl_endpoint_sock4(w->endpoint), sock6 = tl_endpoint_sock6(w->endpoint);
    uint16_t port = tl_endpoint_port(w->endpoint);
    /* the first address of every name comes before the second address of any */
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < w->n_names && n < TL_STUN_SERVERS_MAX; i++)
            if (k < w->names[i].n && is_asked(w, &w->names[i]) &&
                (i > 0 || is_allowed(w, &w->names[i].addrs[k], w->names[i].local))) {
                servers[n].addr = w->names[i].addrs[k];
                snprintf(servers[n++].name, sizeof servers[n].name, "%s", w->names[i].text);
            }
    tl_behaviour_set_sockets(w->behaviour, sock4, sock6, sock4 ? port : 0, sock6 ? port : 0, own,
                             n_own);
    tl_behaviour_set_servers(w->behaviour, servers, n);
    tl_behaviour_begin(w->behaviour, tl_loop_now(w->loop));
    after(w);
}

/* --- names --- */

static void plan_round(tl_network *w, tl_time wait)
{
    tl_time at = tl_loop_now(w->loop) + wait;
    tl_timer_set(&w->round_due, tl_time_min(w->round_due.at, at));
}

static void plan_names(tl_network *w)
{
    bool all = true;
    for (size_t i = 0; i < w->n_names; i++)
        all &= w->names[i].n > 0 || !w->names[i].port;
    tl_time wait = all ? NAMES_AGAIN : w->names_wait;
    tl_timer_set(&w->names_due, tl_loop_now(w->loop) + wait);
}

/* Takes the first address of each family, in the system's order. */
static bool take_addresses(tl_stun_name *name, const tl_addr *addrs, size_t n)
{
    tl_addr was[2] = {name->addrs[0], name->addrs[1]};
    size_t n_was = name->n;
    name->n = 0;
    for (size_t i = 0; i < n && name->n < 2; i++)
        if (name->n == 0 || addrs[i].family != name->addrs[0].family)
            name->addrs[name->n++] = tl_addr_normal(addrs[i]);
    return name->n != n_was || memcmp(was, name->addrs, name->n * sizeof *was) != 0;
}

static void on_resolved(void *user, const tl_addr *addrs, size_t n, const char *why)
{
    tl_stun_name *name = user;
    tl_network *w = name->network;
    tl_resolve_free(name->resolve);
    name->resolve = NULL;
    if (n == 0 && !name->failed)
        tl_log(TL_LOG_WARN, "STUN server %s: %s", name->text, why);
    name->failed = n == 0;
    snprintf(name->why, sizeof name->why, "%s", n ? "" : why);
    /* known addresses are kept while no name server answers */
    bool changed = n > 0 && take_addresses(name, addrs, n) && is_asked(w, name);
    w->names_changed |= changed;
    if (!is_resolving(w)) {
        plan_names(w);
        if (w->names_changed || w->round_wanted)
            plan_round(w, 0);
        w->names_changed = w->round_wanted = false;
    } else if (changed)
        plan_round(w, NAMES_SETTLE);
    if (w->looks)
        tl_loop_defer(w->loop, &w->looks_done, finish_looks, w);
}

static void resolve_name(tl_network *w, tl_stun_name *name)
{
    if (name->resolve || !name->port)
        return;
    if (tl_resolve_start(w->loop, name->host, name->port, on_resolved, name, &name->resolve))
        name->resolve = NULL; /* no memory: it is tried again later */
}

static void resolve_all(tl_network *w)
{
    for (size_t i = 0; i < w->n_names; i++)
        resolve_name(w, &w->names[i]);
    plan_names(w);
}

static void on_names_due(void *user)
{
    tl_network *w = user;
    w->names_wait = tl_time_min(w->names_wait * 2, NAMES_AGAIN);
    resolve_all(w);
}

static bool set_name(tl_network *w, tl_stun_name *name, const char *text)
{
    *name = (tl_stun_name){.network = w};
    snprintf(name->text, sizeof name->text, "%s", text);
    if (strlen(text) < sizeof name->text &&
        tl_hostport_parse(tl_slice_str(text), TL_STUN_PORT, name->host, &name->port) == TL_OK &&
        name->port)
        return true;
    tl_log(TL_LOG_WARN, "not a STUN server (HOST:PORT): %s", tl_log_safe(tl_slice_str(text)).text);
    return false;
}

/* The nearest relay's server has the first place: it is close to the relay that we use, and knows RFC
 * 5780. */
void tl_network_set_relay_udp(tl_network *w, size_t place, const char *hostport, bool local)
{
    assert(place < TL_RELAYS_MAX);
    tl_stun_name *name = &w->names[place];
    name->local = local;
    if (!strcmp(name->text, hostport))
        return;
    tl_resolve_free(name->resolve);
    if (!*hostport || !set_name(w, name, hostport)) {
        *name = (tl_stun_name){.network = w};
        if (place == 0)
            plan_round(w, 0);
        return;
    }
    name->local = local; /* set_name begins anew */
    resolve_name(w, name);
}

size_t tl_network_relay_addrs(const tl_network *w, const char *hostport, tl_addr ret_addrs[2])
{
    const tl_stun_name *name = NULL;
    tl_addr literal;
    size_t n = 0;
    for (size_t i = 0; i < TL_RELAYS_MAX && !name; i++)
        if (!strcmp(w->names[i].text, hostport))
            name = &w->names[i];
    if (tl_addr_parse(tl_slice_str(hostport), &literal) == TL_OK) {
        ret_addrs[0] = tl_addr_normal(literal);
        return literal.port && is_allowed(w, &ret_addrs[0], name && name->local);
    }
    for (size_t i = 0; name && i < name->n; i++)
        if (is_allowed(w, &name->addrs[i], name->local))
            ret_addrs[n++] = name->addrs[i];
    return n;
}

/* --- as network.c needs it --- */

tl_err tl_network_stun_start(tl_network *w, const tl_network_config *config)
{
    static const tl_behaviour_events events = {.on_facts = on_facts};
    tl_timer_init(&w->behaviour_due, w->loop, on_behaviour_due, w);
    tl_timer_init(&w->names_due, w->loop, on_names_due, w);
    tl_timer_init(&w->round_due, w->loop, begin_round, w);
    tl_timer_init(&w->looks_due, w->loop, finish_looks, w);
    tl_err e = tl_behaviour_new(w->rand, &events, w, &w->behaviour);
    if (e)
        return e;
    for (; w->n_names < TL_RELAYS_MAX; w->n_names++)
        w->names[w->n_names].network = w;
    for (size_t i = 0; i < config->n_stun_servers && w->n_names < NAMES_MAX; i++)
        w->n_names += set_name(w, &w->names[w->n_names], config->stun_servers[i]);
    w->round_wanted = true;
    w->names_wait = NAMES_RETRY;
    resolve_all(w);
    if (!is_resolving(w))
        plan_round(w, 0);
    return TL_OK;
}

/* Ends looks that wait. They are not told, and need not be taken out by tl_network_unlook. */
static void orphan(tl_network_look *list)
{
    for (; list; list = list->next)
        list->network = NULL;
}

void tl_network_stun_end(tl_network *w)
{
    orphan(w->looks);
    orphan(w->looks_now);
    for (size_t i = 0; i < w->n_names; i++)
        tl_resolve_free(w->names[i].resolve);
    if (!w->behaviour)
        return;
    tl_timer_stop(&w->behaviour_due);
    tl_timer_stop(&w->names_due);
    tl_timer_stop(&w->round_due);
    tl_timer_stop(&w->looks_due);
    tl_behaviour_free(w->behaviour);
}

void tl_network_stun_anew(tl_network *w)
{
    w->names_wait = NAMES_RETRY;
    resolve_all(w);
    begin_round(w);
}

bool tl_network_stun_take(tl_network *w, tl_sock sock, const tl_addr *from, tl_slice datagram,
                          const tl_stun *stun)
{
    if (!tl_behaviour_on_stun(w->behaviour, tl_sock_base(sock), from, datagram, stun,
                              tl_loop_now(w->loop)))
        return false;
    after(w);
    return true;
}

void tl_network_suspect(tl_network *w)
{
    tl_time now = tl_loop_now(w->loop);
    if (w->suspected_at && now < w->suspected_at + SUSPECT_APART)
        return;
    w->suspected_at = now;
    tl_behaviour_look(w->behaviour, now);
    after(w);
}

/* --- looks --- */

void tl_network_look_start(tl_network *w, tl_network_look *l)
{
    tl_time now = tl_loop_now(w->loop);
    l->network = w;
    l->next = w->looks;
    if (!w->looks) {
        w->looks_until = now + LOOK_MAX;
        tl_timer_set(&w->looks_due, w->looks_until);
        for (size_t i = 0; i < w->n_names; i++)
            if (w->names[i].n == 0)
                resolve_name(w, &w->names[i]);
    }
    w->looks = l;
    if (!tl_behaviour_busy(w->behaviour))
        begin_round(w);
    else
        tl_loop_defer(w->loop, &w->looks_done, finish_looks, w);
}

static bool unlink_look(tl_network_look **list, const tl_network_look *l)
{
    for (; *list; list = &(*list)->next)
        if (*list == l) {
            *list = l->next;
            return true;
        }
    return false;
}

void tl_network_unlook(tl_network_look *l)
{
    tl_network *w = l->network;
    if (w && !unlink_look(&w->looks, l))
        (void)unlink_look(&w->looks_now, l);
    l->network = NULL;
}

/* --- asked --- */

const tl_nat_facts *tl_network_facts(const tl_network *w)
{
    return tl_behaviour_facts(w->behaviour);
}

size_t tl_network_stun_reports(const tl_network *w, tl_stun_report ret[TL_STUN_SERVERS_MAX])
{
    return tl_behaviour_reports(w->behaviour, ret);
}

size_t tl_network_stun_unnamed(const tl_network *w, tl_stun_unnamed ret[TL_STUN_UNNAMED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_names; i++) {
        const tl_stun_name *name = &w->names[i];
        if (name->port && name->n == 0 && is_asked(w, name))
            ret[n++] = (tl_stun_unnamed){name->text, name->why[0] ? name->why : NULL};
    }
    return n;
}

const tl_behaviour_counters *tl_network_stun_counters(const tl_network *w)
{
    return tl_behaviour_counters_of(w->behaviour);
}

tl_time tl_network_keepalive(const tl_network *w)
{
    return tl_behaviour_keepalive(w->behaviour);
}
