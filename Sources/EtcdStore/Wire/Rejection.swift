import Cluster
import HTTP1

/// A refusal that an endpoint has answered, sorted by what follows from it.
struct Rejection: Error, Sendable, Hashable {
    /// What follows from a refusal.
    enum Kind: Sendable, Hashable {
        /// Another endpoint, or the same one later, may do it.
        case temporary
        /// The token is missing, unknown or too old.
        case token
        /// The user may not do it, or the password is wrong.
        case forbidden
        /// The lease has ended.
        case leaseNotFound
        /// The revision has been compacted.
        case compacted
        /// etcd has no authentication.
        case withoutAuthentication
        /// The request is wrong in etcd's eyes.
        case other
    }

    let kind: Kind
    /// etcd's words, from which control characters and secrets are removed.
    let words: String

    private init(_ kind: Kind, _ words: String) {
        (self.kind, self.words) = (kind, words)
    }

    /// The refusal in the body of an answer.
    ///
    /// - Parameter secrets: texts that must not appear in a message.
    init(status: Int, body: some Sequence<UInt8>, hiding secrets: [String]) {
        // A stream that fails before its first line has its error as a line.
        if let reason = JSONBytes.decoded(ErrorReason.self, body)
            ?? JSONBytes.decoded(StreamLine<AnswerHeader>.self, body)?.error
        {
            self.init(reason, hiding: secrets)
        } else {
            // A proxy, another service, or a text of etcd.
            let line = String(decoding: body.prefix { $0 >= 0x20 }.prefix(EtcdLimits.reason), as: UTF8.self)
            let reason = ErrorReason(code: status == 429 || status >= 500 ? 14 : 3, message: "\(status) \(line)")
            self.init(reason, hiding: secrets)
        }
    }

    /// The refusal with a reason.
    init(_ reason: ErrorReason, hiding secrets: [String]) {
        var text = reason.message
        for secret in secrets where !secret.isEmpty { text.replace(secret, with: "…") }
        self.init(Self.kind(reason), "it answered: \(text.escapedForDisplay(limit: EtcdLimits.reason))")
    }

    private static func kind(_ reason: ErrorReason) -> Kind {
        func says(_ text: String) -> Bool { reason.message.firstRange(of: text) != nil }
        // Some codes have several meanings.
        if says("invalid auth token") || says("revision of auth store is old") || says("user name is empty") {
            return .token
        }
        if says("authentication failed") || says("permission denied") || says("CommonName") { return .forbidden }
        if says("authentication is not enabled") { return .withoutAuthentication }
        if says("requested lease not found") { return .leaseNotFound }
        if says("has been compacted") { return .compacted }
        switch reason.code {
        case 7: return .forbidden
        case 16: return .token
        // Cancelled, unknown, late, exhausted, aborted, internal, unavailable, lost.
        case 1, 2, 4, 8, 10, 13, 14, 15: return .temporary
        default: return .other
        }
    }

    /// The failure for the caller of the store.
    func failure(of endpoint: EtcdEndpoint) -> StoreFailure {
        let text = "\(endpoint): \(words)"
        return switch kind {
        case .temporary, .withoutAuthentication, .leaseNotFound: .unreachable(text)
        case .token, .forbidden: .refused(text)
        case .compacted: .compacted
        case .other: .malformed(text)
        }
    }
}
