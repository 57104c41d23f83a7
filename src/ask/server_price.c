/* The price of a request, agreed on before any work. */
#include "ask/server_state.h"
#include "market/bid.h"

#include <stdio.h>

/* Where the request tells a version alone, it has seen the price of that version. */
static tl_maybe seen_by(const tl_ask *a, int64_t now, int64_t version)
{
    bool same = a->price_version.given && a->price_version.value == version;
    return !a->price.given && same ? tl_maybe_of(now) : a->price;
}

bool tl_request_agree(tl_request *r)
{
    tl_server *s = r->server;
    tl_ask *a = &r->ask;
    int64_t version = 0;
    if (!s->backend.price) {
        a->price = a->price_version = (tl_maybe){0};
        return true;
    }
    int64_t now = s->backend.price(s->backend_user, a, &version);
    tl_price_verdict verdict = tl_price_agree(now, seen_by(a, now, version), a->max_price);
    if (verdict == TL_PRICE_AGREED) {
        a->price = tl_maybe_of(now);
        a->price_version = tl_maybe_of(version);
        return true;
    }
    char why[128];
    if (verdict == TL_PRICE_ABOVE)
        snprintf(why, sizeof why,
                 "the price is %lld micro-credits for 1000 tokens, above your maximum of %lld",
                 (long long)now, (long long)a->max_price.value);
    else
        snprintf(why, sizeof why, "the price is %lld micro-credits for 1000 tokens now",
                 (long long)now);
    s->counters.refused++;
    tl_request_send_error(r, TL_REQUEST_REFUSED,
                          &(tl_failure){.fail = TL_FAIL_PAYMENT_REQUIRED,
                                        .message = why,
                                        .price = tl_maybe_of(now),
                                        .price_version = tl_maybe_of(version)});
    return false;
}
