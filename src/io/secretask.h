/* secretask.h - asks the keychain of the user's session (the Secret Service of GNOME Keyring, KWallet,
 * KeePassXC) for one secret. Another program, teale-keychain, does the work, and is killed when it takes
 * too long: GLib with its threads and signals, a bus that hangs and whatever a keychain answers stay out
 * of this process. Blocks, so it is for the time before a loop runs. Never opens a bus itself. */
#ifndef TL_IO_SECRETASK_H
#define TL_IO_SECRETASK_H

#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>

#define TL_SECRET_SIZE 32 /* bytes of the secret */
#define TL_SECRET_HEX  (2 * TL_SECRET_SIZE)
#define TL_SECRET_NAME 64 /* bytes of an attribute */

#define TL_SECRET_QUIET_TIME  (10 * TL_SEC) /* a keychain that the bus must start first takes 1 s */
#define TL_SECRET_PROMPT_TIME (120 * TL_SEC) /* a person types a password */

typedef enum {
    TL_SECRET_PROBE,  /* could an item be stored now? */
    TL_SECRET_LOOKUP, /* gives the secret */
    TL_SECRET_STORE,  /* replaces an item of the same attributes */
    TL_SECRET_ERASE,  /* OK where there was none, too */
} tl_secret_op;

/* What the keychain is asked. Every text ends with NUL. */
typedef struct {
    tl_secret_op op;
    bool prompt;                    /* the keychain may ask the person for its password */
    char node[TL_SECRET_NAME + 1];  /* attributes: the node ID in hex, */
    char home[TL_SECRET_NAME + 1];  /* and what stands for the directory of the node's files */
    char label[128];                /* STORE: what a person sees in the keychain */
    char secret[TL_SECRET_HEX + 1]; /* STORE: lower-case hex */
} tl_secret_request;

typedef enum {
    TL_SECRET_OK,
    TL_SECRET_ABSENT,        /* LOOKUP: the keychain is open and has no such item */
    TL_SECRET_NO_BUS,        /* no session bus, or nothing answers there */
    TL_SECRET_NO_SERVICE,    /* a bus without a keychain */
    TL_SECRET_NOT_OURS,      /* the bus is another user's */
    TL_SECRET_LOCKED,        /* and nobody was asked to unlock it */
    TL_SECRET_DISMISSED,     /* a person was asked, and did not unlock it */
    TL_SECRET_NO_COLLECTION, /* it keeps nothing beyond the session */
    TL_SECRET_GARBAGE,       /* what it gave is none of our secrets, or breaks its protocol */
    TL_SECRET_FAILED,        /* another failure; `text` is the keychain's word for it */
    TL_SECRET_HUNG,          /* no answer in time */
    TL_SECRET_NO_HELPER,     /* teale-keychain cannot be run */
    TL_SECRET_BROKEN,        /* teale-keychain ended without an answer */
} tl_secret_outcome;

typedef struct {
    tl_secret_outcome outcome;
    char secret[TL_SECRET_HEX + 1]; /* LOOKUP: lower-case hex */
    char text[200];                 /* more about a failure; other people's words, made safe */
} tl_secret_answer;

/* What goes to teale-keychain, and comes back: both are one program cut in two, so these are plain memory.
 * The mark changes with the structs, so that two versions refuse each other. */
#define TL_SECRET_MARK "TLSECR1"
typedef struct {
    char mark[8];
    tl_secret_request request;
} tl_secret_question;
typedef struct {
    char mark[8];
    tl_secret_answer answer;
} tl_secret_reply;

/* Called about each TL_SECRET_TICK while the keychain is waited for; NULL: not wanted. */
#define TL_SECRET_TICK (200 * TL_MS)
typedef struct {
    void (*on_tick)(void *user, tl_time waited);
    void *user;
} tl_secret_wait;

/* Asks, and waits `within` at most. `program` NULL: teale-keychain beside this program, or where it was
 * installed. Fills *ret_answer in any case, which the caller wipes. */
void tl_secret_ask(const char *program, const tl_secret_request *request, tl_time within,
                   const tl_secret_wait *wait, tl_secret_answer *ret_answer);

/* Says in `why` what an outcome other than OK means, and what to do. TL_ERR_NOT_FOUND: ABSENT.
 * TL_ERR_UNREACHABLE: there is no keychain. TL_ERR_FORBIDDEN: it is locked, or another user's.
 * TL_ERR_TIMEOUT: HUNG. TL_ERR_PROTO: GARBAGE. TL_ERR_IO: the others. */
TL_CHECK tl_err tl_secret_explain(const tl_secret_answer *answer, tl_why *why);
/* "locked", "no bus", ...; static storage. */
const char *tl_secret_outcome_name(tl_secret_outcome o);
/* Could it pass by itself, when the person logs in or the keychain is unlocked? */
bool tl_secret_may_pass(tl_secret_outcome o);

#endif
