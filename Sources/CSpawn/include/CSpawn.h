// Two steps of a spawn that the C library hides from strict programs, where it has them.
#ifndef CULVERT_SPAWN_H
#define CULVERT_SPAWN_H

#include <spawn.h>

/// The child begins in `directory`.
int culvert_spawn_in_directory(posix_spawn_file_actions_t *actions, const char *directory);

/// The child has no descriptor from `lowest` on. Does nothing where the system marks them itself.
int culvert_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest);

#endif
