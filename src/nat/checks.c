#include "nat/checks.h"

#include "nat/checks_state.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define KEEPALIVE_MIN TL_SEC /* whatever the owner asks for */

/* --- beginning and ending --- */

tl_err tl_checks_new(const tl_checks_config *config, tl_checks **ret_checks)
{
    tl_checks *c = calloc(1, sizeof *c);
    if (!c)
        return TL_ERR_NOMEM;
    tl_err e = TL_ERR_NOMEM;
    size_t n = strlen(config->session) + 1;
    c->session = malloc(n);
    if (c->session) {
        memcpy(c->session, config->session, n);
        e = tl_check_keys(config->self, config->peer, config->session, c->key_send, c->key_receive);
    }
    if (e) {
        tl_checks_free(c);
        return e;
    }
    tl_check_username(config->session, c->username);
    c->rand = config->rand;
    c->tag = config->tag;
    c->sock4 = config->sock4;
    c->sock6 = config->sock6;
    c->attempt_left = TL_CHECKS_ATTEMPT_MAX;
    c->beside_at = TL_NEVER;
    tl_checks_set_keepalive(c, config->keepalive);
    *ret_checks = c;
    return TL_OK;
}

void tl_checks_free(tl_checks *c)
{
    if (!c)
        return;
    tl_birthday_free(c->search);
    free(c->session);
    sodium_memzero(c, sizeof *c);
    free(c);
}

uint32_t tl_checks_tag(const tl_checks *c)
{
    return c->tag;
}

const char *tl_checks_username(const tl_checks *c)
{
    return c->username;
}

const char *tl_checks_session(const tl_checks *c)
{
    return c->session;
}

/* --- time --- */

/* When something is to be done, apart from what waits to be drained. */
static tl_time due_at(const tl_checks *c)
{
    tl_time due = c->beside_at;
    for (size_t i = 0; i < c->n; i++) {
        const check_side *x = &c->sides[i];
        bool paced = !x->at_once && !c->pairs[i].answered && x->next_at < c->pace_at;
        due = tl_time_min(due, paced ? c->pace_at : x->next_at);
        due = tl_time_min(due, tl_check_judge_at(c, i));
    }
    if (c->search)
        return tl_time_min(due, tl_birthday_expiry(c->search));
    return c->done_due ? tl_time_min(due, c->ends_at) : due;
}

/* A new address may turn up at any time (the peer's NAT rebinds), so there is a budget after the
 * attempt, too: one packet a second, saved up to the size of one attempt's. */
static void refill(tl_checks *c, tl_time now)
{
    if (!c->started || c->refilled_at > now)
        return;
    tl_time n = (now - c->refilled_at) / TL_SEC;
    c->refilled_at += n * TL_SEC;
    c->attempt_left = n < TL_CHECKS_ATTEMPT_MAX - c->attempt_left ? c->attempt_left + (unsigned)n
                                                                  : TL_CHECKS_ATTEMPT_MAX;
}

void tl_check_on_time(tl_checks *c, tl_time now)
{
    tl_time due = due_at(c);
    due = due > c->last_now ? due : c->last_now;
    if (due != TL_NEVER && c->last_now && now > due + CHECK_STOOD) {
        tl_time span = now - due;
        for (size_t i = 0; i < c->n; i++)
            tl_check_on_stood(c, i, span, now);
        c->ends_at += span;
        c->refilled_at += span;
        if (c->search)
            tl_birthday_delay(c->search, span);
    }
    if (now > c->last_now)
        c->last_now = now;
    refill(c, now);
}

static bool is_signalled(const tl_pair *p)
{
    return p->kind != TL_CANDIDATE_PEER_REFLEXIVE;
}

/* Does a pipe to this address answer? */
static bool is_beside_pipe(const tl_checks *c, const tl_addr *remote)
{
    for (size_t i = 0; i < c->n; i++) {
        const tl_pair *p = &c->pairs[i];
        if (tl_sock_is_pipe(p->sock) && p->state == TL_PAIR_VALID &&
            tl_addr_same_ip(&p->remote, remote))
            return true;
    }
    return false;
}

