/* cmd_config.c - `teale config`: works on the settings file, whether the daemon runs or not. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "config/config_change.h"

static int fail(tl_err e, const tl_why *why)
{
    tl_out_error("%s", why->text);
    return tl_cli_exit_of(e);
}

/* {"key": ..., "value": ...} */
static int print_one(const tl_settings *s, const char *key)
{
    json_t *one = json_pack("{s:s, s:o}", "key", key, "value", tl_setting_json(s, key));
    if (one)
        tl_out_json(one);
    json_decref(one);
    return one ? TL_EXIT_OK : TL_EXIT_FAILED;
}

int tl_cmd_config_get(tl_cli *cli, const tl_args *args)
{
    tl_settings s;
    tl_why why;
    tl_buf text = {0};
    tl_err e = tl_settings_load(cli->paths.config, &s, &why);
    if (!e)
        e = tl_settings_get(&s, args->operand[0], &text, &why);
    if (e)
        return fail(e, &why);
    int code = TL_EXIT_OK;
    if (cli->json) {
        code = print_one(&s, args->operand[0]);
    } else {
        tl_slice t = tl_buf_slice(&text);
        tl_out_text(stdout, t, false);
        putchar('\n');
    }
    tl_buf_clear(&text);
    return code;
}

/* Says what the new value means, where that is easily missed. */
static void tell_meaning(const tl_cli *cli, const char *key, const tl_settings *s)
{
    if (!strcmp(key, "legacy_plaintext") && s->legacy_plaintext)
        tl_out_note("legacy_plaintext is true: questions and answers exchanged with nodes of the "
                    "old protocol pass in clear; the relay can read and change them");
    if (!strcmp(key, "share_models") && s->share_models.n)
        tl_daemon_tell_missing(cli);
}

/* Says itself what the running node said. */
static tl_err take(void *user, const char *key, tl_why *why)
{
    if (tl_daemon_setting_changed(user, key))
        return TL_OK;
    return tl_why_set(why, TL_ERR_FORBIDDEN, "Not saved: %s is as it was.", key);
}

int tl_cmd_config_set(tl_cli *cli, const tl_args *args)
{
    const char *key = args->operand[0], *text = args->operand[1];
    tl_settings s = tl_settings_default();
    tl_why why;
    tl_err e = tl_settings_set(&s, key, text, &why);
    if (!e)
        e = tl_paths_make_config(&cli->paths, &why);
    if (!e)
        e = tl_settings_change(cli->paths.config, key, text, take, cli, &why);
    if (e == TL_ERR_FORBIDDEN) {
        tl_out_note("%s", why.text);
        return TL_EXIT_FAILED;
    }
    if (e)
        return fail(e, &why);
    tell_meaning(cli, key, &s);
    return TL_EXIT_OK;
}

int tl_cmd_config_list(tl_cli *cli, const tl_args *args)
{
    tl_settings s;
    tl_why why;
    (void)args;
    tl_err e = tl_settings_load(cli->paths.config, &s, &why);
    if (e)
        return fail(e, &why);
    if (cli->json) {
        json_t *all = tl_settings_json(&s);
        if (!all)
            return TL_EXIT_FAILED;
        tl_out_json(all);
        json_decref(all);
        return TL_EXIT_OK;
    }
    static const char *const heads[] = {"KEY", "VALUE", NULL};
    tl_table t;
    tl_table_begin(&t, heads);
    for (size_t i = 0; tl_setting_at(i); i++) {
        tl_buf text = {0};
        if (tl_settings_show(&s, tl_setting_at(i)->key, &text, &why) ||
            tl_buf_append(&text, tl_slice_of("", 1)))
            return TL_EXIT_FAILED;
        tl_table_add(&t, tl_setting_at(i)->key);
        tl_table_add(&t, (const char *)tl_buf_begin(&text));
        tl_buf_clear(&text);
    }
    return tl_table_end(&t) ? TL_EXIT_FAILED : TL_EXIT_OK;
}

int tl_cmd_config_path(tl_cli *cli, const tl_args *args)
{
    (void)args;
    if (!cli->json) {
        puts(cli->paths.config);
        return TL_EXIT_OK;
    }
    json_t *one = json_pack("{s:s}", "path", cli->paths.config);
    if (one)
        tl_out_json(one);
    json_decref(one);
    return one ? TL_EXIT_OK : TL_EXIT_FAILED;
}
