#include "net/network_state.h"

#include "base/log.h"

#include <stdlib.h>

#define TELL_AFTER (20 * TL_MS) /* the answers of several servers come close together: told once */

/* --- telling --- */

/* What we would tell a peer about us. */
static tl_told told_of(const tl_network *w)
{
    tl_told t = {.sock4 = tl_network_sock4(w),
                 .sock6 = tl_network_sock6(w),
                 .type = tl_nat_type_of(tl_network_facts(w))};
    t.n = tl_network_candidates(w, t.candidates);
    return t;
}

static bool same(const tl_told *a, const tl_told *b)
{
    if (a->n != b->n || a->type != b->type || a->sock4 != b->sock4 || a->sock6 != b->sock6)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->candidates[i].kind != b->candidates[i].kind ||
            !tl_addr_eq(&a->candidates[i].addr, &b->candidates[i].addr))
            return false;
    return true;
}

static void on_tell_due(void *user)
{
    tl_network *w = user;
    tl_told t = told_of(w);
    unsigned why = w->why;
    w->why = 0;
    if (!why && same(&t, &w->told))
        return;
    w->told = t;
    w->events.on_change(w->user, why);
}

void tl_network_tell(tl_network *w, unsigned why)
{
    w->why |= why;
    if (w->tell_due.at == TL_NEVER)
        tl_timer_set(&w->tell_due, tl_loop_now(w->loop) + TELL_AFTER);
}

/* --- what the parts say --- */

static void on_stun(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram,
                    const tl_stun *stun)
{
    tl_network *w = user;
    if (!tl_network_stun_take(w, sock, from, datagram, stun))
        w->events.on_stun(w->user, sock, from, datagram, stun);
}

static void on_train(void *user, tl_sock sock, const tl_addr *from, uint8_t *data, size_t n,
                     size_t segment)
{
    tl_network *w = user;
    w->events.on_train(w->user, sock, from, data, n, segment);
}

static bool on_control(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    const tl_network *w = user;
    return w->events.on_control && w->events.on_control(w->user, sock, from, datagram);
}

static bool on_krpc(void *user, tl_sock sock, const tl_addr *from, tl_slice datagram)
{
    tl_network *w = user;
    return w->events.on_krpc && w->events.on_krpc(w->user, sock, from, datagram);
}

static bool on_tokens(void *user, const tl_burst_way *way, uint8_t *data, size_t n, size_t segment)
{
    const tl_network *w = user;
    return w->events.on_tokens && w->events.on_tokens(w->user, way, data, n, segment);
}

static void on_read(void *user)
{
    const tl_network *w = user;
    if (w->events.on_read)
        w->events.on_read(w->user);
}

static void on_rebuilt(void *user)
{
    tl_network *w = user;
    if (w->portmap && tl_endpoint_sock4(w->endpoint))
        tl_portmap_start(w->portmap, tl_endpoint_port(w->endpoint));
    tl_network_stun_anew(w);
    tl_network_tell(w, TL_NETWORK_LINK);
}

static void look_anew(tl_network *w, unsigned why)
{
    tl_endpoint_refresh(w->endpoint);
    if (w->portmap)
        tl_portmap_restart(w->portmap);
    tl_network_stun_anew(w);
    tl_network_tell(w, why);
}

static void on_netmon(void *user)
{
    tl_network *w = user;
    size_t n;
    (void)tl_netmon_interfaces(w->netmon, &n);
    w->changes++;
    tl_log(TL_LOG_INFO, "the network changed; %zu addresses now", n);
    look_anew(w, TL_NETWORK_LINK);
}

/* Not counted as a change: mostly all is as it was. */
static void on_woke(void *user, tl_sleep_verdict what, tl_time slept)
{
    tl_network *w = user;
    if (what == TL_SLEEP_CLOCK_SET) {
        tl_network_suspect(w); /* on a virtual machine that was paused */
        return;
    }
    tl_log(TL_LOG_INFO, "slept for %llu s; looking whether the network is the same",
           (unsigned long long)(slept / TL_SEC));
    look_anew(w, TL_NETWORK_WOKE);
}

static void on_portmap(void *user)
{
    tl_network *w = user;
    tl_network_tell(w, 0);
}

/* --- life --- */

static tl_err start_portmap(tl_network *w)
{
    static const tl_portmap_events events = {.on_change = on_portmap};
    tl_err e = tl_portmap_new(w->loop, w->rand, &events, w, &w->portmap);
    if (!e && tl_endpoint_sock4(w->endpoint))
        tl_portmap_start(w->portmap, tl_endpoint_port(w->endpoint));
    return e;
}

tl_err tl_network_new(tl_loop *loop, tl_rand *rand, const tl_network_config *config,
                      const tl_network_events *events, void *user, tl_network **ret_network,
                      tl_why *why)
{
    static const tl_endpoint_events from_endpoint = {.on_stun = on_stun,
                                                     .on_train = on_train,
                                                     .on_rebuilt = on_rebuilt,
                                                     .on_control = on_control,
                                                     .on_krpc = on_krpc,
                                                     .on_tokens = on_tokens,
                                                     .on_read = on_read};
    tl_network *w = calloc(1, sizeof *w);
    if (!w)
        return tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    w->loop = loop;
    w->rand = rand;
    w->events = *events;
    w->user = user;
    tl_timer_init(&w->tell_due, loop, on_tell_due, w);
    tl_endpoint_config port = {.port = config->port, .port_file = config->port_file};
    tl_err e = tl_endpoint_new(loop, &port, &from_endpoint, w, &w->endpoint, why);
    if (!e && (tl_netmon_new(loop, on_netmon, w, &w->netmon) ||
               tl_sleepwatch_new(loop, on_woke, w, &w->sleepwatch) ||
               tl_network_stun_start(w, config) || (config->port_mapping && start_portmap(w))))
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    if (e) {
        tl_network_free(w);
        return e;
    }
    w->told = told_of(w);
    *ret_network = w;
    return TL_OK;
}

