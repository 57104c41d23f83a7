/* sysinfo.h - reads what the kernel says of this machine, as raw text: memory, processor, graphics
 * cards. Reads files under a given root and interprets none of them. */
#ifndef TL_IO_SYSINFO_H
#define TL_IO_SYSINFO_H

#include <stddef.h>
#include <stdint.h>

#define TL_SYSINFO_MEMINFO_MAX 4096
#define TL_SYSINFO_CPUINFO_MAX 16384 /* enough: all processors are like the first */
#define TL_SYSINFO_GPU_MAX     16    /* more cards than a board has room for */

/* Texts end in NUL and are cut to their room; "" if the file is absent. */
typedef struct {
    char information[1024]; /* /proc/driver/nvidia/gpus/?/information */
    char vendor[16];        /* /sys/class/drm/card?/device/vendor: "0x1002" */
    char vram[32];          /* .../mem_info_vram_total: bytes */
} tl_sysinfo_gpu;

typedef struct {
    char meminfo[TL_SYSINFO_MEMINFO_MAX];
    char cpuinfo[TL_SYSINFO_CPUINFO_MAX];
    size_t n_gpus;
    tl_sysinfo_gpu gpus[TL_SYSINFO_GPU_MAX];
} tl_sysinfo;

/* `root` "" is this machine; a test gives a directory that looks like one. A text that cannot be
 * read stays empty, so the call cannot fail. */
void tl_sysinfo_read(const char *root, tl_sysinfo *ret_info);

/* Bytes of memory that this process can have. */
typedef struct {
    uint64_t machine;
    uint64_t group; /* the least limit of its control groups, which a container and a service with
                       MemoryMax= have; UINT64_MAX: none */
} tl_sysinfo_memory;
/* `root` is where the control groups are looked for. */
void tl_sysinfo_read_memory(const char *root, tl_sysinfo_memory *ret_memory);

#endif
