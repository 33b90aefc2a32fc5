import NIOCore
import NIOPosix
import Platform

/// Reports the state of the process to systemd (sd_notify(3)) if `NOTIFY_SOCKET` is set.
struct ServiceManager: Sendable {
    /// A state of the process.
    enum State: Sendable {
        /// The process serves.
        case ready
        /// The process reads its configuration again; `ready` follows.
        case reloading
        /// The process waits for running streams to end.
        case stopping
        /// All event loops run.
        case alive
    }

    private let path: String?
    private let watchdog: TimeAmount?

    /// - Parameter environment: the environment of the process.
    init(_ environment: [String: String]) {
        path = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let period = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        // Twice in the period that systemd expects.
        watchdog = isForUs && period > 1 ? .microseconds(period / 2) : nil
    }

    /// Reports that the process has reached a state.
    func report(_ state: State) {
        switch state {
        case .ready: send("READY=1")
        case .reloading: send("RELOADING=1\nMONOTONIC_USEC=\(Self.monotonicMicroseconds)")
        case .stopping: send("STOPPING=1")
        case .alive: send("WATCHDOG=1")
        }
    }

    /// Reports regularly that all event loops run. If one hangs, the report is missing, and systemd restarts the
    /// process.
    func startWatchdog() {
        guard path != nil, let watchdog else { return }
        // Each report comes after a task on every loop, so one loop that hangs prevents it.
        let loops = MultiThreadedEventLoopGroup.singleton.makeIterator().map { $0 }
        guard let first = loops.first else { return }
        first.scheduleRepeatedAsyncTask(initialDelay: .zero, delay: watchdog) { _ in
            EventLoopFuture.andAllSucceed(loops.map { $0.submit {} }, on: first).map { report(.alive) }
        }
    }

    /// Sends one datagram, without waiting.
    private func send(_ text: String) {
        guard let path else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        // An abstract name begins with a zero byte, for which the variable has @.
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

/// Finds the sockets that systemd hands over (sd_listen_fds(3)).
enum SocketActivation {
    /// The number of the first socket, which is fixed.
    private static let first: Int32 = 3

    /// The descriptors of the sockets; none if they are for another process.
    static func descriptors(_ environment: [String: String]) -> [Int32] {
        guard environment["LISTEN_PID"] == "\(getpid())", let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }),
            (1...64).contains(count)
        else { return [] }
        return (first..<first + count).map { $0 }
    }
}
