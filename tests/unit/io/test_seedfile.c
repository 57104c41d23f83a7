#include "io/seedfile.h"
#include "ownnet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "wan-identity.key"

/* Each test has a directory of its own and works in it, so that names stay short. */
typedef struct {
    char dir[64];
    int back; /* where we came from */
    tl_rand rand;
    tl_why why;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/teale-seedfile-XXXXXX");
    f->back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->rand = tl_rand_system();
    *state = f;
    return f->back < 0 || !mkdtemp(f->dir) || chdir(f->dir) != 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    int rc = fchdir(f->back);
    close(f->back);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    rc |= system(command);
    free(f);
    return rc;
}

static void write_file(const char *path, size_t n, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(write(fd, "\x42", 1), 1);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static size_t files_here(void)
{
    size_t n = 0;
    FILE *p = popen("ls -A | wc -l", "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%zu", &n), 1);
    pclose(p);
    return n;
}

static void the_first_start_makes_a_private_key_and_the_second_finds_it(void **state)
{
    fixture *f = *state;
    tl_identity first, second;
    bool created = false;
    struct stat st;
    assert_int_equal(tl_seedfile_load_or_create("a/b/" KEY, &f->rand, &first, &created, &f->why),
                     TL_OK);
    assert_true(created);
    assert_int_equal(stat("a/b/" KEY, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(stat("a/b", &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);

    assert_int_equal(tl_seedfile_load_or_create("a/b/" KEY, &f->rand, &second, &created, &f->why),
                     TL_OK);
    assert_false(created);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(tl_seedfile_load("a/b/" KEY, &second, &f->why), TL_OK);
    assert_memory_equal(&first, &second, sizeof first);
}

static void the_file_holds_the_bare_seed(void **state)
{
    fixture *f = *state;
    uint8_t seed[32];
    tl_identity loaded, expected;
    write_file(KEY, 32, 0600);
    memset(seed, 0x42, sizeof seed);
    assert_int_equal(tl_identity_from_seed(seed, &expected), TL_OK);
    assert_int_equal(tl_seedfile_load(KEY, &loaded, &f->why), TL_OK);
    assert_memory_equal(&loaded, &expected, sizeof loaded);
}

static void a_key_is_made_private_whatever_the_umask(void **state)
{
    fixture *f = *state;
    tl_identity id;
    bool created;
    struct stat st;
    static const mode_t masks[] = {0, 0777};
    for (size_t i = 0; i < 2; i++) {
        mode_t before = umask(masks[i]);
        tl_err e = tl_seedfile_load_or_create(i ? "two" : "one", &f->rand, &id, &created, &f->why);
        umask(before);
        assert_int_equal(e, TL_OK);
        assert_int_equal(stat(i ? "two" : "one", &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
    }
}

/* Both ways in refuse, name the file and say `remedy`, and change nothing. */
static void assert_refused(fixture *f, const char *path, tl_err expected, const char *remedy)
{
    tl_identity id;
    bool created = true;
    size_t files = files_here();
    memset(&id, 0x11, sizeof id);
    tl_identity untouched = id;
    assert_int_equal(tl_seedfile_load(path, &id, &f->why), expected);
    assert_non_null(strstr(f->why.text, path));
    assert_non_null(strstr(f->why.text, remedy));
    memset(&f->why, 0, sizeof f->why);
    assert_int_equal(tl_seedfile_load_or_create(path, &f->rand, &id, &created, &f->why), expected);
    assert_non_null(strstr(f->why.text, remedy));
    assert_true(created);
    assert_memory_equal(&id, &untouched, sizeof id);
    assert_int_equal(files_here(), files);
}

static void any_permission_for_others_is_refused(void **state)
{
    fixture *f = *state;
    tl_identity id;
    struct stat st;
    write_file(KEY, 32, 0600);
    for (mode_t bit = 1; bit <= 040; bit <<= 1) {
        assert_int_equal(chmod(KEY, 0600 | bit), 0);
        assert_refused(f, KEY, TL_ERR_FORBIDDEN, "chmod 600 " KEY);
        assert_int_equal(stat(KEY, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600 | bit);
    }
    assert_int_equal(chmod(KEY, 0600), 0);
    assert_int_equal(tl_seedfile_load(KEY, &id, &f->why), TL_OK);
    assert_int_equal(chmod(KEY, 0400), 0);
    assert_int_equal(tl_seedfile_load(KEY, &id, &f->why), TL_OK);
}

static void a_symbolic_link_is_refused_whatever_it_points_to(void **state)
{
    fixture *f = *state;
    tl_identity id;
    write_file("real", 32, 0600);
    assert_int_equal(symlink("real", KEY), 0);
    assert_refused(f, KEY, TL_ERR_FORBIDDEN, "symbolic link");
    assert_int_equal(tl_seedfile_load("real", &id, &f->why), TL_OK);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_refused(f, "dangling", TL_ERR_FORBIDDEN, "symbolic link");
    assert_int_not_equal(access("nowhere", F_OK), 0);
}

static void anything_but_a_regular_file_is_refused_without_waiting(void **state)
{
    fixture *f = *state;
    assert_int_equal(mkdir("directory", 0700), 0);
    assert_refused(f, "directory", TL_ERR_FORBIDDEN, "not a regular file");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_refused(f, "fifo", TL_ERR_FORBIDDEN, "not a regular file");
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_refused(f, "socket", TL_ERR_FORBIDDEN, "not a regular file");
    close(fd);
    assert_refused(f, "/dev/null", TL_ERR_FORBIDDEN, "not a regular file");
}

static void every_size_but_32_is_refused(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {0, 1, 31, 33, 64, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32], words[32];
        snprintf(name, sizeof name, "key-%zu", sizes[i]);
        snprintf(words, sizeof words, "holds %zu bytes", sizes[i]);
        write_file(name, sizes[i], 0600);
        assert_refused(f, name, TL_ERR_PROTO, words);
    }
}

static void a_key_of_another_user_is_refused(void **state)
{
    fixture *f = *state;
    write_file(KEY, 32, 0600);
    if (chown(KEY, 12345, (gid_t)-1) != 0)
        skip_because("only root can give files away");
    assert_refused(f, KEY, TL_ERR_FORBIDDEN, "chown");
}

static void loading_what_is_not_there_makes_nothing(void **state)
{
    fixture *f = *state;
    tl_identity id;
    assert_int_equal(tl_seedfile_load(KEY, &id, &f->why), TL_ERR_NOT_FOUND);
    assert_non_null(strstr(f->why.text, KEY));
    assert_int_equal(files_here(), 0);
}

static void an_impossible_place_is_an_error_and_leaves_nothing(void **state)
{
    fixture *f = *state;
    tl_identity id;
    bool created;
    char longest[PATH_MAX + 10];
    write_file("file", 32, 0600);
    static const char *const paths[] = {"file/" KEY, "", "new/", "/proc/1/" KEY};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_true(tl_seedfile_load_or_create(paths[i], &f->rand, &id, &created, &f->why) < 0);
        assert_true(strlen(f->why.text) > 0);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_true(tl_seedfile_load_or_create(longest, &f->rand, &id, &created, &f->why) < 0);
    memset(longest, '/', sizeof longest - 20);
    assert_true(tl_seedfile_load_or_create(longest, &f->rand, &id, &created, &f->why) < 0);
    assert_int_equal(files_here(), 1);
}

/* The kernel's file size limit fails a write as a full disk does, after as many bytes as we like.
 */
static void a_write_that_fails_leaves_nothing_half_made(void **state)
{
    fixture *f = *state;
    tl_identity id;
    bool created = false;
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < 32; room += 31) {
        tight = (struct rlimit){.rlim_cur = room, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        tl_err e = tl_seedfile_load_or_create(KEY, &f->rand, &id, &created, &f->why);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(e, TL_ERR_IO);
        assert_non_null(strstr(f->why.text, strerror(EFBIG)));
        assert_int_equal(files_here(), 0);
    }
    assert_int_equal(tl_seedfile_load_or_create(KEY, &f->rand, &id, &created, &f->why), TL_OK);
    assert_true(created);
}

static void processes_that_start_at_once_agree_on_one_key(void **state)
{
    fixture *f = *state;
    enum { PROCESSES = 8, ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        char path[32];
        int start[2], results[2], makers = 0;
        snprintf(path, sizeof path, "round-%d/" KEY, round);
        assert_int_equal(pipe(start), 0);
        assert_int_equal(pipe(results), 0);
        for (int i = 0; i < PROCESSES; i++) {
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid)
                continue;
            struct {
                tl_node_id id;
                uint8_t created, e;
            } r = {0};
            tl_identity id = {0};
            bool created = false;
            char c;
            close(start[1]);
            if (read(start[0], &c, 1) != 0)
                _exit(1); /* its end is the signal to start */
            r.e = tl_seedfile_load_or_create(path, &f->rand, &id, &created, &f->why) != 0;
            r.id = id.id;
            r.created = created;
            _exit(write(results[1], &r, sizeof r) != sizeof r);
        }
        close(start[0]);
        close(start[1]);
        tl_node_id agreed = {0};
        for (int i = 0; i < PROCESSES; i++) {
            struct {
                tl_node_id id;
                uint8_t created, e;
            } r;
            assert_int_equal(read(results[0], &r, sizeof r), sizeof r);
            assert_int_equal(r.e, 0);
            makers += r.created;
            if (i == 0)
                agreed = r.id;
            assert_true(tl_node_id_eq(&agreed, &r.id));
        }
        close(results[0]);
        close(results[1]);
        for (int i = 0; i < PROCESSES; i++)
            assert_true(wait(NULL) > 0);
        assert_int_equal(makers, 1);
        assert_int_equal(chdir(strtok(path, "/")), 0);
        assert_int_equal(files_here(), 1);
        assert_int_equal(chdir(".."), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_a_private_key_and_the_second_finds_it),
        TEST(the_file_holds_the_bare_seed),
        TEST(a_key_is_made_private_whatever_the_umask),
        TEST(any_permission_for_others_is_refused),
        TEST(a_symbolic_link_is_refused_whatever_it_points_to),
        TEST(anything_but_a_regular_file_is_refused_without_waiting),
        TEST(every_size_but_32_is_refused),
        TEST(a_key_of_another_user_is_refused),
        TEST(loading_what_is_not_there_makes_nothing),
        TEST(an_impossible_place_is_an_error_and_leaves_nothing),
        TEST(a_write_that_fails_leaves_nothing_half_made),
        TEST(processes_that_start_at_once_agree_on_one_key),
    };
    if (tl_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
