#include "stun_host.h"

#include <stdlib.h>

#define OTHER_PORT (TL_STUN_PORT + 1)

static size_t socket_at(const stun_host *h, const tl_addr *a)
{
    for (size_t i = 0; i < h->site.n; i++)
        if (tl_addr_eq(&h->site.addr[i], a))
            return i;
    return h->site.n;
}

static void answer_falsely(stun_host *h, const tl_addr *at, const tl_addr *to, const tl_stun *stun)
{
    tl_stun_writer w;
    tl_stun_begin(&w, TL_STUN_SUCCESS, &stun->id);
    tl_stun_put_xor_mapped(&w, &h->lie);
    tl_stun_put_other(&w, &h->lie);
    tl_stun_finish(&w);
    sim_inet_send(h->host, 1, at, to, w.bytes, w.n);
}

static void on_datagram(void *user, uint32_t path, uint8_t *data, size_t n)
{
    stun_host *h = user;
    tl_addr from, to;
    tl_slice payload;
    tl_stun stun;
    tl_stun_answer answer;
    (void)path;
    if (!sim_inet_read(data, n, &from, &to, &payload))
        return;
    h->asked++;
    size_t socket = socket_at(h, &to);
    if (h->silent || socket == h->site.n)
        return;
    if (h->lies && tl_stun_read(payload, &stun) == TL_OK)
        answer_falsely(h, &to, &from, &stun);
    else if (tl_stunserver_on_datagram(h->server, &h->site, socket, &from, &to, payload,
                                       sim_now(h->sim), &answer))
        sim_inet_send(h->host, 1, &h->site.addr[answer.socket], &from, answer.message.bytes,
                      answer.message.n);
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

stun_host *stun_host_new(sim *s, sim_inet *in, const char *ip, const char *other_ip, tl_time delay)
{
    static const sim_host_ops ops = {on_datagram, nothing, never, nothing};
    stun_host *h = calloc(1, sizeof *h);
    sim_faults faults = {.delay = delay};
    if (!h || tl_stunserver_new(&h->server))
        abort();
    h->sim = s;
    h->host = sim_host_new(s, &ops, h);
    sim_inet_join(in, h->host, 1, NULL, ip, &faults);
    h->site.addr[h->site.n++] = sim_addr(ip, TL_STUN_PORT);
    if (other_ip) {
        sim_inet_join(in, h->host, 1, NULL, other_ip, &faults);
        h->site.addr[h->site.n++] = sim_addr(ip, OTHER_PORT);
        h->site.addr[h->site.n++] = sim_addr(other_ip, TL_STUN_PORT);
        h->site.addr[h->site.n++] = sim_addr(other_ip, OTHER_PORT);
    }
    return h;
}

void stun_host_free(stun_host *h)
{
    tl_stunserver_free(h->server);
    free(h);
}

tl_addr stun_host_addr(const stun_host *h)
{
    return h->site.addr[0];
}
