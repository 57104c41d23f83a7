/* The files that a restore writes: all or none, and over nothing. */
#include "cli/homerestore.h"

#include "node/restore.h"
#include "store/migrations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    char home[64];
    tl_paths paths;
    uint8_t database[128];
    tl_payload payload;
} scene;

static int make_scene(void **state)
{
    scene *s = calloc(1, sizeof *s);
    tl_why why;
    snprintf(s->home, sizeof s->home, "/tmp/test_homerestore.XXXXXX");
    assert_non_null(mkdtemp(s->home));
    assert_int_equal(tl_paths_find(s->home, &s->paths, &why), TL_OK);
    memcpy(s->database, "SQLite format 3", 16);
    s->database[63] = (uint8_t)tl_store_steps_n;
    for (int i = 0; i < 4; i++)
        s->database[68 + i] = (uint8_t)(TL_STORE_APPLICATION >> (24 - 8 * i));
    s->payload = (tl_payload){.made_at = 1795000000,
                              .seed = {3},
                              .database = tl_slice_of(s->database, sizeof s->database),
                              .settings = TL_SLICE_LIT("wan_enabled = true\n")};
    *state = s;
    return 0;
}

static int remove_scene(void **state)
{
    scene *s = *state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", s->home);
    int rc = system(command);
    free(s);
    return rc;
}

static tl_err write_home(const scene *s, bool *ret_settings)
{
    tl_node_id node;
    tl_why why = {""};
    tl_identity want;
    tl_err e = tl_homerestore_write(&s->paths, &s->payload, TL_SLICE_LIT("pointer and blob"), &node,
                                    ret_settings, &why);
    assert_true(!e || *why.text);
    if (!e) {
        assert_int_equal(tl_identity_from_seed(s->payload.seed, &want), TL_OK);
        assert_true(tl_node_id_eq(&node, &want.id));
    }
    return e;
}

static size_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static void put_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void a_fresh_home_gets_identity_database_settings_and_who_holds_the_backup(void **state)
{
    const scene *s = *state;
    char kept[128];
    struct stat st;
    bool settings = false;
    tl_why why;
    assert_int_equal(tl_homerestore_check(&s->paths, &why), TL_OK);
    assert_int_equal(write_home(s, &settings), TL_OK);
    assert_true(settings);
    assert_int_equal(size_of(s->paths.key), 32);
    assert_int_equal(size_of(s->paths.db), sizeof s->database);
    assert_int_equal(size_of(s->paths.config), s->payload.settings.n);
    snprintf(kept, sizeof kept, "%s/" TL_RESTORED_FILE, s->home);
    assert_int_equal(size_of(kept), strlen("pointer and blob"));
    assert_int_equal(stat(s->paths.key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(s->paths.db, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* and it is not restored over */
    assert_int_equal(tl_homerestore_check(&s->paths, &why), TL_ERR_EXISTS);
    assert_int_equal(write_home(s, &settings), TL_ERR_EXISTS);
}

static void one_that_was_interrupted_is_finished_and_not_refused(void **state)
{
    const scene *s = *state;
    char dir[128], part[160];
    bool settings, done = false;
    tl_why why;
    assert_int_equal(write_home(s, &settings), TL_OK);
    assert_false(tl_homerestore_is_unfinished(&s->paths));
    assert_int_equal(tl_homerestore_finish(&s->paths, &done, &why), TL_OK);
    assert_false(done);
    /* as it is where the machine died before the key was moved */
    snprintf(dir, sizeof dir, "%s/restore", s->home);
    snprintf(part, sizeof part, "%s/3", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(rename(s->paths.key, part), 0);
    assert_true(tl_homerestore_is_unfinished(&s->paths));
    assert_int_equal(tl_homerestore_finish(&s->paths, &done, &why), TL_OK);
    assert_true(done);
    assert_int_equal(size_of(s->paths.key), 32);
    assert_false(tl_homerestore_is_unfinished(&s->paths));
}

static void settings_that_are_there_stay(void **state)
{
    const scene *s = *state;
    bool settings = true;
    put_file(s->paths.config, "mine\n");
    assert_int_equal(write_home(s, &settings), TL_OK);
    assert_false(settings);
    assert_int_equal(size_of(s->paths.config), 5);
    assert_int_equal(size_of(s->paths.key), 32);
}

static void a_backup_without_settings_writes_none(void **state)
{
    scene *s = *state;
    bool settings = true;
    s->payload.settings = (tl_slice){NULL, 0};
    assert_int_equal(write_home(s, &settings), TL_OK);
    assert_false(settings);
    assert_true(access(s->paths.config, F_OK) != 0);
}

static void a_key_a_database_its_log_or_its_mark_refuses_the_restore(void **state)
{
    const scene *s = *state;
    char log[1100], mark[1100];
    snprintf(log, sizeof log, "%s-wal", s->paths.db);
    snprintf(mark, sizeof mark, "%s.mark", s->paths.db);
    const char *const files[] = {s->paths.key, s->paths.key_note, s->paths.db, log, mark};
    for (int i = 0; i < 5; i++) {
        bool settings;
        tl_why why;
        put_file(files[i], "mine");
        assert_int_equal(tl_homerestore_check(&s->paths, &why), TL_ERR_EXISTS);
        assert_non_null(strstr(why.text, files[i]));
        assert_int_equal(write_home(s, &settings), TL_ERR_EXISTS);
        assert_int_equal(size_of(files[i]), 4);
        assert_int_equal(unlink(files[i]), 0);
        assert_true(access(s->paths.config, F_OK) != 0);
    }
}

static void a_database_of_a_newer_version_or_of_another_program_writes_nothing(void **state)
{
    scene *s = *state;
    bool settings;
    s->database[63]++;
    assert_int_equal(write_home(s, &settings), TL_ERR_INVALID);
    s->database[63]--;
    s->database[68]++;
    assert_int_equal(write_home(s, &settings), TL_ERR_PROTO);
    s->database[68]--;
    s->payload.database.n = 99;
    assert_int_equal(write_home(s, &settings), TL_ERR_PROTO);
    assert_true(access(s->paths.key, F_OK) != 0);
    s->payload.database.n = sizeof s->database;
    assert_int_equal(write_home(s, &settings), TL_OK);
}

static void what_was_seen_is_kept_for_these_words_alone(void **state)
{
    const scene *s = *state;
    tl_identity one, other;
    uint8_t seed[32] = {1};
    assert_int_equal(tl_identity_from_seed(seed, &one), TL_OK);
    seed[0] = 2;
    assert_int_equal(tl_identity_from_seed(seed, &other), TL_OK);
    assert_int_equal(tl_homerestore_seen(&s->paths, &one.id), 0);
    tl_homerestore_note(&s->paths, &one.id, 1795000123);
    assert_int_equal(tl_homerestore_seen(&s->paths, &one.id), 1795000123);
    assert_int_equal(tl_homerestore_seen(&s->paths, &other.id), 0);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, make_scene, remove_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(a_fresh_home_gets_identity_database_settings_and_who_holds_the_backup),
        IN_SCENE(one_that_was_interrupted_is_finished_and_not_refused),
        IN_SCENE(settings_that_are_there_stay),
        IN_SCENE(a_backup_without_settings_writes_none),
        IN_SCENE(a_key_a_database_its_log_or_its_mark_refuses_the_restore),
        IN_SCENE(a_database_of_a_newer_version_or_of_another_program_writes_nothing),
        IN_SCENE(what_was_seen_is_kept_for_these_words_alone),
    };
    return tl_crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
