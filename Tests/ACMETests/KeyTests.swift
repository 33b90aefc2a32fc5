import Crypto
import Foundation
import SwiftASN1
import Testing
import X509

@testable import ACME

@Suite("Keys and signatures of ACME") struct KeyTests {
    /// RFC 7515, appendix A.3.
    private static let example = (
        x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        input:
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
            + "Ijp0cnVlfQ",
        signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )

    private func exampleKey() throws -> AccountKey {
        let bytes = try #require(Base64URL.decoded(Self.example.d))
        return AccountKey(try P256.Signing.PrivateKey(rawRepresentation: bytes))
    }

    @Test("the key of RFC 7515, A.3, has the JWK of the RFC, and verifies the RFC's signature as well as its own")
    func exampleOfJOSE() throws {
        let key = try exampleKey()
        let (x, y) = (Self.example.x, Self.example.y)
        #expect(key.jwk.text == #"{"crv":"P-256","kty":"EC","x":"\#(x)","y":"\#(y)"}"#)
        let input = Data(Self.example.input.utf8)
        for bytes in [try #require(Base64URL.decoded(Self.example.signature)), try key.signature(of: input)] {
            let signature = try P256.Signing.ECDSASignature(rawRepresentation: bytes)
            #expect(key.publicKey.isValidSignature(signature, for: input))
        }
    }

    @Test("the thumbprint of RFC 7638's key is the RFC's")
    func thumbprint() {
        let modulus =
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
            + "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz"
            + "u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU"
            + "8awapJzKnqDKgw"
        let jwk = JSONText.object([("e", .string("AQAB")), ("kty", .string("RSA")), ("n", .string(modulus))])
        #expect(AccountKey.thumbprint(of: jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    }

    @Test("a signed body carries the key before there is an account, and the account's URL afterwards")
    func signers() throws {
        let key = AccountKey()
        let url = try ACMEURL("https://ca.example/order?x=1")
        let account = try ACMEURL("https://ca.example/accounts/7")
        let first = try SignedBody.make(.object([("a", .bool(true))]), for: url, nonce: "n-1", by: .key, with: key)
        let signed = try Signed.read(first, [:]).get()
        #expect(signed.payload == #"{"a":true}"#)
        #expect((signed.nonce, signed.url) == ("n-1", url.description))
        #expect(signed.account == nil)
        let second = try SignedBody.make(nil, for: url, nonce: "n-2", by: .account(account), with: key)
        let read = try Signed.read(second, [account.description: key.publicKey]).get()
        #expect(read.payload.isEmpty, "a request that only reads has an empty payload")
        #expect(read.account == account.description)
    }

    @Test("a key survives its text, and no other text is a key")
    func storedKey() {
        let key = AccountKey()
        #expect(AccountKey(pem: key.pem)?.thumbprint == key.thumbprint)
        for text in ["", "x", key.pem.replacing("PRIVATE", with: "PUBLIC"), String(key.pem.dropFirst(40))] {
            #expect(AccountKey(pem: text) == nil)
        }
    }

    @Test("texts in JSON are escaped, and members keep their order")
    func json() {
        let value = JSONText.object([("z", .string("a\"b\\c\n\u{1}é")), ("a", .array([.bool(false), .string("")]))])
        #expect(value.text == #"{"z":"a\"b\\c\u000a\u0001é","a":[false,""]}"#)
    }

    @Test("the proof in a handshake is the critical extension of RFC 8737, with the digest as octets")
    func proof() throws {
        let digest = Array(SHA256.hash(data: Data("token.thumbprint".utf8)))
        var serializer = DER.Serializer()
        let identifier: [UInt8] = [0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1F]
        let proof = ChallengeCertificate.proof(digest)
        try serializer.serialize(proof.oid)
        #expect(serializer.serializedBytes == identifier)
        #expect(proof.critical)
        #expect(Array(proof.value) == [0x04, 0x20] + digest)
    }

    @Test(
        "the certificate of tls-alpn-01 has the name alone, its own signature, and the proof of its key authorization"
    )
    func challengeCertificate() throws {
        let name = try #require(CertificateName("app.example.com"))
        let key = AccountKey()
        let answer = try #require(ChallengeAnswer(.tlsALPN01, name, token: "abc", key: key))
        #expect(answer.keyAuthorization == "abc.\(key.thumbprint)")
        let made = try ChallengeCertificate(answer, now: 1_800_000_000)
        let read = try Certificate(derEncoded: made.certificate)
        #expect(try read.extensions.subjectAlternativeNames.map(Array.init) == [.dnsName("app.example.com")])
        #expect(read.publicKey == Certificate.PublicKey(made.key.publicKey))
        #expect(read.publicKey.isValidSignature(read.signature, for: read))
        let proof = try #require(read.extensions[oid: [1, 3, 6, 1, 5, 5, 7, 1, 31]])
        #expect(proof.critical)
        #expect(Array(proof.value.suffix(32)) == Array(SHA256.hash(data: Data(answer.keyAuthorization.utf8))))
    }

    @Test("a request for a certificate has the name as its only alternative name, and is signed by its key")
    func request() throws {
        let key = P256.Signing.PrivateKey()
        let name = try #require(CertificateName("app.example.com"))
        let read = try CertificateSigningRequest(derEncoded: CertificateRequest.make(for: name, key: key))
        #expect(read.publicKey.isValidSignature(read.signature, for: read))
        #expect(read.publicKey == Certificate.PublicKey(key.publicKey))
        let names = try read.attributes.extensionRequest?.extensions.subjectAlternativeNames
        #expect(names.map(Array.init) == [.dnsName("app.example.com")])
    }

    @Test(
        "a token is text for URLs of a bounded length: nothing else leads to an answer",
        arguments: [
            ("abc-_9", true), (String(repeating: "a", count: ACMELimits.token), true),
            (String(repeating: "a", count: ACMELimits.token + 1), false), ("", false), ("a/b", false), ("a.b", false),
            ("../x", false), ("a b", false), ("a\n", false), ("é", false),
        ]
    )
    func tokens(token: String, isGood: Bool) throws {
        let name = try #require(CertificateName("a.example"))
        #expect((ChallengeAnswer(.http01, name, token: token, key: AccountKey()) != nil) == isGood)
    }
}
