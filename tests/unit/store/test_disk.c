/* test_disk.c - disks that are full, read-only, or closed to this user. The small disks are real ones
 * (tmpfs), in a mount namespace of this process. */
#include "home.h"

#include "ownnet.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

static bool own_mounts(void)
{
    if (geteuid() != 0 && !own_network()) /* a user namespace, in which this user is root */
        return false;
    return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* A disk of so many KiB at the home's directory, for this process alone. */
static bool small_disk(const home *h, const char *options)
{
    return mount("tmpfs", h->dir, "tmpfs", 0, options) == 0;
}

static int leave_disk(void **state)
{
    const home *h = *state;
    (void)umount(h->dir);
    return remove_home(state);
}

/* Takes all the room that is left. */
static void fill(const home *h)
{
    char path[128], block[4096] = {1};
    snprintf(path, sizeof path, "%s/ballast", h->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void make_room(const home *h)
{
    char path[128];
    snprintf(path, sizeof path, "%s/ballast", h->dir);
    assert_int_equal(remove(path), 0);
}

typedef struct {
    tl_store_job job;
    uint8_t key[32];
    int *order;
    int came;
    tl_err told;
} big_job;

/* 3000 bytes: the log grows by more than a page. */
static tl_err write_big(tl_store_job *j, tl_db *db)
{
    big_job *b = (big_job *)j;
    static char text[3001];
    memset(text, 'x', sizeof text - 1);
    return tl_db_run(db, "INSERT INTO joins VALUES (?, ?, '', 0)",
                     TL_DB_WITH(tl_db_bytes(b->key, sizeof b->key), tl_db_text(text)));
}

static void note(tl_store_job *j, tl_err e)
{
    big_job *b = (big_job *)j;
    b->told = e;
    b->came++;
}

static tl_err put_big(tl_store *s, unsigned number, tl_why *why)
{
    big_job b = {.job.work = write_big,
                 .key = {[0] = (uint8_t)number, [1] = (uint8_t)(number >> 8)}};
    tl_err e = tl_store_do(s, &b.job);
    *why = b.job.why;
    return e;
}

static void a_full_disk_stores_nothing_says_so_and_the_store_goes_on(void **state)
{
    const home *h = *state;
    tl_why why;
    tl_store_state st;
    if (!small_disk(h, "size=1m"))
        skip_because("no mount namespace: this needs user namespaces or root");
    tl_store *s = open_at(h->db);
    unsigned n = 0;
    assert_int_equal(put_big(s, n++, &why), TL_OK);
    fill(h);
    tl_err e;
    while (!(e = put_big(s, n, &why))) /* until the log has to grow */
        n++;
    assert_int_equal(e, TL_ERR_IO);
    assert_non_null(strstr(why.text, "Free some space"));
    tl_store_state_of(s, &st);
    assert_true(st.failing);
    assert_non_null(strstr(st.cause, "the disk is full"));

    big_job many[20]; /* one transaction: all or none of it is acknowledged */
    for (unsigned i = 0; i < 20; i++) {
        many[i] =
            (big_job){.job = {.work = write_big, .done = note}, .key = {[0] = (uint8_t)i, [2] = 1}};
        tl_store_submit(s, &many[i].job);
    }
    row_job last = {.job.work = read_row};
    (void)!tl_store_do(s, &last.job); /* it may share their transaction, and then their fate */
    tl_store_collect(s);
    assert_int_equal(row_of(s, 99), -1); /* reading goes on, and does not hide it */
    tl_store_state_of(s, &st);
    assert_true(st.failing);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(many[i].came, 1);
        assert_int_equal(many[i].told, TL_ERR_IO);
        assert_non_null(strstr(many[i].job.why.text, "Free some space"));
    }

    make_room(h);
    assert_int_equal(put_big(s, n, &why), TL_OK);
    tl_store_state_of(s, &st);
    assert_false(st.failing);
    assert_string_equal(st.cause, "");
    tl_store_close(s);
    tl_store_close(open_at(h->db));
    assert_int_equal(number_in(h->db, "SELECT count(*) FROM joins"), n + 1);
}

/* Two jobs of one transaction write the same row: *ret is what each was told. */
static void put_twice(tl_store *s, unsigned number, tl_err ret[2])
{
    big_job two[2];
    for (int i = 0; i < 2; i++) {
        two[i] = (big_job){.job = {.work = write_big, .done = note, .may_wait_ms = 100},
                           .key = {[0] = (uint8_t)number, [2] = 2}};
        tl_store_submit(s, &two[i].job);
    }
    while (!tl_store_is_idle(s))
        tl_store_collect(s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(two[i].came, 1);
        ret[i] = two[i].told;
    }
}

static void nobody_is_told_that_a_row_exists_which_the_disk_did_not_take(void **state)
{
    const home *h = *state;
    tl_why why;
    tl_err told[2];
    unsigned n = 0;
    if (!small_disk(h, "size=1m"))
        skip_because("no mount namespace: this needs user namespaces or root");
    tl_store *s = open_at(h->db);
    fill(h);
    while (!put_big(s, n, &why)) /* until the log has to grow */
        n++;
    put_twice(s, 1, told);
    assert_int_equal(told[0], TL_ERR_IO);
    assert_int_equal(told[1], TL_ERR_IO);
    make_room(h);
    put_twice(s, 1, told);
    assert_int_equal(told[0], TL_OK);
    assert_int_equal(told[1], TL_ERR_EXISTS);
    tl_store_close(s);
}

static void what_was_stored_is_there_when_a_node_is_killed_on_a_full_disk(void **state)
{
    const home *h = *state;
    int fd[2], status;
    unsigned stored = 0;
    if (!small_disk(h, "size=1m"))
        skip_because("no mount namespace: this needs user namespaces or root");
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tl_why why;
        tl_store *s = open_at(h->db);
        for (unsigned n = 0; !put_big(s, n, &why); n++)
            if (n == 0)
                fill(h);
            else if (write(fd[1], "", 1) != 1)
                _exit(1);
        raise(SIGKILL);
    }
    close(fd[1]);
    for (char c; read(fd[0], &c, 1) == 1;)
        stored++;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    make_room(h);
    tl_store_close(open_at(h->db));
    assert_true(number_in(h->db, "SELECT count(*) FROM joins") >= stored + 1);
}

static void a_store_is_not_half_made_on_a_full_disk(void **state)
{
    const home *h = *state;
    tl_why why;
    if (!small_disk(h, "size=64k"))
        skip_because("no mount namespace: this needs user namespaces or root");
    fill(h);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "Free some space"));
    assert_false(is_there(h->db));
    assert_false(is_there(h->mark));
    make_room(h);
    assert_int_equal(umount(h->dir), 0);
    assert_true(small_disk(h, "size=1m"));
    tl_store_close(open_at(h->db));
}

