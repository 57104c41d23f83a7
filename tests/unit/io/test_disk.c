/* Bytes that shall be on the disk: written whole, made once, and named for good. */
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    char dir[64], file[80];
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/test_disk.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->file, sizeof p->file, "%s/file", p->dir);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    (void)unlink(p->file);
    int rc = rmdir(p->dir);
    free(p);
    return rc;
}

static void a_file_is_whole_and_its_owners_alone_whatever_the_umask(void **state)
{
    place *p = *state;
    struct stat st;
    char got[8] = "";
    mode_t before = umask(0777);
    bool made = tl_disk_make(AT_FDCWD, p->file, TL_SLICE_LIT("bytes"));
    umask(before);
    assert_true(made);
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    int fd = open(p->file, O_RDONLY);
    assert_int_equal(read(fd, got, sizeof got), 5);
    assert_string_equal(got, "bytes");
    close(fd);
}

static void a_file_is_made_below_the_directory_that_is_named(void **state)
{
    place *p = *state;
    int dir = open(p->dir, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    assert_true(tl_disk_make(dir, "file", TL_SLICE_LIT("")));
    close(dir);
    assert_int_equal(access(p->file, F_OK), 0);
}

static void a_file_that_is_there_is_not_replaced(void **state)
{
    place *p = *state;
    struct stat st;
    assert_true(tl_disk_make(AT_FDCWD, p->file, TL_SLICE_LIT("old")));
    assert_false(tl_disk_make(AT_FDCWD, p->file, TL_SLICE_LIT("newer")));
    assert_int_equal(errno, EEXIST);
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_size, 3);
}

static void half_a_file_is_removed_and_the_cause_is_told(void **state)
{
    place *p = *state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){3, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool made = tl_disk_make(AT_FDCWD, p->file, TL_SLICE_LIT("four"));
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(made);
    assert_int_equal(error, EFBIG);
    assert_int_not_equal(access(p->file, F_OK), 0);
    assert_true(tl_disk_make(AT_FDCWD, p->file, TL_SLICE_LIT("four")));
}

/* A pipe holds 65536 bytes; a signal in the middle of a write that waits makes it return with a part. */
static void on_alarm(int signo)
{
    (void)signo;
}

static void what_one_call_cannot_write_is_written_by_the_next(void **state)
{
    (void)state;
    static uint8_t big[1 << 20];
    struct sigaction act = {.sa_handler = on_alarm}, before; /* no SA_RESTART */
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    sigaction(SIGUSR1, &act, &before);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        size_t n = 0;
        ssize_t k;
        close(ends[1]);
        for (int i = 0; i < 20; i++) { /* the other one waits in a write: the pipe is full */
            int held = 0;
            while (held < fcntl(ends[0], F_GETPIPE_SZ))
                if (sched_yield() || ioctl(ends[0], FIONREAD, &held))
                    _exit(2);
            kill(getppid(), SIGUSR1);
            if ((k = read(ends[0], big, 8192)) <= 0)
                _exit(3);
            n += (size_t)k;
        }
        while ((k = read(ends[0], big, sizeof big)) > 0)
            n += (size_t)k;
        _exit(n == sizeof big ? 0 : 1);
    }
    close(ends[0]);
    assert_true(tl_disk_write(ends[1], tl_slice_of(big, sizeof big)));
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    sigaction(SIGUSR1, &before, NULL);
    assert_int_equal(status, 0);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    assert_false(tl_disk_write(full, TL_SLICE_LIT("x")));
    assert_int_equal(errno, ENOSPC);
    assert_true(tl_disk_write(full, TL_SLICE_LIT("")));
    close(full);
}

static void the_directory_of_any_path_can_be_synced(void **state)
{
    place *p = *state;
    assert_true(tl_disk_sync(p->dir));
    assert_true(tl_disk_sync_above(p->file));
    assert_true(tl_disk_sync_above("/file"));
    assert_true(tl_disk_sync_above("file"));
    assert_false(tl_disk_sync_above("/nonexistent/file"));
    assert_int_equal(errno, ENOENT);
    assert_false(tl_disk_sync_above("/dev/null/file"));
    assert_int_equal(errno, ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_whole_and_its_owners_alone_whatever_the_umask,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_file_is_made_below_the_directory_that_is_named,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_file_that_is_there_is_not_replaced, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(half_a_file_is_removed_and_the_cause_is_told, make_place,
                                        remove_place),
        cmocka_unit_test(what_one_call_cannot_write_is_written_by_the_next),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test_setup_teardown(the_directory_of_any_path_can_be_synced, make_place,
                                        remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
