#include "nat/checks_state.h"

#include <assert.h>

size_t tl_check_pair_find(const tl_checks *c, tl_sock sock, const tl_addr *remote)
{
    tl_sock base = tl_sock_base(sock);
    size_t open = CHECK_NO_PAIR; /* of any address of ours, or any pair if the caller names none */
    for (size_t i = 0; i < c->n; i++) {
        tl_sock own = c->pairs[i].sock;
        if (tl_sock_base(own) != base || !tl_addr_eq(&c->pairs[i].remote, remote))
            continue;
        if (own == sock)
            return i;
        if (open == CHECK_NO_PAIR && (own == base || sock == base))
            open = i;
    }
    return open;
}

void tl_check_pair_settle(tl_checks *c, size_t i, tl_sock sock)
{
    const tl_pair *p = &c->pairs[i];
    assert(tl_sock_base(p->sock) == tl_sock_base(sock));
    for (size_t k = 0; k < c->n; k++)
        if (k != i && c->pairs[k].sock == sock && tl_addr_eq(&c->pairs[k].remote, &p->remote))
            return;
    if (sock != tl_sock_base(sock))
        c->pairs[i].sock = sock;
}

size_t tl_check_pair_by_id(const tl_checks *c, uint16_t id)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->pairs[i].id == id)
            return i;
    return CHECK_NO_PAIR;
}

void tl_check_event(tl_checks *c, tl_checks_event_type type, uint16_t pair)
{
    if (c->events_n == CHECK_EVENTS)
        return; /* the owner does not drain; it can still ask what the pairs are */
    c->events[(c->events_at + c->events_n++) % CHECK_EVENTS] = (tl_checks_event){type, pair};
}

bool tl_check_any_valid(const tl_checks *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->pairs[i].state == TL_PAIR_VALID)
            return true;
    return false;
}

/* The picture is in checks.h. */
static bool is_legal(tl_pair_state from, tl_pair_state to)
{
    switch (to) {
    case TL_PAIR_WAITING: return from == TL_PAIR_PROBING || from == TL_PAIR_FAILED;
    case TL_PAIR_PROBING: return from == TL_PAIR_WAITING || from == TL_PAIR_FAILED;
    case TL_PAIR_VALID:
    case TL_PAIR_FAILED: return from != TL_PAIR_VALID;
    case TL_PAIR_LOST: return from == TL_PAIR_VALID;
    }
    return false;
}

void tl_check_beside_begin(tl_checks *c, tl_time now)
{
    c->beside_pause = CHECK_BESIDE_FIRST;
    c->beside_at = now + c->beside_pause;
}

static void set_state(tl_checks *c, size_t i, tl_pair_state state, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    assert(is_legal(p->state, state));
    assert(p->sock || state == TL_PAIR_FAILED || state == TL_PAIR_LOST);
    p->state = state;
    x->unanswered = 0;
    x->at_once = false;
    switch (state) {
    case TL_PAIR_WAITING:
    case TL_PAIR_PROBING: break;
    case TL_PAIR_VALID:
        p->valid_since = now;
        x->confirms = CHECK_CONFIRMS;
        if (!x->paced)
            p->pace = TL_PACE_KEEP;
        if (tl_sock_is_pipe(p->sock) && c->beside_at == TL_NEVER)
            tl_check_beside_begin(c, now);
        tl_check_event(c, TL_CHECKS_VALID, p->id);
        break;
    case TL_PAIR_LOST:
        p->sock = tl_sock_base(p->sock); /* from now on the kernel chooses the address again */
        p->least = 0;                    /* when it comes back, it may lead another way */
        x->lost_at = now;
        x->next_at = now + CHECK_LOST_SOON;
        x->tries = TL_CHECKS_UNHEARD_MAX;
        p->pace = TL_PACE_KEEP;
        tl_check_event(c, TL_CHECKS_LOST, p->id);
        break;
    case TL_PAIR_FAILED: x->next_at = TL_NEVER; break;
    }
}

