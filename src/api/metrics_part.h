/* metrics_part.h - writes Prometheus text: families, samples, and what makes a page of its own. Appends to a
 * buffer and touches nothing else. */
#ifndef TL_API_METRICS_PART_H
#define TL_API_METRICS_PART_H

#include "node/facts.h"

typedef struct {
    tl_buf *out;
    tl_err e; /* the first error; nothing is written after it */
} tl_metrics;

void tl_metrics_family(tl_metrics *w, const char *name, const char *type, const char *help);
/* `labels` is the text between the braces; "" = no labels. */
void tl_metrics_sample(tl_metrics *w, const char *name, const char *labels, double value);
/* A family with one sample that has no labels. */
void tl_metrics_single(tl_metrics *w, const char *name, const char *type, const char *help,
                       double value);

void tl_metrics_dht(tl_metrics *w, const tl_dht_counts *f);
/* metrics_fragments.c */
void tl_metrics_fragments(tl_metrics *w, const tl_fragment_counts *f);
/* metrics_relaying.c */
void tl_metrics_relaying(tl_metrics *w, const tl_node_facts *f);
/* metrics_lan.c */
void tl_metrics_lan(tl_metrics *w, const tl_lan_counts *f);

#endif
