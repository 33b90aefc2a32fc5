import Foundation
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
                    let peer = try WirePeer.session(server.port, .alice, timeout: .seconds(12))
                    let refusal = try peer.bind(port)
                    try require(refusal == nil, "the port was refused: \(String(describing: refusal))")
                    try peer.socket.finishSending()
                    // Well before a PING would have missed the client.
                    _ = try peer.toTheEnd()
                    // It was cut off, perhaps by its proxy: nobody else gets the port meanwhile, and is told for how long.
                    let other = try WirePeer.session(server.port, .bob)
                    var otherRefusal = try other.bind(port)
                    // The server learns of the end a moment later.
                    while otherRefusal?.text.contains("is held by") == true {
                        TunnelTests.pause()
                        otherRefusal = try other.bind(port)
                    }
                    try require(
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
            let path = NSTemporaryDirectory() + "culvert-\(UInt32.random(in: 0 ... .max)).sock"
            try await RunningServer.with({ $0.admin = .unix(path: path) }) { server in
                try await onThread {
                    let handshakes = {
                        try TCPSocket(unixPath: path).request("GET", "/status").body.filter { !$0.isWhitespace }
                    }
                    let began = ContinuousClock.now
                    let stranger = try WirePeer.dial(server.port)
                    _ = try stranger.frame(.challenge)
                    try require(try handshakes().contains("\"handshakes\":1"), "it has no place")
                    try stranger.socket.finishSending()
                    // The place is given back a moment after the FIN.
                    while try !handshakes().contains("\"handshakes\":0") {
                        try require(.now - began < .seconds(9), "the place is held")
                        TunnelTests.pause()
                    }
                    try require(.now - began < .seconds(9), "so late that the deadline may have given the place back")
                    withExtendedLifetime(stranger) {}
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
                try require(.now < deadline, "port \(port) is still refused: \(refusal)")
                TunnelTests.pause()
            }
            try peer.goodbye()
        }
    }
}
