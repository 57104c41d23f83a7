/* birthday.h - the plan of a birthday search (docs/protocol.md "Direct paths"): which socket asks
 * which port next and when, and to which question an answer belongs. Knows no STUN and no pairs;
 * sends nothing.
 *
 * Behind the symmetric NAT (OPEN), 256 sockets each send to the one address that the other side
 * has. So they open 256 mappings, at ports that nobody knows. The other side (GUESS) asks random
 * ports of the symmetric NAT's address from its one socket. Any question that hits one of the 256
 * passes both NATs: 1024 guesses among 64512 ports hit with 1 - (1 - 256/64512)^1024 = 98%. */
#ifndef TL_NAT_BIRTHDAY_H
#define TL_NAT_BIRTHDAY_H

#include "base/rand.h"
#include "base/time.h"
#include "nat/checks.h"

#define TL_BIRTHDAY_PORT_MIN 1024        /* NATs leave the ports below alone */
#define TL_BIRTHDAY_OPENING  (5 * TL_MS) /* between two sockets of OPEN: all are open in 1.3 s */
/* OPEN sends twice from each socket, in case the first datagram was lost. The second goes out well
 * before netfilter (30 s) or a quicker NAT forgets a mapping that had no answer. */
#define TL_BIRTHDAY_AGAIN    (5 * TL_SEC)

typedef struct tl_birthday tl_birthday;

typedef struct {
    tl_sock sock;
    tl_addr to;
    uint64_t id; /* of the transaction; not 0 */
} tl_birthday_probe;

/* Copies. At most TL_BIRTHDAY_SOCKETS of `socks` are used. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_birthday_open(const tl_addr *remote, const tl_sock *socks, size_t n, tl_time now,
                                 tl_birthday **ret_search);
/* The port of `remote` is not asked: it was tried before, as a candidate. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_birthday_guess(const tl_addr *remote, tl_sock sock, tl_time now,
                                  tl_birthday **ret_search);
void tl_birthday_free(tl_birthday *b);

/* False: nothing is due. */
bool tl_birthday_next(tl_birthday *b, tl_rand *rand, tl_time now, tl_birthday_probe *ret_probe);
/* When the next probe is due, or the search ends. */
tl_time tl_birthday_expiry(const tl_birthday *b);
/* The search is over: every question has had its time to be answered. */
bool tl_birthday_over(const tl_birthday *b, tl_time now);
/* The process stood still for `span`: the rest of the time still remains. */
void tl_birthday_delay(tl_birthday *b, tl_time span);

/* Is `id` a question of this search to that address from that socket, not yet answered? */
bool tl_birthday_asked(const tl_birthday *b, uint64_t id, tl_sock sock, const tl_addr *from,
                       tl_time *ret_at);
/* Does a packet from that address over that socket come from where this search looks? */
bool tl_birthday_is_place(const tl_birthday *b, tl_sock sock, const tl_addr *from);
/* Is it one of the sockets opened for the search? */
bool tl_birthday_is_sock(const tl_birthday *b, tl_sock sock);
size_t tl_birthday_sockets(const tl_birthday *b);
unsigned tl_birthday_sent(const tl_birthday *b);

#endif
