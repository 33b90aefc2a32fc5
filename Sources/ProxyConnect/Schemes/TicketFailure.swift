/// The reason why the system's GSSAPI yields no token.
public struct TicketFailure: Error, Sendable, Equatable {
    /// The library's message, or the reason why there is no library. Contains no secret.
    public let reason: String
    /// A step that the user can take.
    public let remedy: String

    /// Creates a failure with texts for people.
    public init(reason: String, remedy: String) {
        self.reason = reason
        self.remedy = remedy
    }

    /// The failure after the hop's time limit.
    public static var late: TicketFailure {
        TicketFailure(
            reason: "no Kerberos ticket came in time",
            remedy: "check that the network reaches the Kerberos server (KDC)"
        )
    }
}
