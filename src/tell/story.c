#include "tell/story.h"

#include <stdarg.h>
#include <stdio.h>

#define CLOCK_APART TL_OFFER_SKEW_SECONDS

static void because(tl_story *s, const char *reason, const char *fmt, ...) TL_PRINTF(3, 4);
static void because(tl_story *s, const char *reason, const char *fmt, ...)
{
    va_list ap;
    s->reason = reason;
    va_start(ap, fmt);
    vsnprintf(s->because, sizeof s->because, fmt, ap);
    va_end(ap);
}

static void remedy(tl_story *s, const char *fmt, ...) TL_PRINTF(2, 3);
static void remedy(tl_story *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->remedy, sizeof s->remedy, fmt, ap);
    va_end(ap);
}

tl_nat_type tl_story_peer_nat(const tl_story_facts *f)
{
    if (f->report && f->report->peer_nat != TL_NAT_UNKNOWN)
        return f->report->peer_nat;
    return f->listed_nat;
}

static tl_nat_type our_nat(const tl_story_facts *f)
{
    return f->nat ? tl_nat_type_of(f->nat) : TL_NAT_UNKNOWN;
}

/* --- what the pairs say --- */

typedef struct {
    unsigned tried, sent, answered, asked_by_peer;
    bool outer; /* the peer named an address that is not of its local network */
    bool near;  /* the peer named our own public address: both are behind one NAT */
    const tl_pair *valid;
} tally;

static tally count(const tl_direct_report *r, const tl_nat_facts *nat)
{
    tally t = {0};
    bool natted = nat && nat->public4.family && nat->mapping != TL_MAPPING_NONE;
    for (size_t i = 0; i < r->n_pairs; i++) {
        const tl_pair *p = &r->pairs[i];
        t.tried += p->sent > 0;
        t.sent += p->sent;
        t.answered += p->answered;
        t.asked_by_peer += p->asked_by_peer;
        t.outer = t.outer || p->kind == TL_CANDIDATE_MAPPED ||
                  p->kind == TL_CANDIDATE_SERVER_REFLEXIVE ||
                  (p->kind == TL_CANDIDATE_HOST && tl_addr_kind_of(&p->remote) == TL_ADDR_GLOBAL);
        t.near = t.near || (natted && tl_addr_same_ip(&p->remote, &nat->public4));
        if (p->state == TL_PAIR_VALID && (!t.valid || p->id == r->used || p->rtt < t.valid->rtt))
            t.valid = p;
    }
    return t;
}

static double seconds(tl_time t)
{
    return (double)t / (double)TL_SEC;
}

/* "; tried again in 12 s" or "". */
static const char *next_try(const tl_story_facts *f, char ret[48])
{
    tl_time at = f->report->again_at;
    ret[0] = 0;
    if (at != TL_NEVER && at > f->now)
        snprintf(ret, 48, "; tried again in %.0f s", seconds(at - f->now));
    return ret;
}

/* --- not connected --- */

static void tell_old(const tl_story_facts *f, tl_story *s)
{
    if (f->speaks_old) {
        because(s, "old_protocol",
                "relayed-plaintext: this node speaks only the old protocol, in clear, and the "
                "relay can read and change what passes");
        remedy(s, "An encrypted path needs a newer program on that node.");
    } else {
        because(s, "old_protocol",
                "not connected: this node speaks only the old protocol, in clear through the "
                "relay, and legacy_plaintext is false");
        remedy(s, "Install a newer program on that node. `teale config set legacy_plaintext true` "
                  "asks it all the same; the relay can then read the questions and answers.");
    }
}

/* The settings name no relay: peers are found in the DHT, and reached directly. */
static void tell_without_relay(const tl_story_facts *f, tl_story *s)
{
    tl_direct_state state = f->report ? f->report->state : TL_DIRECT_NEVER;
    if (f->network_error || !f->direct_on) {
        because(s, "no_udp", "not connected: no relay is set, and %s",
                f->network_error ? f->network_error : "nat.direct is false");
        remedy(s, "See: teale doctor");
    } else if (state == TL_DIRECT_UNANSWERED) {
        because(s, "not_answered",
                "not connected: this node asked to be introduced, and the peer did not answer: it "
                "is off, or it has moved");
        remedy(s, "Start the node there; then: teale ping PEER, which looks for it in the DHT");
    } else if (state == TL_DIRECT_FAILED) {
        because(s, "no_way",
                "not connected: the two were introduced, and their NATs let nothing through; no "
                "relay is set");
        remedy(s, "Forward a UDP port at one of the two, or use a relay: teale up --relay URL");
    } else {
        because(s, "not_connected",
                "not connected: nothing has been asked of this peer yet, or nothing lately");
        remedy(s, "`teale ping PEER`, with all 64 digits, looks for it in the DHT and connects.");
    }
}

