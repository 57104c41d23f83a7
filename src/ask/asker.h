/* asker.h - asks one peer one question: sends the request over a stream of its own and hands the
 * answer on as it comes. Sans-IO; which peer to ask is ask/router's affair. */
#ifndef TL_ASK_ASKER_H
#define TL_ASK_ASKER_H

#include "ask/exchange.h"
#include "ask/pay.h"
#include "base/env.h"
#include "peer/peers.h"

/* A peer that says that it works is waited for longer than times.first_byte, but not for longer
 * than this: its own limits end a question much earlier. */
#define TL_ASKER_PROGRESS_MAX (60 * TL_MIN)

typedef struct tl_asker tl_asker;

typedef struct {
    /* From the request, or the peer's last word that it works, to the head: 300 s. */
    tl_time first_byte;
    tl_time silence; /* between bytes of the answer: 120 s */
} tl_asker_times;

TL_CHECK tl_err tl_asker_new(const tl_env *env, tl_peers *peers, const tl_asker_times *times,
                             tl_asker **ret_asker);
/* Questions under way are given up without a word. Before tl_peers_free. */
void tl_asker_free(tl_asker *a);
/* times.first_byte as it is now. */
tl_time tl_asker_first_byte(const tl_asker *a);
void tl_asker_set_times(tl_asker *a, const tl_asker_times *times);
/* Borrowed for life; before the first question. */
void tl_asker_set_pay(tl_asker *a, const tl_pay *pay);

/* ask->peer is asked, with `model` as the model's name. ask->body is borrowed until the exchange
 * is over. TL_ERR_NOMEM, TL_ERR_BUSY. */
TL_CHECK tl_err tl_asker_ask(tl_asker *a, const tl_ask *ask, const char *model,
                             const tl_exchange_sink *sink, void *user, tl_exchange **ret_exchange);

/* Goes on with answers that were paused. */
void tl_asker_run(tl_asker *a);
void tl_asker_on_timer(tl_asker *a);
tl_time tl_asker_expiry(const tl_asker *a);

#endif
