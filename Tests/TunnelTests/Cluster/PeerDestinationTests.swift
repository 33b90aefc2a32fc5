import Cluster
import Testing
import WebSocket

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

    @Test("The compression of a relayed carrier is read back as it was written, and nothing else is taken")
    func compression() {
        for (server, client, bits) in [(true, true, 12), (false, true, 15), (true, false, 9), (false, false, 8)] {
            let agreement = DeflateAgreement(
                serverNoContextTakeover: server,
                clientNoContextTakeover: client,
                serverMaxWindowBits: bits,
                clientMaxWindowBits: 15,
                options: .isolated
            )
            #expect(DeflateAgreement(relayText: agreement.relayText, .isolated) == agreement)
        }
        for text in [
            "", "deflate", "deflate/reset/reset/12", "deflate/reset/reset/12/15/1", "deflate/reset/gone/12/15",
            "deflate/reset/reset/7/15", "deflate/reset/reset/12/16", "deflate/reset/reset/+12/15",
            "deflate/reset/reset/012/15", "deflate/reset/reset/12/99999999999999999999", "inflate/reset/reset/12/15",
        ] {
            #expect(DeflateAgreement(relayText: text, .isolated) == nil, "\(text)")
        }
    }
}
