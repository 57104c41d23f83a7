#include "cli/nodefind.h"

#include "cli/verb.h"
#include "crypto/identity.h"

#include <ctype.h>

#define READ_TIME (10 * TL_SEC)

/* All 64 digits of an ID, whatever their case. */
static bool is_whole(const char *typed, char ret_node[65])
{
    size_t n = strlen(typed);
    if (n != TL_NODE_ID_HEX || strspn(typed, "0123456789abcdefABCDEF") != n)
        return false;
    for (size_t i = 0; i <= n; i++)
        ret_node[i] = (char)tolower((unsigned char)typed[i]);
    return true;
}

/* Takes the reference to `args`, which name what comes first. */
static int find(const tl_cli *cli, json_t *args, const char *typed, char ret_node[65])
{
    char node[65];
    tl_node_id key;
    tl_verb_result r;
    if (is_whole(typed, node)) {
        json_decref(args);
        if (tl_crypto_init() || tl_node_id_parse(tl_slice_str(node), &key))
            return tl_cli_usage(cli, "%s is no node's key: a digit is mistyped", typed);
        memcpy(ret_node, node, sizeof node);
        return TL_EXIT_OK;
    }
    if (!tl_utf8_is(tl_slice_str(typed)) || json_object_set_new(args, "peer", json_string(typed))) {
        json_decref(args);
        return tl_cli_usage(cli, "a peer's name is UTF-8 text");
    }
    tl_verb ask = {
        .verb = "peer.find", .args = args, .timeout = READ_TIME, .waits_for = "the node"};
    int code = tl_verb_run(cli, &ask, &r);
    if (r.late)
        tl_verb_refuse("E_TIMEOUT", "the node has not answered in time");
    const char *id = tl_json_string(r.value, "node_id", "");
    if (!code && strlen(id) != TL_NODE_ID_HEX) {
        tl_out_error("the daemon's answer is not understood");
        code = TL_EXIT_FAILED;
    }
    if (!code)
        memcpy(ret_node, id, TL_NODE_ID_HEX + 1);
    json_decref(r.value);
    return code;
}

static int find_and_tell(const tl_cli *cli, json_t *args, const char *typed, char ret_node[65])
{
    int code = find(cli, args, typed, ret_node);
    if (code == TL_EXIT_FAILED || (code == TL_EXIT_USAGE && strlen(typed) != TL_NODE_ID_HEX))
        tl_out_note(
            "`teale peers` lists the nodes that are known, `teale peers alias` their aliases.");
    return code;
}

int tl_nodefind(const tl_cli *cli, const char *typed, char ret_node[65])
{
    return find_and_tell(cli, json_object(), typed, ret_node);
}

int tl_nodefind_other(const tl_cli *cli, const char *typed, char ret_node[65])
{
    return find_and_tell(cli, json_pack("{s:b}", "other", 1), typed, ret_node);
}

int tl_nodefind_member(const tl_cli *cli, const char *net, const char *typed, char ret_node[65])
{
    return find(cli, json_pack("{s:s}", "net", net), typed, ret_node);
}

int tl_nodefind_account(const tl_cli *cli, const char *typed, char ret_node[65])
{
    return find(cli, json_pack("{s:b, s:b}", "ledger", 1, "other", 1), typed, ret_node);
}
