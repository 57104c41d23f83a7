#include "node/sharing.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

const char *tl_sharing_state_name(tl_sharing_state s)
{
    static const char *const names[] = {[TL_SHARING_OFF] = "off",
                                        [TL_SHARING_STARTING] = "starting",
                                        [TL_SHARING_ON] = "on",
                                        [TL_SHARING_NOBODY] = "nobody",
                                        [TL_SHARING_NOTHING] = "nothing"};
    return names[s];
}

static void because(tl_sharing *s, tl_sharing_state state, const char *reason, const char *fmt, ...)
    TL_PRINTF(4, 5);
static void because(tl_sharing *s, tl_sharing_state state, const char *reason, const char *fmt, ...)
{
    va_list ap;
    s->state = state;
    s->reason = reason;
    va_start(ap, fmt);
    vsnprintf(s->cause, sizeof s->cause, fmt, ap);
    va_end(ap);
}

static void remedy(tl_sharing *s, const char *fmt, ...) TL_PRINTF(2, 3);
static void remedy(tl_sharing *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->remedy, sizeof s->remedy, fmt, ap);
    va_end(ap);
}

static void judge_trouble(const tl_sharing_facts *f, tl_sharing *s)
{
    static const char *const reasons[] = {[TL_BACKEND_NO_TROUBLE] = "",
                                          [TL_BACKEND_SILENT] = "silent",
                                          [TL_BACKEND_WANTS_KEY] = "wants_key",
                                          [TL_BACKEND_KEY_REFUSED] = "key_refused",
                                          [TL_BACKEND_NOT_ONE] = "no_model_server",
                                          [TL_BACKEND_NONE_FOUND] = "none_found",
                                          [TL_BACKEND_FOUND_LOCKED] = "found_locked"};
    because(s, TL_SHARING_NOTHING, reasons[f->trouble], "%s", f->error);
    switch (f->trouble) {
    case TL_BACKEND_NO_TROUBLE:
        s->state = TL_SHARING_STARTING;
        s->cause[0] = 0;
        break;
    case TL_BACKEND_SILENT:
        remedy(s, "Start the model server, or name its right URL: --share URL (setting share).");
        break;
    case TL_BACKEND_WANTS_KEY:
        remedy(s, "Write its key into a file, and name that: --share-key-file FILE (setting "
                  "backend_key_file).");
        break;
    case TL_BACKEND_KEY_REFUSED:
        remedy(s, "Write the right key into %s; the node reads it again by itself.", f->key_file);
        break;
    case TL_BACKEND_NOT_ONE:
        remedy(s, "Name the URL of a server that speaks the OpenAI API, such as "
                  "http://127.0.0.1:11434: --share URL (setting share).");
        break;
    case TL_BACKEND_NONE_FOUND:
        remedy(s, "Start one (Ollama, llama-server, vLLM, LM Studio), or name its URL: --share URL "
                  "(setting share).");
        break;
    case TL_BACKEND_FOUND_LOCKED:
        remedy(s,
               "Name it with its key: --share %s --share-key-file FILE (settings share and "
               "backend_key_file).",
               f->locked);
        break;
    }
}

static void judge_models(const tl_sharing_facts *f, tl_sharing *s)
{
    if (!f->models) {
        because(s, TL_SHARING_NOTHING, "no_model", "the model server at %s has no model", f->url);
        remedy(s, "Load one there, as with: ollama pull qwen3:8b");
    } else if (!f->models_shared) {
        tl_safe missing = tl_log_safe(tl_slice_str(f->missing));
        tl_safe has = tl_log_safe(tl_slice_str(f->a_model));
        because(s, TL_SHARING_NOTHING, "model_missing",
                "the model server at %s does not serve \"%s\"", f->url, missing.text);
        remedy(s,
               "It serves \"%s\"%s. Correct --model (setting share_models), or leave it out to "
               "share all.",
               has.text, f->models > 1 ? " and others" : "");
    }
}

static void judge_reach(const tl_sharing_facts *f, tl_sharing *s)
{
    if (f->members_only && !f->in_network) {
        because(s, TL_SHARING_NOBODY, "no_network",
                "only members of this node's private networks may ask, and it is in none");
        remedy(s,
               "Make one: teale ptn create family && teale ptn invite family. Or leave --private "
               "out (setting share_with = \"public\") to serve anyone on the relay.");
    } else if (f->members_only && !f->serves) {
        because(s, TL_SHARING_NOBODY, "consumer",
                "only members of this node's private networks may ask, and there it is a consumer, "
                "which serves nobody");
        remedy(s,
               "Ask an admin to make it a provider, by a new invite: teale ptn invite NET --role "
               "provider");
    } else if (!f->wan_enabled && !f->lan_on) {
        because(s, TL_SHARING_NOBODY, "no_relay", "no relay is used, so only this machine can ask");
        remedy(s, "Name a relay that the other machines use, too: --relay URL (settings "
                  "wan_relay_url and wan_enabled). Machines on the same local network need none: "
                  "teale config set lan_enabled true.");
    }
}

void tl_sharing_judge(const tl_sharing_facts *f, tl_sharing *ret_sharing)
{
    tl_sharing s = {.state = TL_SHARING_ON, .reason = ""};
    if (!f->share[0])
        s.state = TL_SHARING_OFF;
    else if (f->backend != TL_BACKEND_UP)
        judge_trouble(f, &s);
    else
        judge_models(f, &s);
    if (s.state == TL_SHARING_ON)
        judge_reach(f, &s);
    *ret_sharing = s;
}
