// Steps of a spawn, and of hardening a process, that the C library hides from strict programs or from Swift.
#ifndef CULVERT_SPAWN_H
#define CULVERT_SPAWN_H

#include <spawn.h>

/// The child begins in `directory`.
int culvert_spawn_in_directory(posix_spawn_file_actions_t *actions, const char *directory);

/// The child has no descriptor from `lowest` on. Does nothing if the C library cannot say so: then the child closes them.
int culvert_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest);

/// Closes all descriptors of this process from `lowest` on.
void culvert_close_from(int lowest);

/// Neither this process nor a program that it starts gains privileges by a file's mode (Linux' no_new_privs).
void culvert_renounce_privileges(void);

/// Processes of the same user cannot read this one's memory, and it dumps no core (Linux' PR_SET_DUMPABLE).
void culvert_hide_memory(void);

#endif
