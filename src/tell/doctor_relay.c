#include "tell/doctor_state.h"

#include <stdio.h>

uint16_t tl_doctor_relay_port(const char *url)
{
    bool tls = strncmp(url, "wss://", 6) == 0;
    const char *host = strstr(url, "://");
    char ignored[TL_HOST_MAX];
    uint16_t port = 0;
    if (!host)
        return 0;
    host += 3;
    tl_slice hostport = tl_slice_of(host, strcspn(host, "/?"));
    return tl_hostport_parse(hostport, tls ? 443 : 80, ignored, &port) ? 0 : port;
}

/* The remedy for a connection's error text: the first entry whose part is in the text. */
static const char *relay_remedy(const char *error)
{
    static const struct {
        const char *part, *remedy;
    } known[] = {
        {"E_CAPTIVE_PORTAL", "Log in there. The node goes on by itself, within seconds."},
        {"wants a login", "Put the login into wan_proxy: http://USER:PASSWORD@HOST:PORT"},
        {"refused the user", "Correct the user and the password in the proxy's URL."},
        {"the proxy", "Check wan_proxy, or https_proxy and all_proxy where the node is started; to "
                      "go without a proxy: teale config set wan_proxy none"},
        {"cannot look up", "Check the name in wan_relay_url, and this machine's DNS."},
        {"Connection refused", "Start teale-relay there, or correct the port in wan_relay_url."},
        {"not encrypted", "Use a wss:// relay, or: teale config set wan_allow_insecure_relay true"},
        {"certificate",
         "Use a name the certificate is for; set wan_relay_ca_file for a private CA; "
         "check this machine's clock."},
        {"TLS", "Check whether the URL should begin with ws:// instead of wss://, and that nothing "
                "on the way intercepts TLS."},
        {"answered HTTP 502",
         "The web server there does not reach its relay; tell who runs it. The node goes on "
         "trying."},
        {"answered HTTP 503",
         "The web server there does not reach its relay, or the relay ends; the node goes on "
         "trying."},
        {"answered HTTP 504",
         "The web server there does not reach its relay; tell who runs it. The node goes on "
         "trying."},
        {"answered HTTP", "Check the path of wan_relay_url (usually /ws) and for a proxy on the "
                          "way."},
        {"another process", "Stop the other node that runs with this key, or give it a home of its "
                            "own (--home)."},
        {"refused us (unauthorized",
         "The relay knows itself by another name: use one of its --name in wan_relay_url."},
        {"refused us",
         "The relay refuses this node for the reason that it gives; ask its operator. "
         "The node goes on trying."},
        {"within 10 s", "Check that this machine is online and that no firewall drops TCP to the "
                        "relay."},
        {"unreachable", "Check that this machine is online."},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(error, known[i].part))
            return known[i].remedy;
    return "Check wan_relay_url; the node goes on trying.";
}

static const char *cause_of(const char *error)
{
    return error[0] ? error : "not connected yet";
}

/* No relay is connected. The remedy is for the one that failed last. */
static void tell_relays(tl_findings *l, const tl_doctor_facts *f)
{
    const char *remedied = relay_remedy(f->relay_error);
    if (f->n_relays < 2) {
        tl_finding_add(l, "relay", TL_FINDING_PROBLEM, "%.120s: %.220s", f->relay,
                       cause_of(f->relay_error));
        tl_finding_remedy(l, "%s", remedied);
        return;
    }
    tl_finding_add(l, "relay", TL_FINDING_PROBLEM, "none of %zu relays", f->n_relays);
    char *text = l->finding[l->n - 1].evidence;
    for (size_t i = 0; i < f->n_relays; i++) {
        size_t used = strlen(text), room = sizeof l->finding->evidence - used;
        snprintf(text + used, room, "%s%.80s: %.160s", i ? "; " : ": ", f->relays[i].url,
                 cause_of(f->relays[i].cause));
    }
    tl_finding_remedy(l, "For %.80s: %.190s", f->relay, remedied);
}

/* Of a list of relays the node is at two. The one that is missing has a cause. */
static void examine_second(tl_findings *l, const tl_doctor_facts *f)
{
    size_t wanted = f->n_relays < 2 ? f->n_relays : 2;
    if (f->relays_connected >= wanted)
        return;
    if (f->relays_are_one && f->n_relays == 2) {
        tl_finding_add(l, "second_relay", TL_FINDING_OK,
                       "both relays act as one, so this node is at one of them; it moves to the "
                       "other when that one goes");
        return;
    }
    if (f->relays_are_one) {
        tl_finding_add(l, "second_relay", TL_FINDING_WARNING,
                       "two of %zu relays act as one, and this node is at one of these alone",
                       f->n_relays);
        tl_finding_remedy(l, "Name one of these two in wan_relay_url. The log tells which they "
                             "are.");
        return;
    }
    tl_finding_add(l, "second_relay", TL_FINDING_WARNING,
                   "connected to one relay of %zu: if it goes, questions under way wait",
                   f->n_relays);
    for (size_t i = 0; i < f->n_relays; i++)
        if (f->relays[i].cause[0]) {
            tl_finding_remedy(l, "%.100s: %.100s. %.90s", f->relays[i].url, f->relays[i].cause,
                              relay_remedy(f->relays[i].cause));
            return;
        }
    tl_finding_remedy(l, "Wait a moment: the node goes on trying.");
}

void tl_doctor_examine_relay(tl_findings *l, const tl_doctor_facts *f)
{
    if (!f->wan_enabled && f->lan.enabled && f->lan.by) {
        tl_finding_add(l, "wan", TL_FINDING_OK,
                       "wan_enabled is false: peers are found on the local network alone");
        return;
    }
    if (!f->wan_enabled) {
        const char *lan = f->direct_on ? "lan_enabled" : "nat.direct";
        tl_finding_add(l, "wan", TL_FINDING_PROBLEM,
                       "wan_enabled is false%s%s: no peer can be found or reached",
                       f->lan.enabled ? "" : ", and so is ", f->lan.enabled ? "" : lan);
        if (f->lan.enabled)
            tl_finding_remedy(l, "teale config set wan_enabled true");
        else
            tl_finding_remedy(l,
                              "For the local network: teale config set %s true. For others: teale "
                              "config set wan_enabled true",
                              lan);
        return;
    }
    tl_finding_add(l, "wan", TL_FINDING_OK, "wan_enabled is true");
    if (f->no_relay) {
        tl_doctor_examine_without(l, f);
        return;
    }
    if (f->portal) {
        tl_finding_add(l, "portal", TL_FINDING_PROBLEM,
                       "E_CAPTIVE_PORTAL: this network lets nobody out before a log-in");
        tl_finding_remedy(l, "Open %.200s in a browser and log in. The node goes on by itself.",
                          f->portal);
    }
    if (f->proxy) {
        tl_finding_add(
            l, "proxy", TL_FINDING_OK,
            "the relay's connection goes through %.200s (%s); UDP goes through no proxy: "
            "direct paths are tried all the same",
            f->proxy, f->proxy_source);
    }
    if (!f->relay_connected) {
        tell_relays(l, f);
        tl_finding_by_option(l, f->by_option.relay, "wan_relay_url", "--relay");
    } else if (f->relay_rtt) {
        tl_finding_add(l, "relay", TL_FINDING_OK, "%.200s connected, %.1f ms", f->relay,
                       (double)f->relay_rtt / (double)TL_MS);
    } else {
        tl_finding_add(l, "relay", TL_FINDING_OK, "%.200s connected", f->relay);
    }
    if (f->relay_connected)
        examine_second(l, f);
}
