import Crypto
import NIOCore
import Secrets

/// The secret shared by a client and a server. It never travels (protocol page, section 5) and prints as `***`.
public struct Token: Sendable, CustomStringConvertible, CustomReflectable {
    /// The shortest token, in characters. 22 characters of base64 carry 132 bits.
    public static let minimumLength = 22
    /// The longest token, in characters. A longer text is probably another file.
    public static let maximumLength = 1_024
    /// Rounds of PBKDF2. Random tokens need none; a chosen passphrase gains a little.
    static let rounds = 4_096

    /// The reason why a text is not a token.
    public struct Unsuitable: Error, Sendable, CustomStringConvertible {
        /// One line for people; never contains the text itself.
        public let description: String
    }

    private let bytes: [UInt8]

    /// Creates a token from its text, without one trailing line end.
    ///
    /// - Throws: ``Unsuitable`` if the text has fewer than 22 or more than 1,024 characters, has one that cannot be
    ///   printed, or repeats a shorter text.
    public init(_ text: String) throws(Unsuitable) {
        var text = Substring(text)
        if text.last == "\n" || text.last == "\r\n" { text.removeLast() }
        guard text.unicodeScalars.allSatisfy(\.isPrintable) else {
            throw Unsuitable(description: "the token has characters that cannot be printed")
        }
        guard text.count >= Self.minimumLength else {
            throw Unsuitable(
                description: "the token has \(text.count) characters; at least \(Self.minimumLength) are required"
            )
        }
        guard text.count <= Self.maximumLength else {
            throw Unsuitable(description: "the token has more than \(Self.maximumLength) characters")
        }
        let bytes = Array(text.utf8)
        // A repeated word is as easy to guess as a repeated letter.
        guard Self.period(of: bytes) * 2 > bytes.count else {
            throw Unsuitable(description: "the token repeats a shorter text; make one with `culvert token`")
        }
        self.bytes = bytes
    }

    /// Returns the length after which the bytes repeat, or their count if they do not.
    private static func period(of bytes: [UInt8]) -> Int {
        // The border of each prefix, as in Knuth, Morris and Pratt.
        var borders = [0]
        for byte in bytes.dropFirst() {
            var border = borders[borders.count - 1]
            while border > 0, bytes[border] != byte { border = borders[border - 1] }
            borders.append(bytes[border] == byte ? border + 1 : 0)
        }
        return bytes.count - borders[borders.count - 1]
    }

    /// The well-known token of a server and a client without a secret. It protects nothing, so a server accepts it only
    /// if every listen address is loopback.
    public static let none = Token(unchecked: Array("culvert without a token".utf8))

    private init(unchecked: [UInt8]) {
        self.bytes = unchecked
    }

    /// Returns the text of a new token: 192 random bits in base64url, 32 characters.
    public static func random(using generator: inout some RandomNumberGenerator) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        return String((0..<32).map { _ in alphabet[Int(generator.next(upperBound: UInt(alphabet.count)))] })
    }

    /// Derives the token's keys, which takes milliseconds.
    public func credentials() -> Credentials {
        let salted = PBKDF2.derive(bytes, salt: Array("culvert token 1".utf8), rounds: Self.rounds)
        return Credentials(saltedToken: SymmetricKey(data: salted))
    }

    /// Always `***`.
    public var description: String { "***" }

    /// Hides the token from `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