/* Somebody on the local network announces it. */
static void tell_near(const tl_story_facts *f, tl_story *s)
{
    tl_direct_state state = f->report ? f->report->state : TL_DIRECT_NEVER;
    if (state == TL_DIRECT_UNANSWERED || state == TL_DIRECT_FAILED) {
        because(
            s, "near_silent",
            "not connected: the peer is announced on the local network, and answered neither by "
            "UDP nor by TCP; a firewall there may be in the way, or somebody else announces its "
            "ID");
        remedy(s, "Let in UDP and TCP there, to the port that its `teale status` shows as `lan`.");
    } else {
        because(s, "not_connected",
                "not connected: the peer is on the local network, and nothing has been asked of it "
                "yet, or nothing lately");
        remedy(s, "`teale ping PEER` connects; then ask again.");
    }
}

static void tell_unconnected(const tl_story_facts *f, tl_story *s)
{
    if (f->near) {
        tell_near(f, s);
    } else if (!f->wan_enabled && f->lan_on) {
        because(
            s, "not_near",
            "not connected: nobody on the local network announces this peer, and wan_enabled is "
            "false, so it is looked for nowhere else");
        remedy(s, "Start the node there; for peers elsewhere: teale config set wan_enabled true");
    } else if (!f->wan_enabled) {
        because(s, "wan_off", "not connected: wan_enabled is false, so no peer can be reached");
        remedy(s,
               "teale config set wan_enabled true; for a peer on the local network alone: settings "
               "lan_enabled and nat.direct");
    } else if (f->no_relay && !f->old) {
        tell_without_relay(f, s);
    } else if (!f->relay_connected && !f->by_nodes) {
        because(s, "relay_down",
                "not connected: the relay is not connected, where every connection begins, and no "
                "node that relays is known for this peer");
        remedy(s, "See: teale doctor");
    } else if (f->relay_connected && !f->listed) {
        because(s, "not_present", "not connected: the relay does not list this peer as present");
        remedy(s, "Start the node there, at the same relay; then: teale ping PEER");
    } else if (f->old) {
        tell_old(f, s);
    } else {
        because(s, "not_connected",
                "not connected: nothing has been asked of this peer yet, or "
                "nothing lately");
        remedy(s, "`teale ping PEER` connects; then ask again.");
    }
}

/* --- direct --- */

/* What would make it faster. */
static void tell_tcp(const tl_story_facts *f, tl_story *s)
{
    if (f->by_tcp)
        remedy(s,
               "It goes by TCP, since no UDP passes between the two: a firewall, or a Wi-Fi that "
               "keeps its guests apart. Let in UDP to get shorter waits when packets are lost.");
}

static void tell_direct(const tl_story_facts *f, tl_story *s)
{
    bool lan = f->via == TL_VIA_LAN;
    const tl_direct_report *r = f->report;
    tally t = r ? count(r, f->nat) : (tally){0};
    char remote[TL_ADDR_TEXT_MAX], took[64] = "";
    if (!t.valid) {
        because(s, lan ? "lan" : "direct", "%s",
                lan ? "the peer answers on the local network" : "a direct pair answers");
        tell_tcp(f, s);
        return;
    }
    tl_addr_write(remote, &t.valid->remote);
    if (r->first_valid > r->began)
        snprintf(took, sizeof took, ", %.2f s after %s", seconds(r->first_valid - r->began),
                 r->introduced ? "the two were introduced" : "the attempt began");
    because(s, lan ? "lan" : "direct",
            "%s (%s) answers%s%s; %u of %u checks to %u address%s came "
            "back",
            remote, tl_candidate_kind_name(t.valid->kind), lan ? " on the local network" : "", took,
            t.answered, t.sent, t.tried, t.tried == 1 ? "" : "es");
    tell_tcp(f, s);
}

/* --- relayed: every pair in vain --- */

