/* The local network: io/mdns tells who is announced, net/lan what of it is believed, net/lantcp carries datagrams, and
 * peer/neighbours decides whom to connect to. This hands the events of each to the others, and greets peers there
 * (docs/protocol.md "On the local network"). */
#include "node/lan_state.h"
#include "node/names.h"
#include "node/unreached.h"

#include "base/log.h"
#include "net/kinds.h"
#include "relay/signed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* From the first query to the answers of those who are there: mDNS waits up to 120 ms (RFC 6762 section 6), and what a
 * node has said a moment ago it says again only when it is asked for the second time, after a second. */
#define SETTLES   (2500 * TL_MS)
/* So often a connection to a neighbour that goes another way is tried on the local network. */
#define COME_BACK (5 * TL_SEC)

#define TRIALS_MAX (TL_NEIGHBOURS_AT_ONCE + TL_NEIGHBOURS_STRANGERS)

#define PREFERRED_MAX (TL_MDNS_NODES_MAX / 2)
typedef struct {
    size_t n;
    tl_node_id ids[PREFERRED_MAX];
} preferred;

static tl_time now_of(const tl_node *n)
{
    return tl_loop_now(n->loop);
}

static const tl_interface *interfaces(const tl_node *n, size_t *ret_n)
{
    return tl_network_interfaces(n->network, ret_n);
}

bool tl_node_lan_is_on(const tl_node *n)
{
    return n->lan && n->lan->mdns;
}

size_t tl_node_lan_count(const tl_node *n)
{
    return tl_node_lan_is_on(n) ? tl_lan_count(n->lan->table) : 0;
}

/* --- what neighbours asks --- */

/* A member of our networks, one that was dealt with, as tl_node_again has it, one that has an alias, or one that somebody
 * here waits for. */
static bool is_known(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    if (tl_access_is_member(&n->access, peer) || tl_node_lan_is_sought(n, peer) ||
        (n->names && tl_naming_alias(&n->names->naming, peer)))
        return true;
    const tl_peer *p = tl_peer_table_find(&n->table, peer);
    return p && (p->proven || p->kept) && !p->in_clear;
}

static bool try_to_connect(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    return n->stage == TL_NODE_RUNNING && !tl_node_is_aside(n) &&
           tl_trials_begin(n->lan->trials, peer);
}

static void on_over(void *user)
{
    tl_node *n = user;
    n->lan->over = true;
    tl_node_wake(n);
}

static void on_connected(tl_node *n, const tl_node_id *peer)
{
    tl_neighbours_on_connected(n->lan->core, peer, now_of(n));
}

static void on_failed(tl_node *n, const tl_node_id *peer)
{
    tl_neighbours_on_failed(n->lan->core, peer, now_of(n));
}

/* --- what mDNS tells --- */

static void on_found(void *user, const tl_node_id *node, const tl_addr *addrs, size_t n_addrs)
{
    tl_node *n = user;
    struct tl_node_lan *l = n->lan;
    size_t n_own;
    char hex[TL_NODE_ID_HEX + 1];
    if (!n->network)
        return;
    const tl_interface *own = interfaces(n, &n_own);
    if (!tl_lan_on_found(l->table, node, is_known(n, node), addrs, n_addrs, own, n_own,
                         tl_lantcp_port(l->tcp), now_of(n)))
        return;
    tl_node_id_write(hex, node);
    if (!tl_lan_find(l->table, node)) {
        tl_log(TL_LOG_DEBUG, "lan: %.16s is announced no more", hex);
        tl_neighbours_gone(l->core, node);
        return;
    }
    tl_log(TL_LOG_DEBUG, "lan: %.16s is announced", hex);
    tl_neighbours_found(l->core, node, now_of(n));
    tl_direct_on_near(n->direct, node);
    tl_node_wake(n);
}

static void on_state(void *user, tl_mdns_state state, const char *why)
{
    (void)user;
    if (state == TL_MDNS_FAILED)
        tl_log(TL_LOG_WARN, "lan: nobody is found on the local network: %s", why);
    else
        tl_log(TL_LOG_DEBUG, "lan: discovery by %s", tl_mdns_state_name(state));
}

/* --- what pipes tell --- */

