#include "io/keychain.h"

#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_HEAD "teale-keychain 1 "

const char *tl_key_place_name(tl_key_place p)
{
    static const char *const names[] = {"none", "file", "keychain", "both"};
    return names[p];
}

/* --- the note --- */

void tl_keynote_write(const tl_keynote *note, char ret_text[TL_KEYNOTE_SIZE + 1])
{
    char hex[TL_NODE_ID_HEX + 1];
    tl_node_id_write(hex, &note->node);
    snprintf(ret_text, TL_KEYNOTE_SIZE + 1, NOTE_HEAD "%s %s\n", hex, note->home);
}

tl_err tl_keynote_parse(tl_slice text, tl_keynote *ret_note)
{
    enum { HEAD = sizeof NOTE_HEAD - 1, HOME = HEAD + TL_NODE_ID_HEX + 1 };
    tl_keynote note;
    uint8_t bytes[TL_KEYNOTE_HOME / 2];
    if (text.n != TL_KEYNOTE_SIZE || memcmp(text.p, NOTE_HEAD, HEAD) != 0 ||
        text.p[HOME - 1] != ' ' || text.p[TL_KEYNOTE_SIZE - 1] != '\n' ||
        tl_node_id_parse(tl_slice_of(text.p + HEAD, TL_NODE_ID_HEX), &note.node) ||
        tl_hex_parse(tl_slice_of(text.p + HOME, TL_KEYNOTE_HOME), false, bytes, sizeof bytes))
        return TL_ERR_PROTO;
    tl_hex_write(note.home, bytes, sizeof bytes);
    *ret_note = note;
    return TL_OK;
}

