/* hardware.h - what this machine can do for others, as the `capabilities` of docs/protocol.md.
 * Pure: reads texts that io/sysinfo has read, and never touches a file. */
#ifndef TL_NODE_HARDWARE_H
#define TL_NODE_HARDWARE_H

#include "base/json.h"
#include "io/sysinfo.h"

typedef struct {
    char chip_family[16]; /* nvidiaGPU amdGPU intelCPU amdCPU armGeneric unknown */
    char chip_name[96];   /* "" = unknown */
    double ram_gb;        /* GiB to one decimal; 0 = unknown */
    double gpu_vram_gb;   /* 0 = none, or the driver does not say */
    char gpu_backend[8];  /* "cuda", "rocm"; "" = none */
    int tier;             /* 1 backbone, 2 desktop, 3 tablet, 4 leaf */
} tl_hardware;

/* Accepts any text. A value that cannot be read is unknown. */
void tl_hardware_parse(const tl_sysinfo *info, tl_hardware *ret_hardware);

/* The largest model, in GiB, that fits beside the rest of the system. */
double tl_hardware_model_gb(const tl_hardware *h);

/* `hardware` of the capabilities. NULL: out of memory. */
json_t *tl_hardware_json(const tl_hardware *h);

typedef struct {
    const tl_hardware *hardware;
    const char *const *models; /* the models that others may ask now */
    size_t n_models;
    bool available; /* this node takes questions from others */
    uint32_t requests_max;
    const json_t *bids;  /* for the public, while nothing runs (market/bid.h); NULL: all is free */
    const json_t *ptns;  /* the networks, or the tags in their place; NULL: none */
    const json_t *relay; /* where and for whom it relays; NULL: it does not */
    const json_t *relayed_by;    /* the nodes that relay for it; NULL: none */
    const json_t *introduces;    /* where it introduces others; NULL: it does not */
    const json_t *introduced_by; /* the nodes that introduce it; NULL: none */
    bool fragments;              /* it holds fragments of others' backups */
    bool members_only;           /* it takes them from members of its networks alone */
    bool paused;                 /* it shares models, and its owner has taken the machine back */
} tl_capabilities;

/* The JSON object; NULL: out of memory. Names that are not UTF-8 are left out. */
json_t *tl_capabilities_json(const tl_capabilities *c);

#endif
