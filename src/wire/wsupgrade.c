#include "wire/wsupgrade.h"

#include "base/base64.h"

bool tl_ws_upgrade_is(const tl_http1_head *request)
{
    return tl_http1_header_lists(request, "upgrade", "websocket");
}

int tl_ws_upgrade_check(const tl_http1_head *request, char ret_accept[TL_WS_ACCEPT_SIZE])
{
    size_t keys, versions;
    tl_slice key = tl_http1_header_find(request, "sec-websocket-key", &keys);
    tl_slice version = tl_http1_header_find(request, "sec-websocket-version", &versions);
    if (!tl_slice_eq(request->method, TL_SLICE_LIT("GET")))
        return 405;
    if (request->minor != 1 || request->chunked || request->content_length ||
        !tl_ws_upgrade_is(request) || !tl_http1_header_lists(request, "connection", "upgrade") ||
        keys != 1 || versions != 1)
        return 400;
    if (!tl_slice_eq(version, TL_SLICE_LIT("13")))
        return 426;
    return tl_ws_accept_key(key, ret_accept) ? 400 : 0;
}

tl_err tl_ws_upgrade_answer(tl_buf *out, const char *accept)
{
    return tl_buf_printf(out,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
}

tl_err tl_ws_upgrade_ask(tl_buf *out, tl_rand *rand, const char *authority, const char *target,
                         char ret_key[TL_WS_KEY_SIZE])
{
    uint8_t raw[16];
    tl_rand_bytes(rand, raw, sizeof raw);
    tl_base64_write((uint8_t *)ret_key, tl_slice_of(raw, sizeof raw));
    ret_key[TL_WS_KEY_SIZE - 1] = 0;
    return tl_buf_printf(out,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                         "Sec-WebSocket-Version: 13\r\n\r\n",
                         target, authority, ret_key);
}

tl_err tl_ws_upgrade_confirm(const tl_http1_head *response, const char *key)
{
    char expected[TL_WS_ACCEPT_SIZE];
    size_t accepts, extensions, protocols;
    tl_slice accept = tl_http1_header_find(response, "sec-websocket-accept", &accepts);
    tl_http1_header_find(response, "sec-websocket-extensions", &extensions);
    tl_http1_header_find(response, "sec-websocket-protocol", &protocols);
    if (response->status != 101 || !tl_http1_header_lists(response, "upgrade", "websocket") ||
        !tl_http1_header_lists(response, "connection", "upgrade") || accepts != 1 || extensions ||
        protocols || tl_ws_accept_key(tl_slice_str(key), expected) ||
        !tl_slice_eq(accept, tl_slice_str(expected)))
        return TL_ERR_PROTO;
    return TL_OK;
}
