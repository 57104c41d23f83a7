/* The first byte chooses the kind of proxy; the rest is its answer, in one piece and byte by byte. A
 * tunnel that stands must have been answered to the last byte, and a verdict must not hang on how the
 * answer was cut where the proxy speaks when it is asked. Whatever the answer, no login is told. */
#include "wire/http1.h"
#include "wire/proxytalk.h"

#include <stdlib.h>

static tl_err converse(const tl_proxy *proxy, const uint8_t *data, size_t n, size_t step)
{
    tl_proxytalk t;
    tl_buf out = {0};
    tl_why why = {""};
    tl_err e = TL_ERR_AGAIN;
    if (tl_proxytalk_start(&t, proxy, "relay.example.org", 443, &out))
        abort();
    for (size_t i = 0; e == TL_ERR_AGAIN && i < n; i += step) {
        size_t part = n - i < step ? n - i : step;
        e = tl_proxytalk_on_bytes(&t, tl_slice_of(data + i, part), &out, &why);
        if (t.in.len > TL_HTTP1_HEAD_MAX + step)
            abort();
        if (e && e != TL_ERR_AGAIN && (!why.text[0] || strstr(why.text, "sesame")))
            abort();
        if ((e == TL_OK) != (t.state == TL_PROXYTALK_OPEN))
            abort();
    }
    if (out.len > 2048)
        abort();
    if (e == TL_ERR_AGAIN && tl_proxytalk_on_end(&t, &why) == TL_OK)
        abort();
    tl_proxytalk_clear(&t);
    tl_buf_clear(&out);
    return e;
}

/* As text of the environment: what is taken must be shown, and taken again as it is shown. */
static void try_url(const uint8_t *data, size_t n)
{
    char text[512], shown[TL_PROXY_SHOWN_MAX], again[TL_PROXY_SHOWN_MAX];
    tl_proxy p;
    tl_why why;
    if (n >= sizeof text || (n && memchr(data, 0, n)))
        return;
    if (n)
        memcpy(text, data, n);
    text[n] = 0;
    (void)tl_proxy_exempt(text, "relay.example.org");
    (void)tl_proxy_exempt(text, "2001:db8::1");
    if (tl_proxy_parse(text, &p, &why))
        return;
    tl_proxy_show(shown, &p);
    if (tl_proxy_parse(shown, &p, &why) || p.has_login)
        abort();
    tl_proxy_show(again, &p);
    if (strcmp(shown, again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const urls[] = {"http://proxy:3128", "http://ali:sesame@proxy:3128",
                                       "socks5h://proxy:1080", "socks5h://ali:sesame@proxy:1080"};
    tl_proxy proxy;
    tl_why why;
    if (!n)
        return 0;
    try_url(data, n);
    if (tl_proxy_parse(urls[data[0] % 4], &proxy, &why))
        abort();
    tl_err whole = converse(&proxy, data + 1, n - 1, n);
    tl_err cut = converse(&proxy, data + 1, n - 1, 1);
    if (proxy.kind == TL_PROXY_HTTP && whole == TL_OK && cut != TL_OK)
        abort();
    return 0;
}
