#include "nat/mapper_state.h"
#include "wire/natpmp.h"

#define FIRST_WAIT_NS (250 * TL_MS) /* doubling: RFC 6886 3.1 */
#define SEARCH_TRIES  3             /* 1.75 s in all; after it UPnP has its turn */
#define RENEW_TRIES   5             /* 7.75 s in all: a short absence of Wi-Fi is no loss */

/* --- asking --- */

static void send_pcp(tl_mapper *m, uint32_t lifetime_s)
{
    uint8_t pkt[TL_PCP_MAP_SIZE];
    tl_pcp_map map = {.client = m->own,
                      .lifetime_s = lifetime_s,
                      .internal_port = m->port,
                      .external = lifetime_s ? m->wish : (tl_addr){.family = TL_ADDR_NONE}};
    memcpy(map.nonce, m->nonce, sizeof map.nonce);
    tl_pcp_map_write(pkt, &map);
    tl_addr to = m->report.gateway;
    to.port = TL_PCP_PORT;
    tl_mapper_send(m, &to, pkt, sizeof pkt);
}

static void send_natpmp_address(tl_mapper *m)
{
    uint8_t pkt[TL_NATPMP_ADDRESS_SIZE];
    tl_natpmp_address_write(pkt);
    tl_addr to = m->report.gateway;
    to.port = TL_PCP_PORT;
    tl_mapper_send(m, &to, pkt, sizeof pkt);
}

static void send_natpmp_map(tl_mapper *m, uint32_t lifetime_s)
{
    uint8_t pkt[TL_NATPMP_MAP_SIZE];
    tl_natpmp_map_write(pkt, m->port, lifetime_s ? m->wish.port : 0, lifetime_s);
    tl_addr to = m->report.gateway;
    to.port = TL_PCP_PORT;
    tl_mapper_send(m, &to, pkt, sizeof pkt);
}

static void send_question(tl_mapper *m)
{
    bool removing = m->report.state == TL_MAPPER_STOPPING;
    uint32_t lifetime_s = removing ? 0 : TL_MAPPER_LIFETIME_S;
    if (m->ask == TL_MAPPER_ASK_PROBE || m->ask == TL_MAPPER_ASK_PCP)
        send_pcp(m, lifetime_s);
    if (m->ask == TL_MAPPER_ASK_PROBE && m->tries > 0)
        send_natpmp_address(m);
    if (m->ask == TL_MAPPER_ASK_NATPMP) {
        if (!removing && m->natpmp_address.family == TL_ADDR_NONE)
            send_natpmp_address(m);
        if (!m->natpmp_port)
            send_natpmp_map(m, lifetime_s);
    }
}

static void ask(tl_mapper *m, tl_mapper_ask what, tl_time now)
{
    m->ask = what;
    m->tries = 0;
    m->ask_at = now + FIRST_WAIT_NS;
    send_question(m);
}

static void ask_natpmp(tl_mapper *m, tl_time now)
{
    m->natpmp_port = 0;
    ask(m, TL_MAPPER_ASK_NATPMP, now);
}

void tl_mapper_udp_probe(tl_mapper *m, tl_time now)
{
    m->natpmp_address = (tl_addr){.family = TL_ADDR_NONE};
    ask(m, TL_MAPPER_ASK_PROBE, now);
}

void tl_mapper_udp_renew(tl_mapper *m, tl_time now)
{
    m->natpmp_address = (tl_addr){.family = TL_ADDR_NONE};
    if (m->report.method == TL_MAPPER_BY_PCP)
        ask(m, TL_MAPPER_ASK_PCP, now);
    else
        ask_natpmp(m, now);
}

void tl_mapper_udp_remove(tl_mapper *m, tl_mapper_method by, tl_time now)
{
    if (by == TL_MAPPER_BY_PCP)
        ask(m, TL_MAPPER_ASK_PCP, now);
    else
        ask_natpmp(m, now);
}

void tl_mapper_udp_forget(tl_mapper *m)
{
    if (m->ask == TL_MAPPER_ASK_PROBE)
        send_pcp(m, 0);
    if (m->ask == TL_MAPPER_ASK_NATPMP)
        send_natpmp_map(m, 0);
}

