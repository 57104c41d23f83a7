/* cmd_completion.c - completion scripts, made from the tables of commands and of settings, so that
 * they offer exactly what this program knows. */
#include "cli/commands.h"
#include "config/config.h"

#include <string.h>

/* Prints the words that may come first. With `first`, prints the words that may follow it. */
static void print_words(const char *first, const char *between)
{
    size_t n = first ? strlen(first) : 0;
    const char *previous = "";
    size_t previous_n = 0;
    for (size_t i = 0; tl_command_at(i); i++) {
        const char *c = tl_command_at(i)->name;
        const char *word = first ? c + n + 1 : c;
        if (first && (strncmp(c, first, n) != 0 || c[n] != ' '))
            continue;
        size_t k = strcspn(word, " ");
        if (k != previous_n || strncmp(word, previous, k) != 0)
            printf("%.*s%s", (int)k, word, between);
        previous = word;
        previous_n = k;
    }
}

static void print_options(const tl_command *c, const char *between)
{
    const tl_option *tables[] = {c->options, tl_options_common, c->reads ? tl_options_json : NULL};
    for (size_t i = 0; i < 3 && tables[i]; i++)
        for (const tl_option *o = tables[i]; o->name; o++)
            printf("--%s%s", o->name, between);
}

static void print_keys(const char *between)
{
    for (size_t i = 0; tl_setting_at(i); i++)
        printf("%s%s", tl_setting_at(i)->key, between);
}

/* True for the commands whose operands are completed above. */
static bool has_own_words(const tl_command *c)
{
    return !strcmp(c->name, "completion") || !strcmp(c->name, "config get") ||
           !strcmp(c->name, "config set");
}

static void print_bash(void)
{
    printf("# bash completion for teale, printed by `teale completion bash`\n"
           "_teale()\n{\n"
           "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
           "    local i word one='' two='' words=''\n"
           "    COMPREPLY=()\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        word=\"${COMP_WORDS[i]}\"\n"
           "        if [[ $word == --home ]]; then ((i++)); continue; fi\n"
           "        if [[ $word == -* ]]; then continue; fi\n"
           "        if [[ -z $one ]]; then one=$word; elif [[ -z $two ]]; then two=$word; fi\n"
           "    done\n"
           "    case $prev in\n"
           "    --home) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
           "    --share-key-file|--log-file) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
           "    --log-level) COMPREPLY=($(compgen -W 'error warn info debug' -- \"$cur\")); return "
           ";;\n"
           "    esac\n"
           "    case \"$one $two\" in\n"
           "    ' ') words='help ");
    print_words(NULL, " ");
    printf("--home --help --version' ;;\n"
           "    'help '*) words='");
    print_words(NULL, " ");
    printf("' ;;\n"
           "    'completion '*) words='bash zsh fish --help' ;;\n"
           "    'config ') words='");
    print_words("config", " ");
    printf("--help' ;;\n"
           "    'config get'|'config set') words='");
    print_keys(" ");
    printf("--home --help --json' ;;\n");
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        if (c->passes_on || has_own_words(c))
            continue;
        bool two = strchr(c->name, ' ');
        printf("    '%s%s words='", c->name, two ? "')" : " '*)");
        print_options(c, " ");
        printf("' ;;\n");
    }
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -F _teale teale\n");
}

/* Prints a part of a single-quoted word of zsh or fish. Escapes the characters of `escape`. */
static void print_quoted(const char *text, const char *escape)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr(escape, *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void print_zsh(void)
{
    printf("#compdef teale\n"
           "# zsh completion for teale, printed by `teale completion zsh`\n"
           "_teale() {\n"
           "    local -a words_of=(${words:#-*})\n"
           "    local -a commands=(");
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        if (strchr(c->name, ' '))
            continue;
        printf("'%s:", c->name);
        print_quoted(c->summary, ":");
        printf("' ");
    }
    printf("'config:read and change settings' 'help:show help')\n"
           "    local -a keys=(");
    print_keys(" ");
    printf(")\n"
           "    if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
           "    case $words_of[2] in\n"
           "    config)\n"
           "        if (( CURRENT == 3 )); then compadd ");
    print_words("config", " ");
    printf("; else compadd -a keys; fi ;;\n"
           "    completion) compadd bash zsh fish ;;\n"
           "    help) _describe command commands ;;\n");
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        if (strchr(c->name, ' ') || c->passes_on || !strcmp(c->name, "completion"))
            continue;
        printf("    %s) compadd -- ", c->name);
        print_options(c, " ");
        printf(";;\n");
    }
    printf("    esac\n}\n_teale \"$@\"\n");
}

static void print_fish(void)
{
    printf("# fish completion for teale, printed by `teale completion fish`\n"
           "complete -c teale -f\n"
           "complete -c teale -n __fish_use_subcommand -l version -d 'show the version'\n"
           "complete -c teale -n __fish_use_subcommand -a config -d 'read and change settings'\n"
           "complete -c teale -n '__fish_seen_subcommand_from config' -a '");
    print_words("config", " ");
    print_keys(" ");
    printf("'\ncomplete -c teale -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n");
    for (size_t i = 0; tl_command_at(i); i++) {
        const tl_command *c = tl_command_at(i);
        const tl_option *tables[] = {c->options, tl_options_common,
                                     c->reads ? tl_options_json : NULL};
        if (strchr(c->name, ' '))
            continue;
        printf("complete -c teale -n __fish_use_subcommand -a %s -d '", c->name);
        print_quoted(c->summary, "\\");
        printf("'\n");
        for (size_t t = 0; t < 3 && tables[t] && !c->passes_on; t++)
            for (const tl_option *o = tables[t]; o->name; o++) {
                printf("complete -c teale -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
                       c->name, o->name, o->value ? " -x" : "");
                print_quoted(o->help, "\\");
                printf("'\n");
            }
    }
}

int tl_cmd_completion(tl_cli *cli, const tl_args *args)
{
    const char *shell = args->operand[0];
    if (!strcmp(shell, "bash"))
        print_bash();
    else if (!strcmp(shell, "zsh"))
        print_zsh();
    else if (!strcmp(shell, "fish"))
        print_fish();
    else
        return tl_cli_usage(cli, "completion exists for bash, zsh and fish");
    return TL_EXIT_OK;
}
