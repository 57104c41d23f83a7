/* service.h - the node's unit of systemd, the system's or a user's own: is it there, does it run; enables, starts and
 * stops it by `systemctl` and `loginctl`. Never touches the node's files. */
#ifndef TL_CLI_SERVICE_H
#define TL_CLI_SERVICE_H

#include "base/err.h"

#include <stdbool.h>

/* Whose manager: root asks the system's, anyone else their own. */
typedef struct {
    bool system;
} tl_service;

tl_service tl_service_of_caller(void);

/* TL_ERR_UNREACHABLE: systemd does not run here, or this user has no manager that answers. TL_ERR_NOT_FOUND: it has no
 * unit teale.service. */
TL_CHECK tl_err tl_service_find(tl_service s, tl_why *why);
bool tl_service_is_active(tl_service s);
bool tl_service_is_enabled(tl_service s);
/* `systemctl VERB teale.service`, to its end: a start waits until the node is ready, a stop until it has drained.
 * TL_ERR_IO, with what systemctl said. */
TL_CHECK tl_err tl_service_do(const char *verb, tl_service s, tl_why *why);

/* True if the manager of this user starts with the machine, without a login: no keychain is open then. */
bool tl_service_lingers(void);
/* TL_ERR_FORBIDDEN: only an administrator may, with what loginctl said. Waits until the manager runs. */
TL_CHECK tl_err tl_service_linger(bool on, tl_why *why);

/* Makes the user and the directory of the system's node where they are not there. TL_ERR_NOT_FOUND: the package's
 * files for that are not installed. TL_ERR_FORBIDDEN: an account of that name has another home, so it is somebody's. */
TL_CHECK tl_err tl_service_make_user(const char *user, const char *home, tl_why *why);

#endif
