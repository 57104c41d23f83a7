/* cmd_completion.c - completion scripts. They are the same for every command: each asks this
 * program (`teale completion words -- WORD...`) what may come next. */
#include "cli/commands.h"
#include "cli/complete.h"

#include <string.h>

/* In bash a word that contains `:`, `=` or `@` is several words to the line editor: only the part behind
 * the last of them is replaced. Candidates never go through an expansion. */
static const char bash[] =
    "# bash completion for teale, printed by `teale completion bash`\n"
    "_teale()\n"
    "{\n"
    "    local line=${COMP_LINE:0:COMP_POINT} breaks=${COMP_WORDBREAKS//[^:=@]}\n"
    "    local cur prefix='' path='' word file head=''\n"
    "    local -a words\n"
    "    COMPREPLY=()\n"
    "    read -ra words <<<\"$line\"\n"
    "    if [[ $line == *[[:space:]] ]]; then words+=(''); fi\n"
    "    cur=${words[${#words[@]}-1]}\n"
    "    if [[ -n $breaks && $cur == *[\"$breaks\"]* ]]; then\n"
    "        prefix=${cur%\"${cur##*[\"$breaks\"]}\"}\n"
    "    fi\n"
    "    while IFS=$'\\t' read -r word _; do\n"
    "        case $word in\n"
    "        :files) path=-f ;;\n"
    "        :dirs) path=-d ;;\n"
    "        \"$cur\"*) COMPREPLY+=(\"${word#\"$prefix\"}\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[0]/#\\~/$HOME}\" completion words -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    if [[ -n $path ]]; then\n"
    "        compopt -o filenames 2>/dev/null || :\n"
    "        file=$cur\n"
    "        if [[ $cur == --*=* ]]; then file=${cur#*=}; fi\n"
    "        if [[ -n $breaks && $file == *[\"$breaks\"]* ]]; then\n"
    "            head=${file%\"${file##*[\"$breaks\"]}\"}\n"
    "        fi\n"
    "        mapfile -t COMPREPLY < <(compgen $path -- \"$file\")\n"
    "        COMPREPLY=(\"${COMPREPLY[@]#\"$head\"}\")\n"
    "    fi\n"
    "}\n"
    "complete -F _teale teale\n";

static const char zsh[] =
    "#compdef teale\n"
    "# zsh completion for teale, printed by `teale completion zsh`\n"
    "_teale() {\n"
    "    local line word\n"
    "    local -a values shown\n"
    "    local out=\"$(${~words[1]} completion words -- \"${(@Q)words[2,CURRENT-1]}\" "
    "\"$PREFIX\" 2>/dev/null)\"\n"
    "    for line in \"${(@f)out}\"; do\n"
    "        word=${line%%$'\\t'*}\n"
    "        case $word in\n"
    "        '') ;;\n"
    "        :files) _files; return ;;\n"
    "        :dirs) _files -/; return ;;\n"
    "        *) values+=(\"$word\"); shown+=(\"${word}${line#\"$word\"}\") ;;\n"
    "        esac\n"
    "    done\n"
    "    shown=(\"${(@)shown//$'\\t'/  }\")\n"
    "    compadd -l -d shown -- \"${values[@]}\"\n"
    "}\n"
    "if [[ $funcstack[1] == _teale ]]; then _teale \"$@\"; else compdef _teale teale; fi\n";

static const char fish[] = "# fish completion for teale, printed by `teale completion fish`\n"
                           "function __teale_words\n"
                           "    set -l words (commandline -opc)\n"
                           "    set -l current (commandline -ct)\n"
                           "    for line in (command $words[1] completion words -- $words[2..-1] "
                           "\"$current\" 2>/dev/null)\n"
                           "        switch $line\n"
                           "            case ':files'\n"
                           "                __fish_complete_path \"$current\"\n"
                           "            case ':dirs'\n"
                           "                __fish_complete_directories \"$current\"\n"
                           "            case '*'\n"
                           "                echo $line\n"
                           "        end\n"
                           "    end\n"
                           "end\n"
                           "complete -c teale -f -a '(__teale_words)'\n";

int tl_cmd_completion(tl_cli *cli, const tl_args *args)
{
    const char *shell = args->operand[0];
    if (!strcmp(shell, "words")) {
        tl_complete(args->operand + 1, args->operand_n - 1);
        return TL_EXIT_OK;
    }
    if (args->operand_n > 1)
        return tl_cli_usage(cli, "completion takes one shell: bash, zsh or fish");
    if (!strcmp(shell, "bash"))
        fputs(bash, stdout);
    else if (!strcmp(shell, "zsh"))
        fputs(zsh, stdout);
    else if (!strcmp(shell, "fish"))
        fputs(fish, stdout);
    else
        return tl_cli_usage(cli, "completion exists for bash, zsh and fish");
    return TL_EXIT_OK;
}
