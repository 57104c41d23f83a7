#include "nat/candidate.h"

#include <assert.h>

const char *tl_candidate_type(tl_candidate_kind k)
{
    switch (k) {
    case TL_CANDIDATE_HOST: return "host";
    case TL_CANDIDATE_MAPPED:
    case TL_CANDIDATE_PEER_REFLEXIVE:
    case TL_CANDIDATE_SERVER_REFLEXIVE: return "serverReflexive";
    case TL_CANDIDATE_RELAYED: return "relayed";
    }
    assert(!"a kind of the list");
    return "";
}

tl_err tl_candidate_type_parse(const char *type, tl_candidate_kind *ret_kind)
{
    static const tl_candidate_kind kinds[] = {TL_CANDIDATE_HOST, TL_CANDIDATE_SERVER_REFLEXIVE,
                                              TL_CANDIDATE_RELAYED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, tl_candidate_type(kinds[i])) == 0) {
            *ret_kind = kinds[i];
            return TL_OK;
        }
    return TL_ERR_PROTO;
}

const char *tl_candidate_kind_name(tl_candidate_kind k)
{
    switch (k) {
    case TL_CANDIDATE_HOST: return "host";
    case TL_CANDIDATE_MAPPED: return "port mapping";
    case TL_CANDIDATE_PEER_REFLEXIVE: return "peer-reflexive";
    case TL_CANDIDATE_SERVER_REFLEXIVE: return "server-reflexive";
    case TL_CANDIDATE_RELAYED: return "relayed";
    }
    assert(!"a kind of the list");
    return "";
}

/* RFC 8445 section 5.1.2.2, for the kinds it names. A mapped port comes first among the others: the
 * router promised it, while other mappings are left by packets that happened to pass. */
static uint32_t type_preference(tl_candidate_kind k)
{
    switch (k) {
    case TL_CANDIDATE_HOST: return 126;
    case TL_CANDIDATE_MAPPED: return 120;
    case TL_CANDIDATE_PEER_REFLEXIVE: return 110;
    case TL_CANDIDATE_SERVER_REFLEXIVE: return 100;
    case TL_CANDIDATE_RELAYED: return 0;
    }
    assert(!"a kind of the list");
    return 0;
}

uint32_t tl_candidate_priority(tl_candidate_kind k, const tl_addr *a, unsigned index)
{
    uint32_t first = a->family == TL_ADDR_V6 ? 65535 : 32767; /* the local preference */
    uint32_t local = index < 32767 ? first - index : first - 32767;
    return type_preference(k) << 24 | local << 8 | 255; /* of the one component there is */
}

/* --- which addresses --- */

/* The first `bits` of two addresses of one family. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

typedef struct {
    uint8_t bytes[16];
    unsigned bits;
    tl_addr_kind kind;
} block;

static const block v4_blocks[] = {
    {{0}, 8, TL_ADDR_FORBIDDEN}, /* this network */
    {{127}, 8, TL_ADDR_FORBIDDEN},
    {{169, 254}, 16, TL_ADDR_FORBIDDEN},           /* link-local; most clouds' metadata */
    {{224}, 4, TL_ADDR_FORBIDDEN},                 /* multicast */
    {{240}, 4, TL_ADDR_FORBIDDEN},                 /* reserved, and the broadcast address */
    {{100, 100, 100, 200}, 32, TL_ADDR_FORBIDDEN}, /* metadata: Alibaba */
    {{168, 63, 129, 16}, 32, TL_ADDR_FORBIDDEN},   /* Azure's wire server */
    {{192, 0, 0, 192}, 32, TL_ADDR_FORBIDDEN},     /* Oracle */
    {{10}, 8, TL_ADDR_PRIVATE},
    {{172, 16}, 12, TL_ADDR_PRIVATE},
    {{192, 168}, 16, TL_ADDR_PRIVATE},
    {{100, 64}, 10, TL_ADDR_SHARED},
};

static const block v6_blocks[] = {
    {{0}, 8, TL_ADDR_FORBIDDEN},           /* unspecified, loopback, IPv4-compatible, -translated */
    {{0xFE, 0x80}, 10, TL_ADDR_FORBIDDEN}, /* link-local */
    {{0xFF}, 8, TL_ADDR_FORBIDDEN},        /* multicast */
    {{0x01}, 64, TL_ADDR_FORBIDDEN},       /* discard (RFC 6666) */
    /* addresses at which clouds serve metadata: Amazon, Google, Scaleway, Oracle, Linode */
    {{0xFD, 0x00, 0x0E, 0xC2, [14] = 0x02, 0x54}, 128, TL_ADDR_FORBIDDEN},
    {{0xFD, 0x20, 0x00, 0xCE, [14] = 0x02, 0x54}, 128, TL_ADDR_FORBIDDEN},
    {{0xFD, 0x00, 0x00, 0x42, [15] = 0x42}, 128, TL_ADDR_FORBIDDEN},
    {{0xFD, 0x00, 0x00, 0xC1, [12] = 0xA9, 0xFE, 0xA9, 0xFE}, 128, TL_ADDR_FORBIDDEN},
    {{0xFD, 0x00, 0xA9, 0xFE, 0xA9, 0xFE, [15] = 0x01}, 128, TL_ADDR_FORBIDDEN},
    {{0xFC}, 7, TL_ADDR_PRIVATE},
    {{0xFE, 0xC0}, 10, TL_ADDR_PRIVATE}, /* site-local, as was */
};

