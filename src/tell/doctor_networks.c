/* What the doctor finds of private networks, and of who may ask this node. */
#include "base/when.h"
#include "tell/doctor_state.h"

#include <stdio.h>

#define NAMES_MAX                                                                                  \
    200 /* bytes of the list of networks; a person sees the rest with teale ptn list */

/* "3f9a...c2" */
typedef struct {
    char text[16];
} short_id;

static short_id shorten(const tl_node_id *id)
{
    char hex[TL_NODE_ID_HEX + 1];
    short_id s;
    tl_node_id_write(hex, id);
    snprintf(s.text, sizeof s.text, "%.4s...%s", hex, hex + TL_NODE_ID_HEX - 2);
    return s;
}

/* How bad a network's state is; 0: nothing is wrong. */
static int badness(const tl_doctor_network *n, tl_unix now)
{
    switch (n->state) {
    case TL_MEMBERSHIP_EXPIRED: return 5;
    case TL_MEMBERSHIP_EARLY: return 4;
    case TL_MEMBERSHIP_REVOKED: return 3;
    case TL_MEMBERSHIP_JOINING: return 2;
    case TL_MEMBERSHIP_VALID: break;
    case TL_MEMBERSHIP_LEFT:
    case TL_MEMBERSHIP_STATES: return 0;
    }
    /* Renewal begins when a third of the time is left. When half of that is gone, it has failed. */
    bool ends = n->expires_at != TL_PTN_NO_END;
    if (n->is_disputed)
        return 2;
    return ends && now > n->expires_at - (n->expires_at - n->issued_at) / 6;
}

static void advise_renewal(tl_findings *l, const tl_doctor_facts *f, const tl_doctor_network *n)
{
    if (n->issued_here)
        tl_finding_remedy(l, "Renew it here: teale ptn renew %s", n->name);
    else if (n->state == TL_MEMBERSHIP_EXPIRED)
        tl_finding_remedy(l,
                          "An admin, %s, must renew it by hand: teale ptn renew %s %.8s there. Or "
                          "join with a new invite. What has ended is not renewed by itself",
                          shorten(&n->issuer).text, n->name, f->own_id);
    else
        tl_finding_remedy(l,
                          "Ask an admin, %s, to renew it: teale ptn renew %s %.8s there. It is "
                          "renewed by itself when an admin is reached: teale ptn renew %s",
                          shorten(&n->issuer).text, n->name, f->own_id, n->name);
}

static void tell_lost_issuer(tl_findings *l, const tl_doctor_facts *f, const tl_doctor_network *n,
                             const char *more)
{
    tl_finding_add(l, "networks", TL_FINDING_PROBLEM,
                   "%s: the admin that signed this node's certificate, %s, was revoked%s", n->name,
                   shorten(&n->issuer).text, more);
    if (n->has_ca)
        tl_finding_remedy(l, "This node holds the CA key: teale ptn renew %s", n->name);
    else
        tl_finding_remedy(l, "Ask an admin, %s, to renew it: teale ptn renew %s %.8s there",
                          n->has_admin ? shorten(&n->admin).text : "whom this node has not met yet",
                          n->name, f->own_id);
}

/* No rule could decide: docs/protocol.md "Revoking". */
static void tell_dispute(tl_findings *l, const tl_doctor_network *n, const char *more)
{
    char node[TL_NODE_ID_HEX + 1];
    tl_node_id_write(node, &n->dispute.node);
    tl_finding_add(l, "networks", TL_FINDING_WARNING,
                   "%s: members disagree on who is revoked: %s, which is revoked here, has revoked "
                   "%s, which is not%s",
                   n->name, shorten(&n->dispute.by).text, shorten(&n->dispute.node).text, more);
    tl_finding_remedy(l,
                      "Where the CA key is: teale ptn revoke %s %.16s. Then both are out at every "
                      "member; who is to stay needs a new identity and a new invite",
                      n->name, node);
}

