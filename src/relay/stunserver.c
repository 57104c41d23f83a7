#include "relay/stunserver.h"

#include "base/ratelimit.h"
#include "base/table.h"
#include "relay/reach.h"

#include <stdlib.h>

#define HEADERS_V4     28u /* bytes of the IP and UDP headers */
#define HEADERS_V6     48u
#define FINGERPRINT    8u /* bytes of this attribute */
#define CHANGE_REQUEST 0x0003

/* How much one address, or one IPv6 /64, may still be sent. */
typedef struct {
    tl_addr_family family; /* NONE: this entry is free */
    uint64_t net;
    tl_ratelimit limit;
} customer;

struct tl_stunserver {
    tl_stun_counters counters;
    customer customers[TL_STUNSERVER_SETS][TL_STUNSERVER_SET_SIZE];
};

tl_err tl_stunserver_new(tl_stunserver **ret_server)
{
    tl_stunserver *s = calloc(1, sizeof *s);
    if (!s)
        return TL_ERR_NOMEM;
    *ret_server = s;
    return TL_OK;
}

void tl_stunserver_free(tl_stunserver *s)
{
    free(s);
}

static bool drop(tl_stunserver *s, tl_stun_drop why)
{
    s->counters.dropped[why]++;
    return false;
}

/* --- who may be answered --- */

/* Finds the entry of an address. If its set is full, the least recently used entry is replaced. So
 * a flood of forged addresses makes the server forget other addresses sooner, and these may then be
 * sent a new burst. On average this takes as many forged addresses as the table holds. The other
 * choice, to refuse an address for which there is no room, would let the flood deny the service to
 * everyone. */
static customer *find_customer(tl_stunserver *s, const tl_addr *from, tl_time now)
{
    uint8_t key[9] = {(uint8_t)from->family};
    memcpy(key + 1, from->bytes, from->family == TL_ADDR_V4 ? 4 : 8);
    uint64_t net;
    memcpy(&net, key + 1, sizeof net);
    unsigned at = tl_table_hash(key, sizeof key) % TL_STUNSERVER_SETS;
    customer *set = s->customers[at], *oldest = set;
    for (size_t i = 0; i < TL_STUNSERVER_SET_SIZE; i++) {
        if (set[i].family == from->family && set[i].net == net)
            return &set[i];
        if (set[i].family == TL_ADDR_NONE ||
            (oldest->family != TL_ADDR_NONE && set[i].limit.at < oldest->limit.at))
            oldest = &set[i];
    }
    *oldest =
        (customer){.family = from->family,
                   .net = net,
                   .limit = tl_ratelimit_make(TL_STUNSERVER_PER_SEC, TL_STUNSERVER_BURST, now)};
    return oldest;
}

/* --- the answer --- */

/* How many bytes an answer may have. */
static size_t budget_for(tl_slice request, const tl_addr *from)
{
    size_t headers = from->family == TL_ADDR_V4 ? HEADERS_V4 : HEADERS_V6;
    return TL_STUNSERVER_FACTOR * (headers + request.n) - headers;
}

static void write_success(const tl_stun_site *site, size_t at, const tl_addr *from,
                          const tl_addr *asked, const tl_stun *request, size_t budget,
                          tl_stun_answer *ret)
{
    tl_stun_writer *w = &ret->message;
    size_t one = from->family == TL_ADDR_V4 ? 12 : 24; /* bytes of one address attribute */
    const tl_addr *origin = site->n == 1 ? asked : &site->addr[ret->socket];
    if (request->fingerprint)
        budget -= FINGERPRINT;
    tl_stun_begin(w, TL_STUN_SUCCESS, &request->id);
    tl_stun_put_xor_mapped(w, from);
    if (site->n == 4 && w->n + one <= budget)
        tl_stun_put_other(w, &site->addr[at ^ (TL_STUN_OTHER_ADDRESS | TL_STUN_OTHER_PORT)]);
    /* Both together are too long only for the shortest request over IPv6: 20 bytes, without
     * attributes. */
    if (w->n + one <= budget)
        tl_stun_put_origin(w, origin);
}

static void write_unknown(const tl_stun *request, const uint16_t *types, size_t n,
                          tl_stun_writer *w)
{
    tl_stun_begin(w, TL_STUN_ERROR, &request->id);
    tl_stun_put_error(w, 420, "Unknown Attribute");
    tl_stun_put_unknown(w, types, n);
}

/* Lists the attributes that this server does not understand. */
static size_t list_unknown(const tl_stun_site *site, const tl_stun *request,
                           uint16_t ret_types[TL_STUN_UNKNOWN_MAX])
{
    size_t n = request->n_unknown;
    memcpy(ret_types, request->unknown, n * sizeof *ret_types);
    bool asks_other = request->change_ip || request->change_port;
    if (asks_other && site->n == 1 && n < TL_STUN_UNKNOWN_MAX)
        ret_types[n++] = CHANGE_REQUEST;
    return n;
}

static void write_answer(tl_stunserver *s, const tl_stun_site *site, size_t at, const tl_addr *from,
                         const tl_addr *asked, const tl_stun *request, size_t budget,
                         tl_stun_answer *ret)
{
    uint16_t unknown[TL_STUN_UNKNOWN_MAX];
    size_t n = list_unknown(site, request, unknown);
    ret->socket = at;
    if (n) {
        s->counters.errors++;
        write_unknown(request, unknown, n, &ret->message);
    } else {
        if (request->change_ip)
            ret->socket ^= TL_STUN_OTHER_ADDRESS;
        if (request->change_port)
            ret->socket ^= TL_STUN_OTHER_PORT;
        write_success(site, at, from, asked, request, budget, ret);
    }
    if (request->fingerprint)
        tl_stun_finish(&ret->message);
}

bool tl_stunserver_on_datagram(tl_stunserver *s, const tl_stun_site *site, size_t socket,
                               const tl_addr *from, const tl_addr *asked, tl_slice datagram,
                               tl_time now, tl_stun_answer *ret_answer)
{
    tl_stun request;
    s->counters.datagrams++;
    s->counters.bytes_in += datagram.n;
    if (!tl_reach_is_allowed(from, asked))
        return drop(s, TL_STUN_DROP_ADDRESS);
    if (tl_stun_read(datagram, &request))
        return drop(s, TL_STUN_DROP_MALFORMED);
    if (request.class != TL_STUN_REQUEST)
        return drop(s, TL_STUN_DROP_NOT_REQUEST);
    s->counters.requests++;
    if (!tl_ratelimit_take(&find_customer(s, from, now)->limit, 1, now))
        return drop(s, TL_STUN_DROP_RATE);
    write_answer(s, site, socket, from, asked, &request, budget_for(datagram, from), ret_answer);
    return true;
}

void tl_stunserver_on_sent(tl_stunserver *s, const tl_stun_answer *answer, bool sent)
{
    if (!sent) {
        (void)drop(s, TL_STUN_DROP_UNSENT);
        return;
    }
    s->counters.answers++;
    s->counters.bytes_out += answer->message.n;
}

/* --- what operators see --- */

const tl_stun_counters *tl_stunserver_counters(const tl_stunserver *s)
{
    return &s->counters;
}
