#include "nat/checks_state.h"

/* A transaction ID: the session's tag, and 64 random bits. */
static tl_stun_id make_id(uint32_t tag, uint64_t id)
{
    tl_stun_id s;
    for (size_t i = 0; i < 4; i++)
        s.bytes[i] = (uint8_t)(tag >> (24 - 8 * i));
    for (size_t i = 0; i < 8; i++)
        s.bytes[4 + i] = (uint8_t)(id >> (56 - 8 * i));
    return s;
}

static uint64_t id_of(const tl_stun *stun)
{
    uint64_t id = 0;
    for (size_t i = 4; i < TL_STUN_ID; i++)
        id = id << 8 | stun->id.bytes[i];
    return id;
}

uint32_t tl_checks_tag_of(const tl_stun *stun)
{
    uint32_t tag = 0;
    for (size_t i = 0; i < 4; i++)
        tag = tag << 8 | stun->id.bytes[i];
    return tag;
}

static bool finish(tl_stun_writer *w, const uint8_t key[TL_CHECK_KEY], tl_checks_output *ret_output)
{
    if (tl_stun_put_integrity(w, tl_slice_of(key, TL_CHECK_KEY)))
        return false; /* no memory: the same as lost on the way */
    tl_stun_finish(w);
    memcpy(ret_output->bytes, w->bytes, w->n);
    ret_output->n = w->n;
    return true;
}

bool tl_check_write_answer(tl_checks *c, tl_checks_output *ret_output)
{
    while (c->answers_n) {
        size_t at = c->answers_at;
        c->answers_at = (at + 1) % CHECK_ANSWERS;
        c->answers_n--;
        tl_stun_writer w;
        tl_stun_begin(&w, TL_STUN_SUCCESS, &c->answers[at].id);
        tl_stun_put_xor_mapped(&w, &c->answers[at].to);
        ret_output->sock = c->answers[at].sock;
        ret_output->to = c->answers[at].to;
        if (finish(&w, c->key_send, ret_output))
            return true;
    }
    return false;
}

bool tl_check_write_request(const tl_checks *c, tl_sock sock, const tl_addr *to, uint64_t id,
                            tl_checks_output *ret_output)
{
    tl_stun_id txn = make_id(c->tag, id);
    tl_stun_writer w;
    tl_stun_begin(&w, TL_STUN_REQUEST, &txn);
    tl_stun_put_username(&w, tl_slice_str(c->username));
    tl_stun_put_priority(&w, tl_candidate_priority(TL_CANDIDATE_PEER_REFLEXIVE, to, 0));
    ret_output->sock = sock;
    ret_output->to = *to;
    return finish(&w, c->key_send, ret_output);
}

/* --- what comes in --- */

/* Was this request here before? A network that doubles packets looks the same as somebody who
 * replays them, and neither needs a second answer. */
static bool was_seen(tl_checks *c, uint64_t id)
{
    for (size_t i = 0; i < CHECK_SEEN; i++)
        if (c->seen[i] == id)
            return true;
    c->seen[c->seen_next++ % CHECK_SEEN] = id;
    return false;
}

/* The search keeps to its first hit for a while, so that both sides settle on the same one: who
 * guesses may have had our answer there by now, and its answer to an opening of another socket,
 * under way at the same time, must not end the search elsewhere. */
static bool is_second_hit(const tl_checks *c, tl_sock sock, tl_time now)
{
    if (!c->hit || now >= c->hit_at + CHECK_HIT || !tl_birthday_is_sock(c->search, sock))
        return false;
    size_t i = tl_check_pair_by_id(c, c->hit);
    return i != CHECK_NO_PAIR && tl_sock_base(c->pairs[i].sock) != sock;
}

static size_t pair_of_request(tl_checks *c, tl_sock sock, const tl_addr *from, tl_time now)
{
    tl_sock base = tl_sock_base(sock);
    bool found = c->search && tl_birthday_is_place(c->search, base, from);
    if (found && is_second_hit(c, base, now))
        return CHECK_NO_PAIR;
    size_t i = tl_check_pair_find(c, sock, from);
    if (i == CHECK_NO_PAIR)
        i = tl_check_pair_add(c, sock, from, TL_CANDIDATE_PEER_REFLEXIVE, now);
    else
        found = found && tl_birthday_is_sock(c->search, base);
    if (i != CHECK_NO_PAIR)
        tl_check_pair_settle(c, i, sock);
    if (i != CHECK_NO_PAIR && found) {
        c->pairs[i].birthday = true;
        if (tl_birthday_is_sock(c->search, base) && c->hit != c->pairs[i].id) {
            c->hit = c->pairs[i].id;
            c->hit_at = now;
        }
    }
    return i;
}

/* What goes into a pipe reaches only who sent it. */
bool tl_check_may_answer(tl_sock sock, const tl_addr *from)
{
    return tl_sock_is_pipe(sock) || tl_addr_is_link_local(from) ||
           tl_addr_kind_of(from) != TL_ADDR_FORBIDDEN;
}

