#include "nat/igd.h"

#include "nat/candidate.h"

#include <assert.h>
#include <stdio.h>

#define PORT_FIRST 1024 /* below are the well-known ports, which routers keep for themselves */

void tl_igd_init(tl_igd *g, tl_rand *rand)
{
    *g = (tl_igd){.rand = rand, .deadline = TL_NEVER};
}

void tl_igd_clear(tl_igd *g)
{
    tl_buf_clear(&g->body);
}

/* The picture above tl_igd_step. */
static bool may_become(tl_igd_step from, tl_igd_step to)
{
    switch (to) {
    case TL_IGD_REST: break;
    case TL_IGD_DESCRIBE:
    case TL_IGD_REMOVE: return from == TL_IGD_REST;
    case TL_IGD_ADDRESS: return from <= TL_IGD_ADDRESS;
    case TL_IGD_LOOK: return from >= TL_IGD_ADDRESS && from <= TL_IGD_ADD;
    case TL_IGD_ADD: return from == TL_IGD_LOOK || from == TL_IGD_ADD;
    }
    return true;
}

/* A conversation that goes on has a deadline and no outcome yet. */
static void set_step(tl_igd *g, tl_igd_step step, tl_igd_outcome outcome, tl_time deadline)
{
    assert(may_become(g->step, step));
    assert((step == TL_IGD_REST) == (deadline == TL_NEVER));
    assert(step == TL_IGD_REST || outcome == TL_IGD_NOTHING);
    g->step = step;
    g->outcome = outcome;
    g->deadline = deadline;
}

static void rest(tl_igd *g, tl_igd_outcome outcome)
{
    set_step(g, TL_IGD_REST, outcome, TL_NEVER);
}

void tl_igd_abandon(tl_igd *g)
{
    rest(g, TL_IGD_NOTHING);
}

void tl_igd_reset(tl_igd *g, const tl_addr *gateway, const tl_addr *own)
{
    tl_igd_abandon(g);
    g->location[0] = 0;
    g->n_services = g->service = 0;
    g->gateway = *gateway;
    g->own = *own;
}

tl_err tl_igd_on_search_answer(tl_igd *g, const tl_addr *from, tl_slice pkt)
{
    char location[TL_UPNP_URL_MAX];
    if (!tl_addr_same_ip(from, &g->gateway))
        return TL_ERR_FORBIDDEN;
    tl_err e = tl_ssdp_answer_parse(pkt, location);
    if (e)
        return e;
    if (!tl_upnp_url_is_at(location, &g->gateway))
        return TL_ERR_FORBIDDEN;
    if (!g->location[0]) /* both searches may be answered; the first answer counts */
        memcpy(g->location, location, sizeof location);
    return TL_OK;
}

bool tl_igd_is_located(const tl_igd *g)
{
    return g->location[0];
}

/* --- asking --- */

static void begin_step(tl_igd *g, tl_igd_step step, tl_time now)
{
    set_step(g, step, TL_IGD_NOTHING, now + TL_IGD_STEP_NS);
    g->id += g->id == UINT32_MAX ? 2 : 1;
}

static void call(tl_igd *g, tl_igd_step step, const char *action, const tl_upnp_argument *arguments,
                 size_t n, tl_time now)
{
    const char *type = g->services[g->service].type;
    tl_buf_clear(&g->body);
    if (tl_upnp_call_write(&g->body, type, action, arguments, n) != TL_OK) {
        rest(g, TL_IGD_SILENT); /* no memory: the same as no answer; tried again later */
        return;
    }
    snprintf(g->action, sizeof g->action, "\"%s#%s\"", type, action);
    begin_step(g, step, now);
}

static void ask_address(tl_igd *g, tl_time now)
{
    call(g, TL_IGD_ADDRESS, "GetExternalIPAddress", NULL, 0, now);
}