void tl_network_free(tl_network *w)
{
    if (!w)
        return;
    tl_timer_stop(&w->tell_due);
    tl_defer_cancel(w->loop, &w->looks_done);
    tl_defer_cancel(w->loop, &w->stopped);
    tl_network_stun_end(w);
    tl_portmap_free(w->portmap);
    tl_netmon_free(w->netmon);
    tl_sleepwatch_free(w->sleepwatch);
    tl_endpoint_free(w->endpoint);
    free(w);
}

static void on_stopped(void *user)
{
    tl_network *w = user;
    w->on_stopped(w->stopped_user);
}

void tl_network_stop(tl_network *w, void (*on_done)(void *user), void *user)
{
    w->on_stopped = on_done;
    w->stopped_user = user;
    if (w->portmap)
        tl_portmap_stop(w->portmap, on_stopped, w);
    else
        tl_loop_defer(w->loop, &w->stopped, on_stopped, w);
}

/* --- sockets --- */

tl_err tl_network_send(tl_network *w, tl_sock sock, const tl_addr *to, const uint8_t *data,
                       size_t n, size_t segment)
{
    return tl_endpoint_send(w->endpoint, sock, to, data, n, segment);
}

tl_err tl_network_send_prefixed(tl_network *w, tl_sock sock, const tl_addr *to, tl_slice prefix,
                                const uint8_t *data, size_t n, size_t segment)
{
    return tl_endpoint_send_prefixed(w->endpoint, sock, to, prefix, data, n, segment);
}

bool tl_network_way(tl_network *w, tl_sock sock, const tl_addr *from, tl_burst_way *ret_way)
{
    return tl_endpoint_way(w->endpoint, sock, from, ret_way);
}

void tl_network_send_bursts(tl_network *w, const tl_bursts *bursts)
{
    tl_endpoint_send_bursts(w->endpoint, bursts);
}

size_t tl_network_open_sockets(tl_network *w, tl_sock *ret_socks, size_t n)
{
    return tl_endpoint_open(w->endpoint, ret_socks, n);
}

void tl_network_close_socket(tl_network *w, tl_sock sock)
{
    tl_endpoint_close(w->endpoint, sock);
}

tl_sock tl_network_sock4(const tl_network *w)
{
    return tl_endpoint_sock4(w->endpoint);
}

tl_sock tl_network_sock6(const tl_network *w)
{
    return tl_endpoint_sock6(w->endpoint);
}

uint16_t tl_network_port(const tl_network *w)
{
    return tl_endpoint_port(w->endpoint);
}

/* --- asked --- */

const tl_interface *tl_network_interfaces(const tl_network *w, size_t *ret_n)
{
    return tl_netmon_interfaces(w->netmon, ret_n);
}

size_t tl_network_candidates(const tl_network *w, tl_candidate ret[TL_CANDIDATES_MAX])
{
    const tl_nat_facts *facts = tl_network_facts(w);
    tl_candidate_sources s = {.port4 = tl_network_sock4(w) ? tl_network_port(w) : 0,
                              .port6 = tl_network_sock6(w) ? tl_network_port(w) : 0,
                              .mapped = tl_network_mapped(w),
                              .reflexive4 = facts->public4,
                              .reflexive6 = facts->public6};
    s.interfaces = tl_network_interfaces(w, &s.n_interfaces);
    return tl_candidates_gather(&s, ret);
}

const char *tl_network_mapped_by(const tl_network *w)
{
    const tl_mapper_report *r = w->portmap ? tl_portmap_report(w->portmap) : NULL;
    return r && r->method != TL_MAPPER_BY_NONE ? tl_mapper_method_name(r->method) : NULL;
}

tl_addr tl_network_mapped(const tl_network *w)
{
    if (!w->portmap)
        return (tl_addr){.family = TL_ADDR_NONE};
    return tl_portmap_report(w->portmap)->external;
}

const char *tl_network_mapping_error(const tl_network *w)
{
    if (!w->portmap)
        return "switched off (nat.port_mapping)";
    const tl_mapper_report *r = tl_portmap_report(w->portmap);
    if (r->state == TL_MAPPER_MAPPED)
        return NULL;
    return *r->reason ? r->reason : "no answer yet";
}

const tl_network_counters *tl_network_counters_of(const tl_network *w)
{
    tl_network_counters *c = &((tl_network *)(uintptr_t)w)->counters;
    const tl_endpoint_counters *e = tl_endpoint_counters_of(w->endpoint);
    *c = (tl_network_counters){.changes = w->changes,
                               .datagrams_in = e->datagrams_in,
                               .datagrams_out = e->datagrams_out,
                               .bytes_in = e->bytes_in,
                               .bytes_out = e->bytes_out,
                               .dropped_short = e->dropped_short,
                               .dropped_malformed = e->dropped_malformed,
                               .dropped_control = e->dropped_control,
                               .dropped_krpc = e->dropped_krpc,
                               .dropped_unknown = e->dropped_unknown,
                               .send_errors = e->send_errors,
                               .too_large = e->too_large,
                               .rebuilt = e->rebuilt};
    return c;
}