/* Since when a pair learned from a check is of no use. TL_NEVER: it may be of use. */
static tl_time useless_since(const tl_pair *p, const check_side *x)
{
    if (p->kind != TL_CANDIDATE_PEER_REFLEXIVE)
        return TL_NEVER;
    return p->state == TL_PAIR_FAILED ? x->asked_at
           : p->state == TL_PAIR_LOST ? x->lost_at
                                      : TL_NEVER;
}

/* Failed pairs go before lost ones, and the oldest first. */
static bool is_more_useless(const tl_checks *c, size_t i, size_t than)
{
    if (than == CHECK_NO_PAIR)
        return true;
    if (c->pairs[i].state != c->pairs[than].state)
        return c->pairs[i].state == TL_PAIR_FAILED;
    return useless_since(&c->pairs[i], &c->sides[i]) <
           useless_since(&c->pairs[than], &c->sides[than]);
}

static size_t evictable(const tl_checks *c, tl_time now)
{
    size_t found = CHECK_NO_PAIR;
    for (size_t i = 0; i < c->n; i++) {
        tl_time since = useless_since(&c->pairs[i], &c->sides[i]);
        if (since != TL_NEVER && now >= since + CHECK_FORGIVE && is_more_useless(c, i, found))
            found = i;
    }
    return found;
}

void tl_check_forget(tl_checks *c, size_t i)
{
    c->n--;
    memmove(&c->pairs[i], &c->pairs[i + 1], (c->n - i) * sizeof c->pairs[0]);
    memmove(&c->sides[i], &c->sides[i + 1], (c->n - i) * sizeof c->sides[0]);
}

void tl_check_drop(tl_checks *c, size_t i, tl_time now)
{
    if (c->pairs[i].state == TL_PAIR_VALID)
        set_state(c, i, TL_PAIR_LOST, now);
    tl_check_forget(c, i);
}

/* Candidates always find room: learned pairs may fill only the places beyond TL_CANDIDATES_MAX. */
static bool is_room(const tl_checks *c, bool learned)
{
    size_t n_learned = 0;
    for (size_t i = 0; i < c->n; i++)
        n_learned += c->pairs[i].kind == TL_CANDIDATE_PEER_REFLEXIVE;
    return c->n < TL_CHECKS_PAIRS_MAX && c->last_id < UINT16_MAX &&
           (!learned || n_learned < TL_CHECKS_PAIRS_MAX - TL_CANDIDATES_MAX);
}

size_t tl_check_pair_add(tl_checks *c, tl_sock sock, const tl_addr *remote, tl_candidate_kind kind,
                         tl_time now)
{
    bool learned = kind == TL_CANDIDATE_PEER_REFLEXIVE;
    if (!is_room(c, learned)) {
        size_t old = evictable(c, now);
        if (old != CHECK_NO_PAIR)
            tl_check_forget(c, old);
        if (!is_room(c, learned))
            return CHECK_NO_PAIR;
    }
    size_t i = c->n++;
    c->pairs[i] = (tl_pair){
        .id = ++c->last_id,
        .sock = sock,
        .remote = *remote,
        .kind = kind,
        .state = TL_PAIR_WAITING,
        .pace = TL_PACE_REST,
    };
    c->sides[i] = (check_side){
        .priority = tl_candidate_priority(kind, remote, 0),
        .allow = learned ? CHECK_UNHEARD_LEARNED : TL_CHECKS_UNHEARD_MAX,
        .next_at = TL_NEVER,
    };
    return i;
}

/* Nobody minds packets to an address that answered lately. One that answered and was given up since
 * is as good as never heard of. */
static bool is_proven(const tl_pair *p)
{
    return p->state == TL_PAIR_VALID || p->state == TL_PAIR_LOST;
}

/* Does a packet to this pair, which is not proven, count against the attempt? The exception: a
 * candidate that the peer signed, and from which it asked us. */
