/// A middlebox on a loopback port that relays connections with a short ClientHello only.
public final class ClientHelloMiddlebox: Sendable {
    /// The reaction to a long ClientHello.
    public enum Reaction: Sendable, CaseIterable {
        /// FIN.
        case end
        /// RST.
        case reset
        /// Silence.
        case silence
    }

    /// The lengths of the ClientHellos so far, with the record header.
    public let hellos = Mailbox<Int>()
    private let service: TCPService

    /// - Parameters:
    ///   - target: the port of the target.
    ///   - longest: the length of the longest ClientHello that it relays.
    public init(to target: UInt16, longest: Int = 1_400, _ reaction: Reaction) throws {
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
            switch reaction {
            case .end: break
            case .reset: socket.abort()
            case .silence: _ = try? socket.receiveToEnd()
            }
        }
    }

    /// The port on which it listens.
    public var port: UInt16 { service.port }
}
