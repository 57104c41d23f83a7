/* What the doctor says of the local network. */
#include "tell/doctor_state.h"

static void examine_failed(tl_findings *l, const tl_doctor_facts *f)
{
    tl_finding_add(l, "lan", TL_FINDING_WARNING, "nobody is found on the local network: %.240s",
                   f->lan.error[0] ? f->lan.error : "the discovery does not run");
    tl_finding_remedy(l, "If another program keeps UDP port 5353 for itself, end it, or start "
                         "avahi-daemon. To do without: teale config set lan_enabled false");
}

void tl_doctor_examine_lan(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->lan.enabled || f->network_error)
        return;
    if (!f->n_interfaces) {
        if (!f->nat) /* else the finding "udp" says so */
            tl_finding_no_network(l, "lan");
    } else if (!f->lan.by) {
        examine_failed(l, f);
    } else if (f->lan.flooded) {
        tl_finding_add(l, "lan", TL_FINDING_WARNING,
                       "the local network is flooded with announcements: of strangers there only "
                       "some are found");
        tl_finding_remedy(l, "Find the machine that sends so many (avahi-browse -r _teale._tcp), "
                             "or: teale config set lan_enabled false");
    } else if (!f->lan.name[0]) {
        tl_finding_add(l, "lan", TL_FINDING_OK,
                       "nodes found on the local network (by %s): %zu; this one is not announced "
                       "yet",
                       f->lan.by, f->lan.nodes);
    } else {
        tl_finding_add(l, "lan", TL_FINDING_OK,
                       "nodes found on the local network (by %s): %zu; this one is announced as "
                       "%.80s",
                       f->lan.by, f->lan.nodes, f->lan.name);
    }
}
