import ByteText
import Secrets

/// The verifier of one visitor's password, written `user:culvert-password-1:ROUNDS:SALT:HASH`.
///
/// The hash is PBKDF2-HMAC-SHA-256 of the password, so the line does not reveal it. SALT and HASH are in base64.
public struct VisitorPassword: Sendable, Hashable, CustomStringConvertible {
    /// The reason why a line, a user name or a password is refused. It never contains a secret.
    public struct Unsuitable: Error, Sendable, Hashable, CustomStringConvertible {
        /// One line for people.
        public let description: String
    }

    /// The longest line, bytes.
    public static let longestLine = 255
    /// The longest password, bytes. A longer one is refused before any work.
    public static let longestPassword = 256
    /// Rounds of PBKDF2 in a new line.
    ///
    /// 8,192 rounds took 4.0 ms in a release build, on one core of a virtual machine. More would hold up the event loop that
    /// checks a password, and with it all streams on that loop. A password should therefore be long, or random.
    public static let usualRounds = 8_192
    /// Rounds that are accepted. A line comes from a client, which must not choose how long the server calculates.
    static let rounds = 1_000...usualRounds

    private static let form =
        "the form is user:culvert-password-1:ROUNDS:SALT:HASH; `culvert password USER` makes a line"
    private static let tag = "culvert-password-1"
    private static let saltLength = 16
    private static let hashLength = 32

    /// The name that the visitor gives.
    public let user: String
    let rounds: Int
    private let salt: [UInt8]
    private let hash: [UInt8]

    /// Makes the verifier of a new password, with a random salt. It takes milliseconds.
    ///
    /// - Throws: ``Unsuitable`` if the user name has a colon, is empty or makes the line too long, if the password is
    ///   empty or too long, or if either has a control character.
    public init(
        user: String,
        password: String,
        using generator: inout some RandomNumberGenerator
    ) throws(Unsuitable) {
        let bytes = Array(password.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.longestPassword else {
            throw Unsuitable(description: "a password has 1 to \(Self.longestPassword) bytes")
        }
        guard Self.isPlain(bytes) else { throw Unsuitable(description: "the password has a control character") }
        salt = (0..<Self.saltLength).map { _ in .random(in: .min ... .max, using: &generator) }
        (self.user, rounds) = (user, Self.usualRounds)
        try Self.check(user: user)
        hash = PBKDF2.derive(bytes, salt: salt, rounds: rounds)
        guard line.utf8.count <= Self.longestLine else { throw Unsuitable(description: "the user name is too long") }
    }

    /// Reads a line.
    public init(line: String) throws(Unsuitable) {
        guard line.utf8.count <= Self.longestLine else {
            throw Unsuitable(description: "it has more than \(Self.longestLine) bytes")
        }
        let parts = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[1] == Self.tag,
            let salt = Base64.decoded(parts[3], .canonical), salt.count == Self.saltLength,
            let hash = Base64.decoded(parts[4], .canonical), hash.count == Self.hashLength
        else { throw Unsuitable(description: Self.form) }
        guard let rounds = DecimalText.value(parts[2].utf8, through: Self.rounds.upperBound),
            Self.rounds.contains(rounds)
        else {
            throw Unsuitable(description: "the rounds must be \(Self.rounds.lowerBound) to \(Self.rounds.upperBound)")
        }
        try Self.check(user: parts[0])
        (user, self.rounds, self.salt, self.hash) = (parts[0], rounds, salt, hash)
    }

    /// A verifier that no password fulfils, for users that do not exist.
    init(decoyOf rounds: Int) {
        (user, self.rounds) = ("", rounds)
        (salt, hash) = (Array(repeating: 0, count: Self.saltLength), [])
    }

    /// The line that ``init(line:)`` reads.
    public var line: String { "\(user):\(Self.tag):\(rounds):\(Base64.encoded(salt)):\(Base64.encoded(hash))" }

    /// The user's name only.
    public var description: String { user }

    /// Whether a password is the user's.
    ///
    /// - Parameter work: the rounds that every check takes, so that time does not tell users apart.
    func matches(_ password: [UInt8], work: Int) -> Bool {
        let derived = PBKDF2.derive(password, salt: salt, rounds: rounds)
        if work > rounds { _ = PBKDF2.derive(password, salt: salt, rounds: work - rounds) }
        return isEqual(derived, hash)
    }

    private static func check(user: String) throws(Unsuitable) {
        guard !user.isEmpty, isPlain(Array(user.utf8)), !user.utf8.contains(UInt8(ascii: ":")) else {
            throw Unsuitable(description: "a user name is not empty, and has neither a colon nor a control character")
        }
        guard !user.hasPrefix("#"), user.utf8.first != UInt8(ascii: " "), user.utf8.last != UInt8(ascii: " ") else {
            throw Unsuitable(description: "a user name does not begin with # and has no space at its ends")
        }
    }

    /// Whether bytes have no control character (RFC 7617, section 2).
    static func isPlain(_ bytes: some Collection<UInt8>) -> Bool { bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}
