#include "quic/paths.h"

#define FIXED_ADDRESS 1 /* any constant is right */
#define FIXED_PORT    1

static struct sockaddr_in6 address(uint32_t id, uint16_t port, uint16_t fresh)
{
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&sin6.sin6_addr.s6_addr[0], &id, sizeof id);
    memcpy(&sin6.sin6_addr.s6_addr[sizeof id], &fresh, sizeof fresh);
    return sin6;
}

void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, const tl_quic_where *where)
{
    struct sockaddr_in6 carrier = address(where->path, where->use, where->fresh),
                        fixed = address(FIXED_ADDRESS, FIXED_PORT, 0);
    const struct sockaddr *local = (const struct sockaddr *)(client ? &carrier : &fixed);
    const struct sockaddr *remote = (const struct sockaddr *)(client ? &fixed : &carrier);
    ngtcp2_path_storage_init(ret_ps, local, sizeof carrier, remote, sizeof fixed, NULL);
}

tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client)
{
    struct sockaddr_in6 sin6;
    tl_path_id id;
    memcpy(&sin6, client ? path->local.addr : path->remote.addr, sizeof sin6);
    memcpy(&id, &sin6.sin6_addr.s6_addr[0], sizeof id);
    return id;
}
