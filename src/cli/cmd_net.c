/* cmd_net.c - the commands that show the network: netcheck, doctor, why. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/nattext.h"
#include "cli/nodefind.h"
#include "cli/verb.h"
#include "cli/words.h"
#include "config/config.h"
#include "crypto/identity.h"
#include "io/owner.h"

#include <string.h>

#define ROUND_TIME (15 * TL_SEC) /* a round of STUN takes 4 s when nobody answers */
#define READ_TIME  (10 * TL_SEC)

/* Gets the daemon's answer. With --json, prints it and sets *ret to NULL. */
static int fetch(tl_cli *cli, const tl_args *args, const char *path, tl_time within, json_t **ret)
{
    tl_time timeout;
    *ret = NULL;
    if (!tl_daemon_timeout(cli, args, within, &timeout))
        return TL_EXIT_USAGE;
    int code = tl_daemon_get(cli, path, timeout, ret);
    if (!code && cli->json)
        tl_out_json(*ret);
    return code;
}

static void print_yes(const char *key, const char *yes)
{
    tl_out_line(key, yes && *yes ? yes : "no");
}

/* --- netcheck --- */

static const char *error_of(const json_t *servers, size_t i)
{
    return tl_json_string(json_array_get(servers, i), "error", NULL);
}

/* Why servers have no address: one line for each cause. */
static void print_unnamed(const json_t *servers)
{
    size_t n = json_array_size(servers);
    for (size_t i = 0; i < n; i++) {
        const char *error = error_of(servers, i);
        tl_buf line = {0};
        bool told = false;
        for (size_t k = 0; k < i && error; k++)
            told |= error_of(servers, k) && !strcmp(error_of(servers, k), error);
        if (!error || told)
            continue;
        tl_err e = tl_buf_append_str(&line, error);
        for (size_t k = i; k < n && !e; k++)
            if (error_of(servers, k) && !strcmp(error_of(servers, k), error))
                e = tl_buf_printf(&line, "%s%s", k == i ? ": " : ", ",
                                  tl_json_string(json_array_get(servers, k), "server", ""));
        if (!e && !tl_buf_append(&line, tl_slice_of("", 1)))
            tl_out_line("no address", (const char *)tl_buf_begin(&line));
        tl_buf_clear(&line);
    }
}

/* `off`: why there is no UDP port to ask them from; NULL: there is one. */
static void print_servers(const json_t *servers, const char *off)
{
    static const char *const heads[] = {"STUN SERVER", "ADDRESS", "RTT", "SEES US AS", NULL};
    const json_t *server;
    tl_table t;
    size_t i;
    if (!json_array_size(servers)) {
        tl_out_line("stun", off ? "none is asked" : "no server is known");
        return;
    }
    tl_table_begin(&t, heads);
    json_array_foreach (servers, i, server) {
        char rtt[40];
        bool answered = tl_json_bool(server, "answered", false);
        snprintf(rtt, sizeof rtt, "%.1f ms", tl_json_number(server, "rtt_ms", 0));
        tl_table_add(&t, tl_json_string(server, "server", ""));
        tl_table_add(&t, tl_json_string(server, "address", "-"));
        tl_table_add(&t, answered ? rtt : error_of(servers, i) ? "no address" : "no answer");
        tl_table_add(&t, tl_json_string(server, "mapped", "-"));
    }
    if (tl_table_end(&t))
        tl_out_error("out of memory");
    print_unnamed(servers);
}

static void print_addresses(const char *key, const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;
    printf("%s%s:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), key, tl_out_end(stdout));
    if (!json_array_size(list))
        fputs("none", stdout);
    json_array_foreach (list, i, item) {
        fputs(i ? ", " : "", stdout);
        tl_out_plain(tl_json_string(item, "address", "?"));
        printf(" (");
        tl_out_plain(tl_json_string(item, name, "?"));
        putchar(')');
    }
    putchar('\n');
}

static void print_mapping(const json_t *mapping)
{
    char text[400];
    const char *method = tl_json_string(mapping, "method", NULL);
    const char *error = tl_json_string(mapping, "error", NULL);
    if (method)
        snprintf(text, sizeof text, "%.20s, %.80s", method,
                 tl_json_string(mapping, "address", "?"));
    else
        snprintf(text, sizeof text, "none%s%.300s", error ? ": " : "", error ? error : "");
    tl_out_line("port mapping", text);
}

static void print_relay(const json_t *wan)
{
    char text[700], rtt[40] = "";
    const char *error = tl_json_string(wan, "error", "");
    double ms = tl_json_number(wan, "relay_rtt_ms", 0);
    if (ms > 0)
        snprintf(rtt, sizeof rtt, ", %.1f ms", ms);
    snprintf(text, sizeof text, "%.30s, %.250s%s%s%.300s", tl_json_string(wan, "state", "offline"),
             tl_json_string(wan, "relay", ""), rtt, *error ? ": " : "", error);
    if (!tl_json_bool(wan, "enabled", true))
        tl_out_line("relay", "none is used: wan_enabled is false");
    else if (!strcmp(tl_json_string(wan, "state", ""), "none"))
        tl_out_line("relay", "none is set; peers are found through the DHT");
    else
        tl_out_line("relay", text);
}

static const char *known(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_boolean(v))
        return json_is_true(v) ? "yes" : "no";
    return tl_json_string(object, key, "not known");
}

