#include "cli/complete.h"

#include "ask/exchange.h"
#include "base/plain.h"
#include "cli/daemon.h"
#include "config/config.h"

#include <string.h>

#define ASK_TIME   (500 * TL_MS) /* a node that hangs; one that is down costs nothing */
#define OFFERS_MAX 500           /* more is no help */
#define ID_SHOWN   16 /* digits of a node ID, where they tell it from all others (peer/naming.h) */

/* What was typed before the word in question. */
typedef struct {
    const char *home;       /* the value of --home; NULL: not given */
    const char *group;      /* "config", until its second word is there */
    const tl_command *c;    /* NULL: not there yet */
    const char *operand[2]; /* the first operands of the command */
    size_t operand_n;
    const tl_option *wants; /* the option whose value comes next */
    bool help, ended, unknown;
} before;

/* What may stand there. */
typedef struct {
    tl_cli cli;
    const char *typed; /* the part of the word that a candidate must begin with */
    char lead[64];     /* "--model=" is typed in the same word */
    size_t offers;
} asked;

static const tl_option any_command[] = {{"version", 'V', NULL, "show the version"},
                                        {NULL, 0, NULL, NULL}};

/* Words of other nodes go into a shell: letters, digits, what is nothing special there, and other alphabets. */
static bool is_plain(const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@+,-";
    if (!*word || *word == '-' || *word == ':' || !tl_plain_is(tl_slice_str(word)))
        return false;
    for (; *word; word++)
        if ((unsigned char)*word < 0x80 && !strchr(plain, *word))
            return false;
    return true;
}

static void offer(asked *a, const char *word, const char *meaning)
{
    if (a->offers == OFFERS_MAX || strncmp(word, a->typed, strlen(a->typed)) != 0)
        return;
    a->offers++;
    printf("%s%s", a->lead, word);
    if (meaning && *meaning) {
        putchar('\t');
        tl_out_plain(meaning);
    }
    putchar('\n');
}

static void offer_all(asked *a, const char *const *words)
{
    for (; words && *words; words++)
        offer(a, *words, NULL);
}

/* --- what the running node knows --- */

/* NULL: it does not run, or did not answer in time. */
static json_t *request(const asked *a, const tl_daemon_ask *wish)
{
    tl_daemon_answer answer;
    json_t *all = NULL;
    tl_daemon_run(&a->cli, wish, NULL, NULL, &answer);
    bool ok = !answer.e && answer.status == 200;
    if (ok && tl_json_parse(tl_buf_slice(&answer.body), 16, &all, NULL))
        all = NULL;
    tl_daemon_answer_clear(&answer);
    return all;
}

/* The answer to a verb that only reads. Takes the reference to `args`. */
static json_t *tell(const asked *a, const char *verb, json_t *args)
{
    json_t *body = json_pack("{s:s, s:o}", "verb", verb, "args", args), *all = NULL;
    if (body)
        all = request(
            a, &(tl_daemon_ask){
                   .method = "POST", .path = "/control/do", .body = body, .timeout = ASK_TIME});
    json_decref(body);
    return all;
}

/* All that it knows of peers, models and networks, at once: it does not look around for it. */
static json_t *known(const asked *a)
{
    return tell(a, "known", json_object());
}

static bool is_only_one(const json_t *peers, const char *id, size_t digits)
{
    size_t i, same = 0;
    const json_t *peer;
    json_array_foreach (peers, i, peer)
        same += !strncmp(tl_json_string(peer, "node_id", ""), id, digits);
    return same == 1;
}

/* As few digits as tell it from all others; all of them where more are typed. */
static void offer_id(asked *a, const json_t *peers, const char *id, const char *name)
{
    char word[65];
    if (strlen(id) != 64 || !is_plain(id))
        return;
    bool whole = strlen(a->typed) >= ID_SHOWN || !is_only_one(peers, id, ID_SHOWN);
    snprintf(word, sizeof word, "%.*s", whole ? 64 : ID_SHOWN, id);
    offer(a, word, name);
}

static const char *meaning_of(const json_t *peer, const char *name)
{
    return !*name && tl_json_bool(peer, "announced", false) ? "announced on the local network"
                                                            : name;
}

/* Is it one of the known nodes whose display names name them? */
static bool is_named(const json_t *known_peers, const char *id)
{
    size_t i;
    const json_t *peer;
    json_array_foreach (known_peers, i, peer)
        if (!strcmp(tl_json_string(peer, "node_id", ""), id))
            return tl_json_bool(peer, "named", false);
    return false;
}

/* The nodes of a list, whose items have `node_id`, `name` and `alias`: by alias or name; by the digits of the
 * ID where there is no such word, and where something is typed. */