static bool is_near(void *user, const tl_addr *addr)
{
    const tl_node *n = user;
    size_t n_own;
    if (!n->network)
        return false;
    const tl_interface *own = interfaces(n, &n_own);
    return tl_addr_on_link(addr, own, n_own);
}

static bool is_expected(void *user, const tl_addr *addr)
{
    const tl_node *n = user;
    return tl_lan_knows_at(n->lan->table, addr);
}

static bool on_datagram(void *user, tl_sock sock, const tl_addr *remote, uint8_t *data, size_t len)
{
    tl_node *n = user;
    tl_slice datagram = tl_slice_of(data, len);
    tl_stun stun;
    if (tl_node_is_aside(n))
        return true;
    switch (tl_datagram_kind_of(data, len)) {
    case TL_DATAGRAM_STUN:
        if (tl_stun_read(datagram, &stun))
            return false;
        tl_direct_on_stun(n->direct, sock, remote, datagram, &stun);
        break;
    case TL_DATAGRAM_CONTROL:
        if (!tl_direct_on_control(n->direct, sock, remote, datagram))
            return false;
        break;
    case TL_DATAGRAM_QUIC: tl_peers_on_train(n->peers, sock, remote, data, len, len); break;
    case TL_DATAGRAM_SHORT:
    case TL_DATAGRAM_KRPC:
    case TL_DATAGRAM_TOKEN:
    case TL_DATAGRAM_UNKNOWN: return false;
    }
    tl_node_wake(n);
    return true;
}

static void on_closed(void *user, tl_sock sock)
{
    tl_node *n = user;
    tl_direct_on_pipe_closed(n->direct, sock);
    tl_node_wake(n);
}

static void on_writable(void *user)
{
    tl_node_wake(user);
}

/* --- greeting --- */

/* `own`: where we are, with our UDP port. */
static void send_greeting(tl_node *n, tl_sock sock, const tl_addr *to, const tl_addr *own,
                          const tl_node_id *peer, const uint8_t *nonce)
{
    uint8_t bytes[TL_CONTROL_MAX];
    const char *nat = tl_nat_tesseras_type(tl_network_facts(n->network));
    tl_control c = {.type = TL_CONTROL_PUNCH_INTRO,
                    .pad_n = TL_CONTROL_INTRO_PAD,
                    .addr = *own,
                    .nat = tl_control_nat_named(nat),
                    .timestamp = (uint64_t)tl_loop_unix()};
    memcpy(c.initiator, n->identity.id.key, sizeof c.initiator);
    memcpy(c.introducer, peer->key, sizeof c.introducer);
    memcpy(c.target, peer->key, sizeof c.target);
    memcpy(c.nonce, nonce, sizeof c.nonce);
    c.addr.port = tl_network_port(n->network);
    c.addr.scope = 0;
    if (tl_control_sign(&c, &n->identity))
        return;
    size_t len = tl_control_write(&c, bytes);
    n->lan->greeted++;
    if (tl_sock_is_pipe(sock))
        (void)!tl_lantcp_send(n->lan->tcp, sock, bytes, len, len);
    else
        (void)!tl_network_send(n->network, sock, to, bytes, len, len);
}

static void greet_by_udp(tl_node *n, const tl_addr *to, const tl_node_id *peer,
                         const uint8_t *nonce)
{
    size_t n_own;
    tl_addr own;
    const tl_interface *at = interfaces(n, &n_own);
    tl_sock sock =
        to->family == TL_ADDR_V6 ? tl_network_sock6(n->network) : tl_network_sock4(n->network);
    if (sock && tl_addr_beside(to, at, n_own, &own))
        send_greeting(n, sock, to, &own, peer, nonce);
}

static void greet_by_pipe(tl_node *n, tl_sock pipe, const tl_addr *to, const tl_node_id *peer,
                          const uint8_t *nonce)
{
    tl_addr own;
    if (tl_lantcp_local(n->lan->tcp, pipe, &own))
        send_greeting(n, pipe, to, &own, peer, nonce);
}

static void on_open(void *user, tl_sock sock, const tl_node_id *node, const tl_addr *remote)
{
    tl_node *n = user;
    uint8_t nonce[TL_CONTROL_NONCE_SIZE];
    tl_direct_pipe pipe = {sock, *remote};
    if (n->network && tl_direct_on_pipe(n->direct, node, &pipe, nonce))
        greet_by_pipe(n, sock, remote, node, nonce);
    tl_node_wake(n);
}

