#include "io/keychain.h"
#include "ownnet.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test has a home and a keychain of its own. */
typedef struct {
    char dir[64], home[100], items[100], file[140], note[140];
    tl_keychain k;
    tl_rand rand;
    tl_identity identity;
    tl_why why;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/teale-keychain-XXXXXX");
    if (!mkdtemp(f->dir))
        return 1;
    snprintf(f->home, sizeof f->home, "%s/home", f->dir);
    snprintf(f->items, sizeof f->items, "%s/items", f->dir);
    snprintf(f->file, sizeof f->file, "%s/wan-identity.key", f->home);
    snprintf(f->note, sizeof f->note, "%s/wan-identity.keychain", f->home);
    f->k = (tl_keychain){
        .file = f->file, .note = f->note, .home = f->home, .program = TL_FAKE_KEYCHAIN};
    f->rand = tl_rand_system();
    setenv("FAKE_KEYCHAIN", f->items, 1);
    setenv("FAKE_MODE", "", 1);
    *state = f;
    return tl_crypto_init() || mkdir(f->home, 0700) || mkdir(f->items, 0700);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    free(f);
    return system(command);
}

static bool there(const char *path)
{
    return !access(path, F_OK);
}

static size_t items(const fixture *f)
{
    char command[128];
    size_t n = 0;
    snprintf(command, sizeof command, "ls %s | wc -l", f->items);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%zu", &n), 1);
    pclose(p);
    return n;
}

static void begin_in_file(fixture *f)
{
    bool created;
    assert_int_equal(tl_seedfile_load_or_create(f->file, &f->rand, &f->identity, &created, &f->why),
                     TL_OK);
}

static void begin_in_keychain(fixture *f)
{
    assert_int_equal(tl_keychain_create(&f->k, &f->rand, &f->identity, &f->why), TL_OK);
}

static void assert_place(fixture *f, tl_key_place expected)
{
    tl_key_place place;
    tl_node_id id;
    assert_int_equal(tl_keychain_look(&f->k, &place, &id, &f->why), TL_OK);
    assert_int_equal(place, expected);
    if (expected != TL_KEY_NONE)
        assert_true(tl_node_id_eq(&id, &f->identity.id));
}

static tl_err load(fixture *f, tl_identity *ret, tl_secret_outcome *ret_outcome)
{
    tl_key_place place;
    return tl_keychain_load(&f->k, ret, &place, ret_outcome, &f->why);
}

static void assert_loads(fixture *f)
{
    tl_identity got;
    tl_secret_outcome outcome;
    assert_int_equal(load(f, &got, &outcome), TL_OK);
    assert_memory_equal(&got, &f->identity, sizeof got);
}

static tl_err to_keychain(fixture *f, bool *ret_moved)
{
    tl_node_id id = {0};
    tl_err e = tl_keychain_to_keychain(&f->k, &id, ret_moved, &f->why);
    if (!e)
        assert_true(tl_node_id_eq(&id, &f->identity.id));
    return e;
}

static tl_err to_file(fixture *f, bool *ret_moved)
{
    tl_node_id id;
    tl_err e = tl_keychain_to_file(&f->k, &f->rand, &id, ret_moved, &f->why);
    if (!e)
        assert_true(tl_node_id_eq(&id, &f->identity.id));
    return e;
}

/* --- the note --- */

static void a_note_is_read_as_it_was_written_and_not_otherwise(void **state)
{
    fixture *f = *state;
    char text[TL_KEYNOTE_SIZE + 1], changed[TL_KEYNOTE_SIZE + 2];
    tl_keynote back, note = {.home = "00112233445566778899aabbccddeeff"};
    assert_int_equal(tl_identity_new(&f->rand, &f->identity), TL_OK);
    note.node = f->identity.id;
    tl_keynote_write(&note, text);
    assert_int_equal(strlen(text), TL_KEYNOTE_SIZE);
    assert_int_equal(tl_keynote_parse(tl_slice_str(text), &back), TL_OK);
    assert_memory_equal(&back, &note, sizeof back);
    for (size_t n = 0; n < TL_KEYNOTE_SIZE; n++) {
        assert_int_equal(tl_keynote_parse(tl_slice_of(text, n), &back), TL_ERR_PROTO);
        memcpy(changed, text, sizeof text);
        changed[n] = '!';
        assert_int_equal(tl_keynote_parse(tl_slice_str(changed), &back), TL_ERR_PROTO);
    }
    snprintf(changed, sizeof changed, "%s\n", text);
    assert_int_equal(tl_keynote_parse(tl_slice_str(changed), &back), TL_ERR_PROTO);
}

