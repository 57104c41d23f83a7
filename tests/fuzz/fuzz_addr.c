/* Addresses and hosts as people and peers write them. */
#include "base/addr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void address(tl_slice text)
{
    tl_addr a, b;
    char written[TL_ADDR_TEXT_MAX];
    struct sockaddr_storage ss;
    if (tl_addr_parse(text, &a))
        return;
    tl_addr_write(written, &a);
    if (tl_addr_parse(tl_slice_str(written), &b) || !tl_addr_eq(&a, &b))
        abort();
    tl_addr_to_sockaddr(&a, &ss);
    b = tl_addr_from_sockaddr((struct sockaddr *)&ss);
    if (!tl_addr_eq(&a, &b))
        abort();
}

static void host(tl_slice text)
{
    char name[TL_HOST_MAX], again[TL_HOST_MAX];
    uint16_t port, port_again;
    tl_buf written = {0};
    if (tl_hostport_parse(text, 1234, name, &port))
        return;
    bool v6 = strchr(name, ':') != NULL;
    if (tl_buf_printf(&written, v6 ? "[%s]:%u" : "%s:%u", name, port) ||
        tl_hostport_parse(tl_buf_slice(&written), 0, again, &port_again) ||
        strcmp(name, again) != 0 || port != port_again)
        abort();
    tl_buf_clear(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tl_slice text = tl_slice_of(data, n);
    tl_addr a, b;
    char written[TL_ADDR_TEXT_MAX];
    address(text);
    host(text);
    if (tl_addr_parse_ip(text, &a) == TL_OK) {
        tl_addr_write_ip(written, &a);
        if (tl_addr_parse_ip(tl_slice_str(written), &b) || !tl_addr_eq(&a, &b))
            abort();
    }
    return 0;
}