static void tell_symmetric(const tl_story_facts *f, tl_story *s, bool ours, bool theirs)
{
    const tl_direct_report *r = f->report;
    char again[48];
    next_try(f, again);
    if (ours && theirs) {
        because(s, "both_symmetric",
                "both NATs are symmetric: each gives every destination another port, so neither "
                "side can name the port the other would have to ask%s%s",
                f->mapped_by ? "; our own port mapping was tried too, in vain" : "", again);
        remedy(s,
               "A port mapping (PCP, NAT-PMP, UPnP, or a forwarded port) on either side would make "
               "it direct; so would IPv6 on both.");
        return;
    }
    const char *other = tl_nat_type_name(ours ? tl_story_peer_nat(f) : our_nat(f));
    if (r->search_sent)
        because(s, "search_failed",
                "%s NAT is symmetric and the other %s; the search for an open port (%u probes, %u "
                "sockets) found none%s",
                ours ? "our" : "the peer's", other, r->search_sent, r->search_sockets, again);
    else
        because(s, "symmetric",
                "%s NAT is symmetric and the other %s; no address that was tried answered%s",
                ours ? "our" : "the peer's", other, again);
    remedy(s, "A port mapping %s would make it direct.",
           ours ? "on either side (here: PCP, NAT-PMP or UPnP in the router)"
                : "on the other side, or here,");
}

static void tell_failed(const tl_story_facts *f, tl_story *s)
{
    const tl_direct_report *r = f->report;
    tally t = count(r, f->nat);
    char again[48];
    bool ours = our_nat(f) == TL_NAT_SYMMETRIC;
    bool theirs = tl_story_peer_nat(f) == TL_NAT_SYMMETRIC;
    next_try(f, again);
    if (!r->n_pairs && r->refused) {
        because(s, "addresses_refused",
                "the peer named only addresses (%u) to which this node never "
                "sends%s",
                r->refused, again);
        remedy(s, "See `teale netcheck` on the other side.");
    } else if (!t.outer && !t.asked_by_peer && tl_story_peer_nat(f) == TL_NAT_UNKNOWN) {
        because(s, "udp_blocked_there",
                "the peer knows no public address of its own: no STUN server answers it, so UDP is "
                "probably blocked on its side; %u checks of ours came to nothing%s",
                t.sent, again);
        remedy(s, "Allow outgoing UDP on the other side; there, see: teale doctor");
    } else if (t.near && !t.asked_by_peer) {
        char ip[TL_ADDR_TEXT_MAX];
        tl_addr_write_ip(ip, &f->nat->public4);
        because(s, "same_nat",
                "both are behind one NAT (%s), which does not send packets from inside back to the "
                "inside (no hairpin), and the local addresses do not reach each other: %u checks, "
                "none came back%s",
                ip, t.sent, again);
        remedy(s, "IPv6 on both, a port mapping, or letting the two networks reach each other "
                  "would make it direct (a guest Wi-Fi keeps its hosts apart).");
    } else if (ours || theirs) {
        tell_symmetric(f, s, ours, theirs);
    } else if (t.asked_by_peer) {
        because(s, "one_way",
                "%u checks of the peer arrived here, and none of our %u was answered: something "
                "lets UDP pass in one direction only%s",
                t.asked_by_peer, t.sent, again);
        remedy(s, "Look for a firewall on the other side that drops incoming UDP.");
    } else {
        because(s, "no_answer",
                "%u checks to %u address%s, and none came back: a firewall here or there drops "
                "them%s",
                t.sent, t.tried, t.tried == 1 ? "" : "es", again);
        remedy(s, "Allow UDP between the two, or forward a port on either side; see `teale doctor` "
                  "here and there.");
    }
}

/* --- relayed: not tried to the end --- */

static void tell_trying(const tl_story_facts *f, tl_story *s)
{
    const tl_direct_report *r = f->report;
    tally t = count(r, f->nat);
    double since = r->began && f->now > r->began ? seconds(f->now - r->began) : 0;
    if (r->state == TL_DIRECT_OFFERED)
        because(s, "trying", "%s %.1f s ago and is not answered yet",
                r->introduced ? "a request to introduce us went out" : "an offer went to the peer",
                since);
    else if (r->state == TL_DIRECT_SEARCHING)
        because(s, "trying",
                "searching for an open port of the symmetric NAT: %u probes over %u sockets so "
                "far, %.1f s of at most %.0f",
                r->search_sent, r->search_sockets, since, seconds(TL_BIRTHDAY_WITHIN));
    else
        because(s, "trying",
                "a direct path is being tried: %u checks to %u address%s in %.1f s, "
                "%u answered",
                t.sent, t.tried, t.tried == 1 ? "" : "es", since, t.answered);
    remedy(s, "Ask again in a few seconds, or wait for it: teale ping PEER --until-direct");
}

