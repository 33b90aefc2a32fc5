import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
private let streamType = Int32(SOCK_STREAM.rawValue)
private let noSignal = Int32(MSG_NOSIGNAL)
#else
private let streamType = SOCK_STREAM
private let noSignal: Int32 = 0
#endif

/// A blocking TCP socket with the operations that tests need: half-close, reset, read to the end.
///
/// An operation without progress for `timeout` throws ``SocketError/timedOut``.
public final class TCPSocket: Sendable {
    /// The end of a stream.
    public enum Ending: Sendable, Equatable {
        /// FIN.
        case end
        /// RST.
        case reset
    }

    private let descriptor: Int32
    private let isOpen = Mutex(true)

    init(descriptor: Int32, timeout: Duration) {
        self.descriptor = descriptor
        setTimeout(timeout)
        set(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
    }

    /// Connects to a loopback port.
    ///
    /// - Parameter receiveBuffer: SO_RCVBUF, set before the handshake; nil for the system's default.
    public convenience init(
        port: UInt16,
        address: String = "127.0.0.1",
        receiveBuffer: Int32? = nil,
        timeout: Duration = .seconds(120)
    ) throws {
        let descriptor = try newSocket(AF_INET)
        self.init(descriptor: descriptor, timeout: timeout)
        if let receiveBuffer { set(SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        var name = socketAddress(address, port)
        let result = withSockAddr(&name) { pointer, length in retrying { connect(descriptor, pointer, length) } }
        if result != 0 {
            let error = failure("connect")
            close()
            throw error
        }
    }

    deinit {
        close()
        _ = Foundation.close(descriptor)
    }

    /// The port of this end.
    public var localPort: UInt16 { boundPort(descriptor) }

    /// Sends all bytes.
    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            sent += try sendSome(bytes, from: sent)
        }
    }

    /// Sends one byte as urgent data.
    public func sendUrgent(_ byte: UInt8) throws {
        var byte = byte
        let count = Foundation.send(descriptor, &byte, 1, Int32(MSG_OOB) | noSignal)
        guard count == 1 else { throw failure("send") }
    }

    /// Sends text.
    public func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    /// Sends `chunk` repeatedly until the peer takes no more for `timeout`.
    ///
    /// - Returns: the number of bytes sent.
    public func sendUntilStalled(_ chunk: [UInt8], timeout: Duration, limit: Int) throws -> Int {
        setTimeout(timeout)
        var total = 0
        while total < limit {
            do {
                total += try sendSome(chunk, from: 0)
            } catch SocketError.timedOut {
                break
            }
        }
        return total
    }

    private func sendSome(_ bytes: [UInt8], from start: Int) throws -> Int {
        let count = bytes.withUnsafeBytes { buffer in
            let rest = UnsafeRawBufferPointer(rebasing: buffer[start...])
            return retrying { Foundation.send(descriptor, rest.baseAddress, rest.count, noSignal) }
        }
        guard count >= 0 else { throw failure("send") }
        return count
    }

    /// Sends FIN, while reading continues.
    public func finishSending() throws {
        guard shutdown(descriptor, Int32(SHUT_WR)) == 0 else { throw failure("shutdown") }
    }

    /// Ends both directions, and wakes threads that read or write.
    public func cut() {
        isOpen.withLock { isOpen in
            if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// Receives the available bytes, at least one; empty at the end of the stream.
    public func receive(upTo limit: Int = 65_536) throws -> [UInt8] {
        var error: SocketError?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let result = retrying { recv(descriptor, buffer.baseAddress, limit, 0) }
            if result < 0 { error = failure("recv") }
            count = max(0, result)
        }
        if let error { throw error }
        return bytes
    }

    /// Waits for a byte, and leaves it unread.
    public func waitForBytes() throws {
        var byte: UInt8 = 0
        if retrying({ recv(descriptor, &byte, 1, Int32(MSG_PEEK)) }) < 0 { throw failure("recv") }
    }

    /// Reads exactly a number of bytes.
    public func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try receive(upTo: min(65_536, count - bytes.count))
            if more.isEmpty { throw SocketError.ended(missing: count - bytes.count) }
            bytes += more
        }
        return bytes
    }

    /// Reads up to the peer's FIN.
    public func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try receive()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }

    /// Reads up to FIN or RST.
    public func drain() throws -> (bytes: [UInt8], ending: Ending) {
        var bytes: [UInt8] = []
        do {
            while true {
                let more = try receive()
                if more.isEmpty { return (bytes, .end) }
                bytes += more
            }
        } catch SocketError.reset {
            return (bytes, .reset)
        }
    }

    /// Lets the system notice that the peer's machine has forgotten the connection: it asks after so many seconds of silence.
    public func keepAlive(seconds: Int32) {
        #if canImport(Glibc)
        let (level, idle) = (Int32(IPPROTO_TCP), TCP_KEEPIDLE)
        #else
        let (level, idle) = (IPPROTO_TCP, TCP_KEEPALIVE)
        #endif
        set(SOL_SOCKET, SO_KEEPALIVE, Int32(1))
        set(level, idle, seconds)
        set(level, TCP_KEEPINTVL, seconds)
        set(level, TCP_KEEPCNT, Int32(30))
    }

    /// Whether RST has ended the connection, if this end has not sent FIN. Of the threads that use a socket, only one gets the
    /// error of a reset.
    public var isReset: Bool {
        #if canImport(Glibc)
        var information = tcp_info()
        var length = socklen_t(MemoryLayout.size(ofValue: information))
        getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &information, &length)
        return Int(information.tcpi_state) == Int(TCP_CLOSE)
        #else
        return false
        #endif
    }

    /// Ends the connection with RST.
    public func abort() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        close()
    }

    /// Closes both directions.
    public func close() {
        isOpen.withLock { isOpen in
            if isOpen { retire(descriptor) }
            isOpen = false
        }
    }

    private func set(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout.size(ofValue: value)))
    }

    private func setTimeout(_ timeout: Duration) {
        let (seconds, attoseconds) = timeout.components
        var limit = timeval()
        limit.tv_sec = .init(seconds)
        limit.tv_usec = .init(attoseconds / 1_000_000_000_000)
        for name in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, name, &limit, socklen_t(MemoryLayout.size(ofValue: limit)))
        }
    }
}

