import HTTP1
import NIOCore
import NIOSSL
import TunnelCore

/// Why a connection brings no answer.
struct ConnectionFailure: Error, Sendable, Hashable {
    /// The kind of failure.
    enum Kind: Sendable, Hashable {
        /// There is no connection, or it has ended.
        case closed
        /// Nothing came in time.
        case late
        /// The other end does not accept our certificate.
        case refused
        /// What came makes no sense.
        case malformed
    }

    let kind: Kind
    /// The reason, for a message: a clause whose subject is the endpoint or the connection.
    let words: String

    init(_ kind: Kind, _ words: String) {
        (self.kind, self.words) = (kind, words)
    }

    /// An error of NIO or of TLS.
    init(_ error: any Error) {
        if let failure = error as? ConnectionFailure {
            self = failure
        } else if let failure = TLSFailure(error), failure.says("ALERT") {
            self.init(.refused, failure.userDescription)
        } else {
            self.init(.closed, error.userDescription)
        }
    }

    /// An error in an answer's bytes.
    init(_ error: HTTP1Error) {
        self.init(.malformed, "its answer is malformed: \(error)")
    }

    static let late = ConnectionFailure(.late, "no answer in time")
    static let closed = ConnectionFailure(.closed, "the connection is closed")
    static let tooLong = ConnectionFailure(.malformed, "its answer is too long")
}
