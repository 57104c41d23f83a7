/* cmd_wallet.c - `teale wallet`: what was earned and spent, with whom and for what. */
#include "base/number.h"
#include "cli/commands.h"
#include "cli/nodefind.h"
#include "cli/verb.h"
#include "cli/words.h"

#include <stdlib.h>
#include <time.h>

#define READ_TIME   (10 * TL_SEC)
#define AUDIT_TIME  (10 * TL_MIN) /* every signature of a year is checked */
#define PAGE        8000          /* entries of the history that one answer holds: 8 MB */
#define SETTLE_TIME (30 * TL_SEC) /* the peer signs, over a connection that may have to be made */

/* --- wallet --- */

static void add_credits(tl_table *t, const json_t *object, const char *key)
{
    char text[TL_WORDS_MAX];
    tl_words_credits_of(text, object, key);
    tl_table_add(t, text);
}

/* Those with which anything was ever owed; a provider for nothing has an account with every stranger that asked. */
static json_t *with_sums(const json_t *peers)
{
    static const char *const sums[] = {"balance_micro", "earned_micro", "spent_micro", "held_micro",
                                       "settled_micro"};
    json_t *list = json_array(), *p;
    size_t i;
    json_array_foreach (peers, i, p) {
        bool any = false;
        for (size_t f = 0; f < sizeof sums / sizeof *sums; f++)
            any |= tl_json_number(p, sums[f], 0) != 0;
        if (any && json_array_append(list, p))
            break;
    }
    return list;
}

