/* The UDP port and the direct ways: hands the events of each part to the others. */
#include "node/lan_state.h"
#include "node/reach.h"
#include "node/state.h"
#include "node/unreached.h"

#include "base/log.h"
#include "relay/attached.h"
#include "wire/wsurl.h"

#include <stdio.h>

/* --- what direct asks --- */

static const tl_direct_self *direct_self(void *user)
{
    static const tl_nat_facts nothing;
    tl_node *n = user;
    n->self = (tl_direct_self){.facts = &nothing, .keepalive = TL_BEHAVIOUR_FRESH};
    const tl_network *w = n->network;
    if (!w || tl_node_is_aside(n))
        return &n->self;
    n->self.sock4 = tl_network_sock4(w);
    n->self.sock6 = tl_network_sock6(w);
    n->self.port = tl_network_port(w);
    n->self.n_candidates = tl_network_candidates(w, n->candidates);
    n->self.candidates = n->candidates;
    n->self.interfaces = tl_network_interfaces(w, &n->self.n_interfaces);
    n->self.facts = tl_network_facts(w);
    n->self.keepalive = tl_network_keepalive(w);
    n->self.lan = tl_node_lan_is_on(n);
    return &n->self;
}

static tl_err direct_signal(void *user, tl_signal_type type, const json_t *payload)
{
    return tl_relays_signal(((tl_node *)user)->relays, type, payload);
}

static tl_err direct_send(void *user, tl_sock sock, const tl_addr *to, const uint8_t *data,
                          size_t len, size_t segment)
{
    tl_node *n = user;
    if (tl_sock_is_pipe(sock))
        return tl_node_lan_send(n, sock, data, len, segment);
    return n->network ? tl_network_send(n->network, sock, to, data, len, segment)
                      : TL_ERR_NOT_FOUND;
}

static size_t direct_open(void *user, tl_sock *ret_socks, size_t count)
{
    const tl_node *n = user;
    return n->network ? tl_network_open_sockets(n->network, ret_socks, count) : 0;
}

static void direct_close(void *user, tl_sock sock)
{
    const tl_node *n = user;
    if (n->network)
        tl_network_close_socket(n->network, sock);
}

/* An answer to an offer tells our addresses. So only nodes that may ask us, for an answer or for a fragment
 * of theirs, and nodes that we deal with already, get one. */
static bool direct_welcome(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    return tl_access_welcomes(&n->access, peer) || tl_node_admits_fragments(n, peer) ||
           tl_peers_deals_with(n->peers, peer);
}

static bool direct_knows(void *user, const tl_node_id *peer)
{
    const tl_node *n = user;
    return tl_access_is_member(&n->access, peer) || tl_peers_deals_with(n->peers, peer);
}

static bool direct_vouches(void *user, const tl_node_id *node, const tl_addr *from)
{
    const tl_node *n = user;
    return n->introducing &&
           tl_attached_vouches(tl_node_attached(n), node, from, tl_env_now(&n->env));
}

static tl_path_id direct_path(void *user, const tl_node_id *peer)
{
    return tl_peers_new_path(((tl_node *)user)->peers, peer);
}

static void direct_path_gone(void *user, tl_path_id path)
{
    tl_peers_free_path(((tl_node *)user)->peers, path);
}

tl_err tl_node_wire_direct(tl_node *n)
{
    static const tl_direct_world world = {
        direct_self,           direct_signal,      direct_send,
        direct_open,           direct_close,       direct_welcome,
        direct_path,           direct_path_gone,   tl_node_ask_introduction,
        tl_node_is_introducer, tl_node_greets,     direct_knows,
        direct_vouches,        tl_node_lan_near,   tl_node_lan_greet,
        tl_node_lan_pipes,     tl_node_lan_proven, tl_node_lan_is_full};
    return tl_direct_new(&n->identity, &n->rand, &n->env, &world, n, &n->direct);
}

/* --- ways by UDP over the relay --- */

static size_t udp_find(void *user, const char *hostport, tl_addr ret_addrs[2])
{
    const tl_node *n = user;
    return n->network ? tl_network_relay_addrs(n->network, hostport, ret_addrs) : 0;
}

static tl_err udp_send(void *user, tl_sock sock, const tl_addr *to, tl_slice prefix,
                       const uint8_t *data, size_t len, size_t segment)
{
    const tl_node *n = user;
    return n->network && n->settings.wan_enabled && !tl_node_is_aside(n)
               ? tl_network_send_prefixed(n->network, sock, to, prefix, data, len, segment)
               : TL_ERR_NOT_FOUND;
}

const tl_peers_udp tl_node_udp = {direct_self, udp_find, udp_send};

static bool network_krpc(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    (void)sock; /* answers leave from the same port; the kernel knows the address */
    return tl_node_dht_datagram(user, from, datagram);
}

/* Those that were taken, of which all that is signed was right. */
static uint64_t introductions(const tl_direct_counters *c)
{
    return c->intros_in[TL_DIRECT_INTRO_TAKEN] + c->intros_in[TL_DIRECT_INTRO_AGAIN] +
           c->readies_in[TL_DIRECT_INTRO_TAKEN];
}

static bool direct_control(tl_node *n, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    const tl_direct_counters *c = tl_direct_counters_of(n->direct);
    uint64_t before = introductions(c);
    if (!tl_direct_on_control(n->direct, sock, from, datagram))
        return false;
    if (introductions(c) > before)
        tl_introducers_worked(tl_peers_introducers(n->peers), from);
    tl_node_wake(n);
    return true;
}

