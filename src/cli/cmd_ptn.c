/* cmd_ptn.c - `teale ptn`: the networks of this node, their members and their keys. Joining and
 * inviting are in cmd_invite.c. */
#include "base/number.h"
#include "cli/commands.h"
#include "cli/nodefind.h"
#include "cli/verb.h"
#include "cli/words.h"
#include "config/config.h"
#include "ptn/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_TIME  (10 * TL_SEC)
#define ADMIN_TIME (30 * TL_SEC) /* an admin is asked over a connection that may have to be made */

/* Prints the answer with --json. Returns true if there is something left to tell a person. */
static bool is_for_person(const tl_cli *cli, const json_t *value)
{
    if (value && cli->json)
        tl_out_json(value);
    return value && !cli->json;
}

static json_t *net_args(const tl_args *args)
{
    return json_pack("{s:s}", "net", args->operand[0]);
}

static void print_price(const json_t *ptn)
{
    char credits[TL_WORDS_MAX], text[100];
    tl_words_credits_of(credits, ptn, "price_micro");
    snprintf(text, sizeof text, "%s credits for 1000 tokens (version %lld)", credits,
             (long long)tl_json_number(ptn, "price_version", 0));
    tl_out_line("price", tl_json_number(ptn, "price_micro", 0) > 0 ? text : "free");
}

/* --- list, show --- */

static void add_ptn(tl_table *t, const json_t *ptn)
{
    char text[TL_WORDS_MAX];
    tl_table_add(t, tl_json_string(ptn, "name", ""));
    tl_table_add(t, tl_json_string(ptn, "role", "-"));
    const char *state = tl_json_string(ptn, "state", "?");
    bool again = strcmp(state, "joining") != 0 && json_object_get(ptn, "waiting");
    snprintf(text, sizeof text, "%.24s%s", state, again ? ", joining" : "");
    tl_table_add(t, text);
    snprintf(text, sizeof text, "%lld", (long long)tl_json_number(ptn, "members", 0));
    tl_table_add(t, text);
    tl_words_credits_of(text, ptn, "price_micro");
    tl_table_add(t, strcmp(text, "0") != 0 ? text : "free");
    tl_words_time(text, ptn, "expires_at", "never");
    tl_table_add(t, text);
    tl_table_add(t, tl_json_bool(ptn, "ca_key", false) ? "yes" : "-");
    tl_words_id(text, ptn, "ptn_id");
    tl_table_add(t, text);
}

static void tell_revoked(const json_t *ptn, const char *name)
{
    char admin[TL_WORDS_MAX];
    bool ca = tl_json_bool(ptn, "ca_key", false);
    tl_words_id(admin, ptn, "admin");
    if (!tl_json_bool(ptn, "issuer_revoked", false) && ca)
        tl_out_note("%s: an admin has revoked this node, which holds the CA key: teale ptn "
                    "export-ca-key %s FILE, then teale ptn leave %s --delete",
                    name, name, name);
    else if (!tl_json_bool(ptn, "issuer_revoked", false))
        tl_out_note("%s: an admin has revoked this node: teale ptn leave %s", name, name);
    else if (ca)
        tl_out_note(
            "%s: the admin that signed this node's certificate was revoked: teale ptn renew "
            "%s",
            name, name);
    else
        tl_out_note(
            "%s: the admin that signed this node's certificate was revoked; ask %s to renew "
            "it (there: teale ptn renew %s NODE)",
            name, tl_json_string(ptn, "admin", NULL) ? admin : "another admin", name);
}

static void tell_dispute(const json_t *dispute, const char *name)
{
    char node[TL_WORDS_MAX], by[TL_WORDS_MAX];
    tl_words_id(node, dispute, "node_id");
    tl_words_id(by, dispute, "by");
    tl_out_note(
        "%s: members disagree on who is revoked: %s, which is revoked here, has revoked %s, "
        "which is not. Where the CA key is: teale ptn revoke %s %s; then both are out "
        "everywhere",
        name, by, node, name, node);
}

/* No admin renews by itself what has ended. */
static void tell_expired(const json_t *ptn, const char *name)
{
    if (tl_json_bool(ptn, "ca_key", false))
        tl_out_note("%s: the certificate has expired: teale ptn renew %s", name, name);
    else
        tl_out_note("%s: the certificate has expired. An admin must renew it by hand: there, teale "
                    "ptn renew %s %.8s; or join with a new invite",
                    name, name, tl_json_string(ptn, "node_id", "NODE"));
}

