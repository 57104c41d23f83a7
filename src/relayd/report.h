/* report.h - what the relay's operator reads: counters as Prometheus text, health and peers as
 * JSON. Only writes text; never touches a socket. The only error of these functions is
 * TL_ERR_NOMEM; then `out` is as before. */
#ifndef TL_RELAYD_REPORT_H
#define TL_RELAYD_REPORT_H

#include "relay/relay.h"
#include "relay/stunserver.h"
#include "relayd/view.h"

/* `teale_relay_*`; `tesseras_relay_*`, which other programs read; and, if `stun` is not NULL,
 * `teale_relay_stun_*`. */
TL_CHECK tl_err tl_relayd_write_metrics(const tl_relay_counters *relay,
                                        const tl_tokens_counters *datagrams,
                                        const tl_stun_counters *stun, tl_buf *out);
/* {"ok":true,"peers":N} */
TL_CHECK tl_err tl_relayd_write_health(const tl_relayd_view *v, tl_buf *out);
/* The metrics of its cluster; appends nothing if it stands alone. */
TL_CHECK tl_err tl_relayd_write_cluster(const tl_relayd_view *v, tl_buf *out);
/* {nodeID displayName connectedAt idleSeconds observed} of each node here, with commas, also before
 * the first if `out` is not empty; only the operator may see it. */
TL_CHECK tl_err tl_relayd_write_peers(const tl_relay *relay, tl_time now, tl_buf *out);

#endif
