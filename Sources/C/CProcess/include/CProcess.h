// What a process was started with, as the system handed it over: Swift reads its arguments from /proc, which may be absent.
#ifndef CULVERT_PROCESS_H
#define CULVERT_PROCESS_H

/// How many arguments the process has, its own name among them; 0 where the system does not say.
int culvert_argument_count(void);

/// One of them; null where there is none of that number.
const char *culvert_argument(int number);

/// Whether the process can have so many threads beside this one. They are started, and gone when this returns.
int culvert_can_have_threads(int count);

#endif
