import Mux
import NIOCore
import Testing

@testable import Tunnel

@Suite("What strangers may cost")
struct AdmissionTests {
    private let now = Moment(nanoseconds: 1_000_000_000_000)

    @Test("sixteen places for one address, and not one more until one is given back")
    func placesOfOneAddress() {
        let admission = Admission()
        for _ in 0..<Admission.maximumWaitingPerAddress { #expect(admission.enter("192.0.2.1")) }
        #expect(!admission.enter("192.0.2.1"))
        #expect(admission.enter("192.0.2.2"))
        admission.leave("192.0.2.1")
        #expect(admission.enter("192.0.2.1"))
    }

    @Test("256 places in all, for loopback too, where the front stands")
    func placesInAll() {
        let admission = Admission()
        for _ in 0..<Admission.maximumWaiting { #expect(admission.enter(nil)) }
        #expect(!admission.enter(nil))
        #expect(!admission.enter("192.0.2.1"))
    }

    @Test(
        "a front's address is charged to nobody",
        arguments: [
            ("127.0.0.1", nil), ("127.8.9.1", nil), ("::1", nil), ("::ffff:127.0.0.1", nil), ("192.0.2.1", "192.0.2.1"),
        ]
            as [(String, String?)]
    )
    func frontsAreExempt(text: String, expected: String?) throws {
        #expect(Admission.address(of: try SocketAddress(ipAddress: text, port: 1)) == expected)
        #expect(Admission.address(of: try SocketAddress(unixDomainSocketPath: "/x")) == nil)
        #expect(Admission.address(of: nil) == nil)
    }

    @Test("A2 five wrong proofs a minute are answered at once, further ones ever later, up to five seconds")
    func wrongProofsAreSlowedDown() {
        let admission = Admission()
        let delays = (0..<12).map { _ in admission.failed("192.0.2.1", now: now) }
        #expect(delays == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5])
        #expect(admission.failed("192.0.2.2", now: now) == 0)
        #expect(admission.failed("192.0.2.1", now: now + .seconds(61)) == 0)
    }
}
