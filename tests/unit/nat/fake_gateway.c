#include "fake_gateway.h"

#include <stdio.h>
#include <stdlib.h>

#define XML(body) "<s:Envelope><s:Body>" body "</s:Body></s:Envelope>"

void fake_init(fake_gateway *g)
{
    *g = (fake_gateway){.ip = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 1}},
                        .own = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 2}},
                        .external = {203, 0, 113, 7},
                        .control = "/ctl",
                        .rand = tl_rand_seeded(7),
                        .now = 100 * TL_SEC,
                        .booted = 0};
    tl_mapper_init(&g->m, &g->rand);
}

void fake_clear(fake_gateway *g)
{
    tl_mapper_clear(&g->m);
}

static tl_addr port_5351(const fake_gateway *g)
{
    tl_addr a = g->ip;
    a.port = TL_PCP_PORT;
    return a;
}

void fake_hand_in(fake_gateway *g, const tl_addr *from, const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1); /* exact, for the sanitizer */
    memcpy(copy, bytes, n);
    tl_mapper_on_datagram(&g->m, from, tl_slice_of(copy, n), g->now);
    free(copy);
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xFFFF);
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static uint32_t epoch_of(const fake_gateway *g)
{
    return (uint32_t)((g->now - g->booted) / TL_SEC);
}

static uint32_t grant(fake_gateway *g, uint32_t asked, uint16_t external, uint16_t internal)
{
    uint32_t lifetime_s = g->lifetime_s ? g->lifetime_s : asked;
    if (asked == 0) {
        g->mapping = (fake_mapping){0};
        g->removed++;
        return 0;
    }
    if (g->external_port)
        external = g->external_port;
    g->mapping = (fake_mapping){external, internal, g->own, lifetime_s};
    return g->absurd ? 0 : lifetime_s;
}

void fake_pcp_answer(const fake_gateway *g, const tl_pcp_map *map, uint8_t ret[TL_PCP_MAP_SIZE])
{
    tl_pcp_map_write(ret, map);
    ret[1] |= 0x80;
    memset(ret + 8, 0, 16);
    put32(ret + 8, epoch_of(g));
    memcpy(ret + 56, g->external, 4);
}

static void on_pcp(fake_gateway *g, const uint8_t *p)
{
    uint8_t answer[TL_PCP_MAP_SIZE];
    tl_pcp_map map = {.internal_port = (uint16_t)get16(p + 40),
                      .lifetime_s = get16(p + 4) << 16 | get16(p + 6),
                      .external = {.port = (uint16_t)get16(p + 42)}};
    memcpy(map.nonce, p + 24, sizeof map.nonce);
    g->pcp_asked++;
    g->last_pcp = map;
    if (!g->pcp_result) {
        map.lifetime_s = grant(g, map.lifetime_s, map.external.port, map.internal_port);
        map.external.port = g->mapping.external;
    }
    if (g->wrong_nonce)
        map.nonce[11] ^= 1;
    fake_pcp_answer(g, &map, answer);
    answer[3] = (uint8_t)g->pcp_result;
    tl_addr from = port_5351(g);
    fake_hand_in(g, &from, answer, sizeof answer);
}

static void on_natpmp(fake_gateway *g, const uint8_t *p)
{
    uint8_t answer[16] = {0, (uint8_t)(p[1] | 0x80)};
    tl_addr from = port_5351(g);
    put16(answer + 2, g->natpmp_result);
    put32(answer + 4, epoch_of(g));
    if (p[1] == 0) {
        g->natpmp_addresses++;
        memcpy(answer + 8, g->external, 4);
        fake_hand_in(g, &from, answer, g->natpmp_result ? 8 : 12);
        return;
    }
    g->natpmp_maps++;
    uint16_t internal = (uint16_t)get16(p + 4);
    uint32_t lifetime_s = get16(p + 8) << 16 | get16(p + 10);
    if (!g->natpmp_result)
        lifetime_s = grant(g, lifetime_s, (uint16_t)get16(p + 6), internal);
    put16(answer + 8, internal);
    put16(answer + 10, g->mapping.external);
    put32(answer + 12, lifetime_s);
    fake_hand_in(g, &from, answer, g->natpmp_result ? 8 : 16);
}

static void on_search(fake_gateway *g)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:80/d.xml\r\n\r\n";
    g->searches++;
    if (g->upnp)
        tl_mapper_on_ssdp(&g->m, &g->ip, TL_SLICE_LIT(answer), g->now);
}

static void on_datagram(fake_gateway *g, const tl_mapper_datagram *d)
{
    if (d->to.port != TL_PCP_PORT) {
        on_search(g);
        return;
    }
    if (g->drop) {
        g->drop--;
        return;
    }
    if (g->unreachable) {
        tl_mapper_on_unreachable(&g->m, g->now);
    } else if (d->bytes[0] == TL_PCP_VERSION && g->pcp) {
        on_pcp(g, d->bytes);
    } else if (d->bytes[0] == TL_PCP_VERSION && g->natpmp_answers_pcp) {
        uint8_t answer[8] = {0, 0x81, 0, 1};
        tl_addr from = port_5351(g);
        fake_hand_in(g, &from, answer, sizeof answer);
    } else if (d->bytes[0] == 0 && g->natpmp) {
        on_natpmp(g, d->bytes);
    }
}

