import HTTP1

/// Why a CA refuses something (RFC 7807, RFC 8555 section 6.7). All texts are the CA's: they are cut and escaped here.
struct ProblemDocument: Decodable, Sendable, Hashable {
    /// One of several reasons, for one name of an order.
    struct Part: Decodable, Sendable, Hashable {
        let type: String?
        let detail: String?
    }

    let type: String?
    let detail: String?
    /// The URL of instructions, for `userActionRequired`.
    let instance: String?
    let subproblems: [Part]?

    private static let prefix = "urn:ietf:params:acme:error:"
    /// Scalars of a detail that are shown.
    static let longestDetail = 300

    /// The type without the prefix of ACME: `rateLimited`.
    var kind: String {
        guard let type, type != "about:blank" else { return "no type" }
        let short = type.hasPrefix(Self.prefix) ? String(type.dropFirst(Self.prefix.count)) : type
        return short.escapedForDisplay(limit: 60)
    }

    /// The type and the detail for a sentence: `rateLimited, "too many orders"`.
    var words: String {
        let details = [detail] + (subproblems ?? []).prefix(2).map(\.detail)
        let shown = details.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
        return shown.isEmpty ? kind : "\(kind), \"\(shown.escapedForDisplay(limit: Self.longestDetail))\""
    }

    /// A problem without a document, such as a front's page: nothing of its text is known to be meant for people.
    static let empty = ProblemDocument(type: nil, detail: nil, instance: nil, subproblems: nil)

    /// A failed validation for which the CA gives no reason.
    static let noReason = ProblemDocument(
        type: "about:blank",
        detail: "without a reason",
        instance: nil,
        subproblems: nil
    )
}
