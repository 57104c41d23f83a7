#include "token_host.h"

#include <stdlib.h>

static void send_udp(const token_host *h, const tl_addr *to, const uint8_t *data, size_t n)
{
    if (!h->silent)
        sim_inet_send(h->host, 1, &h->site.addr[0], to, data, n);
}

static void send_bursts(void *user, const tl_bursts *bursts)
{
    struct iovec pieces[TL_BURST_SEGMENTS_MAX];
    for (size_t i = 0; i < bursts->n; i++) {
        size_t n = tl_bursts_gather(bursts, &bursts->items[i], pieces);
        for (size_t k = 0; k < n; k++)
            send_udp(user, &bursts->items[i].way.remote, pieces[k].iov_base, pieces[k].iov_len);
    }
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    token_host *h = user;
    tl_addr from, to;
    tl_slice payload;
    tl_stun_answer answer;
    (void)path;
    if (h->silent || !sim_inet_read(data, n, &from, &to, &payload) || !payload.n)
        return;
    if (tl_relay_takes(payload.p[0])) {
        tl_burst_way way = {.remote = from, .local = to};
        tl_relay_on_datagrams(h->relay->relay, &way, data + (payload.p - data), payload.n,
                              payload.n, sim_now(h->sim));
        relay_host_drain(h->relay);
    } else if (tl_stunserver_on_datagram(h->stun, &h->site, 0, &from, &to, payload, sim_now(h->sim),
                                         &answer)) {
        send_udp(h, &from, answer.message.bytes, answer.message.n);
    }
}

static void nothing(void *user)
{
    (void)user;
}

static tl_time never(void *user)
{
    (void)user;
    return TL_NEVER;
}

token_host *token_host_new(sim *s, sim_inet *in, relay_host *r, const char *ip, tl_time delay)
{
    static const sim_host_ops ops = {on_datagram, nothing, never, nothing};
    token_host *h = calloc(1, sizeof *h);
    sim_faults faults = {.delay = delay};
    if (!h || tl_stunserver_new(&h->stun))
        abort();
    h->sim = s;
    h->relay = r;
    h->host = sim_host_new(s, &ops, h);
    sim_inet_join(in, h->host, 1, NULL, ip, &faults);
    h->site.addr[h->site.n++] = sim_addr(ip, TL_STUN_PORT);
    r->udp = h->site.addr[0];
    r->send_bursts = send_bursts;
    r->bursts_user = h;
    relay_host_restart(r);
    return h;
}

void token_host_free(token_host *h)
{
    h->relay->send_bursts = NULL;
    tl_stunserver_free(h->stun);
    free(h);
}

const tl_tokens_counters *token_host_counters(const token_host *h)
{
    return tl_relay_datagrams_of(h->relay->relay);
}

uint64_t token_host_by_udp(const token_host *h)
{
    const tl_tokens_counters *c = token_host_counters(h);
    return c->packets[TL_TOKENS_BY_UDP][TL_TOKENS_BY_UDP] +
           c->packets[TL_TOKENS_BY_STREAM][TL_TOKENS_BY_UDP];
}
