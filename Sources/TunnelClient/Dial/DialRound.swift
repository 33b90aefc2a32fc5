/// One round over the ways of a plan: yields one way after the other. If none leads to a session, it finds the error to
/// report.
struct DialRound: Sendable {
    /// A way to try now.
    struct Try: Sendable {
        let way: DialWay
        /// Another proxy's refusal of the credentials, because of which this one receives none.
        let withheld: DialError?
    }

    private var remaining: ArraySlice<DialWay>
    /// The failure that decides what the round means for the run, so far.
    private(set) var failure: DialError?
    private var leftOut: DialError?

    init(_ ways: [DialWay]) {
        remaining = ways[...]
    }

    /// The next way to try.
    ///
    /// - Parameter permission: called for each way in its turn, since an earlier one may have changed it.
    /// - Returns: nil if no way is left.
    mutating func next(_ permission: (DialWay) -> DialPlan.Permission) -> Try? {
        while let way = remaining.popFirst() {
            switch permission(way) {
            case .granted: return Try(way: way, withheld: nil)
            case .withoutCredentials(let refusal): return Try(way: way, withheld: refusal)
            case .denied(let refusal): leftOut = refusal
            }
        }
        return nil
    }

    /// Records the failure of a way.
    ///
    /// - Parameter hasWorked: whether a session has worked in this run.
    /// - Throws: the failure, if it ends the round.
    mutating func failed(_ attempt: Try, _ error: DialError, hasWorked: Bool) throws(DialError) {
        if let withheld = attempt.withheld, error.hop == .proxy, error.disposition == .refusedAtFirst {
            leftOut = withheld
            return
        }
        // A server's refusal ends the round, unless a session has worked: one server may then be wrong for a while. A
        // proxy's does not, since a way without that proxy may lead to the server.
        guard error.disposition != .refused || error.hop == .proxy || hasWorked else { throw error }
        // A failure that may pass decides, whatever the others are.
        if failure == nil || error.disposition == .retry || failure?.disposition != .retry { failure = error }
    }

    /// The error of a round without a session.
    var error: DialError {
        guard var error = failure else { return leftOut ?? Self.nowhere }
        if let leftOut, let proxy = leftOut.proxy, error.disposition != .refused {
            error.answer += " (the proxy \(proxy) has refused the credentials and is left out for half an hour)"
        }
        return error
    }

    /// The error of a round without any way.
    private static let nowhere = DialError(
        hop: .connect,
        endpoint: "",
        proxy: nil,
        answer: "no server to dial",
        remedy: "give the server's URL",
        disposition: .configuration
    )
}
