/* service.h - the keychain of the user's session, by libsecret. Blocks until the keychain has answered:
 * whoever runs this program bounds that. Looks at the environment for the bus; starts no bus. */
#ifndef TL_SECRETS_SERVICE_H
#define TL_SECRETS_SERVICE_H

#include "io/secretask.h"

/* Does what is asked and fills *ret_answer. */
void tl_service_run(const tl_secret_request *request, tl_secret_answer *ret_answer);

#endif
