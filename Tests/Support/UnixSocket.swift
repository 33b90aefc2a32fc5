import Foundation

#if canImport(Glibc)
import Glibc
private let streamType = Int32(SOCK_STREAM.rawValue)
#else
private let streamType = SOCK_STREAM
#endif

extension TCPSocket {
    /// Connects to a socket in the file system. Operations that exist only for TCP fail on it.
    public convenience init(unixPath path: String, timeout: Duration = .seconds(120)) throws {
        let descriptor = socket(AF_UNIX, streamType, 0)
        guard descriptor >= 0 else { throw SocketError.system(call: "socket", errno: errno) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        self.init(descriptor: descriptor, timeout: timeout)
        guard try withUnixAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
            throw SocketError.system(call: "connect", errno: errno)
        }
    }
}

extension TCPListener {
    /// Listens on a new socket in the file system.
    convenience init(unixPath path: String) throws {
        let descriptor = socket(AF_UNIX, streamType, 0)
        guard descriptor >= 0 else { throw SocketError.system(call: "socket", errno: errno) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        self.init(descriptor: descriptor)
        guard try withUnixAddress(path, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 128) == 0 else {
            throw SocketError.system(call: "bind", errno: errno)
        }
    }
}

/// Leaves a socket file without a program, as a program that was killed does.
public func leaveStaleSocket(at path: String) throws {
    try TCPListener(unixPath: path).close()
}

private func withUnixAddress<Result>(
    _ path: String,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) throws -> Result {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: name.sun_path) else {
        throw SocketError.system(call: "the address of \(path)", errno: ENAMETOOLONG)
    }
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &name) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// The answer to one HTTP request.
public struct HTTPAnswer: Sendable {
    /// The status code.
    public let status: Int
    /// The head with its empty line.
    public let head: String
    /// The body.
    public let body: String

    /// Reads the answer to the end of the connection.
    init(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n"),
            let status = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw ScenarioFailure(description: "no HTTP answer: \(text)") }
        self.status = status
        head = String(text[..<end.upperBound])
        body = String(text[end.upperBound...])
    }
}

extension TCPSocket {
    /// Sends one request without a body, and reads the answer to the end.
    ///
    /// - Parameter fields: further fields, each `Name: value`.
    public func request(
        _ method: String,
        _ target: String,
        host: String = "localhost",
        fields: [String] = []
    ) throws -> HTTPAnswer {
        let lines = fields.map { $0 + "\r\n" }.joined()
        try send("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(lines)\r\n")
        let answer = try HTTPAnswer(drain().bytes)
        close()
        return answer
    }
}
