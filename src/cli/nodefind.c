#include "cli/nodefind.h"

#include "cli/verb.h"
#include "crypto/identity.h"

#define READ_TIME (10 * TL_SEC)

/* How many different IDs of the list begin so; copies one. */
static size_t match(const json_t *list, const char *typed, char ret_node[65])
{
    size_t fits = 0, i;
    const json_t *item;
    json_array_foreach (list, i, item) {
        const char *id = tl_json_string(item, "node_id", "");
        if (strlen(id) != TL_NODE_ID_HEX || strncmp(id, typed, strlen(typed)) != 0 ||
            (fits && !strcmp(id, ret_node)))
            continue;
        memcpy(ret_node, id, TL_NODE_ID_HEX + 1);
        fits++;
    }
    return fits;
}

static int explain(size_t fits, const char *typed)
{
    if (fits == 1)
        return TL_EXIT_OK;
    if (fits)
        tl_verb_refuse("E_AMBIGUOUS", "%zu nodes have IDs that begin with %s: give more digits",
                       fits, typed);
    else
        tl_verb_refuse("E_NOT_FOUND", "no known node has an ID that begins with %s", typed);
    return TL_EXIT_FAILED;
}

static int find_whole(const tl_cli *cli, const char *typed, char ret_node[65])
{
    tl_node_id key;
    if (tl_crypto_init() || tl_node_id_parse(tl_slice_str(typed), &key))
        return tl_cli_usage(cli, "%s is no node's key: a digit is mistyped", typed);
    memcpy(ret_node, typed, TL_NODE_ID_HEX + 1);
    return TL_EXIT_OK;
}

int tl_nodefind(const tl_cli *cli, const char *verb, json_t *args, const char *list,
                const char *typed, char ret_node[65])
{
    size_t n = strlen(typed);
    json_t *peers;
    tl_verb_result r;
    tl_verb ask = {.verb = verb, .args = args, .timeout = READ_TIME};
    if (strspn(typed, "0123456789abcdef") != n || n < 4 || n >= TL_NODE_ID_HEX) {
        json_decref(args);
        if (n == TL_NODE_ID_HEX)
            return find_whole(cli, typed, ret_node);
        return tl_cli_usage(cli, "a node is named by 4 to 64 lower-case hex digits of its ID");
    }
    int code = tl_verb_run(cli, &ask, &r);
    if (r.late)
        tl_verb_refuse("E_TIMEOUT", "the node has not answered in time");
    if (code)
        return code;
    size_t fits = match(json_object_get(r.value, list), typed, ret_node);
    json_decref(r.value);
    if (fits)
        return explain(fits, typed);
    code = tl_daemon_get(cli, "/control/peers", READ_TIME, &peers);
    if (code)
        return code;
    fits = match(json_object_get(peers, "peers"), typed, ret_node);
    json_decref(peers);
    return explain(fits, typed);
}
