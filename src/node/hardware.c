#include "node/hardware.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GIB 1073741824.0

/* The value of the first line that begins with `key` and then, after blanks, ':'. */
static tl_slice line_value(const char *text, const char *key)
{
    size_t key_n = strlen(key);
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t n = end ? (size_t)(end - line) : strlen(line);
        const char *colon = memchr(line, ':', n);
        if (colon && strncmp(line, key, key_n) == 0 &&
            strspn(line + key_n, " \t") == (size_t)(colon - line) - key_n) {
            const char *v = colon + 1;
            while (v < line + n && (*v == ' ' || *v == '\t'))
                v++;
            const char *last = line + n;
            while (last > v && (last[-1] == ' ' || last[-1] == '\t' || last[-1] == '\r'))
                last--;
            return tl_slice_of(v, (size_t)(last - v));
        }
        line = end ? end + 1 : NULL;
    }
    return tl_slice_of(NULL, 0);
}

/* Copies printable ASCII only: other people's terminals show the name. */
static void copy_name(char *ret, size_t cap, tl_slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n + 1 < cap; i++)
        if (s.p[i] >= 0x20 && s.p[i] < 0x7f)
            ret[n++] = (char)s.p[i];
    ret[n] = 0;
}

static double tenths(double gib)
{
    return round(gib * 10) / 10;
}

static double parse_ram(const char *meminfo)
{
    tl_slice v = line_value(meminfo, "MemTotal");
    char text[32];
    copy_name(text, sizeof text, v);
    return tenths(strtod(text, NULL) * 1024 / GIB); /* the kernel counts in KiB */
}

static void parse_cpu(const char *cpuinfo, tl_hardware *h)
{
    tl_slice vendor = line_value(cpuinfo, "vendor_id");
    const char *family = "unknown";
    if (tl_slice_eq(vendor, TL_SLICE_LIT("GenuineIntel")))
        family = "intelCPU";
    else if (tl_slice_eq(vendor, TL_SLICE_LIT("AuthenticAMD")))
        family = "amdCPU";
    else if (line_value(cpuinfo, "CPU implementer").n)
        family = "armGeneric";
    snprintf(h->chip_family, sizeof h->chip_family, "%s", family);
    tl_slice name = line_value(cpuinfo, "model name");
    if (!name.n)
        name = line_value(cpuinfo, "Model"); /* small ARM boards name the board */
    copy_name(h->chip_name, sizeof h->chip_name, name);
}

/* The card with the most memory describes the machine. A card whose memory is unknown counts more
 * than no card. */
static void parse_gpu(const tl_sysinfo_gpu *gpu, tl_hardware *h)
{
    bool nvidia = gpu->information[0] != 0;
    double vram = strtod(gpu->vram, NULL) / GIB;
    /* Integrated AMD graphics take a little RAM for themselves: a model cannot use that as a
     * card. */
    bool amd = strncmp(gpu->vendor, "0x1002", 6) == 0 && vram >= 2;
    if (!nvidia && !amd)
        return;
    if (h->gpu_backend[0] && vram <= h->gpu_vram_gb)
        return;
    h->gpu_vram_gb = tenths(vram);
    snprintf(h->gpu_backend, sizeof h->gpu_backend, "%s", nvidia ? "cuda" : "rocm");
    snprintf(h->chip_family, sizeof h->chip_family, "%s", nvidia ? "nvidiaGPU" : "amdGPU");
    if (nvidia)
        copy_name(h->chip_name, sizeof h->chip_name, line_value(gpu->information, "Model"));
}

/* The tier: a backbone (1) can hold a large model, a desktop (2) a useful one. */
static int tier_of(const tl_hardware *h)
{
    if (h->gpu_vram_gb >= 16 || h->ram_gb >= 64)
        return 1;
    if (h->gpu_backend[0] || h->ram_gb >= 8)
        return 2;
    return h->ram_gb >= 4 ? 3 : 4;
}

void tl_hardware_parse(const tl_sysinfo *info, tl_hardware *ret_hardware)
{
    tl_hardware h = {.ram_gb = parse_ram(info->meminfo)};
    parse_cpu(info->cpuinfo, &h);
    for (size_t i = 0; i < info->n_gpus; i++)
        parse_gpu(&info->gpus[i], &h);
    h.tier = tier_of(&h);
    *ret_hardware = h;
}

double tl_hardware_model_gb(const tl_hardware *h)
{
    double most = h->gpu_vram_gb > h->ram_gb ? h->gpu_vram_gb : h->ram_gb;
    return tenths(most * 0.75); /* a quarter for context, the server and the system */
}

json_t *tl_hardware_json(const tl_hardware *h)
{
    /* Other programs' decoders require all fields: they are 0 where Linux does not tell. */
    json_t *o = json_pack("{s:s, s:s, s:f, s:i, s:f, s:i, s:s}", "chipFamily", h->chip_family,
                          "chipName", h->chip_name[0] ? h->chip_name : "unknown", "totalRAMGB",
                          h->ram_gb, "gpuCoreCount", 0, "memoryBandwidthGBs", 0.0, "tier", h->tier,
                          "platform", "linux");
    int bad = !o;
    if (!bad && h->gpu_backend[0])
        bad = json_object_set_new(o, "gpuBackend", json_string(h->gpu_backend));
    if (!bad && h->gpu_vram_gb > 0)
        bad = json_object_set_new(o, "gpuVRAMGB", json_real(h->gpu_vram_gb));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *tl_capabilities_json(const tl_capabilities *c)
{
    json_t *hardware = tl_hardware_json(c->hardware);
    json_t *models = json_array();
    if (!hardware || !models)
        goto failed;
    for (size_t i = 0; i < c->n_models; i++)
        if (tl_utf8_is(tl_slice_str(c->models[i])) &&
            json_array_append_new(models, json_string(c->models[i])))
            goto failed;
    json_t *ptns = c->ptns ? json_incref((json_t *)(uintptr_t)c->ptns) : json_array();
    json_t *o = json_pack("{s:o, s:o, s:f, s:b, s:o, s:I, s:b, s:O*, s:O*, s:O*, s:O*, s:O*}",
                          "hardware", hardware, "loadedModels", models, "maxModelSizeGB",
                          tl_hardware_model_gb(c->hardware), "isAvailable", c->available, "ptnIDs",
                          ptns, "maxConcurrentRequests", (json_int_t)c->requests_max, "relayFirst",
                          1, "bids", c->bids, "relay", c->relay, "relayedBy", c->relayed_by,
                          "introduces", c->introduces, "introducedBy", c->introduced_by);
    if (o && ((c->members_only && json_object_set_new(o, "membersOnly", json_true())) ||
              (c->fragments && json_object_set_new(o, "fragments", json_true())) ||
              (c->paused && json_object_set_new(o, "paused", json_true())))) {
        json_decref(o);
        return NULL;
    }
    return o;
failed:
    json_decref(hardware);
    json_decref(models);
    return NULL;
}
