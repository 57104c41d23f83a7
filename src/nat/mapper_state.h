/* mapper_state.h - what the two halves of the mapper say to each other: mapper.c (states, UPnP,
 * time) and mapper_udp.c (PCP and NAT-PMP). Not for other modules. */
#ifndef TL_NAT_MAPPER_STATE_H
#define TL_NAT_MAPPER_STATE_H

#include "nat/mapper.h"

/* --- mapper.c --- */
void tl_mapper_send(tl_mapper *m, const tl_addr *to, const void *bytes, size_t n);
void tl_mapper_ask_nothing(tl_mapper *m);
/* Keeps why the search goes badly, if nothing was kept yet. */
void tl_mapper_note(tl_mapper *m, const char *fmt, ...) TL_PRINTF(2, 3);
/* Is it to be believed? If not, counts and notes that. */
bool tl_mapper_believes(tl_mapper *m, const tl_addr *external, uint32_t lifetime_s);
void tl_mapper_granted(tl_mapper *m, tl_mapper_method by, const tl_addr *external,
                       uint32_t lifetime_s, tl_time now);
/* A late refusal, of a question that nobody waits for any more: keeps it as the reason of a failed
 * search. */
void tl_mapper_refused_late(tl_mapper *m, const char *text, tl_mapper_method by);
/* Neither PCP nor NAT-PMP gives us a mapping. */
void tl_mapper_udp_failed(tl_mapper *m, tl_time now);
/* Nobody answered a renewal: it is asked again until the mapping's time is over. */
void tl_mapper_unanswered(tl_mapper *m, tl_time now);
/* There is no mapping any more. */
void tl_mapper_lost(tl_mapper *m, tl_time now);
void tl_mapper_removed(tl_mapper *m, tl_time now);

/* --- mapper_udp.c --- */
void tl_mapper_udp_probe(tl_mapper *m, tl_time now);
void tl_mapper_udp_renew(tl_mapper *m, tl_time now);
void tl_mapper_udp_remove(tl_mapper *m, tl_mapper_method by, tl_time now);
/* Takes back what the gateway may have granted without our knowledge; waits for no answer. */
void tl_mapper_udp_forget(tl_mapper *m);
/* The time ask_at has come. */
void tl_mapper_udp_again(tl_mapper *m, tl_time now);

#endif
