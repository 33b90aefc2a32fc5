import NIOCore
import NIOPosix
import Platform

/// What systemd is told about this process (sd_notify(3)), where it asks for it by `NOTIFY_SOCKET`; nothing elsewhere.
struct ServiceManager: Sendable {
    /// A state of the process.
    enum State: Sendable {
        /// It serves.
        case ready
        /// It reads its configuration again; `ready` follows.
        case reloading
        /// It lets what runs end.
        case stopping
        /// It still turns its loops.
        case alive
    }

    private let path: String?
    private let watchdog: TimeAmount?

    /// From the process's environment.
    init(_ environment: [String: String]) {
        path = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let period = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        // Twice in the time that systemd grants.
        watchdog = isForUs && period > 1 ? .microseconds(period / 2) : nil
    }

    /// Says that the state has been reached.
    func report(_ state: State) {
        switch state {
        case .ready: send("READY=1")
        case .reloading: send("RELOADING=1\nMONOTONIC_USEC=\(Self.monotonicMicroseconds)")
        case .stopping: send("STOPPING=1")
        case .alive: send("WATCHDOG=1")
        }
    }

    /// Tells regularly, from an event loop, that loops turn: one that hangs is restarted by systemd.
    func startWatchdog() {
        guard path != nil, let watchdog else { return }
        // A round through all loops before each word: any of them that hangs silences it.
        let loops = MultiThreadedEventLoopGroup.singleton.makeIterator().map { $0 }
        guard let first = loops.first else { return }
        first.scheduleRepeatedAsyncTask(initialDelay: .zero, delay: watchdog) { _ in
            EventLoopFuture.andAllSucceed(loops.map { $0.submit {} }, on: first).map { report(.alive) }
        }
    }

    /// One datagram; whoever does not listen any more is not waited for.
    private func send(_ text: String) {
        guard let path else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        // An abstract name begins with a zero, which the variable writes as @.
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        #if canImport(Glibc)
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        #else
        let descriptor = socket(AF_UNIX, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, 0, $0, length)
            }
        }
    }

    private static var monotonicMicroseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

/// Sockets that systemd has opened for us (sd_listen_fds(3)).
enum SocketActivation {
    /// The first of them; the numbers are fixed.
    private static let first: Int32 = 3

    /// Their descriptors; none where they are meant for another process.
    static func descriptors(_ environment: [String: String]) -> [Int32] {
        guard environment["LISTEN_PID"] == "\(getpid())", let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }),
            (1...64).contains(count)
        else { return [] }
        return (first..<first + count).map { $0 }
    }
}
