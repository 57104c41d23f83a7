#include "cli/upshow.h"

#include "cli/daemon.h"
#include "cli/nattext.h"
#include "cli/waiting.h"

#include <poll.h>
#include <time.h>

#define STEPS        5
#define ASK_TIME     (5 * TL_SEC)
/* Not worth a longer wait: the node works all the same. A neighbour answers within 150 ms. */
#define NETWORK_TIME (1 * TL_SEC)
#define POLL_MS      100

static tl_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tl_time)t.tv_sec * TL_SEC + (tl_time)t.tv_nsec;
}

static bool is(const json_t *object, const char *key, const char *value)
{
    return !strcmp(tl_json_string(object, key, ""), value);
}

/* Text from the daemon, harmless to a terminal and never cut. The caller frees it with
 * tl_buf_clear; "" when there is no memory. */
static const char *plain(tl_buf *b, const char *text)
{
    tl_buf_clear(b);
    if (tl_out_clean(b, text) || tl_buf_append(b, tl_slice_of("", 1)))
        return "";
    return (const char *)tl_buf_begin(b);
}

/* Asks for the status until `is_settled` returns true or `until` is past. Returns the last status;
 * NULL if the daemon does not answer any more. */
static json_t *wait_status(const tl_cli *cli, tl_time until, const char *what,
                           bool (*is_settled)(const json_t *status))
{
    tl_time began = now();
    tl_waiting waiting = tl_waiting_for(cli, "%s", what);
    for (;;) {
        json_t *status;
        if (tl_daemon_get(cli, "/control/status", ASK_TIME, &status))
            return NULL;
        if (is_settled(status) || now() >= until) {
            tl_waiting_end(&waiting);
            return status;
        }
        json_decref(status);
        tl_waiting_tick(&waiting, now() - began);
        poll(NULL, 0, POLL_MS);
    }
}

/* --- the five steps --- */

static void show_identity(const json_t *status, const char *new_key)
{
    const char *node = tl_json_string(status, "node_id", "?");
    size_t n = strlen(node);
    const char *end = node + (n > 2 ? n - 2 : 0);
    if (new_key)
        tl_progress_done(1, STEPS, "identity", "%.4s...%s (new, kept in %s)", node, end, new_key);
    else
        tl_progress_done(1, STEPS, "identity", "%.4s...%s", node, end);
}

/* A model server that is silent, or was not found yet, may be starting. */
static bool is_backend_settled(const json_t *status)
{
    const json_t *sharing = json_object_get(status, "sharing");
    return !is(sharing, "state", "starting") && !is(sharing, "reason", "silent") &&
           !is(sharing, "reason", "none_found");
}

static void show_server(const json_t *backend)
{
    tl_buf line = {0};
    const json_t *models = json_object_get(backend, "models"), *model;
    size_t i;
    tl_err e = tl_out_clean(&line, tl_json_string(backend, "kind", "model server"));
    if (!e)
        e = tl_buf_append_str(&line, " at ");
    if (!e)
        e = tl_out_clean(&line, tl_json_string(backend, "url", ""));
    json_array_foreach (models, i, model) {
        if (!e)
            e = tl_buf_append_str(&line, i ? ", " : ": ");
        if (!e)
            e = tl_out_clean(&line, json_is_string(model) ? json_string_value(model) : "");
    }
    if (!e && !json_array_size(models))
        e = tl_buf_append_str(&line, ": no model");
    tl_slice s = tl_buf_slice(&line);
    tl_progress_done(2, STEPS, "backend", "%.*s", e ? 0 : (int)s.n, (const char *)s.p);
    tl_buf_clear(&line);
}

static void show_backend(const json_t *status)
{
    tl_buf text = {0};
    const json_t *backend = json_object_get(status, "backend");
    const json_t *sharing = json_object_get(status, "sharing");
    if (is(sharing, "state", "off"))
        tl_progress_done(2, STEPS, "backend", "none shared (--share URL shares a model server)");
    else if (is(backend, "state", "up"))
        show_server(backend);
    else
        tl_progress_done(2, STEPS, "backend", "%s",
                         plain(&text, tl_json_string(backend, "error", "no answer yet")));
    tl_buf_clear(&text);
}

/* One relay that cannot be used settles nothing while another one has not answered yet. */
static bool is_relay_settled(const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan"), *r;
    size_t i;
    if (!tl_json_bool(wan, "enabled", false) || is(wan, "state", "connected") ||
        is(wan, "state", "none") || is(wan, "state", "aside"))
        return true;
    json_array_foreach (json_object_get(wan, "relays"), i, r)
        if (!*tl_json_string(r, "error", ""))
            return false;
    return *tl_json_string(wan, "error", "");
}

