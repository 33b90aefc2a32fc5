#include "CProcess.h"

#include <pthread.h>
#include <stdlib.h>

static int count;
static char **arguments;

#ifndef __APPLE__
// glibc hands the arguments to functions that run before main.
__attribute__((constructor)) static void remember(int argc, char **argv) {
#if defined(__GLIBC__)
    count = argc;
    arguments = argv;
#else
    (void)argc;
    (void)argv;
#endif
}
#endif

int culvert_argument_count(void) { return count; }

const char *culvert_argument(int number) { return number >= 0 && number < count ? arguments[number] : NULL; }

static void *wait_at(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

int culvert_can_have_threads(int wanted) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = calloc((size_t)(wanted > 0 ? wanted : 1), sizeof *threads);
    int started = 0;
    if (threads == NULL) return 0;
    pthread_mutex_lock(&gate);
    while (started < wanted && pthread_create(&threads[started], NULL, wait_at, &gate) == 0) started++;
    pthread_mutex_unlock(&gate);
    for (int number = 0; number < started; number++) pthread_join(threads[number], NULL);
    free(threads);
    return started == wanted;
}