/* Gets an answer that comes after a round of STUN; a person sees that something is done. */
static int fetch_round(tl_cli *cli, const tl_args *args, const char *path, json_t **ret)
{
    if (!cli->json)
        tl_progress_note("asking every STUN server, for 8 s at most ...");
    int code = fetch(cli, args, path, ROUND_TIME, ret);
    tl_progress_clear();
    return code;
}

int tl_cmd_netcheck(tl_cli *cli, const tl_args *args)
{
    json_t *c;
    char text[200];
    int code = fetch_round(cli, args, "/control/netcheck", &c);
    if (code || cli->json) {
        json_decref(c);
        return code;
    }
    const json_t *nat = json_object_get(c, "nat"), *udp = json_object_get(c, "udp");
    const char *error = tl_json_string(udp, "error", NULL);
    snprintf(text, sizeof text, "%.40s (Tesseras: %.40s)", tl_nattext_type(nat),
             tl_json_string(nat, "tesseras_type", "Unknown"));
    tl_out_line("nat", text);
    tl_out_line("mapping", tl_json_string(nat, "mapping", "unknown"));
    tl_out_line("filtering", tl_json_string(nat, "filtering", "unknown"));
    tl_out_line("public", tl_json_string(nat, "public", "not known"));
    print_yes("ipv6", tl_json_string(nat, "ipv6", NULL));
    tl_out_line("hairpin", known(nat, "hairpin"));
    tl_out_line("port preserved", known(nat, "port_preserved"));
    print_mapping(json_object_get(c, "port_mapping"));
    const char *silent = "";
    if (tl_json_bool(udp, "blocked", false))
        silent = ", blocked: no STUN server answers";
    else if (!strcmp(tl_json_string(nat, "state", ""),
                     "unanswered")) /* or this machine is offline */
        silent = ", no STUN server answers";
    snprintf(text, sizeof text, "port %d%s", (int)tl_json_number(udp, "port", 0), silent);
    tl_out_line("udp", error ? error : text);
    print_relay(json_object_get(c, "relay"));
    print_addresses("interfaces", json_object_get(c, "interfaces"), "name");
    print_addresses("candidates", json_object_get(c, "candidates"), "kind");
    print_servers(json_object_get(c, "stun"), error);
    if (tl_daemon_is_offline(c))
        tl_daemon_tell_offline();
    json_decref(c);
    return TL_EXIT_OK;
}

/* --- doctor --- */

static void print_check(const json_t *check)
{
    static const struct {
        const char *state, *mark;
        tl_colour colour;
    } marks[] = {{"ok", "ok", TL_COLOUR_GOOD},
                 {"warning", "warn", TL_COLOUR_BOLD},
                 {"problem", "FAIL", TL_COLOUR_BAD}};
    const char *state = tl_json_string(check, "state", ""), *remedy;
    size_t i = 0;
    while (i < 2 && strcmp(state, marks[i].state) != 0)
        i++;
    printf("%s%-4s%s  %-12s  ", tl_out_colour(stdout, marks[i].colour), marks[i].mark,
           tl_out_end(stdout), tl_json_string(check, "id", "?"));
    tl_out_plain(tl_json_string(check, "evidence", ""));
    putchar('\n');
    remedy = tl_json_string(check, "remedy", "");
    if (*remedy) {
        printf("%20s-> ", "");
        tl_out_plain(remedy);
        putchar('\n');
    }
}

static unsigned count_state(const json_t *checks, const char *state)
{
    const json_t *check;
    unsigned n = 0;
    size_t i;
    json_array_foreach (checks, i, check)
        n += !strcmp(tl_json_string(check, "state", ""), state);
    return n;
}

