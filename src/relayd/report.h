/* report.h - what the relay's operator reads: counters as Prometheus text, health and peers as JSON.
 * Writes text alone; never touches a socket. Each of these fails with TL_ERR_NOMEM alone, `out` as
 * it was. */
#ifndef TL_RELAYD_REPORT_H
#define TL_RELAYD_REPORT_H

#include "relay/relay.h"
#include "relay/stunserver.h"

/* `teale_relay_*`, the seeds' `tesseras_relay_*`, and with `stun` (else NULL)
 * `teale_relay_stun_*`. */
TL_CHECK tl_err tl_relayd_write_metrics(const tl_relay_counters *relay,
                                        const tl_stun_counters *stun, tl_buf *out);
/* {"ok":true,"peers":N} */
TL_CHECK tl_err tl_relayd_write_health(const tl_relay *relay, tl_buf *out);
/* {"peers":[{nodeID displayName connectedAt idleSeconds observed}]}, for the operator alone. */
TL_CHECK tl_err tl_relayd_write_peers(const tl_relay *relay, tl_time now, tl_buf *out);

#endif
