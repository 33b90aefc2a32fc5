#define _GNU_SOURCE
#include "CNamespace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/// Closes a descriptor, and keeps errno.
static int failed(int descriptor) {
    int error = errno;
    if (descriptor >= 0) close(descriptor);
    errno = error;
    return -1;
}

static int take_up(int control, struct ifreq *request) {
    if (ioctl(control, SIOCGIFFLAGS, request) < 0) return -1;
    request->ifr_flags |= IFF_UP | IFF_RUNNING;
    return ioctl(control, SIOCSIFFLAGS, request);
}

int culvert_namespace_create(void) {
    if (unshare(CLONE_NEWNET) < 0) return -1;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) return -1;
    struct ifreq request = {.ifr_name = "lo"};
    if (take_up(control, &request) < 0) return failed(control);
    close(control);
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

int culvert_namespace_enter(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    if (setns(descriptor, CLONE_NEWNET) < 0) return failed(descriptor);
    close(descriptor);
    return 0;
}

static int set_address(int control, struct ifreq *request, unsigned long what, const char *address) {
    struct sockaddr_in *name = (struct sockaddr_in *)&request->ifr_addr;
    memset(name, 0, sizeof *name);
    name->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &name->sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    return ioctl(control, what, request);
}

static int configure(int control, const char *name, const char *address, int mtu, int queue) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (set_address(control, &request, SIOCSIFADDR, address) < 0) return -1;
    if (set_address(control, &request, SIOCSIFNETMASK, "255.255.255.0") < 0) return -1;
    request.ifr_mtu = mtu;
    if (ioctl(control, SIOCSIFMTU, &request) < 0) return -1;
    request.ifr_qlen = queue;
    if (ioctl(control, SIOCSIFTXQLEN, &request) < 0) return -1;
    return take_up(control, &request);
}

int culvert_tun_open(const char *name, const char *address, int mtu, int queue) {
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) return -1;
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(device, TUNSETIFF, &request) < 0) return failed(device);
    // The kernel segments and checksums every packet itself.
    if (ioctl(device, TUNSETOFFLOAD, 0) < 0) return failed(device);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) return failed(device);
    int result = configure(control, name, address, mtu, queue);
    (void)failed(control);
    return result < 0 ? failed(device) : device;
}

int culvert_wait(struct pollfd *entries, unsigned count, long long nanoseconds) {
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(entries, count, &time, NULL);
}

void culvert_run_first(void) {
    struct sched_param parameters = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &parameters);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}