static void ask_entry(tl_igd *g, tl_igd_step step, tl_time now)
{
    char port[8];
    snprintf(port, sizeof port, "%u", g->external.port);
    const tl_upnp_argument arguments[] = {
        {"NewRemoteHost", ""}, {"NewExternalPort", port}, {"NewProtocol", "UDP"}};
    call(g, step, step == TL_IGD_LOOK ? "GetSpecificPortMappingEntry" : "DeletePortMapping",
         arguments, 3, now);
}

static void ask_mapping(tl_igd *g, tl_time now)
{
    char external[8], internal[8], lease[12], own[TL_ADDR_TEXT_MAX];
    snprintf(external, sizeof external, "%u", g->external.port);
    snprintf(internal, sizeof internal, "%u", g->internal_port);
    snprintf(lease, sizeof lease, "%u", g->lease_s);
    tl_addr_write_ip(own, &g->own);
    const tl_upnp_argument arguments[] = {
        {"NewRemoteHost", ""},
        {"NewExternalPort", external},
        {"NewProtocol", "UDP"},
        {"NewInternalPort", internal},
        {"NewInternalClient", own},
        {"NewEnabled", "1"},
        {"NewPortMappingDescription", "teale"},
        {"NewLeaseDuration", lease},
    };
    call(g, TL_IGD_ADD, "AddPortMapping", arguments, sizeof arguments / sizeof *arguments, now);
}

void tl_igd_map(tl_igd *g, uint16_t internal_port, uint16_t external_port, uint32_t lease_s,
                tl_time now)
{
    g->internal_port = internal_port;
    g->external = (tl_addr){.port = external_port};
    g->lease_s = lease_s;
    g->tries = 0;
    g->error = 0;
    if (g->n_services)
        ask_address(g, now);
    else
        begin_step(g, TL_IGD_DESCRIBE, now);
}

void tl_igd_remove(tl_igd *g, uint16_t external_port, tl_time now)
{
    g->external.port = external_port;
    if (g->n_services)
        ask_entry(g, TL_IGD_REMOVE, now);
    else
        rest(g, TL_IGD_REMOVED);
}

bool tl_igd_wants(const tl_igd *g, tl_igd_request *ret_request)
{
    if (g->step == TL_IGD_REST)
        return false;
    bool describe = g->step == TL_IGD_DESCRIBE;
    *ret_request = (tl_igd_request){
        .id = g->id,
        .url = describe ? g->location : g->services[g->service].control_url,
        .action = describe ? NULL : g->action,
        .body = describe ? (tl_slice){NULL, 0} : tl_buf_slice(&g->body),
    };
    return true;
}

/* --- answers --- */

static void refused(tl_igd *g, int error)
{
    g->error = error;
    rest(g, TL_IGD_REFUSED);
}

/* The present service is of no use: goes on with the other one, if there is one, or ends. */
static void next_service(tl_igd *g, tl_igd_outcome otherwise, tl_time now)
{
    if (g->service + 1 < g->n_services) {
        g->service++;
        ask_address(g, now);
    } else {
        g->n_services = g->service = 0; /* next time the description is asked for again */
        rest(g, otherwise);
    }
}

static void on_description(tl_igd *g, int status, tl_slice body, tl_time now)
{
    tl_upnp_service found[TL_UPNP_SERVICES_MAX];
    size_t n = 0;
    if (status != 200 || tl_upnp_description_parse(body, g->location, found, &n) != TL_OK) {
        g->location[0] = 0; /* next time the device is searched for again */
        rest(g, TL_IGD_SILENT);
        return;
    }
    g->n_services = g->service = 0;
    for (size_t i = 0; i < n; i++)
        if (tl_upnp_url_is_at(found[i].control_url, &g->gateway))
            g->services[g->n_services++] = found[i];
    if (g->n_services)
        ask_address(g, now);
    else
        rest(g, TL_IGD_LIED);
}

static void on_address(tl_igd *g, int status, const tl_upnp_answer *a, tl_time now)
{
    static const uint8_t zero[4];
    tl_addr ip = a->external_ip;
    ip.port = g->external.port;
    bool answered = status == 200 || a->error;
    if (status != 200 || a->error || ip.family == TL_ADDR_NONE ||
        memcmp(ip.bytes, zero, sizeof zero) == 0) {
        next_service(g, answered ? TL_IGD_OFFLINE : TL_IGD_SILENT, now);
    } else if (tl_addr_kind_of(&ip) == TL_ADDR_FORBIDDEN) {
        next_service(g, TL_IGD_LIED, now);
    } else {
        g->external = ip;
        ask_entry(g, TL_IGD_LOOK, now);
    }
}

