import Foundation

/// A SOCKS 5 proxy (RFC 1928, RFC 1929) that records its requests.
///
/// It connects to loopback for every name.
public final class SocksServer: Sendable {
    /// The requests of one connection.
    public struct Request: Sendable, Equatable {
        /// The offered authentication methods.
        public var methods: [UInt8] = []
        /// User and password; empty if the proxy required none.
        public var credentials: [String] = []
        /// 1 for IPv4, 3 for a name, 4 for IPv6.
        public var addressType: UInt8 = 0
        /// The name as it arrived; empty for an address.
        public var name = ""
        /// The port.
        public var port: UInt16 = 0
    }

    /// All complete requests.
    public let requests = Mailbox<Request>()
    /// The port on which it listens.
    public var port: UInt16 { service.port }
    private let service: TCPService

    /// Starts a proxy.
    ///
    /// - Parameter credentials: user and password; nil for an open proxy.
    public init(credentials: [String]? = nil) throws {
        service = try TCPService(timeout: .seconds(180)) { [requests] socket in
            var request = Request()
            let selection = try socket.receive(exactly: 2)
            try require(selection[0] == 5, "version \(selection[0])")
            request.methods = try socket.receive(exactly: Int(selection[1]))
            try socket.send([5, credentials == nil ? 0 : 2])
            if let credentials {
                try require(socket.receive(exactly: 1) == [1], "another version of the credentials")
                request.credentials = [try Self.text(socket), try Self.text(socket)]
                try socket.send([1, request.credentials == credentials ? 0 : 1])
            }
            let head = try socket.receive(exactly: 4)
            try require(head[0..<3] == [5, 1, 0], "no CONNECT: \(head)")
            request.addressType = head[3]
            switch head[3] {
            case 1: _ = try socket.receive(exactly: 4)
            case 4: _ = try socket.receive(exactly: 16)
            default: request.name = try Self.text(socket)
            }
            let port = try socket.receive(exactly: 2)
            request.port = UInt16(port[0]) << 8 | UInt16(port[1])
            requests.put(request)
            let server = try TCPSocket(port: request.port, timeout: .seconds(180))
            try socket.send([5, 0, 0, 1, 127, 0, 0, 1] + port)
            Relay().run(socket, server)
            server.close()
        }
    }

    private static func text(_ socket: TCPSocket) throws -> String {
        let length = try socket.receive(exactly: 1)[0]
        return String(decoding: try socket.receive(exactly: Int(length)), as: UTF8.self)
    }
}

/// A running microsocks on loopback.
public struct Microsocks: Sendable {
    /// The process.
    public let process: ChildProcess
    /// The port on which it listens.
    public let port: UInt16

    /// The log's lines of tunnels to a host and port.
    public func tunnels(to target: String) -> [String] {
        process.errors.lines.filter { $0.hasSuffix("connected to \(target)") }
    }

    /// Starts a proxy that requires a password.
    public static func start(in scenario: Scenario, user: String, password: String) async throws -> Microsocks {
        let port = try FreePorts.next()
        let process = try scenario.start(
            "microsocks",
            Program.microsocks.required(),
            ["-i", "127.0.0.1", "-p", "\(port)", "-u", user, "-P", password]
        )
        try await waitUntilListening(port, process)
        return Microsocks(process: process, port: port)
    }
}