/* --- UPnP --- */

static unsigned number_in(const char *body, const char *tag)
{
    const char *at = strstr(body, tag);
    return at ? (unsigned)strtoul(at + strlen(tag), NULL, 10) : 0;
}

static int on_look(const fake_gateway *g, unsigned port, char *text, size_t size)
{
    bool others = g->others_port && port == g->others_port;
    if (!others && (!g->mapping.external || port != g->mapping.external)) {
        snprintf(text, size, XML("<s:Fault><errorCode>714</errorCode></s:Fault>"));
        return 500;
    }
    snprintf(text, size,
             XML("<NewInternalPort>%u</NewInternalPort><NewInternalClient>192.168.1.%u"
                 "</NewInternalClient>"),
             others ? 9 : g->mapping.internal, others ? 9 : 2);
    return 200;
}

static int on_add(fake_gateway *g, const char *body, char *text, size_t size)
{
    unsigned lease = number_in(body, "<NewLeaseDuration>");
    unsigned port = number_in(body, "<NewExternalPort>");
    int error = g->upnp_error;
    if (error == TL_UPNP_PERMANENT_ONLY && lease == 0)
        error = 0;
    if (error == TL_UPNP_CONFLICT && port != 41820)
        error = 0;
    if (error) {
        snprintf(text, size, XML("<s:Fault><errorCode>%d</errorCode></s:Fault>"), error);
        return 500;
    }
    uint16_t internal = (uint16_t)number_in(body, "<NewInternalPort>");
    g->mapping = (fake_mapping){(uint16_t)port, internal, g->own, lease};
    snprintf(text, size, XML("<u:AddPortMappingResponse/>"));
    return 200;
}

static void on_http(fake_gateway *g, const tl_igd_request *r)
{
    char text[2048] = "", body[2048] = "";
    int status = 200;
    g->http_asked++;
    if (r->body.n)
        memcpy(body, r->body.p, r->body.n < sizeof body ? r->body.n : sizeof body - 1);
    const char *action = r->action ? strchr(r->action, '#') + 1 : "GET";
    snprintf(g->last_action, sizeof g->last_action, "%.*s", (int)strcspn(action, "\""), action);
    unsigned port = number_in(body, "<NewExternalPort>");
    if (!g->upnp) {
        status = 0;
    } else if (!r->action) {
        snprintf(text, sizeof text,
                 "<root><serviceList><service><serviceType>"
                 "urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
                 "<controlURL>%s</controlURL></service></serviceList></root>",
                 g->control);
    } else if (strstr(r->action, "#GetExternalIPAddress")) {
        snprintf(text, sizeof text, XML("<NewExternalIPAddress>%u.%u.%u.%u</NewExternalIPAddress>"),
                 g->upnp_offline ? 0 : g->external[0], g->upnp_offline ? 0 : g->external[1],
                 g->upnp_offline ? 0 : g->external[2], g->upnp_offline ? 0 : g->external[3]);
    } else if (strstr(r->action, "#GetSpecific")) {
        status = on_look(g, port, text, sizeof text);
    } else if (strstr(r->action, "#Add")) {
        status = on_add(g, body, text, sizeof text);
    } else if (strstr(r->action, "#Delete")) {
        g->removed++;
        if (port == g->mapping.external)
            g->mapping = (fake_mapping){0};
    }
    tl_mapper_on_answer(&g->m, r->id, status, tl_slice_str(text), g->now);
}

/* --- time --- */

void fake_carry(fake_gateway *g)
{
    for (;;) {
        tl_mapper_datagram d;
        tl_igd_request r;
        if (tl_mapper_next_datagram(&g->m, &d))
            on_datagram(g, &d);
        else if (tl_mapper_wants(&g->m, &r))
            on_http(g, &r);
        else
            return;
    }
}

void fake_run(fake_gateway *g, tl_time ns)
{
    tl_time end = g->now + ns;
    fake_carry(g);
    while (tl_mapper_expiry(&g->m) <= end) {
        if (tl_mapper_expiry(&g->m) > g->now)
            g->now = tl_mapper_expiry(&g->m);
        tl_mapper_on_timer(&g->m, g->now);
        fake_carry(g);
    }
    g->now = end;
}

void fake_start(fake_gateway *g, tl_time ns)
{
    tl_mapper_set_network(&g->m, &g->ip, &g->own, g->now);
    tl_mapper_start(&g->m, 41820, g->now);
    fake_run(g, ns);
}

const char *fake_external(const fake_gateway *g)
{
    static char text[TL_ADDR_TEXT_MAX];
    tl_addr_write(text, &g->m.report.external);
    return text;
}
