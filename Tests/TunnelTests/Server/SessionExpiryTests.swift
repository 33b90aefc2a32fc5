import Mux
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import TunnelServer

@Suite("The end of a client's access")
struct SessionExpiryTests {
    private let loop = EmbeddedEventLoop()

    /// The seconds by which the wall clock was set forward.
    private final class Shift: Sendable {
        let seconds = Atomic<Int64>(0)
    }

    private func rights(expires: Int64?) -> ClientRights {
        var rights = ServerRig.rights
        rights.expires = expires
        return rights
    }

    @Test("Access without an expiry has no timer")
    func never() {
        let expiry = SessionExpiry(on: loop, clock: ServerRig.clock(loop)) { _ in Issue.record("expired") }
        expiry.watch(rights(expires: nil))
        loop.advanceTime(by: .hours(24 * 365))
    }

    @Test("Expired access ends at once")
    func past() {
        var refusals: [Refusal] = []
        let expiry = SessionExpiry(on: loop, clock: ServerRig.clock(loop)) { refusals.append($0) }
        expiry.watch(rights(expires: 999_999))
        loop.advanceTime(by: .zero)
        #expect(refusals.map(\.code) == [.credentials])
    }

    @Test("Access of a year ends after a year, and the wall clock is read at least once a day")
    func longTime() {
        let expires: Int64 = 1_000_000 + 365 * 86_400 - 7
        var ended: Int64?
        let clock = ServerRig.clock(loop)
        let expiry = SessionExpiry(on: loop, clock: clock) { _ in ended = clock.unixSeconds() }
        expiry.watch(rights(expires: expires))
        loop.advanceTime(by: .hours(24 * 365 + 1))
        #expect(ended == expires)
    }

    @Test("A wall clock that is set forward ends access within a day")
    func clockIsSet() {
        let shift = Shift()
        let monotonic = ServerRig.clock(loop)
        var isOver = false
        let clock = ServerClock(unixSeconds: { monotonic.unixSeconds() + shift.seconds.load(ordering: .relaxed) })
        let expiry = SessionExpiry(on: loop, clock: clock) { _ in isOver = true }
        expiry.watch(rights(expires: 1_000_000 + 10 * 86_400))
        loop.advanceTime(by: .hours(23))
        shift.seconds.store(20 * 86_400, ordering: .relaxed)
        #expect(!isOver)
        loop.advanceTime(by: .hours(1))
        #expect(isOver)
    }

    @Test("A cancelled expiry, or that of replaced rights, has no effect")
    func cancelled() {
        var count = 0
        let expiry = SessionExpiry(on: loop, clock: ServerRig.clock(loop)) { _ in count += 1 }
        expiry.watch(rights(expires: 1_000_010))
        expiry.watch(rights(expires: 1_000_020))
        loop.advanceTime(by: .seconds(15))
        #expect(count == 0)
        expiry.cancel()
        loop.advanceTime(by: .seconds(15))
        #expect(count == 0)
    }
}
