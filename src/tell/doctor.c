#include "tell/doctor_state.h"

#include "nat/offer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define CLOCK_APART TL_OFFER_SKEW_SECONDS

const char *tl_finding_state_name(tl_finding_state s)
{
    static const char *const names[] = {"ok", "warning", "problem"};
    return names[s];
}

void tl_finding_add(tl_findings *l, const char *id, tl_finding_state state, const char *fmt, ...)
{
    assert(l->n < TL_FINDINGS_MAX);
    tl_finding *f = &l->finding[l->n++];
    *f = (tl_finding){.id = id, .state = state};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->evidence, sizeof f->evidence, fmt, ap);
    va_end(ap);
}

void tl_finding_remedy(tl_findings *l, const char *fmt, ...)
{
    tl_finding *f = &l->finding[l->n - 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->remedy, sizeof f->remedy, fmt, ap);
    va_end(ap);
}

void tl_finding_by_option(tl_findings *l, bool fixed, const char *setting, const char *option)
{
    char text[sizeof l->finding->remedy];
    char *to = l->finding[l->n - 1].remedy, *at = strstr(to, setting);
    if (!fixed || !at)
        return;
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - to), to, option, at + strlen(setting));
    memcpy(to, text, sizeof text);
}

void tl_finding_no_network(tl_findings *l, const char *id)
{
    tl_finding_add(l, id, TL_FINDING_PROBLEM,
                   "this machine has no network: no interface has an address");
    tl_finding_remedy(l, "Connect this machine to a network; the node notices by itself.");
}

/* --- UDP and STUN --- */

static void examine_port(tl_findings *l, const tl_doctor_facts *f)
{
    if (f->network_error) {
        tl_finding_add(l, "udp_port", TL_FINDING_PROBLEM, "no UDP port: %.300s", f->network_error);
        if (f->by_option.udp)
            tl_finding_remedy(l,
                              "Free the port, or start the node without --udp: it takes any then.");
        else
            tl_finding_remedy(
                l, "Free the port, or let the node take any: teale config set udp_port 0; then "
                   "teale restart");
    } else if (f->wanted_port && f->port != f->wanted_port) {
        tl_finding_add(l, "udp_port", TL_FINDING_PROBLEM,
                       "UDP port %u is in use; port %u is taken instead", f->wanted_port, f->port);
        tl_finding_remedy(
            l, "See who has it (ss -ulpn), or choose another: teale config set udp_port N");
        tl_finding_by_option(l, f->by_option.udp, "teale config set udp_port N", "--udp N");
    } else {
        tl_finding_add(l, "udp_port", TL_FINDING_OK, "UDP port %u", f->port);
    }
}

/* Only a relay that works over TCP shows that UDP alone is blocked. */
static void unanswered(tl_findings *l, const tl_doctor_facts *f)
{
    if (f->relay_connected) {
        tl_finding_add(l, "udp", TL_FINDING_PROBLEM,
                       "E_UDP_BLOCKED: 0 of %u STUN servers answered; the relay works over TCP %u",
                       f->nat->asked, tl_doctor_relay_port(f->relay));
        tl_finding_remedy(l, "Allow outgoing UDP, or go on relayed.");
        return;
    }
    if (f->no_relay) {
        tl_finding_add(l, "udp", TL_FINDING_WARNING,
                       "0 of %u STUN servers answered: this machine may be offline, or UDP may be "
                       "blocked",
                       f->nat->asked);
        tl_finding_remedy(l, "See whether this machine is online; then allow outgoing UDP in the "
                             "firewall and the router.");
        return;
    }
    tl_finding_add(
        l, "udp", TL_FINDING_WARNING,
        "0 of %u STUN servers answered, and no relay is connected: this machine may be offline, or "
        "UDP may be blocked",
        f->nat->asked);
    tl_finding_remedy(l, "Mend the connection to the relay first; then ask again.");
}

/* Writes "a, b": the servers that did not answer, as many as fit. */
static void silent_servers(const tl_doctor_facts *f, char *ret, size_t size)
{
    size_t used = 0;
    *ret = 0;
    for (size_t i = 0; i < f->n_stun && used < size; i++)
        if (!f->stun[i].answered)
            used += (size_t)snprintf(ret + used, size - used, "%s%.80s", used ? ", " : "",
                                     f->stun[i].server.name);
}

