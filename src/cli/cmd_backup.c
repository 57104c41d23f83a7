/* cmd_backup.c - `teale backup create`, `status`, `drop` and `takeover`. The words are made and shown here; the
 * node gets the root of the keys, from which nobody can tell them. */
#include "backup/recovery.h"
#include "base/when.h"
#include "cli/commands.h"
#include "cli/verb.h"
#include "cli/words.h"

#include <sodium.h>

#define CREATE_TIME (120 * TL_SEC) /* the node gives up after 60 s and a copy */
#define SHOW_TIME   (10 * TL_SEC)
#define DROP_TIME   (60 * TL_SEC) /* the node gives up after a copy that is under way and 20 s */
#define COLUMNS     4

static void show_words(const char *text)
{
    char words[TL_PHRASE_TEXT], *at = words;
    snprintf(words, sizeof words, "%s", text);
    for (int i = 1; i <= TL_PHRASE_WORDS; i++)
        printf("%2d. %-*s%s", i, TL_PHRASE_LETTERS + 2, strsep(&at, " "),
               i % COLUMNS ? "  " : "\n");
    sodium_memzero(words, sizeof words);
}

/* "of 5 fragments at as many nodes any 2 bring it back: 3 may be lost" */
static void show_safety(const json_t *s)
{
    int held = (int)tl_json_number(s, "held", 0), k = (int)tl_json_number(s, "k", 0);
    int lose = (int)tl_json_number(s, "may_lose", 0);
    if (lose < 0)
        printf("fragments: %d are held, and %d are needed to bring it back\n", held, k);
    else if (lose > 0)
        printf("fragments: %d are held, each by another node; any %d bring it back, so %d of the "
               "nodes may be lost\n",
               held, k, lose);
    else
        printf("fragments: %d %s held, and all of them are needed: no node that holds one may be "
               "lost\n",
               held, held == 1 ? "is" : "are");
}

/* One machine that fails would take all with it. */
static void warn_of_few(const json_t *s)
{
    if (tl_json_number(s, "may_lose", 0) > 0)
        return;
    int held = (int)tl_json_number(s, "held", 0);
    tl_out_note("Warning: %s. It grows by itself as members join\nyour networks and are on: teale "
                "backup status",
                held == 1 ? "one single node holds this backup: if that node is lost, it is lost"
                          : "no node that holds a fragment of this backup may be lost");
}

static void say_what_to_do(const json_t *s)
{
    tl_out_note(
        "Write the 24 words on paper, in this order, and keep it where the laptop is not. They "
        "are\nshown this once. Who has them has this node's identity and networks; without "
        "them nobody\ncan read what the others hold. After a loss, on a new machine: teale "
        "backup restore");
    if (tl_json_number(json_object_get(s, "pointer"), "nodes", 0) < 1)
        tl_out_note(
            "The DHT has not taken yet who holds the fragments, and a restore begins there. "
            "Those nodes\nand this one go on trying: look at teale backup status");
}

/* The node hears that a person has the words: until then it says of the backup that nobody has. */
static int tell_shown(const tl_cli *cli, const tl_args *args)
{
    json_t *done = NULL;
    if (fflush(stdout) || ferror(stdout)) {
        tl_verb_refuse("E_NOT_SHOWN",
                       "the words could not be written. Make new ones: teale backup create");
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "backup.shown", json_object(), SHOW_TIME, &done);
    if (code)
        tl_out_note("The node did not hear that the words were shown. They are right; to have its "
                    "status say so, make new\nones: teale backup create");
    json_decref(done);
    return code;
}

static int show_created(const tl_cli *cli, const tl_args *args, json_t *s, const char *text)
{
    if (!cli->json) {
        show_words(text);
        int code = tell_shown(cli, args);
        show_safety(s);
        warn_of_few(s);
        say_what_to_do(s);
        return code;
    }
    json_t *words = json_array();
    char copy[TL_PHRASE_TEXT], *at = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep(&at, " "));)
        json_array_append_new(words, json_string(word));
    sodium_memzero(copy, sizeof copy);
    json_object_set_new(s, "words", words);
    tl_out_json(s);
    return tell_shown(cli, args);
}

