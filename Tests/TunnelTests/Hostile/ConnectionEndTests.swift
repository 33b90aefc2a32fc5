import Foundation
import TestSupport
import Testing
import TunnelAdmin

extension HostileTests {
    /// Ends of a client's connection, after which the server must hold no resources.
    @Suite(.serialized)
    struct ConnectionEndTests {
        @Test(
            "After BIND, GOAWAY and Close in one segment another client gets the port, in each of 20 rounds"
        )
        func bindAndCloseInOneSegment() async throws {
            try await RunningServer.with { server in
                for _ in 0..<20 {
                    let port = try FreePorts.next()
                    try await onThread {
                        let peer = try WirePeer.session(server.port, .alice)
                        let bind = try peer.encode(WirePeer.bindRequest(port))
                        let goAway = try peer.encode(WirePeer.goAway(.goingAway))
                        try peer.socket.send(bind + goAway + peer.webSocketFrame(8, [3, 232]))
                        _ = try peer.readToEnd()
                    }
                    try await onThread { try Self.requireFree(port, server) }
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("P4 P5 W26 after a FIN without a Close the port is kept for its client")
        func finWithoutClose() async throws {
            try await RunningServer.with({ $0.limits.grace = .seconds(120) }) { server in
                let port = try FreePorts.next()
                try await onThread {
                    let peer = try WirePeer.session(server.port, .alice, timeout: .seconds(12))
                    let refusal = try peer.bind(port)
                    try require(refusal == nil, "the port was refused: \(String(describing: refusal))")
                    try peer.socket.finishSending()
                    // The loss is noticed before a PING would time out.
                    _ = try peer.readToEnd()
                    // The client may have been disconnected by its proxy, so the port is kept, and the refusal has the
                    // time.
                    let other = try WirePeer.session(server.port, .bob)
                    var otherRefusal = try other.bind(port)
                    // The server may notice the end later.
                    while otherRefusal?.text.contains("is held by") == true {
                        TunnelTests.pause()
                        otherRefusal = try other.bind(port)
                    }
                    try require(
                        otherRefusal?.text.contains("kept for alice") == true,
                        "\(String(describing: otherRefusal))"
                    )
                    try other.endSession()
                    // A visitor waits for the client.
                    let visitor = try TCPSocket(port: port)
                    try Self.requireFree(port, server, for: .alice)
                    visitor.abort()
                }
                try await eventually("no session is left") { server.sessions == 0 }
            }
        }

        @Test("H23 a stranger's FIN after the upgrade returns its admission slot at once")
        func strangerFINFreesSlot() async throws {
            let path = NSTemporaryDirectory() + "culvert-\(UInt32.random(in: 0 ... .max)).sock"
            try await RunningServer.with({ $0.admin = AdminPlaces([.unix(path: path)]) }) { server in
                try await onThread {
                    let handshakes = {
                        try TCPSocket(unixPath: path).request("GET", "/status").body.filter { !$0.isWhitespace }
                    }
                    let began = ContinuousClock.now
                    let stranger = try WirePeer.dial(server.port)
                    _ = try stranger.frame(.challenge)
                    try require(try handshakes().contains("\"handshakes\":1"), "it has no slot")
                    try stranger.socket.finishSending()
                    // The slot may be returned shortly after the FIN.
                    while try !handshakes().contains("\"handshakes\":0") {
                        try require(.now - began < .seconds(9), "the slot is still in use")
                        TunnelTests.pause()
                    }
                    try require(.now - began < .seconds(9), "the handshake timeout may have freed the slot")
                    withExtendedLifetime(stranger) {}
                }
            }
        }

        /// Binds `port` as another client, and waits until it is free.
        ///
        /// A claim may be released shortly after the end of its session. The server permits 1,280 BINDs in 10 s.
        private static func requireFree(_ port: UInt16, _ server: RunningServer, for identity: Identity = .bob) throws {
            let peer = try WirePeer.session(server.port, identity)
            let deadline = ContinuousClock.now + .seconds(10)
            while let refusal = try peer.bind(port) {
                try require(.now < deadline, "port \(port) is still refused: \(refusal)")
                TunnelTests.pause()
            }
            try peer.endSession()
        }
    }
}