/* What kept UDP away may be gone, and nobody tells of that. A pair that was valid once needs none of this: it is lost, and
 * asked now and then. */
static void ask_beside(tl_checks *c, tl_time now)
{
    bool any = false;
    for (size_t i = 0; i < c->n; i++) {
        const tl_pair *p = &c->pairs[i];
        bool pipe = tl_sock_is_pipe(p->sock);
        any |= pipe && p->state == TL_PAIR_VALID;
        if (!pipe && p->sock && p->state == TL_PAIR_FAILED && is_signalled(p) &&
            is_beside_pipe(c, &p->remote))
            tl_check_once_more(c, i, now);
    }
    c->beside_pause = tl_time_min(2 * c->beside_pause, CHECK_BESIDE_MAX);
    c->beside_at = any ? now + c->beside_pause : TL_NEVER;
}

void tl_checks_on_timer(tl_checks *c, tl_time now)
{
    tl_check_on_time(c, now);
    if (now >= c->beside_at)
        ask_beside(c, now);
    for (size_t i = 0; i < c->n; i++)
        tl_check_judge(c, i, now);
    if (c->search && tl_birthday_over(c->search, now))
        tl_check_search_end(c, 0);
    if (c->done_due && !c->search && now >= c->ends_at) {
        c->done_due = false;
        if (!tl_check_any_valid(c))
            tl_check_event(c, TL_CHECKS_DONE, 0);
    }
}

tl_time tl_checks_expiry(const tl_checks *c)
{
    return c->answers_n ? c->last_now : due_at(c);
}

/* --- an attempt --- */

static tl_sock sock_for(const tl_checks *c, const tl_addr *remote)
{
    return remote->family == TL_ADDR_V6 ? c->sock6 : c->sock4;
}

/* Forgets a candidate of an earlier attempt that is not in use: what the peer says of itself now is
 * worth more. */
static bool make_room_for_candidate(tl_checks *c)
{
    size_t n = 0, oldest = CHECK_NO_PAIR;
    for (size_t i = 0; i < c->n; i++) {
        if (!is_signalled(&c->pairs[i]))
            continue;
        n++;
        if (oldest == CHECK_NO_PAIR && c->pairs[i].state != TL_PAIR_VALID &&
            c->sides[i].attempt != c->attempt)
            oldest = i;
    }
    if (n < TL_CANDIDATES_MAX)
        return true;
    if (oldest == CHECK_NO_PAIR)
        return false;
    tl_check_forget(c, oldest);
    return true;
}

/* The pair of a candidate: one that a check taught us, or a new one. */
static size_t pair_of_candidate(tl_checks *c, const tl_candidate *candidate, tl_time now)
{
    size_t i = tl_check_pair_find(c, sock_for(c, &candidate->addr), &candidate->addr);
    if (i != CHECK_NO_PAIR && is_signalled(&c->pairs[i])) {
        c->sides[i].attempt = c->attempt; /* named again, so still true */
        return CHECK_NO_PAIR;
    }
    if (!make_room_for_candidate(c)) {
        c->counters.candidates_ignored++;
        return CHECK_NO_PAIR;
    }
    if (i != CHECK_NO_PAIR) { /* search again: room may have been made before it */
        i = tl_check_pair_find(c, sock_for(c, &candidate->addr), &candidate->addr);
        c->pairs[i].kind = candidate->kind;
        c->sides[i].allow += TL_CHECKS_UNHEARD_MAX - CHECK_UNHEARD_LEARNED;
    } else {
        i = tl_check_pair_add(c, sock_for(c, &candidate->addr), &candidate->addr, candidate->kind,
                              now);
        if (i == CHECK_NO_PAIR) {
            c->counters.candidates_ignored++;
            return CHECK_NO_PAIR;
        }
    }
    c->sides[i].priority = candidate->priority;
    c->sides[i].attempt = c->attempt;
    return i;
}

/* What was added to an attempt needs its time, too; but the attempt must come to an end. */
static void give_time(tl_checks *c, tl_time now)
{
    if (c->done_due)
        c->ends_at = tl_time_max(
            c->ends_at, tl_time_min(now + CHECK_ATTEMPT, c->started_at + 2 * CHECK_ATTEMPT));
}

