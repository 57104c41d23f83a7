/* cmd_key.c - `teale key where`, `move` and `export`: this node's private key, in a file or in the session's
 * keychain. They need no running node, and do it no harm: it has read its key when it started. */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/keyhome.h"
#include "cli/service.h"
#include "cli/waiting.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const tl_why *why, tl_err e)
{
    tl_progress_clear();
    tl_out_error("%s", why->text);
    return tl_keyhome_exit_of(e);
}

static void on_tick(void *user, tl_time waited)
{
    tl_waiting_tick(user, waited);
}

static tl_keychain keychain_of(const tl_cli *cli, tl_waiting *w)
{
    tl_keychain k = tl_keyhome_of(&cli->paths);
    *w = tl_waiting_for(cli, "the keychain%s",
                        tl_keyhome_has_person() ? ", which may ask for its password in a window"
                                                : "");
    k.wait = (tl_secret_wait){on_tick, w};
    return k;
}

/* --- where --- */

/* What the keychain says: of the key if it is there, else whether it could take one. */
static tl_secret_outcome ask_keychain(const tl_keychain *k, tl_key_place place, tl_why *why)
{
    tl_secret_answer a;
    tl_secret_outcome outcome;
    tl_identity identity = {0};
    *why = (tl_why){""};
    if (place == TL_KEY_KEYCHAIN) {
        if (!tl_keychain_load(k, &identity, &place, &outcome, why))
            *why = (tl_why){""};
        tl_identity_clear(&identity);
        return outcome;
    }
    tl_keychain_probe(k, &a);
    (void)!tl_secret_explain(&a, why);
    return a.outcome;
}

static void show_where(const tl_cli *cli, tl_key_place place, const tl_node_id *id,
                       tl_secret_outcome outcome, const tl_why *why)
{
    char hex[TL_NODE_ID_HEX + 1], state[sizeof why->text + 40];
    const char *path = place == TL_KEY_KEYCHAIN ? cli->paths.key_note : cli->paths.key;
    tl_node_id_write(hex, id);
    if (cli->json) {
        json_t *o =
            json_pack("{s:s, s:s, s:s, s:{s:s, s:s?}}", "place", tl_key_place_name(place),
                      "node_id", hex, "path", path, "keychain", "state",
                      tl_secret_outcome_name(outcome), "cause", *why->text ? why->text : NULL);
        tl_out_json(o);
        json_decref(o);
        return;
    }
    snprintf(state, sizeof state, "%s%s%s", tl_secret_outcome_name(outcome), *why->text ? ": " : "",
             why->text);
    tl_out_line("key", place == TL_KEY_BOTH ? "file (and keychain)" : tl_key_place_name(place));
    tl_out_line("node", hex);
    tl_out_line("path", path);
    tl_out_line("keychain", state);
    if (place == TL_KEY_BOTH)
        tl_out_note(
            "A move was interrupted: the file counts. Finish it: teale key move keychain, or "
            "teale key move file");
}

int tl_cmd_key_where(tl_cli *cli, const tl_args *args)
{
    tl_waiting waiting;
    tl_keychain k = keychain_of(cli, &waiting);
    tl_key_place place;
    tl_node_id id;
    tl_why why;
    (void)args;
    if (tl_crypto_init())
        return fail(&(tl_why){"libsodium cannot start"}, TL_ERR_IO);
    tl_err e = tl_keychain_look(&k, &place, &id, &why);
    if (!e && place == TL_KEY_NONE)
        e = tl_why_set(&why, TL_ERR_NOT_FOUND, "there is no key in %s: `teale up` makes it",
                       cli->paths.data);
    if (e)
        return fail(&why, e);
    tl_secret_outcome outcome = ask_keychain(&k, place, &why);
    tl_progress_clear();
    show_where(cli, place, &id, outcome, &why);
    return TL_EXIT_OK;
}

/* --- move --- */

