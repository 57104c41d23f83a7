/* The local network as Prometheus text: who is found there, and what goes by TCP. */
#include "api/metrics_part.h"

#include <stdio.h>

static void write_discovery(tl_metrics *w, const tl_lan_counts *f)
{
    const tl_mdns_report *d = &f->discovery;
    char labels[48];
    tl_metrics_family(w, "teale_lan_discovery", "gauge",
                      "1 for how nodes are found on the local network.");
    for (tl_mdns_state s = TL_MDNS_STARTING; s <= TL_MDNS_FAILED; s++) {
        snprintf(labels, sizeof labels, "by=\"%s\"", tl_mdns_state_name(s));
        tl_metrics_sample(w, "teale_lan_discovery", labels, f->on && d->state == s);
    }
    tl_metrics_single(w, "teale_lan_announced", "gauge",
                      "1 while this node is announced on the local network.", d->name[0] != 0);
    tl_metrics_single(w, "teale_lan_services", "gauge",
                      "Announcements that are looked at: one for each interface and IP family.",
                      (double)d->services);
    tl_metrics_single(w, "teale_lan_nodes", "gauge", "Nodes that are found there.",
                      (double)f->nodes);
    tl_metrics_family(w, "teale_lan_nodes_total", "counter", "Nodes that came and went.");
    tl_metrics_sample(w, "teale_lan_nodes_total", "what=\"found\"", (double)f->found.found);
    tl_metrics_sample(w, "teale_lan_nodes_total", "what=\"gone\"", (double)f->found.gone);
    tl_metrics_family(w, "teale_lan_dropped_total", "counter",
                      "Announcements that were not followed, by reason.");
    tl_metrics_sample(w, "teale_lan_dropped_total", "reason=\"malformed\"", (double)d->malformed);
    tl_metrics_sample(w, "teale_lan_dropped_total", "reason=\"silent\"", (double)d->silent);
    tl_metrics_sample(w, "teale_lan_dropped_total", "reason=\"full\"",
                      (double)(d->dropped + f->found.refused));
    tl_metrics_sample(w, "teale_lan_dropped_total", "reason=\"off_link\"",
                      (double)f->found.off_link);
    tl_metrics_sample(w, "teale_lan_dropped_total", "reason=\"own\"", (double)f->found.own);
    tl_metrics_single(w, "teale_lan_renamed_total", "counter",
                      "Times that somebody else had this node's name.", (double)d->renamed);
}

static void write_tcp(tl_metrics *w, const tl_lan_counts *f)
{
    const tl_lantcp_counters *c = &f->tcp;
    char labels[48];
    tl_metrics_family(w, "teale_lan_pipes", "gauge",
                      "Connections by TCP, and those of them whose far end is proven.");
    tl_metrics_sample(w, "teale_lan_pipes", "state=\"open\"", (double)f->pipes);
    tl_metrics_sample(w, "teale_lan_pipes", "state=\"proven\"", (double)f->pipes_proven);
    tl_metrics_family(w, "teale_lan_pipes_total", "counter", "Connections by TCP that began.");
    tl_metrics_sample(w, "teale_lan_pipes_total", "side=\"ours\"", (double)c->dialled);
    tl_metrics_sample(w, "teale_lan_pipes_total", "side=\"theirs\"", (double)c->accepted);
    tl_metrics_family(w, "teale_lan_pipe_ends_total", "counter", "Why they ended.");
    for (tl_lantcp_end e = 0; e < TL_LANTCP_ENDS; e++) {
        snprintf(labels, sizeof labels, "why=\"%s\"", tl_lantcp_end_name(e));
        tl_metrics_sample(w, "teale_lan_pipe_ends_total", labels, (double)c->ends[e]);
    }
    tl_metrics_family(w, "teale_lan_tcp_bytes_total", "counter", "Bytes of datagrams by TCP.");
    tl_metrics_sample(w, "teale_lan_tcp_bytes_total", "direction=\"in\"", (double)c->bytes_in);
    tl_metrics_sample(w, "teale_lan_tcp_bytes_total", "direction=\"out\"", (double)c->bytes_out);
    tl_metrics_single(w, "teale_lan_tcp_dropped_total", "counter",
                      "Datagrams for which there was no room.", (double)c->dropped);
}

void tl_metrics_lan(tl_metrics *w, const tl_lan_counts *f)
{
    write_discovery(w, f);
    write_tcp(w, f);
    tl_metrics_family(w, "teale_lan_connects_total", "counter",
                      "Connections to nodes that were found there, without being asked for.");
    tl_metrics_sample(w, "teale_lan_connects_total", "result=\"tried\"", (double)f->tried.tried);
    tl_metrics_sample(w, "teale_lan_connects_total", "result=\"failed\"", (double)f->tried.failed);
    tl_metrics_sample(w, "teale_lan_connects_total", "result=\"met\"", (double)f->tried.met);
}