/* Appends "; not looked up: a (why)" for the first name without an address. */
static void append_unnamed(tl_findings *l, const tl_doctor_facts *f)
{
    char *text = l->finding[l->n - 1].evidence;
    for (size_t i = 0; i < f->n_unnamed; i++)
        if (f->unnamed[i].why) {
            size_t used = strlen(text);
            snprintf(text + used, sizeof l->finding->evidence - used, "; %.80s: %.120s",
                     f->unnamed[i].name, f->unnamed[i].why);
            return;
        }
}

/* There is nobody to ask. */
static void examine_names(tl_findings *l, const tl_doctor_facts *f)
{
    size_t failed = 0;
    for (size_t i = 0; i < f->n_unnamed; i++)
        failed += f->unnamed[i].why != NULL;
    if (!f->n_unnamed) {
        tl_finding_add(
            l, "udp", TL_FINDING_WARNING,
            "no STUN server is named: neither the public address nor the NAT can be found");
        tl_finding_remedy(l, "teale config set nat.stun_servers '[\"stun.cloudflare.com:3478\"]'");
    } else if (failed) {
        tl_finding_add(l, "udp", TL_FINDING_WARNING,
                       "the name of no STUN server can be looked up, so none was asked");
        append_unnamed(l, f);
        tl_finding_remedy(l, "Check this machine's DNS, and the names in nat.stun_servers.");
    } else {
        tl_finding_add(l, "udp", TL_FINDING_WARNING,
                       "the names of the STUN servers are still being looked up");
        tl_finding_remedy(l, "Ask again in a few seconds.");
    }
}

static void examine_udp(tl_findings *l, const tl_doctor_facts *f)
{
    const tl_nat_facts *nat = f->nat;
    char silent[200];
    silent_servers(f, silent, sizeof silent);
    if (!f->n_interfaces) {
        tl_finding_no_network(l, "udp");
        return;
    }
    if (!f->n_stun) {
        examine_names(l, f);
        return;
    }
    if (!nat->at || (!nat->udp_blocked && !nat->answered)) {
        tl_finding_add(l, "udp", TL_FINDING_WARNING, "the STUN servers are still being asked");
        tl_finding_remedy(l, "Ask again in a few seconds.");
    } else if (nat->udp_blocked) {
        unanswered(l, f);
    } else if (nat->answered == 1 && nat->mapping == TL_MAPPING_UNKNOWN) {
        tl_finding_add(
            l, "udp", TL_FINDING_WARNING,
            "1 of %u STUN servers answered, and two are needed to tell the NAT's type%s%s",
            nat->asked, silent[0] ? "; silent: " : "", silent);
        tl_finding_remedy(l, "Name another server in nat.stun_servers.");
    } else {
        tl_finding_add(l, "udp", TL_FINDING_OK, "%u of %u STUN servers answered%s%s", nat->answered,
                       nat->asked, silent[0] ? "; silent: " : "", silent);
    }
    append_unnamed(l, f);
}

/* --- the NAT --- */

static bool is_symmetric(const tl_nat_facts *nat)
{
    return nat->mapping == TL_MAPPING_ADDRESS_DEPENDENT ||
           nat->mapping == TL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}

static void examine_nat(tl_findings *l, const tl_doctor_facts *f)
{
    const tl_nat_facts *nat = f->nat;
    char public[TL_ADDR_TEXT_MAX] = "no public address";
    if (!nat->answered)
        return; /* the finding "udp" says so */
    if (nat->public4.family)
        tl_addr_write(public, &nat->public4);
    if (nat->mapping == TL_MAPPING_UNKNOWN) {
        tl_finding_add(l, "nat", TL_FINDING_WARNING, "the NAT's type is not known; %s", public);
        tl_finding_remedy(l, "Direct paths are tried all the same; see: teale netcheck");
        return;
    }
    if (nat->mapping == TL_MAPPING_NONE) {
        tl_finding_add(l, "nat", TL_FINDING_OK, "no NAT: %s is this machine's own address", public);
        return;
    }
    tl_finding_add(
        l, "nat", is_symmetric(nat) && !f->mapped_by ? TL_FINDING_WARNING : TL_FINDING_OK,
        "%s NAT (mapping %s, filtering %s), %s", tl_nat_type_name(tl_nat_type_of(nat)),
        tl_nat_mapping_name(nat->mapping), tl_nat_filtering_name(nat->filtering), public);
    if (is_symmetric(nat) && f->mapped_by)
        tl_finding_remedy(l, "Nothing to do: the port mapping makes up for it.");
    else if (is_symmetric(nat))
        tl_finding_remedy(l,
                          "Peers behind such a NAT %s. Switch on PCP, NAT-PMP or UPnP in the "
                          "router, or forward UDP port %u to this machine there.",
                          f->no_relay ? "are not reached without a relay, and none is set"
                                      : "stay relayed",
                          f->port);
}

