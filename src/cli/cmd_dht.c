/* cmd_dht.c - `teale dht get`: what a node says of itself in the DHT. */
#include "cli/commands.h"
#include "cli/nodefind.h"
#include "cli/verb.h"

#define READ_TIME                                                                                  \
    (30 * TL_SEC) /* a look takes less than a second where the DHT answers; silence 15 s */

static void print_list(const char *name, const json_t *list)
{
    const json_t *item;
    size_t i;
    json_array_foreach (list, i, item)
        tl_out_line(name, json_string_value(item));
}

static void print_record(const json_t *answer)
{
    const json_t *record = json_object_get(answer, "record"), *by;
    char text[200];
    size_t i;
    tl_out_line("node", tl_json_string(answer, "node_id", ""));
    tl_out_line("nat", tl_json_string(record, "nat", ""));
    print_list("address", json_object_get(record, "addresses"));
    json_array_foreach (json_object_get(record, "introducers"), i, by) {
        snprintf(text, sizeof text, "%.64s at %.60s", tl_json_string(by, "node_id", ""),
                 tl_json_string(by, "address", ""));
        tl_out_line("introducer", text);
    }
    print_list("relay", json_object_get(record, "relays"));
    snprintf(text, sizeof text, "%lld", (long long)tl_json_number(answer, "seq", 0));
    tl_out_line("sequence", text);
    tl_out_line("target", tl_json_string(answer, "target", ""));
}

int tl_cmd_dht_get(tl_cli *cli, const tl_args *args)
{
    char node[65];
    json_t *answer;
    int code = tl_nodefind(cli, args->operand[0], node);
    if (code)
        return code;
    code =
        tl_verb_do(cli, args, "dht.get", json_pack("{s:s}", "node_id", node), READ_TIME, &answer);
    if (answer && cli->json)
        tl_out_json(answer);
    else if (answer)
        print_record(answer);
    json_decref(answer);
    return code;
}