/* Returns an exit code. */
static int show_relay(const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan"), *dht = json_object_get(status, "dht");
    tl_buf relay = {0}, error = {0};
    double rtt = tl_json_number(wan, "relay_rtt_ms", 0);
    int code = TL_EXIT_OK;
    const char *url = plain(&relay, tl_json_string(wan, "relay", ""));
    const char *why = tl_json_string(wan, "error", NULL);
    if (!tl_json_bool(wan, "enabled", false)) {
        tl_progress_done(3, STEPS, "relay",
                         "off (--relay URL, or: teale config set wan_enabled true)");
    } else if (is(wan, "state", "none") && is(dht, "state", "off")) {
        tl_progress_done(3, STEPS, "relay",
                         "none is set, and this node is not in the DHT: no peer can be found "
                         "(settings dht.enabled, nat.direct). See: teale doctor");
    } else if (is(wan, "state", "none") && is(dht, "state", "offline")) {
        tl_progress_done(3, STEPS, "relay", "none is set, and this machine has no network");
        code = TL_EXIT_UNREACHABLE;
    } else if (is(wan, "state", "none")) {
        tl_progress_done(3, STEPS, "relay", "none is set; peers are found through the DHT");
    } else if (is(wan, "state", "aside")) {
        tl_progress_done(3, STEPS, "relay", "not used: %s", plain(&error, why ? why : ""));
        code = TL_EXIT_FAILED;
    } else if (is(wan, "state", "connected") && rtt > 0) {
        tl_progress_done(3, STEPS, "relay", "%s connected, %.1f ms", url, rtt);
    } else if (is(wan, "state", "connected")) {
        tl_progress_done(3, STEPS, "relay", "%s connected", url);
    } else {
        tl_progress_done(3, STEPS, "relay", "%s not connected: %s", url,
                         why ? plain(&error, why) : "no answer yet");
        code = why ? TL_EXIT_UNREACHABLE : TL_EXIT_TIMEOUT;
    }
    tl_buf_clear(&relay);
    tl_buf_clear(&error);
    return code;
}

/* The NAT is told; on the local network alone, somebody is heard there. */
static bool is_network_settled(const json_t *status)
{
    if (tl_json_bool(json_object_get(status, "wan"), "enabled", false))
        return tl_nattext_is_settled(json_object_get(status, "nat"));
    return tl_daemon_is_offline(status) || !tl_daemon_is_on_lan(status) ||
           tl_json_number(json_object_get(status, "lan"), "nodes", 0) > 0;
}

static void show_network(const json_t *status)
{
    char text[TL_NATTEXT_MAX], announced[TL_DAEMON_ANNOUNCED_MAX];
    if (!tl_json_bool(json_object_get(status, "wan"), "enabled", false)) {
        tl_daemon_write_announced(announced, status);
        if (tl_daemon_is_offline(status))
            tl_progress_done(4, STEPS, "network", "none: no interface has an address");
        else if (tl_daemon_is_on_lan(status))
            tl_progress_done(4, STEPS, "network", "the local network alone; %s", announced);
        else
            tl_progress_done(4, STEPS, "network", "this machine only");
        return;
    }
    tl_nattext_step(json_object_get(status, "nat"), text);
    tl_progress_done(4, STEPS, "network", "%s", text);
}

/* --- what it means --- */

/* Names the networks whose members may ask. */
static void tell_networks(const json_t *ptns)
{
    tl_buf names = {0};
    const json_t *ptn;
    size_t i;
    json_array_foreach (ptns, i, ptn)
        if (is(ptn, "state", "valid") && !is(ptn, "role", "consumer") &&
            (tl_buf_append_str(&names, names.len ? ", " : "") ||
             tl_out_clean(&names, tl_json_string(ptn, "name", ""))))
            break;
    tl_slice s = tl_buf_slice(&names);
    tl_out_note("serving only members of your networks: %.*s", (int)s.n, (const char *)s.p);
    tl_buf_clear(&names);
}

