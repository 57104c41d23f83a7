#include "tell/relaying.h"

#include <stdio.h>

const char *tl_relaying_state_name(tl_relaying_state state)
{
    static const char *const names[] = {
        [TL_RELAYING_OFF] = "off",           [TL_RELAYING_ASKING] = "asking",
        [TL_RELAYING_UNPROVEN] = "unproven", [TL_RELAYING_CLOSED] = "closed",
        [TL_RELAYING_SERVING] = "serving",   [TL_RELAYING_LEAVING] = "leaving"};
    return names[state];
}

static void say(tl_relaying *r, tl_relaying_state state, const char *reason, const char *remedy)
{
    r->state = state;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    snprintf(r->remedy, sizeof r->remedy, "%s", remedy);
}

/* There is a port, and the servers have answered. */
static void judge_nat(const tl_relaying_facts *f, tl_relaying *r)
{
    const tl_nat_facts *nat = f->nat;
    char at[TL_ADDR_TEXT_MAX], forward[160], text[256];
    tl_addr_write(at, &nat->public4);
    snprintf(forward, sizeof forward,
             "forward UDP port %u at the router to this machine, and set udp_port = %u", f->port,
             f->port);
    if (tl_addr_kind_of(&nat->public4) != TL_ADDR_GLOBAL) {
        snprintf(text, sizeof text, "the address that STUN servers see, %s, is not a public one",
                 at);
        say(r, TL_RELAYING_CLOSED, text, "ask STUN servers on the internet (nat.stun_servers)");
    } else if (nat->mapping == TL_MAPPING_ADDRESS_DEPENDENT ||
               nat->mapping == TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT) {
        say(r, TL_RELAYING_CLOSED, "the NAT shows another address to each peer (symmetric)",
            forward);
    } else if (nat->filtering == TL_FILTERING_UNKNOWN && nat->mapping != TL_MAPPING_NONE) {
        snprintf(text, sizeof text,
                 "nothing has shown that strangers reach %s: no STUN server with two addresses has "
                 "answered",
                 at);
        say(r, TL_RELAYING_UNPROVEN, text,
            "add one to nat.stun_servers that follows RFC 5780, such as a teale-relay with two "
            "--udp addresses");
    } else if (nat->filtering != TL_FILTERING_UNKNOWN &&
               nat->filtering != TL_FILTERING_ENDPOINT_INDEPENDENT) {
        snprintf(text, sizeof text, "strangers do not reach %s: a %s lets in answers alone", at,
                 nat->mapping == TL_MAPPING_NONE ? "firewall" : "NAT");
        if (nat->mapping == TL_MAPPING_NONE)
            snprintf(forward, sizeof forward, "let UDP port %u through the firewall", f->port);
        else if (f->mapped)
            snprintf(forward, sizeof forward,
                     "the router's port mapping does not hold for strangers: forward UDP port %u "
                     "by hand",
                     f->port);
        say(r, TL_RELAYING_CLOSED, text, forward);
    } else {
        r->state = TL_RELAYING_SERVING;
        r->address = nat->public4;
    }
}

void tl_relaying_judge(const tl_relaying_facts *f, tl_relaying *ret_relaying)
{
    tl_relaying r = {.state = TL_RELAYING_OFF};
    if (!f->enabled)
        ;
    else if (f->leaving)
        say(&r, TL_RELAYING_LEAVING, "this node is shutting down", "");
    else if (!f->wan_enabled)
        say(&r, TL_RELAYING_CLOSED, "wan_enabled is false", "teale config set wan_enabled true");
    else if (!f->direct_on)
        say(&r, TL_RELAYING_CLOSED, "nat.direct is false, so no UDP port is open",
            "teale config set nat.direct true");
    else if (!f->port)
        say(&r, TL_RELAYING_CLOSED, f->network_error ? f->network_error : "there is no UDP port",
            "teale doctor");
    else if (f->nat->at && f->nat->udp_blocked)
        say(&r, TL_RELAYING_CLOSED, "no STUN server answers by UDP",
            "allow outgoing UDP, or name servers that answer (nat.stun_servers)");
    else if (!f->nat->at || f->nat->public4.family == TL_ADDR_NONE ||
             f->nat->mapping == TL_MAPPING_UNKNOWN)
        say(&r, TL_RELAYING_ASKING, "STUN servers have not told our IPv4 address yet",
            "wait some seconds; then see: teale netcheck");
    else
        judge_nat(f, &r);
    *ret_relaying = r;
}

void tl_relaying_for_nobody(tl_relaying *r)
{
    if (r->state == TL_RELAYING_SERVING)
        say(r, TL_RELAYING_SERVING,
            "nat.relay_for is \"networks\", and this node is in none, so nobody can use it",
            "teale ptn create NAME, or teale join CODE, or: teale config set nat.relay_for any");
}