/// A socket that listens on a loopback port.
final class TCPListener: Sendable {
    let port: UInt16
    fileprivate let descriptor: Int32
    private let isOpen = Mutex(true)

    init(
        port: UInt16 = 0,
        address: String = "127.0.0.1",
        queue: Int32 = 1_024,
        isShared: Bool = false,
        receiveBuffer: Int32? = nil
    ) throws {
        let isIPv6 = address.contains(":")
        let descriptor = try newSocket(isIPv6 ? AF_INET6 : AF_INET)
        var reuse: Int32 = 1
        if port != 0 {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout.size(ofValue: reuse)))
        }
        if isShared {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &reuse, socklen_t(MemoryLayout.size(ofValue: reuse)))
        }
        if var size = receiveBuffer {
            // Connections inherit it.
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        }
        let bound: Int32
        if isIPv6 {
            var name = socketAddress6(address, port)
            bound = withSockAddr(&name) { bind(descriptor, $0, $1) }
        } else {
            var name = socketAddress(address, port)
            bound = withSockAddr(&name) { bind(descriptor, $0, $1) }
        }
        guard bound == 0, listen(descriptor, queue) == 0 else {
            let error = failure("bind")
            _ = Foundation.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.port = boundPort(descriptor)
    }

    /// Takes a socket that listens without a port.
    init(descriptor: Int32) {
        (self.descriptor, self.port) = (descriptor, 0)
    }

    deinit {
        close()
        _ = Foundation.close(descriptor)
    }

    /// Accepts the next connection. Throws after the listener is closed.
    func accept(timeout: Duration) throws -> TCPSocket {
        let accepted = retrying { Foundation.accept(descriptor, nil, nil) }
        guard accepted >= 0 else { throw failure("accept") }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return TCPSocket(descriptor: accepted, timeout: timeout)
    }

    /// Stops listening, and wakes a thread in `accept`.
    func close() {
        isOpen.withLock { isOpen in
            guard isOpen else { return }
            isOpen = false
            shutdown(descriptor, Int32(SHUT_RDWR))
            retire(descriptor)
        }
    }
}

/// A listening socket that a program inherits, as from systemd. The receiver owns the descriptor.
public final class OpenedSocket: Sendable {
    private let listener: TCPListener
    /// The descriptor to pass on.
    public let descriptor: Int32
    /// The loopback port.
    public var port: UInt16 { listener.port }

    /// Opens the listener with a short queue.
    public init() throws {
        listener = try TCPListener(queue: 5)
        descriptor = dup(listener.descriptor)
        guard descriptor >= 0 else { throw failure("dup") }
    }
}

/// A socket without a connection.
private let placeholder = (try? newSocket(AF_UNIX)) ?? -1

/// Closes a socket, and keeps its descriptor in use until no thread refers to it. Otherwise a thread could read from
/// the next socket with the same descriptor.
private func retire(_ descriptor: Int32) {
    if dup2(placeholder, descriptor) >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
}

private func newSocket(_ family: Int32) throws -> Int32 {
    let descriptor = socket(family, streamType, 0)
    guard descriptor >= 0 else { throw failure("socket") }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    return descriptor
}

func socketAddress(_ address: String, _ port: UInt16) -> sockaddr_in {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = inet_addr(address)
    return name
}

private func socketAddress6(_ address: String, _ port: UInt16) -> sockaddr_in6 {
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.bigEndian
    inet_pton(AF_INET6, address, &name.sin6_addr)
    return name
}

func withSockAddr<Name, Result>(
    _ name: inout Name,
    _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    withUnsafeMutablePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<Name>.size))
        }
    }
}

/// The port of a socket. It has the same offset in the addresses of both families.
func boundPort(_ descriptor: Int32) -> UInt16 {
    var name = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withSockAddr(&name) { pointer, _ in getsockname(descriptor, pointer, &length) }
    return UInt16(bigEndian: name.sin_port)
}

private func retrying<Count: SignedInteger>(_ call: () -> Count) -> Count {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}

private func failure(_ call: String) -> SocketError {
    switch errno {
    case ECONNRESET: .reset
    case EPIPE: .broken
    case ECONNREFUSED: .refused
    case EAGAIN, EWOULDBLOCK, EINPROGRESS: .timedOut
    case let other: .system(call: call, errno: other)
    }
}
