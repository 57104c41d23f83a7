/* cmd_show.c - the commands that read and print: status, peers, models. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/nattext.h"
#include "cli/showothers.h"
#include "cli/verb.h"
#include "cli/words.h"

#include <string.h>
#include <time.h>

#define READ_TIME (10 * TL_SEC) /* these answers come from memory */

static int number(const json_t *object, const char *key)
{
    return (int)tl_json_number(object, key, 0);
}

/* Gets the daemon's answer. With --json, prints it and sets *ret to NULL. */
static int fetch(tl_cli *cli, const tl_args *args, const char *path, json_t **ret)
{
    tl_time timeout;
    *ret = NULL;
    if (!tl_daemon_timeout(cli, args, READ_TIME, &timeout))
        return TL_EXIT_USAGE;
    int code = tl_daemon_get(cli, path, timeout, ret);
    if (!code && cli->json) {
        tl_out_json(*ret);
        json_decref(*ret);
        *ret = NULL;
    }
    return code;
}

static void print_wan(const json_t *wan)
{
    bool enabled = tl_json_bool(wan, "enabled", false);
    const char *state = enabled ? tl_json_string(wan, "state", "offline") : "off";
    bool without = !strcmp(state, "none");
    tl_colour c = without                       ? TL_COLOUR_NONE
                  : !strcmp(state, "connected") ? TL_COLOUR_GOOD
                                                : TL_COLOUR_BAD;
    printf("%swan:%s %s%s%s\n", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout),
           tl_out_colour(stdout, enabled ? c : TL_COLOUR_NONE),
           without ? "on, without a relay" : state, tl_out_end(stdout));
}

static void print_relay_line(const char *url, bool connected, double rtt, const char *proxy,
                             const char *error, bool leaving)
{
    printf("%srelay:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout));
    tl_out_plain(*url ? url : "none");
    if (connected && rtt > 0)
        printf(", %.1f ms", rtt);
    if (leaving)
        fputs(", which ends soon", stdout);
    if (*proxy) {
        fputs(", through the proxy ", stdout);
        tl_out_plain(proxy);
    }
    if (*error) {
        fputs(": ", stdout);
        tl_out_plain(error);
    }
    putchar('\n');
}

static bool is_connected(const json_t *relay)
{
    return !strcmp(tl_json_string(relay, "state", ""), "connected");
}

/* The relay that comes first speaks for all; those at which the node is, too, follow. */
static void print_relays(const json_t *wan)
{
    const char *first = tl_json_string(wan, "relay", "none");
    const json_t *relays = json_object_get(wan, "relays"), *r;
    size_t i;
    print_relay_line(first, is_connected(wan), tl_json_number(wan, "relay_rtt_ms", 0),
                     tl_json_string(wan, "proxy", ""), tl_json_string(wan, "error", ""), false);
    json_array_foreach (relays, i, r) {
        const char *url = tl_json_string(r, "url", "");
        if (json_array_size(relays) > 1 && strcmp(url, first) != 0)
            print_relay_line(url, is_connected(r), tl_json_number(r, "rtt_ms", 0),
                             tl_json_string(r, "proxy", ""), tl_json_string(r, "error", ""),
                             tl_json_bool(r, "leaving", false));
    }
}

static void print_backend(const json_t *backend)
{
    const char *url = tl_json_string(backend, "url", "");
    if (!*url) {
        tl_out_line("backend", "none shared");
        return;
    }
    printf("%sbackend:%s %s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout),
           tl_json_string(backend, "state", "unknown"));
    tl_out_plain(url);
    const json_t *models = json_object_get(backend, "models"), *model;
    size_t i;
    json_array_foreach (models, i, model) {
        fputs(i ? ", " : ": ", stdout);
        tl_out_plain(json_is_string(model) ? json_string_value(model) : "");
    }
    putchar('\n');
}

/* What others may ask, or why they cannot. */
static void print_sharing(const json_t *sharing, const char *anyone)
{
    const char *state = tl_json_string(sharing, "state", "off");
    bool good = !strcmp(state, "on"), off = !strcmp(state, "off");
    const json_t *model;
    size_t i;
    printf("%ssharing:%s %s", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout),
           tl_out_colour(stdout, off    ? TL_COLOUR_NONE
                                 : good ? TL_COLOUR_GOOD
                                        : TL_COLOUR_BAD));
    if (good)
        printf("with %s", strcmp(tl_json_string(sharing, "with", ""), "public") != 0
                              ? "your networks"
                              : anyone);
    else if (!strcmp(state, "nobody"))
        fputs("with nobody else", stdout);
    else
        fputs(state, stdout);
    fputs(tl_out_end(stdout), stdout);
    json_array_foreach (json_object_get(sharing, "models"), i, model) {
        fputs(i ? ", " : ": ", stdout);
        tl_out_plain(json_is_string(model) ? json_string_value(model) : "");
    }
    json_array_foreach (json_object_get(sharing, "missing"), i, model) {
        fputs(i ? ", " : "; not served there: ", stdout);
        tl_out_plain(json_is_string(model) ? json_string_value(model) : "");
    }
    putchar('\n');
    if (*tl_json_string(sharing, "cause", "")) {
        fputs("  ", stdout);
        tl_out_plain(tl_json_string(sharing, "cause", ""));
        fputs(". ", stdout);
        tl_out_plain(tl_json_string(sharing, "remedy", ""));
        putchar('\n');
    }
}

