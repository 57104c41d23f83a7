/* A gateway that says anything in any order: whatever the mapper believes keeps its rules, and
 * whatever it sends goes to the gateway or the search group.
 *
 * Input: records of kind (1), length (2), bytes. Kinds as in `record`. */
#include "nat/candidate.h"
#include "nat/mapper.h"
#include "wire/natpmp.h"

#include <stdlib.h>

enum {
    DATAGRAM,
    TO_US,
    FOREIGN,
    SSDP,
    ANNOUNCEMENT,
    ANSWER,
    TIME,
    UNREACHABLE,
    NETWORK,
    PORT,
    KINDS
};

#define STEPS_MAX 64 /* timers in one record */

typedef struct {
    tl_mapper m;
    tl_rand rand;
    tl_time now;
    tl_addr gateway, own;
} world;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check(world *w)
{
    const tl_mapper_report *r = &w->m.report;
    tl_mapper_datagram d;
    tl_igd_request q;
    while (tl_mapper_next_datagram(&w->m, &d)) {
        bool search = d.to.bytes[0] == 239 && d.to.port == TL_SSDP_PORT;
        require(search || (tl_addr_same_ip(&d.to, &w->gateway) && d.to.port == TL_PCP_PORT));
        require(d.n > 0 && d.n <= sizeof d.bytes);
    }
    if (tl_mapper_wants(&w->m, &q)) {
        require(q.id != 0 && tl_upnp_url_is_at(q.url, &w->gateway));
        require(!q.action || !strpbrk(q.action, "\r\n"));
    }
    require((r->state == TL_MAPPER_MAPPED) == (r->method != TL_MAPPER_BY_NONE));
    require((r->state == TL_MAPPER_MAPPED) == (r->external.family == TL_ADDR_V4));
    if (r->state == TL_MAPPER_MAPPED) {
        require(tl_addr_kind_of(&r->external) != TL_ADDR_FORBIDDEN && r->external.port != 0);
        require(r->lifetime_s <= TL_MAPPER_LIFETIME_MAX_S);
        require(r->lifetime_s > 0 || r->method == TL_MAPPER_BY_UPNP);
    }
    require(memchr(r->reason, 0, sizeof r->reason) != NULL);
}

static void pass_time(world *w, tl_time ns)
{
    tl_time end = w->now + ns;
    for (int i = 0; i < STEPS_MAX && tl_mapper_expiry(&w->m) <= end; i++) {
        if (tl_mapper_expiry(&w->m) > w->now)
            w->now = tl_mapper_expiry(&w->m);
        tl_mapper_on_timer(&w->m, w->now);
        require(tl_mapper_expiry(&w->m) > w->now);
        check(w);
    }
    w->now = end;
}

/* The nonce and port that a stranger cannot know, put where they belong. */
static void make_ours(world *w, uint8_t *bytes, size_t n)
{
    if (n >= TL_PCP_MAP_SIZE && bytes[0] == TL_PCP_VERSION) {
        memcpy(bytes + 24, w->m.nonce, TL_PCP_NONCE_SIZE);
        bytes[40] = (uint8_t)(w->m.port >> 8);
        bytes[41] = (uint8_t)w->m.port;
    } else if (n >= 10 && bytes[0] == 0) {
        bytes[8] = (uint8_t)(w->m.port >> 8);
        bytes[9] = (uint8_t)w->m.port;
    }
}

static void record(world *w, unsigned kind, uint8_t *bytes, size_t n)
{
    tl_addr from = w->gateway, none = {.family = TL_ADDR_NONE};
    tl_igd_request q;
    tl_slice s = tl_slice_of(bytes, n);
    from.port = TL_PCP_PORT;
    switch (kind) {
    case TO_US:
        make_ours(w, bytes, n);
        tl_mapper_on_datagram(&w->m, &from, s, w->now);
        break;
    case DATAGRAM: tl_mapper_on_datagram(&w->m, &from, s, w->now); break;
    case FOREIGN: tl_mapper_on_datagram(&w->m, &w->own, s, w->now); break;
    case SSDP: tl_mapper_on_ssdp(&w->m, &from, s, w->now); break;
    case ANNOUNCEMENT: tl_mapper_on_announcement(&w->m, &from, s, w->now); break;
    case ANSWER:
        if (n && tl_mapper_wants(&w->m, &q))
            tl_mapper_on_answer(&w->m, q.id,
                                bytes[0] & 1   ? 200
                                : bytes[0] & 2 ? 500
                                               : 0,
                                tl_slice_of(bytes + 1, n - 1), w->now);
        break;
    case TIME: pass_time(w, (n ? bytes[0] + 1 : 1) * TL_SEC); break;
    case UNREACHABLE: tl_mapper_on_unreachable(&w->m, w->now); break;
    case NETWORK:
        w->own.bytes[3] ^= 1 & n;
        tl_mapper_set_network(&w->m, n == 2 ? &none : &w->gateway, n == 2 ? &none : &w->own,
                              w->now);
        break;
    case PORT:
        if (n)
            tl_mapper_start(&w->m, (uint16_t)(5000 + bytes[0]), w->now);
        else
            tl_mapper_stop(&w->m, w->now);
    }
    check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    world w = {.rand = tl_rand_seeded(3),
               .now = TL_SEC,
               .gateway = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 1}},
               .own = {.family = TL_ADDR_V4, .bytes = {192, 168, 1, 2}}};
    tl_mapper_init(&w.m, &w.rand);
    tl_mapper_set_network(&w.m, &w.gateway, &w.own, w.now);
    tl_mapper_start(&w.m, 41820, w.now);
    check(&w);
    while (n >= 3) {
        size_t size = (size_t)(data[1] << 8 | data[2]);
        unsigned kind = data[0] % KINDS;
        data += 3, n -= 3;
        if (size > n)
            size = n;
        uint8_t *copy = malloc(size ? size : 1);
        require(copy != NULL);
        memcpy(copy, data, size);
        record(&w, kind, copy, size);
        free(copy);
        data += size, n -= size;
    }
    tl_mapper_stop(&w.m, w.now);
    pass_time(&w, 2 * TL_SEC);
    require(w.m.report.state == TL_MAPPER_IDLE && tl_mapper_expiry(&w.m) == TL_NEVER);
    tl_mapper_clear(&w.m);
    return 0;
}
