#include "CMalloc.h"

#include <stdlib.h> // says whether this is glibc

#ifdef __GLIBC__
#include <malloc.h>
#endif

void culvert_tune_malloc(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}