/* --- where it is --- */

static void a_new_key_can_begin_in_the_keychain(void **state)
{
    fixture *f = *state;
    assert_place(f, TL_KEY_NONE);
    begin_in_keychain(f);
    assert_place(f, TL_KEY_KEYCHAIN);
    assert_false(there(f->file));
    assert_int_equal(items(f), 1);
    assert_loads(f);
}

static void a_keychain_that_keeps_something_else_gets_no_new_key(void **state)
{
    fixture *f = *state;
    tl_identity made;
    setenv("FAKE_MODE", "forgetful", 1);
    assert_int_equal(tl_keychain_create(&f->k, &f->rand, &made, &f->why), TL_ERR_IO);
    assert_place(f, TL_KEY_NONE);
    setenv("FAKE_MODE", "other", 1);
    assert_int_equal(tl_keychain_create(&f->k, &f->rand, &made, &f->why), TL_ERR_AUTH);
    assert_place(f, TL_KEY_NONE);
}

static void a_home_without_a_key_says_so(void **state)
{
    fixture *f = *state;
    tl_identity got;
    tl_secret_outcome outcome;
    bool moved;
    assert_int_equal(load(f, &got, &outcome), TL_ERR_NOT_FOUND);
    assert_int_equal(outcome, TL_SECRET_OK); /* nobody was asked */
    assert_int_equal(to_keychain(f, &moved), TL_ERR_NOT_FOUND);
    assert_int_equal(to_file(f, &moved), TL_ERR_NOT_FOUND);
}

static void a_key_in_a_file_is_read_without_a_keychain(void **state)
{
    fixture *f = *state;
    begin_in_file(f);
    setenv("FAKE_MODE", "crash", 1);
    assert_loads(f);
}

static void a_keychain_that_lost_the_key_makes_no_new_one(void **state)
{
    fixture *f = *state;
    char command[128];
    tl_identity got;
    tl_secret_outcome outcome;
    begin_in_keychain(f);
    snprintf(command, sizeof command, "rm %s/*", f->items);
    assert_int_equal(system(command), 0);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_NOT_FOUND);
    assert_int_equal(outcome, TL_SECRET_ABSENT);
    assert_non_null(strstr(f->why.text, "backup restore"));
}

static void another_nodes_key_is_not_taken_for_ours(void **state)
{
    fixture *f = *state;
    tl_identity got;
    tl_secret_outcome outcome;
    bool moved;
    begin_in_keychain(f);
    setenv("FAKE_MODE", "other", 1);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_AUTH);
    assert_int_equal(outcome, TL_SECRET_GARBAGE);
    assert_int_equal(to_file(f, &moved), TL_ERR_AUTH);
    assert_false(there(f->file));
    setenv("FAKE_MODE", "", 1);
    assert_loads(f);
}

static void a_file_and_a_note_of_different_nodes_are_both_left_alone(void **state)
{
    fixture *f = *state;
    tl_identity other, got;
    tl_secret_outcome outcome;
    bool created, moved;
    begin_in_keychain(f);
    assert_int_equal(tl_seedfile_load_or_create(f->file, &f->rand, &other, &created, &f->why),
                     TL_OK);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_EXISTS);
    assert_non_null(strstr(f->why.text, f->file));
    assert_non_null(strstr(f->why.text, f->note));
    assert_int_equal(to_file(f, &moved), TL_ERR_EXISTS);
    assert_int_equal(to_keychain(f, &moved), TL_ERR_EXISTS);
    assert_int_equal(items(f), 1);
    assert_int_equal(unlink(f->file), 0);
    assert_loads(f);
}

static void a_broken_note_stops_the_node_instead_of_making_it_new(void **state)
{
    fixture *f = *state;
    tl_identity got;
    tl_secret_outcome outcome;
    begin_in_keychain(f);
    assert_int_equal(truncate(f->note, 10), 0);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_PROTO);
    assert_int_equal(unlink(f->note), 0);
    assert_int_equal(symlink("/dev/zero", f->note), 0);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_IO);
    assert_int_equal(unlink(f->note), 0);
    assert_int_equal(mkfifo(f->note, 0600), 0);
    assert_int_equal(load(f, &got, &outcome), TL_ERR_PROTO);
}