/* --- what direct asks --- */

static const tl_lan_node *found(const tl_node *n, const tl_node_id *peer)
{
    return tl_node_lan_is_on(n) && n->network && !tl_node_is_aside(n)
               ? tl_lan_find(n->lan->table, peer)
               : NULL;
}

bool tl_node_lan_has(const tl_node *n, const tl_node_id *peer)
{
    return found(n, peer);
}

size_t tl_node_lan_near(void *user, const tl_node_id *peer, tl_addr ret_addrs[TL_DIRECT_NEAR_MAX])
{
    static_assert(TL_LAN_ADDRS_MAX <= TL_DIRECT_NEAR_MAX, "all addresses find room");
    const tl_lan_node *f = found(user, peer);
    for (size_t i = 0; f && i < f->n_addrs; i++)
        ret_addrs[i] = f->addrs[i];
    return f ? f->n_addrs : 0;
}

size_t tl_node_lan_pipes(void *user, const tl_node_id *peer,
                         tl_direct_pipe ret_pipes[TL_DIRECT_PIPES_MAX])
{
    static_assert(TL_LANTCP_OF_NODE <= TL_DIRECT_PIPES_MAX, "all pipes find room");
    const tl_node *n = user;
    tl_lantcp_pipe pipes[TL_LANTCP_OF_NODE];
    size_t count = n->lan && n->lan->tcp ? tl_lantcp_pipes(n->lan->tcp, peer, pipes) : 0;
    for (size_t i = 0; i < count; i++)
        ret_pipes[i] = (tl_direct_pipe){pipes[i].sock, pipes[i].remote};
    return count;
}

/* Both at once: which of the two passes, nobody knows. */
bool tl_node_lan_greet(void *user, const tl_node_id *peer,
                       const uint8_t nonce[TL_CONTROL_NONCE_SIZE])
{
    tl_node *n = user;
    tl_direct_pipe pipes[TL_DIRECT_PIPES_MAX];
    const tl_lan_node *f = found(n, peer);
    if (!f)
        return false;
    size_t count = nonce ? tl_node_lan_pipes(n, peer, pipes) : 0;
    for (size_t i = 0; i < count; i++)
        greet_by_pipe(n, pipes[i].sock, &pipes[i].remote, peer, nonce);
    for (size_t i = 0; i < f->n_addrs; i++) {
        if (nonce)
            greet_by_udp(n, &f->addrs[i], peer, nonce);
        (void)!tl_lantcp_dial(n->lan->tcp, peer, &f->addrs[i]); /* on_open greets */
    }
    return true;
}

void tl_node_lan_proven(void *user, tl_sock pipe, const tl_node_id *peer)
{
    const tl_node *n = user;
    if (n->lan && n->lan->tcp)
        tl_lantcp_prove(n->lan->tcp, pipe, peer);
}

bool tl_node_lan_is_full(void *user, tl_sock pipe)
{
    const tl_node *n = user;
    return n->lan && n->lan->tcp && tl_lantcp_is_full(n->lan->tcp, pipe);
}

tl_err tl_node_lan_send(tl_node *n, tl_sock pipe, const uint8_t *data, size_t len, size_t segment)
{
    return n->lan && n->lan->tcp ? tl_lantcp_send(n->lan->tcp, pipe, data, len, segment)
                                 : TL_ERR_NOT_FOUND;
}

/* --- what the router asks --- */

bool tl_node_lan_is_near(void *user, const tl_node_id *peer)
{
    return tl_node_lan_has(user, peer);
}

bool tl_node_lan_has_near(void *user)
{
    const tl_node *n = user;
    return tl_node_lan_is_on(n) && !tl_unreached_offline(n);
}

/* Strangers may be members of our networks that have not shown it yet. */
bool tl_node_lan_look(void *user)
{
    tl_node *n = user;
    bool may = n->access.ask_any || tl_access_in_network(&n->access);
    if (!tl_node_lan_is_on(n) || !may || tl_node_is_aside(n))
        return false;
    bool settling = now_of(n) < n->lan->settles;
    n->lan->asked = tl_neighbours_want(n->lan->core, now_of(n)) || settling;
    tl_node_wake(n);
    return n->lan->asked;
}

/* --- told --- */

