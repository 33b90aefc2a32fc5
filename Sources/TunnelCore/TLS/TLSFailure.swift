import NIOSSL

/// What BoringSSL says of a failed connection.
package struct TLSFailure {
    /// Its reasons in its own capitals, the first one first: `WRONG_VERSION_NUMBER`.
    package let reasons: [String]
    /// Whether the other end closed the connection without a word.
    package let isClosed: Bool

    /// Nil for an error that is not TLS's.
    package init?(_ error: any Error) {
        let inner: BoringSSLError
        switch error {
        case let error as BoringSSLError: inner = error
        case NIOSSLError.handshakeFailed(let error), NIOSSLError.shutdownFailed(let error): inner = error
        case NIOSSLError.uncleanShutdown:
            self.init(reasons: [], isClosed: true)
            return
        case is NIOSSLError, is NIOSSLExtraError, is NIOSSLCloseTimedOutError:
            self.init(reasons: [], isClosed: false)
            return
        default: return nil
        }
        switch inner {
        case .sslError(let stack), .unknownError(let stack), .invalidSNIName(let stack), .failedToSetALPN(let stack):
            let isEOF = stack.contains {
                $0 == .eofDuringHandshake || $0 == .eofDuringAdditionalCertficiateChainValidation
            }
            self.init(reasons: stack.compactMap { Self.reason("\($0)") }, isClosed: isEOF || stack.isEmpty)
        case .syscallError, .zeroReturn: self.init(reasons: [], isClosed: true)
        default: self.init(reasons: [], isClosed: false)
        }
    }

    private init(reasons: [String], isClosed: Bool) {
        self.reasons = reasons
        self.isClosed = isClosed
    }

    /// Whether one of these is among the reasons, whole or as a part.
    package func says(_ words: String...) -> Bool { says(words) }

    /// Whether one of these is among the reasons, whole or as a part.
    package func says(_ words: [String]) -> Bool {
        reasons.contains { reason in words.contains(where: reason.contains) }
    }

    /// For a person.
    package var userDescription: String {
        if isClosed { return "the connection was closed during the handshake" }
        if says(Self.plain) { return "the other end does not speak TLS" }
        guard let reason = reasons.first else { return "the connection broke off" }
        for marker in ["SSLV3_ALERT_", "TLSV1_ALERT_"] {
            guard let range = reason.firstRange(of: marker) else { continue }
            return "the other end ended it with the alert: \(Self.spelt(String(reason[range.upperBound...])))"
        }
        return Self.spelt(reason)
    }

    /// BoringSSL's reason for bytes that are not TLS.
    package static let plain = ["WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"]

    /// `BAD_CERTIFICATE` as `bad certificate`.
    package static func spelt(_ reason: String) -> String { reason.lowercased().replacing("_", with: " ") }

    /// The reason out of `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at FILE:LINE`.
    private static func reason(_ line: String) -> String? {
        guard let marker = line.firstRange(of: "OPENSSL_internal:") else { return nil }
        return String(line[marker.upperBound...].prefix { $0 != " " })
    }
}
