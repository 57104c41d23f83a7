#include "io/sysinfo.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads the first cap - 1 bytes of a file. NULs become spaces, so that the text is one string. */
static void read_text(const char *path, char *ret, size_t cap)
{
    ret[0] = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    size_t n = fread(ret, 1, cap - 1, f);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        if (!ret[i])
            ret[i] = ' ';
    ret[n] = 0;
}

static void read_under(const char *dir, const char *name, char *ret, size_t cap)
{
    char path[PATH_MAX];
    ret[0] = 0;
    if ((size_t)snprintf(path, sizeof path, "%s%s", dir, name) < sizeof path)
        read_text(path, ret, cap);
}

/* Makes one entry for each directory that matches; `fill` reads its files. */
static void each_gpu(const char *root, const char *pattern, tl_sysinfo *info,
                     void (*fill)(const char *dir, tl_sysinfo_gpu *gpu))
{
    char full[PATH_MAX];
    if ((size_t)snprintf(full, sizeof full, "%s%s", root, pattern) >= sizeof full)
        return;
    glob_t found;
    if (glob(full, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc && info->n_gpus < TL_SYSINFO_GPU_MAX; i++) {
        tl_sysinfo_gpu *gpu = &info->gpus[info->n_gpus++];
        memset(gpu, 0, sizeof *gpu);
        fill(found.gl_pathv[i], gpu);
    }
    globfree(&found);
}

static void fill_nvidia(const char *dir, tl_sysinfo_gpu *gpu)
{
    read_under(dir, "/information", gpu->information, sizeof gpu->information);
}

static void fill_drm(const char *dir, tl_sysinfo_gpu *gpu)
{
    read_under(dir, "/device/vendor", gpu->vendor, sizeof gpu->vendor);
    read_under(dir, "/device/mem_info_vram_total", gpu->vram, sizeof gpu->vram);
}

void tl_sysinfo_read(const char *root, tl_sysinfo *ret_info)
{
    ret_info->n_gpus = 0;
    read_under(root, "/proc/meminfo", ret_info->meminfo, sizeof ret_info->meminfo);
    read_under(root, "/proc/cpuinfo", ret_info->cpuinfo, sizeof ret_info->cpuinfo);
    each_gpu(root, "/proc/driver/nvidia/gpus/*", ret_info, fill_nvidia);
    each_gpu(root, "/sys/class/drm/card[0-9]", ret_info, fill_drm);
}

/* `group` is the control group's path, "" for the topmost. */
static uint64_t group_limit(const char *root, const char *group)
{
    char path[PATH_MAX], text[32];
    if ((size_t)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group) >= sizeof path)
        return UINT64_MAX;
    read_under(root, path, text, sizeof text);
    return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

void tl_sysinfo_read_memory(const char *root, tl_sysinfo_memory *ret_memory)
{
    char group[1024];
    read_under(root, "/proc/self/cgroup", group, sizeof group);
    char *own = strstr(group, "0::/"); /* version 2 has this one line */
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    tl_sysinfo_memory m = {.machine = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0,
                           .group = group_limit(root, "")};
    if (own) {
        own += 3;
        own[strcspn(own, "\n")] = 0;
        for (char *slash; (slash = strrchr(own, '/')); *slash = 0) {
            uint64_t limit = group_limit(root, own);
            m.group = limit < m.group ? limit : m.group;
        }
    }
    *ret_memory = m;
}