static void print_api(const tl_cli *cli, const json_t *api)
{
    const char *others = tl_json_string(api, "others_at", NULL);
    tl_out_line("api", tl_json_string(api, "url", "on the socket alone"));
    if (others)
        printf("  open to other machines at %s, with the key in %s (teale env prints it);\n"
               "  the page there asks for the owner's (teale env --owner)\n",
               others, cli->paths.api_key);
}

static void print_uptime(double secs)
{
    unsigned long s = secs > 0 ? (unsigned long)secs : 0;
    printf("%suptime:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout));
    if (s >= 86400)
        printf("%lu d ", s / 86400);
    if (s >= 3600)
        printf("%lu h ", s / 3600 % 24);
    if (s >= 60)
        printf("%lu min ", s / 60 % 60);
    printf("%lu s\n", s % 60);
}

/* In the same words in tell/doctor.c. */
static void note_old(const json_t *object)
{
    int n = number(object, "old_protocol");
    if (n)
        tl_out_note("%d node%s here speak%s only the old protocol, in clear through the relay", n,
                    n == 1 ? "" : "s", n == 1 ? "s" : "");
}

/* A line for each private network: what this node is there, and what is wrong. */
static void print_networks(const json_t *ptns)
{
    const json_t *ptn;
    size_t i;
    json_array_foreach (ptns, i, ptn) {
        const char *state = tl_json_string(ptn, "state", "?");
        bool valid = !strcmp(state, "valid");
        int members = number(ptn, "members");
        printf("%sptn:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout));
        tl_out_plain(tl_json_string(ptn, "name", ""));
        if (tl_json_string(ptn, "role", NULL))
            printf(", %s", tl_json_string(ptn, "role", ""));
        if (valid)
            printf(", %d member%s\n", members, members == 1 ? "" : "s");
        else
            printf(", %s%s%s: teale doctor\n", tl_out_colour(stdout, TL_COLOUR_BAD), state,
                   tl_out_end(stdout));
    }
}

/* What the scheduler before the model server does, where something is shared. */
static void print_share(const json_t *share, const char *sharing)
{
    const json_t *queued = json_object_get(share, "queued");
    char text[TL_WORDS_MAX];
    bool paused = tl_json_bool(share, "paused", false);
    if (!json_is_object(share) || (!paused && !strcmp(sharing, "off")))
        return;
    printf("%sshare:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout));
    if (paused) {
        tl_words_time(text, share, "until", "with: teale resume");
        printf("paused; it ends %s\n", text);
        return;
    }
    printf("%d of %d slots in use, %d private and %d public waiting\n", number(share, "running"),
           number(share, "slots"), number(queued, "private"), number(queued, "public"));
}

/* The DHT: how many of its nodes are known, and whether this node says there how it is reached. */
static void print_dht(const json_t *dht)
{
    const json_t *published = json_object_get(dht, "published");
    const char *state = tl_json_string(dht, "state", "off");
    if (!strcmp(state, "off"))
        return;
    printf("%sdht:%s %s, %d nodes", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout), state,
           number(dht, "nodes"));
    if (!tl_json_bool(dht, "read_only", true))
        printf(", serves it, %d items kept", number(dht, "stored"));
    if (json_is_object(published))
        printf(", this node's record is at %d of them", number(published, "holders"));
    putchar('\n');
}

int tl_cmd_status(tl_cli *cli, const tl_args *args)
{
    json_t *s;
    char nat_line[TL_NATTEXT_MAX];
    int code = fetch(cli, args, "/control/status", &s);
    if (!s)
        return code;
    const json_t *wan = json_object_get(s, "wan"), *nat = json_object_get(s, "nat");
    const json_t *peers = json_object_get(s, "peers"), *requests = json_object_get(s, "requests");
    print_wan(wan);
    tl_out_line("node", tl_json_string(s, "node_id", ""));
    tl_out_line("name", tl_json_string(s, "display_name", ""));
    if (tl_daemon_is_offline(s))
        tl_out_line("network", "none: no interface has an address. See: teale doctor");
    tl_nattext_status(nat, nat_line);
    tl_out_line("nat",
                tl_json_bool(wan, "enabled", false) ? nat_line : "not asked: wan_enabled is false");
    tl_show_lan(json_object_get(s, "lan"));
    print_relays(wan);
    tl_show_relayed_by(json_object_get(s, "relayed_by"));
    print_dht(json_object_get(s, "dht"));
    char by_udp[32] = "";
    if (number(peers, "relayed_udp"))
        snprintf(by_udp, sizeof by_udp, " (%d udp)", number(peers, "relayed_udp"));
    printf("%speers:%s %d direct, %d relayed%s, %d lan\n", tl_out_colour(stdout, TL_COLOUR_DIM),
           tl_out_end(stdout), number(peers, "direct"), number(peers, "relayed"), by_udp,
           number(peers, "lan"));
    note_old(peers);
    tl_show_relaying(json_object_get(s, "relaying"));
    tl_show_introducing(json_object_get(s, "introducing"));
    print_backend(json_object_get(s, "backend"));
    print_sharing(json_object_get(s, "sharing"),
                  !tl_json_bool(wan, "enabled", false) ? "anyone on the local network"
                  : strcmp(tl_json_string(wan, "state", ""), "none") == 0 ? "anyone"
                  : tl_daemon_is_on_lan(s) ? "anyone on the relay and the local network"
                                           : "anyone on the relay");
    print_share(json_object_get(s, "share"),
                tl_json_string(json_object_get(s, "sharing"), "state", "off"));
    print_networks(json_object_get(s, "ptns"));
    print_api(cli, json_object_get(s, "api"));
    printf("%srequests:%s %d active, %d served, %d asked, %d failed\n",
           tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout), number(requests, "active"),
           number(requests, "served"), number(requests, "asked"), number(requests, "failed"));
    print_uptime(tl_json_number(s, "uptime_s", 0));
    if (tl_json_bool(s, "stopping", false))
        tl_out_line("stopping", "finishing what runs, then the node ends");
    tl_out_line("version", tl_json_string(s, "version", ""));
    json_decref(s);
    return TL_EXIT_OK;
}

/* `--wan` wants peers across the internet, `--cluster` those on the local network. */
static bool is_wanted(const tl_args *args, bool lan)
{
    bool wan_only = tl_args_has(args, "wan"), cluster_only = tl_args_has(args, "cluster");
    return wan_only == cluster_only || lan == cluster_only;
}

static json_t *wanted_peers(const tl_args *args, const json_t *all)
{
    json_t *kept = json_array(), *announced = json_object_get(all, "announced"), *peer;
    size_t i;
    json_array_foreach (json_object_get(all, "peers"), i, peer)
        if (is_wanted(args, !strcmp(tl_json_string(peer, "path", ""), "lan")) &&
            json_array_append(kept, peer))
            break;
    announced = announced && is_wanted(args, true) ? json_incref(announced) : json_array();
    return json_pack("{s:o, s:o, s:i}", "peers", kept, "announced", announced, "old_protocol",
                     number(all, "old_protocol"));
}

static void add_models(tl_table *t, const json_t *models)
{
    char text[160] = "";
    size_t n = json_array_size(models);
    for (size_t i = 0; i < n && i < 3; i++) {
        const char *name = json_string_value(json_array_get(models, i));
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%.40s", i ? ", " : "", name ? name : "");
    }
    size_t used = strlen(text);
    if (n > 3)
        snprintf(text + used, sizeof text - used, " and %zu more", n - 3);
    tl_table_add(t, text);
}

/* How long ago: "5 s", "3 min", "2 h", "4 d". */
static void add_since(tl_table *t, const char *since)
{
    tl_unix at;
    char text[TL_WHEN_TEXT_MAX] = "-";
    if (!tl_when_parse(tl_slice_str(since), &at))
        tl_span_write(text, (tl_unix)time(NULL) - at);
    tl_table_add(t, text);
}

/* The names of the networks that this node shares with the peer; "-": none. */
static void add_networks(tl_table *t, const json_t *peer, const json_t *ours)
{
    char text[160] = "";
    const json_t *id, *ptn;
    size_t i, k;
    json_array_foreach (json_object_get(peer, "ptns"), i, id)
        json_array_foreach (ours, k, ptn) {
            size_t used = strlen(text);
            if (json_equal(id, json_object_get(ptn, "ptn_id")))
                snprintf(text + used, sizeof text - used, "%s%.64s", used ? ", " : "",
                         tl_json_string(ptn, "name", ""));
        }
    tl_table_add(t, *text ? text : "-");
}

static void add_peer(tl_table *t, const json_t *peer, const json_t *ours, bool whole, bool aliases)
{
    char text[80];
    const char *path = tl_json_string(peer, "path", "");
    double rtt = tl_json_number(peer, "rtt_ms", 0);
    snprintf(text, sizeof text, "%.*s", whole ? 64 : 16, tl_json_string(peer, "node_id", ""));
    tl_table_add(t, text);
    if (aliases)
        tl_words_add_alias(t, peer);
    tl_table_add(t, tl_json_string(peer, "name", ""));
    const char *by = tl_json_string(peer, "via", "");
    bool relayed = strcmp(path, "relayed") == 0; /* what is usual for each is not said */
    bool told = strcmp(by, "tcp") == 0 || (relayed && strcmp(by, "udp") == 0);
    snprintf(text, sizeof text, told ? "%.32s (%.8s)" : "%.32s", *path ? path : "-", by);
    tl_table_add(t, text);
    snprintf(text, sizeof text, "%.1f ms", rtt);
    tl_table_add(t, rtt > 0 ? text : "-");
    add_since(t, tl_json_string(peer, "since", ""));
    const char *via = tl_json_string(peer, "remote", tl_json_string(peer, "relay", "-"));
    bool node = strncmp(via, "node:", 5) == 0; /* its ID is as long as that of any node */
    snprintf(text, sizeof text, "node:%.*s", whole ? 64 : 16, node ? via + 5 : "");
    tl_table_add(t, node ? text : via);
    add_networks(t, peer, ours);
    add_models(t, json_object_get(peer, "models"));
}

/* The peers, and those that are merely announced. */
static int print_peers(const tl_cli *cli, const json_t *peers, const json_t *announced, bool whole)
{
    static const char *const heads[] = {"NODE", "NAME",     "PATH",   "RTT", "SINCE",
                                        "VIA",  "NETWORKS", "MODELS", NULL};
    json_t *status;
    const json_t *peer;
    tl_table t;
    size_t i;
    int code = tl_daemon_get(cli, "/control/status", READ_TIME, &status); /* has the names */
    if (code)
        return code;
    const char *shown[TL_TABLE_COLUMNS_MAX + 1];
    bool aliases = tl_words_alias_heads(shown, heads, peers) ||
                   tl_words_alias_heads(shown, heads, announced); /* the heads are the same */
    tl_table_begin(&t, shown);
    json_array_foreach (peers, i, peer)
        add_peer(&t, peer, json_object_get(status, "ptns"), whole, aliases);
    json_array_foreach (announced, i, peer)
        tl_show_announced(&t, peer, whole, aliases);
    json_decref(status);
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

/* `hidden`: the peers that --wan or --cluster left out. */
static void tell_none(const tl_args *args, size_t hidden)
{
    bool wan = tl_args_has(args, "wan"), cluster = tl_args_has(args, "cluster");
    if (!hidden)
        tl_out_note("no peers%s", cluster && !wan ? " on the local network" : "");
    else
        tl_out_note("no peers %s; %zu %s: teale peers --%s",
                    wan ? "beyond the local network" : "on the local network", hidden,
                    wan ? "on it" : "beyond it", wan ? "cluster" : "wan");
}

int tl_cmd_peers(tl_cli *cli, const tl_args *args)
{
    tl_time timeout;
    json_t *all;
    if (!tl_daemon_timeout(cli, args, READ_TIME, &timeout))
        return TL_EXIT_USAGE;
    int code = tl_daemon_get(cli, "/control/peers", timeout, &all);
    if (code)
        return code;
    json_t *kept = wanted_peers(args, all);
    size_t hidden = json_array_size(json_object_get(all, "peers")) -
                    json_array_size(json_object_get(kept, "peers"));
    json_decref(all);
    if (!kept)
        return TL_EXIT_FAILED;
    if (cli->json) {
        tl_out_json(kept);
    } else if (!json_array_size(json_object_get(kept, "peers")) &&
               !json_array_size(json_object_get(kept, "announced"))) {
        tell_none(args, hidden);
    } else {
        code = print_peers(cli, json_object_get(kept, "peers"), json_object_get(kept, "announced"),
                           tl_args_has(args, "long"));
    }
    if (!cli->json && !tl_args_has(args, "cluster"))
        note_old(kept);
    json_decref(kept);
    return code;
}

static const json_t *cheapest(const json_t *offers)
{
    const json_t *o, *best = json_array_get(offers, 0);
    size_t i;
    json_array_foreach (offers, i, o)
        if (tl_json_number(o, "price_micro", 0) < tl_json_number(best, "price_micro", 0))
            best = o;
    return best;
}

/* Who would answer next, and at what price. Where every price is too high: the lowest one. */
static void add_best_offer(tl_table *t, const json_t *model, const json_t *ours)
{
    const json_t *offered = json_array_get(json_object_get(model, "offers"), 0), *ptn;
    const json_t *best = offered ? offered : cheapest(json_object_get(model, "too_dear"));
    const char *net = tl_json_string(best, "ptn_id", ""), *name = best ? "public" : "-";
    char text[TL_WORDS_MAX];
    size_t i;
    char who[TL_WORDS_NAMED_MAX];
    tl_words_id(text, best, "node_id");
    tl_words_named(who, best);
    tl_table_add(t, *who ? who : text);
    json_array_foreach (ours, i, ptn)
        if (*net && !strcmp(tl_json_string(ptn, "ptn_id", ""), net))
            name = tl_json_string(ptn, "name", "");
    tl_table_add(t, *net && !strcmp(name, "public") ? net : name);
    tl_words_credits_of(text, best, "price_micro");
    if (best && !offered)
        strncat(text, ", above price.max_micro", sizeof text - strlen(text) - 1);
    tl_table_add(t, strcmp(text, "0") != 0 ? text : "free");
}

/* Nodes whose models are not listed, after the words `why`. */
static void tell_nodes(const char *why, const json_t *nodes)
{
    const json_t *peer, *model;
    size_t i, k;
    json_array_foreach (nodes, i, peer) {
        tl_buf line = {0};
        char name[TL_WORDS_NAMED_MAX];
        tl_words_named(name, peer);
        tl_err e = tl_out_clean(&line, *name ? name : "peer");
        json_array_foreach (json_object_get(peer, "models"), k, model) {
            e = e ? e : tl_buf_append(&line, tl_slice_str(k ? ", " : ": "));
            e = e ? e : tl_out_clean(&line, json_is_string(model) ? json_string_value(model) : "");
        }
        if (!e && !tl_buf_append(&line, tl_slice_of("", 1)))
            tl_out_note("%s: %.16s %s", why, tl_json_string(peer, "node_id", ""),
                        (const char *)tl_buf_begin(&line));
        tl_buf_clear(&line);
    }
}

/* Those that are paused, and those that are known and not connected. Where there is no other model, the first line
 * says so. */
static void tell_others(const json_t *all, const json_t *status)
{
    const json_t *paused = json_object_get(all, "paused"), *away = json_object_get(all, "away");
    bool none = !json_array_size(json_object_get(all, "models"));
    if (none && json_array_size(away) && tl_daemon_can_look(status))
        tl_out_note("No node that shares a model is connected now. Ask all the same (teale chat): "
                    "it is looked for.");
    else if (none && json_array_size(paused))
        tl_out_note("No model can be asked now: who shares one has paused it.");
    else if (none)
        tl_daemon_tell_no_model(status);
    tell_nodes("paused by its owner", paused);
    tell_nodes("not connected now", away);
}

int tl_cmd_models(tl_cli *cli, const tl_args *args)
{
    static const char *const heads[] = {"MODEL", "WHERE", "BEST", "NETWORK", "CREDITS/1000", NULL};
    json_t *all, *model;
    size_t i;
    int code = fetch(cli, args, "/control/models", &all);
    if (!all)
        return code;
    json_t *status = NULL;
    if ((code = tl_daemon_get(cli, "/control/status", READ_TIME, &status))) {
        json_decref(all);
        return code;
    }
    tl_table t;
    tl_table_begin(&t, heads);
    json_array_foreach (json_object_get(all, "models"), i, model) {
        char where[64];
        size_t peers = json_array_size(json_object_get(model, "peers"));
        bool local = tl_json_bool(model, "local", false);
        if (peers)
            snprintf(where, sizeof where, "%s%zu peer%s", local ? "here, " : "", peers,
                     peers == 1 ? "" : "s");
        else
            snprintf(where, sizeof where, "%s", local ? "here" : "-");
        tl_table_add(&t, tl_json_string(model, "id", ""));
        tl_table_add(&t, where);
        add_best_offer(&t, model, json_object_get(status, "ptns"));
    }
    if (!json_array_size(json_object_get(all, "models")))
        json_decref(t.cells);
    else if (tl_table_end(&t))
        code = TL_EXIT_FAILED;
    tell_others(all, status);
    json_decref(status);
    json_decref(all);
    return code;
}
