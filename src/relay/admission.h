/* admission.h - decides whether a register message proves that its sender holds the node's key, now
 * and for this relay (docs/protocol.md "Registering"). Keeps no state. */
#ifndef TL_RELAY_ADMISSION_H
#define TL_RELAY_ADMISSION_H

#include "crypto/identity.h"
#include "relay/relay.h"
#include "wire/signalread.h"

/* `nonce` is the hex of the challenge that was sent on this socket. `local` is the address on which
 * the socket was accepted. TL_ERR_PROTO: the node ID is not hex. TL_ERR_AUTH: the key is of small
 * order, or the proof is missing or does not verify. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_relay_admit(const tl_relay_config *config, const tl_addr *local, bool tls,
                               const char *nonce, const tl_signal_register *registration,
                               tl_node_id *ret_id);

#endif
