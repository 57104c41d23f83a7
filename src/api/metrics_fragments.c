/* Fragments of backups as Prometheus text: those held for others, and those of this node's own backup. */
#include "api/metrics_part.h"

static void write_held(tl_metrics *w, const tl_holder_counts *c)
{
    tl_metrics_single(w, "teale_fragments_quota_bytes", "gauge",
                      "Room for fragments of other nodes' backups (store_quota).",
                      (double)c->quota);
    tl_metrics_family(w, "teale_fragments_held_bytes", "gauge", "Of it in use, counted in blocks.");
    tl_metrics_sample(w, "teale_fragments_held_bytes", "owner=\"member\"",
                      (double)(c->bytes - c->stranger_bytes));
    tl_metrics_sample(w, "teale_fragments_held_bytes", "owner=\"stranger\"",
                      (double)c->stranger_bytes);
    tl_metrics_single(w, "teale_fragments_held", "gauge", "Fragments held for others.",
                      (double)c->fragments);
    tl_metrics_single(w, "teale_fragments_owners", "gauge", "Nodes that they are held for.",
                      (double)c->owners);
    tl_metrics_family(w, "teale_fragments_held_total", "counter",
                      "What was done with fragments of others.");
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"taken\"", (double)c->taken);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"given\"", (double)c->given);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"proven\"", (double)c->proven);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"deleted\"", (double)c->deleted);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"expired\"", (double)c->expired);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"evicted\"", (double)c->evicted);
    tl_metrics_sample(w, "teale_fragments_held_total", "what=\"lost\"", (double)c->lost);
}

void tl_metrics_fragments(tl_metrics *w, const tl_fragment_counts *f)
{
    write_held(w, &f->held);
    tl_metrics_family(w, "teale_fragments_refused_total", "counter",
                      "Requests of others that were refused, by reason.");
    tl_metrics_sample(w, "teale_fragments_refused_total", "reason=\"full\"",
                      (double)f->held.refused_full);
    tl_metrics_sample(w, "teale_fragments_refused_total", "reason=\"busy\"",
                      (double)f->held.refused_rate);
    tl_metrics_sample(w, "teale_fragments_refused_total", "reason=\"other\"",
                      (double)f->held.refused_other);
    tl_metrics_sample(w, "teale_fragments_refused_total", "reason=\"malformed\"",
                      (double)f->malformed);
    tl_metrics_family(w, "teale_fragments_own", "gauge",
                      "Fragments of this node's own backup, by state.");
    tl_metrics_sample(w, "teale_fragments_own", "state=\"held\"", f->placed);
    tl_metrics_sample(w, "teale_fragments_own", "state=\"silent\"", f->silent);
    tl_metrics_sample(w, "teale_fragments_own", "state=\"wanted\"", f->wanted);
    tl_metrics_family(w, "teale_fragments_challenges_total", "counter",
                      "Proofs that were asked of nodes that hold it.");
    tl_metrics_sample(w, "teale_fragments_challenges_total", "result=\"passed\"",
                      (double)f->own.challenges_passed);
    tl_metrics_sample(w, "teale_fragments_challenges_total", "result=\"failed\"",
                      (double)f->own.challenges_failed);
    tl_metrics_sample(w, "teale_fragments_challenges_total", "result=\"unreached\"",
                      (double)f->own.unreached);
    tl_metrics_single(w, "teale_fragments_placed_total", "counter",
                      "Receipts that nodes signed for it.", (double)f->own.placed);
    tl_metrics_single(w, "teale_fragments_repaired_total", "counter",
                      "Of these, for a fragment that another node had lost.",
                      (double)f->own.repaired);
}