/* Says of each network that is not whole what is missing. */
static void tell_troubles(const json_t *ptns)
{
    const json_t *ptn;
    size_t i;
    json_array_foreach (ptns, i, ptn) {
        const char *state = tl_json_string(ptn, "state", ""),
                   *name = tl_json_string(ptn, "name", "");
        if (!strcmp(state, "joining") || json_object_get(ptn, "waiting"))
            tl_out_note("%s: joining; %s", name,
                        tl_json_string(ptn, "waiting",
                                       "the node tries until it has reached the "
                                       "inviter"));
        else if (!strcmp(state, "expired"))
            tell_expired(ptn, name);
        else if (!strcmp(state, "revoked"))
            tell_revoked(ptn, name);
        else if (json_is_object(json_object_get(ptn, "dispute")))
            tell_dispute(json_object_get(ptn, "dispute"), name);
    }
}

static int print_list(const json_t *ptns)
{
    static const char *const heads[] = {"NAME", "ROLE",   "STATE", "MEMBERS", "PRICE",
                                        "ENDS", "CA KEY", "ID",    NULL};
    const json_t *ptn;
    tl_table t;
    size_t i;
    if (!json_array_size(ptns)) {
        tl_out_note("This node is in no private network. Make one: teale ptn create NAME; or join "
                    "one by an invite: teale join CODE");
        return TL_EXIT_OK;
    }
    tl_table_begin(&t, heads);
    json_array_foreach (ptns, i, ptn)
        add_ptn(&t, ptn);
    int code = tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
    tell_troubles(ptns);
    return code;
}

int tl_cmd_ptn_list(tl_cli *cli, const tl_args *args)
{
    json_t *all;
    int code = tl_verb_do(cli, args, "ptn.list", json_object(), READ_TIME, &all);
    if (is_for_person(cli, all))
        code = print_list(json_object_get(all, "ptns"));
    json_decref(all);
    return code;
}

int tl_cmd_ptn_show(tl_cli *cli, const tl_args *args)
{
    json_t *p;
    char text[TL_WORDS_MAX];
    int code = tl_verb_do(cli, args, "ptn.show", net_args(args), READ_TIME, &p);
    if (is_for_person(cli, p)) {
        tl_out_line("name", tl_json_string(p, "name", ""));
        tl_out_line("ptn", tl_json_string(p, "ptn_id", ""));
        tl_out_line("role", tl_json_string(p, "role", "none yet"));
        tl_out_line("state", tl_json_string(p, "state", ""));
        snprintf(text, sizeof text, "%lld", (long long)tl_json_number(p, "members", 0));
        tl_out_line("members", text);
        print_price(p);
        tl_words_time(text, p, "issued_at", "never");
        tl_out_line("certificate issued", text);
        tl_words_time(text, p, "expires_at", "never");
        tl_out_line("certificate ends", text);
        tl_out_line("issuer", tl_json_string(p, "issuer", "none"));
        tl_out_line("ca key", tl_json_bool(p, "ca_key", false) ? "here" : "not here");
        snprintf(text, sizeof text, "%lld", (long long)tl_json_number(p, "revocation_sequence", 0));
        tl_out_line("revocations", text);
        tl_out_line("hidden from the relay", tl_json_bool(p, "hide", false) ? "yes" : "no");
    }
    json_decref(p);
    return code;
}

/* --- create, rename --- */

static int refuse_name(const tl_cli *cli)
{
    return tl_cli_usage(cli, "a network's name is 1 to 64 letters, digits, dots, dashes and "
                             "underscores, begins with no dash, and is not 8 hex digits or more, "
                             "which name an ID");
}

int tl_cmd_ptn_create(tl_cli *cli, const tl_args *args)
{
    const char *name = args->operand[0];
    json_t *p;
    if (!tl_network_name_is(name))
        return refuse_name(cli);
    json_t *wish = json_pack("{s:s}", "name", name);
    if (tl_args_has(args, "again") && json_object_set_new(wish, "again", json_true())) {
        json_decref(wish);
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "ptn.create", wish, READ_TIME, &p);
    if (is_for_person(cli, p)) {
        printf("created \"%s\"; this node is its admin and holds its CA key\n", name);
        tl_out_line("ptn", tl_json_string(p, "ptn_id", ""));
        tl_out_note("Next: teale ptn invite %s", name);
        tl_out_note("Keep a copy of the CA key elsewhere: teale ptn export-ca-key %s FILE", name);
    }
    json_decref(p);
    return code;
}

