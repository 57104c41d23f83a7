#include "cli/nattext.h"

#include <stdarg.h>
#include <stdio.h>

static void append(char *text, const char *fmt, ...) TL_PRINTF(2, 3);
static void append(char *text, const char *fmt, ...)
{
    size_t used = strlen(text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + used, TL_NATTEXT_MAX - used, fmt, ap);
    va_end(ap);
}

static bool is_state(const json_t *nat, const char *state)
{
    return strcmp(tl_json_string(nat, "state", "off"), state) == 0;
}

bool tl_nattext_is_settled(const json_t *nat)
{
    bool typed = strcmp(tl_json_string(nat, "type", "unknown"), "unknown") != 0;
    return is_state(nat, "known") ? typed : !is_state(nat, "asking");
}

static bool is_open(const json_t *nat)
{
    return strcmp(tl_json_string(nat, "mapping", ""), "none") == 0;
}

/* The type alone would be "fullCone": so it is for peers. */
const char *tl_nattext_type(const json_t *nat)
{
    return is_open(nat) ? "no NAT" : tl_json_string(nat, "type", "unknown");
}

static void unanswered(const json_t *nat, char *text)
{
    append(text, "0 of %d STUN servers answered: offline, or UDP is blocked",
           (int)tl_json_number(nat, "stun_asked", 0));
}

static void blocked(const json_t *nat, char *text)
{
    append(text, "E_UDP_BLOCKED: 0 of %d STUN servers answered; relayed only",
           (int)tl_json_number(nat, "stun_asked", 0));
}

void tl_nattext_step(const json_t *nat, char ret_text[TL_NATTEXT_MAX])
{
    const char *by = tl_json_string(nat, "mapped_by", NULL);
    ret_text[0] = 0;
    if (is_state(nat, "off")) {
        append(ret_text, "no UDP port, relayed only. See: teale doctor");
        return;
    }
    if (is_state(nat, "blocked")) {
        blocked(nat, ret_text);
        append(ret_text, ". Allow outgoing UDP, or go on relayed. See: teale doctor");
        return;
    }
    if (is_state(nat, "unanswered")) {
        unanswered(nat, ret_text);
        append(ret_text, ". See: teale doctor");
        return;
    }
    if (is_state(nat, "asking"))
        append(ret_text, "UDP port %d, no STUN server has answered yet (teale netcheck)",
               (int)tl_json_number(nat, "port", 0));
    else
        append(ret_text, "%.40s%s, %.60s", tl_nattext_type(nat), is_open(nat) ? "" : " NAT",
               tl_json_string(nat, "public", "address not known"));
    if (by)
        append(ret_text, "; %.20s mapping yes", by);
    else if (!is_open(nat))
        append(ret_text, "; port mapping no");
    append(ret_text, "; IPv6 %s", tl_json_string(nat, "ipv6", NULL) ? "yes" : "no");
}

void tl_nattext_status(const json_t *nat, char ret_text[TL_NATTEXT_MAX])
{
    const char *public = tl_json_string(nat, "public", NULL);
    const char *by = tl_json_string(nat, "mapped_by", NULL);
    ret_text[0] = 0;
    append(ret_text, "%.40s", tl_nattext_type(nat));
    if (is_state(nat, "off")) {
        append(ret_text, ", no UDP port: relayed only");
        return;
    }
    if (is_state(nat, "blocked")) {
        append(ret_text, ", ");
        blocked(nat, ret_text);
        return;
    }
    if (is_state(nat, "unanswered")) {
        append(ret_text, ", ");
        unanswered(nat, ret_text);
        return;
    }
    if (is_state(nat, "asking")) {
        append(ret_text, ", no STUN server has answered yet");
        return;
    }
    if (!is_open(nat))
        append(ret_text, ", mapping %.40s", tl_json_string(nat, "mapping", "unknown"));
    append(ret_text, ", filtering %.40s", tl_json_string(nat, "filtering", "unknown"));
    if (public)
        append(ret_text, ", public %.60s", public);
    if (by)
        append(ret_text, ", mapped by %.20s to %.60s", by, tl_json_string(nat, "mapped", "?"));
    else if (!is_open(nat))
        append(ret_text, ", no port mapping");
    append(ret_text, ", IPv6 %.60s", tl_json_string(nat, "ipv6", "no"));
}