static bool counts(const tl_pair *p)
{
    return !p->asked_by_peer || p->kind == TL_CANDIDATE_PEER_REFLEXIVE;
}

bool tl_check_may_send(const tl_checks *c, size_t i)
{
    const tl_pair *p = &c->pairs[i];
    if (is_proven(p))
        return true;
    return c->sides[i].allow && (!counts(p) || c->attempt_left);
}

void tl_check_spend(tl_checks *c, size_t i)
{
    assert(tl_check_may_send(c, i));
    if (is_proven(&c->pairs[i]))
        return;
    c->sides[i].allow--;
    if (counts(&c->pairs[i]))
        c->attempt_left--;
}

void tl_check_schedule(tl_checks *c, size_t i, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    if (!p->sock) {
        if (p->state == TL_PAIR_LOST)
            x->next_at = TL_NEVER;
        else
            tl_check_give_up(c, i);
        return;
    }
    if (p->state == TL_PAIR_PROBING || p->state == TL_PAIR_FAILED)
        set_state(c, i, TL_PAIR_WAITING, now);
    x->tries = 0;
    x->next_at = now;
}

void tl_check_give_up(tl_checks *c, size_t i)
{
    set_state(c, i, TL_PAIR_FAILED, 0);
}

void tl_check_once_more(tl_checks *c, size_t i, tl_time now)
{
    check_side *x = &c->sides[i];
    assert(c->pairs[i].state == TL_PAIR_FAILED && c->pairs[i].sock);
    x->allow = 1;
    x->tries = 0;
    x->next_at = now;
}

/* An address that failed some time ago may be the peer's by now. */
static void forgive(const tl_pair *p, check_side *x, tl_time now)
{
    if (p->state == TL_PAIR_FAILED && now >= x->asked_at + CHECK_FORGIVE)
        x->allow = CHECK_UNHEARD_LEARNED;
}

void tl_check_renew(tl_checks *c, size_t i, tl_sock sock, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    if (p->sock != sock) {
        p->sock = sock;
        memset(x->txns, 0, sizeof x->txns);
        x->unanswered = 0;
    }
    if (!sock && p->state == TL_PAIR_VALID)
        set_state(c, i, TL_PAIR_LOST, now);
    x->allow =
        p->kind == TL_CANDIDATE_PEER_REFLEXIVE ? CHECK_UNHEARD_LEARNED : TL_CHECKS_UNHEARD_MAX;
    tl_check_schedule(c, i, now);
}

void tl_check_on_hint(tl_checks *c, size_t i, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    if (p->state == TL_PAIR_VALID || (p->sent && now < x->asked_at + CHECK_RTO_MIN))
        return;
    forgive(p, x, now);
    if (!tl_check_may_send(c, i)) {
        c->counters.over_budget++;
        return;
    }
    x->next_at = now;
    x->at_once = true;
}

/* `span`, a tenth more or less: two sides that began together must not stay in step. */
static tl_time jittered(tl_checks *c, tl_time span)
{
    return span - span / 10 + tl_rand_below(c->rand, span / 5);
}

/* RFC 6298, with a floor for ways of the local network. */
static tl_time rto(const tl_checks *c, size_t i)
{
    return tl_time_max(c->pairs[i].rtt + 4 * c->sides[i].rttvar, CHECK_RTO_MIN);
}

/* When a valid pair with unanswered checks is lost. The silence began with the last answer, if
 * another was due soon after it: under TL_PACE_ACTIVE the next check follows soon. */
static tl_time lost_at(const tl_pair *p, const check_side *x)
{
    tl_time since = x->unanswered_since;
    if (p->pace == TL_PACE_ACTIVE)
        since = x->answered_at + CHECK_ACTIVE > since ? x->answered_at : since - CHECK_ACTIVE;
    return tl_time_min(since + tl_time_max(3 * p->rtt, CHECK_LOST_MIN),
                       x->unanswered_since + TL_CHECKS_CONSENT_MAX);
}