/* The address that shows a second NAT beyond the router; NULL: no sign of one. */
static const char *second_nat(const tl_doctor_facts *f, char ret_text[TL_ADDR_TEXT_MAX])
{
    const tl_addr *public = &f->nat->public4;
    if (f->mapped_by && f->mapped.family) {
        tl_addr_kind kind = tl_addr_kind_of(&f->mapped);
        tl_addr_write_ip(ret_text, &f->mapped);
        if (kind == TL_ADDR_PRIVATE || kind == TL_ADDR_SHARED)
            return "the router's own outer address is not public";
        if (public->family && !tl_addr_same_ip(&f->mapped, public))
            return "the router's outer address is not the one the internet sees";
        return NULL;
    }
    for (size_t i = 0; i < f->n_interfaces && public->family; i++) {
        tl_addr a = f->interfaces[i].addr;
        a.port = 1; /* an interface's address has no port, and port 0 is not a valid address */
        /* Tailscale's own network is in the same range: it is no sign of a provider's NAT. */
        if (tl_addr_kind_of(&a) != TL_ADDR_SHARED ||
            strncmp(f->interfaces[i].name, "tailscale", 9) == 0)
            continue;
        tl_addr_write_ip(ret_text, &a);
        return "this machine has an address of the provider's own NAT";
    }
    return NULL;
}

static void examine_second_nat(tl_findings *l, const tl_doctor_facts *f)
{
    char address[TL_ADDR_TEXT_MAX], public[TL_ADDR_TEXT_MAX] = "not known";
    const char *sign = second_nat(f, address);
    if (!sign)
        return;
    if (f->nat->public4.family)
        tl_addr_write_ip(public, &f->nat->public4);
    tl_finding_add(l, "second_nat", TL_FINDING_WARNING, "%s: %s, seen from outside as %s", sign,
                   address, public);
    tl_finding_remedy(
        l, "A port mapping cannot reach through it. Use IPv6, or ask the provider for a public "
           "IPv4 address; with two routers of your own, make one of them a bridge.");
}

static void examine_mapping(tl_findings *l, const tl_doctor_facts *f)
{
    char mapped[TL_ADDR_TEXT_MAX];
    bool needless = f->nat->mapping == TL_MAPPING_NONE;
    if (f->mapped_by) {
        tl_addr_write(mapped, &f->mapped);
        tl_finding_add(l, "port_mapping", TL_FINDING_OK, "%s: %s", f->mapped_by, mapped);
    } else if (needless) {
        tl_finding_add(l, "port_mapping", TL_FINDING_OK, "not needed: there is no NAT");
    } else if (!f->port_mapping_on) {
        tl_finding_add(l, "port_mapping", TL_FINDING_WARNING, "nat.port_mapping is false");
        tl_finding_remedy(l, "teale config set nat.port_mapping true");
    } else {
        tl_finding_add(l, "port_mapping", TL_FINDING_WARNING, "none: %.300s",
                       f->mapping_error ? f->mapping_error
                                        : "no answer yet from PCP, NAT-PMP or UPnP");
        tl_finding_remedy(
            l,
            "Only peers behind strict NATs need it: switch on PCP, NAT-PMP or UPnP in the "
            "router, or forward UDP port %u to this machine.",
            f->port);
    }
}

static void examine_ipv6(tl_findings *l, const tl_doctor_facts *f)
{
    char text[TL_ADDR_TEXT_MAX];
    bool asked = false;
    const tl_interface *global = NULL;
    if (f->nat->public6.family) {
        tl_addr_write_ip(text, &f->nat->public6);
        tl_finding_add(l, "ipv6", TL_FINDING_OK, "%s", text);
        return;
    }
    for (size_t i = 0; i < f->n_stun; i++)
        asked = asked || f->stun[i].server.addr.family == TL_ADDR_V6;
    for (size_t i = 0; i < f->n_interfaces && !global; i++) {
        tl_addr a = f->interfaces[i].addr;
        a.port = 1;
        if (a.family == TL_ADDR_V6 && tl_addr_kind_of(&a) == TL_ADDR_GLOBAL)
            global = &f->interfaces[i];
    }
    if (!global) {
        tl_finding_add(l, "ipv6", TL_FINDING_OK, "none here, and none is needed");
        return;
    }
    tl_addr_write_ip(text, &global->addr);
    if (asked && f->nat->at) {
        tl_finding_add(l, "ipv6", TL_FINDING_WARNING,
                       "%s has %s, but no STUN server answered over IPv6", global->name, text);
        tl_finding_remedy(
            l, "Allow outgoing UDP, and its answers, over IPv6 in the firewall and the router.");
    } else {
        tl_finding_add(l, "ipv6", TL_FINDING_OK, "%s has %s; no STUN server was asked over IPv6",
                       global->name, text);
    }
}

