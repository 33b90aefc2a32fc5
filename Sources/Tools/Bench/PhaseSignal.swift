import Glibc

/// The signal with which the runner starts the next phase of a load.
enum PhaseSignal {
    static let signal = SIGUSR1

    private static var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, signal)
        return set
    }

    /// Blocks the signal in all threads. Called before there is a second thread.
    static func prepare() {
        var set = set
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Unblocks the signal, for another program that this process becomes.
    static func restore() {
        var set = set
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Waits for the signal, or for the end of the runner.
    static func wait() {
        let parent = getppid()
        var set = set
        var interval = timespec(tv_sec: 1, tv_nsec: 0)
        while getppid() == parent, sigtimedwait(&set, nil, &interval) < 0 {}
    }
}