static tl_err read_note(const tl_keychain *k, tl_keynote *ret_note, tl_why *why)
{
    char text[TL_KEYNOTE_SIZE + 1]; /* one more: a longer file is none */
    struct stat st;
    int fd = open(k->note, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return tl_why_set(why, TL_ERR_NOT_FOUND, "%s does not exist", k->note);
    if (fd < 0)
        return tl_why_file(why, "read", k->note, errno);
    if (!fstat(fd, &st) && st.st_uid != geteuid() && st.st_uid != 0) {
        close(fd);
        return tl_why_set(why, TL_ERR_FORBIDDEN,
                          "%s belongs to user %u, not to user %u, who runs this program: use "
                          "another --home",
                          k->note, (unsigned)st.st_uid, (unsigned)geteuid());
    }
    ssize_t n = read(fd, text, sizeof text);
    int error = errno;
    close(fd);
    if (n < 0)
        return tl_why_file(why, "read", k->note, error);
    if (tl_keynote_parse(tl_slice_of(text, (size_t)n), ret_note))
        return tl_why_set(why, TL_ERR_PROTO,
                          "%s is not understood: it names the key in the keychain. Restore it "
                          "from a backup; to begin as a new node, move it and the database away",
                          k->note);
    return TL_OK;
}

/* Makes what was done in the node's directory last. */
static tl_err sync_home(const tl_keychain *k, tl_why *why)
{
    return tl_disk_sync_above(k->note)
               ? TL_OK
               : tl_why_file(why, "write into the directory of", k->note, errno);
}

static tl_err save_note(const tl_keychain *k, const tl_keynote *note, tl_why *why)
{
    char text[TL_KEYNOTE_SIZE + 1], temp[PATH_MAX];
    tl_keynote_write(note, text);
    if (snprintf(temp, sizeof temp, "%s.new", k->note) >= (int)sizeof temp)
        return tl_why_set(why, TL_ERR_INVALID, "%s is too long a name", k->note);
    (void)unlink(temp);
    if (!tl_disk_make(AT_FDCWD, temp, tl_slice_of(text, TL_KEYNOTE_SIZE)))
        return tl_why_file(why, "write", temp, errno);
    if (rename(temp, k->note)) {
        int error = errno;
        (void)unlink(temp);
        return tl_why_file(why, "write", k->note, error);
    }
    return sync_home(k, why);
}

static tl_err remove_file(const tl_keychain *k, const char *path, tl_why *why)
{
    if (unlink(path) && errno != ENOENT)
        return tl_why_file(why, "remove", path, errno);
    return sync_home(k, why);
}

/* --- what is where --- */

typedef struct {
    tl_key_place place;
    tl_identity file; /* FILE, BOTH; the holder wipes it */
    tl_keynote note;  /* KEYCHAIN, BOTH */
} found_of;

static tl_err refuse_two(const tl_keychain *k, const found_of *f, tl_why *why)
{
    char file[TL_NODE_ID_HEX + 1], note[TL_NODE_ID_HEX + 1];
    tl_node_id_write(file, &f->file.id);
    tl_node_id_write(note, &f->note.node);
    return tl_why_set(why, TL_ERR_EXISTS,
                      "there are two keys here: %s is node %.16s's, and the keychain has node "
                      "%.16s's. Move one away: to be %.16s, the file %s; to be %.16s, the file %s",
                      k->file, file, note, file, k->note, note, k->file);
}

/* Reads the files alone. The caller wipes ret->file. The file is looked at first, and again: a move
 * makes the new before it removes the old. */
static tl_err find(const tl_keychain *k, found_of *ret, tl_why *why)
{
    tl_err e = tl_seedfile_load(k->file, &ret->file, why);
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    bool file = !e;
    e = read_note(k, &ret->note, why);
    if (e && e != TL_ERR_NOT_FOUND)
        return e;
    bool note = !e;
    if (!file && !note) {
        e = tl_seedfile_load(k->file, &ret->file, why);
        if (e && e != TL_ERR_NOT_FOUND)
            return e;
        file = !e;
    }
    ret->place = file && note ? TL_KEY_BOTH
                 : file       ? TL_KEY_FILE
                 : note       ? TL_KEY_KEYCHAIN
                              : TL_KEY_NONE;
    if (ret->place == TL_KEY_BOTH && !tl_node_id_eq(&ret->file.id, &ret->note.node))
        return refuse_two(k, ret, why);
    return TL_OK;
}

tl_err tl_keychain_look(const tl_keychain *k, tl_key_place *ret_place, tl_node_id *ret_id,
                        tl_why *why)
{
    found_of f = {.place = TL_KEY_NONE};
    tl_err e = find(k, &f, why);
    if (!e) {
        *ret_place = f.place;
        if (f.place != TL_KEY_NONE)
            *ret_id = f.place == TL_KEY_KEYCHAIN ? f.note.node : f.file.id;
    }
    tl_identity_clear(&f.file);
    return e;
}

/* --- the keychain --- */

static void ask(const tl_keychain *k, tl_secret_request *r, tl_secret_answer *ret)
{
    r->prompt = k->prompt;
    tl_secret_ask(k->program, r, k->prompt ? TL_SECRET_PROMPT_TIME : TL_SECRET_QUIET_TIME, &k->wait,
                  ret);
    sodium_memzero(r->secret, sizeof r->secret);
}

static tl_secret_request request_of(tl_secret_op op, const tl_keynote *note)
{
    tl_secret_request r = {.op = op};
    tl_node_id_write(r.node, &note->node);
    snprintf(r.home, sizeof r.home, "%s", note->home);
    return r;
}

/* The identity that the note names, from the keychain. */
static tl_err fetch(const tl_keychain *k, const tl_keynote *note, tl_identity *ret_identity,
                    tl_secret_outcome *ret_outcome, tl_why *why)
{
    tl_secret_request r = request_of(TL_SECRET_LOOKUP, note);
    tl_secret_answer a;
    uint8_t seed[TL_SEED_SIZE];
    tl_identity got = {0};
    ask(k, &r, &a);
    *ret_outcome = a.outcome;
    tl_err e = tl_secret_explain(&a, why);
    if (!e && (tl_hex_parse(tl_slice_str(a.secret), false, seed, sizeof seed) ||
               tl_identity_from_seed(seed, &got))) {
        *ret_outcome = TL_SECRET_GARBAGE;
        e = tl_why_set(why, TL_ERR_PROTO, "the keychain gave something else than a key");
    }
    if (!e && !tl_node_id_eq(&got.id, &note->node)) {
        *ret_outcome = TL_SECRET_GARBAGE;
        e = tl_why_set(why, TL_ERR_AUTH,
                       "the keychain gave the key of another node than %.16s, which is this one: "
                       "something has changed it there. Bring the node back with teale backup "
                       "restore, in another home",
                       r.node);
    }
    if (!e)
        *ret_identity = got;
    sodium_memzero(&a, sizeof a);
    sodium_memzero(seed, sizeof seed);
    tl_identity_clear(&got);
    return e;
}

static tl_err store(const tl_keychain *k, const tl_keynote *note, const tl_identity *identity,
                    tl_why *why)
{
    tl_secret_request r = request_of(TL_SECRET_STORE, note);
    tl_secret_answer a;
    tl_identity back = {0};
    tl_secret_outcome o;
    snprintf(r.label, sizeof r.label, "Key of the Teale node %.16s", r.node);
    tl_hex_write(r.secret, identity->seed, TL_SEED_SIZE);
    ask(k, &r, &a);
    tl_err e = tl_secret_explain(&a, why);
    if (!e)
        e = fetch(k, note, &back, &o, why);
    if (!e && sodium_memcmp(back.seed, identity->seed, TL_SEED_SIZE) != 0)
        e = tl_why_set(why, TL_ERR_AUTH, "the keychain gave back another key than it got");
    tl_identity_clear(&back);
    return e;
}

static tl_keynote new_note(const tl_keychain *k, const tl_node_id *id)
{
    tl_keynote note = {.node = *id};
    uint8_t hash[TL_KEYNOTE_HOME / 2];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)k->home, strlen(k->home), NULL, 0);
    tl_hex_write(note.home, hash, sizeof hash);
    return note;
}

