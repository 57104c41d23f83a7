/* What the doctor says of UDP to the relay, and the words for how a relayed connection reaches it. */
#include "tell/doctor_state.h"
#include "tell/story.h"

void tl_doctor_examine_relay_udp(tl_findings *l, const tl_doctor_facts *f)
{
    bool asked = false, answered = f->relay_leg == TL_LEG_OPEN;
    if (!f->relay_connected || !f->relay_udp || (!f->nat && !f->network_error && f->direct_on))
        return;
    for (size_t i = 0; i < f->n_stun; i++)
        if (f->nat && f->nat->at && strcmp(f->stun[i].server.name, f->relay_udp) == 0) {
            asked |= f->stun[i].sent > 0;
            answered |= f->stun[i].answered;
        }
    asked |= f->relay_leg == TL_LEG_SHUT;
    if (!f->relay_udp[0]) {
        tl_finding_add(l, "relay_udp", TL_FINDING_OK,
                       "the relay has no UDP port: what it relays goes by its WebSocket");
    } else if (!f->nat) {
        tl_finding_add(
            l, "relay_udp", TL_FINDING_WARNING,
            "this node has no UDP port, so what is relayed goes by the relay's WebSocket, "
            "which is slower");
        tl_finding_remedy(l, "See what is said of the UDP port, and of nat.direct.");
    } else if (answered && f->relay_leg != TL_LEG_SHUT) {
        tl_finding_add(l, "relay_udp", TL_FINDING_OK, "UDP passes to the relay (%.200s)",
                       f->relay_udp);
    } else if (!asked) {
        tl_finding_add(l, "relay_udp", TL_FINDING_OK,
                       "the relay's UDP port (%.200s) is being asked", f->relay_udp);
    } else {
        tl_finding_add(
            l, "relay_udp", TL_FINDING_WARNING,
            "the relay's UDP port (%.200s) does not answer, so what is relayed goes by its "
            "WebSocket, which is slower",
            f->relay_udp);
        tl_finding_remedy(l,
                          "Allow outgoing UDP to %.200s, and its answers, in the firewall and the "
                          "router. If others have the same trouble, tell who runs the relay.",
                          f->relay_udp);
    }
}

void tl_doctor_examine_relaying(tl_findings *l, const tl_doctor_facts *f)
{
    const tl_relaying *r = f->relaying;
    char at[TL_ADDR_TEXT_MAX];
    if (!r || r->state == TL_RELAYING_OFF)
        return;
    if (r->state == TL_RELAYING_SERVING && !r->reason[0]) {
        tl_addr_write(at, &r->address);
        tl_finding_add(l, "relaying", TL_FINDING_OK, "this node relays for others at %s", at);
    } else if (r->state == TL_RELAYING_ASKING || r->state == TL_RELAYING_LEAVING) {
        tl_finding_add(l, "relaying", TL_FINDING_OK, "nat.relay_enabled: %s", r->reason);
    } else {
        tl_finding_add(l, "relaying", TL_FINDING_PROBLEM,
                       "nat.relay_enabled, but nothing is relayed: %s", r->reason);
        tl_finding_remedy(l, "%s", r->remedy);
    }
}

/* Who knows of this node only its ID reaches it through these, where no relay has it. */
void tl_doctor_examine_introducers(tl_findings *l, const tl_doctor_facts *f)
{
    size_t given = f->introducers.given, answering = f->introducers.answering;
    if (!f->nat || !f->nat->at || f->introducers.needless)
        return;
    if (given && !answering) {
        tl_finding_add(l, "introducers", TL_FINDING_WARNING,
                       "none of the %zu nodes of nat.introducers answers", given);
        tl_finding_remedy(l, "There, see `teale doctor`: strangers must reach its UDP port, and "
                             "nat.introduce must not be off. Or name others: teale config set "
                             "nat.introducers '[\"NODE_ID@ADDRESS:PORT\"]'");
    } else if (given) {
        tl_finding_add(l, "introducers", TL_FINDING_OK,
                       "%zu of the %zu nodes of nat.introducers introduce this one", answering,
                       given);
    } else if (f->introducers.others) {
        tl_finding_add(l, "introducers", TL_FINDING_OK, "%zu nodes introduce this one",
                       f->introducers.others);
    } else if (f->no_relay) {
        tl_finding_add(
            l, "introducers", TL_FINDING_WARNING,
            "no relay is set, and no node introduces this one: who is behind a NAT, too, "
            "does not reach it");
        tl_finding_remedy(l, "Name a node that strangers reach: teale config set nat.introducers "
                             "'[\"NODE_ID@ADDRESS:PORT\"]'. Its ID: teale status there.");
    }
}

const char *tl_story_carrier(bool has_port, bool by_udp, tl_udp_state udp, tl_leg_state leg)
{
    if (by_udp)
        return "udp: UDP passes from end to end over the relay";
    if (!has_port)
        return "websocket: this node has no UDP port";
    switch (udp) {
    case TL_UDP_NONE: return "websocket: the relay offers no UDP for this connection";
    case TL_UDP_RESTING: return "websocket: nothing has tried UDP yet";
    case TL_UDP_WAITING:
        return leg == TL_LEG_SHUT
                   ? "websocket: UDP does not pass between this node and the relay"
                   : "websocket: the peer did not answer by UDP over the relay; it is tried again";
    case TL_UDP_MOVING: return "websocket: the relay is being told our new address";
    case TL_UDP_PROVING: return "websocket: UDP over the relay is being tried";
    case TL_UDP_STANDS: break;
    }
    return "websocket: UDP over the relay stands, too; the side that dialled chooses";
}

const char *tl_story_carrier_by_node(void)
{
    return "udp: another node relays, by UDP from end to end";
}
