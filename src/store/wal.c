#include "store/wal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAGIC       0x377f0682u /* its lowest bit: the words of checksums are big-endian */
#define HEADER_SIZE 32
#define FRAME_SIZE  24
#define PAGE_MAX    65536

typedef struct {
    uint32_t a, b;
    bool big_endian;
} checksum;

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void add(checksum *c, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        c->a += (c->big_endian ? be32(p + i) : le32(p + i)) + c->b;
        c->b += (c->big_endian ? be32(p + i + 4) : le32(p + i + 4)) + c->a;
    }
}

static bool is(const checksum *c, const uint8_t *p)
{
    return be32(p) == c->a && be32(p + 4) == c->b;
}

static bool page_size_is(uint32_t n)
{
    return n >= 512 && n <= PAGE_MAX && (n & (n - 1)) == 0;
}

static uint64_t count(FILE *f, uint8_t *page)
{
    uint8_t header[HEADER_SIZE], frame[FRAME_SIZE];
    uint64_t commits = 0;
    checksum c = {0, 0, false};
    if (fread(header, 1, sizeof header, f) != sizeof header || (be32(header) & ~1u) != MAGIC)
        return 0;
    uint32_t size = be32(header + 8);
    c.big_endian = be32(header) & 1;
    add(&c, header, 24);
    if (!page_size_is(size) || !is(&c, header + 24))
        return 0;
    while (fread(frame, 1, sizeof frame, f) == sizeof frame && fread(page, 1, size, f) == size) {
        add(&c, frame, 8);
        add(&c, page, size);
        if (memcmp(frame + 8, header + 16, 8) != 0 || !is(&c, frame + 16))
            break;
        commits += be32(frame + 4) != 0;
    }
    return commits;
}

tl_err tl_wal_commits(const char *path, uint64_t *ret_commits)
{
    FILE *f = fopen(path, "rbe");
    if (!f && errno != ENOENT)
        return TL_ERR_IO;
    uint8_t *page = f ? malloc(PAGE_MAX) : NULL;
    tl_err e = f && !page ? TL_ERR_NOMEM : TL_OK;
    uint64_t commits = page ? count(f, page) : 0;
    if (f && ferror(f))
        e = TL_ERR_IO;
    free(page);
    if (f)
        fclose(f);
    if (!e)
        *ret_commits = commits;
    return e;
}

bool tl_wal_fits(uint64_t base, uint64_t in_log, uint64_t total)
{
    return base <= total && total - base <= in_log;
}