static void another_port(tl_igd *g, int error, tl_time now)
{
    if (++g->tries >= TL_IGD_TRIES_MAX) {
        refused(g, error);
        return;
    }
    g->external.port = (uint16_t)(PORT_FIRST + tl_rand_below(g->rand, 65536 - PORT_FIRST));
    ask_entry(g, TL_IGD_LOOK, now);
}

/* Some routers let anyone take over a port, so we look first. If the mapping is our own, it is
 * renewed. */
static void on_entry(tl_igd *g, int status, const tl_upnp_answer *a, tl_time now)
{
    bool taken = status == 200 && a->internal_client.family != TL_ADDR_NONE;
    bool ours =
        tl_addr_same_ip(&a->internal_client, &g->own) && a->internal_port == g->internal_port;
    if (taken && !ours)
        another_port(g, TL_UPNP_CONFLICT, now);
    else
        ask_mapping(g, now);
}

static void on_added(tl_igd *g, int status, const tl_upnp_answer *a, tl_time now)
{
    if (status == 200 && !a->error) {
        rest(g, TL_IGD_MAPPED);
        return;
    }
    switch (a->error) {
    case TL_UPNP_PERMANENT_ONLY:
        if (g->lease_s == 0) {
            refused(g, a->error);
            return;
        }
        g->lease_s = 0;
        ask_mapping(g, now);
        break;
    case TL_UPNP_SAME_PORT_ONLY:
        if (g->external.port == g->internal_port || ++g->tries >= TL_IGD_TRIES_MAX) {
            refused(g, a->error);
            return;
        }
        g->external.port = g->internal_port;
        ask_mapping(g, now);
        break;
    case TL_UPNP_ACTION_FAILED:
    case TL_UPNP_CONFLICT:
    case TL_UPNP_CONFLICT_ELSEWHERE: another_port(g, a->error, now); break;
    default: refused(g, a->error);
    }
}

void tl_igd_on_answer(tl_igd *g, uint32_t id, int status, tl_slice body, tl_time now)
{
    if (g->step == TL_IGD_REST || id != g->id)
        return;
    if (g->step == TL_IGD_DESCRIBE) {
        on_description(g, status, body, now);
        return;
    }
    tl_upnp_answer a = {0};
    if (tl_upnp_answer_parse(body, &a) != TL_OK)
        status = 0;
    if (g->step == TL_IGD_REMOVE) {
        rest(g, TL_IGD_REMOVED); /* or it was not removed: nothing more can be done */
    } else if (status == 0) {
        g->n_services = g->service = 0;
        rest(g, TL_IGD_SILENT);
    } else if (g->step == TL_IGD_ADDRESS) {
        on_address(g, status, &a, now);
    } else if (g->step == TL_IGD_LOOK) {
        on_entry(g, status, &a, now);
    } else {
        on_added(g, status, &a, now);
    }
}

void tl_igd_on_timer(tl_igd *g, tl_time now)
{
    if (now >= g->deadline)
        tl_igd_on_answer(g, g->id, 0, (tl_slice){NULL, 0}, now);
}

tl_time tl_igd_expiry(const tl_igd *g)
{
    return g->deadline;
}

const char *tl_igd_error_text(int error)
{
    switch (error) {
    case TL_UPNP_NOT_AUTHORIZED: return "not authorized";
    case TL_UPNP_CONFLICT:
    case TL_UPNP_CONFLICT_ELSEWHERE: return "the ports asked for are taken or not allowed";
    case TL_UPNP_SAME_PORT_ONLY: return "it maps a port only to the same port, which is taken";
    case TL_UPNP_NO_PORTS_LEFT: return "it has no ports left";
    default: return "for a reason of its own";
    }
}