static void offer_nodes(asked *a, const json_t *peers, const json_t *known_peers)
{
    const json_t *peer;
    size_t i;
    json_array_foreach (peers, i, peer) {
        const char *id = tl_json_string(peer, "node_id", ""),
                   *name = tl_json_string(peer, "name", "");
        const char *alias = tl_json_string(peer, "alias", "");
        bool named = is_plain(name) && is_named(known_peers, id);
        char shown[24];
        snprintf(shown, sizeof shown, "%.16s", id);
        if (is_plain(alias))
            offer(a, alias, *name ? name : shown);
        if (named && strcmp(name, alias) != 0)
            offer(a, name, shown);
        if (*a->typed || (!is_plain(alias) && !named))
            offer_id(a, peers, id, meaning_of(peer, name));
    }
}

static void offer_peers(asked *a)
{
    json_t *all = known(a);
    const json_t *peers = json_object_get(all, "peers");
    offer_nodes(a, peers, peers);
    json_decref(all);
}

static void offer_aliases(asked *a)
{
    json_t *all = tell(a, "alias.list", json_object());
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(all, "aliases"), i, one)
        if (is_plain(tl_json_string(one, "alias", "")))
            offer(a, tl_json_string(one, "alias", ""), tl_json_string(one, "name", ""));
    json_decref(all);
}

static void offer_members(asked *a, const char *net)
{
    json_t *all = tell(a, "ptn.members", json_pack("{s:s}", "net", net));
    json_t *names = all ? known(a) : NULL;
    offer_nodes(a, json_object_get(all, "members"), json_object_get(names, "peers"));
    json_decref(names);
    json_decref(all);
}

static void offer_networks(asked *a)
{
    json_t *all = tell(a, "ptn.list", json_object());
    const json_t *ptn;
    size_t i;
    json_array_foreach (json_object_get(all, "ptns"), i, ptn) {
        const char *name = tl_json_string(ptn, "name", "");
        if (is_plain(name))
            offer(a, name, tl_json_string(ptn, "role", tl_json_string(ptn, "state", "")));
    }
    json_decref(all);
}

/* Of the network, those that can still be withdrawn. */
static void offer_invites(asked *a, const char *net)
{
    json_t *all = tell(a, "ptn.invites", json_pack("{s:s}", "net", net));
    const json_t *invite;
    size_t i;
    json_array_foreach (json_object_get(all, "invites"), i, invite) {
        const char *nonce = tl_json_string(invite, "nonce", "");
        if (is_plain(nonce) && !strcmp(tl_json_string(invite, "state", ""), "open"))
            offer(a, nonce, tl_json_string(invite, "role", ""));
    }
    json_decref(all);
}

/* "model@network" for each network in which a member serves it. */
static void offer_in_networks(asked *a, const json_t *model, const json_t *ptns)
{
    const json_t *serving = json_object_get(model, "ptns"), *ptn;
    size_t i;
    json_array_foreach (ptns, i, ptn) {
        char word[TL_MODEL_MAX + 80];
        const char *name = tl_json_string(ptn, "name", "");
        if (!json_object_get(serving, tl_json_string(ptn, "ptn_id", "")))
            continue;
        snprintf(word, sizeof word, "%s@%s", tl_json_string(model, "id", ""), name);
        if (is_plain(word))
            offer(a, word, "members of this network alone");
    }
}

static void offer_models(asked *a)
{
    json_t *all = known(a);
    const json_t *model;
    size_t i;
    offer(a, "teale-auto", "any model");
    json_array_foreach (json_object_get(json_object_get(all, "models"), "models"), i, model) {
        const char *id = tl_json_string(model, "id", "");
        if (is_plain(id) && strcmp(id, "teale-auto") != 0)
            offer(a, id, tl_json_bool(model, "local", false) ? "here" : NULL);
        offer_in_networks(a, model, json_object_get(all, "ptns"));
    }
    json_decref(all);
}

/* --- what the tables know --- */

static const tl_setting_info *setting(const char *key)
{
    for (size_t i = 0; tl_setting_at(i); i++)
        if (!strcmp(tl_setting_at(i)->key, key))
            return tl_setting_at(i);
    return NULL;
}

static void offer_settings(asked *a)
{
    for (size_t i = 0; tl_setting_at(i); i++)
        offer(a, tl_setting_at(i)->key, tl_setting_at(i)->meaning);
}

/* The choices; else the value in force and the default. */
static void offer_values(asked *a, const char *key)
{
    const tl_setting_info *info = setting(key);
    tl_settings s;
    tl_why why;
    tl_buf now = {0};
    if (!info)
        return;
    if (info->choices) {
        offer_all(a, info->choices);
        return;
    }
    if (!strcmp(key, "share"))
        offer(a, "auto", "look for a model server");
    if (strstr(key, "_file")) {
        puts(":files");
        return;
    }
    const char *text = "";
    if (!tl_settings_load(a->cli.paths.config, &s, &why) &&
        !tl_settings_show(&s, key, &now, &why) && !tl_buf_append(&now, tl_slice_of("", 1)))
        text = (const char *)tl_buf_begin(&now);
    if (is_plain(text))
        offer(a, text, "now");
    if (is_plain(info->default_text) && strcmp(info->default_text, text) != 0)
        offer(a, info->default_text, "the default");
    tl_buf_clear(&now);
}

