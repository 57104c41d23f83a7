/* The header of the PROXY protocol: what is taken does not depend on how it was cut, ends where it
 * says, and names a client that could connect. The same bytes as X-Forwarded-For, and as a trusted
 * network, which is taken again as it is shown. */
#include "wire/forwarded.h"
#include "wire/proxyhead.h"

#include <stdio.h>
#include <stdlib.h>

static void check_client(const tl_addr *a)
{
    tl_addr normal = tl_addr_normal(*a);
    if (!tl_proxyhead_is_client(a) || a->scope || !tl_addr_eq(&normal, a))
        abort();
}

static void try_head(tl_slice all)
{
    tl_proxyhead whole, cut;
    tl_err e = tl_proxyhead_parse(all, &whole), of_cut = TL_ERR_SHORT;
    size_t n = 0;
    while (of_cut == TL_ERR_SHORT && n < all.n)
        of_cut = tl_proxyhead_parse(tl_slice_of(all.p, ++n), &cut);
    if (n && e != of_cut)
        abort();
    if (e == TL_ERR_SHORT && all.n >= TL_PROXYHEAD_MAX)
        abort();
    if (e)
        return;
    if (whole.n != n || cut.n != n || whole.has_client != cut.has_client ||
        !tl_proxyhead_begins(all))
        abort();
    if (whole.has_client)
        check_client(&whole.client);
}

static void try_forwarded(const uint8_t *data, size_t n)
{
    tl_proxies trusted = {0};
    tl_why why;
    tl_addr client;
    tl_http1_head head = {
        .header_count = 2,
        .headers = {{TL_SLICE_LIT("X-Forwarded-For"), tl_slice_of(data, n / 2)},
                    {TL_SLICE_LIT("x-forwarded-for"), tl_slice_of(data + n / 2, n - n / 2)}}};
    if (tl_proxies_add(&trusted, "10.0.0.0/8", &why) || tl_proxies_add(&trusted, "fd00::/8", &why))
        abort();
    if (!tl_forwarded_client(&head, &trusted, &client))
        check_client(&client);
}

static void try_network(const uint8_t *data, size_t n)
{
    char text[80], ip[TL_ADDR_TEXT_MAX], again[TL_ADDR_TEXT_MAX + 8];
    static tl_proxies p;
    tl_why why;
    if (!n || n >= sizeof text || memchr(data, 0, n))
        return;
    memcpy(text, data, n);
    text[n] = 0;
    p.count = 0;
    if (tl_proxies_add(&p, text, &why))
        return;
    tl_addr_write_ip(ip, &p.list[0].net);
    snprintf(again, sizeof again, "%s/%u", ip, p.list[0].bits);
    if (!tl_proxies_has(&p, &p.list[0].net) || tl_proxies_add(&p, again, &why) ||
        !tl_addr_eq(&p.list[0].net, &p.list[1].net) || p.list[0].bits != p.list[1].bits)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 2 * TL_PROXYHEAD_MAX)
        return 0;
    try_head(tl_slice_of(data, n));
    try_forwarded(data, n);
    try_network(data, n);
    return 0;
}
