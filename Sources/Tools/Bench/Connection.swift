import Glibc

/// A TCP connection with low overhead. Its owner closes it.
struct Connection {
    /// The time of a blocking call after which the connection counts as broken.
    private static let timeout = timeval(tv_sec: 20, tv_usec: 0)

    let descriptor: Int32

    /// Takes over a descriptor.
    init(descriptor: Int32) {
        self.descriptor = descriptor
        set(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
    }

    /// Connects to a port; nil after a failure.
    ///
    /// - Parameters:
    ///   - address: the address of the port, by default loopback.
    ///   - waits: whether calls block.
    init?(_ address: String = loopback, port: UInt16, waits: Bool) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, waits ? type : type | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.init(descriptor: descriptor)
        guard withAddress(address, port, { connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            close()
            return nil
        }
        if waits {
            set(SOL_SOCKET, SO_RCVTIMEO, Self.timeout)
            set(SOL_SOCKET, SO_SNDTIMEO, Self.timeout)
        }
    }

    /// Accepts a connection from a non-blocking listener; nil if none is pending.
    static func accepted(by listener: Connection) -> Connection? {
        let descriptor = accept(listener.descriptor, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return Connection(descriptor: descriptor)
    }

    /// Makes calls block. Receiving has a timeout, and sending has none.
    func block() {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        set(SOL_SOCKET, SO_RCVTIMEO, Self.timeout)
    }

    /// Sets the time of a blocking call after which receiving fails.
    func setReceiveTimeout(seconds: Double) {
        let micros = Int(seconds * 1e6)
        set(SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: micros / 1_000_000, tv_usec: micros % 1_000_000))
    }

    /// Waits for bytes or the end of the stream.
    ///
    /// - Returns: false if a time came first.
    func waitForBytes(until deadline: Double) -> Bool {
        while true {
            let rest = deadline - Clock.seconds
            guard rest > 0 else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, Int32((rest * 1_000).rounded(.up))) > 0 { return true }
        }
    }

    private func set<Value>(_ level: Int32, _ name: Int32, _ value: Value) {
        withUnsafePointer(to: value) {
            _ = setsockopt(descriptor, level, name, $0, socklen_t(MemoryLayout<Value>.size))
        }
    }

    /// Calls `send`, and repeats it after an interruption.
    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        while true {
            let sent = Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
            if sent >= 0 || errno != EINTR { return sent }
        }
    }

    /// Calls `recv`, and repeats it after an interruption.
    func receive(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        while true {
            let received = recv(descriptor, bytes, count, 0)
            if received >= 0 || errno != EINTR { return received }
        }
    }

    /// Sends all bytes. On a non-blocking connection they must fit into the send buffer.
    func sendAll(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { all in
            var sent = 0
            while sent < all.count, let start = all.baseAddress {
                let count = send(start + sent, all.count - sent)
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }

    /// Receives to the end of the stream on a blocking connection, and keeps nothing.
    func discardRest() {
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 64) { buffer in
            while let start = buffer.baseAddress, receive(start, buffer.count) > 0 {}
        }
    }

    /// Receives a number of eight bytes on a blocking connection.
    func receiveNumber() -> Int? {
        var number: UInt64 = 0
        return withUnsafeMutableBytes(of: &number) { bytes -> Bool in
            var filled = 0
            while filled < bytes.count, let start = bytes.baseAddress {
                let count = receive(start + filled, bytes.count - filled)
                guard count > 0 else { return false }
                filled += count
            }
            return true
        } ? Int(exactly: UInt64(littleEndian: number)) : nil
    }

    /// Sends a number for ``receiveNumber()``.
    func sendNumber(_ number: Int) -> Bool {
        withUnsafeBytes(of: UInt64(number).littleEndian) { sendAll(Array($0)) }
    }

    /// Sends FIN, while receiving continues.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends both directions for all threads, while the descriptor stays open.
    func cut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Ends both directions.
    func close() { _ = Glibc.close(descriptor) }
}

/// The address of loopback.
let loopback = "127.0.0.1"

/// A port of an IPv4 address as a socket address.
func withAddress<Result>(
    _ address: String,
    _ port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = inet_addr(address)
    return withUnsafePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}

/// A port of loopback as a socket address.
func withLoopback<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withAddress(loopback, port, body)
}
