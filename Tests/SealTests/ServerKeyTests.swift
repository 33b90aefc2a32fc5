import ByteText
import Crypto
import TestSupport
import Testing

@testable import Seal

/// Texts of the server's key.
@Suite("The server's key") struct ServerKeyTests {
    @Test("the public key is that of X25519, and both forms of both keys are read back")
    func forms() throws {
        // From another implementation, Python's cryptography.
        let secret = try #require(Base16.decoded("77076d0a7318a57d3c16c17251b26645df5f2a8e7b7b7d1c2b3a4f5e6d7c8b9a"))
        let known = try #require(Base16.decoded("3631b38c13003b9606a1533d3658dd453abdcc5d79f934ebbca7b2faa0532979"))
        let key = try #require(ServerKey(rawRepresentation: secret))
        #expect(key.rawRepresentation == secret)
        #expect(key.publicKey.rawRepresentation == known)
        for key in [key, ServerKey(), ServerKey()] {
            #expect(ServerKey(text: key.text) == key)
            #expect(ServerKey(text: String(key.text.dropLast()))?.rawRepresentation == key.rawRepresentation)
            #expect(ServerKey(rawRepresentation: key.rawRepresentation) == key)
            #expect(ServerPublicKey(text: key.publicKey.text) == key.publicKey)
            #expect(ServerPublicKey(rawRepresentation: key.publicKey.rawRepresentation) == key.publicKey)
            #expect(key.publicKey.text.count == 58)
            #expect("\(key.publicKey)" == key.publicKey.text)
        }
        #expect(ServerKey() != ServerKey())
        #expect(Set([key.publicKey, key.publicKey, ServerKey().publicKey]).count == 2)
        for count in [0, 31, 33] {
            #expect(ServerKey(rawRepresentation: randomBytes(count)) == nil)
            #expect(ServerPublicKey(rawRepresentation: randomBytes(count)) == nil)
        }
    }

    @Test("a private key prints as its fingerprint, also in a dump")
    func hidden() {
        let key = ServerKey()
        var text = ""
        dump(key, to: &text)
        text += "\(key) \(String(reflecting: key))"
        #expect(text.contains(key.publicKey.fingerprint))
        for secret in [Base64.encoded(key.rawRepresentation), Base16.encoded(key.rawRepresentation)] {
            #expect(!text.contains(secret))
        }
    }

    @Test("only the exact text is a key: each other form is refused")
    func strict() throws {
        let zero = String(repeating: "A", count: 43) + "="
        #expect(ServerPublicKey(text: "culvert-key-1:" + zero)?.rawRepresentation == [UInt8](repeating: 0, count: 32))
        #expect(ServerKey(text: "culvert-private-key-1:" + zero)?.rawRepresentation == [UInt8](repeating: 0, count: 32))
        let wrong = [
            "", zero, "culvert-key-1", "culvert-key-1:", "culvert-key-2:\(zero)", "Culvert-key-1:\(zero)",
            " culvert-key-1:\(zero)", "culvert-key-1:\(zero) ", "culvert-key-1:\(zero)\n", "culvert-key-1:\(zero)\r\n",
            "culvert-key-1: \(zero)", "culvert-key-1:\(zero)=", "culvert-key-1:\(zero.dropLast())",
            "culvert-key-1:\(zero.dropFirst())", "culvert-key-1:A\(zero)", "culvert-key-1:\(zero.dropLast())A",
            "culvert-key-1:\(zero.dropLast(2))B=", "culvert-key-1:\(zero.dropLast(2))==",
            "culvert-key-1:\(zero.dropLast(2))-=", "culvert-key-1:\(zero.dropLast(2))_=",
            "culvert-key-1:\(zero.dropLast(2))\u{0}=", "culvert-key-1:\(zero.dropLast(2))é",
            "culvert-key-1:\(zero)\u{301}",
            "culvert-private-key-1:\(zero)", "culvert-key-1:" + String(repeating: "=", count: 44),
        ]
        for text in wrong { #expect(ServerPublicKey(text: text) == nil, "\(text)") }
        let files = ["\(zero)\n\n", "\(zero)\r\n", "\n\(zero)", "\(zero) \n", "\(zero)\nx", "\(zero)\n#"]
        for text in files { #expect(ServerKey(text: "culvert-private-key-1:\(text)") == nil, "\(text)") }
        #expect(ServerKey(text: "culvert-key-1:\(zero)\n") == nil)
        #expect(ServerKey(text: "\n") == nil)
    }

    @Test("a text with any byte changed is another key or none, and never traps")
    func mutations() throws {
        let key = ServerKey().publicKey
        var random = Fuzzing.generator(27)
        for _ in 0..<5_000 {
            let text = String(decoding: Fuzzing.mutate(Array(key.text.utf8), &random), as: UTF8.self)
            if let other = ServerPublicKey(text: text) { #expect(other.text == text) }
            _ = ServerKey(text: text)
        }
    }

    @Test("the fingerprint has 100 bits in five groups of letters and digits that sound and look apart")
    func fingerprint() throws {
        let known = try #require(ServerPublicKey(rawRepresentation: [UInt8](repeating: 9, count: 32)))
        let hash = Array(
            SHA256.hash(data: Array("culvert fingerprint 1".utf8) + [0] + [UInt8](repeating: 9, count: 32))
        )
        // The same bits, by arithmetic on the whole number.
        let bits = hash.flatMap { byte in (0..<8).reversed().map { Int(byte >> UInt8($0)) & 1 } }
        let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        let characters = (0..<20).map { index in
            alphabet[bits[(index * 5)..<(index * 5 + 5)].reduce(0) { $0 * 2 + $1 }]
        }
        #expect(known.fingerprint.filter { $0 != "-" } == String(characters))
        #expect(known.fingerprint.split(separator: "-").map(\.count) == [4, 4, 4, 4, 4])
        #expect(Set((0..<100).map { _ in ServerKey().publicKey.fingerprint }).count == 100)
        for letter in "ILOU" { #expect(!alphabet.contains(letter)) }
    }
}