/* Says what is shared with whom, or why it is not. */
static int conclude_sharing(const json_t *status)
{
    const json_t *sharing = json_object_get(status, "sharing"), *model;
    bool wan = tl_json_bool(json_object_get(status, "wan"), "enabled", false);
    bool without = !wan || is(json_object_get(status, "wan"), "state", "none");
    bool lan = tl_daemon_is_on_lan(status);
    tl_buf cause = {0}, remedy = {0}, name = {0};
    size_t i;
    int code = TL_EXIT_OK;
    const char *what = plain(&cause, tl_json_string(sharing, "cause", ""));
    const char *advice = plain(&remedy, tl_json_string(sharing, "remedy", ""));
    if (is(sharing, "state", "nothing")) {
        tl_out_note("nothing is shared: %s. %s", what, advice);
        code = TL_EXIT_FAILED;
    } else if (is(sharing, "state", "starting")) {
        tl_out_note("nothing is shared: the model server has not answered yet. See: teale status");
        code = TL_EXIT_FAILED;
    } else if (is(sharing, "state", "nobody")) {
        tl_out_note("nobody else is served: %s. %s", what, advice);
    } else if (is(sharing, "state", "on") && is(sharing, "with", "public") && without) {
        tl_out_note("serving anyone %s; --private serves only your networks",
                    wan ? "who finds this node" : "on the local network");
    } else if (is(sharing, "state", "on") && is(sharing, "with", "public")) {
        tl_out_note("serving anyone on this relay%s; --private serves only your networks",
                    lan ? " and on the local network" : "");
    } else if (is(sharing, "state", "on")) {
        tell_networks(json_object_get(status, "ptns"));
    }
    if (!code)
        json_array_foreach (json_object_get(sharing, "missing"), i, model)
            tl_out_note("not shared: the model server does not serve \"%s\"",
                        plain(&name, json_is_string(model) ? json_string_value(model) : ""));
    tl_buf_clear(&cause);
    tl_buf_clear(&remedy);
    tl_buf_clear(&name);
    return code;
}

/* A person must know what everybody can read. */
static void conclude_published(const json_t *status)
{
    const json_t *dht = json_object_get(status, "dht");
    bool done = tl_json_number(json_object_get(dht, "published"), "holders", 0) > 0;
    if (tl_json_bool(dht, "publishes", false))
        tl_out_note(
            "%s in the public DHT, for whoever has this node's ID: its NAT's type, its public "
            "addresses, and the\nnodes and relays through which it is reached; nothing else. "
            "Behind a NAT, nodes of strangers that\nintroduce it learn its ID and address. Off: "
            "teale config set dht.publish off. See: teale dht get %.16s",
            done ? "Published" : "To be published", tl_json_string(status, "node_id", ""));
}

static void conclude_api(const tl_cli *cli, const json_t *status)
{
    const char *url = tl_json_string(json_object_get(status, "api"), "url", "");
    size_t n = strlen(url);
    if (n > 3 && strcmp(url + n - 3, "/v1") == 0)
        tl_out_note("In a browser: %.*s/", (int)(n - 3), url);
    const char *at = tl_json_string(json_object_get(status, "api"), "others_at", NULL);
    if (at)
        tl_out_note(
            "The API is open to other machines at %s, with the key in %s\n"
            "(teale env prints it; clients send \"Authorization: Bearer KEY\"). The page asks "
            "there for the owner's,\nwhich teale env --owner prints. Nothing is encrypted: "
            "prefer a tunnel.",
            at, cli->paths.api_key);
}

/* True when there is a model that can be asked. */
static bool can_ask(const tl_cli *cli)
{
    json_t *all;
    if (tl_daemon_get(cli, "/control/models", ASK_TIME, &all))
        return false;
    bool any = json_array_size(json_object_get(all, "models")) > 0;
    json_decref(all);
    return any;
}

/* Says what to do next. A machine that shares is open to anyone until it has a network of its own, so
 * that comes first. */
