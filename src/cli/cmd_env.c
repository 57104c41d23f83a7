/* cmd_env.c - `teale env`: what an OpenAI client needs, and the owner's key. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/verb.h"

#include <string.h>

#define READ_TIME (10 * TL_SEC) /* these answers come from memory */

/* Puts the value in single quotes if a shell needs them. */
static void print_export(const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/._-[]";
    printf("export %s=", name);
    if (!value[strspn(value, plain)]) {
        puts(value);
        return;
    }
    putchar('\'');
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*value);
    puts("'");
}

/* Puts the key of the network that --ptn names into the answer. */
static int scope(const tl_cli *cli, const tl_args *args, json_t *env)
{
    const char *net = tl_args_value(args, "ptn");
    json_t *key;
    if (!net)
        return TL_EXIT_OK;
    int code = tl_verb_do(cli, args, "ptn.key", json_pack("{s:s}", "net", net), READ_TIME, &key);
    if (!code && json_object_set(env, "api_key", json_object_get(key, "key")))
        code = TL_EXIT_FAILED;
    json_decref(key);
    return code;
}

/* Prints the key that the page asks for. Takes the reference. */
static int show_owner_key(const tl_cli *cli, json_t *env)
{
    const char *key = tl_json_string(env, "owner_key", "");
    if (!*key) { /* a program of before is still running */
        json_decref(env);
        tl_out_error("the node that runs has no key of its owner. Start it anew: teale restart");
        return TL_EXIT_FAILED;
    }
    json_t *shown = cli->json ? json_pack("{s:s}", "owner_key", key) : NULL;
    if (shown)
        tl_out_json(shown);
    else
        puts(key);
    json_decref(shown);
    json_decref(env);
    return TL_EXIT_OK;
}

int tl_cmd_env(tl_cli *cli, const tl_args *args)
{
    json_t *env;
    tl_time timeout;
    if (!tl_daemon_timeout(cli, args, READ_TIME, &timeout))
        return TL_EXIT_USAGE;
    bool owner = tl_args_has(args, "owner");
    if (owner && tl_args_value(args, "ptn"))
        return tl_cli_usage(cli, "--owner and --ptn name two keys: choose one");
    int code = tl_daemon_get(cli, "/control/env", timeout, &env);
    if (!code && owner)
        return show_owner_key(cli, env);
    if (!code)
        code = scope(cli, args, env);
    if (!code)
        json_object_del(env, "owner_key");
    if (code || cli->json) {
        if (!code)
            tl_out_json(env);
        json_decref(env);
        return code;
    }
    print_export("OPENAI_BASE_URL", tl_json_string(env, "base_url", ""));
    print_export("OPENAI_API_KEY", tl_json_string(env, "api_key", ""));
    json_decref(env);
    return TL_EXIT_OK;
}