tl_err tl_keychain_load(const tl_keychain *k, tl_identity *ret_identity, tl_key_place *ret_place,
                        tl_secret_outcome *ret_outcome, tl_why *why)
{
    found_of f = {.place = TL_KEY_NONE};
    tl_err e = TL_OK;
    *ret_outcome = TL_SECRET_OK;
    /* where the keychain has it no more, it may have been moved to the file at this moment */
    for (int i = 0; i < 2; i++) {
        e = find(k, &f, why);
        if (e || f.place != TL_KEY_KEYCHAIN)
            break;
        e = fetch(k, &f.note, &f.file, ret_outcome, why);
        if (*ret_outcome != TL_SECRET_ABSENT)
            break;
    }
    if (!e && f.place == TL_KEY_NONE)
        e = tl_why_set(why, TL_ERR_NOT_FOUND, "%s does not exist: `teale up` makes it", k->file);
    if (*ret_outcome == TL_SECRET_ABSENT && e)
        (void)tl_why_set(
            why, e,
            "the key of this node was in the keychain, which has it no more: start the "
            "one that had it, if another answers now (KeePassXC for GNOME Keyring); or "
            "put a copy that teale key export made at %s; or bring the node back with "
            "teale backup restore, in another home (%s says that it was there)",
            k->file, k->note);
    if (!e) {
        *ret_identity = f.file;
        *ret_place = f.place;
    }
    tl_identity_clear(&f.file);
    return e;
}

void tl_keychain_probe(const tl_keychain *k, tl_secret_answer *ret_answer)
{
    tl_secret_request r = {.op = TL_SECRET_PROBE};
    ask(k, &r, ret_answer);
}

/* --- making and moving --- */

tl_err tl_keychain_create(const tl_keychain *k, tl_rand *rand, tl_identity *ret_identity,
                          tl_why *why)
{
    tl_identity made = {0};
    tl_err e = tl_identity_new(rand, &made);
    if (!e) {
        tl_keynote note = new_note(k, &made.id);
        e = store(k, &note, &made, why);
        if (!e)
            e = save_note(k, &note, why);
    }
    if (!e)
        *ret_identity = made;
    tl_identity_clear(&made);
    return e;
}

