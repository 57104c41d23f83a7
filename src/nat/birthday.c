#include "nat/birthday.h"

#include <stdlib.h>

#define CATCH_UP 3 /* probes sent at once, after the one that is due */

typedef struct {
    uint64_t id;
    tl_time at;
    tl_sock sock;
    uint16_t port;
} question;

struct tl_birthday {
    tl_addr remote;
    tl_sock sock;   /* of GUESS; 0: we are OPEN */
    size_t n_socks; /* of OPEN */
    tl_time began, ends;
    tl_time next_at; /* TL_NEVER: everything was sent */
    unsigned sent;
    tl_sock socks[TL_BIRTHDAY_SOCKETS];
    question asked[TL_BIRTHDAY_PROBES];
};

static tl_err search_new(const tl_addr *remote, tl_time now, tl_birthday **ret_search)
{
    tl_birthday *b = calloc(1, sizeof *b);
    if (!b)
        return TL_ERR_NOMEM;
    b->remote = *remote;
    b->began = b->next_at = now;
    b->ends = now + TL_BIRTHDAY_WITHIN;
    *ret_search = b;
    return TL_OK;
}

tl_err tl_birthday_open(const tl_addr *remote, const tl_sock *socks, size_t n, tl_time now,
                        tl_birthday **ret_search)
{
    tl_birthday *b;
    tl_err e = search_new(remote, now, &b);
    if (e)
        return e;
    b->n_socks = n < TL_BIRTHDAY_SOCKETS ? n : TL_BIRTHDAY_SOCKETS;
    if (b->n_socks)
        memcpy(b->socks, socks, b->n_socks * sizeof *socks);
    else
        b->next_at = TL_NEVER;
    *ret_search = b;
    return TL_OK;
}

tl_err tl_birthday_guess(const tl_addr *remote, tl_sock sock, tl_time now, tl_birthday **ret_search)
{
    tl_birthday *b;
    tl_err e = search_new(remote, now, &b);
    if (e)
        return e;
    b->sock = sock;
    *ret_search = b;
    return TL_OK;
}

void tl_birthday_free(tl_birthday *b)
{
    free(b);
}

static bool port_was_asked(const tl_birthday *b, uint16_t port)
{
    if (port == b->remote.port)
        return true;
    for (unsigned i = 0; i < b->sent; i++)
        if (b->asked[i].port == port)
            return true;
    return false;
}

/* At most 1024 of 64512 are taken, so a few draws are enough. */
static uint16_t draw_port(const tl_birthday *b, tl_rand *rand)
{
    uint16_t port;
    do
        port = (uint16_t)(TL_BIRTHDAY_PORT_MIN + tl_rand_below(rand, 65536 - TL_BIRTHDAY_PORT_MIN));
    while (port_was_asked(b, port));
    return port;
}

/* When the next probe of a row is due: `pace` after the last. A late timer's missed probes are
 * caught up with, a few at a time. */
static tl_time next_in_row(const tl_birthday *b, tl_time pace, tl_time now)
{
    tl_time next = b->next_at + pace;
    return next + CATCH_UP * pace < now ? now - CATCH_UP * pace : next;
}

static void plan_next(tl_birthday *b, tl_time now)
{
    if (b->sock)
        b->next_at =
            b->sent < TL_BIRTHDAY_PROBES ? next_in_row(b, TL_BIRTHDAY_PACE, now) : TL_NEVER;
    else if (b->sent == b->n_socks) /* the first round is through */
        b->next_at = b->began + TL_BIRTHDAY_AGAIN;
    else if (b->sent < 2 * b->n_socks)
        b->next_at = next_in_row(b, TL_BIRTHDAY_OPENING, now);
    else
        b->next_at = TL_NEVER;
}

bool tl_birthday_next(tl_birthday *b, tl_rand *rand, tl_time now, tl_birthday_probe *ret_probe)
{
    if (now < b->next_at || now >= b->ends)
        return false;
    question *q = &b->asked[b->sent];
    q->sock = b->sock ? b->sock : b->socks[b->sent % b->n_socks];
    q->port = b->sock ? draw_port(b, rand) : b->remote.port;
    do
        q->id = tl_rand_u64(rand);
    while (!q->id);
    q->at = now;
    b->sent++;
    plan_next(b, now);

    ret_probe->sock = q->sock;
    ret_probe->to = b->remote;
    ret_probe->to.port = q->port;
    ret_probe->id = q->id;
    return true;
}

tl_time tl_birthday_expiry(const tl_birthday *b)
{
    return tl_time_min(b->next_at, b->ends);
}

bool tl_birthday_over(const tl_birthday *b, tl_time now)
{
    return now >= b->ends;
}

void tl_birthday_delay(tl_birthday *b, tl_time span)
{
    b->began += span;
    b->ends += span;
    if (b->next_at != TL_NEVER)
        b->next_at += span;
    for (unsigned i = 0; i < b->sent; i++)
        b->asked[i].at += span;
}

bool tl_birthday_asked(const tl_birthday *b, uint64_t id, tl_sock sock, const tl_addr *from,
                       tl_time *ret_at)
{
    for (unsigned i = 0; i < b->sent; i++) {
        const question *q = &b->asked[i];
        if (q->id == id && q->sock == sock && q->port == from->port &&
            tl_addr_same_ip(&b->remote, from)) {
            *ret_at = q->at;
            return true;
        }
    }
    return false;
}

bool tl_birthday_is_sock(const tl_birthday *b, tl_sock sock)
{
    for (size_t i = 0; i < b->n_socks; i++)
        if (b->socks[i] == sock)
            return true;
    return false;
}

bool tl_birthday_is_place(const tl_birthday *b, tl_sock sock, const tl_addr *from)
{
    if (b->sock)
        return sock == b->sock && tl_addr_same_ip(&b->remote, from);
    return tl_birthday_is_sock(b, sock);
}

size_t tl_birthday_sockets(const tl_birthday *b)
{
    return b->n_socks;
}

unsigned tl_birthday_sent(const tl_birthday *b)
{
    return b->sent;
}
