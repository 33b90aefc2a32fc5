#define _GNU_SOURCE
#include "CSpawn.h"

int culvert_spawn_in_directory(posix_spawn_file_actions_t *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}

int culvert_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest) {
#ifdef __GLIBC__
    return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
#else
    (void)actions;
    (void)lowest;
    return 0;
#endif
}