void tl_node_lan_hello(tl_node *n, const tl_node_id *peer)
{
    tl_neighbours_on_hello(n->lan->core, peer);
}

void tl_node_lan_left(tl_node *n, const tl_node_id *peer)
{
    if (n->lan && n->stage == TL_NODE_RUNNING)
        tl_neighbours_on_left(n->lan->core, peer, now_of(n));
}

/* In a flood of announcements those of members and of whom is_known() takes for known are heard all the same. */
static void add_preferred(preferred *p, const tl_node_id *id, size_t most)
{
    size_t i = 0;
    while (i < p->n && !tl_node_id_eq(&p->ids[i], id))
        i++;
    if (i == p->n && p->n < most)
        p->ids[p->n++] = *id;
}

static void visit(void *user, const tl_cert *cert)
{
    add_preferred(user, &cert->node, PREFERRED_MAX);
}

static void add_aliased(const tl_node *n, preferred *p, size_t most)
{
    for (const tl_naming_entry *e = n->names ? n->names->naming.entries : NULL; e; e = e->hh.next)
        if (*e->alias)
            add_preferred(p, &e->id, most);
}

/* Whom the owner has named comes first, but leaves half of the places to members. */
void tl_node_lan_prefer(tl_node *n)
{
    preferred *p = calloc(1, sizeof *p);
    const tl_peer *peer, *next;
    if (!p || !n->lan->mdns) {
        free(p);
        return;
    }
    for (size_t i = 0; i < TL_NODE_LAN_SOUGHT; i++)
        if (n->lan->sought[i].until > now_of(n))
            add_preferred(p, &n->lan->sought[i].id, PREFERRED_MAX);
    add_aliased(n, p, PREFERRED_MAX / 2);
    for (size_t i = 0; i < tl_networks_count(n->book); i++)
        tl_networks_each(n->book, tl_networks_at(n->book, i), visit, p);
    HASH_ITER (hh, n->table.peers, peer, next)
        if ((peer->proven || peer->kept) && !peer->in_clear)
            add_preferred(p, &peer->id, PREFERRED_MAX);
    add_aliased(n, p, PREFERRED_MAX);
    tl_mdns_prefer(n->lan->mdns, p->ids, p->n);
    free(p);
}

void tl_node_lan_known_changed(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    tl_node_lan_prefer(n);
    for (size_t i = 0; i < tl_lan_count(l->table); i++) {
        tl_node_id id = tl_lan_at(l->table, i)->id;
        tl_lan_set_known(l->table, &id, is_known(n, &id));
    }
    tl_neighbours_look(l->core, now_of(n));
}

/* After a change of network the old addresses of neighbours may be new ones' of ours, and addresses that were on no
 * subnet of ours may be on one now: so all are told and judged anew. On an interface that came, neighbours need the
 * time of a start to be heard. */
void tl_node_lan_network_changed(tl_node *n, bool link)
{
    struct tl_node_lan *l = n->lan;
    size_t n_own;
    if (!l->tcp || !n->network)
        return;
    const tl_interface *own = interfaces(n, &n_own);
    tl_lantcp_on_change(l->tcp, own, n_own);
    if (l->mdns)
        tl_mdns_tell_again(l->mdns);
    if (l->mdns && link)
        l->settles = now_of(n) + SETTLES;
    for (size_t i = 0; i < tl_lan_count(l->table); i++) {
        tl_node_id id = tl_lan_at(l->table, i)->id;
        tl_direct_on_near(n->direct, &id);
    }
    tl_neighbours_look(l->core, now_of(n));
}

/* A neighbour to which the connection that we dialled goes another way: what was in the way may be gone, and nobody
 * tells of that. */
static void come_back(tl_node *n, const tl_node_id *id)
{
    const tl_peer *p = tl_peer_table_find(&n->table, id);
    tl_peer_facts facts;
    if (p && tl_peers_facts(n->peers, p, &facts) && facts.dialled && facts.via != TL_VIA_LAN)
        tl_direct_on_near(n->direct, id);
}

static void come_back_to_all(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    if (!l->mdns || now_of(n) < l->back_at)
        return;
    l->back_at = now_of(n) + COME_BACK;
    for (size_t i = 0; i < tl_lan_count(l->table); i++) {
        tl_node_id id = tl_lan_at(l->table, i)->id;
        come_back(n, &id);
    }
}

/* --- life --- */

