/* slots_picture: a day of load on four slots, in virtual time, always the same: the public alone, both
 * classes, the private networks alone, both. Prints a line for each question that ended: minute,
 * class, seconds that it waited, and the units that each class has got. tools/draw-shares makes
 * docs/shares.svg of it. */
#include "slots_load.h"

#include <stdio.h>

#define MARKS 8192

/* Answers of 10 to 4000 tokens, prompts of up to 2000. */
static const load_client clients[] = {{true, 1, 1, 3, 2000, 10, 4000},
                                      {true, 1, 2, 3, 20, 10, 4000},
                                      {true, 2, 3, 3, 200, 10, 4000},
                                      {false, 0, 4, 3, 2000, 10, 4000},
                                      {false, 0, 5, 3, 20, 10, 4000}};
#define CLIENTS (sizeof clients / sizeof *clients)

static const struct {
    unsigned minutes;
    bool private, public;
} phases[] = {{60, false, true}, {150, true, true}, {60, true, false}, {150, true, true}};

int main(void)
{
    static slots_load w;
    static load_mark marks[MARKS];
    tl_time end = 0;
    slots_load_init(&w, 1, 4, TL_NEVER);
    tl_time begun = w.s.env.now;
    w.n_clients = CLIENTS;
    w.marks = marks;
    w.marks_max = MARKS;
    for (size_t p = 0; p < sizeof phases / sizeof *phases; p++) {
        for (size_t c = 0; c < CLIENTS; c++) {
            w.clients[c] = clients[c];
            if (!(clients[c].private ? phases[p].private : phases[p].public))
                w.clients[c].at_once = 0;
        }
        for (end += phases[p].minutes * 60 * TL_SEC; w.s.env.now - begun < end;)
            slots_load_tick(&w);
    }
    if (slots_load_is_full(&w))
        return 1;
    printf("minute,class,waited,private_units,public_units\n");
    for (size_t i = 0; i < w.n_marks; i++)
        printf("%.3f,%s,%.1f,%llu,%llu\n", (double)(marks[i].at - begun) / (double)(60 * TL_SEC),
               marks[i].private ? "private" : "public", (double)marks[i].waited / (double)TL_SEC,
               (unsigned long long)marks[i].served[TL_SCHED_PRIVATE],
               (unsigned long long)marks[i].served[TL_SCHED_PUBLIC]);
    slots_load_clear(&w);
    return 0;
}