/* One move at a time: takes the lock on the node's directory. */
static tl_err lock_home(const tl_keychain *k, int *ret_lock, tl_why *why)
{
    int fd = open(k->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? tl_why_set(why, TL_ERR_NOT_FOUND, "there is no node in %s", k->home)
                   : tl_why_file(why, "open the directory", k->home, errno);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return tl_why_set(why, TL_ERR_BUSY,
                          "another process moves the key: try again when it has "
                          "ended");
    }
    *ret_lock = fd;
    return TL_OK;
}

static void end_move(int lock, found_of *f)
{
    close(lock);
    tl_identity_clear(&f->file);
}

/* Finds the key that is to be moved. After TL_OK the caller ends with end_move. */
static tl_err begin_move(const tl_keychain *k, int *ret_lock, found_of *ret, tl_why *why)
{
    *ret = (found_of){.place = TL_KEY_NONE};
    tl_err e = lock_home(k, ret_lock, why);
    if (e)
        return e;
    e = find(k, ret, why);
    if (!e && ret->place == TL_KEY_NONE)
        e = tl_why_set(why, TL_ERR_NOT_FOUND, "there is no key in %s: `teale up` makes it",
                       k->home);
    if (e)
        end_move(*ret_lock, ret);
    return e;
}

tl_err tl_keychain_to_keychain(const tl_keychain *k, tl_node_id *ret_id, bool *ret_moved,
                               tl_why *why)
{
    found_of f;
    tl_secret_outcome o;
    int lock = -1;
    tl_err e = begin_move(k, &lock, &f, why);
    if (e)
        return e;
    bool move = f.place != TL_KEY_KEYCHAIN;
    if (!move) {
        e = fetch(k, &f.note, &f.file, &o, why);
    } else {
        if (f.place == TL_KEY_FILE)
            f.note = new_note(k, &f.file.id);
        e = store(k, &f.note, &f.file, why);
        if (!e)
            e = save_note(k, &f.note, why);
        if (!e)
            e = remove_file(k, k->file, why);
    }
    if (!e) {
        *ret_id = f.note.node;
        *ret_moved = move;
    }
    end_move(lock, &f);
    return e;
}

/* Writes the file from the keychain, and reads it back. */
static tl_err bring_file(const tl_keychain *k, tl_rand *rand, const tl_keynote *note, tl_why *why)
{
    tl_identity kept = {0}, back = {0};
    tl_secret_outcome o;
    tl_err e = fetch(k, note, &kept, &o, why);
    if (!e)
        e = tl_seedfile_write(k->file, rand, kept.seed, why);
    if (!e)
        e = tl_seedfile_load(k->file, &back, why);
    if (!e && sodium_memcmp(back.seed, kept.seed, TL_SEED_SIZE) != 0)
        e = tl_why_set(why, TL_ERR_AUTH,
                       "%s does not hold what was written: the key stays in the "
                       "keychain, too",
                       k->file);
    tl_identity_clear(&kept);
    tl_identity_clear(&back);
    return e;
}

static tl_err forget_in_keychain(const tl_keychain *k, const tl_keynote *note, tl_why *why)
{
    tl_secret_request r = request_of(TL_SECRET_ERASE, note);
    tl_secret_answer a;
    tl_why cause;
    ask(k, &r, &a);
    tl_err e = tl_secret_explain(&a, &cause);
    return e ? tl_why_set(why, e,
                          "the key is in %s now, which counts, but a copy is left in the keychain: "
                          "%s. Then run this again",
                          k->file, cause.text)
             : TL_OK;
}

tl_err tl_keychain_to_file(const tl_keychain *k, tl_rand *rand, tl_node_id *ret_id, bool *ret_moved,
                           tl_why *why)
{
    found_of f;
    int lock = -1;
    tl_err e = begin_move(k, &lock, &f, why);
    if (e)
        return e;
    bool move = f.place != TL_KEY_FILE;
    *ret_id = move ? f.note.node : f.file.id;
    if (f.place == TL_KEY_KEYCHAIN)
        e = bring_file(k, rand, &f.note, why);
    if (!e && move)
        e = forget_in_keychain(k, &f.note, why);
    if (!e && move)
        e = remove_file(k, k->note, why);
    if (!e)
        *ret_moved = move;
    end_move(lock, &f);
    return e;
}