static void conclude_asking(const tl_cli *cli, const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan");
    const json_t *sharing = json_object_get(status, "sharing");
    bool shares = is(sharing, "state", "on") || is(sharing, "reason", "no_network");
    if (shares && !json_array_size(json_object_get(status, "ptns")))
        tl_out_note("Next: teale ptn create family && teale ptn invite family");
    else if (can_ask(cli))
        tl_out_note("Next: teale chat \"Why is the sky blue?\"");
    else if (tl_daemon_is_offline(status))
        return; /* that is told, and what to do */
    else if (!tl_json_bool(wan, "enabled", false) && tl_daemon_is_on_lan(status))
        tl_daemon_tell_no_model(status);
    else if (!tl_json_bool(wan, "enabled", false))
        tl_out_note(
            "No model can be asked yet: name a relay on which others share one (teale down, "
            "then teale up --relay URL),\nor a model server here (--share URL).");
    else if (is(wan, "state", "none") && is(json_object_get(status, "dht"), "state", "off"))
        tl_out_note("No model can be asked: no relay is set, and this node is not in the DHT. See: "
                    "teale doctor");
    else if (is(wan, "state", "none") && json_array_size(json_object_get(status, "ptns")))
        tl_out_note("No model can be asked yet: no member of your networks that shares one is "
                    "connected. They are looked\nfor. See: teale models");
    else if (is(wan, "state", "none"))
        tl_out_note(
            "No model can be asked yet: no node that shares one is connected. Connect to one "
            "by its ID:\nteale ping NODE_ID. Or join a network: teale join CODE");
    else if (!is(wan, "state", "connected"))
        tl_out_note("No model can be asked before the relay is reached.");
    else if (!tl_json_bool(status, "asks_others", true))
        tl_out_note("No model can be asked: ask is \"networks\", and this node is in no private "
                    "network.\nJoin one: teale join CODE. Or ask anyone on the relay: teale config "
                    "set ask any");
    else
        tl_out_note("No model can be asked yet: nobody on this relay shares one with this node. On "
                    "a machine with a\nmodel server: teale up --relay URL --share auto. Then here: "
                    "teale models");
}

int tl_upshow_running(const json_t *status)
{
    const json_t *wan = json_object_get(status, "wan");
    const char *why = tl_json_string(wan, "error", NULL);
    tl_buf relay = {0}, error = {0};
    int code = TL_EXIT_OK;
    if (tl_json_bool(wan, "enabled", false) && !is(wan, "state", "connected") &&
        !is(wan, "state", "none")) {
        const char *url = tl_json_string(wan, "relay", "");
        tl_out_note("the relay %s is not connected: %s", plain(&relay, url),
                    why ? plain(&error, why) : "no answer yet");
        code = why ? TL_EXIT_UNREACHABLE : TL_EXIT_TIMEOUT;
    }
    tl_buf_clear(&relay);
    tl_buf_clear(&error);
    int sharing = conclude_sharing(status);
    if (tl_daemon_is_offline(status)) {
        tl_daemon_tell_offline();
        code = code ? code : TL_EXIT_UNREACHABLE;
    }
    return code ? code : sharing;
}

int tl_upshow(const tl_cli *cli, const char *new_key, bool in_clear, tl_time timeout)
{
    tl_time until = now() + timeout;
    json_t *status = wait_status(cli, 0, "the node", is_backend_settled);
    if (!status)
        return TL_EXIT_FAILED;
    show_identity(status, new_key);
    json_decref(status);
    tl_progress_live(2, STEPS, "backend", "asking the model server ...");
    status = wait_status(cli, until, "the model server", is_backend_settled);
    if (!status)
        return TL_EXIT_FAILED;
    show_backend(status);
    json_decref(status);
    tl_progress_live(3, STEPS, "relay", "connecting ...");
    status = wait_status(cli, until, "the relay", is_relay_settled);
    if (!status)
        return TL_EXIT_FAILED;
    int relay = show_relay(status);
    json_decref(status);
    tl_progress_live(4, STEPS, "network", "looking at the network ...");
    status = wait_status(cli, now() + NETWORK_TIME, "the network", is_network_settled);
    if (!status)
        return TL_EXIT_FAILED;
    show_network(status);
    tl_progress_done(5, STEPS, "ready", "API %s",
                     tl_json_string(json_object_get(status, "api"), "url", "on the socket alone"));
    int sharing = conclude_sharing(status);
    if (in_clear && tl_json_bool(json_object_get(status, "wan"), "enabled", false))
        tl_out_note("legacy_plaintext is true: questions and answers exchanged with nodes of the "
                    "old protocol pass in clear; the relay can read and change them");
    conclude_published(status);
    conclude_api(cli, status);
    if (relay)
        tl_out_note(is(json_object_get(status, "wan"), "state", "none")
                        ? "The node runs, and goes on as soon as there is a network. See: teale "
                          "doctor"
                        : "The node runs and keeps trying to reach the relay. See: teale status");
    if (tl_daemon_is_offline(status)) {
        tl_daemon_tell_offline();
        relay = relay ? relay : TL_EXIT_UNREACHABLE;
    }
    conclude_asking(cli, status);
    if (cli->json)
        tl_out_json(status);
    json_decref(status);
    return relay ? relay : sharing;
}
