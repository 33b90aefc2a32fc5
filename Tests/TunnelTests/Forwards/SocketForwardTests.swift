import Logging
import NIOCore
import NIOPosix
import Platform
import Testing

@testable import Mux
@testable import TunnelClient
@testable import TunnelCore

@Suite("One stream between a socket of the program and a destination")
struct SocketForwardTests {
    @Test("A descriptor that is no socket ends the run with an error that says why")
    func unusable() async throws {
        let descriptor = open(#filePath, O_RDONLY)
        try #require(descriptor >= 0)
        let destination = try #require(Destination("db.internal:5432"))
        let forward = SocketForward(descriptor: descriptor, to: destination)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (ends, end) = AsyncStream.makeStream(of: SocketForward.End.self)
        try await loop.submit {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let sessionLoop = SessionLoop(
                session: Session(role: .client, peerWindow: 65_536, seed: 1, now: .now),
                carrier: FakeCarrier(),
                loop: loop,
                pollsBusily: false,
                memory: MemoryBudget(),
                logger: logger
            )
            SocketForwardStream(forward, loop: loop, totals: TrafficTotals()) { end.yield($0) }
                .begin(ForwardStreams(sessionLoop, ClientLimits(), logger: logger))
        }.get()
        let found = try #require(await ends.first { _ in true })
        guard case .failed = found else { return #expect(Bool(false), "\(found)") }
        let error = try #require(ClientError(.socket(found, to: destination)))
        guard case .unreachable(let text) = error else { return #expect(Bool(false), "\(error)") }
        #expect(text.contains("db.internal:5432"))
    }
}