static void show_moved(const tl_cli *cli, bool to_file, const tl_node_id *id, bool moved)
{
    char hex[TL_NODE_ID_HEX + 1];
    const char *place = to_file ? "file" : "keychain";
    const char *path = to_file ? cli->paths.key : cli->paths.key_note;
    tl_node_id_write(hex, id);
    if (cli->json) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:b}", "place", place, "node_id", hex, "path", path,
                              "moved", moved);
        tl_out_json(o);
        json_decref(o);
        return;
    }
    if (to_file)
        printf("%s: the key of node %.16s is in %s\n", moved ? "moved" : "nothing to do", hex,
               path);
    else
        printf("%s: the key of node %.16s is in the keychain\n", moved ? "moved" : "nothing to do",
               hex);
    if (!to_file && tl_service_lingers())
        tl_out_note(
            "The services of this user start at boot, without a login (linger): the node waits "
            "then until\nthe keychain is unlocked. To have it start at boot: teale key move file");
}

int tl_cmd_key_move(tl_cli *cli, const tl_args *args)
{
    tl_waiting waiting;
    bool moved = false, to_file = !strcmp(args->operand[0], "file");
    tl_keychain k = keychain_of(cli, &waiting);
    tl_rand rand = tl_rand_system();
    tl_node_id id;
    tl_why why;
    if (!to_file && strcmp(args->operand[0], "keychain") != 0)
        return tl_cli_usage(cli, "teale key move wants file or keychain, not \"%s\"",
                            tl_log_safe(tl_slice_str(args->operand[0])).text);
    if (tl_crypto_init())
        return fail(&(tl_why){"libsodium cannot start"}, TL_ERR_IO);
    k.prompt = tl_keyhome_has_person();
    tl_err e = to_file ? tl_keychain_to_file(&k, &rand, &id, &moved, &why)
                       : tl_keychain_to_keychain(&k, &id, &moved, &why);
    if (e)
        return fail(&why, e);
    tl_progress_clear();
    show_moved(cli, to_file, &id, moved);
    return TL_EXIT_OK;
}

/* --- export --- */

/* A mistyped mount point must not become a folder on the local disk, with the key in it. */
static tl_err has_folder(const char *file, tl_why *why)
{
    char *copy = strdup(file);
    const char *folder = copy ? dirname(copy) : NULL;
    tl_err e = TL_OK;
    if (!copy)
        e = tl_why_set(why, TL_ERR_NOMEM, "out of memory");
    else if (access(folder, F_OK))
        e = tl_why_set(why, TL_ERR_NOT_FOUND,
                       "there is no folder %s: make it, or mount the disk, first", folder);
    free(copy);
    return e;
}

int tl_cmd_key_export(tl_cli *cli, const tl_args *args)
{
    tl_waiting waiting;
    tl_keychain k = keychain_of(cli, &waiting);
    tl_rand rand = tl_rand_system();
    tl_identity identity = {0};
    tl_secret_outcome outcome;
    tl_key_place place;
    char hex[TL_NODE_ID_HEX + 1];
    const char *file = args->operand[0];
    tl_why why;
    if (tl_crypto_init())
        return fail(&(tl_why){"libsodium cannot start"}, TL_ERR_IO);
    k.prompt = tl_keyhome_has_person();
    tl_err e = has_folder(file, &why);
    if (!e)
        e = tl_keychain_load(&k, &identity, &place, &outcome, &why);
    if (!e)
        e = tl_seedfile_write(file, &rand, identity.seed, &why);
    tl_node_id_write(hex, &identity.id);
    tl_identity_clear(&identity);
    if (e)
        return fail(&why, e);
    tl_progress_clear();
    if (cli->json) {
        json_t *o = json_pack("{s:s, s:s}", "node_id", hex, "file", file);
        tl_out_json(o);
        json_decref(o);
        return TL_EXIT_OK;
    }
    printf("written to %s: whoever has this file can act as node %.16s\n", file, hex);
    return TL_EXIT_OK;
}
