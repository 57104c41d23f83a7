/* cmd_alias.c - `teale peers alias`: what this node's owner calls other nodes. */
#include "cli/commands.h"
#include "cli/nodefind.h"
#include "cli/verb.h"
#include "cli/words.h"

#define READ_TIME (10 * TL_SEC)

static int print_aliases(const json_t *aliases)
{
    static const char *const heads[] = {"ALIAS", "NAME", "NODE", NULL};
    const json_t *one;
    tl_table t;
    size_t i;
    if (!json_array_size(aliases)) {
        tl_out_note("no node has an alias yet: teale peers alias PEER NAME");
        return TL_EXIT_OK;
    }
    tl_table_begin(&t, heads);
    json_array_foreach (aliases, i, one) {
        tl_table_add(&t, tl_json_string(one, "alias", ""));
        tl_table_add(&t, tl_json_string(one, "name", ""));
        tl_table_add(&t, tl_json_string(one, "node_id", ""));
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

static int list(const tl_cli *cli, const tl_args *args)
{
    json_t *all;
    int code = tl_verb_do(cli, args, "alias.list", json_object(), READ_TIME, &all);
    if (all && cli->json)
        tl_out_json(all);
    else if (all)
        code = print_aliases(json_object_get(all, "aliases"));
    json_decref(all);
    return code;
}

/* Takes the reference to `wish`. */
static int change(const tl_cli *cli, const tl_args *args, const char *verb, json_t *wish)
{
    json_t *now;
    int code = tl_verb_do(cli, args, verb, wish, READ_TIME, &now);
    const char *alias = tl_json_string(now, "alias", NULL);
    if (now && cli->json)
        tl_out_json(now);
    else if (now && alias)
        printf("%.16s is %s from now on\n", tl_json_string(now, "node_id", ""), alias);
    else if (now)
        printf("%.16s has no alias any more\n", tl_json_string(now, "node_id", ""));
    json_decref(now);
    return code;
}

int tl_cmd_alias(tl_cli *cli, const tl_args *args)
{
    const char *gone = tl_args_value(args, "remove");
    if (gone && args->operand_n)
        return tl_cli_usage(cli, "--remove takes one peer, and no other argument");
    if (gone)
        return change(cli, args, "alias.remove", json_pack("{s:s}", "peer", gone));
    if (!args->operand_n)
        return list(cli, args);
    if (args->operand_n == 1)
        return tl_cli_usage(cli, "an alias is given so: teale peers alias PEER NAME");
    return change(cli, args, "alias.set",
                  json_pack("{s:s, s:s}", "peer", args->operand[0], "alias", args->operand[1]));
}