/* When to ask next, while nothing is in flight. */
static tl_time next_of_pace(tl_checks *c, size_t i)
{
    const check_side *x = &c->sides[i];
    switch (c->pairs[i].pace) {
    case TL_PACE_REST: return TL_NEVER;
    case TL_PACE_KEEP: /* a little early: some mappings die exactly on time */
        return x->asked_at + c->keepalive - tl_rand_below(c->rand, c->keepalive / 10);
    case TL_PACE_ACTIVE: return x->asked_at + (x->follows ? CHECK_FOLLOW : CHECK_ACTIVE);
    }
    assert(!"a pace of the list");
    return TL_NEVER;
}

void tl_check_on_sent(tl_checks *c, size_t i, uint64_t id, tl_time now)
{
    /* The wait after the nth check of an attempt. The last of five goes out 1.5 s after the first,
     * so that two sides that start 1.5 s apart still meet. */
    static const tl_time gaps[TL_CHECKS_UNHEARD_MAX + 1] = {100 * TL_MS, 200 * TL_MS, 400 * TL_MS,
                                                            800 * TL_MS, TL_SEC,      TL_SEC};
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    if (p->state == TL_PAIR_WAITING || p->state == TL_PAIR_FAILED)
        set_state(c, i, TL_PAIR_PROBING, now);
    x->txns[x->txn_next++ % CHECK_TXNS] = (check_txn){id, now};
    x->at_once = false;
    x->follows = x->forward;
    x->forward = false;
    x->asked_at = now;
    p->sent++;
    size_t nth = x->tries < TL_CHECKS_UNHEARD_MAX ? x->tries++ : TL_CHECKS_UNHEARD_MAX;
    if (p->state == TL_PAIR_VALID) {
        if (!x->unanswered++)
            x->unanswered_since = now;
        tl_time wait = tl_time_min(rto(c, i), CHECK_ACTIVE);
        bool overdue = now >= x->unanswered_since + rto(c, i);
        tl_time hurry = tl_time_max(rto(c, i) / 8, CHECK_HURRY);
        x->next_at = now + (overdue ? hurry : wait);
        if (p->pace == TL_PACE_ACTIVE && !x->silent &&
            now >= x->unanswered_since + rto(c, i) + CHECK_SILENT) {
            x->silent = true;
            tl_check_event(c, TL_CHECKS_SILENT, p->id);
        }
    } else if (p->state == TL_PAIR_LOST && nth == TL_CHECKS_UNHEARD_MAX) {
        x->next_at = now + (now < x->lost_at + TL_MIN ? CHECK_LOST_SOON : CHECK_LOST_LATE);
    } else {
        x->next_at = now + jittered(c, gaps[nth]);
    }
}

static void follow(const tl_pair *p, check_side *x, tl_time now)
{
    if (p->pace != TL_PACE_ACTIVE || x->unanswered || x->confirms ||
        now < x->asked_at + CHECK_ACTIVE / 2 || now >= x->next_at)
        return;
    x->forward = true;
    x->next_at = now;
}

void tl_check_on_asked(tl_checks *c, size_t i, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    forgive(p, x, now);
    p->heard = now;
    p->asked_by_peer++;
    x->allow += CHECK_PER_REQUEST;
    if (x->allow > TL_CHECKS_UNHEARD_MAX + CHECK_PER_REQUEST)
        x->allow = TL_CHECKS_UNHEARD_MAX + CHECK_PER_REQUEST;
    if (p->state == TL_PAIR_VALID)
        follow(p, x, now);
    if (p->state == TL_PAIR_VALID || (x->triggered_at && now < x->triggered_at + CHECK_RTO_MIN))
        return;
    /* What we sent before may have died at the peer's NAT, which is open now. */
    x->triggered_at = now;
    x->tries = 0;
    x->next_at = now;
    x->at_once = true;
}

