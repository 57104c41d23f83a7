/* cmd_restore.c - `teale backup restore`: gets a lost node back from its 24 words. Runs a node for as long as
 * that takes, whose identity comes from the words, and which serves nobody; then writes the home. */
#include "base/log.h"
#include "base/when.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/homerestore.h"
#include "cli/lock.h"
#include "cli/overrides.h"
#include "cli/phraseask.h"
#include "cli/waiting.h"
#include "node/restore.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    tl_cli *cli;
    tl_settings settings;
    tl_recovery keys;
    tl_loop *loop;
    tl_node *node;
    tl_restore *restore;
    int lock;
    /* An earlier one, in whose midst the machine died; then there is nothing to ask for. */
    bool finished;
    /* what came of it */
    tl_err e;
    tl_why why;
    tl_node_id restored;
    bool settings_restored;
    tl_restore_progress last;
    tl_time began;
    tl_timer tick;
    tl_waiting waiting;
} restoring;

static void on_progress(void *user, const tl_restore_progress *p)
{
    restoring *r = user;
    if (p->phase == TL_RESTORE_FETCHING && p->sequence != r->last.sequence) {
        char made[TL_WHEN_TEXT_MAX];
        tl_when_write(made, p->made_at);
        tl_homerestore_note(&r->cli->paths, &r->keys.identity.id, p->sequence);
        tl_progress_done(1, 3, "dht", "the backup of %s, held by %u nodes", made, p->holders);
    }
    if (p->phase == TL_RESTORE_LOOKING)
        tl_waiting_say(&r->waiting, "the DHT to say who holds the backup (%u nodes answered)",
                       p->nodes);
    else if (p->got < p->needed)
        tl_waiting_say(&r->waiting, "the holders (%u of %u fragments are here)", p->got, p->needed);
    else if (r->last.got < p->needed)
        tl_progress_done(2, 3, "holders", "%u of %u fragments", p->got, p->needed);
    r->last = *p;
}

static void on_tick(void *user)
{
    restoring *r = user;
    tl_time at = tl_loop_now(r->loop);
    tl_waiting_tick(&r->waiting, at - r->began);
    tl_timer_set(&r->tick, at + TL_DAEMON_TICK);
}

static void on_done(void *user, tl_err e, const tl_restored *got, const char *why)
{
    restoring *r = user;
    tl_progress_clear();
    r->e = e;
    if (e)
        (void)tl_why_set(&r->why, e, "%s", why);
    else
        r->e = tl_homerestore_write(&r->cli->paths, got->payload, got->kept, &r->restored,
                                    &r->settings_restored, &r->why);
    tl_loop_stop(r->loop);
}

/* The settings of this home, for a node that serves and publishes nothing. */
static tl_err make_settings(restoring *r, const tl_args *args)
{
    tl_settings *s = &r->settings;
    tl_err e = tl_overrides_load(r->cli->paths.config, args, s, &r->why);
    if (!e)
        e = tl_overrides_check(args, s, &r->why);
    if (e)
        return e;
    s->wan_enabled = true;
    s->nat_direct = true; /* without a UDP port there is no DHT */
    s->dht_enabled = true;
    snprintf(s->dht_publish, sizeof s->dht_publish, "off");
    snprintf(s->dht_serve, sizeof s->dht_serve, "off");
    snprintf(s->nat_introduce, sizeof s->nat_introduce, "off");
    s->nat_relay_enabled = false;
    s->legacy_plaintext = false;
    s->share[0] = 0;
    s->udp_port = 0;
    snprintf(s->share_with, sizeof s->share_with, "networks");
    snprintf(s->display_name, sizeof s->display_name, "restore");
    return TL_OK;
}

static void set_log_level(const tl_settings *s)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(s->log_level, names[i]))
            tl_log_set_level((tl_log_level)i);
}

/* Nobody else starts a node here, or restores, until it is over. */
static tl_err take_home(restoring *r)
{
    const tl_paths *paths = &r->cli->paths;
    tl_err e = tl_homerestore_is_unfinished(paths) ? TL_OK : tl_homerestore_check(paths, &r->why);
    if (!e)
        e = tl_paths_make_data(paths, &r->why);
    if (!e)
        e = tl_lock_take(paths->lock, &r->lock, &r->why);
    if (!e)
        e = tl_homerestore_finish(paths, &r->finished, &r->why);
    return e || r->finished ? e : tl_homerestore_check(paths, &r->why);
}

static tl_err read_words(restoring *r, const tl_args *args)
{
    uint8_t entropy[TL_PHRASE_ENTROPY], root[TL_RECOVERY_KEY];
    tl_err e = tl_phraseask(tl_args_value(args, "words-file"), entropy, &r->why);
    if (e)
        return e;
    tl_recovery_root(entropy, root);
    e = tl_recovery_of(root, &r->keys);
    sodium_memzero(entropy, sizeof entropy);
    sodium_memzero(root, sizeof root);
    return e ? tl_why_set(&r->why, e, "the words make no keys: %s", tl_err_name(e)) : TL_OK;
}

