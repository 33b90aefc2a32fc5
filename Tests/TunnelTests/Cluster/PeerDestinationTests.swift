import Cluster
import Testing

@testable import TunnelServer

@Suite("What servers ask each other for")
struct PeerDestinationTests {
    private static let session = [UInt8](0..<16)
    private static let key = ClaimKey(
        .name("app.example.test"),
        part: "http:/a/b",
        owner: .client([1, 2]),
        member: ClaimMember(client: [1, 2], instance: [3])
    )

    @Test(
        "A destination is read as it was written",
        arguments: [
            PeerDestination.tunnel(7, session: session), .life(session: session),
            .names("a.example.test", isSecure: true),
            .names("a.example.test", isSecure: false), .clients, .taken(key),
            .carrier(challenge: [1, 2, 3], resume: [4, 5]),
        ]
    )
    func roundTrip(destination: PeerDestination) {
        #expect(PeerDestination(destination.text) == destination)
        #expect(destination.fits)
    }

    @Test(
        "Another text is refused",
        arguments: [
            "", "/", "tunnel", "tunnel/7", "tunnel/7/", "tunnel/x/000102030405060708090a0b0c0d0e0f",
            "tunnel/65536/000102030405060708090a0b0c0d0e0f", "tunnel/7/000102030405060708090a0b0c0d0e",
            "tunnel/7/000102030405060708090a0b0c0d0e0f/", "life/", "life/00/000102030405060708090a0b0c0d0e0f", "taken/",
            "taken/tcp:80", "carrier/", "carrier/ ", "carrier/Aw==", "carrier/AwEC", "localhost:22", "/run/x.sock",
        ]
    )
    func refused(text: String) {
        #expect(PeerDestination(text) == nil)
    }

    @Test("The payloads of a carrier may be empty, which the handshake then refuses")
    func emptyPayloads() {
        #expect(PeerDestination("carrier/AAE=") == .carrier(challenge: [], resume: [1]))
    }
}