void tl_checks_add_remote(tl_checks *c, const tl_candidate *candidate, tl_time now)
{
    tl_check_on_time(c, now);
    tl_candidate normal = *candidate;
    normal.addr = tl_addr_normal(candidate->addr);
    if (normal.kind == TL_CANDIDATE_RELAYED || normal.addr.family == TL_ADDR_NONE) {
        c->counters.candidates_ignored++;
        return;
    }
    if (normal.kind == TL_CANDIDATE_PEER_REFLEXIVE) /* the peer names it as its own */
        normal.kind = TL_CANDIDATE_SERVER_REFLEXIVE;
    size_t i = pair_of_candidate(c, &normal, now);
    if (i == CHECK_NO_PAIR)
        return;
    if (!c->pairs[i].sock)
        tl_check_give_up(c, i);
    else if (c->started && (c->pairs[i].state == TL_PAIR_WAITING ||
                            c->pairs[i].state == TL_PAIR_FAILED)) /* learned before, in vain */
        tl_check_schedule(c, i, now);
    give_time(c, now);
}

void tl_checks_add_pipe(tl_checks *c, tl_sock pipe, const tl_addr *remote, tl_time now)
{
    assert(tl_sock_is_pipe(pipe));
    tl_check_on_time(c, now);
    if (tl_check_pair_find(c, pipe, remote) != CHECK_NO_PAIR)
        return;
    size_t i = make_room_for_candidate(c)
                   ? tl_check_pair_add(c, pipe, remote, TL_CANDIDATE_HOST, now)
                   : CHECK_NO_PAIR;
    if (i == CHECK_NO_PAIR) {
        c->counters.candidates_ignored++;
        return;
    }
    c->sides[i].attempt = c->attempt;
    if (c->started)
        tl_check_schedule(c, i, now);
    give_time(c, now);
}

void tl_checks_drop_pipe(tl_checks *c, tl_sock pipe, tl_time now)
{
    tl_check_on_time(c, now);
    for (size_t i = c->n; i-- > 0;)
        if (c->pairs[i].sock == pipe)
            tl_check_drop(c, i, now);
}

bool tl_checks_may_tell(tl_checks *c, const tl_addr *remote)
{
    tl_sock sock = remote->family == TL_ADDR_V6 ? c->sock6 : c->sock4;
    size_t i = sock ? tl_check_pair_find(c, sock, remote) : CHECK_NO_PAIR;
    if (i == CHECK_NO_PAIR || !c->sides[i].allow)
        return false;
    c->sides[i].allow--;
    return true;
}

static void begin(tl_checks *c, tl_time now)
{
    c->started = true;
    c->done_due = true;
    c->started_at = now;
    c->ends_at = c->refilled_at = now + CHECK_ATTEMPT;
    c->attempt_left = TL_CHECKS_ATTEMPT_MAX;
}

void tl_checks_start(tl_checks *c, tl_time now)
{
    tl_check_on_time(c, now);
    if (c->started)
        return;
    begin(c, now);
    for (size_t i = 0; i < c->n; i++)
        if (c->pairs[i].state == TL_PAIR_WAITING && c->sides[i].next_at == TL_NEVER)
            tl_check_schedule(c, i, now);
}

void tl_checks_restart(tl_checks *c, tl_sock sock4, tl_sock sock6, tl_time now)
{
    tl_check_on_time(c, now);
    tl_check_search_end(c, 0);
    tl_sock old4 = c->sock4, old6 = c->sock6;
    c->sock4 = sock4;
    c->sock6 = sock6;
    c->attempt++;
    begin(c, now);
    if (c->beside_at != TL_NEVER)
        tl_check_beside_begin(c, now);
    for (size_t i = 0; i < c->n; i++) {
        tl_sock sock = c->pairs[i].sock;
        tl_sock base = tl_sock_base(sock);
        bool of_search = base && base != old4 && base != old6; /* or a pipe */
        tl_check_renew(c, i, of_search ? sock : sock_for(c, &c->pairs[i].remote), now);
    }
}