bool tl_check_is_our_sock(const tl_checks *c, tl_sock sock, const tl_addr *from)
{
    sock = tl_sock_base(sock);
    if (!sock || tl_sock_is_pipe(sock))
        return sock;
    if (sock == c->sock4 || sock == c->sock6)
        return sock == (from->family == TL_ADDR_V6 ? c->sock6 : c->sock4);
    if (c->search && tl_birthday_is_sock(c->search, sock))
        return true;
    for (size_t i = 0; i < c->n; i++) /* a socket with which a search found the peer */
        if (tl_sock_base(c->pairs[i].sock) == sock)
            return true;
    return false;
}

static void on_request(tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun, tl_time now)
{
    if (!tl_slice_eq(stun->username, tl_slice_str(c->username)) || !stun->has_priority ||
        !stun->fingerprint || stun->n_unknown || !tl_check_is_our_sock(c, sock, from) ||
        !tl_check_may_answer(sock, from)) {
        c->counters.strays++;
        return;
    }
    if (tl_stun_verify(datagram, stun, tl_slice_of(c->key_receive, TL_CHECK_KEY))) {
        c->counters.forged++;
        return;
    }
    if (was_seen(c, id_of(stun))) {
        c->counters.strays++;
        return;
    }
    size_t i = pair_of_request(c, sock, from, now);
    if (i == CHECK_NO_PAIR || c->answers_n == CHECK_ANSWERS) {
        c->counters.over_budget++;
        return;
    }
    c->counters.asked++;
    tl_check_on_asked(c, i, now);
    if (!tl_check_may_send(c, i)) {
        c->counters.over_budget++;
        return;
    }
    tl_check_spend(c, i);
    size_t at = (c->answers_at + c->answers_n++) % CHECK_ANSWERS;
    c->answers[at].sock = sock;
    c->answers[at].to = *from;
    c->answers[at].id = stun->id;
}

static check_txn *find_txn(tl_checks *c, size_t i, uint64_t id)
{
    for (size_t t = 0; t < CHECK_TXNS; t++)
        if (c->sides[i].txns[t].id == id)
            return &c->sides[i].txns[t];
    return NULL;
}

/* The question that it answers, if it comes from the address asked. A pair's: ret_pair and ret_txn.
 * The search's: *ret_txn is NULL, and ret_at tells when it was asked. Which of our addresses a
 * question left from shows only in where its answer comes to. */
static bool find_question(tl_checks *c, tl_sock sock, const tl_addr *from, uint64_t id,
                          size_t *ret_pair, check_txn **ret_txn, tl_time *ret_at)
{
    *ret_txn = NULL;
    for (size_t i = 0; i < c->n; i++) {
        bool asked = tl_sock_base(c->pairs[i].sock) == tl_sock_base(sock) &&
                     tl_addr_eq(&c->pairs[i].remote, from);
        if (!asked || !(*ret_txn = find_txn(c, i, id)))
            continue;
        *ret_pair = i;
        *ret_at = (*ret_txn)->at;
        return true;
    }
    *ret_pair = tl_check_pair_find(c, sock, from);
    return c->search && tl_birthday_asked(c->search, id, tl_sock_base(sock), from, ret_at);
}

static void on_answer(tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice datagram,
                      const tl_stun *stun, tl_time now)
{
    check_txn *txn;
    size_t i = CHECK_NO_PAIR;
    tl_time at = 0;
    uint64_t id = id_of(stun);
    if (tl_checks_tag_of(stun) != c->tag || !id || !stun->fingerprint || stun->n_unknown ||
        stun->mapped.family == TL_ADDR_NONE || !find_question(c, sock, from, id, &i, &txn, &at)) {
        c->counters.strays++;
        return;
    }
    if (tl_stun_verify(datagram, stun, tl_slice_of(c->key_receive, TL_CHECK_KEY))) {
        c->counters.forged++;
        return;
    }
    if (c->search && is_second_hit(c, tl_sock_base(sock), now)) {
        c->counters.over_budget++;
        return;
    }
    if (i == CHECK_NO_PAIR)
        i = tl_check_pair_add(c, sock, from, TL_CANDIDATE_PEER_REFLEXIVE, now);
    if (i == CHECK_NO_PAIR) {
        c->counters.over_budget++;
        return;
    }
    tl_check_pair_settle(c, i, sock);
    if (txn)
        txn->id = 0; /* it counts once */
    else
        c->pairs[i].birthday = true;
    c->counters.answered++;
    tl_check_on_answered(c, i, at, &stun->mapped, now);
    if (c->search)
        tl_check_search_end(c, c->pairs[i].id);
}

void tl_checks_on_stun(tl_checks *c, tl_sock sock, const tl_addr *from, tl_slice datagram,
                       const tl_stun *stun, tl_time now)
{
    tl_check_on_time(c, now);
    tl_addr source = tl_addr_normal(*from);
    switch (stun->class) {
    case TL_STUN_REQUEST: on_request(c, sock, &source, datagram, stun, now); return;
    case TL_STUN_SUCCESS: on_answer(c, sock, &source, datagram, stun, now); return;
    case TL_STUN_INDICATION:
    case TL_STUN_ERROR: /* our programs never send these */ c->counters.strays++; return;
    }
}
