/* doctor_state.h - how the sources of the doctor write down what they find. Only they include it. */
#ifndef TL_TELL_DOCTOR_STATE_H
#define TL_TELL_DOCTOR_STATE_H

#include "tell/doctor.h"

typedef struct {
    tl_finding *finding;
    size_t n;
} tl_findings;

void tl_finding_add(tl_findings *l, const char *id, tl_finding_state state, const char *fmt, ...)
    TL_PRINTF(4, 5);
/* Sets the remedy of the finding that was added last. */
void tl_finding_remedy(tl_findings *l, const char *fmt, ...) TL_PRINTF(2, 3);

/* In that remedy, replaces the name of a setting by the option that fixes it. */
void tl_finding_by_option(tl_findings *l, bool fixed, const char *setting, const char *option);

/* No interface of this machine has an address. */
void tl_finding_no_network(tl_findings *l, const char *id);

/* doctor_relay.c: the way to the relay. */
void tl_doctor_examine_relay(tl_findings *l, const tl_doctor_facts *f);
/* doctor_relayed.c: UDP to the relay. */
void tl_doctor_examine_relay_udp(tl_findings *l, const tl_doctor_facts *f);
/* doctor_dht.c: instead of the relay, and beside it */
void tl_doctor_examine_without(tl_findings *l, const tl_doctor_facts *f);
void tl_doctor_examine_dht(tl_findings *l, const tl_doctor_facts *f);
void tl_doctor_examine_relaying(tl_findings *l, const tl_doctor_facts *f);
void tl_doctor_examine_introducers(tl_findings *l, const tl_doctor_facts *f);
/* doctor_lan.c: the local network. */
void tl_doctor_examine_lan(tl_findings *l, const tl_doctor_facts *f);
/* doctor_backup.c: what would be left if this machine were lost. */
void tl_doctor_examine_backup(tl_findings *l, const tl_doctor_facts *f);
/* doctor_networks.c: private networks, and who may ask. */
void tl_doctor_examine_networks(tl_findings *l, const tl_doctor_facts *f);

#endif