static void tell_standing(const tl_story_facts *f, tl_story *s, const tl_pair *valid)
{
    char remote[TL_ADDR_TEXT_MAX];
    tl_addr_write(remote, &valid->remote);
    because(s, "held_back", "a direct path answers (%s, %.1f ms), and the relay is in use%s%s",
            remote, (double)valid->rtt / (double)TL_MS, f->rule ? ": " : "",
            f->rule ? f->rule : " for the moment");
    remedy(s, "Ask again in a few seconds.");
}

static bool clock_is_off(const tl_story_facts *f)
{
    return f->clock_known && (f->clock_ahead > CLOCK_APART || f->clock_ahead < -CLOCK_APART);
}

static void tell_relayed(const tl_story_facts *f, tl_story *s)
{
    const tl_direct_report *r = f->report;
    tally t = r ? count(r, f->nat) : (tally){0};
    char again[48] = "";
    if (r)
        next_try(f, again);
    if (!f->direct_on || (f->nat && r && r->state == TL_DIRECT_OFF)) {
        because(s, "switched_off", "direct paths are switched off here: %s",
                f->relayed_by_option ? "--relayed" : "nat.direct is false");
        remedy(s, f->relayed_by_option
                      ? "Start the node without --relayed: teale down, then teale up"
                      : "teale config set nat.direct true");
    } else if (!f->nat) {
        because(s, "no_socket", "this node has no UDP socket: %s",
                f->network_error ? f->network_error : "not known why");
        remedy(s, "See: teale doctor");
    } else if (t.valid) {
        tell_standing(f, s, t.valid);
    } else if (f->nat->udp_blocked && f->relay_connected) { /* else this machine may be offline */
        because(s, "udp_blocked_here",
                "E_UDP_BLOCKED: 0 of %u STUN servers answered: UDP is blocked on our side",
                f->nat->asked);
        remedy(s, "Allow outgoing UDP, or go on relayed. See: teale doctor");
    } else if (r && r->state == TL_DIRECT_NEVER && again[0]) {
        because(s, "backed_off", "held back after an earlier attempt%s", again);
        remedy(s, "Wait for it: teale ping PEER --until-direct");
    } else if (!r || r->state == TL_DIRECT_NEVER) {
        because(s, "not_tried", "no direct path was tried yet");
        remedy(s, "Wait for it: teale ping PEER --until-direct");
    } else if (r->state == TL_DIRECT_UNANSWERED && clock_is_off(f)) {
        because(s, "offers_unanswered",
                "the peer answers no offer (%u so far): this machine's clock is %.0f s %s the "
                "relay's, and offers that are over %d s off are refused%s",
                r->attempts, f->clock_ahead < 0 ? -f->clock_ahead : f->clock_ahead,
                f->clock_ahead < 0 ? "behind" : "ahead of", CLOCK_APART, again);
        remedy(s, "Set this machine's clock: timedatectl set-ntp true");
    } else if (r->state == TL_DIRECT_UNANSWERED) {
        because(s, "offers_unanswered",
                "the peer answers no offer (%u so far): it has direct paths switched off, speaks "
                "an older version, or refuses ours (its clock may be over 30 s apart)%s",
                r->attempts, again);
        remedy(s, "On the other side: teale config get nat.direct; teale doctor; set the clocks.");
    } else if (r->state == TL_DIRECT_LOST) {
        because(s, "lost", "a direct path stood and was lost%s", again);
        remedy(s, "Nothing to do: it is found again when the network lets it.");
    } else if (r->state == TL_DIRECT_FAILED) {
        tell_failed(f, s);
    } else {
        tell_trying(f, s);
    }
}

void tl_story_tell(const tl_story_facts *f, tl_story *ret_story)
{
    *ret_story = (tl_story){.reason = ""};
    if (f->self) {
        because(ret_story, "self", "this is this node itself");
    } else if (!f->connected) {
        tell_unconnected(f, ret_story);
    } else if (f->via == TL_VIA_RELAYED) {
        tell_relayed(f, ret_story);
    } else {
        tell_direct(f, ret_story);
    }
}