/* --- moving --- */

static void a_key_moves_to_the_keychain_and_back(void **state)
{
    fixture *f = *state;
    bool moved;
    begin_in_file(f);
    assert_int_equal(to_keychain(f, &moved), TL_OK);
    assert_true(moved);
    assert_place(f, TL_KEY_KEYCHAIN);
    assert_false(there(f->file));
    assert_loads(f);
    assert_int_equal(to_keychain(f, &moved), TL_OK);
    assert_false(moved);

    assert_int_equal(to_file(f, &moved), TL_OK);
    assert_true(moved);
    assert_place(f, TL_KEY_FILE);
    assert_int_equal(items(f), 0);
    assert_loads(f);
    assert_int_equal(to_file(f, &moved), TL_OK);
    assert_false(moved);
}

static void a_home_that_was_renamed_keeps_its_key(void **state)
{
    fixture *f = *state;
    bool moved;
    char elsewhere[100];
    begin_in_keychain(f);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f->dir);
    assert_int_equal(rename(f->home, elsewhere), 0);
    snprintf(f->home, sizeof f->home, "%s", elsewhere);
    snprintf(f->file, sizeof f->file, "%s/wan-identity.key", f->home);
    snprintf(f->note, sizeof f->note, "%s/wan-identity.keychain", f->home);
    assert_loads(f);
    assert_int_equal(to_file(f, &moved), TL_OK);
    assert_int_equal(items(f), 0);
}

static void two_homes_with_one_key_have_an_item_each(void **state)
{
    fixture *f = *state;
    char home[100], file[130], note[130];
    bool moved;
    tl_node_id id;
    begin_in_file(f);
    snprintf(home, sizeof home, "%s/second", f->dir);
    snprintf(file, sizeof file, "%s/wan-identity.key", home);
    snprintf(note, sizeof note, "%s/wan-identity.keychain", home);
    tl_keychain second = {.file = file, .note = note, .home = home, .program = TL_FAKE_KEYCHAIN};
    assert_int_equal(tl_seedfile_write(file, &f->rand, f->identity.seed, &f->why), TL_OK);
    assert_int_equal(to_keychain(f, &moved), TL_OK);
    assert_int_equal(tl_keychain_to_keychain(&second, &id, &moved, &f->why), TL_OK);
    assert_int_equal(items(f), 2);
    assert_int_equal(tl_keychain_to_file(&second, &f->rand, &id, &moved, &f->why), TL_OK);
    assert_loads(f);
}

static void a_keychain_that_refuses_leaves_the_key_where_it_was(void **state)
{
    static const char *const modes[] = {"locked", "no keychain", "crash",
                                        "nohex",  "other",       "forgetful"};
    fixture *f = *state;
    bool moved;
    begin_in_file(f);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        setenv("FAKE_MODE", modes[i], 1);
        assert_true(to_keychain(f, &moved) < 0);
        assert_place(f, TL_KEY_FILE);
        assert_loads(f);
    }
    setenv("FAKE_MODE", "", 1);
    assert_int_equal(to_keychain(f, &moved), TL_OK);
    for (size_t i = 0; i < sizeof modes / sizeof *modes - 1; i++) {
        setenv("FAKE_MODE", modes[i], 1);
        assert_true(to_file(f, &moved) < 0);
        assert_place(f, TL_KEY_KEYCHAIN);
    }
    setenv("FAKE_MODE", "", 1);
    assert_loads(f);
}

static void a_copy_that_cannot_be_erased_is_named_and_erased_later(void **state)
{
    fixture *f = *state;
    bool moved;
    begin_in_keychain(f);
    assert_int_equal(chmod(f->items, 0500), 0); /* read, but not erased; not so for root */
    if (!access(f->items, W_OK)) {
        assert_int_equal(tl_seedfile_write(f->file, &f->rand, f->identity.seed, &f->why), TL_OK);
        setenv("FAKE_MODE", "locked", 1);
    }
    assert_true(to_file(f, &moved) < 0);
    assert_non_null(strstr(f->why.text, "a copy is left in the keychain"));
    assert_place(f, TL_KEY_BOTH);
    assert_loads(f);
    setenv("FAKE_MODE", "", 1);
    assert_int_equal(chmod(f->items, 0700), 0);
    assert_int_equal(to_file(f, &moved), TL_OK);
    assert_true(moved);
    assert_int_equal(items(f), 0);
    assert_place(f, TL_KEY_FILE);
}

