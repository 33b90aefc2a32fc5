import ByteText
import Crypto
import Synchronization
import TunnelCore

/// Who may use a dashboard: the browser that has opened the printed address, and no other.
///
/// The address has a secret in its fragment, which browsers do not send. The page sends it once, and gets a cookie for it.
final class DashboardAccess: Sendable {
    /// Bytes of the secret and of the cookie's value. 16: 128 bits cannot be guessed.
    static let secretBytes = 16

    /// The secret of the address.
    let secret: String
    private let cookie: String
    /// Cookies hold for all ports of a host, so that each dashboard has a name of its own.
    private let name: String
    private let isUsed = Atomic(false)

    /// - Parameters:
    ///   - port: the port of the dashboard.
    ///   - secret: the secret of its address.
    ///   - cookie: the value of its cookie.
    init(port: UInt16, secret: String = random(), cookie: String = random()) {
        name = "culvert_dashboard_\(port)"
        self.secret = secret
        self.cookie = cookie
    }

    /// A value that cannot be guessed.
    static func random() -> String { Base16.encoded(SecureRandom.bytes(secretBytes)) }

    /// Exchanges the secret for a cookie. This works once.
    ///
    /// - Returns: the value of Set-Cookie; nil if the secret is wrong, or was used before.
    func enter(_ secret: String?) -> String? {
        guard let secret, Self.isEqual(secret, self.secret) else { return nil }
        guard isUsed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return nil }
        return "\(name)=\(cookie); Path=/; HttpOnly; SameSite=Strict"
    }

    /// Whether a request has the cookie.
    ///
    /// - Parameter fields: the values of its Cookie fields.
    func admits(_ fields: some Sequence<String>) -> Bool {
        fields.contains { field in
            field.split(separator: ";").contains { pair in
                let parts = pair.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, parts[0].drop(while: { $0 == " " }) == name else { return false }
                return Self.isEqual(String(parts[1]), cookie)
            }
        }
    }

    /// Compares hashes, so that the time says nothing about the place of a difference.
    private static func isEqual(_ one: String, _ other: String) -> Bool {
        SHA256.hash(data: Array(one.utf8)) == SHA256.hash(data: Array(other.utf8))
    }
}