/* --- peers --- */

static void examine_direct(tl_findings *l, const tl_doctor_facts *f)
{
    if (f->direct_on) {
        tl_finding_add(l, "direct", TL_FINDING_OK,
                       "%zu direct, %zu on the local network, %zu relayed (%zu by UDP)",
                       f->peers_direct, f->peers_lan, f->peers_relayed, f->peers_relayed_udp);
        if (f->peers_relayed)
            tl_finding_remedy(l, "For a relayed peer, see: teale why PEER");
    } else if (f->by_option.relayed) {
        tl_finding_add(l, "direct", TL_FINDING_WARNING,
                       "--relayed: everything goes through the relay");
        tl_finding_remedy(
            l, "Nothing, if that is what you want. Else start the node without --relayed: "
               "teale restart");
    } else {
        tl_finding_add(l, "direct", TL_FINDING_WARNING,
                       f->no_relay
                           ? "nat.direct is false, and no relay is set: no peer can be reached"
                           : "nat.direct is false: everything goes through the relay");
        tl_finding_remedy(l, "teale config set nat.direct true");
    }
    if (f->black_holes && f->hole_ago < TL_DOCTOR_FRESH) {
        tl_finding_add(
            l, "mtu", TL_FINDING_WARNING,
            "large packets were lost %llu time%s on a path that had carried them; smaller packets "
            "are sent there now",
            (unsigned long long)f->black_holes, f->black_holes == 1 ? "" : "s");
        tl_finding_remedy(
            l, "Let ICMP \"packet too big\" through the firewalls on the path, or lower the MTU of "
               "the VPN or line that drops them.");
    }
}

/* A peer with another time refuses our offers, or we refuse its offers. The relay's time tells whose
 * clock is the odd one. If it does not, nothing is said about which. */
static void examine_clock(tl_findings *l, const tl_doctor_facts *f)
{
    double ahead = f->clock_ahead < 0 ? -f->clock_ahead : f->clock_ahead;
    unsigned long long late = f->late_ago < TL_DOCTOR_FRESH ? f->offers_late : 0;
    const char *s = late == 1 ? "" : "s";
    if (f->clock_known && ahead > CLOCK_APART) {
        tl_finding_add(
            l, "clock", TL_FINDING_WARNING,
            "this machine's clock is %.0f s %s the relay's; peers refuse offers that are over %d s "
            "off",
            ahead, f->clock_ahead < 0 ? "behind" : "ahead of", CLOCK_APART);
        tl_finding_remedy(
            l, "Set this machine's clock: timedatectl set-ntp true. If it is right, the relay's "
               "is wrong.");
    } else if (late && f->clock_known) {
        tl_finding_add(
            l, "clock", TL_FINDING_WARNING,
            "%llu offer%s from peers refused as late: their clocks are over %d s off; this "
            "machine's agrees with the relay's",
            late, s, CLOCK_APART);
        tl_finding_remedy(l, "On the machines of those peers: timedatectl set-ntp true");
    } else if (late) {
        tl_finding_add(l, "clock", TL_FINDING_WARNING,
                       "%llu offer%s from peers refused as late: two clocks are over %d s apart",
                       late, s, CLOCK_APART);
        tl_finding_remedy(l, "Set the clocks on both machines: timedatectl set-ntp true");
    }
}

/* In the same words in cli/cmd_show.c. */
static void examine_old(tl_findings *l, const tl_doctor_facts *f)
{
    char nodes[96] = "no node here speaks only the old protocol now";
    if (f->peers_in_clear)
        snprintf(nodes, sizeof nodes,
                 "%zu node%s here speak%s only the old protocol, in clear through the relay",
                 f->peers_in_clear, f->peers_in_clear == 1 ? "" : "s",
                 f->peers_in_clear == 1 ? "s" : "");
    if (f->in_clear) {
        tl_finding_add(
            l, "old_protocol", TL_FINDING_WARNING,
            "legacy_plaintext is true: what passes between this node and nodes of the old protocol "
            "can be read and changed by the relay; %s",
            nodes);
        tl_finding_remedy(l, "teale config set legacy_plaintext false");
    } else if (f->peers_in_clear) {
        tl_finding_add(l, "old_protocol", TL_FINDING_OK, "%s", nodes);
        tl_finding_remedy(
            l, "They are left alone. `teale config set legacy_plaintext true` speaks with them; "
               "the relay can then read it.");
    }
}

