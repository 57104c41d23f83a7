#include "quic/paths.h"

#define FIXED_ADDRESS UINT32_C(0x64400001) /* 100.64.0.1, but any constant is right */
#define FIXED_PORT    1

static struct sockaddr_in address(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

void tl_quic_path_set(ngtcp2_path_storage *ret_ps, bool client, tl_path_id id, uint16_t use)
{
    struct sockaddr_in carrier = address(id, use), fixed = address(FIXED_ADDRESS, FIXED_PORT);
    const struct sockaddr *local = (const struct sockaddr *)(client ? &carrier : &fixed);
    const struct sockaddr *remote = (const struct sockaddr *)(client ? &fixed : &carrier);
    ngtcp2_path_storage_init(ret_ps, local, sizeof carrier, remote, sizeof fixed, NULL);
}

tl_path_id tl_quic_path_get(const ngtcp2_path *path, bool client)
{
    struct sockaddr_in sin;
    memcpy(&sin, client ? path->local.addr : path->remote.addr, sizeof sin);
    return ntohl(sin.sin_addr.s_addr);
}