/* RFC 6298 section 2, without the clock granularity: our clock is finer than any round trip. */
static void measure(tl_pair *p, check_side *x, tl_time rtt)
{
    rtt = rtt ? rtt : 1; /* 0 says that nothing was measured */
    p->least = p->least ? tl_time_min(p->least, rtt) : rtt;
    if (!p->rtt) {
        p->rtt = rtt;
        x->rttvar = rtt / 2;
        return;
    }
    tl_time off = rtt > p->rtt ? rtt - p->rtt : p->rtt - rtt;
    x->rttvar = (3 * x->rttvar + off) / 4;
    p->rtt = (7 * p->rtt + rtt) / 8;
}

void tl_check_on_answered(tl_checks *c, size_t i, tl_time at, const tl_addr *seen_as, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    if (at > x->asked_at) { /* the search asked, not this pair */
        x->asked_at = at;
        p->sent++;
    }
    p->answered++;
    p->heard = x->answered_at = now;
    p->seen_as = *seen_as;
    measure(p, x, now - at);
    if (p->state != TL_PAIR_VALID)
        set_state(c, i, TL_PAIR_VALID, now);
    /* Later questions than the answered one may still be answered. */
    x->unanswered = 0;
    x->silent = false;
    for (size_t t = 0; t < CHECK_TXNS; t++) {
        if (!x->txns[t].id || x->txns[t].at <= at)
            continue;
        if (!x->unanswered++ || x->txns[t].at < x->unanswered_since)
            x->unanswered_since = x->txns[t].at;
    }
    if (p->pace != TL_PACE_ACTIVE)
        x->unanswered = 0;
    x->at_once = false;
    x->next_at = next_of_pace(c, i);
    if (x->confirms) {
        x->confirms--;
        x->next_at = tl_time_min(x->next_at, x->asked_at + CHECK_CONFIRM);
    }
}

tl_time tl_check_judge_at(const tl_checks *c, size_t i)
{
    const tl_pair *p = &c->pairs[i];
    const check_side *x = &c->sides[i];
    if (p->state == TL_PAIR_VALID && x->unanswered >= CHECK_LOST_N)
        return lost_at(p, x);
    if (p->state == TL_PAIR_LOST && p->kind == TL_CANDIDATE_PEER_REFLEXIVE)
        return x->lost_at + CHECK_GIVE_UP;
    return TL_NEVER;
}

void tl_check_judge(tl_checks *c, size_t i, tl_time now)
{
    if (now < tl_check_judge_at(c, i))
        return;
    bool valid = c->pairs[i].state == TL_PAIR_VALID;
    set_state(c, i, valid ? TL_PAIR_LOST : TL_PAIR_FAILED, now);
}

void tl_check_on_stood(tl_checks *c, size_t i, tl_time span, tl_time now)
{
    tl_pair *p = &c->pairs[i];
    check_side *x = &c->sides[i];
    memset(x->txns, 0, sizeof x->txns);
    x->unanswered = 0;
    x->answered_at = now; /* a silence that may follow is counted from here */
    x->silent = false;
    if (p->state == TL_PAIR_VALID)
        x->next_at = p->pace == TL_PACE_REST ? TL_NEVER : now;
    else if (x->next_at != TL_NEVER)
        x->next_at += span;
    if (p->state == TL_PAIR_LOST)
        x->lost_at += span;
}

void tl_check_repace(tl_checks *c, size_t i, tl_time now)
{
    check_side *x = &c->sides[i];
    if (c->pairs[i].state != TL_PAIR_VALID || x->unanswered)
        return;
    tl_time next = next_of_pace(c, i);
    x->next_at = x->confirms ? tl_time_min(x->next_at, next) : next;
    if (x->next_at < now)
        x->next_at = now + (c->pairs[i].pace == TL_PACE_ACTIVE ? CHECK_LATER : 0);
}