/* The worst first: a person reads from the top. */
static void print_checks(const json_t *checks)
{
    static const char *const order[] = {"problem", "warning", "ok"};
    const json_t *check;
    size_t i;
    for (size_t s = 0; s < 3; s++)
        json_array_foreach (checks, i, check)
            if (!strcmp(tl_json_string(check, "state", ""), order[s]))
                print_check(check);
}

/* No node runs: does another user's program have the port of the page? */
static void tell_taken(const tl_cli *cli)
{
    tl_settings s;
    tl_why why;
    char host[TL_HOST_MAX], name[TL_OWNER_TEXT_MAX];
    uint16_t port;
    uid_t user;
    if (tl_settings_load(cli->paths.config, &s, &why) ||
        tl_hostport_parse(tl_slice_str(s.api_listen), 0, host, &port) || !port ||
        !tl_owner_other_listens(port, &user))
        return;
    tl_owner_write(user, name);
    tl_out_note("A program of the user %s listens at port %u of this machine, and gets what your "
                "browser and your programs send there. Take another port: teale config set "
                "api_listen 127.0.0.1:PORT. With teale up --boot the node has its port first.",
                name, port);
}

int tl_cmd_doctor(tl_cli *cli, const tl_args *args)
{
    json_t *found;
    int code = fetch_round(cli, args, "/control/doctor", &found);
    if (code == TL_EXIT_NOT_RUNNING)
        tell_taken(cli);
    if (code)
        return code;
    const json_t *checks = json_object_get(found, "checks");
    unsigned problems = count_state(checks, "problem"), warnings = count_state(checks, "warning");
    if (!cli->json) {
        print_checks(checks);
        if (problems || warnings)
            printf("%u problem%s, %u warning%s\n", problems, problems == 1 ? "" : "s", warnings,
                   warnings == 1 ? "" : "s");
        else
            printf("no obstacle found\n");
    }
    json_decref(found);
    return problems ? TL_EXIT_FAILED : TL_EXIT_OK;
}

/* --- why --- */

static void print_pairs(const json_t *pairs)
{
    static const char *const heads[] = {"TRIED", "KIND", "STATE", "SENT", "ANSWERED", "RTT", NULL};
    const json_t *pair;
    tl_table t;
    size_t i;
    if (!json_array_size(pairs))
        return;
    tl_table_begin(&t, heads);
    json_array_foreach (pairs, i, pair) {
        char text[60];
        double rtt = tl_json_number(pair, "rtt_ms", 0);
        tl_table_add(&t, tl_json_string(pair, "remote", "?"));
        tl_table_add(&t, tl_json_string(pair, "kind", "?"));
        snprintf(text, sizeof text, "%.20s%s", tl_json_string(pair, "state", "?"),
                 tl_json_bool(pair, "used", false) ? ", used" : "");
        tl_table_add(&t, text);
        snprintf(text, sizeof text, "%d", (int)tl_json_number(pair, "sent", 0));
        tl_table_add(&t, text);
        snprintf(text, sizeof text, "%d", (int)tl_json_number(pair, "answered", 0));
        tl_table_add(&t, text);
        snprintf(text, sizeof text, "%.1f ms", rtt);
        tl_table_add(&t, rtt > 0 ? text : "-");
    }
    if (tl_table_end(&t))
        tl_out_error("out of memory");
}

static void print_nats(const json_t *w)
{
    char text[300];
    const json_t *ours = json_object_get(w, "ours"), *theirs = json_object_get(w, "theirs");
    const char *public = tl_json_string(ours, "public", NULL);
    const char *mapped = tl_json_string(ours, "mapped_by", NULL);
    snprintf(text, sizeof text, "here %.40s%s%.80s%s%.20s, there %.40s",
             !strcmp(tl_json_string(ours, "mapping", ""), "none")
                 ? tl_nattext_type(ours)
                 : tl_json_string(ours, "nat", "unknown"),
             public ? " " : "", public ? public : "", mapped ? ", mapped by " : "",
             mapped ? mapped : "", tl_json_string(theirs, "nat", "unknown"));
    tl_out_line("nat", text);
}

/* What the peer is to this node in their common networks. */
static void print_networks(const json_t *networks)
{
    const json_t *n;
    size_t i;
    json_array_foreach (networks, i, n) {
        char text[600];
        const char *asks = tl_json_string(n, "asks", NULL);
        const char *answers = tl_json_string(n, "answers", NULL);
        snprintf(text, sizeof text, "%.64s, %.16s; %s%.200s; %s%.200s",
                 tl_json_string(n, "name", ""), tl_json_string(n, "role", ""),
                 asks ? "may not ask this node: " : "may ask this node", asks ? asks : "",
                 answers ? "may not answer it: " : "may answer it", answers ? answers : "");
        tl_out_line("network", text);
    }
}

