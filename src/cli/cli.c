#include "cli/cli.h"

#include "base/log.h"
#include "base/suggest.h"
#include "cli/owner.h"
#include "io/coredump.h"

#include <errno.h>
#include <stdarg.h>

#define GROUP_MAX 6 /* commands with one first word that `teale help` shows one by one */

const tl_option tl_options_common[] = {
    {"home", 0, "DIR", "keep every file in DIR (also: TEALE_HOME)"},
    {"help", 'h', NULL, "show this help"},
    {NULL, 0, NULL, NULL},
};

const tl_option tl_options_json[] = {
    {"json", 0, NULL, "answer with one JSON object"},
    {NULL, 0, NULL, NULL},
};

static const tl_option before_command[] = {
    {"version", 'V', NULL, "show the version"},
    {NULL, 0, NULL, NULL},
};

int tl_cli_exit_of(tl_err e)
{
    switch (e) {
    case TL_OK: return TL_EXIT_OK;
    case TL_ERR_INVALID:
    case TL_ERR_PROTO:
    case TL_ERR_NOT_FOUND: return TL_EXIT_USAGE;
    case TL_ERR_UNREACHABLE: return TL_EXIT_UNREACHABLE;
    case TL_ERR_AUTH:
    case TL_ERR_FORBIDDEN: return TL_EXIT_DENIED;
    case TL_ERR_TIMEOUT: return TL_EXIT_TIMEOUT;
    default: return TL_EXIT_FAILED;
    }
}

int tl_cli_usage(const tl_cli *cli, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tl_out_error("%s", text);
    if (cli && cli->command)
        tl_out_note("See: teale %s --help", cli->command->name);
    else
        tl_out_note("See: teale help");
    return TL_EXIT_USAGE;
}

/* Words in lines of up to 80 columns, behind an option. */
static void print_wrapped(FILE *f, const char *words)
{
    enum { LEFT = 27, COLUMNS = 80 };
    while (strlen(words) > COLUMNS - LEFT) {
        size_t n = COLUMNS - LEFT;
        while (n > 0 && words[n] != ' ')
            n--;
        if (n == 0)
            break; /* one word that is longer than a line */
        fprintf(f, "%.*s\n%*s", (int)n, words, LEFT, "");
        words += n + 1;
    }
    fprintf(f, "%s\n", words);
}

static void print_options(FILE *f, const tl_option *table)
{
    for (const tl_option *o = table; o->name; o++) {
        char left[64];
        int n = o->letter ? snprintf(left, sizeof left, "-%c, ", o->letter) : 0;
        snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        fprintf(f, "  %-24s ", left);
        print_wrapped(f, o->help);
    }
}

static void print_command_help(const tl_command *c)
{
    printf("Usage: teale %s%s%s%s\n\n%s\n", c->name, c->options->name ? " [OPTION]..." : "",
           *c->operands ? " " : "", c->operands, c->summary);
    if (*c->details)
        printf("\n%s\n", c->details);
    if (c->passes_on)
        return;
    printf("\nOptions:\n");
    print_options(stdout, c->options);
    if (c->reads)
        print_options(stdout, tl_options_json);
    print_options(stdout, tl_options_common);
}

/* How many commands begin with the first word of this one. */
static size_t group_size(const tl_command *c)
{
    size_t n = strcspn(c->name, " "), size = 0;
    for (size_t i = 0; tl_command_at(i); i++)
        size += !strncmp(tl_command_at(i)->name, c->name, n + 1);
    return c->name[n] ? size : 1;
}

/* A large group has one line, with the second words of its commands. */
static void print_group(FILE *f, const tl_command *c)
{
    size_t n = strcspn(c->name, " "), left = 0;
    fprintf(f, "  %.*s COMMAND%*s", (int)n, c->name, (int)(19 - n), "");
    for (size_t i = 0; tl_command_at(i); i++) {
        const char *name = tl_command_at(i)->name;
        if (strncmp(name, c->name, n + 1) != 0)
            continue;
        if (left > 60) {
            fprintf(f, ",\n%29s", "");
            left = 0;
        }
        left += (size_t)fprintf(f, "%s%s", left ? ", " : "", name + n + 1);
    }
    fprintf(f, "\n");
}

