/* keychain.h - where a node's private key is: in the file wan-identity.key (io/seedfile), or in the
 * keychain of the user's session (io/secretask). Beside a key in the keychain lies a note, with the node ID
 * and no secret: by it a node knows that it has an identity while the keychain is locked or away, and
 * makes no new one. Moves the key from one to the other so that it is whole in one of them at any moment.
 * Blocks; for the time before a loop runs.
 *
 *   file        only the file
 *   keychain    only the note; the key is in the keychain
 *   both        a move was interrupted. The file counts. Where the note names another node, nothing counts
 *   none        */
#ifndef TL_IO_KEYCHAIN_H
#define TL_IO_KEYCHAIN_H

#include "io/secretask.h"
#include "io/seedfile.h"

typedef struct {
    const char *file;    /* wan-identity.key */
    const char *note;    /* wan-identity.keychain, in the same directory */
    const char *home;    /* the node's directory, which stands for it in the keychain */
    const char *program; /* as of tl_secret_ask; NULL: the one of this installation */
    bool prompt;         /* a person is there whom the keychain may ask for its password */
    tl_secret_wait wait;
} tl_keychain;

typedef enum { TL_KEY_NONE, TL_KEY_FILE, TL_KEY_KEYCHAIN, TL_KEY_BOTH } tl_key_place;
/* "none", "file", "keychain", "both". */
const char *tl_key_place_name(tl_key_place p);

/* Where the key is, by a look at the two files; asks no keychain. *ret_id is the node's, where there is
 * a key. TL_ERR_EXISTS: the file and the note are of different nodes. Others as tl_seedfile_load, of
 * either file. */
TL_CHECK tl_err tl_keychain_look(const tl_keychain *k, tl_key_place *ret_place, tl_node_id *ret_id,
                                 tl_why *why);

/* The key, wherever it is. *ret_outcome: what the keychain answered; OK where it was not asked.
 * TL_ERR_NOT_FOUND: there is none, or the keychain has lost it (the outcome is ABSENT then).
 * TL_ERR_AUTH: the keychain gave the key of another node. Others as tl_keychain_look and
 * tl_secret_explain. */
TL_CHECK tl_err tl_keychain_load(const tl_keychain *k, tl_identity *ret_identity,
                                 tl_key_place *ret_place, tl_secret_outcome *ret_outcome,
                                 tl_why *why);

/* Could a new key be kept in the keychain, now and without a question? */
void tl_keychain_probe(const tl_keychain *k, tl_secret_answer *ret_answer);
/* Makes a key where there is none, and keeps it in the keychain. Errors as tl_keychain_to_keychain. */
TL_CHECK tl_err tl_keychain_create(const tl_keychain *k, tl_rand *rand, tl_identity *ret_identity,
                                   tl_why *why);

/* Moves the key: writes it to its new place, reads it back and compares, syncs, and only then removes it
 * from the old. Goes on with a move that was interrupted. *ret_moved is false where there was nothing to
 * do. After any error the key is where it was, or in both places. TL_ERR_NOT_FOUND: there is no key.
 * TL_ERR_BUSY: another process moves it. TL_ERR_AUTH: what is read back is another key. Others as
 * tl_keychain_load. */
TL_CHECK tl_err tl_keychain_to_keychain(const tl_keychain *k, tl_node_id *ret_id, bool *ret_moved,
                                        tl_why *why);
TL_CHECK tl_err tl_keychain_to_file(const tl_keychain *k, tl_rand *rand, tl_node_id *ret_id,
                                    bool *ret_moved, tl_why *why);

/* The note's text, which ends with a newline. */
#define TL_KEYNOTE_HOME 32 /* hex digits that stand for the directory */
#define TL_KEYNOTE_SIZE (sizeof "teale-keychain 1 \n" - 1 + TL_NODE_ID_HEX + 1 + TL_KEYNOTE_HOME)
typedef struct {
    tl_node_id node;
    char home[TL_KEYNOTE_HOME + 1];
} tl_keynote;
void tl_keynote_write(const tl_keynote *note, char ret_text[TL_KEYNOTE_SIZE + 1]);
/* TL_ERR_PROTO: it is none. */
TL_CHECK tl_err tl_keynote_parse(tl_slice text, tl_keynote *ret_note);

#endif
