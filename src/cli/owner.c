#include "cli/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

tl_err tl_owner_become(const char *dir, tl_why *why)
{
    struct stat st;
    if (geteuid() != 0 || lstat(dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid == 0)
        return TL_OK;
    const struct passwd *pw = getpwuid(st.st_uid);
    gid_t group = pw ? pw->pw_gid : st.st_gid;
    int rc = pw ? initgroups(pw->pw_name, group) : setgroups(0, NULL);
    if (rc || setresgid(group, group, group) || setresuid(st.st_uid, st.st_uid, st.st_uid))
        return tl_why_set(why, TL_ERR_IO, "cannot become user %ld, to whom %s belongs: %s",
                          (long)st.st_uid, dir, strerror(errno));
    return TL_OK;
}
