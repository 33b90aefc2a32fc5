/// What an operator wants to know of a name's certificate.
public struct CertificateStatus: Sendable, Hashable {
    /// The states of a name.
    public enum State: String, Sendable, Hashable {
        /// It waits for its first order.
        case waiting
        /// Its order is in progress.
        case ordering
        /// It has a certificate.
        case valid
        /// Its certificate has ended.
        case expired
        /// It has no certificate, and the last order has failed.
        case failing
    }

    /// The name.
    public let name: CertificateName
    /// The client that has claimed it; nil for a configured name.
    public let owner: String?
    /// The state.
    public let state: State
    /// The last second of the certificate, since 1970; nil without one.
    public let notAfter: Int64?
    /// The next order, since 1970: the next attempt, or the renewal. The bound of orders may delay it.
    public let nextAttempt: Int64
    /// Failures in a row.
    public let failures: Int
    /// Why the last order has failed; nil if it has not.
    public let problem: String?
}
