import HTTPRelay
import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

extension SealedTests {
    /// What something on the path sees of a whole session.
    @Suite(.serialized)
    struct VisibilityTests {
        /// Something that the path must not see.
        private struct Secret {
            let name: String
            let bytes: [UInt8]
        }

        @Test(
            "The path sees none of the bytes, names, addresses and ports of a sealed session, and all of them without a seal",
            arguments: [true, false]
        )
        func session(isSealed: Bool) async throws {
            let wrong = Mailbox<String>()
            let service = try Pattern.echo(wrong: wrong)
            let forward = try FreePorts.next()
            let destination = "localhost:\(service.port)"
            let publicName = "wiki-of-alice.example.test"
            try await SealedTunnel.with(isRecording: true, service: service) { configuration in
                if !isSealed { configuration.encryption = .off }
                configuration.clients[0].destinations = [destination].compactMap { DestinationRule($0) }
                configuration.clients[0].allowsLoopback = true
                configuration.clients[0].names = [NamePattern("*.example.test")].compactMap { $0 }
                configuration.httpListen = [.tcp(host: "127.0.0.1", port: 0)]
            } client: { configuration in
                if !isSealed { configuration.encryption = .off }
                configuration.name = "laptop-of-alice"
                configuration.tunnels.append(try TunnelSpec("http:\(publicName):localhost:\(service.port)"))
                configuration.carriers = try CarrierCount("2")
                configuration.forwards = try ForwardSpec.list("127.0.0.1:\(forward):\(destination)")
            } _: { tunnel in
                try await eventually("there are two lanes") { tunnel.relay.accepted == 2 }
                _ = try await tunnel.client.tunnels.next("the port and the name are public")
                // Bytes both ways, through the tunnel and through the forward.
                let visitor = try PatternVisitor(port: tunnel.publicPort)
                let user = try PatternVisitor(port: forward)
                try await eventually("half a MiB has come back") { visitor.bytes > 524_288 && user.bytes > 65_536 }
                tunnel.relay.cutAll()
                let before = visitor.bytes
                try await eventually("the session has resumed") { visitor.bytes > before + 524_288 }
                guard case .exact = try await visitor.finish(), case .exact = try await user.finish() else {
                    throw ScenarioFailure(description: "a stream is broken")
                }
                #expect(tunnel.client.log.count("notice session resumed") >= 1)
                let seen = PathAttack.Direction.allCases.flatMap { tunnel.relay.heard($0) }
                #expect(seen.count { $0.first == FrameType.resume.rawValue } >= 2, "a second lane and a resume")
                let port = tunnel.publicPort
                let secrets = [
                    Secret(name: "the client's name", bytes: Array("laptop-of-alice".utf8)),
                    Secret(name: "the instance", bytes: [UInt8](repeating: 200, count: 32)),
                    Secret(name: "the authority", bytes: Array("127.0.0.1:\(tunnel.relay.port)".utf8)),
                    Secret(name: "the destination", bytes: Array(destination.utf8)),
                    Secret(name: "the host name", bytes: Array(publicName.utf8)),
                    Secret(name: "the visitor's address", bytes: Array("127.0.0.1:\(visitor.port)".utf8)),
                    // Fields 3 of BIND and BOUND.
                    Secret(name: "the public port", bytes: [3, 0, 2, UInt8(port >> 8), UInt8(port & 0xFF)]),
                ]
                // The upgrade is readable, and the authority is in it for every proxy.
                let heads = Array(tunnel.relay.heads.utf8)
                for secret in secrets {
                    let isSeen = seen.contains { $0.firstRange(of: secret.bytes) != nil }
                    #expect(isSeen == !isSealed, "\(secret.name)")
                    let isInHeads = heads.firstRange(of: secret.bytes) != nil
                    #expect(isInHeads == (secret.name == "the authority"), "\(secret.name)")
                }
                for text in ["\(port)", "\(service.port)", "\(visitor.port)", "localhost", "127.0.0.1", "example.test"]
                where isSealed {
                    #expect(!seen.contains { $0.firstRange(of: Array(text.utf8)) != nil }, "\(text)")
                }
                for text in ["\(port)", "\(service.port)", "\(visitor.port)", "localhost", "example.test", "alice"] {
                    #expect(heads.firstRange(of: Array(text.utf8)) == nil, "\(text)")
                }
                #expect(Pattern.isSeen(in: seen) == !isSealed, "the visitors' bytes")
            }
            #expect(wrong.all.isEmpty)
        }
    }
}

extension Pattern {
    /// Whether any eight bytes of the pattern, from a place divisible by 8 on, are anywhere in these messages.
    static func isSeen(in messages: [[UInt8]]) -> Bool {
        let whole = all
        var words = Set<UInt64>(minimumCapacity: whole.count / 8)
        for start in stride(from: 0, to: whole.count - 8, by: 8) {
            words.insert(whole[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) })
        }
        for message in messages {
            var (word, count) = (UInt64(0), 0)
            for byte in message {
                word = word << 8 | UInt64(byte)
                count += 1
                if count >= 8, words.contains(word) { return true }
            }
        }
        return false
    }
}
