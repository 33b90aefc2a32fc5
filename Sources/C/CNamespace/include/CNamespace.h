// Network namespaces and TUN devices, which the module of the C library leaves out.
#ifndef CULVERT_NAMESPACE_H
#define CULVERT_NAMESPACE_H

#include <poll.h>

/// Puts the calling thread into a new network namespace, with loopback up.
///
/// Returns a descriptor that keeps the namespace, or -1 with errno.
int culvert_namespace_create(void);

/// Puts the calling thread into the namespace of a file. Returns 0, or -1 with errno.
int culvert_namespace_enter(const char *path);

/// Opens a TUN device without offloads in the namespace of the calling thread, gives it an address with a prefix of 24
/// bits, and takes it up.
///
/// `queue` is the number of packets that wait for the reader. Returns its non-blocking descriptor, or -1 with errno.
int culvert_tun_open(const char *name, const char *address, int mtu, int queue);

/// Waits like poll, with a timeout in nanoseconds.
int culvert_wait(struct pollfd *entries, unsigned count, long long nanoseconds);

/// Runs the process before all others and without timer slack, if the system allows it.
void culvert_run_first(void);

#endif
