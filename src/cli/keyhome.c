#include "cli/keyhome.h"

#include "base/log.h"
#include "cli/lock.h"
#include "cli/service.h"
#include "cli/waiting.h"
#include "io/sdnotify.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRY_AGAIN (5 * TL_SEC) /* a try costs 20 ms of a processor */
/* longer than a try and the wait before the next: systemd gives that much more time (sd_notify(3)) */
#define MORE_TIME "EXTEND_TIMEOUT_USEC=60000000"

tl_keychain tl_keyhome_of(const tl_paths *p)
{
    return (tl_keychain){.file = p->key, .note = p->key_note, .home = p->data};
}

bool tl_keyhome_has_person(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && ((x && *x) || (wayland && *wayland));
}

/* --- a new key --- */

/* A database without its key: a new key would be a member of none of its networks, and could sign for
 * nothing in its ledger. */
static tl_err check_new(const tl_paths *p, tl_why *why)
{
    if (access(p->db, F_OK))
        return TL_OK;
    return tl_why_set(
        why, TL_ERR_NOT_FOUND,
        "the node's key %s is not there, but its networks, invites and ledger are, in "
        "%s: put the key back; or move the database and %s.mark away, and begin as a "
        "new node in no network",
        p->key, p->db, p->db);
}

/* Does a new key go into the keychain? With `auto`: where that is open, the home is the user's own (--home keeps
 * every file in its directory), and no boot without a login starts the node. */
static tl_err choose(const tl_paths *p, const tl_settings *s, bool *ret_keychain, tl_why *why)
{
    tl_keychain k = tl_keyhome_of(p);
    tl_secret_answer a;
    *ret_keychain = false;
    bool chosen = !strcmp(s->key_store, "keychain");
    if (!chosen && (strcmp(s->key_store, "auto") != 0 || *p->home || tl_service_lingers()))
        return TL_OK;
    tl_keychain_probe(&k, &a);
    tl_err e = tl_secret_explain(&a, why);
    *ret_keychain = !e;
    if (!e || !chosen) {
        if (e && a.outcome != TL_SECRET_NO_BUS)
            tl_log(TL_LOG_INFO, "the new key goes into a file: %s", why->text);
        return TL_OK;
    }
    tl_why cause = *why;
    return tl_why_set(why, e, "key_store is keychain, and %.400s", cause.text);
}

static tl_err make_key(const tl_paths *p, const tl_settings *s, tl_identity *ret_identity,
                       bool *ret_created, tl_why *why)
{
    tl_keychain k = tl_keyhome_of(p);
    tl_rand rand = tl_rand_system();
    bool keychain = false;
    tl_err e = check_new(p, why);
    if (!e)
        e = choose(p, s, &keychain, why);
    if (e)
        return e;
    if (!keychain)
        return tl_seedfile_load_or_create(p->key, &rand, ret_identity, ret_created, why);
    e = tl_keychain_create(&k, &rand, ret_identity, why);
    *ret_created = !e;
    return e;
}

/* --- the key that is there --- */

/* Says once for each cause why nothing goes on, in the log, to systemd, and in the lock for `teale status`. */
static void say_waiting(int lock, const tl_why *why, tl_why *said)
{
    char text[sizeof why->text + 40];
    (void)!tl_sdnotify(MORE_TIME);
    if (!strcmp(why->text, said->text))
        return;
    *said = *why;
    tl_log(TL_LOG_WARN,
           "the node waits for its key: %s. To start without a login from now on: "
           "teale key move file",
           why->text);
    snprintf(text, sizeof text, "STATUS=waits for its key: %s", why->text);
    (void)!tl_sdnotify(text);
    tl_lock_note(lock, text + strlen("STATUS="));
}

tl_err tl_keyhome_open(const tl_paths *p, const tl_settings *s, int lock, tl_identity *ret_identity,
                       bool *ret_created, tl_why *why)
{
    tl_keychain k = tl_keyhome_of(p);
    bool waits = getenv("NOTIFY_SOCKET") != NULL;
    tl_secret_outcome outcome;
    tl_key_place place;
    tl_why said = {""};
    tl_err e;
    *ret_created = false;
    while ((e = tl_keychain_load(&k, ret_identity, &place, &outcome, why)) && waits &&
           tl_secret_may_pass(outcome)) {
        say_waiting(lock, why, &said);
        poll(NULL, 0, (int)(TRY_AGAIN / TL_MS));
    }
    tl_lock_note(lock, "");
    if (e == TL_ERR_NOT_FOUND && outcome == TL_SECRET_OK)
        return make_key(p, s, ret_identity, ret_created, why);
    if (!e && place == TL_KEY_BOTH)
        tl_log(TL_LOG_WARN,
               "the key is in %s, which counts, and in the keychain, too: teale key "
               "move file, or teale key move keychain, ends that",
               p->key);
    return e;
}

static void on_tick(void *user, tl_time waited)
{
    tl_waiting_tick(user, waited);
}

tl_err tl_keyhome_unlock(const tl_cli *cli, tl_why *why)
{
    tl_keychain k = tl_keyhome_of(&cli->paths);
    tl_waiting waiting = tl_waiting_for(cli, "the keychain");
    tl_identity identity = {0};
    tl_secret_outcome outcome;
    tl_key_place place;
    tl_node_id id;
    tl_err e = tl_keychain_look(&k, &place, &id, why);
    if (e || place != TL_KEY_KEYCHAIN)
        return e;
    k.prompt = tl_keyhome_has_person();
    k.wait = (tl_secret_wait){on_tick, &waiting};
    e = tl_keychain_load(&k, &identity, &place, &outcome, why);
    tl_waiting_end(&waiting);
    tl_identity_clear(&identity);
    return e;
}

int tl_keyhome_exit_of(tl_err e)
{
    switch (e) {
    case TL_OK: return TL_EXIT_OK;
    case TL_ERR_UNREACHABLE: return TL_EXIT_UNREACHABLE;
    case TL_ERR_FORBIDDEN: return TL_EXIT_DENIED;
    case TL_ERR_TIMEOUT: return TL_EXIT_TIMEOUT;
    default: return TL_EXIT_FAILED;
    }
}
