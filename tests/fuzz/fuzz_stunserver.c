/* The STUN server, fed a site, a sender and a datagram: whatever it answers is a STUN message to
 * that transaction, bounded, from a socket that exists, and to no address that is nobody's. */
#include "relay/stunserver.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define HEAD 20 /* flags, port, address, socket */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static tl_addr local_of(bool v6, size_t index)
{
    tl_addr a = {.family = v6 ? TL_ADDR_V6 : TL_ADDR_V4,
                 .port = (uint16_t)(3478 + (index & 1)),
                 .bytes = {v6 ? 0x20 : 192, v6 ? 0x01 : 0}};
    a.bytes[v6 ? 15 : 3] = (uint8_t)(1 + index / 2);
    return a;
}

static void check_answer(const tl_stun_site *site, const tl_addr *from, tl_slice datagram,
                         const tl_stun_answer *answer)
{
    tl_stun asked, told;
    const tl_stun_writer *m = &answer->message;
    size_t headers = from->family == TL_ADDR_V6 ? 48 : 28;
    check(answer->socket < site->n);
    check(headers + m->n <= TL_STUNSERVER_FACTOR * (headers + datagram.n));
    check(tl_stun_read(datagram, &asked) == TL_OK && asked.class == TL_STUN_REQUEST);
    check(tl_stun_read(tl_slice_of(m->bytes, m->n), &told) == TL_OK);
    check(memcmp(&asked.id, &told.id, sizeof asked.id) == 0);
    check(told.class == TL_STUN_ERROR
              ? told.error == 420 && told.n_unknown == 0
              : told.class == TL_STUN_SUCCESS && tl_addr_same_ip(&told.mapped, from) &&
                    told.mapped.port == from->port);
    check(told.fingerprint == asked.fingerprint);
    check(from->port != 0 && !tl_addr_is_loopback(from) && !tl_addr_is_unspecified(from));
    check(from->family == TL_ADDR_V6 ? from->bytes[0] != 0xFF : from->bytes[0] < 224);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD)
        return 0;
    static tl_stunserver *server; /* one for all: its table is large */
    static tl_time now = TL_SEC;
    tl_stun_answer answer;
    bool v6 = data[0] & 1;
    tl_stun_site site = {.n = data[0] & 2 ? 4 : 1};
    for (size_t i = 0; i < site.n; i++)
        site.addr[i] = local_of(v6, i);
    tl_addr from = {.family = v6 ? TL_ADDR_V6 : TL_ADDR_V4,
                    .port = (uint16_t)(data[1] << 8 | data[2])};
    memcpy(from.bytes, data + 3, v6 ? 16 : 4);
    size_t socket = data[19] % site.n;
    tl_slice datagram = tl_slice_of(data + HEAD, n - HEAD);
    if (!server && tl_stunserver_new(&server))
        return 0;
    now += TL_SEC;
    for (int i = 0; i < 3; i++)
        if (tl_stunserver_on_datagram(server, &site, socket, &from, &site.addr[socket], datagram,
                                      now, &answer))
            check_answer(&site, &from, datagram, &answer);
    return 0;
}