static void a_read_only_disk_is_refused_with_the_remedy(void **state)
{
    const home *h = *state;
    tl_why why;
    if (!small_disk(h, "size=1m"))
        skip_because("no mount namespace: this needs user namespaces or root");
    tl_store_close(open_at(h->db));
    assert_int_equal(mount("tmpfs", h->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(refused_at(h->db, &why), TL_ERR_IO);
    assert_non_null(strstr(why.text, "mounted read-only"));
    assert_int_equal(mount("tmpfs", h->dir, "tmpfs", MS_REMOUNT, NULL), 0);
    tl_store_close(open_at(h->db));
}

/* As another user than root, whom no mode stops. */
static bool closed_to_us(const char *path)
{
    pid_t child = fork();
    int status;
    if (child == 0) {
        tl_why why = {""};
        if (geteuid() == 0 && (setegid(65534) || seteuid(65534)))
            _exit(2);
        tl_err e = refused_at(path, &why);
        _exit(e == TL_ERR_IO && strstr(why.text, "correct the owner and the mode") ? 0 : 1);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static void a_directory_or_file_that_is_closed_to_us_is_refused_with_the_remedy(void **state)
{
    const home *h = *state;
    tl_store_close(open_at(h->db));
    assert_int_equal(chmod(h->dir, 0555), 0);
    assert_true(closed_to_us(h->db)); /* no log can be made beside it */
    if (geteuid() == 0) {
        assert_int_equal(chmod(h->dir, 0777), 0);
        assert_true(closed_to_us(h->db)); /* the file itself is root's */
    }
    assert_int_equal(chmod(h->dir, 0700), 0);
    tl_store_close(open_at(h->db));
}

/* The file of another umask, or a copy, is closed to others. */
static void a_file_that_others_may_read_is_closed_to_them(void **state)
{
    const home *h = *state;
    struct stat st;
    tl_store_close(open_at(h->db));
    assert_int_equal(chmod(h->db, 0644), 0);
    tl_store_close(open_at(h->db));
    assert_int_equal(stat(h->db, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

int main(void)
{
    (void)own_mounts();
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, make_home, leave_disk)
    const struct CMUnitTest tests[] = {
        ON_DISK(a_full_disk_stores_nothing_says_so_and_the_store_goes_on),
        ON_DISK(nobody_is_told_that_a_row_exists_which_the_disk_did_not_take),
        ON_DISK(what_was_stored_is_there_when_a_node_is_killed_on_a_full_disk),
        ON_DISK(a_store_is_not_half_made_on_a_full_disk),
        ON_DISK(a_read_only_disk_is_refused_with_the_remedy),
        IN_HOME(a_directory_or_file_that_is_closed_to_us_is_refused_with_the_remedy),
        IN_HOME(a_file_that_others_may_read_is_closed_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
