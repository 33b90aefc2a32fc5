import Testing

@testable import Mux

/// What a session reports of a lane's path.
@Suite struct PathFiguresTests {
    @Test(
        "a path is shared for 1 s after a short chunk in either direction, and only on the quick lane",
        arguments: [true, false]
    )
    func isShared(sends: Bool) throws {
        var server = try serverWithStream()
        try server.open(lanes: 1...1)
        if sends { server.write(two, bytes(10)) } else { try server.receive(frame(.data, 2, bytes(10)), now: .start) }
        _ = server.frames(on: 0)
        #expect(server.pathFigures(of: .first, now: .at(.milliseconds(999))).isShared)
        #expect(!server.pathFigures(of: LaneID(1), now: .at(.milliseconds(999))).isShared)
        #expect(!server.pathFigures(of: .first, now: .at(.seconds(1))).isShared)
    }

    @Test("a short request is not interactive once a long answer follows on its stream")
    func request() throws {
        var server = try serverWithStream(window: 1_048_576)
        server.congestion.restart(now: .start)
        let sample = server.congestion.sample(now: .start)
        server.congestion.acknowledged(4_194_304, sample, now: .start + .milliseconds(100))
        try server.receive(frame(.data, 2, bytes(10)), now: .start)
        #expect(server.pathFigures(now: .start).isShared)
        server.write(two, bytes(200_000))
        _ = server.frames(on: 0)
        let figures = server.pathFigures(now: .start)
        #expect(!figures.isShared && figures.rate > 0)
        #expect(abs(figures.product - 4_194_304) < 1)
    }
}