static void only_one_process_moves_the_key(void **state)
{
    fixture *f = *state;
    bool moved;
    begin_in_file(f);
    int fd = open(f->home, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(to_keychain(f, &moved), TL_ERR_BUSY);
    close(fd);
    assert_int_equal(to_keychain(f, &moved), TL_OK);
}

/* --- a process that dies --- */

/* Does this system call change anything outside, or begin something that does? */
static bool matters(uint64_t number)
{
    switch (number) {
    case SYS_openat:
    case SYS_write:
    case SYS_fsync:
    case SYS_unlinkat:
    case SYS_renameat2:
    case SYS_linkat:
    case SYS_mkdirat:
    case SYS_clone:
    case SYS_clone3:
    case SYS_close:
    case SYS_flock:
#ifdef SYS_rename
    case SYS_rename:
    case SYS_unlink:
    case SYS_mkdir:
    case SYS_vfork:
#endif
        return true;
    default: return false;
    }
}

/* Runs the move in a child, and kills it at the beginning or end of the n-th system call that matters.
 * False: it had ended before. */
static bool kill_at(fixture *f, tl_err (*move)(fixture *, bool *), int n)
{
    int status, seen = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        bool moved;
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(77);
        raise(SIGSTOP);
        _exit(move(f, &moved) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip_because("this machine forbids to trace one's own child");
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD), 0);
    while (WIFSTOPPED(status)) {
        bool call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        struct __ptrace_syscall_info info = {.op = 0};
        static bool within; /* the stop is the end of one that matters */
        if (call && ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) {
            kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            skip_because("a kernel before 5.3 does not tell which system call a child makes");
        }
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            within = matters(info.entry.nr);
        if (call && within && seen++ == n) {
            kill(pid, SIGKILL);
            assert_int_equal(waitpid(pid, &status, 0), pid);
            return true;
        }
        int signo = call || WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status);
        ptrace(PTRACE_SYSCALL, pid, NULL, signo);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* At whatever moment the process is killed, the key is there, whole, and the move can be done again. */
static void die_everywhere(fixture *f, tl_err (*move)(fixture *, bool *),
                           tl_err (*back)(fixture *, bool *), tl_key_place goal)
{
    int n = 0;
    bool moved;
    for (; kill_at(f, move, n); n++) {
        assert_loads(f);
        assert_int_equal(move(f, &moved), TL_OK);
        assert_place(f, goal);
        assert_int_equal(back(f, &moved), TL_OK);
    }
    assert_place(f, goal);
    assert_true(n > 20); /* there was something to kill */
}

static void a_move_to_the_keychain_can_be_killed_at_any_moment(void **state)
{
    fixture *f = *state;
    begin_in_file(f);
    die_everywhere(f, to_keychain, to_file, TL_KEY_KEYCHAIN);
    assert_int_equal(items(f), 1);
}

static void a_move_to_the_file_can_be_killed_at_any_moment(void **state)
{
    fixture *f = *state;
    begin_in_keychain(f);
    die_everywhere(f, to_file, to_keychain, TL_KEY_FILE);
    assert_int_equal(items(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_note_is_read_as_it_was_written_and_not_otherwise),
        TEST(a_new_key_can_begin_in_the_keychain),
        TEST(a_keychain_that_keeps_something_else_gets_no_new_key),
        TEST(a_home_without_a_key_says_so),
        TEST(a_key_in_a_file_is_read_without_a_keychain),
        TEST(a_keychain_that_lost_the_key_makes_no_new_one),
        TEST(another_nodes_key_is_not_taken_for_ours),
        TEST(a_file_and_a_note_of_different_nodes_are_both_left_alone),
        TEST(a_broken_note_stops_the_node_instead_of_making_it_new),
        TEST(a_key_moves_to_the_keychain_and_back),
        TEST(a_home_that_was_renamed_keeps_its_key),
        TEST(two_homes_with_one_key_have_an_item_each),
        TEST(a_keychain_that_refuses_leaves_the_key_where_it_was),
        TEST(a_copy_that_cannot_be_erased_is_named_and_erased_later),
        TEST(only_one_process_moves_the_key),
        TEST(a_move_to_the_keychain_can_be_killed_at_any_moment),
        TEST(a_move_to_the_file_can_be_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