/* --- the birthday search --- */

void tl_check_search_end(tl_checks *c, uint16_t pair)
{
    if (!c->search)
        return;
    size_t n_socks = tl_birthday_sockets(c->search);
    size_t found = tl_check_pair_by_id(c, pair);
    if (found == CHECK_NO_PAIR ||
        !tl_birthday_is_sock(c->search, tl_sock_base(c->pairs[found].sock)))
        pair = 0;
    for (size_t i = c->n; i-- > 0;) /* forgets pairs whose sockets are closed now */
        if (c->pairs[i].id != pair &&
            tl_birthday_is_sock(c->search, tl_sock_base(c->pairs[i].sock)))
            tl_check_forget(c, i);
    tl_birthday_free(c->search);
    c->search = NULL;
    c->hit = 0;
    if (c->last_now >= c->ends_at && tl_check_any_valid(c))
        c->done_due = false;
    if (n_socks)
        tl_check_event(c, TL_CHECKS_SOCKETS_DONE, pair);
}

/* Takes `search`. If it ends without a result, TL_CHECKS_DONE tells that. */
static void search_begin(tl_checks *c, tl_birthday *search)
{
    tl_check_search_end(c, 0);
    c->search = search;
    c->done_due = true;
    if (tl_check_any_valid(c))
        tl_check_search_end(c, 0);
}

void tl_checks_search_open(tl_checks *c, const tl_addr *remote, const tl_sock *socks, size_t n,
                           tl_time now)
{
    tl_check_on_time(c, now);
    tl_addr normal = tl_addr_normal(*remote);
    tl_birthday *search;
    if (!n || tl_birthday_open(&normal, socks, n, now, &search)) {
        c->done_due = true;
        if (n)
            tl_check_event(c, TL_CHECKS_SOCKETS_DONE, 0);
        return;
    }
    search_begin(c, search);
}

void tl_checks_search_guess(tl_checks *c, const tl_addr *remote, tl_time now)
{
    tl_check_on_time(c, now);
    tl_addr normal = tl_addr_normal(*remote);
    tl_sock sock = sock_for(c, &normal);
    tl_birthday *search;
    if (!sock || tl_birthday_guess(&normal, sock, now, &search)) {
        c->done_due = true;
        return;
    }
    search_begin(c, search);
}

/* --- asking --- */

static uint64_t new_id(tl_checks *c)
{
    uint64_t id;
    do
        id = tl_rand_u64(c->rand);
    while (!id);
    return id;
}

static bool send_check(tl_checks *c, size_t i, tl_time now, tl_checks_output *ret_output)
{
    uint64_t id = new_id(c);
    tl_check_spend(c, i);
    c->counters.sent++;
    tl_check_on_sent(c, i, id, now);
    return tl_check_write_request(c, c->pairs[i].sock, &c->pairs[i].remote, id, ret_output);
}

/* Which of the pairs that never answered is next: first the new ones by priority, then those that
 * are asked again. */
static size_t next_probe(const tl_checks *c, tl_time now)
{
    size_t best = CHECK_NO_PAIR;
    for (size_t i = 0; i < c->n; i++) {
        if (c->sides[i].next_at > now || c->pairs[i].answered)
            continue;
        if (best == CHECK_NO_PAIR) {
            best = i;
            continue;
        }
        bool is_new = c->pairs[i].state == TL_PAIR_WAITING;
        bool best_new = c->pairs[best].state == TL_PAIR_WAITING;
        if (is_new != best_new ? is_new
            : is_new           ? c->sides[i].priority > c->sides[best].priority
                               : c->sides[i].next_at < c->sides[best].next_at)
            best = i;
    }
    return best;
}

/* True: it may be asked. Otherwise its budget is spent, and it has no more chance. */
static bool may_ask(tl_checks *c, size_t i)
{
    if (tl_check_may_send(c, i))
        return true;
    if (c->sides[i].allow)
        c->counters.over_budget++;
    tl_check_give_up(c, i);
    return false;
}