/* What relays: the relay's URL, or the node's name and ID. */
static void print_relay_of(const json_t *w)
{
    char text[300];
    const char *relay = tl_json_string(w, "relay", NULL);
    const char *name = tl_json_string(w, "relay_name", "");
    if (!relay)
        return;
    if (strncmp(relay, "node:", 5) == 0)
        snprintf(text, sizeof text, "node %.16s%s%.60s", relay + 5, *name ? " " : "", name);
    else
        snprintf(text, sizeof text, "%.290s", relay);
    tl_out_line("relay", text);
}

static int why_peer(tl_cli *cli, const tl_args *args)
{
    char node[TL_NODE_ID_HEX + 1], path[128], text[200];
    json_t *w;
    int code = tl_nodefind(cli, args->operand[0], node);
    if (code)
        return code;
    snprintf(path, sizeof path, "/control/why/%s", node);
    code = fetch(cli, args, path, READ_TIME, &w);
    if (code || cli->json) {
        json_decref(w);
        return code;
    }
    char name[TL_WORDS_NAMED_MAX];
    tl_words_named(name, w);
    snprintf(text, sizeof text, "%.16s %s", node, name);
    tl_out_line("peer", text);
    tl_out_line("path", tl_json_string(w, "path", "none"));
    if (tl_json_string(w, "carrier", NULL))
        tl_out_line("carrier", tl_json_string(w, "carrier", ""));
    print_relay_of(w);
    tl_out_line("because", tl_json_string(w, "because", ""));
    if (tl_json_string(w, "rule", NULL))
        tl_out_line("rule", tl_json_string(w, "rule", ""));
    if (*tl_json_string(w, "remedy", ""))
        tl_out_line("remedy", tl_json_string(w, "remedy", ""));
    print_networks(json_object_get(w, "networks"));
    const json_t *reciprocity = json_object_get(w, "reciprocity");
    if (json_is_object(reciprocity))
        tl_out_line("helps", tl_json_string(reciprocity, "because", ""));
    print_nats(w);
    print_pairs(json_object_get(w, "pairs"));
    json_decref(w);
    return TL_EXIT_OK;
}

/* `why --model`: who would answer, in order, and why. */
static int print_ranking(const json_t *ranking)
{
    static const char *const heads[] = {"", "NODE", "NAME", "CREDITS/1000", "BECAUSE", NULL};
    const json_t *r;
    tl_table t;
    size_t i;
    if (!json_array_size(ranking)) {
        tl_out_note("no known node serves it");
        return TL_EXIT_OK;
    }
    const char *shown[TL_TABLE_COLUMNS_MAX + 1];
    bool aliases = tl_words_alias_heads(shown, heads, ranking);
    tl_table_begin(&t, shown);
    json_array_foreach (ranking, i, r) {
        char text[TL_WORDS_MAX];
        snprintf(text, sizeof text, "%d", (int)tl_json_number(r, "rank", 0));
        tl_table_add(&t, tl_json_bool(r, "may", false) ? text : "-");
        tl_words_id(text, r, "node_id");
        tl_table_add(&t, text);
        if (aliases)
            tl_words_add_alias(&t, r);
        tl_table_add(&t, tl_json_string(r, "name", ""));
        tl_words_credits_of(text, r, "price_micro");
        tl_table_add(&t, strcmp(text, "0") != 0 ? text : "free");
        tl_table_add(&t, tl_json_string(r, "reason", ""));
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int why_model(const tl_cli *cli, const tl_args *args, const char *model)
{
    const char *net = tl_args_value(args, "ptn");
    json_t *w, *wish = json_pack("{s:s}", "model", model);
    if (net && json_object_set_new(wish, "net", json_string(net))) {
        json_decref(wish);
        return tl_cli_usage(cli, "--ptn names a network");
    }
    int code = tl_verb_do(cli, args, "why.model", wish, READ_TIME, &w);
    if (w && cli->json)
        tl_out_json(w);
    else if (w)
        code = print_ranking(json_object_get(w, "ranking"));
    json_decref(w);
    return code;
}

int tl_cmd_why(tl_cli *cli, const tl_args *args)
{
    const char *model = tl_args_value(args, "model");
    if (!model == !args->operand_n)
        return tl_cli_usage(cli, "why takes either a PEER or --model MODEL");
    if (!model && tl_args_value(args, "ptn"))
        return tl_cli_usage(cli, "--ptn goes with --model");
    return model ? why_model(cli, args, model) : why_peer(cli, args);
}