int tl_cmd_ptn_rename(tl_cli *cli, const tl_args *args)
{
    const char *name = args->operand[1];
    json_t *p;
    if (!tl_network_name_is(name))
        return refuse_name(cli);
    int code =
        tl_verb_do(cli, args, "ptn.rename",
                   json_pack("{s:s, s:s}", "net", args->operand[0], "name", name), READ_TIME, &p);
    if (is_for_person(cli, p))
        printf("it is called \"%s\" on this machine now; other members call it as before\n", name);
    json_decref(p);
    return code;
}

/* --- members --- */

static void add_member(tl_table *t, const json_t *m, bool whole, bool aliases)
{
    char text[TL_WORDS_MAX], state[80];
    const char *at = tl_json_string(m, "state", "?");
    if (whole)
        tl_table_add(t, tl_json_string(m, "node_id", ""));
    else {
        tl_words_id(text, m, "node_id");
        tl_table_add(t, text);
    }
    if (aliases)
        tl_words_add_alias(t, m);
    tl_table_add(t, tl_json_string(m, "name", ""));
    tl_table_add(t, tl_json_string(m, "role", "-"));
    tl_words_time(text, m, "revoked_at", "");
    snprintf(state, sizeof state, "%.20s%s%s", at, *text ? " " : "", text);
    tl_table_add(t, state);
    tl_words_time(text, m, "last_seen", "never");
    tl_table_add(t, tl_json_bool(m, "online", false) ? "now" : text);
    tl_words_time(text, m, "expires_at", "never");
    tl_table_add(t, text);
}

