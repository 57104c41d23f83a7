#include "io/loop_uv.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

struct tl_resolve {
    uv_getaddrinfo_t req;
    tl_loop *loop;
    void (*on_done)(void *user, const tl_addr *addrs, size_t n, const char *why);
    void *user;
    tl_defer literal_done; /* an IP literal needs no look-up; its on_done is only called later */
    tl_addr literal;
    uint16_t port;
    bool looking;   /* the helper thread may still call back */
    bool in_done;   /* on_done is running */
    bool cancelled; /* its owner freed it; the memory is freed when both of the above are false */
    char host[TL_HOST_MAX];
};

static void finish(tl_resolve *r, const tl_addr *addrs, size_t n, const char *why)
{
    r->in_done = true;
    r->on_done(r->user, addrs, n, why);
    r->in_done = false;
    if (r->cancelled)
        free(r);
}

static const char *reason(int status)
{
    switch (status) {
    case UV_EAI_NONAME:
    case UV_EAI_NODATA: return "no such name in the DNS";
    case UV_EAI_AGAIN: return "no name server answered; is this machine online?";
    case UV_EAI_FAIL: return "the name server refused to answer";
    default: return uv_strerror(status);
    }
}

static void on_addrinfo(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    tl_resolve *r = req->data;
    tl_loop_woke(r->loop);
    r->looking = false;
    tl_addr addrs[TL_RESOLVE_MAX];
    size_t n = 0;
    for (struct addrinfo *i = status ? NULL : list; i && n < TL_RESOLVE_MAX; i = i->ai_next) {
        tl_addr a = tl_addr_from_sockaddr(i->ai_addr);
        a.port = r->port;
        if (a.family != TL_ADDR_NONE)
            addrs[n++] = a;
    }
    uv_freeaddrinfo(list);
    if (r->cancelled) {
        free(r);
        return;
    }
    char why[TL_HOST_MAX + 128];
    snprintf(why, sizeof why, "cannot look up %s: %s", r->host,
             status ? reason(status) : "it has no address");
    finish(r, addrs, n, n ? NULL : why);
}

static void on_literal(void *user)
{
    tl_resolve *r = user;
    finish(r, &r->literal, 1, NULL);
}

tl_err tl_resolve_start(tl_loop *loop, const char *host, uint16_t port,
                        void (*on_done)(void *user, const tl_addr *addrs, size_t n,
                                        const char *why),
                        void *user, tl_resolve **ret_resolve)
{
    if (strlen(host) >= TL_HOST_MAX)
        return TL_ERR_TOO_LARGE;
    tl_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return TL_ERR_NOMEM;
    r->loop = loop;
    r->on_done = on_done;
    r->user = user;
    r->port = port;
    memcpy(r->host, host, strlen(host) + 1);
    r->req.data = r;
    if (tl_addr_parse_ip(tl_slice_str(host), &r->literal) == TL_OK) {
        r->literal.port = port;
        tl_loop_defer(loop, &r->literal_done, on_literal, r);
    } else {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        if (uv_getaddrinfo(tl_loop_uv(loop), &r->req, on_addrinfo, host, NULL, &hints)) {
            free(r);
            return TL_ERR_NOMEM;
        }
        r->looking = true;
    }
    *ret_resolve = r;
    return TL_OK;
}

void tl_resolve_free(tl_resolve *r)
{
    if (!r)
        return;
    tl_defer_cancel(r->loop, &r->literal_done);
    r->cancelled = true;
    if (r->looking)
        uv_cancel((uv_req_t *)&r->req); /* if the look-up runs already, its answer is thrown away */
    else if (!r->in_done)
        free(r);
}
