/* commands.h - the function of each command. The tables in commands.c and commands_networks.c hold
 * names, options and help. */
#ifndef TL_CLI_COMMANDS_H
#define TL_CLI_COMMANDS_H

#include "cli/cli.h"

int tl_cmd_up(tl_cli *cli, const tl_args *args);
int tl_cmd_down(tl_cli *cli, const tl_args *args);
int tl_cmd_restart(tl_cli *cli, const tl_args *args);
int tl_cmd_serve(tl_cli *cli, const tl_args *args);
int tl_cmd_status(tl_cli *cli, const tl_args *args);
int tl_cmd_peers(tl_cli *cli, const tl_args *args);
int tl_cmd_alias(tl_cli *cli, const tl_args *args);
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
int tl_cmd_dht_get(tl_cli *cli, const tl_args *args);
int tl_cmd_relay_status(tl_cli *cli, const tl_args *args);
int tl_cmd_relay(tl_cli *cli, const tl_args *args);
int tl_cmd_backup_create(tl_cli *cli, const tl_args *args);
int tl_cmd_backup_status(tl_cli *cli, const tl_args *args);
int tl_cmd_backup_drop(tl_cli *cli, const tl_args *args);
int tl_cmd_backup_takeover(tl_cli *cli, const tl_args *args);
int tl_cmd_backup_restore(tl_cli *cli, const tl_args *args);
int tl_cmd_key_where(tl_cli *cli, const tl_args *args);
int tl_cmd_key_move(tl_cli *cli, const tl_args *args);
int tl_cmd_key_export(tl_cli *cli, const tl_args *args);
int tl_cmd_completion(tl_cli *cli, const tl_args *args);

int tl_cmd_ptn_list(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_show(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_create(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_rename(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_members(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_revoke(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_promote(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_renew(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_leave(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_price(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_key(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_hide(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_export(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_import(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_invite(tl_cli *cli, const tl_args *args);
int tl_cmd_ptn_invites(tl_cli *cli, const tl_args *args);
int tl_cmd_join(tl_cli *cli, const tl_args *args);
int tl_cmd_wallet(tl_cli *cli, const tl_args *args);
int tl_cmd_wallet_history(tl_cli *cli, const tl_args *args);
int tl_cmd_wallet_audit(tl_cli *cli, const tl_args *args);
int tl_cmd_wallet_settle(tl_cli *cli, const tl_args *args);
int tl_cmd_pause(tl_cli *cli, const tl_args *args);
int tl_cmd_resume(tl_cli *cli, const tl_args *args);

/* commands_networks.c: private networks, wallet, pause. */
extern const tl_command tl_commands_of_networks[];
extern const size_t tl_commands_of_networks_n;

#endif