static tl_addr_kind kind_in(const block *blocks, size_t n, const uint8_t *bytes)
{
    for (size_t i = 0; i < n; i++)
        if (same_prefix(bytes, blocks[i].bytes, blocks[i].bits))
            return blocks[i].kind;
    return TL_ADDR_GLOBAL;
}

static tl_addr_kind v4_kind(const uint8_t *bytes)
{
    return kind_in(v4_blocks, sizeof v4_blocks / sizeof *v4_blocks, bytes);
}

static const uint8_t nat64[12] = {0x00, 0x64, 0xFF, 0x9B}; /* RFC 6052, the well-known prefix */

/* Does an IPv6 address hide a forbidden IPv4 one? The translators carry only global addresses (RFC
 * 3056 section 2, RFC 6052 section 3.1). A private one is in its place only within a site
 * (ISATAP). */
static bool hides_forbidden(const uint8_t b[16])
{
    static const uint8_t teredo[4] = {0x20, 0x01}, isatap[3] = {0x00, 0x5E, 0xFE};
    if (b[0] == 0x20 && b[1] == 0x02) /* 6to4 */
        return v4_kind(b + 2) != TL_ADDR_GLOBAL;
    if (memcmp(b, nat64, sizeof nat64) == 0)
        return v4_kind(b + 12) != TL_ADDR_GLOBAL;
    if (memcmp(b, teredo, sizeof teredo) == 0) {
        uint8_t client[4];
        for (size_t i = 0; i < sizeof client; i++)
            client[i] = b[12 + i] ^ 0xFF;
        return v4_kind(b + 4) != TL_ADDR_GLOBAL || v4_kind(client) != TL_ADDR_GLOBAL;
    }
    if ((b[8] & 0xFD) == 0 && memcmp(b + 9, isatap, sizeof isatap) == 0)
        return v4_kind(b + 12) == TL_ADDR_FORBIDDEN;
    return false;
}

static tl_addr_kind v6_kind(const uint8_t b[16])
{
    if (hides_forbidden(b))
        return TL_ADDR_FORBIDDEN;
    if (memcmp(b, nat64, sizeof nat64) == 0)
        return TL_ADDR_GLOBAL;
    return kind_in(v6_blocks, sizeof v6_blocks / sizeof *v6_blocks, b);
}

tl_addr_kind tl_addr_kind_of(const tl_addr *a)
{
    tl_addr n = tl_addr_normal(*a);
    if (n.family == TL_ADDR_NONE || n.port == 0)
        return TL_ADDR_FORBIDDEN;
    return n.family == TL_ADDR_V4 ? v4_kind(n.bytes) : v6_kind(n.bytes);
}

static bool on_subnet(const tl_addr *a, const tl_interface *own)
{
    unsigned bits = own->addr.family == TL_ADDR_V4 ? 32 : 128;
    bool other_link = a->scope && own->addr.scope && a->scope != own->addr.scope;
    return a->family == own->addr.family && own->prefix > 0 && own->prefix <= bits && !other_link &&
           same_prefix(a->bytes, own->addr.bytes, own->prefix);
}

