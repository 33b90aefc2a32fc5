import Glibc

/// What the runner says to a load that waits for its next phase: SIGUSR1.
enum PhaseSignal {
    static let signal = SIGUSR1

    private static var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, signal)
        return set
    }

    /// Keeps it until it is waited for: to be called before there is a second thread.
    static func prepare() {
        var set = set
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for it, or for the end of the runner.
    static func wait() {
        let parent = getppid()
        var set = set
        var moment = timespec(tv_sec: 1, tv_nsec: 0)
        while getppid() == parent, sigtimedwait(&set, nil, &moment) < 0 {}
    }
}
