/* signed.h - the signatures of control datagrams (wire/control): Ed25519 with the purpose of the
 * type, over the map without `sig`. Keeps no state; whether a datagram is fresh, new or allowed is
 * for others to say. */
#ifndef TL_RELAY_SIGNED_H
#define TL_RELAY_SIGNED_H

#include "crypto/sign.h"
#include "wire/control.h"

/* Sets c->sig; everything else of a type that has one must be in place. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_control_sign(tl_control *c, const tl_identity *signer);
/* TL_ERR_AUTH: `signer` did not sign it, or the type is one that nobody signs. TL_ERR_NOMEM. */
TL_CHECK tl_err tl_control_verify(const tl_control *c, const tl_node_id *signer);

#endif
