#include "cli/verb.h"

#include <stdarg.h>
#include <stdlib.h>

/* One line, whatever the sentence holds. */
static void print_refusal(const char *code, const char *sentence)
{
    char *line = strdup(sentence);
    for (char *p = line; p && *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    tl_out_error("%s: %s", code, line ? line : sentence);
    free(line);
}

void tl_verb_refuse(const char *code, const char *fmt, ...)
{
    char *sentence;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&sentence, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    print_refusal(code, sentence);
    free(sentence);
}

/* The node's refusal tells its exit code. False: it is no such answer. */
static bool explain_refusal(const tl_daemon_answer *a, int *ret_code)
{
    json_t *body = NULL;
    if (a->e || a->status < 400 || tl_json_parse(tl_buf_slice(&a->body), 16, &body, NULL))
        return false;
    const json_t *error = json_object_get(body, "error");
    double code = tl_json_number(error, "exit", 0);
    bool is = code >= TL_EXIT_FAILED && code <= TL_EXIT_TIMEOUT;
    if (is) {
        print_refusal(tl_json_string(error, "code", "E_FAILED"),
                      tl_json_string(error, "message", "the node did not say why"));
        *ret_code = (int)code;
    }
    json_decref(body);
    return is;
}

int tl_verb_run(const tl_cli *cli, const tl_verb *verb, tl_verb_result *ret)
{
    json_t *body = json_pack("{s:s, s:o}", "verb", verb->verb, "args", verb->args);
    tl_daemon_answer a;
    tl_why why;
    int code = TL_EXIT_OK;
    *ret = (tl_verb_result){.value = NULL};
    if (!body) {
        tl_out_error("out of memory");
        return TL_EXIT_FAILED;
    }
    tl_daemon_run(cli,
                  &(tl_daemon_ask){.method = "POST",
                                   .path = "/control/do",
                                   .body = body,
                                   .timeout = verb->timeout,
                                   .interruptible = verb->interruptible,
                                   .on_tick = verb->on_tick,
                                   .waits_for = verb->waits_for},
                  NULL, verb->user, &a);
    json_decref(body);
    ret->interrupted = a.interrupted;
    ret->late = a.interrupted || a.e == TL_ERR_TIMEOUT;
    if (ret->late)
        code = TL_EXIT_TIMEOUT;
    else if (!explain_refusal(&a, &code))
        code = tl_daemon_explain(cli, &a);
    if (!code && tl_json_parse(tl_buf_slice(&a.body), 64, &ret->value, &why)) {
        ret->value = NULL;
        tl_out_error("the daemon's answer is not understood: %s", why.text);
        code = TL_EXIT_FAILED;
    }
    tl_daemon_answer_clear(&a);
    return code;
}

/* What the node does, or asks, before it answers. */
static const char *waits_for(const char *verb)
{
    static const char *const words[][2] = {{"dht.get", "the DHT"},
                                           {"ptn.export_ca", "the key to be sealed"},
                                           {"ptn.import_ca", "the key to be opened"},
                                           {"ptn.renew", "an admin"},
                                           {"ptn.promote", "the member"},
                                           {"backup.drop", "the holders of the backup"},
                                           {"wallet.settle", "the peer"},
                                           {"wallet.audit", "the audit of the ledger"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(verb, words[i][0]))
            return words[i][1];
    return "the node";
}

int tl_verb_do(const tl_cli *cli, const tl_args *args, const char *verb, json_t *verb_args,
               tl_time within, json_t **ret)
{
    tl_verb_result r;
    tl_verb v = {.verb = verb, .args = verb_args, .waits_for = waits_for(verb)};
    *ret = NULL;
    if (!tl_daemon_timeout(cli, args, within, &v.timeout)) {
        json_decref(verb_args);
        return TL_EXIT_USAGE;
    }
    int code = tl_verb_run(cli, &v, &r);
    if (r.late)
        tl_verb_refuse("E_TIMEOUT", "the node has not answered in time; what was begun may go on. "
                                    "Look again, or give it more time: --timeout");
    *ret = r.value;
    return code;
}