tl_err tl_node_wire_lan(tl_node *n)
{
    static const tl_neighbours_world world = {is_known, tl_trials_is_connected, tl_trials_has_room,
                                              try_to_connect, on_over};
    static const tl_trials_events trials = {on_connected, on_failed};
    n->lan = calloc(1, sizeof *n->lan);
    if (!n->lan || !(n->lan->trials = tl_trials_new(n, TRIALS_MAX, &trials)))
        return TL_ERR_NOMEM;
    tl_err e = tl_neighbours_new(&world, n, &n->lan->core);
    return e ? e : tl_lan_new(&n->identity.id, &n->rand, now_of(n), &n->lan->table);
}

void tl_node_leave_lan(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    tl_mdns_free(l->mdns);
    tl_lantcp_free(l->tcp);
    l->mdns = NULL;
    l->tcp = NULL;
    l->settles = 0;
    l->error[0] = 0;
    for (size_t i = 0; i < tl_lan_count(l->table); i++)
        tl_neighbours_gone(l->core, &tl_lan_at(l->table, i)->id);
    tl_lan_forget_all(l->table);
}

void tl_node_apply_lan(tl_node *n)
{
    static const tl_lantcp_events pipes = {is_near,     is_expected, is_known,   on_open,
                                           on_datagram, on_closed,   on_writable};
    static const tl_mdns_events discovery = {on_found, on_state};
    struct tl_node_lan *l = n->lan;
    tl_why why;
    tl_node_leave_lan(n);
    if (!n->settings.lan_enabled || !n->network)
        return;
    tl_err e = tl_lantcp_new(n->loop, tl_network_port(n->network), &pipes, n, &l->tcp, &why);
    if (!e && (e = tl_mdns_start(n->loop, &n->rand, &n->identity.id, tl_lantcp_port(l->tcp),
                                 &discovery, n, &l->mdns))) {
        e = tl_why_set(&why, e, "the discovery could not be started: %s", tl_err_name(e));
        tl_lantcp_free(l->tcp);
        l->tcp = NULL;
    }
    if (e) {
        snprintf(l->error, sizeof l->error, "%s", why.text);
        tl_log(TL_LOG_ERROR, "lan: %s; nobody is found on the local network", why.text);
        return;
    }
    l->settles = now_of(n) + SETTLES;
    tl_node_lan_prefer(n);
    if (tl_lantcp_port(l->tcp) != tl_network_port(n->network))
        tl_log(TL_LOG_INFO, "lan: TCP port %u is in use, so neighbours come to %u",
               (unsigned)tl_network_port(n->network), (unsigned)tl_lantcp_port(l->tcp));
}

void tl_node_free_lan(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    if (!l)
        return;
    tl_trials_free(l->trials);
    if (l->table)
        tl_node_leave_lan(n);
    tl_neighbours_free(l->core);
    tl_lan_free(l->table);
    free(l);
    n->lan = NULL;
}

/* --- time --- */

/* Those who wait for strangers go on when all have spoken, and not before the discovery had its time. */
static void tell_over(tl_node *n)
{
    struct tl_node_lan *l = n->lan;
    if (!l->asked || now_of(n) < l->settles)
        return;
    if (!l->over && tl_neighbours_want(l->core, now_of(n)))
        return;
    l->asked = l->over = false;
    tl_router_on_near_over(n->router);
}

void tl_node_lan_on_timer(tl_node *n)
{
    if (n->stage != TL_NODE_RUNNING)
        return;
    tl_neighbours_on_timer(n->lan->core, now_of(n));
    come_back_to_all(n);
    tl_node_lan_retell(n);
    tl_node_lan_tell_sought(n);
    tell_over(n);
}

tl_time tl_node_lan_expiry(const tl_node *n)
{
    const struct tl_node_lan *l = n->lan;
    if (n->stage != TL_NODE_RUNNING)
        return TL_NEVER;
    tl_time at = tl_time_min(tl_neighbours_expiry(l->core), tl_node_lan_retell_expiry(n));
    if (l->mdns && tl_lan_count(l->table))
        at = tl_time_min(at, l->back_at);
    if (tl_node_lan_sought_waits(n))
        at = tl_time_min(at, l->settles);
    return l->asked && now_of(n) < l->settles ? tl_time_min(at, l->settles) : at;
}
