#include "nat/mapper.h"

#include "nat/candidate.h"
#include "nat/mapper_state.h"
#include "wire/natpmp.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define SEARCH_ROUNDS   3
/* The last round is at 1.5 s, answers come within MX = 1 s. */
#define SEARCH_NS       (2500 * TL_MS)
#define RETRY_MIN_NS    TL_MIN
#define RETRY_SHIFT_MAX 4             /* 1, 2, 4, 8, 16 minutes */
#define RENEW_AGAIN_NS  (30 * TL_SEC) /* after a renewal without an answer */
/* One announcement counts in this time: a flood costs nothing. */
#define HEAR_NS         (5 * TL_SEC)
#define JITTER_NS       TL_SEC /* many hosts hear the same announcement (RFC 6887 14.1.3) */

/* --- what is told --- */

const char *tl_mapper_method_name(tl_mapper_method m)
{
    static const char *const names[] = {"none", "PCP", "NAT-PMP", "UPnP"};
    return names[m];
}

const char *tl_mapper_state_name(tl_mapper_state s)
{
    static const char *const names[] = {"idle", "searching", "mapped", "failed", "stopping"};
    return names[s];
}

/* The picture above tl_mapper_state; to stay is also to be told of another reason. */
static bool may_become(tl_mapper_state from, tl_mapper_state to)
{
    switch (to) {
    case TL_MAPPER_IDLE: return from != TL_MAPPER_MAPPED;
    case TL_MAPPER_SEARCHING: return from != TL_MAPPER_STOPPING;
    case TL_MAPPER_MAPPED: return from != TL_MAPPER_IDLE && from != TL_MAPPER_STOPPING;
    case TL_MAPPER_FAILED: return from != TL_MAPPER_MAPPED && from != TL_MAPPER_STOPPING;
    case TL_MAPPER_STOPPING: return from != TL_MAPPER_IDLE && from != TL_MAPPER_STOPPING;
    }
    return false;
}

static void set_state(tl_mapper *m, tl_mapper_state state, const char *reason)
{
    tl_mapper_report *r = &m->report;
    assert(may_become(r->state, state));
    m->changed |= r->state != state || strcmp(r->reason, reason) != 0;
    r->state = state;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    if (state != TL_MAPPER_MAPPED) {
        r->method = TL_MAPPER_BY_NONE;
        r->external = (tl_addr){.family = TL_ADDR_NONE};
        r->lifetime_s = 0;
        r->second_nat = false;
    }
    assert((state == TL_MAPPER_MAPPED) == (r->method != TL_MAPPER_BY_NONE));
}

bool tl_mapper_take_change(tl_mapper *m)
{
    bool changed = m->changed;
    m->changed = false;
    return changed;
}

