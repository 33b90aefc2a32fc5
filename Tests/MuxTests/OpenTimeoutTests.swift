import Testing

@testable import Mux

/// The limit of the time from OPEN to ACCEPT (protocol page, section 3).
@Suite struct OpenTimeoutTests {
    /// Limits under which a missing acknowledgement causes no PING.
    private func patient(_ change: (inout MuxLimits) -> Void) -> MuxLimits {
        var limits = limits(change)
        limits.ackPatience = .seconds(3_600)
        return limits
    }

    @Test("M20 a stream that is not accepted within 15 s is reset at both ends, and its place is free again")
    func silentPeer() throws {
        var server = session(.server, patient { $0.opening = 1 })
        #expect(server.open(visit, now: .start) == two)
        #expect(!server.hasRoom)
        let ping = server.frames().compactMap { $0.header.type == .ping ? $0.number : nil }
        try server.tick(now: .start)
        for number in ping + server.frames().filter({ $0.header.type == .ping }).map(\.number) {
            try server.receive(frame(.pong, number: number), now: .start)
        }
        _ = server.actions()
        #expect(server.deadline <= .at(.seconds(15)))
        try server.tick(now: .at(.milliseconds(14_999)))
        #expect(server.actions().isEmpty)
        try server.tick(now: .at(.seconds(15)))
        #expect(server.actions() == [.abort(two, .timeout)])
        #expect(server.sent() == ["reset 2"])
        #expect(server.hasRoom)
    }

    @Test("an accepted stream has no deadline, in any order of the ACCEPTs")
    func acceptedInAnyOrder() throws {
        var server = session(.server, patient { _ in })
        try server.tick(now: .start)
        let ping = try #require(server.frames().first)
        try server.receive(frame(.pong, number: ping.number), now: .start)
        for _ in 0..<3 { _ = server.open(visit, now: .start) }
        for id: UInt32 in [6, 2, 4] { try server.receive(frame(.accept, id), now: .at(.seconds(1))) }
        _ = server.actions()
        _ = server.frames(.at(.seconds(2)))
        #expect(server.deadline > .at(.seconds(15)))
        try server.tick(now: .at(.seconds(15)))
        #expect(server.actions().isEmpty)
    }
}
