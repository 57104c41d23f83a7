/* limitoptions.h - what an operator may set about the limits of nodes (docs/relay.md): --limits and
 * its values. Touches no file. */
#ifndef TL_RELAYD_LIMITOPTIONS_H
#define TL_RELAYD_LIMITOPTIONS_H

#include "relay/relay.h"

#define TL_RELAYD_RECIPROCAL_MAX 1024 /* friends of one operator */

typedef enum {
    TL_RELAYD_LIMITS_ON,
    TL_RELAYD_LIMITS_MAX_SESSIONS,
    TL_RELAYD_LIMITS_RECIPROCAL_KBPS,
    TL_RELAYD_LIMITS_BOOTSTRAP_KBPS,
    TL_RELAYD_LIMITS_IDLE_TIMEOUT,
    TL_RELAYD_LIMITS_SESSION_MAX,
    TL_RELAYD_LIMITS_SESSION_WARN,
    TL_RELAYD_LIMITS_PAUSE,
    TL_RELAYD_LIMITS_BURST,
    TL_RELAYD_LIMITS_RECIPROCAL, /* may be repeated */
} tl_relayd_limit_setting;

/* TL_ERR_INVALID with `why`; TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relayd_limits_set(tl_relay_limits *l, tl_relayd_limit_setting what,
                                     const char *text, tl_why *why);
/* What can be told only when all settings are known. TL_ERR_INVALID with `why`. */
TL_CHECK tl_err tl_relayd_limits_finish(const tl_relay_limits *l, tl_why *why);
void tl_relayd_limits_clear(tl_relay_limits *l);

#endif
