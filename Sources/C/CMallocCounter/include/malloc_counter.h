#ifndef CULVERT_MALLOC_COUNTER_H
#define CULVERT_MALLOC_COUNTER_H

#include <stdint.h>

// How often this process has asked for memory so far: malloc, calloc, realloc and their aligned relatives, on all
// threads. Only programs that link this target are counted; it stands in front of the C library's own functions.
uint64_t culvert_malloc_count(void);

#endif
