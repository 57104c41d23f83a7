/* checks_world.h - two ends, each with a tl_checks, sockets and a NAT of its own, for tests of
 * nat/checks. The ends tell each other nothing but candidates. */
#ifndef TEALE_SIM_CHECKS_WORLD_H
#define TEALE_SIM_CHECKS_WORLD_H

#include "inet.h"
#include "nat/checks.h"

#define END_SOCK4      1
#define END_SOCK6      2
#define END_SEARCH     1000 /* the first of the sockets of a birthday search */
#define END_PORT       41641
#define END_EVENTS_MAX 256

typedef struct {
    sim_host *host;
    sim_link *line;
    sim_site *site; /* NULL: in the public network */
    char ip4[40], ip6[40];
    tl_identity identity;
    tl_rand rand;
    tl_checks *checks;
    bool frozen;         /* SIGSTOP: datagrams wait */
    bool deaf;           /* swallows all that comes */
    size_t n_search;     /* search sockets that are open */
    tl_sock search_left; /* the one that stayed open after TL_CHECKS_SOCKETS_DONE; 0: none */
    tl_checks_event events[END_EVENTS_MAX];
    size_t n_events;
    unsigned valid, silent, lost, done, sockets_done;
    tl_time first_valid, first_lost;
    struct waiting *waiting;
    uint64_t wrote; /* datagrams */
} end;

typedef struct {
    sim *s;
    sim_inet *in;
    end a, b;
} checks_world;

/* Before anything else: a world without anyone in it; then place both ends where they belong, and
 * begin. */
void checks_world_empty(checks_world *w, uint64_t seed, const sim_faults *core);
void checks_world_place(checks_world *w, end *e, sim_site *site, const char *ip4, const char *ip6);
void checks_world_begin(checks_world *w);
/* All of it: each end behind a NAT of its own, in private networks of the same range. NULL: that
 * end is in the public network. */
void checks_world_init(checks_world *w, uint64_t seed, const sim_nat_kind *a, const sim_nat_kind *b,
                       const sim_faults *faults);
void checks_world_clear(checks_world *w);

/* What a STUN server would see of the end's socket: an address and port. */
tl_addr end_reflexive(checks_world *w, end *e);
tl_addr end_host(const end *e);
tl_addr end_host6(const end *e);
/* Tells `to` the host and the server-reflexive candidate of `from`. */
void checks_tell(checks_world *w, end *from, end *to);
void checks_tell_one(checks_world *w, end *to, tl_candidate_kind kind, const tl_addr *a);
void end_start(checks_world *w, end *e);
/* `e` is behind the symmetric NAT, `other` guesses. */
void checks_search(checks_world *w, end *e, end *other);
/* While frozen an end's timers do not run and datagrams queue up. */
void end_freeze(end *e);
void end_thaw(checks_world *w, end *e);

/* Valid at this end: the best known, NULL: none. */
const tl_pair *end_valid(const end *e);
bool both_valid(void *world);

#endif
