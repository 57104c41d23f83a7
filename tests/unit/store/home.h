/* home.h - a directory for each test of the store, its files, and the simplest job: one row of the
 * table `joins`. */
#ifndef TL_TEST_STORE_HOME_H
#define TL_TEST_STORE_HOME_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    char dir[64], db[160], wal[192], mark[192];
} home;

/* For cmocka_unit_test_setup_teardown: *state is a home. */
int make_home(void **state);
int remove_home(void **state);
#define IN_HOME(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

typedef struct {
    uint8_t *p;
    size_t n;
    bool there;
} content;

bool is_there(const char *path);
content read_file(const char *path); /* the caller frees `p` */
void write_file(const char *path, const content *c);
void assert_unchanged(const char *path, const content *before);
/* Changes the file as another program does. */
void alter(const char *path, const char *sql);
/* The answer to a query for one number, as another program gets it. */
int64_t number_in(const char *path, const char *sql);

/* Opens it, or the test fails. Who has the file is not waited for. */
tl_store *open_at(const char *path);
/* Waits until jobs have ended, and calls their `done`. */
void collect_next(tl_store *s);
/* Opens it, which must fail. */
tl_err refused_at(const char *path, tl_why *why);

typedef struct {
    tl_store_job job;
    uint8_t key;
    int64_t value;
    tl_err want; /* what `work` returns after it has written */
    int64_t found;
    int *order; /* counts the calls of note_done */
    int came;   /* which of them was this job's; 0: not yet */
    tl_err told;
} row_job;

tl_err write_row(tl_store_job *j, tl_db *db);
tl_err read_row(tl_store_job *j, tl_db *db);
void note_done(tl_store_job *j, tl_err e);
/* Writes a row, and waits. */
tl_err put_row(tl_store *s, uint8_t key, int64_t value);
/* -1: none. */
int64_t row_of(tl_store *s, uint8_t key);
uint64_t commits_of(tl_store *s);

#endif