static void print_help(FILE *f)
{
    fprintf(f, "Usage: teale [--home DIR] COMMAND [OPTION]...\n\n"
               "Private AI inference between your own machines.\n\nCommands:\n");
    size_t skip = 0;
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        char left[64];
        size_t size = group_size(c);
        if (skip) {
            skip--;
        } else if (size > GROUP_MAX) {
            print_group(f, c);
            skip = size - 1;
        } else {
            snprintf(left, sizeof left, "%s %s", c->name, c->operands);
            fprintf(f, "  %-26s %s\n", left, c->summary);
        }
    }
    fprintf(f,
            "\n`teale help COMMAND` tells more. Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon not\n"
            "running, 4 peer or relay unreachable, 5 denied, 6 timed out.\n");
}

/* How many words of argv name the command `c`: two for "config set"; 0: argv names another. */
static size_t match(const tl_command *c, int argc, char *const *argv)
{
    char two[64];
    if (!strcmp(c->name, argv[0]))
        return 1;
    if (argc < 2)
        return 0;
    snprintf(two, sizeof two, "%.30s %.30s", argv[0], argv[1]);
    return strcmp(c->name, two) ? 0 : 2;
}

static const tl_command *find(int argc, char *const *argv, size_t *ret_words)
{
    const tl_command *found = NULL;
    *ret_words = 0;
    for (size_t i = 0; tl_command_at(i); i++) {
        size_t n = match(tl_command_at(i), argc, argv);
        if (n > *ret_words) {
            *ret_words = n;
            found = tl_command_at(i);
        }
    }
    return found;
}

/* True if `name` is the first word of two-word commands. Offers their second words. */
static bool offer_below(const char *name, tl_suggest *s)
{
    bool any = false;
    size_t n = strlen(name);
    for (size_t i = 0; tl_command_at(i); i++) {
        const char *c = tl_command_at(i)->name;
        if (!strncmp(c, name, n) && c[n] == ' ') {
            any = true;
            if (s)
                tl_suggest_offer_as(s, c + n + 1, c);
        }
    }
    return any;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* Shows the commands whose first word is `name`, such as `teale config`: on stdout if the user
 * `asked` for help, else as a usage error. */
static int show_below(const char *name, bool asked)
{
    size_t n = strlen(name);
    FILE *f = asked ? stdout : stderr;
    fprintf(f, "Usage:\n");
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        char left[64];
        snprintf(left, sizeof left, "%s %s", c->name, c->operands);
        if (!strncmp(c->name, name, n) && c->name[n] == ' ')
            fprintf(f, "  teale %-26s %s\n", left, c->summary);
    }
    return asked ? TL_EXIT_OK : TL_EXIT_USAGE;
}

/* What other programs call it. NULL: no such word is known. */
static const char *meant_by(const char *word)
{
    static const char *const words[][2] = {{"start", "teale up"},
                                           {"stop", "teale down"},
                                           {"ask", "teale chat"},
                                           {"run", "teale chat"},
                                           {"list", "teale models"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i][0], word))
            return words[i][1];
    return NULL;
}

static int unknown_command(int argc, char *const *argv)
{
    char given[128];
    tl_suggest s;
    if (meant_by(argv[0]))
        return tl_cli_usage(NULL, "unknown command \"%s\"; did you mean `%s`?", argv[0],
                            meant_by(argv[0]));
    if (offer_below(argv[0], NULL)) {
        if (argc < 2 || argv[1][0] == '-')
            return show_below(argv[0], argc >= 2 && is_help(argv[1]));
        snprintf(given, sizeof given, "%.30s %.60s", argv[0], argv[1]);
        s = tl_suggest_begin(argv[1]);
        offer_below(argv[0], &s);
    } else {
        snprintf(given, sizeof given, "%.90s", argv[0]);
        s = tl_suggest_begin(argv[0]);
        tl_suggest_offer(&s, "help");
        for (size_t i = 0; tl_command_at(i); i++) {
            const char *c = tl_command_at(i)->name;
            char first[32];
            snprintf(first, sizeof first, "%.*s", (int)strcspn(c, " "), c);
            tl_suggest_offer_as(&s, first, c);
        }
    }
    tl_safe safe = tl_log_safe(tl_slice_str(given));
    if (!s.best)
        return tl_cli_usage(NULL, "unknown command \"%s\"", safe.text);
    /* Suggests as many words as were wrong: "config" for "conifg", not "config get". */
    int n = strchr(given, ' ') ? (int)strlen(s.best) : (int)strcspn(s.best, " ");
    return tl_cli_usage(NULL, "unknown command \"%s\"; did you mean \"%.*s\"?", safe.text, n,
                        s.best);
}

