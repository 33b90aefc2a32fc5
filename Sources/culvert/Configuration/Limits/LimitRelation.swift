import Tunnel

/// Two keys of which one bounds the other. A configuration that contradicts this is refused.
struct LimitRelation: Sendable {
    enum Kind: Sendable {
        case atMost
        case atMostHalfOf
        case below
    }

    /// The key with the smaller value.
    let lesser: String
    let kind: Kind
    let greater: String
    /// The consequence of a contradiction, as the end of the error; empty if it is obvious.
    let consequence: String

    init(_ lesser: String, _ kind: Kind, _ greater: String, _ consequence: String = "") {
        self.lesser = lesser
        self.kind = kind
        self.greater = greater
        self.consequence = consequence
    }

    /// All relations.
    static let all = [
        LimitRelation("initial_window", .atMost, "widest_window"),
        LimitRelation("widest_window", .atMost, "received_bytes"),
        LimitRelation("queued_per_stream", .atMost, "queued_bytes"),
        LimitRelation(
            "streams",
            .atMostHalfOf,
            "waiting_control",
            ": streams that end together would end the session"
        ),
        LimitRelation("request_line", .atMost, "request_head"),
        LimitRelation("strangers_per_address", .atMost, "strangers"),
        LimitRelation(
            "wrong_proof_delay",
            .below,
            "handshake_timeout",
            ", which would end the connection before the refusal"
        ),
    ]

    /// The keys; a contradiction is reported at the line of the first.
    var keys: [String] { kind == .atMostHalfOf ? [greater, lesser] : [lesser, greater] }

    /// The error about two values; nil if they agree.
    func problem(_ low: LimitValue, _ high: LimitValue) -> String? {
        guard !isKept(low, high) else { return nil }
        let (low, high) = (low.userDescription, high.userDescription)
        return switch kind {
        case .atMost: "\(lesser) (\(low)) is above \(greater) (\(high))\(consequence)"
        case .atMostHalfOf: "\(greater) (\(high)) must be at least twice \(lesser) (\(low))\(consequence)"
        case .below: "\(lesser) (\(low)) must be below \(greater) (\(high))\(consequence)"
        }
    }

    private func isKept(_ low: LimitValue, _ high: LimitValue) -> Bool {
        switch kind {
        case .atMost: low <= high
        case .below: low < high
        case .atMostHalfOf:
            if case (.count(let low), .count(let high)) = (low, high) { low <= high / 2 } else { false }
        }
    }
}
