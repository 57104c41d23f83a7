/* behaviour.h - what the NAT between us and the internet does (RFC 4787: mapping and filtering). It
 * asks STUN servers (RFC 8489, RFC 5780) from the very socket that carries the traffic. Sans-IO:
 * datagrams come in and go out through the caller; resolves no names. */
#ifndef TL_NAT_BEHAVIOUR_H
#define TL_NAT_BEHAVIOUR_H

#include "base/rand.h"
#include "base/time.h"
#include "nat/candidate.h"
#include "nat/type.h"
#include "wire/stun.h"

#define TL_STUN_SERVERS_MAX 16
#define TL_STUN_RTO         (500 * TL_MS) /* doubling (RFC 8489 section 6.2.1) */
#define TL_STUN_TRIES       4             /* 500 ms, 1 s, 2 s, and 1 s of waiting for the last */
/* So long after an answer one server is asked again, until the mapping's lifetime is known
 * better. */
#define TL_BEHAVIOUR_FRESH  (25 * TL_SEC)

typedef enum {
    TL_MAPPING_UNKNOWN,
    TL_MAPPING_NONE, /* our own address is public */
    TL_MAPPING_ENDPOINT_INDEPENDENT,
    TL_MAPPING_ADDRESS_DEPENDENT,
    TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
} tl_nat_mapping;
typedef enum {
    TL_FILTERING_UNKNOWN, /* not measurable: no server with two addresses answered */
    TL_FILTERING_ENDPOINT_INDEPENDENT,
    TL_FILTERING_ADDRESS_DEPENDENT,
    TL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
} tl_nat_filtering;
typedef enum { TL_HAIRPIN_UNKNOWN, TL_HAIRPIN_NO, TL_HAIRPIN_YES } tl_nat_hairpin;

typedef struct {
    tl_nat_mapping mapping;
    tl_nat_filtering filtering;
    tl_nat_hairpin hairpin;
    tl_addr public4, public6; /* as servers see the sockets; family NONE: not known */
    bool udp_blocked;         /* servers were asked and none answered */
    bool port_preserved;
    unsigned asked, answered; /* servers, in the last full round; `answered` grows during it */
    tl_time at;               /* when this was found; 0: not yet */
} tl_nat_facts;

tl_nat_type tl_nat_type_of(const tl_nat_facts *f);
/* "Public", "Cone", "Symmetric", "Unknown": coarser names, which other programs know. */
const char *tl_nat_tesseras_type(const tl_nat_facts *f);
/* "none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown". */
const char *tl_nat_mapping_name(tl_nat_mapping m);
const char *tl_nat_filtering_name(tl_nat_filtering f);

typedef struct {
    char name[TL_HOST_MAX + 6]; /* as configured, for people: "stun.example.org:3478" */
    tl_addr addr;
} tl_stun_server;

/* What one server said in the last round, for netcheck. */
typedef struct {
    tl_stun_server server;
    bool answered;
    unsigned sent;
    tl_time rtt;
    tl_addr mapped;
    bool behaviour; /* offers RFC 5780 */
    bool outvoted;  /* most others saw another address */
} tl_stun_report;

typedef struct tl_behaviour tl_behaviour;

typedef struct {
    void (*on_facts)(void *user); /* a round ended, or a cheap look found another address */
} tl_behaviour_events;

TL_CHECK tl_err tl_behaviour_new(tl_rand *rand, const tl_behaviour_events *events, void *user,
                                 tl_behaviour **ret_behaviour);
void tl_behaviour_free(tl_behaviour *b);

/* The sockets to ask from (0: none of that family), and our own addresses on them. */
void tl_behaviour_set_sockets(tl_behaviour *b, tl_sock sock4, tl_sock sock6, uint16_t port4,
                              uint16_t port6, const tl_interface *own, size_t n_own);
/* At most TL_STUN_SERVERS_MAX; more are ignored. An address given twice counts once. A round under
 * way is given up: begin another. */
void tl_behaviour_set_servers(tl_behaviour *b, const tl_stun_server *servers, size_t n);
/* A full round, now; one under way starts anew. Servers are asked in parallel. */
void tl_behaviour_begin(tl_behaviour *b, tl_time now);
/* Has the public address changed? Asks the two servers that answered fastest one quick question
 * (100 ms, doubling, at most 1 s in all). A round begins if it changed, or if nobody answers (then
 * udp_blocked is told at once). Does nothing during a round. */
void tl_behaviour_look(tl_behaviour *b, tl_time now);
bool tl_behaviour_busy(const tl_behaviour *b);

/* True: the datagram was for us, and is used up. It was an answer to a question of ours, or our own
 * question come back through the NAT (hairpin). An answer counts only with our transaction ID and
 * from the address asked (for CHANGE-REQUEST, from the other address that the server announced). */
bool tl_behaviour_on_stun(tl_behaviour *b, tl_sock sock, const tl_addr *from, tl_slice datagram,
                          const tl_stun *stun, tl_time now);
typedef struct {
    tl_sock sock;
    tl_addr to;
    uint8_t bytes[TL_STUN_MAX];
    size_t n;
} tl_stun_output;
bool tl_behaviour_next_output(tl_behaviour *b, tl_time now, tl_stun_output *ret_output);
/* That output could not be sent (no route): no answer will come. */
void tl_behaviour_on_unsent(tl_behaviour *b, const tl_stun_output *output, tl_time now);
void tl_behaviour_on_timer(tl_behaviour *b, tl_time now);
tl_time tl_behaviour_expiry(const tl_behaviour *b);

const tl_nat_facts *tl_behaviour_facts(const tl_behaviour *b);
size_t tl_behaviour_reports(const tl_behaviour *b, tl_stun_report ret[TL_STUN_SERVERS_MAX]);
/* How often a mapping must be refreshed: every TL_BEHAVIOUR_FRESH, or more often once a mapping was
 * seen to die sooner (never more often than every 5 s). */
tl_time tl_behaviour_keepalive(const tl_behaviour *b);

typedef struct {
    /* Of plain questions, each counted once. Answers to tests count as answers, too. */
    uint64_t requests, answers, failures;
    uint64_t strays;   /* forged, late, twice, from elsewhere */
    uint64_t refused;  /* they named an address at which nobody can be seen */
    uint64_t outvoted; /* most others contradicted them at the end of a round */
} tl_behaviour_counters;
const tl_behaviour_counters *tl_behaviour_counters_of(const tl_behaviour *b);

#endif
