#include "CMalloc.h"

#include <stdlib.h> // says whether this is glibc

#ifdef __GLIBC__
#include <malloc.h>
#endif

void culvert_tune_malloc(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
#endif
}

void culvert_trim_malloc(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
