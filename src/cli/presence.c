#include "cli/presence.h"

#include "cli/daemon.h"
#include "cli/lock.h"

#define ANSWER_WITHIN (5 * TL_SEC) /* the status comes from memory */

tl_presence tl_presence_look(const tl_cli *cli, json_t **ret_status)
{
    tl_daemon_answer a;
    tl_daemon_ask ask = {.method = "GET", .path = "/control/status", .timeout = ANSWER_WITHIN};
    *ret_status = NULL;
    tl_daemon_run(cli, &ask, NULL, NULL, &a);
    bool answered =
        !a.e && a.status == 200 && !tl_json_parse(tl_buf_slice(&a.body), 16, ret_status, NULL);
    tl_daemon_answer_clear(&a);
    if (!answered)
        return a.e != TL_ERR_UNREACHABLE || tl_lock_is_taken(cli->paths.lock) ? TL_PRESENCE_MUTE
                                                                              : TL_PRESENCE_NONE;
    return tl_json_bool(*ret_status, "stopping", false) ? TL_PRESENCE_STOPPING
                                                        : TL_PRESENCE_RUNNING;
}
