/* coredump.h - keeps this process's memory off every disk. Touches nothing but the process's own
 * limits. */
#ifndef TL_IO_COREDUMP_H
#define TL_IO_COREDUMP_H

/* From now on the process leaves no core file, and no other process of the same user may read its
 * memory. A failure is logged: the program works without. */
void tl_coredump_forbid(void);

#endif
