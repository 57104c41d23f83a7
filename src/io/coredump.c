#include "io/coredump.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void tl_coredump_forbid(void)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
        tl_log(TL_LOG_WARN, "core dumps cannot be switched off: %s", strerror(errno));
}
