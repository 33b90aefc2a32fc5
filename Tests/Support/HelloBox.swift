/// A middlebox on a loopback port that wants a ClientHello in one segment: it looks for the server's name there, and ends
/// connections in which the hello is longer.
public final class HelloBox: Sendable {
    /// What it does about a long one.
    public enum Manner: Sendable, CaseIterable {
        /// FIN.
        case end
        /// RST.
        case reset
        /// Nothing, for ever.
        case silence
    }

    /// The lengths of the hellos so far, with their record's header.
    public let hellos = Mailbox<Int>()
    private let service: TCPService

    /// - Parameters:
    ///   - target: the port that it leads to.
    ///   - longest: bytes of the longest hello that passes.
    public init(to target: UInt16, longest: Int = 1_400, _ manner: Manner) throws {
        service = try TCPService { [hellos] socket in
            let header = try socket.receive(exactly: 5)
            let rest = try socket.receive(exactly: Int(header[3]) << 8 | Int(header[4]))
            hellos.put(header.count + rest.count)
            guard header.count + rest.count > longest else {
                let server = try TCPSocket(port: target)
                try server.send(header + rest)
                Relay().run(socket, server)
                return server.close()
            }
            switch manner {
            case .end: break
            case .reset: socket.abort()
            case .silence: _ = try? socket.receiveToEnd()
            }
        }
    }

    /// Where it listens.
    public var port: UInt16 { service.port }
}