static int run_help(int argc, char *const *argv)
{
    size_t words;
    bool again = argc > 0 && is_help(argv[0]);
    if (argc > 0 && argv[0][0] == '-' && !again) {
        tl_safe safe = tl_log_safe(tl_slice_str(argv[0]));
        return tl_cli_usage(NULL, "teale help takes a command, and not %s", safe.text);
    }
    if (argc == 0 || again) {
        print_help(stdout);
        return TL_EXIT_OK;
    }
    const tl_command *c = find(argc, argv, &words);
    if (!c && argc == 1 && offer_below(argv[0], NULL))
        return show_below(argv[0], true);
    if (!c)
        return unknown_command(argc, argv);
    print_command_help(c);
    return TL_EXIT_OK;
}

static int run_command(tl_cli *cli, const char *home, int argc, char *const *argv)
{
    size_t words;
    const tl_command *c = find(argc, argv, &words);
    if (!c)
        return unknown_command(argc, argv);
    cli->command = c;
    argc -= (int)words;
    argv += words;
    const tl_option *const tables[] = {c->options, tl_options_common,
                                       c->reads ? tl_options_json : NULL, NULL};
    tl_args args = {.option_n = 0};
    tl_why why;
    if (c->passes_on) {
        for (; argc > 0 && args.operand_n < TL_ARGS_MAX; argc--)
            args.operand[args.operand_n++] = *argv++;
    } else if (tl_args_parse(argc, argv, tables, &args, &why)) {
        return tl_cli_usage(cli, "%s", why.text);
    }
    if (tl_args_has(&args, "help")) {
        print_command_help(c);
        return TL_EXIT_OK;
    }
    if (args.operand_n < c->operand_min)
        return tl_cli_usage(cli, "teale %s wants %s", c->name, c->operands);
    if (args.operand_n > c->operand_max) {
        tl_safe safe = tl_log_safe(tl_slice_str(args.operand[c->operand_max]));
        return tl_cli_usage(cli, "teale %s does not take \"%s\"", c->name, safe.text);
    }
    cli->json = tl_args_has(&args, "json");
    if (cli->json)
        tl_progress_silence();
    const char *own_home = tl_args_value(&args, "home");
    if ((own_home && !*own_home) ||
        (home && !*home)) /* of a variable that is not set, in a script */
        return tl_cli_usage(cli, "--home names no directory");
    if (tl_paths_find(own_home ? own_home : home, &cli->paths, &why))
        return tl_cli_usage(cli, "%s", why.text);
    if (!c->passes_on && *cli->paths.home && tl_owner_become(cli->paths.home, &why)) {
        tl_out_error("%s", why.text);
        return TL_EXIT_FAILED;
    }
    tl_coredump_forbid(); /* every command may hold questions, answers or keys */
    return c->run(cli, &args);
}

/* If stdout is closed or its disk is full, the answer was lost: that is a failure. */
static int flushed(int code)
{
    if (fflush(stdout) || ferror(stdout)) {
        tl_out_error("cannot write to standard output: %s", strerror(errno));
        return code ? code : TL_EXIT_FAILED;
    }
    return code;
}

int tl_cli_main(int argc, char **argv)
{
    static tl_cli cli;
    tl_out_init();
    /* The options before the command: up to the first word that is not the value of --home. */
    int n = 1;
    while (n < argc && argv[n][0] == '-' && argv[n][1])
        n += !strcmp(argv[n], "--home") ? 2 : 1;
    if (n > argc)
        n = argc;
    const tl_option *const tables[] = {before_command, tl_options_common, NULL};
    tl_args args;
    tl_why why;
    if (tl_args_parse(n - 1, argv + 1, tables, &args, &why))
        return tl_cli_usage(NULL, "%s", why.text);
    if (tl_args_has(&args, "version")) {
        printf("teale %s\n", TL_VERSION);
        return flushed(TL_EXIT_OK);
    }
    if (tl_args_has(&args, "help"))
        return flushed(run_help(argc - n, argv + n));
    if (n == argc) {
        print_help(stderr);
        return TL_EXIT_USAGE;
    }
    if (!strcmp(argv[n], "help"))
        return flushed(run_help(argc - n - 1, argv + n + 1));
    return flushed(run_command(&cli, tl_args_value(&args, "home"), argc - n, argv + n));
}