/* --- models --- */

/* The remedy for a model server's error text: the first entry whose part is in the text. */
static const char *backend_remedy(const char *error)
{
    static const struct {
        const char *part, *remedy;
    } known[] = {
        {"wants a key", "Write its key into a file of mode 0600, and: teale config set "
                        "backend_key_file FILE"},
        {"refuses the key", "It runs, and refuses the key: put the right one into the file that "
                            "backend_key_file names."},
        {"key file", "Mend the file that backend_key_file names."},
        {"with status", "Something answers there, but not as a model server: correct `share`."},
        {"cannot look up", "Check the name in `share`, and this machine's DNS."},
        {"certificate", "The server runs: name it by a name that its certificate is for, and let "
                        "this machine trust its authority (SSL_CERT_FILE)."},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(error, known[i].part))
            return known[i].remedy;
    return "Start the model server, or correct `share`.";
}

static void examine_backend(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->share[0]) {
        tl_finding_add(l, "backend", TL_FINDING_OK, "none is shared");
        return;
    }
    const char *url = f->backend_url[0] ? f->backend_url : f->share;
    if (!f->backend_up) {
        tl_finding_add(l, "backend", TL_FINDING_PROBLEM, "%.120s: %.220s", url,
                       f->backend_error[0] ? f->backend_error : "no answer yet");
        tl_finding_remedy(l, "%s", backend_remedy(f->backend_error));
        tl_finding_by_option(l, f->by_option.share, "`share`", "--share");
        return;
    }
    tl_finding_add(l, "backend", TL_FINDING_OK, "%.200s answers", url);
    if (f->models_shared) {
        tl_finding_add(l, "models", TL_FINDING_OK, "%zu of %zu shared", f->models_shared,
                       f->models);
    } else if (f->models) {
        tl_finding_add(l, "models", TL_FINDING_PROBLEM,
                       "the server has %zu model%s, and share_models names none of them", f->models,
                       f->models == 1 ? "" : "s");
        if (f->by_option.model)
            tl_finding_remedy(l, "Correct --model, or start the node without it to share all.");
        else
            tl_finding_remedy(
                l, "Correct share_models, or share all: teale config set share_models '[]'");
    } else {
        tl_finding_add(l, "models", TL_FINDING_PROBLEM, "the model server has no model");
        tl_finding_remedy(l, "Load one there, as with: ollama pull qwen3:8b");
    }
}

/* --- what the node must not forget --- */

static void examine_store(tl_findings *l, const tl_doctor_facts *f)
{
    if (f->store_error) {
        tl_finding_add(l, "store", TL_FINDING_PROBLEM, "%.150s: %.200s", f->store, f->store_error);
        tl_finding_remedy(
            l, "Free space on that disk, or mend it. Until then no invite is redeemed and nothing "
               "is charged; the node goes on when it can write again.");
    } else if (f->store_restored) {
        tl_finding_add(l, "store", TL_FINDING_WARNING,
                       "%.150s was put back from an older copy: its open invites were withdrawn",
                       f->store);
        tl_finding_remedy(
            l, "Make new invites. What was earned or spent after the copy was made is not in it: "
               "compare the wallet with those of your peers.");
    } else if (f->store) {
        tl_finding_add(l, "store", TL_FINDING_OK, "%.300s", f->store);
    }
}

size_t tl_doctor_examine(const tl_doctor_facts *f, tl_finding ret_findings[TL_FINDINGS_MAX])
{
    tl_findings l = {ret_findings, 0};
    tl_doctor_examine_relay(&l, f);
    if (f->nat || f->network_error)
        examine_port(&l, f);
    if (f->nat) {
        examine_udp(&l, f);
        examine_nat(&l, f);
        examine_second_nat(&l, f);
        examine_mapping(&l, f);
        examine_ipv6(&l, f);
    }
    tl_doctor_examine_relay_udp(&l, f);
    tl_doctor_examine_relaying(&l, f);
    tl_doctor_examine_introducers(&l, f);
    tl_doctor_examine_dht(&l, f);
    tl_doctor_examine_lan(&l, f);
    examine_direct(&l, f);
    examine_clock(&l, f);
    examine_old(&l, f);
    examine_backend(&l, f);
    tl_doctor_examine_networks(&l, f);
    examine_store(&l, f);
    tl_doctor_examine_backup(&l, f);
    return l.n;
}
