/* cmd_pause.c - `teale pause` and `teale resume`: the owner takes the machine back from others. */
#include "cli/commands.h"
#include "cli/verb.h"
#include "cli/words.h"

#define READ_TIME (10 * TL_SEC)

int tl_cmd_pause(tl_cli *cli, const tl_args *args)
{
    const char *span = tl_args_value(args, "for");
    json_t *wish = json_object(), *done;
    char text[TL_WORDS_MAX];
    int64_t secs;
    if (span && tl_span_parse(tl_slice_str(span), &secs)) {
        json_decref(wish);
        return tl_cli_usage(cli, "--for is a time such as 30m, 2h or 7d");
    }
    if ((span && json_object_set_new(wish, "for_s", json_integer(secs))) ||
        (tl_args_has(args, "now") && json_object_set_new(wish, "now", json_true()))) {
        json_decref(wish);
        return TL_EXIT_FAILED;
    }
    int code = tl_verb_do(cli, args, "pause", wish, READ_TIME, &done);
    if (done && cli->json) {
        tl_out_json(done);
    } else if (done) {
        tl_words_time(text, done, "until", "with: teale resume");
        printf("paused: others are not served; it ends %s\n", text);
    }
    json_decref(done);
    return code;
}

int tl_cmd_resume(tl_cli *cli, const tl_args *args)
{
    json_t *done;
    int code = tl_verb_do(cli, args, "resume", json_object(), READ_TIME, &done);
    if (done && cli->json)
        tl_out_json(done);
    else if (done)
        puts("others are served again, as the settings say");
    json_decref(done);
    return code;
}
