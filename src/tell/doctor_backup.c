#include "tell/doctor_state.h"

#include "base/when.h"

#include <string.h>

void tl_doctor_examine_backup(tl_findings *l, const tl_doctor_facts *f)
{
    const char *state = f->backup ? f->backup : "none";
    if (!strcmp(state, "elsewhere")) {
        tl_finding_add(
            l, "backup", TL_FINDING_PROBLEM,
            "another machine was restored from this node's backup, and runs as this node");
        tl_finding_remedy(
            l, "Two machines cannot be one node, so this one stands aside: stop it (teale "
               "down). To be the node on this machine again: teale backup takeover");
    } else if (f->backup_other_at) {
        char at[TL_WHEN_TEXT_MAX];
        tl_when_write(at, f->backup_other_at);
        tl_finding_add(
            l, "backup", TL_FINDING_WARNING,
            "another machine has this node's keys, from before the restore: it was on at "
            "%s, and stands aside",
            at);
        tl_finding_remedy(
            l, "Erase this node there. If it is in wrong hands, make your networks anew, "
               "without this node.");
    } else if (!strcmp(state, "lost")) {
        tl_finding_add(
            l, "backup", TL_FINDING_PROBLEM,
            "too few nodes hold a fragment of this node's backup: it cannot be restored");
        tl_finding_remedy(l,
                          "It is mended when members of your networks are on: teale backup status "
                          "says who is missing.");
    } else if (!strcmp(state, "unshown")) {
        tl_finding_add(l, "backup", TL_FINDING_PROBLEM,
                       "a backup is kept, but nobody was shown its words: nobody can restore it");
        tl_finding_remedy(l,
                          "Make new words: teale backup create. Or withdraw it: teale backup drop");
    } else if (!strcmp(state, "unlisted")) {
        tl_finding_add(
            l, "backup", TL_FINDING_WARNING,
            "its fragments are held, but no node of the DHT is known to know who holds them: "
            "a restore may not find it");
        tl_finding_remedy(l,
                          "It is mended when the DHT is reached: teale status says whether it is.");
    } else if (!strcmp(state, "renewing")) {
        tl_finding_add(l, "backup", TL_FINDING_OK,
                       "it can be restored; a newer copy takes its place when that is as safe");
    } else if (!strcmp(state, "at_risk")) {
        tl_finding_add(l, "backup", TL_FINDING_WARNING,
                       "of the nodes that hold this node's backup none may be lost");
        tl_finding_remedy(
            l, "More members of your networks with store_quota above 0 would hold it; or "
               "strangers: teale backup create --new --strangers");
    } else if (!strcmp(state, "kept")) {
        tl_finding_add(l, "backup", TL_FINDING_OK,
                       "it can be restored; %d of the nodes that hold it may be lost",
                       f->backup_may_lose);
    }
}