void tl_mapper_note(tl_mapper *m, const char *fmt, ...)
{
    if (m->refusal[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m->refusal, sizeof m->refusal, fmt, ap);
    va_end(ap);
}

/* --- life --- */

void tl_mapper_init(tl_mapper *m, tl_rand *rand)
{
    *m = (tl_mapper){.rand = rand,
                     .ask_at = TL_NEVER,
                     .search_at = TL_NEVER,
                     .due_at = TL_NEVER,
                     .expires_at = TL_NEVER};
    tl_igd_init(&m->igd, rand);
}

void tl_mapper_clear(tl_mapper *m)
{
    tl_igd_clear(&m->igd);
}

void tl_mapper_ask_nothing(tl_mapper *m)
{
    m->ask = TL_MAPPER_ASK_NOTHING;
    m->ask_at = TL_NEVER;
    tl_igd_abandon(&m->igd);
}

void tl_mapper_send(tl_mapper *m, const tl_addr *to, const void *bytes, size_t n)
{
    if (m->output_n == TL_MAPPER_OUTPUT_MAX)
        return; /* the driver does not drain; the datagram is lost, as any may be */
    tl_mapper_datagram *d = &m->output[(m->output_at + m->output_n++) % TL_MAPPER_OUTPUT_MAX];
    d->to = *to;
    d->n = n;
    memcpy(d->bytes, bytes, n);
}

bool tl_mapper_next_datagram(tl_mapper *m, tl_mapper_datagram *ret_datagram)
{
    if (!m->output_n)
        return false;
    *ret_datagram = m->output[m->output_at];
    m->output_at = (m->output_at + 1) % TL_MAPPER_OUTPUT_MAX;
    m->output_n--;
    return true;
}

/* --- searching --- */

static void search_upnp(tl_mapper *m, tl_time now)
{
    static const tl_addr group = {
        .family = TL_ADDR_V4, .port = TL_SSDP_PORT, .bytes = {239, 255, 255, 250}};
    char text[TL_SSDP_SEARCH_MAX];
    for (unsigned i = 0; i < TL_SSDP_TARGETS; i++)
        tl_mapper_send(m, &group, text, tl_ssdp_search_write(text, i));
    m->search_at = ++m->searches < SEARCH_ROUNDS ? now + m->searches * 500 * TL_MS : TL_NEVER;
}

static void search(tl_mapper *m, tl_time now)
{
    tl_mapper_ask_nothing(m);
    m->due_at = m->expires_at = TL_NEVER;
    m->refusal[0] = 0;
    tl_igd_reset(&m->igd, &m->report.gateway, &m->own);
    if (m->report.gateway.family == TL_ADDR_NONE) {
        m->search_at = TL_NEVER;
        set_state(m, TL_MAPPER_FAILED,
                  m->own.family == TL_ADDR_NONE
                      ? "this machine has no IPv4 gateway"
                      : "the way to the internet leads through no router here (a VPN?)");
        return;
    }
    if (m->report.state != TL_MAPPER_FAILED) /* asking again is no news */
        set_state(m, TL_MAPPER_SEARCHING, "");
    m->searches = 0;
    m->search_until = now + SEARCH_NS;
    search_upnp(m, now);
    tl_mapper_udp_probe(m, now);
}

static void fail(tl_mapper *m, tl_time now)
{
    char gateway[TL_ADDR_TEXT_MAX];
    tl_mapper_ask_nothing(m);
    m->search_at = TL_NEVER;
    tl_addr_write_ip(gateway, &m->report.gateway);
    tl_mapper_note(m, "the gateway %s answered neither PCP, NAT-PMP nor UPnP", gateway);
    set_state(m, TL_MAPPER_FAILED, m->refusal);
    unsigned shift = m->failures < RETRY_SHIFT_MAX ? m->failures : RETRY_SHIFT_MAX;
    m->failures++;
    m->due_at = now + (RETRY_MIN_NS << shift);
}

void tl_mapper_refused_late(tl_mapper *m, const char *text, tl_mapper_method by)
{
    if (m->report.state != TL_MAPPER_FAILED || m->ask != TL_MAPPER_ASK_NOTHING)
        return;
    m->report.refusals++;
    m->refusal[0] = 0;
    tl_mapper_note(m, "the gateway refused: %s (%s)", text, tl_mapper_method_name(by));
    set_state(m, TL_MAPPER_FAILED, m->refusal);
}

static void ask_upnp(tl_mapper *m, tl_time now)
{
    m->search_at = TL_NEVER;
    m->ask = TL_MAPPER_ASK_UPNP;
    tl_igd_map(&m->igd, m->port, m->wish.port, TL_MAPPER_LIFETIME_S, now);
}

void tl_mapper_udp_failed(tl_mapper *m, tl_time now)
{
    tl_mapper_ask_nothing(m);
    if (tl_igd_is_located(&m->igd))
        ask_upnp(m, now);
    else if (now < m->search_until)
        m->ask = TL_MAPPER_ASK_SEARCH;
    else
        fail(m, now);
}

void tl_mapper_lost(tl_mapper *m, tl_time now)
{
    set_state(m, TL_MAPPER_SEARCHING, "");
    search(m, now);
}

/* --- having --- */

bool tl_mapper_believes(tl_mapper *m, const tl_addr *external, uint32_t lifetime_s)
{
    bool ok = external->family == TL_ADDR_V4 && external->port != 0 &&
              tl_addr_kind_of(external) != TL_ADDR_FORBIDDEN && lifetime_s > 0 &&
              lifetime_s <= TL_MAPPER_LIFETIME_MAX_S;
    if (!ok) {
        m->report.lies++;
        tl_mapper_note(m, "the gateway granted what is not to be believed");
    }
    return ok;
}

void tl_mapper_granted(tl_mapper *m, tl_mapper_method by, const tl_addr *external,
                       uint32_t lifetime_s, tl_time now)
{
    tl_mapper_report *r = &m->report;
    char ip[TL_ADDR_TEXT_MAX], reason[TL_MAPPER_REASON_MAX] = "";
    tl_addr_kind kind = tl_addr_kind_of(external);
    tl_addr_write_ip(ip, external);
    if (kind == TL_ADDR_SHARED)
        snprintf(reason, sizeof reason,
                 "the external address %s is private: a second NAT (the carrier's, CGN)", ip);
    else if (kind != TL_ADDR_GLOBAL)
        snprintf(reason, sizeof reason, "the external address %s is private: a second NAT", ip);
    if (r->state == TL_MAPPER_MAPPED && r->method == by)
        r->renewals++;
    m->changed |=
        !tl_addr_eq(&r->external, external) || r->method != by || r->lifetime_s != lifetime_s;
    r->method = by;
    r->external = m->wish = *external;
    r->lifetime_s = lifetime_s;
    r->second_nat = reason[0];
    set_state(m, TL_MAPPER_MAPPED, reason);
    m->failures = 0;
    m->refusal[0] = 0;
    m->search_at = TL_NEVER;
    tl_mapper_ask_nothing(m);
    tl_time check = by == TL_MAPPER_BY_UPNP ? TL_MAPPER_UPNP_CHECK_NS : TL_MAPPER_CHECK_NS;
    tl_time life = lifetime_s * TL_SEC;
    m->due_at = now + (lifetime_s ? tl_time_min(life / 2, check) : check);
    m->expires_at = lifetime_s ? now + life : TL_NEVER;
}

static void renew(tl_mapper *m, tl_time now)
{
    m->due_at = TL_NEVER;
    m->refusal[0] = 0;
    if (m->report.method != TL_MAPPER_BY_UPNP)
        tl_mapper_udp_renew(m, now);
    else if (tl_igd_is_located(&m->igd))
        ask_upnp(m, now);
    else
        tl_mapper_lost(m, now);
}

void tl_mapper_unanswered(tl_mapper *m, tl_time now)
{
    tl_mapper_ask_nothing(m);
    if (now >= m->expires_at) {
        tl_mapper_lost(m, now);
        return;
    }
    tl_time left = m->expires_at == TL_NEVER ? TL_NEVER : m->expires_at - now;
    m->due_at = now + tl_time_min(RENEW_AGAIN_NS, left);
}

/* --- UPnP --- */

void tl_mapper_on_ssdp(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now)
{
    if (m->report.state == TL_MAPPER_IDLE || m->report.state == TL_MAPPER_STOPPING)
        return;
    if (tl_igd_on_search_answer(&m->igd, from, pkt) != TL_OK)
        m->report.lies++;
    else if (m->ask == TL_MAPPER_ASK_SEARCH)
        ask_upnp(m, now);
}

bool tl_mapper_wants(const tl_mapper *m, tl_igd_request *ret_request)
{
    return m->ask == TL_MAPPER_ASK_UPNP && tl_igd_wants(&m->igd, ret_request);
}

static void idle(tl_mapper *m, tl_time now)
{
    tl_mapper_ask_nothing(m);
    m->due_at = m->expires_at = m->search_at = TL_NEVER;
    m->port = 0;
    m->failures = 0;
    set_state(m, TL_MAPPER_IDLE, "");
    uint16_t next = m->next_port;
    m->next_port = 0;
    if (next)
        tl_mapper_start(m, next, now);
}

void tl_mapper_removed(tl_mapper *m, tl_time now)
{
    idle(m, now);
}

/* Acts on the outcome of a conversation that is over. */
static void heed_igd(tl_mapper *m, tl_time now)
{
    if (m->ask != TL_MAPPER_ASK_UPNP || m->igd.step != TL_IGD_REST)
        return;
    bool mapped = m->report.state == TL_MAPPER_MAPPED;
    if (m->report.state == TL_MAPPER_STOPPING) {
        idle(m, now);
        return;
    }
    switch (m->igd.outcome) {
    case TL_IGD_MAPPED:
        tl_mapper_granted(m, TL_MAPPER_BY_UPNP, &m->igd.external, m->igd.lease_s, now);
        return;
    case TL_IGD_REFUSED:
        m->report.refusals++;
        tl_mapper_note(m, "the gateway refused: %s (UPnP error %d)",
                       tl_igd_error_text(m->igd.error), m->igd.error);
        break;
    case TL_IGD_OFFLINE:
        tl_mapper_note(m, "the gateway has no external address: is it connected? (UPnP)");
        break;
    case TL_IGD_LIED:
        m->report.lies++;
        tl_mapper_note(m, "the gateway's answer was not to be believed (UPnP)");
        break;
    case TL_IGD_NOTHING:
    case TL_IGD_SILENT:
    case TL_IGD_REMOVED:
        if (mapped && m->report.lifetime_s && tl_igd_is_located(&m->igd)) {
            tl_mapper_unanswered(m, now);
            return;
        }
        tl_mapper_note(m, "the gateway's UPnP service did not answer");
    }
    if (mapped)
        tl_mapper_lost(m, now);
    else
        fail(m, now);
}

void tl_mapper_on_answer(tl_mapper *m, uint32_t id, int status, tl_slice body, tl_time now)
{
    tl_igd_on_answer(&m->igd, id, status, body, now);
    heed_igd(m, now);
}

/* --- the owner's wishes --- */

void tl_mapper_start(tl_mapper *m, uint16_t internal_port, tl_time now)
{
    if (internal_port == 0)
        return;
    if (m->report.state == TL_MAPPER_STOPPING) {
        m->next_port = internal_port;
    } else if (m->port == 0) {
        m->port = internal_port;
        m->wish = (tl_addr){.port = internal_port};
        tl_rand_bytes(m->rand, m->nonce, sizeof m->nonce);
        search(m, now);
    } else if (m->port != internal_port) {
        tl_mapper_stop(m, now);
        if (m->report.state == TL_MAPPER_STOPPING)
            m->next_port = internal_port;
        else
            tl_mapper_start(m, internal_port, now);
    }
}

void tl_mapper_stop(tl_mapper *m, tl_time now)
{
    tl_mapper_report *r = &m->report;
    m->next_port = 0;
    if (r->state == TL_MAPPER_IDLE || r->state == TL_MAPPER_STOPPING)
        return;
    tl_mapper_method by = r->method;
    uint16_t external = r->external.port;
    if (m->ask == TL_MAPPER_ASK_UPNP && m->igd.step == TL_IGD_ADD) {
        by = TL_MAPPER_BY_UPNP; /* a grant may be on its way to us */
        external = m->igd.external.port;
    }
    if (by == TL_MAPPER_BY_NONE) {
        tl_mapper_udp_forget(m);
        idle(m, now);
        return;
    }
    tl_mapper_ask_nothing(m);
    set_state(m, TL_MAPPER_STOPPING, "");
    m->search_at = m->expires_at = TL_NEVER;
    m->due_at = now + TL_MAPPER_STOP_NS;
    if (by == TL_MAPPER_BY_UPNP) {
        m->ask = TL_MAPPER_ASK_UPNP;
        tl_igd_remove(&m->igd, external, now);
        heed_igd(m, now);
    } else {
        tl_mapper_udp_remove(m, by, now);
    }
}

void tl_mapper_set_network(tl_mapper *m, const tl_addr *gateway, const tl_addr *own, tl_time now)
{
    tl_mapper_report *r = &m->report;
    if (tl_addr_same_ip(gateway, &r->gateway) && tl_addr_same_ip(own, &m->own)) {
        if (r->state == TL_MAPPER_MAPPED && m->ask == TL_MAPPER_ASK_NOTHING)
            renew(m, now);
        else if (r->state == TL_MAPPER_FAILED && m->ask == TL_MAPPER_ASK_NOTHING)
            search(m, now);
        return;
    }
    r->gateway = *gateway;
    m->own = *own;
    m->epoch_of = TL_MAPPER_BY_NONE;
    m->wish = (tl_addr){.port = m->port};
    m->failures = 0;
    m->changed = true;
    tl_rand_bytes(m->rand, m->nonce, sizeof m->nonce);
    if (r->state == TL_MAPPER_STOPPING) {
        idle(m, now); /* the gateway that had the mapping is out of reach */
    } else if (r->state != TL_MAPPER_IDLE) {
        set_state(m, TL_MAPPER_SEARCHING, "");
        search(m, now);
    }
}

void tl_mapper_on_announcement(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now)
{
    tl_pcp_answer pcp;
    tl_natpmp_answer natpmp;
    if (!tl_addr_same_ip(from, &m->report.gateway) || now < m->hear_at)
        return; /* other gateways announce themselves to all hosts, too */
    bool ok = tl_natpmp_is(pkt)
                  ? tl_natpmp_answer_parse(pkt, &natpmp) == TL_OK && natpmp.op == TL_NATPMP_ADDRESS
                  : tl_pcp_answer_parse(pkt, &pcp) == TL_OK && pcp.opcode == TL_PCP_ANNOUNCE;
    if (!ok) {
        m->report.lies++;
        return;
    }
    m->hear_at = now + HEAR_NS;
    bool waiting = m->report.state == TL_MAPPER_MAPPED || m->report.state == TL_MAPPER_FAILED;
    if (waiting && m->ask == TL_MAPPER_ASK_NOTHING)
        m->due_at = tl_time_min(m->due_at, now + tl_rand_below(m->rand, JITTER_NS));
}

/* --- time --- */

static void on_due(tl_mapper *m, tl_time now)
{
    m->due_at = TL_NEVER;
    if (m->report.state == TL_MAPPER_MAPPED)
        renew(m, now);
    else if (m->report.state == TL_MAPPER_FAILED)
        search(m, now);
    else if (m->report.state == TL_MAPPER_STOPPING)
        idle(m, now);
}

void tl_mapper_on_timer(tl_mapper *m, tl_time now)
{
    tl_igd_on_timer(&m->igd, now);
    heed_igd(m, now);
    if (now >= m->search_at)
        search_upnp(m, now);
    if (m->ask == TL_MAPPER_ASK_SEARCH && now >= m->search_until)
        fail(m, now);
    if (now >= m->ask_at)
        tl_mapper_udp_again(m, now);
    if (now >= m->due_at)
        on_due(m, now);
}

tl_time tl_mapper_expiry(const tl_mapper *m)
{
    tl_time at = tl_time_min(tl_time_min(m->ask_at, m->search_at), m->due_at);
    if (m->ask == TL_MAPPER_ASK_SEARCH)
        at = tl_time_min(at, m->search_until);
    return tl_time_min(at, tl_igd_expiry(&m->igd));
}
