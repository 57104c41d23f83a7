/* check.h - `teale-relay check`: tries what the relay would need with these options, and says of each
 * thing whether it works, and if not, why and what to do. Changes nothing that lasts. */
#ifndef TL_RELAYD_CHECK_H
#define TL_RELAYD_CHECK_H

#include "relayd/options.h"

/* Prints one line for each thing, `OK   ...`, `WARN ...` or `FAIL ...`, to standard output. True: none
 * is a FAIL. It may run beside a relay with the same options. */
bool tl_relayd_check(const tl_relayd_options *options);

#endif
