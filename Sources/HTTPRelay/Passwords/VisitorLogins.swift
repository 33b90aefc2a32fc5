import Crypto
import NetworkAddress

/// Decides whether a visitor's Authorization field is right.
///
/// A check takes milliseconds, so it is a step of its own: ``check(_:against:from:at:)`` may ask for one, the caller runs
/// ``Attempt/isRight()`` where nothing waits for it, and ``finish(_:isRight:at:)`` takes the result. The passwords that
/// were right lately need no check. They are remembered as codes under a random key, and not as text.
public struct VisitorLogins: Sendable {
    /// What becomes of a request.
    public enum Decision: Sendable {
        /// The user is known.
        case permitted(user: String)
        /// The password is missing or wrong: status 401.
        case unauthorized
        /// There were too many tries: status 429.
        case tooMany(retryAfter: Int)
        /// The password has to be checked first.
        case undecided(Attempt)
    }

    /// A password to check.
    public struct Attempt: Sendable {
        fileprivate let credentials: BasicCredentials
        fileprivate let verifier: VisitorPassword
        fileprivate let work: Int
        fileprivate let code: [UInt8]
        fileprivate let address: IPAddress?

        /// Checks the password, in the same time for each user of a name, known or not.
        public func isRight() -> Bool { verifier.matches(credentials.password, work: work) }
    }

    /// Right passwords that are remembered. 1,024: more visitors than log in within an hour, in 100 KiB.
    public static let remembered = 1_024

    private let key: SymmetricKey
    private var pacing: PasswordPacing
    /// The codes of right passwords, with the number of their last use.
    private var right: [[UInt8]: Int] = [:]
    private var uses = 0

    /// No logins.
    ///
    /// - Parameter key: 32 random bytes of this process.
    public init(key: [UInt8], pacing: PasswordPacing = PasswordPacing()) {
        self.key = SymmetricKey(data: key)
        self.pacing = pacing
    }

    /// Decides about a request, as far as that is possible without a check.
    ///
    /// - Parameters:
    ///   - field: the Authorization field; nil if there is none.
    ///   - address: the visitor's; nil for a socket in the file system.
    ///   - now: the time since any fixed instant.
    public mutating func check(
        _ field: String?,
        against passwords: VisitorPasswords,
        from address: IPAddress?,
        at now: Duration
    ) -> Decision {
        guard let field, let credentials = BasicCredentials(field) else { return .unauthorized }
        let verifier = passwords.verifier(of: credentials.user)
        let code = code(of: credentials, verifier)
        if right[code] != nil {
            use(code)
            return .permitted(user: credentials.user)
        }
        if let seconds = pacing.admit(address, at: now) { return .tooMany(retryAfter: seconds) }
        return .undecided(
            Attempt(credentials: credentials, verifier: verifier, work: passwords.work, code: code, address: address)
        )
    }

    /// Takes the result of a check.
    ///
    /// - Returns: `permitted` or `unauthorized`.
    public mutating func finish(_ attempt: Attempt, isRight: Bool, at now: Duration) -> Decision {
        guard isRight else { return .unauthorized }
        pacing.wasRight(attempt.address, at: now)
        if right.count >= Self.remembered, right[attempt.code] == nil,
            let oldest = right.min(by: { $0.value < $1.value })
        {
            right[oldest.key] = nil
        }
        use(attempt.code)
        return .permitted(user: attempt.credentials.user)
    }

    private mutating func use(_ code: [UInt8]) {
        uses += 1
        right[code] = uses
    }

    /// The code of a password, which is another one if the user's line changes.
    private func code(of credentials: BasicCredentials, _ verifier: VisitorPassword) -> [UInt8] {
        var code = HMAC<SHA256>(key: key)
        // A line has no NUL.
        code.update(data: Array(verifier.line.utf8) + [0] + Array(credentials.user.utf8) + [0] + credentials.password)
        return Array(code.finalize())
    }
}