/* The gateway does not answer, or (`nobody`) no program listens there. */
static void give_up(tl_mapper *m, bool nobody, tl_time now)
{
    if (m->report.state == TL_MAPPER_STOPPING) {
        tl_mapper_removed(m, now);
    } else if (m->report.state != TL_MAPPER_MAPPED) {
        tl_mapper_udp_forget(m);
        tl_mapper_udp_failed(m, now);
    } else if (nobody) {
        tl_mapper_lost(m, now);
    } else {
        tl_mapper_unanswered(m, now);
    }
}

void tl_mapper_udp_again(tl_mapper *m, tl_time now)
{
    m->tries++;
    if (m->tries >= (m->report.state == TL_MAPPER_MAPPED ? RENEW_TRIES : SEARCH_TRIES)) {
        give_up(m, false, now);
        return;
    }
    m->ask_at = now + (FIRST_WAIT_NS << m->tries);
    send_question(m);
}

static bool is_asking(const tl_mapper *m)
{
    return m->ask == TL_MAPPER_ASK_PROBE || m->ask == TL_MAPPER_ASK_PCP ||
           m->ask == TL_MAPPER_ASK_NATPMP;
}

void tl_mapper_on_unreachable(tl_mapper *m, tl_time now)
{
    if (is_asking(m))
        give_up(m, true, now);
}

/* --- answers --- */

/* Has the gateway lost its state? (RFC 6887 8.5; and RFC 6886 3.6, where its clock may be slow by
 * an eighth.) The renewal whose answer told us has already made the mapping anew. */
static void note_epoch(tl_mapper *m, tl_mapper_method by, uint32_t epoch_s, tl_time now)
{
    uint64_t server = (uint64_t)epoch_s - m->epoch_s, client = (now - m->epoch_at) / TL_SEC;
    unsigned slack = by == TL_MAPPER_BY_PCP ? 16 : 8;
    bool known = m->epoch_of == by;
    bool back = (uint64_t)epoch_s + 1 < m->epoch_s;
    if (epoch_s < m->epoch_s)
        server = 0;
    bool slow = server + 2 < client - client / slack;
    bool fast = by == TL_MAPPER_BY_PCP && client + 2 < server - server / slack;
    if (known && (back || slow || fast))
        m->report.gateway_restarts++;
    m->epoch_of = by;
    m->epoch_s = epoch_s;
    m->epoch_at = now;
}

static void pcp_refused(tl_mapper *m, unsigned result, tl_time now)
{
    if (m->report.state == TL_MAPPER_STOPPING) {
        tl_mapper_removed(m, now);
        return;
    }
    if (result != TL_PCP_UNSUPP_VERSION) {
        m->report.refusals++;
        tl_mapper_note(m, "the gateway refused: %s (PCP)", tl_pcp_result_text(result));
    }
    if (m->report.state == TL_MAPPER_MAPPED)
        tl_mapper_lost(m, now);
    else
        ask_natpmp(m, now); /* NAT-PMP may do: e.g. a killed node left its nonce there */
}

static void on_pcp(tl_mapper *m, tl_slice pkt, tl_time now)
{
    tl_pcp_answer a;
    if (tl_pcp_answer_parse(pkt, &a) != TL_OK || a.opcode != TL_PCP_MAP ||
        (a.has_map &&
         (memcmp(a.nonce, m->nonce, sizeof a.nonce) != 0 || a.internal_port != m->port))) {
        m->report.lies++;
        return;
    }
    if (m->ask != TL_MAPPER_ASK_PROBE && m->ask != TL_MAPPER_ASK_PCP) {
        /* Late, or a second answer to a repeated question. Some gateways try every port before they
         * say no (miniupnpd tries for minutes), and that no is worth hearing. */
        if (a.has_map && a.result != TL_PCP_SUCCESS)
            tl_mapper_refused_late(m, tl_pcp_result_text(a.result), TL_MAPPER_BY_PCP);
        return;
    }
    if (a.result != TL_PCP_SUCCESS) {
        pcp_refused(m, a.result, now);
        return;
    }
    note_epoch(m, TL_MAPPER_BY_PCP, a.epoch_s, now);
    if (m->report.state == TL_MAPPER_STOPPING) {
        if (a.lifetime_s == 0)
            tl_mapper_removed(m, now);
    } else if (tl_mapper_believes(m, &a.external, a.lifetime_s)) {
        tl_mapper_granted(m, TL_MAPPER_BY_PCP, &a.external, a.lifetime_s, now);
    } else {
        send_pcp(m, 0);
        if (m->report.state == TL_MAPPER_MAPPED)
            tl_mapper_lost(m, now);
        else
            ask_natpmp(m, now);
    }
}