/* All ones behind the prefix; or all zeros, the old form, which Linux still takes. */
static bool is_broadcast(const tl_addr *a, const tl_interface *own)
{
    if (a->family != TL_ADDR_V4 || own->prefix > 30 || !on_subnet(a, own))
        return false;
    uint32_t ip = (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 |
                  (uint32_t)a->bytes[2] << 8 | a->bytes[3];
    uint32_t host = UINT32_MAX >> own->prefix;
    return (ip & host) == host || (ip & host) == 0;
}

bool tl_addr_is_link_local(const tl_addr *a)
{
    static const uint8_t metadata[4] = {169, 254, 169, 254};
    const uint8_t *b = a->bytes;
    if (a->family == TL_ADDR_V6)
        return a->scope && b[0] == 0xFE && (b[1] & 0xC0) == 0x80;
    return a->family == TL_ADDR_V4 && b[0] == 169 && b[1] == 254 && b[2] != 0 && b[2] != 255 &&
           memcmp(b, metadata, sizeof metadata) != 0;
}

static bool is_own(const tl_addr *a, const tl_interface *own, uint16_t own_port)
{
    return a->port == own_port && tl_addr_same_ip(a, &own->addr);
}

bool tl_addr_is_near(const tl_addr *a, const tl_interface *own, size_t n_own, uint16_t own_port)
{
    if (!a->port || !tl_addr_on_link(a, own, n_own))
        return false;
    if (!tl_addr_is_link_local(a))
        return tl_candidate_allowed(a, own, n_own, own_port);
    for (size_t i = 0; i < n_own; i++)
        if (is_own(a, &own[i], own_port) || is_broadcast(a, &own[i]))
            return false;
    return true;
}

bool tl_addr_beside(const tl_addr *a, const tl_interface *own, size_t n_own, tl_addr *ret_own)
{
    for (size_t i = 0; i < n_own; i++)
        if (on_subnet(a, &own[i])) {
            *ret_own = own[i].addr;
            ret_own->port = 0;
            return true;
        }
    return false;
}

bool tl_candidate_allowed(const tl_addr *a, const tl_interface *own, size_t n_own,
                          uint16_t own_port)
{
    tl_addr n = tl_addr_normal(*a);
    if (n.scope != 0 || tl_addr_kind_of(&n) == TL_ADDR_FORBIDDEN)
        return false;
    for (size_t i = 0; i < n_own; i++) {
        bool ours = n.family == own[i].addr.family &&
                    memcmp(n.bytes, own[i].addr.bytes, sizeof n.bytes) == 0;
        if ((ours && n.port == own_port) || (!ours && is_broadcast(&n, &own[i])))
            return false;
    }
    return true;
}

bool tl_addr_on_link(const tl_addr *a, const tl_interface *own, size_t n_own)
{
    tl_addr n = tl_addr_normal(*a);
    uint8_t longest = 0;
    bool tunnel = true;
    for (size_t i = 0; i < n_own; i++) {
        if (!on_subnet(&n, &own[i]) || own[i].prefix < longest)
            continue;
        /* of two that are as long, the tunnel's: such an address may be anywhere */
        tunnel = own[i].tunnel || (tunnel && own[i].prefix == longest);
        longest = own[i].prefix;
    }
    return !tunnel;
}

bool tl_addr_on_link_of(const tl_addr *a, unsigned index, const tl_interface *own, size_t n_own)
{
    tl_addr n = tl_addr_normal(*a);
    uint8_t longest = 0;
    bool there = false;
    for (size_t i = 0; i < n_own; i++) {
        if (!on_subnet(&n, &own[i]) || own[i].prefix < longest)
            continue;
        there = own[i].index == index || (there && own[i].prefix == longest);
        longest = own[i].prefix;
    }
    return index && there;
}

/* --- ours --- */

typedef struct {
    tl_candidate *list;
    size_t n, max;
} gathering;

static bool add(gathering *g, tl_candidate_kind kind, tl_addr a, unsigned index)
{
    a = tl_addr_normal(a);
    if (g->n == g->max || a.scope != 0 || tl_addr_kind_of(&a) == TL_ADDR_FORBIDDEN)
        return false;
    for (size_t i = 0; i < g->n; i++)
        if (tl_addr_eq(&g->list[i].addr, &a))
            return false;
    g->list[g->n++] =
        (tl_candidate){.kind = kind, .addr = a, .priority = tl_candidate_priority(kind, &a, index)};
    return true;
}

static void add_hosts(gathering *g, const tl_candidate_sources *s)
{
    unsigned index4 = 0, index6 = 0;
    for (size_t i = 0; i < s->n_interfaces; i++) {
        tl_addr a = s->interfaces[i].addr;
        bool v6 = a.family == TL_ADDR_V6;
        a.port = v6 ? s->port6 : s->port4;
        unsigned *index = v6 ? &index6 : &index4;
        *index += add(g, TL_CANDIDATE_HOST, a, *index);
    }
}

/* Stable, so that equal candidates keep their order. */
static void sort(tl_candidate *list, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        tl_candidate c = list[i];
        size_t at = i;
        for (; at > 0 && list[at - 1].priority < c.priority; at--)
            list[at] = list[at - 1];
        list[at] = c;
    }
}

size_t tl_candidates_gather(const tl_candidate_sources *s,
                            tl_candidate ret_candidates[TL_CANDIDATES_MAX])
{
    /* a host's many bridges never crowd out the addresses that reach us from outside */
    const size_t outside = 3;
    gathering g = {.list = ret_candidates, .max = TL_CANDIDATES_MAX - outside};
    add_hosts(&g, s);
    g.max = TL_CANDIDATES_MAX;
    add(&g, TL_CANDIDATE_MAPPED, s->mapped, 0);
    add(&g, TL_CANDIDATE_SERVER_REFLEXIVE, s->reflexive4, 0);
    add(&g, TL_CANDIDATE_SERVER_REFLEXIVE, s->reflexive6, 0);
    sort(g.list, g.n);
    return g.n;
}