static int print_peers(const json_t *peers)
{
    static const char *const heads[] = {"NODE", "NAME",    "BALANCE", "EARNED",   "SPENT",
                                        "HELD", "SETTLED", "LIMIT",   "UNSIGNED", NULL};
    static const char *const fields[] = {"balance_micro", "earned_micro",  "spent_micro",
                                         "held_micro",    "settled_micro", "limit_micro"};
    char text[TL_WORDS_MAX];
    const char *shown[TL_TABLE_COLUMNS_MAX + 1];
    const json_t *p;
    tl_table t;
    size_t i;
    bool aliases = tl_words_alias_heads(shown, heads, peers);
    tl_table_begin(&t, shown);
    json_array_foreach (peers, i, p) {
        tl_words_id(text, p, "node_id");
        tl_table_add(&t, text);
        if (aliases)
            tl_words_add_alias(&t, p);
        tl_table_add(&t, tl_json_string(p, "name", ""));
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            add_credits(&t, p, fields[f]);
        snprintf(text, sizeof text, "%lld", (long long)tl_json_number(p, "unsigned", 0));
        tl_table_add(&t, text);
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int print_networks(const json_t *ptns)
{
    static const char *const heads[] = {"NETWORK", "EARNED", "SPENT", "ID", NULL};
    char text[TL_WORDS_MAX];
    const json_t *p;
    tl_table t;
    size_t i;
    tl_table_begin(&t, heads);
    json_array_foreach (ptns, i, p) {
        tl_table_add(&t, tl_json_string(p, "name", "(public)"));
        add_credits(&t, p, "earned_micro");
        add_credits(&t, p, "spent_micro");
        tl_words_id(text, p, "ptn_id");
        tl_table_add(&t, text);
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int print_wallet(const json_t *w)
{
    static const char *const keys[] = {"balance", "earned", "spent", "held"};
    const json_t *peers = json_object_get(w, "peers"), *ptns = json_object_get(w, "ptns");
    json_t *shown = with_sums(peers);
    size_t hidden = json_array_size(peers) - json_array_size(shown);
    int code = TL_EXIT_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char field[32], credits[TL_WORDS_MAX], line[TL_WORDS_MAX + 40];
        snprintf(field, sizeof field, "%s_micro", keys[i]);
        tl_words_credits_of(credits, w, field);
        snprintf(line, sizeof line, "%s credits%s", credits,
                 i || !strcmp(credits, "0") ? ""
                 : *credits == '-'          ? " (this node owes)"
                                            : " (owed to this node)");
        tl_out_line(keys[i], line);
    }
    if (json_array_size(shown))
        code = print_peers(shown);
    else
        tl_out_note("nothing was bought or sold yet");
    if (hidden)
        tl_out_note("%zu more node%s asked or answered for nothing: teale wallet --json", hidden,
                    hidden == 1 ? "" : "s");
    json_decref(shown);
    if (!code && json_array_size(ptns))
        code = print_networks(ptns);
    return code;
}

int tl_cmd_wallet(tl_cli *cli, const tl_args *args)
{
    json_t *w;
    int code = tl_verb_do(cli, args, "wallet.show", json_object(), READ_TIME, &w);
    if (w && cli->json)
        tl_out_json(w);
    else if (w)
        code = print_wallet(w);
    json_decref(w);
    return code;
}

/* --- history --- */

static const char *const columns[] = {
    "at",        "request",    "kind",        "role",         "peer",  "ptn_id", "model",
    "tokens_in", "tokens_out", "price_micro", "amount_micro", "state", NULL};

/* RFC 4180: a field with a comma, a quote or a line's end stands in quotes. */
static void print_csv_field(const json_t *v)
{
    if (json_is_integer(v)) {
        printf("%lld", (long long)json_integer_value(v));
        return;
    }
    const char *text = json_is_string(v) ? json_string_value(v) : "";
    if (!text[strcspn(text, ",\"\r\n")]) {
        tl_out_plain(text);
        return;
    }
    tl_buf b = {0};
    for (const char *p = text; *p; p++)
        if (tl_buf_append(&b, tl_slice_of(p, 1)) || (*p == '"' && tl_buf_append_str(&b, "\"")))
            break;
    putchar('"');
    if (!tl_buf_append(&b, tl_slice_of("", 1)))
        tl_out_plain((const char *)tl_buf_begin(&b));
    putchar('"');
    tl_buf_clear(&b);
}

static void print_csv(const json_t *entries)
{
    const json_t *e;
    size_t i;
    for (size_t c = 0; columns[c]; c++)
        printf("%s%s", c ? "," : "", columns[c]);
    putchar('\n');
    json_array_foreach (entries, i, e) {
        for (size_t c = 0; columns[c]; c++) {
            if (c)
                putchar(',');
            print_csv_field(json_object_get(e, columns[c]));
        }
        putchar('\n');
    }
}

static void add_entry(tl_table *t, const json_t *e, bool aliases)
{
    char text[80];
    bool question = !strcmp(tl_json_string(e, "kind", ""), "question");
    tl_table_add(t, tl_json_string(e, "at", ""));
    tl_table_add(t, question ? tl_json_string(e, "role", "-") : "settled");
    snprintf(text, sizeof text, "%.16s", tl_json_string(e, "peer", "-"));
    tl_table_add(t, text);
    if (aliases)
        tl_words_add_alias(t, e);
    tl_table_add(t, tl_json_string(e, "model", "-"));
    snprintf(text, sizeof text, "%lld + %lld", (long long)tl_json_number(e, "tokens_in", 0),
             (long long)tl_json_number(e, "tokens_out", 0));
    /* of what is held or came to nothing no token is charged */
    tl_table_add(t, question && json_is_number(json_object_get(e, "tokens_in")) ? text : "-");
    add_credits(t, e, "amount_micro");
    tl_table_add(t, tl_json_string(e, "state", ""));
}

static int print_history(const json_t *entries)
{
    static const char *const heads[] = {"AT",     "WHAT",    "PEER",  "MODEL",
                                        "TOKENS", "CREDITS", "STATE", NULL};
    const json_t *e;
    tl_table t;
    size_t i;
    if (!json_array_size(entries)) {
        tl_out_note("nothing was bought or sold in that time");
        return TL_EXIT_OK;
    }
    const char *shown[TL_TABLE_COLUMNS_MAX + 1];
    bool aliases = tl_words_alias_heads(shown, heads, entries);
    tl_table_begin(&t, shown);
    json_array_foreach (entries, i, e)
        add_entry(&t, e, aliases);
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

/* Adds --since, as Unix seconds. Returns an exit code. */
static int add_since(const tl_cli *cli, const tl_args *args, json_t *wish)
{
    const char *text = tl_args_value(args, "since");
    int64_t span;
    tl_unix at;
    if (!text)
        return TL_EXIT_OK;
    if (!tl_span_parse(tl_slice_str(text), &span))
        at = (tl_unix)time(NULL) - span;
    else if (tl_when_parse(tl_slice_str(text), &at))
        return tl_cli_usage(cli, "--since is a time ago such as 24h, or a time such as "
                                 "2026-01-31T18:00:00Z");
    return json_object_set_new(wish, "since", json_integer(at > 0 ? at : 0)) ? TL_EXIT_FAILED
                                                                             : TL_EXIT_OK;
}

static int add_filters(const tl_cli *cli, const tl_args *args, json_t *wish)
{
    const char *peer = tl_args_value(args, "peer"), *net = tl_args_value(args, "ptn");
    char node[65];
    int code = add_since(cli, args, wish);
    if (!code && peer)
        code = tl_nodefind_account(cli, peer, node);
    if (!code && peer && json_object_set_new(wish, "peer", json_string(node)))
        code = TL_EXIT_FAILED;
    if (!code && net && json_object_set_new(wish, "net", json_string(net)))
        code = TL_EXIT_USAGE; /* no text */
    return code;
}

/* All entries, some thousands at a time: an answer of the daemon has a bound. `wish` is taken. */
static int read_history(tl_cli *cli, const tl_args *args, json_t *wish, json_t **ret)
{
    json_t *all = NULL;
    int code = wish && !json_object_set_new(wish, "limit", json_integer(PAGE)) ? TL_EXIT_OK
                                                                               : TL_EXIT_FAILED;
    for (bool more = true; !code && more;) {
        json_t *part = NULL;
        code = tl_verb_do(cli, args, "wallet.history", json_deep_copy(wish), READ_TIME, &part);
        const json_t *next = json_object_get(part, "next");
        more = next != NULL;
        if (!code && more && json_object_set_new(wish, "after", json_deep_copy(next)))
            code = TL_EXIT_FAILED;
        (void)json_object_del(part, "next");
        if (!code && all &&
            json_array_extend(json_object_get(all, "entries"), json_object_get(part, "entries")))
            code = TL_EXIT_FAILED;
        if (all)
            json_decref(part);
        else
            all = part;
    }
    json_decref(wish);
    if (code) {
        json_decref(all);
        all = NULL;
    }
    *ret = all;
    return code;
}

int tl_cmd_wallet_history(tl_cli *cli, const tl_args *args)
{
    json_t *wish, *all;
    if (cli->json && tl_args_has(args, "csv"))
        return tl_cli_usage(cli, "it is either --json or --csv");
    wish = json_object();
    int code = add_filters(cli, args, wish);
    if (code) {
        json_decref(wish);
        return code;
    }
    code = read_history(cli, args, wish, &all);
    if (all && cli->json)
        tl_out_json(all);
    else if (all && tl_args_has(args, "csv"))
        print_csv(json_object_get(all, "entries"));
    else if (all)
        code = print_history(json_object_get(all, "entries"));
    json_decref(all);
    return code;
}

/* --- audit, settle --- */

/* A problem may be a sentence or an object that names what failed. */
static void tell_problem(const json_t *audit)
{
    const json_t *first = json_array_get(json_object_get(audit, "problems"), 0);
    char *text = first && !json_is_string(first) ? json_dumps(first, JSON_COMPACT) : NULL;
    const char *words = json_string_value(first);
    tl_verb_refuse("E_AUDIT", "%s",
                   words                                    ? words
                   : tl_json_string(first, "problem", NULL) ? tl_json_string(first, "problem", "")
                   : text                                   ? text
                                                            : "the ledger does not add up");
    free(text);
}

int tl_cmd_wallet_audit(tl_cli *cli, const tl_args *args)
{
    json_t *a;
    int code = tl_verb_do(cli, args, "wallet.audit", json_object(), AUDIT_TIME, &a);
    if (!a)
        return code;
    bool good = tl_json_bool(a, "ok", false);
    if (cli->json)
        tl_out_json(a);
    else if (good)
        printf("every sum and every signature is right: %lld transactions, %lld receipts, %lld of "
               "them not signed by the other side yet\n",
               (long long)tl_json_number(a, "transactions", 0),
               (long long)tl_json_number(a, "receipts", 0),
               (long long)tl_json_number(a, "unsigned", 0));
    if (!good)
        tell_problem(a);
    json_decref(a);
    return good ? TL_EXIT_OK : TL_EXIT_FAILED;
}

static void tell_settled(const json_t *s)
{
    char amount[TL_WORDS_MAX], balance[TL_WORDS_MAX];
    bool settled = !strcmp(tl_json_string(s, "state", ""), "settled");
    tl_words_credits_of(amount, s, "amount_micro");
    tl_words_credits_of(balance, s, "balance_micro");
    printf("%s: %s credits with %.16s; balance %s credits\n", settled ? "settled" : "proposed",
           amount, tl_json_string(s, "peer", "?"), balance);
    if (!settled)
        tl_out_note("It counts when the other side, which is owed, runs the same: teale wallet "
                    "settle");
}

int tl_cmd_wallet_settle(tl_cli *cli, const tl_args *args)
{
    char node[65];
    int64_t amount;
    json_t *s;
    if (!tl_args_whole(args->operand[1], 1, TL_NUMBER_EXACT_MAX, &amount))
        return tl_cli_usage(cli,
                            "AMOUNT is a whole number of micro-credits from 1; 1000000 are one "
                            "credit");
    int code = tl_nodefind_account(cli, args->operand[0], node);
    if (code)
        return code;
    code = tl_verb_do(cli, args, "wallet.settle",
                      json_pack("{s:s, s:I}", "peer", node, "amount_micro", (json_int_t)amount),
                      SETTLE_TIME, &s);
    if (s && cli->json)
        tl_out_json(s);
    else if (s)
        tell_settled(s);
    json_decref(s);
    return code;
}
