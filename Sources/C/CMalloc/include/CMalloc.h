// What a relay wants of the C library's allocator, where that can be told.
#ifndef CULVERT_MALLOC_H
#define CULVERT_MALLOC_H

/// Lets buffers of up to a MiB come from the heap that is there, and the heap keep a few of them.
///
/// glibc fetches blocks from 128 KiB on from the kernel and gives them back, each time: two system calls and a page fault
/// for every 4 KiB of each large read.
void culvert_tune_malloc(void);

/// Gives the pages back that nothing is in, also those between what is in use.
void culvert_trim_malloc(void);

#endif