static tl_err run(restoring *r)
{
    static const tl_restore_events events = {on_progress, on_done};
    int64_t seen = tl_homerestore_seen(&r->cli->paths, &r->keys.identity.id);
    signal(SIGPIPE, SIG_IGN);
    if (tl_loop_new(&r->loop))
        return tl_why_set(&r->why, TL_ERR_NOMEM, "out of memory");
    tl_err e = tl_node_new(r->loop, &r->settings, &r->keys.identity, NULL, NULL, &r->node, &r->why);
    if (!e)
        e = tl_node_start(r->node, &r->why);
    if (!e && tl_restore_new(r->node, &r->keys, seen, &events, r, &r->restore))
        e = tl_why_set(&r->why, TL_ERR_NOMEM, "out of memory");
    if (e)
        return e;
    r->waiting = tl_waiting_for(r->cli, "the DHT");
    r->began = tl_loop_now(r->loop);
    tl_timer_init(&r->tick, r->loop, on_tick, r);
    tl_timer_set(&r->tick, r->began + TL_DAEMON_TICK);
    r->e = TL_ERR_CLOSED;
    tl_loop_run(r->loop);
    tl_timer_stop(&r->tick);
    tl_waiting_end(&r->waiting);
    return r->e;
}

static void end(restoring *r)
{
    tl_restore_free(r->restore);
    tl_node_free(r->node);
    if (r->loop)
        tl_loop_free(r->loop);
    tl_recovery_clear(&r->keys);
    if (r->lock >= 0)
        close(r->lock);
}

static int exit_of(tl_err e)
{
    switch (e) {
    case TL_ERR_UNREACHABLE:
    case TL_ERR_NOT_FOUND:
    case TL_ERR_TIMEOUT: return TL_EXIT_UNREACHABLE;
    case TL_ERR_AUTH:
    case TL_ERR_REPLAY: return TL_EXIT_DENIED;
    default: return TL_EXIT_FAILED;
    }
}

static void say_done(const restoring *r)
{
    char hex[TL_NODE_ID_HEX + 1], made[TL_WHEN_TEXT_MAX];
    tl_node_id_write(hex, &r->restored);
    tl_when_write(made, r->last.made_at);
    if (r->cli->json) {
        json_t *done = json_pack("{s:s, s:s, s:I, s:b, s:s}", "node_id", hex, "made_at", made,
                                 "sequence", (json_int_t)r->last.sequence, "settings",
                                 r->settings_restored, "home", r->cli->paths.data);
        tl_out_json(done);
        json_decref(done);
        return;
    }
    tl_progress_done(3, 3, "home", "%s", r->cli->paths.data);
    printf("restored: node %s, as it was at %s\n", hex, made);
    if (!r->settings_restored)
        tl_out_note("The settings here were kept: compare them with `teale config list`.");
    tl_out_note(
        "Start it with: teale up. If the lost machine may still run, stop it first: two "
        "machines\ncannot be one node. What was earned, spent and signed after that time is "
        "not in the backup;\nits open invites are withdrawn.");
}

static void say_finished(const restoring *r)
{
    if (r->cli->json) {
        json_t *done = json_pack("{s:b, s:s}", "finished", 1, "home", r->cli->paths.data);
        tl_out_json(done);
        json_decref(done);
        return;
    }
    printf("restored: %s. A restore that was interrupted is finished now\n", r->cli->paths.data);
    tl_out_note(
        "Start it with: teale up. To restore another backup, use another home (--home DIR).");
}

int tl_cmd_backup_restore(tl_cli *cli, const tl_args *args)
{
    static restoring r;
    r = (restoring){.cli = cli, .lock = -1};
    if (make_settings(&r, args))
        return tl_cli_usage(cli, "%s", r.why.text);
    int code = TL_EXIT_OK;
    tl_err e =
        tl_crypto_init() ? tl_why_set(&r.why, TL_ERR_IO, "libsodium cannot start") : take_home(&r);
    if (e)
        code = TL_EXIT_FAILED;
    if (!e && !r.finished && (e = read_words(&r, args)))
        code = e == TL_ERR_IO || e == TL_ERR_NOMEM ? TL_EXIT_FAILED : TL_EXIT_USAGE;
    if (!e && !r.finished) {
        /* What a daemon logs is no answer here. */
        if (!tl_args_has(args, "log-level"))
            snprintf(r.settings.log_level, sizeof r.settings.log_level, "error");
        set_log_level(&r.settings);
        if ((e = run(&r)))
            code = exit_of(e);
    }
    tl_progress_clear();
    if (e)
        tl_out_error("%s", r.why.text);
    else if (r.finished)
        say_finished(&r);
    else
        say_done(&r);
    end(&r);
    return code;
}