static const char *group_meaning(const char *word)
{
    if (!strcmp(word, "relay"))
        return "run a relay, or see what this node relays";
    if (!strcmp(word, "dht"))
        return "what nodes say of themselves in the DHT";
    if (!strcmp(word, "backup"))
        return "what other nodes keep of this one";
    if (!strcmp(word, "key"))
        return "where the private key is";
    return !strcmp(word, "ptn") ? "private networks" : "read and change settings";
}

/* The first words of all commands, each once; with `group` the words that may follow it. */
static void offer_commands(asked *a, const char *group)
{
    size_t n = group ? strlen(group) : 0, last_n = 0;
    const char *last = "";
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        char word[32];
        if (group && (strncmp(c->name, group, n) != 0 || c->name[n] != ' '))
            continue;
        const char *from = group ? c->name + n + 1 : c->name;
        size_t k = strcspn(from, " ");
        snprintf(word, sizeof word, "%.*s", (int)k, from);
        if (k != last_n || strncmp(last, word, k) != 0)
            offer(a, word, from[k] ? group_meaning(word) : c->summary);
        last = from;
        last_n = k;
    }
}

static void offer_options(asked *a, const tl_command *c)
{
    const tl_option *tables[] = {c ? c->options : any_command, tl_options_common,
                                 c && c->reads ? tl_options_json : NULL};
    for (size_t t = 0; t < 3 && tables[t]; t++)
        for (const tl_option *o = tables[t]; o->name; o++) {
            char word[40];
            snprintf(word, sizeof word, "--%s", o->name);
            offer(a, word, o->help);
        }
}

/* The value of an option; `net` is the network that was typed before, or NULL. */
static void offer_option_values(asked *a, const tl_option *o, const char *net)
{
    static const char *const automatic[] = {"auto", NULL};
    static const char *const roles[] = {"consumer", "provider", "admin", NULL};
    static const char *const files[] = {"share-key-file", "log-file",   "png",
                                        "image",          "words-file", "passphrase-file"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(o->name, files[i]))
            puts(":files");
    if (!strcmp(o->name, "home"))
        puts(":dirs");
    else if (!strcmp(o->name, "role"))
        offer_all(a, roles);
    else if (!strcmp(o->name, "ptn"))
        offer_networks(a);
    else if (!strcmp(o->name, "invite") && net)
        offer_invites(a, net);
    else if (!strcmp(o->name, "log-level"))
        offer_all(a, setting("log_level")->choices);
    else if (!strcmp(o->name, "share"))
        offer_all(a, automatic);
    else if (!strcmp(o->name, "model"))
        offer_models(a);
    else if (!strcmp(o->name, "remove"))
        offer_aliases(a);
    else if (!strcmp(o->value, "PEER"))
        offer_peers(a);
}

/* `ptn` commands: a network, then a node of it. */
static void offer_ptn_operands(asked *a, const before *b)
{
    static const char *const switches[] = {"on", "off", NULL};
    const char *operands = b->c->operands;
    if (!strcmp(operands, "[on|off]")) {
        if (b->operand_n == 0)
            offer_all(a, switches);
    } else if (!strncmp(operands, "NET", 3) && b->operand_n == 0) {
        offer_networks(a);
    } else if (b->operand_n == 1 && strstr(operands, "PEER")) {
        offer_members(a, b->operand[0]);
    } else if (strstr(operands, "FILE") && b->operand_n + 1 == b->c->operand_max) {
        puts(":files");
    } else if (!*a->typed && !b->c->operand_max) {
        offer_options(a, b->c);
    }
}

static void offer_operands(asked *a, const before *b)
{
    static const char *const shells[] = {"bash", "zsh", "fish", NULL};
    static const char *const key_places[] = {"file", "keychain", NULL};
    const char *name = b->c->name;
    if (b->operand_n == 0)
        offer_commands(a, name); /* wallet history */
    if (!strncmp(name, "ptn ", 4)) {
        offer_ptn_operands(a, b);
    } else if (!strcmp(name, "ping") || !strcmp(name, "why") || !strcmp(name, "wallet settle") ||
               !strcmp(name, "dht get") || !strcmp(name, "peers alias")) {
        if (b->operand_n == 0)
            offer_peers(a);
    } else if (!strncmp(name, "config ", 7) && b->c->operand_max) {
        if (b->operand_n == 0)
            offer_settings(a);
        else if (b->operand_n == 1 && b->c->operand_max == 2)
            offer_values(a, b->operand[0]);
    } else if (!strcmp(name, "completion")) {
        if (b->operand_n == 0)
            offer_all(a, shells);
    } else if (!strcmp(name, "key move")) {
        if (b->operand_n == 0)
            offer_all(a, key_places);
    } else if (!strcmp(name, "key export")) {
        puts(":files");
    } else if (!*a->typed && !b->c->operand_max) {
        offer_options(a, b->c);
    }
}