static void tell_worst(tl_findings *l, const tl_doctor_facts *f, const tl_doctor_network *n,
                       size_t others)
{
    char span[TL_WHEN_TEXT_MAX], more[64] = "";
    bool past = n->expires_at < f->now;
    tl_span_write(span, past ? f->now - n->expires_at : n->expires_at - f->now);
    if (others)
        snprintf(more, sizeof more, " (%zu more: teale ptn list)", others);
    switch (n->state) {
    case TL_MEMBERSHIP_EXPIRED:
        tl_finding_add(l, "networks", TL_FINDING_PROBLEM, "%s: its certificate expired %s ago%s",
                       n->name, span, more);
        advise_renewal(l, f, n);
        break;
    case TL_MEMBERSHIP_EARLY:
        tl_finding_add(l, "networks", TL_FINDING_PROBLEM,
                       "%s: its certificate is of the future: this machine's clock is behind%s",
                       n->name, more);
        tl_finding_remedy(l, "Set the clock: timedatectl set-ntp true");
        break;
    case TL_MEMBERSHIP_REVOKED:
        if (n->lost_issuer) {
            tell_lost_issuer(l, f, n, more);
            break;
        }
        tl_finding_add(l, "networks", TL_FINDING_WARNING, "%s: an admin has revoked this node%s",
                       n->name, more);
        if (n->has_ca)
            tl_finding_remedy(l,
                              "It is for good. This node holds the CA key: teale ptn export-ca-key "
                              "%s FILE, import it on another node, and here teale ptn leave %s "
                              "--delete",
                              n->name, n->name);
        else
            tl_finding_remedy(l, "It is for good. Leave the network: teale ptn leave %s", n->name);
        break;
    case TL_MEMBERSHIP_JOINING:
        tl_finding_add(l, "networks", TL_FINDING_WARNING, "%s: joining%s%.160s%s", n->name,
                       n->waiting[0] ? ": " : "", n->waiting, more);
        tl_finding_remedy(l, "The node goes on trying. The inviter must run%s",
                          f->no_relay ? ", and be online." : ", and use the same relay.");
        break;
    default:
        if (n->is_disputed) {
            tell_dispute(l, n, more);
            break;
        }
        tl_finding_add(l, "networks", TL_FINDING_WARNING,
                       "%s: its certificate ends in %s, and no admin has renewed it yet%s", n->name,
                       span, more);
        advise_renewal(l, f, n);
        break;
    }
}

static void tell_all(tl_findings *l, const tl_doctor_facts *f)
{
    char names[NAMES_MAX + 32] = "";
    size_t used = 0, shown = 0;
    for (; shown < f->n_networks && used < NAMES_MAX - 96; shown++) {
        const tl_doctor_network *n = &f->networks[shown];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s (%s)", used ? ", " : "",
                                 n->name, tl_role_name(n->role));
    }
    if (shown < f->n_networks)
        snprintf(names + used, sizeof names - used, " and %zu more", f->n_networks - shown);
    tl_finding_add(l, "networks", TL_FINDING_OK, "%s", names);
}

static void examine_states(tl_findings *l, const tl_doctor_facts *f)
{
    const tl_doctor_network *worst = NULL;
    size_t bad = 0;
    for (size_t i = 0; i < f->n_networks; i++) {
        int b = badness(&f->networks[i], f->now);
        bad += b > 0;
        if (b > 0 && (!worst || b > badness(worst, f->now)))
            worst = &f->networks[i];
    }
    if (worst)
        tell_worst(l, f, worst, bad - 1);
    else if (f->n_networks)
        tell_all(l, f);
}

/* A network whose certificate holds, and in which this node's role serves. */
static bool serves_somewhere(const tl_doctor_facts *f)
{
    for (size_t i = 0; i < f->n_networks; i++)
        if (f->networks[i].state == TL_MEMBERSHIP_VALID && tl_role_may_serve(f->networks[i].role))
            return true;
    return false;
}

static void examine_sharing(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->share_members) {
        if (f->wan_enabled || f->lan.enabled)
            tl_finding_add(l, "share_with", TL_FINDING_OK,
                           "open to the public: anyone %s%s may ask%s",
                           !f->wan_enabled ? "on the local network"
                           : f->no_relay   ? "who finds this node"
                                           : "on the relay",
                           f->wan_enabled && f->lan.enabled ? " and on the local network" : "",
                           f->in_network ? ", after the members of your networks"
                                         : ". A network of your own: teale ptn create family");
    } else if (!f->in_network) {
        tl_finding_add(l, "share_with", TL_FINDING_WARNING,
                       "only members of this node's private networks may ask, and it is in none: "
                       "nobody else is served");
        tl_finding_remedy(l,
                          "Make a network: teale ptn create family && teale ptn invite family. %s",
                          f->by_option.private
                              ? "Or start the node without --private to serve anyone on the relay."
                              : "Or serve anyone on the relay: teale config set share_with public");
    } else if (!serves_somewhere(f)) {
        tl_finding_add(l, "share_with", TL_FINDING_WARNING,
                       "this node is a consumer in its private networks, and a consumer serves "
                       "nobody");
        tl_finding_remedy(l,
                          "Ask an admin for an invite that makes it a provider: teale ptn invite "
                          "NET --role provider");
    } else {
        tl_finding_add(l, "share_with", TL_FINDING_OK, "only members of your networks may ask");
    }
}

void tl_doctor_examine_networks(tl_findings *l, const tl_doctor_facts *f)
{
    examine_states(l, f);
    if (f->share[0])
        examine_sharing(l, f);
    if (f->ask_members && !f->in_network) {
        tl_finding_add(l, "ask", TL_FINDING_WARNING,
                       "ask is \"networks\", and this node is in no private network: it asks no "
                       "other node");
        tl_finding_remedy(l, "Join a network: teale join CODE. Or ask anyone on the relay: teale "
                             "config set ask any");
    }
}
