import TestSupport
import Testing

@testable import WebSocket

/// The key of the handshake: H14, and the example of RFC 6455, section 1.3.
@Suite struct AcceptKeyTests {
    @Test("RFC 6455 section 1.3: the example's key gives the example's answer")
    func example() {
        #expect(AcceptKey.accept(for: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(AcceptKey.decode("dGhlIHNhbXBsZSBub25jZQ==") == Array("the sample nonce".utf8))
        #expect(AcceptKey.encode(Array("the sample nonce".utf8)) == "dGhlIHNhbXBsZSBub25jZQ==")
    }

    @Test("every key of 16 bytes reads back as itself")
    func roundTrip() {
        var random = SplitMix64(state: 3)
        for _ in 0..<200 {
            let key = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            #expect(AcceptKey.decode(AcceptKey.encode(key)) == key)
        }
    }

    @Test(
        "H14 a key that is not the canonical base64 form of 16 bytes is refused",
        arguments: [
            "", "=", "==", "====", "AAAA", "AAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAA===", "AAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAB==",
            "AAAAAAAAAAAAAAAAAAAAA-==",
            "AAAAAAAAAAAAAAAAAAAA_w==", "AAAAAAAAAAA AAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA==\n",
            " AAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAA===", "AAAAAAAA=AAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAA",
            "ÀAAAAAAAAAAAAAAAAAAAA==",
        ]
    )
    func malformed(text: String) {
        #expect(AcceptKey.decode(text) == nil)
    }
}
