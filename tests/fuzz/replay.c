/* replay.c - feeds every file of the directories named on the command line to one fuzz target, and
 * each of them again cut at every length up to 4 KiB: the corpus as a plain test, without
 * libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CUT_MAX 4096

/* From an exact allocation, so that reading past the end is seen by the address sanitizer. */
static void feed(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int feed_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    static uint8_t data[1 << 20];
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    feed(data, n);
    for (size_t cut = 0; cut < n && cut < CUT_MAX; cut++)
        feed(data, cut);
    return 0;
}

static int feed_directory(const char *dir, size_t *ret_files)
{
    DIR *d = opendir(dir);
    if (!d) {
        perror(dir);
        return -1;
    }
    int rc = 0;
    for (struct dirent *e; (e = readdir(d)) && !rc;) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        rc = feed_file(path);
        (*ret_files)++;
    }
    closedir(d);
    return rc;
}

int main(int argc, char **argv)
{
    size_t files = 0;
    for (int i = 1; i < argc; i++)
        if (feed_directory(argv[i], &files))
            return 1;
    if (!files) {
        fprintf(stderr, "no corpus files\n");
        return 1;
    }
    printf("%zu corpus files replayed\n", files);
    return 0;
}