static bool network_control(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_node *n = user;
    if (tl_node_is_aside(n))
        return false;
    return tl_peers_on_control(n->peers, from, datagram) ||
           tl_node_relay_control(n, sock, from, datagram) ||
           tl_node_introduce_control(n, sock, from, datagram) ||
           direct_control(n, sock, from, datagram);
}

/* --- what direct tells --- */

void tl_node_run_direct(tl_node *n)
{
    tl_direct_event ev;
    while (tl_direct_next_event(n->direct, &ev))
        switch (ev.type) {
        case TL_DIRECT_WAYS: tl_peers_on_ways(n->peers, &ev.peer); break;
        case TL_DIRECT_SILENT:
            tl_peers_on_silent(n->peers, &ev.peer);
            if (n->network)
                tl_network_suspect(n->network);
            break;
        }
}

void tl_node_signalled(tl_node *n, tl_signal_type type, const tl_node_id *from, tl_slice payload)
{
    tl_direct_on_signal(n->direct, type, from, payload);
    tl_node_wake(n);
}

/* Only a relay on this machine may name an address of this machine as its UDP port: any other relay
 * would do so to attack the machine. */
void tl_node_set_relay_udp(tl_node *n)
{
    size_t nearest = tl_relay_pair_main_at(n->client);
    for (size_t place = 0; place < TL_RELAYS_MAX; place++) {
        size_t i = (nearest + place) % TL_RELAYS_MAX;
        tl_wsurl url;
        tl_why why;
        bool local =
            !tl_wsurl_parse(tl_relay_pair_url_of(n->client, i), &url, &why) && url.loopback;
        tl_network_set_relay_udp(n->network, place, tl_relay_link_udp(tl_relays_link(n->relays, i)),
                                 local);
    }
}

/* --- what the network tells --- */

static void network_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                         const tl_stun *stun)
{
    tl_node *n = user;
    if (tl_node_is_aside(n) || tl_peers_on_stun(n->peers, from, datagram, stun))
        return;
    tl_direct_on_stun(n->direct, sock, from, datagram, stun);
    tl_node_wake(n);
}

static void network_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t len,
                          size_t segment)
{
    const tl_node *n = user;
    if (!tl_node_is_aside(n))
        tl_peers_on_train(n->peers, sock, from, data, len, segment);
}

static void network_change(void *user, unsigned why)
{
    tl_node *n = user;
    tl_node_emit_network(n, why);
    if (why & TL_NETWORK_WOKE)
        tl_node_keeping_doubt(n); /* it may have slept while it was restored */
    if (why)
        tl_relay_pair_doubt(n->client);
    if (why & (TL_NETWORK_WOKE | TL_NETWORK_ADDRESS))
        tl_direct_renew(n->direct);
    /* Pipes from addresses that are gone end before ways are asked anew. */
    tl_node_lan_network_changed(n, (why & TL_NETWORK_LINK) != 0);
    tl_direct_on_change(n->direct, why != 0);
    tl_node_dht_network_changed(n);
    if (why)
        tl_peers_on_moved(n->peers);
    tl_node_reconnect(n, why);
    tl_node_wake(n);
}

void tl_node_apply_network(tl_node *n)
{
    static const tl_network_events events = {network_stun,
                                             network_train,
                                             network_change,
                                             network_control,
                                             .on_krpc = network_krpc,
                                             .on_tokens = tl_node_relay_tokens,
                                             .on_read = tl_node_relay_read};
    const tl_settings *s = &n->settings;
    const char *servers[TL_SETTING_LIST_MAX];
    for (size_t i = 0; i < s->nat_stun_servers.n; i++)
        servers[i] = s->nat_stun_servers.item[i];
    /* Else the port is for the local network alone, and nobody beyond it is asked. */
    bool wide = s->wan_enabled;
    bool wanted = (wide || s->lan_enabled) && s->nat_direct;
    if (tl_unreached_by_settings(n)) /* nobody need wait, here or there, until that is found out */
        tl_peers_close_all(n->peers, "the network was switched off in the settings");
    tl_node_leave_lan(n);
    tl_direct_set_enabled(n->direct, false); /* the network closes the sockets it uses */
    tl_node_free_relaying(n);
    tl_node_free_dht(n);
    tl_node_free_introducing(n);
    tl_network_free(n->network);
    n->network = NULL;
    n->network_error[0] = 0;
    if (!wanted)
        return;
    tl_network_config config = {.stun_servers = servers,
                                .n_stun_servers = wide ? s->nat_stun_servers.n : 0,
                                .port = (uint16_t)s->udp_port,
                                .port_file = n->port_file[0] ? n->port_file : NULL,
                                .port_mapping = wide && s->nat_port_mapping};
    tl_why why;
    if (tl_network_new(n->loop, &n->rand, &config, &events, n, &n->network, &why)) {
        snprintf(n->network_error, sizeof n->network_error, "%s", why.text);
        tl_log(TL_LOG_ERROR, "network: %s; %s", why.text,
               tl_node_wants_no_relay(n) ? "no peer can be reached"
                                         : "everything goes through the relay");
        return;
    }
    if (tl_relays_is_registered(n->relays))
        tl_node_set_relay_udp(n);
    tl_direct_set_enabled(n->direct, !tl_node_is_aside(n));
    tl_node_apply_lan(n);
    if (!wide)
        return;
    tl_node_apply_introducing(n);
    tl_node_apply_relaying(n);
    tl_node_apply_dht(n);
}