static int print_members(const json_t *members, bool whole)
{
    static const char *const heads[] = {"NODE", "NAME", "ROLE", "STATE", "ONLINE", "ENDS", NULL};
    const json_t *m;
    tl_table t;
    size_t i;
    if (!json_array_size(members)) {
        tl_out_note("no member is known yet");
        return TL_EXIT_OK;
    }
    const char *shown[TL_TABLE_COLUMNS_MAX + 1];
    bool aliases = tl_words_alias_heads(shown, heads, members);
    tl_table_begin(&t, shown);
    json_array_foreach (members, i, m)
        add_member(&t, m, whole, aliases);
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

int tl_cmd_ptn_members(tl_cli *cli, const tl_args *args)
{
    json_t *all;
    int code = tl_verb_do(cli, args, "ptn.members", net_args(args), READ_TIME, &all);
    if (is_for_person(cli, all))
        code = print_members(json_object_get(all, "members"), tl_args_has(args, "long"));
    json_decref(all);
    return code;
}

/* --- revoke, promote, renew, leave --- */

/* The node that the second operand means, in the network of the first. */
static int find_member(const tl_cli *cli, const tl_args *args, char ret_node[TL_NODE_ID_HEX + 1])
{
    return tl_nodefind_member(cli, args->operand[0], args->operand[1], ret_node);
}

static int withdraw(tl_cli *cli, const tl_args *args, const char *nonce)
{
    json_t *done;
    int code = tl_verb_do(cli, args, "ptn.withdraw",
                          json_pack("{s:s, s:s}", "net", args->operand[0], "nonce", nonce),
                          READ_TIME, &done);
    if (is_for_person(cli, done))
        printf("withdrawn: nobody can join by this invite any more\n");
    json_decref(done);
    return code;
}

static void print_fallen(const json_t *m, const char *state)
{
    char name[TL_WORDS_NAMED_MAX];
    tl_words_named(name, m);
    if (!strcmp(tl_json_string(m, "state", ""), state))
        tl_out_note("  %s %s %s", tl_json_string(m, "node_id", "?"), tl_json_string(m, "role", ""),
                    name);
}

static size_t count_state(const json_t *members, const char *state)
{
    const json_t *m;
    size_t i, count = 0;
    json_array_foreach (members, i, m)
        count += !strcmp(tl_json_string(m, "state", ""), state);
    return count;
}

/* What became of the members whose certificates a revoked admin had signed. */
static void tell_fallen(const char *net, const json_t *members, size_t not_kept)
{
    const json_t *m;
    size_t i, kept = count_state(members, "valid"), out = count_state(members, "revoked");
    if (kept)
        tl_out_note("%zu member%s that it admitted or renewed %s kept: this node signed for %s",
                    kept, kept == 1 ? "" : "s", kept == 1 ? "is" : "are",
                    kept == 1 ? "it" : "them");
    json_array_foreach (members, i, m)
        print_fallen(m, "valid");
    if (not_kept)
        tl_out_note("%zu %s not kept: this node has never met %s, and the revoked admin may have "
                    "made %s up. To keep one: teale ptn renew %s NODE",
                    not_kept, not_kept == 1 ? "is" : "are", not_kept == 1 ? "it" : "them",
                    not_kept == 1 ? "it" : "them", net);
    else if (out)
        tl_out_note(
            "%zu member%s that it admitted or renewed %s out, too. To take one in again: teale ptn "
            "renew %s NODE; all: repeat this command with --keep-members",
            out, out == 1 ? "" : "s", out == 1 ? "is" : "are", net);
    json_array_foreach (members, i, m)
        print_fallen(m, "revoked");
}

/* Where others go out with the node, a person at a terminal is asked first. Returns an exit code. */
static int confirm_revocation(tl_cli *cli, const tl_args *args, const char *node)
{
    json_t *would;
    char line[16] = "";
    bool keep = tl_args_has(args, "keep-members");
    if (cli->json || tl_args_has(args, "yes") || !isatty(STDIN_FILENO))
        return TL_EXIT_OK;
    int code = tl_verb_do(
        cli, args, "ptn.revoke",
        json_pack("{s:s, s:s, s:b}", "net", args->operand[0], "node_id", node, "dry_run", 1),
        READ_TIME, &would);
    const json_t *m, *members = json_object_get(would, "members");
    size_t i;
    if (!code && json_array_size(members)) {
        tl_out_note(
            keep
                ? "%.16s admitted or renewed these members; this node signs in its place for those "
                  "that it has met:"
                : "%.16s admitted or renewed these members, and they go out with it (to keep them: "
                  "--keep-members):",
            node);
        json_array_foreach (members, i, m)
            print_fallen(m, "valid");
        fputs("Revoke it? [y/N] ", stderr);
        if (!fgets(line, sizeof line, stdin) || (line[0] != 'y' && line[0] != 'Y')) {
            tl_out_note("nothing was revoked");
            code = TL_EXIT_FAILED;
        }
    }
    json_decref(would);
    return code;
}

int tl_cmd_ptn_revoke(tl_cli *cli, const tl_args *args)
{
    const char *nonce = tl_args_value(args, "invite");
    char node[TL_NODE_ID_HEX + 1];
    json_t *done;
    uint8_t bytes[16];
    if (!nonce == (args->operand_n < 2))
        return tl_cli_usage(cli, "name either a node or, with --invite, an invite's nonce");
    if (nonce && tl_hex_parse(tl_slice_str(nonce), false, bytes, sizeof bytes))
        return tl_cli_usage(cli, "a nonce is 32 lower-case hex digits: teale ptn invites %s",
                            args->operand[0]);
    if (nonce)
        return withdraw(cli, args, nonce);
    int code = find_member(cli, args, node);
    if (!code)
        code = confirm_revocation(cli, args, node);
    if (code)
        return code;
    json_t *wish = json_pack("{s:s, s:s}", "net", args->operand[0], "node_id", node);
    if (tl_args_has(args, "keep-members") &&
        json_object_set_new(wish, "keep_members", json_true())) {
        json_decref(wish);
        return TL_EXIT_FAILED;
    }
    code = tl_verb_do(cli, args, "ptn.revoke", wish, READ_TIME, &done);
    if (is_for_person(cli, done)) {
        int told = (int)tl_json_number(done, "told", 0);
        printf("%s %.16s for good; %d member%s told now; members that are away learn it "
               "when they connect\n",
               tl_json_bool(done, "again", false) ? "it was revoked already:" : "revoked", node,
               told, told == 1 ? "" : "s");
        if (tl_json_bool(done, "never_met", false))
            tl_out_note("This node knew of no member of that ID in %s: was another network meant? "
                        "It is shut out here all the same, for good",
                        args->operand[0]);
        if (tl_json_bool(done, "serves_public", false))
            tl_out_note(
                "This node shares with the public, too: there the revoked one still asks as "
                "anybody at the relay does. To end that: teale config set share_with "
                "networks");
        tell_fallen(args->operand[0], json_object_get(done, "members"),
                    (size_t)tl_json_number(done, "not_kept", 0));
    }
    json_decref(done);
    return code;
}

int tl_cmd_ptn_promote(tl_cli *cli, const tl_args *args)
{
    char node[TL_NODE_ID_HEX + 1];
    json_t *done;
    int code = find_member(cli, args, node);
    if (code)
        return code;
    code = tl_verb_do(cli, args, "ptn.promote",
                      json_pack("{s:s, s:s}", "net", args->operand[0], "node_id", node), ADMIN_TIME,
                      &done);
    if (is_for_person(cli, done))
        printf("%.16s is an admin now\n", node);
    json_decref(done);
    return code;
}

int tl_cmd_ptn_renew(tl_cli *cli, const tl_args *args)
{
    char node[TL_NODE_ID_HEX + 1], text[TL_WORDS_MAX];
    const char *valid = tl_args_value(args, "valid");
    int64_t secs = 0;
    json_t *done, *wish = net_args(args);
    int code = TL_EXIT_OK;
    if (valid && strcmp(valid, "never") != 0 && tl_span_parse(tl_slice_str(valid), &secs))
        code = tl_cli_usage(cli, "--valid is a time such as 12h or 90d, or never");
    if (!code && args->operand_n > 1)
        code = find_member(cli, args, node);
    if (!code && args->operand_n > 1 && json_object_set_new(wish, "node_id", json_string(node)))
        code = TL_EXIT_FAILED;
    if (!code && valid && json_object_set_new(wish, "valid_s", json_integer(secs)))
        code = TL_EXIT_FAILED;
    if (code) {
        json_decref(wish);
        return code;
    }
    code = tl_verb_do(cli, args, "ptn.renew", wish, ADMIN_TIME, &done);
    if (is_for_person(cli, done)) {
        tl_words_time(text, done, "expires_at", "");
        printf("renewed; the certificate of %.16s %s%s\n", tl_json_string(done, "node_id", "?"),
               *text ? "ends " : "never ends", text);
    }
    json_decref(done);
    return code;
}

int tl_cmd_ptn_leave(tl_cli *cli, const tl_args *args)
{
    json_t *done, *wish = net_args(args);
    if (tl_args_has(args, "delete") && json_object_set_new(wish, "delete", json_true())) {
        json_decref(wish);
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "ptn.leave", wish, READ_TIME, &done);
    if (is_for_person(cli, done))
        printf("left; this node neither asks nor serves that network any more\n");
    json_decref(done);
    return code;
}

/* --- price, key --- */

int tl_cmd_ptn_price(tl_cli *cli, const tl_args *args)
{
    json_t *p, *wish = net_args(args);
    int64_t micro;
    if (args->operand_n > 1) {
        if (!tl_args_whole(args->operand[1], 0, TL_NUMBER_EXACT_MAX, &micro)) {
            json_decref(wish);
            return tl_cli_usage(cli, "a price is a whole number of micro-credits for 1000 tokens, "
                                     "from 0; 1000000 are one credit");
        }
        if (json_object_set_new(wish, "price_micro", json_integer(micro))) {
            json_decref(wish);
            return TL_EXIT_FAILED;
        }
    }
    int code = tl_verb_do(cli, args, "ptn.price", wish, READ_TIME, &p);
    if (is_for_person(cli, p)) {
        char credits[TL_WORDS_MAX];
        tl_words_credits_of(credits, p, "price_micro");
        printf("%lld micro-credits for 1000 tokens (%s credits), version %lld\n",
               (long long)tl_json_number(p, "price_micro", 0), credits,
               (long long)tl_json_number(p, "version", 0));
    }
    json_decref(p);
    return code;
}

int tl_cmd_ptn_key(tl_cli *cli, const tl_args *args)
{
    json_t *k, *wish = net_args(args);
    if (tl_args_has(args, "new") && json_object_set_new(wish, "new", json_true())) {
        json_decref(wish);
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "ptn.key", wish, READ_TIME, &k);
    if (is_for_person(cli, k)) {
        tl_out_plain(tl_json_string(k, "key", ""));
        putchar('\n');
    }
    json_decref(k);
    return code;
}

/* --- hide: a setting, which works without a daemon, too --- */

int tl_cmd_ptn_hide(tl_cli *cli, const tl_args *args)
{
    tl_settings s;
    tl_why why;
    if (args->operand_n) {
        const char *word = args->operand[0];
        bool on = !strcmp(word, "on");
        if (!on && strcmp(word, "off") != 0)
            return tl_cli_usage(cli, "ptn hide takes on or off");
        const tl_args set = {.operand = {"ptn.hide", on ? "true" : "false"}, .operand_n = 2};
        int code = tl_cmd_config_set(cli, &set);
        if (code)
            return code;
    }
    tl_err e = tl_settings_load(cli->paths.config, &s, &why);
    if (e) {
        tl_out_error("%s", why.text);
        return tl_cli_exit_of(e);
    }
    if (cli->json) {
        json_t *one = json_pack("{s:b}", "hide", s.ptn_hide);
        tl_out_json(one);
        json_decref(one);
    } else {
        puts(s.ptn_hide ? "on" : "off");
    }
    return TL_EXIT_OK;
}
