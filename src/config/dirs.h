/* dirs.h - where a node keeps its files: in one directory, given by `--home DIR` or TEALE_HOME, or
 * else in the XDG directories. Looks at the environment and makes directories; opens no file. */
#ifndef TL_CONFIG_DIRS_H
#define TL_CONFIG_DIRS_H

#include "base/err.h"

#define TL_PATH_MAX 1024

typedef struct {
    char home[TL_PATH_MAX];      /* "" when the XDG directories are used */
    char config[TL_PATH_MAX];    /* teale.toml */
    char data[TL_PATH_MAX];      /* the directory of the next eight files */
    char key[TL_PATH_MAX];       /* wan-identity.key */
    char key_note[TL_PATH_MAX];  /* wan-identity.keychain: the key is in the session's keychain */
    char api_key[TL_PATH_MAX];   /* api-key: what programs that ask send */
    char owner_key[TL_PATH_MAX]; /* owner-key: what the owner's page sends */
    char db[TL_PATH_MAX];        /* teale.db; teale.db-wal and teale.db.mark beside it */
    char port[TL_PATH_MAX];      /* udp-port: the port, kept over restarts */
    char lock[TL_PATH_MAX];      /* held by the running daemon */
    char log[TL_PATH_MAX];       /* the log of a daemon in the background */
    char socket[TL_PATH_MAX];    /* teale.sock; short enough for the address of a socket */
    /* A second teale.sock beside the data, when the first is in XDG_RUNTIME_DIR: there a command
     * finds the node that has another XDG_RUNTIME_DIR or none (cron, su, a session that ended). ""
     * when there is only one, or this one would be too long. */
    char socket_beside[TL_PATH_MAX];
} tl_paths;

/* `home` is the value of --home, or NULL. Makes relative names absolute. TL_ERR_INVALID: HOME is
 * not set, or a name is too long (the address of a socket holds 107 bytes). */
TL_CHECK tl_err tl_paths_find(const char *home, tl_paths *ret_paths, tl_why *why);

/* Makes the directory of the configuration file with mode 0700, and the directories above it.
 * TL_ERR_IO. */
TL_CHECK tl_err tl_paths_make_config(const tl_paths *p, tl_why *why);
/* Makes the directories of the data and of the sockets in the same manner. Refuses a socket
 * directory to which others may write, because a user who can replace the socket reads the
 * questions. TL_ERR_IO, TL_ERR_FORBIDDEN. */
TL_CHECK tl_err tl_paths_make_data(const tl_paths *p, tl_why *why);

#endif