/* As tl_verb_do, and tells how long it takes. */
static int create(const tl_cli *cli, const tl_args *args, const char *root, int holders,
                  json_t **ret)
{
    tl_verb_result r = {.value = NULL};
    tl_verb v = {.verb = "backup.create", .waits_for = "other nodes to take the fragments"};
    *ret = NULL;
    if (!tl_daemon_timeout(cli, args, CREATE_TIME, &v.timeout))
        return TL_EXIT_USAGE;
    v.args = json_pack("{s:s, s:i, s:b, s:b}", "root", root, "holders", holders, "strangers",
                       tl_args_has(args, "strangers"), "new", tl_args_has(args, "new"));
    if (!cli->json)
        tl_out_note("placing fragments at other nodes, which takes a minute or two at most ...");
    int code = tl_verb_run(cli, &v, &r);
    if (r.late)
        tl_verb_refuse("E_TIMEOUT",
                       "no backup was made in this time, and what was begun is taken back. "
                       "Give it more time: --timeout");
    *ret = r.value;
    return code;
}

int tl_cmd_backup_create(tl_cli *cli, const tl_args *args)
{
    uint8_t entropy[TL_PHRASE_ENTROPY], root[TL_RECOVERY_KEY];
    char text[TL_PHRASE_TEXT], hex[2 * TL_RECOVERY_KEY + 1];
    tl_rand rand = tl_rand_system();
    json_t *done;
    tl_why why;
    long holders;
    if (tl_args_number(args, "holders", 0, 2, 16, &holders, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (tl_crypto_init()) {
        tl_out_error("libsodium cannot start");
        return TL_EXIT_FAILED;
    }
    tl_rand_bytes(&rand, entropy, sizeof entropy);
    tl_phrase_write(entropy, text);
    tl_recovery_root(entropy, root);
    tl_hex_write(hex, root, sizeof root);
    int code = create(cli, args, hex, (int)holders, &done);
    if (!code)
        code = show_created(cli, args, done, text);
    sodium_memzero(entropy, sizeof entropy);
    sodium_memzero(root, sizeof root);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(text, sizeof text);
    json_decref(done);
    return code;
}

/* --- status --- */

static const char *sentence_of(const char *state)
{
    static const struct {
        const char *state, *sentence;
    } sentences[] = {
        {"none", "there is none: teale backup create"},
        {"making", "it is being made"},
        {"unshown",
         "it is kept, but nobody was shown its words, so nobody can restore it. Make new ones: "
         "teale backup create"},
        {"renewing",
         "it can be restored, as it was then; a newer copy takes its place when that is as safe"},
        {"unlisted",
         "its fragments are held, but no node of the DHT is known to know who holds them: a "
         "restore may not find it"},
        {"kept", "it can be restored"},
        {"at_risk", "it can be restored, but no more of its fragments may be lost"},
        {"lost", "it cannot be restored now: too few of its fragments are held"},
        {"elsewhere", "another machine was restored from it, and is this node now; this one stands "
                      "aside"},
        {"withdrawn", "there is none: it was withdrawn"},
    };
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (!strcmp(sentences[i].state, state))
            return sentences[i].sentence;
    return state;
}

static int show_holders(const json_t *holders)
{
    static const char *const heads[] = {"HOLDER", "NODE", "STATE", "PROVEN", NULL};
    tl_table table;
    size_t i;
    const json_t *h;
    tl_table_begin(&table, heads);
    json_array_foreach (holders, i, h) {
        char node[16];
        char name[TL_WORDS_NAMED_MAX];
        tl_words_named(name, h);
        snprintf(node, sizeof node, "%.8s", tl_json_string(h, "node_id", "-"));
        tl_table_add(&table, *name ? name : "-");
        tl_table_add(&table, node);
        tl_table_add(&table, tl_json_string(h, "state", "?"));
        tl_table_add(&table, tl_json_string(h, "proven_at", "-"));
    }
    if (tl_table_end(&table)) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    return TL_EXIT_OK;
}

/* Nodes that still have fragments of what was withdrawn, or is replaced. */
static void show_left(const json_t *left)
{
    size_t i;
    const json_t *one;
    if (!json_array_size(left))
        return;
    printf("not told yet to delete what they hold: ");
    json_array_foreach (left, i, one) {
        char name[TL_WORDS_NAMED_MAX];
        tl_words_named(name, one);
        printf("%s%.8s", i ? ", " : "", tl_json_string(one, "node_id", "-"));
        if (*name) {
            fputs(" (", stdout);
            tl_out_plain(name);
            putchar(')');
        }
    }
    putchar('\n');
}

int tl_cmd_backup_status(tl_cli *cli, const tl_args *args)
{
    json_t *s;
    int code = tl_verb_do(cli, args, "backup.status", json_object(), SHOW_TIME, &s);
    if (code)
        return code;
    if (cli->json) {
        tl_out_json(s);
        json_decref(s);
        return TL_EXIT_OK;
    }
    const char *state = tl_json_string(s, "state", "?"), *cause = tl_json_string(s, "cause", "");
    tl_out_line("backup", sentence_of(state));
    if (!strcmp(state, "elsewhere"))
        tl_out_note(
            "Stop this one: teale down. Or, to be the node on this machine again: teale backup "
            "takeover");
    if (*tl_json_string(s, "other_at", ""))
        tl_out_line("other machine", tl_json_string(s, "other_at", ""));
    if (*tl_json_string(s, "made_at", ""))
        tl_out_line("of", tl_json_string(s, "made_at", ""));
    if (*tl_json_string(s, "newer_at", ""))
        tl_out_line("newer copy", tl_json_string(s, "newer_at", ""));
    if (!strcmp(state, "renewing"))
        printf("fragments: of that one %d of the nodes may be lost; of the newer copy %d of %d are "
               "held\n",
               (int)tl_json_number(s, "may_lose", 0), (int)tl_json_number(s, "held", 0),
               (int)tl_json_number(s, "n", 0));
    else if (json_array_size(json_object_get(s, "holders"))) {
        show_safety(s);
        const json_t *pointer = json_object_get(s, "pointer");
        printf("dht: %d nodes know who holds them\n", (int)tl_json_number(pointer, "nodes", 0));
    }
    if (*cause)
        tl_out_line("cause", cause);
    if (json_array_size(json_object_get(s, "holders")))
        code = show_holders(json_object_get(s, "holders"));
    show_left(json_object_get(s, "left"));
    json_decref(s);
    return code;
}

/* --- drop --- */

static void show_dropped(const json_t *s)
{
    const json_t *left = json_object_get(s, "left");
    int nodes = (int)tl_json_number(json_object_get(s, "pointer"), "nodes", 0);
    printf("withdrawn: %d node%s deleted what they held\n", (int)tl_json_number(s, "told", 0),
           tl_json_number(s, "told", 0) == 1 ? "" : "s");
    show_left(left);
    if (nodes < 1)
        tl_out_note("The DHT was not reached: for two hours it may still know who holds what.");
    if (json_array_size(left))
        tl_out_note(
            "This node goes on by itself and tells them when they are met, as long as it runs; "
            "they forget\nit after 180 days in any case. Until then the old words bring the "
            "backup back where enough of\nthem are left: teale backup status");
}

int tl_cmd_backup_drop(tl_cli *cli, const tl_args *args)
{
    json_t *s;
    int code = tl_verb_do(cli, args, "backup.drop", json_object(), DROP_TIME, &s);
    if (code)
        return code;
    if (cli->json)
        tl_out_json(s);
    else
        show_dropped(s);
    if (json_array_size(json_object_get(s, "left")))
        code = TL_EXIT_UNREACHABLE;
    json_decref(s);
    return code;
}

/* --- takeover --- */

int tl_cmd_backup_takeover(tl_cli *cli, const tl_args *args)
{
    json_t *s;
    int code = tl_verb_do(cli, args, "backup.takeover", json_object(), SHOW_TIME, &s);
    if (code)
        return code;
    if (cli->json) {
        tl_out_json(s);
    } else {
        tl_out_line("backup", "this machine is the node again, with the same 24 words");
        tl_out_note(
            "The other one stands aside when it finds that out, within the hour; stop it at "
            "once if you can.\nWhat it earned, spent and signed is not here.");
    }
    json_decref(s);
    return code;
}
