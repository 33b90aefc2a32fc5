import Crypto
import NIOCore

/// The secret that a client and a server share. It never travels (protocol page, section 5); printing it shows `***`.
public struct Token: Sendable, CustomStringConvertible, CustomReflectable {
    /// Fewer characters than this are refused: 22 of base64 carry 132 bits.
    public static let minimumLength = 22
    /// More than this is no token but some other file.
    public static let maximumLength = 1_024
    /// Rounds of PBKDF2. Tokens are random and need none; a passphrase that somebody chose gains a little.
    static let rounds = 4_096

    /// The reason why a text is no token.
    public struct Unsuitable: Error, Sendable, CustomStringConvertible {
        /// One line for a person; never holds the text itself.
        public let description: String
    }

    private let bytes: [UInt8]

    /// Takes a token's text; one trailing line end, as files have it, is no part of it.
    ///
    /// - Throws: ``Unsuitable`` for fewer than 22 characters, more than 1,024, one that cannot be printed, or a shorter
    ///   text that is repeated.
    public init(_ text: String) throws(Unsuitable) {
        var text = Substring(text)
        if text.last == "\n" || text.last == "\r\n" { text.removeLast() }
        guard text.unicodeScalars.allSatisfy(\.isPrintable) else {
            throw Unsuitable(description: "the token has characters that cannot be printed")
        }
        guard text.count >= Self.minimumLength else {
            throw Unsuitable(
                description: "the token has \(text.count) characters, and at least \(Self.minimumLength) are wanted"
            )
        }
        guard text.count <= Self.maximumLength else {
            throw Unsuitable(description: "the token has more than \(Self.maximumLength) characters")
        }
        let bytes = Array(text.utf8)
        // Whole words said twice are as easy to guess as one letter said often.
        guard Self.period(of: bytes) * 2 > bytes.count else {
            throw Unsuitable(description: "the token repeats a shorter text; make one with `culvert token`")
        }
        self.bytes = bytes
    }

    /// How many bytes it takes until all of them come again: their count if they do not.
    private static func period(of bytes: [UInt8]) -> Int {
        // What each beginning ends with that it began with, as in Knuth, Morris and Pratt.
        var borders = [0]
        for byte in bytes.dropFirst() {
            var border = borders[borders.count - 1]
            while border > 0, bytes[border] != byte { border = borders[border - 1] }
            borders.append(bytes[border] == byte ? border + 1 : 0)
        }
        return bytes.count - borders[borders.count - 1]
    }

    /// The credentials of a server and a client that run without a token: a well-known value that keeps nobody out.
    /// A server takes it only where every listen address is loopback.
    public static let none = Token(unchecked: Array("culvert without a token".utf8))

    private init(unchecked: [UInt8]) {
        self.bytes = unchecked
    }

    /// A new token of 192 random bits in base64url, 32 characters.
    public static func random(using generator: inout some RandomNumberGenerator) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        return String((0..<32).map { _ in alphabet[Int(generator.next(upperBound: UInt(alphabet.count)))] })
    }

    /// The keys that follow from the token; takes some milliseconds.
    public func credentials() -> Credentials {
        let password = SymmetricKey(data: bytes)
        var block = Data32(
            HMAC<SHA256>.authenticationCode(for: Array("culvert token 1".utf8) + [0, 0, 0, 1], using: password)
        )
        var sum = block
        for _ in 1..<Self.rounds {
            block = Data32(HMAC<SHA256>.authenticationCode(for: block.bytes, using: password))
            sum = sum ^ block
        }
        return Credentials(saltedToken: SymmetricKey(data: sum.bytes))
    }

    /// Always `***`.
    public var description: String { "***" }

    /// Shows nothing to `dump` either.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Thirty-two bytes with the one operation that SCRAM needs on them.
struct Data32: Equatable {
    let bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    static func ^ (left: Data32, right: Data32) -> Data32 {
        Data32(zip(left.bytes, right.bytes).map { $0 ^ $1 })
    }
}
