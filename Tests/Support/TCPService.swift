import Foundation
import Synchronization

/// A service on a loopback port. A thread for each connection runs a closure of the test.
///
/// The service lives as long as its scenario, even if the test keeps no reference.
public final class TCPService: Sendable {
    /// The port on which it listens.
    public let port: UInt16
    /// The errors that ended connections.
    public let failures = Mailbox<String>()
    private let listener: TCPListener
    private let count = Mutex(0)

    /// Starts to listen.
    ///
    /// - Parameters:
    ///   - port: the port; 0 lets the system choose.
    ///   - address: an address of loopback, of either family.
    ///   - receiveBuffer: SO_RCVBUF of connections; nil for the system's default.
    ///   - timeout: the time for which a connection may be idle.
    ///   - serve: serves one connection, which is closed when it returns.
    public convenience init(
        port: UInt16 = 0,
        address: String = "127.0.0.1",
        receiveBuffer: Int32? = nil,
        timeout: Duration = .seconds(120),
        _ serve: @escaping @Sendable (TCPSocket) throws -> Void
    ) throws {
        let listener = try TCPListener(port: port, address: address, receiveBuffer: receiveBuffer)
        try self.init(listener, timeout: timeout, serve)
    }

    /// Listens on a new socket in the file system. The service has no port.
    public convenience init(
        unixPath path: String,
        timeout: Duration = .seconds(120),
        _ serve: @escaping @Sendable (TCPSocket) throws -> Void
    ) throws {
        try self.init(TCPListener(unixPath: path), timeout: timeout, serve)
    }

    private init(
        _ listener: TCPListener,
        timeout: Duration,
        _ serve: @escaping @Sendable (TCPSocket) throws -> Void
    ) throws {
        self.listener = listener
        self.port = listener.port
        Scenario.current?.register(self)
        Thread.detachNewThread { [weak self, failures] in
            while let socket = try? listener.accept(timeout: timeout) {
                self?.count.withLock { $0 += 1 }
                Thread.detachNewThread {
                    do {
                        try serve(socket)
                    } catch {
                        failures.put("\(error)")
                    }
                    socket.close()
                }
            }
        }
    }

    deinit {
        stop()
    }

    /// Binds a port, and closes each connection at once.
    ///
    /// - Parameter isShared: whether to share the port with a socket that is already bound to it.
    public static func listening(
        on port: UInt16,
        address: String = "127.0.0.1",
        sharing isShared: Bool = false
    ) throws -> TCPService {
        try TCPService(TCPListener(port: port, address: address, isShared: isShared), timeout: .seconds(120)) { _ in }
    }

    /// Whether this machine has the loopback address of IPv6.
    public static var hasIPv6: Bool { (try? TCPListener(address: "::1")) != nil }

    /// The number of accepted connections.
    public var accepted: Int { count.withLock { $0 } }

    /// Stops accepting connections.
    public func stop() {
        listener.close()
    }

    /// Echoes bytes as they arrive.
    public static func echo(port: UInt16 = 0) throws -> TCPService {
        try TCPService(port: port, timeout: .seconds(180), echo(on:))
    }

    /// Echoes bytes as they arrive, on a socket in the file system.
    public static func echo(unixPath path: String) throws -> TCPService {
        try TCPService(unixPath: path, timeout: .seconds(180), echo(on:))
    }

    private static func echo(on socket: TCPSocket) throws {
        while true {
            let bytes = try socket.receive()
            if bytes.isEmpty { return }
            try socket.send(bytes)
        }
    }

    /// Reads to the end of the stream, and then sends the count, a line end, and all bytes.
    public static func answerAfterEnd() throws -> TCPService {
        try TCPService { socket in
            let bytes = try socket.receiveToEnd()
            try socket.send(Array("\(bytes.count)\n".utf8) + bytes)
            try socket.finishSending()
        }
    }

    /// Answers each HTTP request with the same page.
    public static func web(page: String) throws -> TCPService {
        try TCPService { socket in
            var head = ""
            while !head.contains("\r\n\r\n") {
                let bytes = try socket.receive()
                if bytes.isEmpty { return }
                head += String(decoding: bytes, as: UTF8.self)
            }
            try socket.send("HTTP/1.1 200 OK\r\nContent-Length: \(page.utf8.count)\r\nConnection: close\r\n\r\n\(page)")
            try socket.finishSending()
            _ = try socket.receiveToEnd()
        }
    }

    /// Reads and sends nothing until the gate opens, and then closes.
    public static func silent(until release: Gate) throws -> TCPService {
        try TCPService { _ in release.wait() }
    }
}
