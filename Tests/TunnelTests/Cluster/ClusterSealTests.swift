import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import TunnelCore
@testable import TunnelServer

/// Sealed carriers that reach another server than the home of their session.
@Suite("Sealed sessions in a cluster", .serialized)
struct ClusterSealTests {
    /// RESUME with an unknown field of 300 bytes before its message: too long to be passed on to another server.
    private static func padded(_ resume: OutboundFrame) throws -> OutboundFrame {
        let fields = try FieldReader(resume.payload, of: .resume)
        let (message, before) = try #require(try fields.last(SealedFields.Tag.resume))
        var (padding, last) = (FieldWriter(), FieldWriter())
        padding.append(0x70, [UInt8](repeating: 0, count: 300))
        last.append(SealedFields.Tag.resume, message)
        var payload = before
        payload.writeImmutableBuffer(padding.bytes)
        payload.writeImmutableBuffer(last.bytes)
        return OutboundFrame(.resume, .session, payload)
    }

    /// The sessions that a client has opened. Servers have sessions with each other too.
    private static func sessions(of client: String, in log: CollectedLog) -> Int {
        log.text.split(separator: "\n").count { $0.contains("session opened") && $0.contains("client=\(client)") }
    }

    @Test("A RESUME to which the path has added ends its carrier without an answer, at home and elsewhere")
    func paddedResume() async throws {
        try await RunningCluster.with(2) { cluster in
            let ports = cluster.members.map(\.port)
            try await onThread {
                let (live, ticket) = try WirePeer.sealedSession(ports[0], .alice)
                for (number, port) in ports.enumerated() {
                    let peer = try WirePeer.dial(port)
                    let (_, resume) = try peer.resumption(.alice, ticket, epoch: UInt64(number + 1), received: 0)
                    try peer.send(try Self.padded(resume))
                    let frames = try peer.readToEnd().frames
                    try require(frames.isEmpty, "an answer: \(frames.map(\.header.type))")
                }
                // The session has lost nothing: its carrier works, and so do others that nothing was added to.
                try live.send(OutboundFrame(.ping, number: 5))
                try require(try live.frame(.pong).number == 5, "another PONG")
                for (number, port) in ports.reversed().enumerated() {
                    let peer = try WirePeer.sealedResume(port, .alice, ticket, epoch: UInt64(number + 10))
                    try peer.send(OutboundFrame(.ping, number: UInt64(number)))
                    try require(try peer.frame(.pong).number == UInt64(number), "another PONG")
                    if port == ports[0] { try peer.endSession() }
                }
            }
            #expect(Self.sessions(of: "alice", in: cluster.members[0].log) == 1)
            #expect(cluster.members[1].log.count("carrier relayed") == 1)
        }
    }

    @Test("A RESUME of a session that its home no longer has is answered with unknownSession, also elsewhere")
    func unknownSession() async throws {
        try await RunningCluster.with(2) { cluster in
            let ports = cluster.members.map(\.port)
            try await onThread {
                let (live, ticket) = try WirePeer.sealedSession(ports[0], .alice)
                try live.endSession()
                let peer = try WirePeer.dial(ports[1])
                let (_, resume) = try peer.resumption(.alice, ticket, epoch: 1, received: 0)
                try peer.send(resume)
                let refused = try peer.frame(.refused)
                let code = try Refusal(refused.payload, of: .refused).code
                try require(code == .unknownSession, "\(code)")
            }
        }
    }
}