/* --- reading what was typed --- */

static const tl_option *find_option(const tl_command *c, const char *word, bool *ret_joined)
{
    const tl_option *tables[] = {c ? c->options : any_command, tl_options_common,
                                 c && c->reads ? tl_options_json : NULL};
    bool is_long = word[1] == '-';
    size_t n = is_long ? strcspn(word + 2, "=") : 0;
    *ret_joined = is_long ? word[2 + n] == '=' : word[1] && word[2];
    for (size_t t = 0; t < 3 && tables[t]; t++)
        for (const tl_option *o = tables[t]; o->name; o++)
            if (is_long ? strlen(o->name) == n && !memcmp(o->name, word + 2, n)
                        : o->letter && o->letter == word[1])
                return o;
    return NULL;
}

static void take_command(before *b, const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", b->group ? b->group : "", b->group ? " " : "", word);
    size_t n = strlen(name);
    bool is_group = false;
    for (size_t i = 0; tl_command_at(i) && !b->c; i++) {
        const tl_command *c = tl_command_at(i);
        if (!strcmp(c->name, name))
            b->c = c;
        is_group |= !strncmp(c->name, name, n) && c->name[n] == ' ';
    }
    if (b->c)
        return;
    if (!b->group && is_group)
        b->group = word;
    else if (!b->group && !strcmp(word, "help"))
        b->help = true;
    else
        b->unknown = true;
}

/* True if a longer command begins so, as "wallet history" with "wallet"; takes it. */
static bool take_longer(before *b, const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%.30s %.30s", b->c->name, word);
    for (size_t i = 0; tl_command_at(i); i++)
        if (!strcmp(tl_command_at(i)->name, name)) {
            b->c = tl_command_at(i);
            return true;
        }
    return false;
}

static void take_option(before *b, const char *word)
{
    bool joined;
    const tl_option *o = find_option(b->c, word, &joined);
    if (!o || !o->value)
        return;
    if (!joined)
        b->wants = o;
    else if (!strncmp(word, "--home=", 7))
        b->home = word + 7;
}

static void take_word(before *b, const char *word)
{
    if (b->wants) {
        if (!strcmp(b->wants->name, "home"))
            b->home = word;
        b->wants = NULL;
    } else if (b->c && b->c->passes_on) {
        if (b->operand_n || !take_longer(b, word))
            b->operand_n++;
    } else if (!b->ended && word[0] == '-' && word[1]) {
        if (!strcmp(word, "--"))
            b->ended = true;
        else
            take_option(b, word);
    } else if (!b->c) {
        if (!b->help)
            take_command(b, word);
    } else if (b->operand_n || b->ended || !take_longer(b, word)) {
        if (b->operand_n < 2)
            b->operand[b->operand_n] = word;
        b->operand_n++;
    }
}

static void answer(asked *a, const before *b)
{
    bool joined = false;
    bool option = !b->ended && a->typed[0] == '-' && !b->help;
    const tl_option *o = option ? find_option(b->c, a->typed, &joined) : NULL;
    if (b->unknown)
        return;
    if (b->c && b->c->passes_on) {
        if (!b->operand_n && !option)
            offer_commands(a, b->c->name);
        return;
    }
    if (b->wants) {
        offer_option_values(a, b->wants, b->operand_n ? b->operand[0] : NULL);
    } else if (o && joined && o->value && a->typed[1] == '-') {
        size_t n = strcspn(a->typed, "=") + 1;
        snprintf(a->lead, sizeof a->lead, "%.*s", (int)n, a->typed);
        a->typed += n;
        offer_option_values(a, o, b->operand_n ? b->operand[0] : NULL);
    } else if (option) {
        offer_options(a, b->c);
    } else if (b->c) {
        offer_operands(a, b);
    } else if (b->group) {
        offer_commands(a, b->group);
    } else {
        offer_commands(a, NULL);
        offer(a, "help", "show the commands, or what one takes");
    }
}

void tl_complete(const char *const *words, size_t n)
{
    before b = {.home = NULL};
    tl_why why;
    static asked a;
    a = (asked){.typed = n ? words[n - 1] : ""};
    for (size_t i = 0; i + 1 < n; i++)
        take_word(&b, words[i]);
    if (!tl_paths_find(b.home, &a.cli.paths, &why))
        answer(&a, &b);
}