bool tl_checks_next_output(tl_checks *c, tl_time now, tl_checks_output *ret_output)
{
    tl_check_on_time(c, now);
    if (tl_check_write_answer(c, ret_output))
        return true;
    for (size_t i = 0; i < c->n; i++)
        if (c->sides[i].next_at <= now && (c->sides[i].at_once || c->pairs[i].answered) &&
            may_ask(c, i) && send_check(c, i, now, ret_output))
            return true;
    for (size_t i; now >= c->pace_at && (i = next_probe(c, now)) != CHECK_NO_PAIR;) {
        if (!may_ask(c, i))
            continue;
        c->pace_at = now + TL_CHECKS_PACE;
        if (send_check(c, i, now, ret_output))
            return true;
    }
    tl_birthday_probe probe;
    while (c->search && tl_birthday_next(c->search, c->rand, now, &probe)) {
        c->counters.birthday_sent++;
        if (tl_check_write_request(c, probe.sock, &probe.to, probe.id, ret_output))
            return true;
    }
    return false;
}

void tl_checks_probe(tl_checks *c, tl_sock sock, const tl_addr *from, tl_time now)
{
    tl_check_on_time(c, now);
    tl_addr source = tl_addr_normal(*from);
    if (!tl_check_is_our_sock(c, sock, &source) || !tl_check_may_answer(sock, &source))
        return;
    size_t i = tl_check_pair_find(c, sock, &source);
    if (i == CHECK_NO_PAIR)
        i = tl_check_pair_add(c, sock, &source, TL_CANDIDATE_PEER_REFLEXIVE, now);
    if (i != CHECK_NO_PAIR)
        tl_check_on_hint(c, i, now);
    else
        c->counters.over_budget++;
}

void tl_checks_set_pace(tl_checks *c, uint16_t pair, tl_pair_pace pace, tl_time now)
{
    tl_check_on_time(c, now);
    size_t i = tl_check_pair_by_id(c, pair);
    if (i == CHECK_NO_PAIR || (c->sides[i].paced && c->pairs[i].pace == pace))
        return;
    c->pairs[i].pace = pace;
    c->sides[i].paced = true;
    tl_check_repace(c, i, now);
}

void tl_checks_suspect(tl_checks *c, uint16_t pair, tl_time now)
{
    tl_check_on_time(c, now);
    size_t i = tl_check_pair_by_id(c, pair);
    if (i == CHECK_NO_PAIR || c->pairs[i].state != TL_PAIR_VALID)
        return;
    check_side *x = &c->sides[i];
    tl_time soonest = x->asked_at + CHECK_RTO_MIN;
    x->next_at = tl_time_min(x->next_at, soonest > now ? soonest : now);
}

void tl_checks_set_keepalive(tl_checks *c, tl_time keepalive)
{
    c->keepalive = keepalive > KEEPALIVE_MIN ? keepalive : KEEPALIVE_MIN;
    for (size_t i = 0; i < c->n; i++)
        if (c->pairs[i].pace == TL_PACE_KEEP)
            tl_check_repace(c, i, c->last_now);
}

/* --- looking --- */

bool tl_checks_has_event(const tl_checks *c)
{
    return c->events_n > 0;
}

bool tl_checks_next_event(tl_checks *c, tl_checks_event *ret_event)
{
    if (!c->events_n)
        return false;
    *ret_event = c->events[c->events_at];
    c->events_at = (c->events_at + 1) % CHECK_EVENTS;
    c->events_n--;
    return true;
}

const tl_pair *tl_checks_pair(const tl_checks *c, uint16_t id)
{
    size_t i = tl_check_pair_by_id(c, id);
    return i == CHECK_NO_PAIR ? NULL : &c->pairs[i];
}

const tl_pair *tl_checks_find(const tl_checks *c, tl_sock sock, const tl_addr *remote)
{
    size_t i = tl_check_pair_find(c, sock, remote);
    return i == CHECK_NO_PAIR ? NULL : &c->pairs[i];
}

const tl_pair *tl_checks_pairs(const tl_checks *c, size_t *ret_n)
{
    *ret_n = c->n;
    return c->pairs;
}

const tl_checks_counters *tl_checks_counters_of(const tl_checks *c)
{
    return &c->counters;
}
