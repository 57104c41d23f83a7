#include "cli/showothers.h"

#include "base/json.h"
#include "cli/out.h"
#include "cli/words.h"

#include <stdio.h>
#include <string.h>

static int number(const json_t *o, const char *key)
{
    return (int)tl_json_number(o, key, 0);
}

void tl_show_relayed_by(const json_t *list)
{
    const json_t *by;
    size_t i;
    json_array_foreach (list, i, by) {
        char text[300], rtt[32] = "";
        double ms = tl_json_number(by, "rtt_ms", 0);
        if (ms > 0)
            snprintf(rtt, sizeof rtt, ", %.1f ms", ms);
        char name[TL_WORDS_NAMED_MAX];
        tl_words_named(name, by);
        snprintf(text, sizeof text, "node %.16s %s (%.60s%s)", tl_json_string(by, "node_id", ""),
                 name, tl_json_string(by, "address", ""), rtt);
        tl_out_line("relayed by", text);
    }
}

void tl_show_relaying(const json_t *r)
{
    const char *reason = tl_json_string(r, "reason", NULL), *remedy;
    if (!tl_json_bool(r, "enabled", false))
        return;
    remedy = tl_json_string(r, "remedy", "");
    printf("%srelaying:%s ", tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout));
    if (reason) {
        tl_out_plain("nat.relay_enabled, but ");
        tl_out_plain(reason);
        tl_out_plain(*remedy ? ": " : "");
        tl_out_plain(remedy);
        putchar('\n');
        return;
    }
    printf("for %s, %d of %d sessions at ", tl_json_string(r, "for", "?"), number(r, "sessions"),
           number(r, "sessions_max"));
    tl_out_plain(json_string_value(json_array_get(json_object_get(r, "addresses"), 0)));
    putchar('\n');
}

void tl_show_introducing(const json_t *i)
{
    const json_t *by;
    size_t k;
    char text[300], rtt[32];
    json_array_foreach (json_object_get(i, "by"), k, by) {
        double ms = tl_json_number(by, "rtt_ms", 0);
        rtt[0] = 0;
        if (ms > 0)
            snprintf(rtt, sizeof rtt, ", %.1f ms", ms);
        char name[TL_WORDS_NAMED_MAX];
        tl_words_named(name, by);
        snprintf(text, sizeof text, "node %.16s %s%s(%.60s%s)", tl_json_string(by, "node_id", ""),
                 name, *name ? " " : "", tl_json_string(by, "address", ""), rtt);
        tl_out_line("introduced by", text);
    }
    if (strcmp(tl_json_string(i, "state", "off"), "serving") != 0 || !number(i, "attached"))
        return;
    printf("%sintroducing:%s %d attached, %d introduced, at ", tl_out_colour(stdout, TL_COLOUR_DIM),
           tl_out_end(stdout), number(i, "attached"), number(i, "introduced"));
    tl_out_plain(json_string_value(json_array_get(json_object_get(i, "addresses"), 0)));
    putchar('\n');
}

void tl_show_lan(const json_t *lan)
{
    const char *by = tl_json_string(lan, "discovery", "off");
    double nodes = tl_json_number(lan, "nodes", 0);
    if (!strcmp(by, "off") || !strcmp(by, "failed"))
        tl_out_line("lan", strcmp(by, "off") ? "failed: teale doctor" : "off");
    else
        printf("%slan:%s %.0f node%s announced, found by %s\n",
               tl_out_colour(stdout, TL_COLOUR_DIM), tl_out_end(stdout), nodes,
               nodes == 1 ? " is" : "s are", by);
}

void tl_show_announced(tl_table *t, const json_t *node, bool whole, bool aliases)
{
    char id[65];
    snprintf(id, sizeof id, "%.*s", whole ? 64 : 16, tl_json_string(node, "node_id", ""));
    tl_table_add(t, id);
    if (aliases)
        tl_words_add_alias(t, node);
    tl_table_add(t, tl_json_string(node, "name", ""));
    tl_table_add(t, "announced");
    tl_table_add(t, "-");
    tl_table_add(t, "-");
    tl_table_add(t, tl_json_string(node, "address", "-"));
    tl_table_add(t, "-");
    tl_table_add(t, "-");
}
