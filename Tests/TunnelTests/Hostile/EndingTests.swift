import TestSupport
import Testing

extension HostileTests {
    /// Ways in which a client's connection to the server ends, and what must be left then: nothing.
    @Suite(.serialized)
    struct EndingTests {
        @Test(
            "a BIND, a GOAWAY and a Close in one segment leave no claim behind: another client gets the port, twenty times"
        )
        func bindAndCloseInOneSegment() async throws {
            try await RunningServer.with { server in
                for _ in 0..<20 {
                    let port = try FreePorts.next()
                    try await onThread {
                        let peer = try WirePeer.session(server.port, .alice)
                        let bind = try peer.encode(WirePeer.bindRequest(port))
                        let goodbye = try peer.encode(WirePeer.goAway(.goingAway))
                        try peer.socket.send(bind + goodbye + peer.webSocketFrame(8, [3, 232]))
                        _ = try peer.toTheEnd()
                    }
                    try await onThread { try Self.demandFree(port, server) }
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("P4 P5 W26 after a client's FIN without a goodbye its port is kept for it, and for nobody else")
        func finWithoutClose() async throws {
            try await RunningServer.with({ $0.limits.grace = .seconds(120) }) { server in
                let port = try FreePorts.next()
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice, patience: .seconds(12))
                    let refusal = try peer.bind(port)
                    try demand(refusal == nil, "the port was refused: \(String(describing: refusal))")
                    try peer.socket.finishSending()
                    // Well before a PING would have missed the client.
                    _ = try peer.toTheEnd()
                    // It was cut off, perhaps by its proxy: nobody else gets the port meanwhile, and is told for how long.
                    let other = try WirePeer.session(server.port, .bob)
                    var otherRefusal = try other.bind(port)
                    // The server learns of the end a moment later.
                    while otherRefusal?.text.contains("is held by") == true {
                        pause()
                        otherRefusal = try other.bind(port)
                    }
                    try demand(
                        otherRefusal?.text.contains("kept for alice") == true,
                        "\(String(describing: otherRefusal))"
                    )
                    try other.goodbye()
                    // A visitor waits for it, and does not hear that the port is closed.
                    let visitor = try TCPSocket(port: port)
                    try Self.demandFree(port, server, for: .alice)
                    visitor.abort()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("H23 a stranger's FIN behind the upgrade gives its admission place back at once")
        func strangersFinGivesItsPlaceBack() async throws {
            try await RunningServer.with { server in
                try await onThread {
                    let began = ContinuousClock.now
                    let stranger = try WirePeer.dial(server.port)
                    _ = try stranger.frame(.challenge)
                    // All other places are taken: the next one is told so.
                    let others = try (0..<255).map { _ in try TCPSocket(port: server.port) }
                    let early = try Self.fill(server.port)
                    try stranger.socket.finishSending()
                    _ = try stranger.toTheEnd()
                    // The place is given back a moment after the FIN, on another thread than the next one's.
                    while (try? WirePeer.dial(server.port).frame(.challenge)) == nil {
                        try demand(.now - began < .seconds(9), "there is still no place")
                        pause()
                    }
                    try demand(.now - began < .seconds(9), "so late that the deadline may have given the place back")
                    withExtendedLifetime((others, early)) {}
                }
            }
        }

        /// Connects until one is refused for want of a place.
        ///
        /// - Returns: those that were not, because they overtook one of the connections before them.
        private static func fill(_ port: UInt16) throws -> [TCPSocket] {
            var admitted: [TCPSocket] = []
            while true {
                let probe = try TCPSocket(port: port, patience: .milliseconds(500))
                do {
                    let answer = String(decoding: try probe.receiveToEnd(), as: UTF8.self)
                    try demand(answer.hasPrefix("HTTP/1.1 503 "), "the 257th got \(answer)")
                    return admitted
                } catch SocketError.timedOut {
                    admitted.append(probe)
                    try demand(admitted.count < 8, "the places never end")
                }
            }
        }

        /// Claims `port` as another client, which gets it once nobody holds it any more.
        ///
        /// A claim is given back a moment after its session has ended; the server takes 1,280 BINDs in ten seconds.
        private static func demandFree(_ port: UInt16, _ server: RunningServer, for identity: Identity = .bob) throws {
            let peer = try WirePeer.session(server.port, identity)
            let deadline = ContinuousClock.now + .seconds(10)
            while let refusal = try peer.bind(port) {
                try demand(.now < deadline, "port \(port) is still refused: \(refusal)")
                pause()
            }
            try peer.goodbye()
        }
    }
}
