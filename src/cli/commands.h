/* commands.h - the function of each command. The table in commands.c holds names, options and
 * help. */
#ifndef TL_CLI_COMMANDS_H
#define TL_CLI_COMMANDS_H

#include "cli/cli.h"

int tl_cmd_up(tl_cli *cli, const tl_args *args);
int tl_cmd_down(tl_cli *cli, const tl_args *args);
int tl_cmd_serve(tl_cli *cli, const tl_args *args);
int tl_cmd_status(tl_cli *cli, const tl_args *args);
int tl_cmd_peers(tl_cli *cli, const tl_args *args);
int tl_cmd_models(tl_cli *cli, const tl_args *args);
int tl_cmd_env(tl_cli *cli, const tl_args *args);
int tl_cmd_chat(tl_cli *cli, const tl_args *args);
int tl_cmd_ping(tl_cli *cli, const tl_args *args);
int tl_cmd_netcheck(tl_cli *cli, const tl_args *args);
int tl_cmd_doctor(tl_cli *cli, const tl_args *args);
int tl_cmd_why(tl_cli *cli, const tl_args *args);
int tl_cmd_watch(tl_cli *cli, const tl_args *args);
int tl_cmd_bugreport(tl_cli *cli, const tl_args *args);
int tl_cmd_config_get(tl_cli *cli, const tl_args *args);
int tl_cmd_config_set(tl_cli *cli, const tl_args *args);
int tl_cmd_config_list(tl_cli *cli, const tl_args *args);
int tl_cmd_config_path(tl_cli *cli, const tl_args *args);
int tl_cmd_relay(tl_cli *cli, const tl_args *args);
int tl_cmd_completion(tl_cli *cli, const tl_args *args);

#endif
