#include "api/metrics_part.h"

#include <stdio.h>

void tl_metrics_family(tl_metrics *w, const char *name, const char *type, const char *help)
{
    if (!w->e)
        w->e = tl_buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void tl_metrics_sample(tl_metrics *w, const char *name, const char *labels, double value)
{
    if (!w->e)
        w->e = labels[0] ? tl_buf_printf(w->out, "%s{%s} %.15g\n", name, labels, value)
                         : tl_buf_printf(w->out, "%s %.15g\n", name, value);
}

void tl_metrics_single(tl_metrics *w, const char *name, const char *type, const char *help,
                       double value)
{
    tl_metrics_family(w, name, type, help);
    tl_metrics_sample(w, name, "", value);
}

void tl_metrics_dht(tl_metrics *w, const tl_dht_counts *f)
{
    const tl_dht_counters *c = &f->counters;
    char labels[64];
    tl_metrics_single(w, "teale_dht_ready", "gauge",
                      "1 while this node knows its neighbourhood in the DHT.",
                      f->on && f->report.state == TL_DHT_READY);
    tl_metrics_family(w, "teale_dht_nodes", "gauge", "Nodes of the DHT that this one knows.");
    tl_metrics_sample(w, "teale_dht_nodes", "family=\"ipv4\"", (double)f->report.nodes4);
    tl_metrics_sample(w, "teale_dht_nodes", "family=\"ipv6\"", (double)f->report.nodes6);
    tl_metrics_single(w, "teale_dht_published", "gauge",
                      "1 while this node says there how it is reached.", f->publishes);
    tl_metrics_single(w, "teale_dht_items", "gauge", "Items that this node keeps for others.",
                      (double)f->report.stored);
    tl_metrics_single(w, "teale_dht_items_held", "gauge",
                      "Items that this node keeps alive in the DHT.", (double)f->report.kept);
    tl_metrics_family(w, "teale_dht_bytes_total", "counter", "Bytes of the DHT's datagrams.");
    tl_metrics_sample(w, "teale_dht_bytes_total", "direction=\"in\"", (double)c->bytes_in);
    tl_metrics_sample(w, "teale_dht_bytes_total", "direction=\"out\"", (double)c->bytes_out);
    tl_metrics_family(w, "teale_dht_queries_total", "counter",
                      "Questions to nodes of the DHT, and theirs.");
    tl_metrics_sample(w, "teale_dht_queries_total", "direction=\"in\"", (double)c->queries_in);
    tl_metrics_sample(w, "teale_dht_queries_total", "direction=\"out\"", (double)c->queries_out);
    tl_metrics_single(w, "teale_dht_timeouts_total", "counter", "Questions that nobody answered.",
                      (double)c->timeouts);
    tl_metrics_family(w, "teale_dht_requests_total", "counter", "Items looked for and stored.");
    tl_metrics_sample(w, "teale_dht_requests_total", "result=\"found\"", (double)c->found);
    tl_metrics_sample(w, "teale_dht_requests_total", "result=\"not_found\"", (double)c->not_found);
    tl_metrics_sample(w, "teale_dht_requests_total", "result=\"stored\"", (double)c->stored);
    tl_metrics_sample(w, "teale_dht_requests_total", "result=\"not_stored\"",
                      (double)c->not_stored);
    tl_metrics_family(w, "teale_dht_dropped_total", "counter",
                      "Datagrams of the DHT dropped in silence.");
    for (int i = 0; i < TL_DHT_DROPS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", tl_dht_drop_name((tl_dht_drop)i));
        tl_metrics_sample(w, "teale_dht_dropped_total", labels, (double)c->dropped[i]);
    }
}