static void natpmp_granted(tl_mapper *m, tl_time now)
{
    tl_addr external = m->natpmp_address;
    if (external.family == TL_ADDR_NONE || !m->natpmp_port)
        return; /* the other half has not come yet */
    external.port = m->natpmp_port;
    if (tl_mapper_believes(m, &external, m->natpmp_lifetime_s)) {
        tl_mapper_granted(m, TL_MAPPER_BY_NATPMP, &external, m->natpmp_lifetime_s, now);
    } else {
        send_natpmp_map(m, 0);
        if (m->report.state == TL_MAPPER_MAPPED)
            tl_mapper_lost(m, now);
        else
            tl_mapper_udp_failed(m, now);
    }
}

static void natpmp_refused(tl_mapper *m, const tl_natpmp_answer *a, tl_time now)
{
    if (m->report.state == TL_MAPPER_STOPPING) {
        tl_mapper_removed(m, now);
        return;
    }
    if (m->ask != TL_MAPPER_ASK_NATPMP) {
        if (a->result == TL_NATPMP_UNSUPP_VERSION && m->ask == TL_MAPPER_ASK_PROBE)
            ask_natpmp(m, now); /* its answer to PCP */
        return;
    }
    if (a->result == TL_NATPMP_UNSUPP_VERSION)
        return; /* a further answer to a PCP question */
    m->report.refusals++;
    tl_mapper_note(m, "the gateway refused: %s (NAT-PMP)", tl_natpmp_result_text(a->result));
    if (m->report.state == TL_MAPPER_MAPPED)
        tl_mapper_lost(m, now);
    else
        tl_mapper_udp_failed(m, now);
}

static void on_natpmp(tl_mapper *m, tl_slice pkt, tl_time now)
{
    tl_natpmp_answer a;
    if (tl_natpmp_answer_parse(pkt, &a) != TL_OK) {
        m->report.lies++;
        return;
    }
    if (!is_asking(m) || m->ask == TL_MAPPER_ASK_PCP)
        return;
    if (a.result != TL_NATPMP_SUCCESS) {
        natpmp_refused(m, &a, now);
        return;
    }
    if (a.op == TL_NATPMP_MAP_UDP && a.internal_port != m->port) {
        m->report.lies++;
        return;
    }
    note_epoch(m, TL_MAPPER_BY_NATPMP, a.epoch_s, now);
    if (m->report.state == TL_MAPPER_STOPPING) {
        if (a.op == TL_NATPMP_MAP_UDP && a.lifetime_s == 0)
            tl_mapper_removed(m, now);
    } else if (a.op == TL_NATPMP_ADDRESS) {
        m->natpmp_address = a.address;
        if (m->ask == TL_MAPPER_ASK_PROBE)
            ask_natpmp(m, now);
        else
            natpmp_granted(m, now);
    } else if (m->ask == TL_MAPPER_ASK_NATPMP) {
        if (a.external_port == 0 || a.lifetime_s == 0) {
            m->report.lies++;
            return;
        }
        m->natpmp_port = a.external_port;
        m->natpmp_lifetime_s = a.lifetime_s;
        natpmp_granted(m, now);
    }
}

void tl_mapper_on_datagram(tl_mapper *m, const tl_addr *from, tl_slice pkt, tl_time now)
{
    if (!tl_addr_same_ip(from, &m->report.gateway) || from->port != TL_PCP_PORT)
        m->report.lies++;
    else if (tl_natpmp_is(pkt))
        on_natpmp(m, pkt, now);
    else
        on_pcp(m, pkt, now);
}
