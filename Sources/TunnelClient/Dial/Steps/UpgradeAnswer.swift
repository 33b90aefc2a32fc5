import HTTP1

/// The fields of a 101 that show which boxes the upgrade passed.
public struct UpgradeAnswer: Sendable, Equatable {
    /// Server: the product that answered.
    public var server: String?
    /// Via: the boxes that the answer passed.
    public var via: String?
    /// The time of the box that answered, as it writes it.
    public var date: String?

    init(_ head: ResponseHead, hiding secrets: [String] = []) {
        func text(_ name: String) -> String? {
            head.fields.first(name).map { $0.hiding(secrets).escapedForDisplay() }
        }
        server = text("Server")
        via = text("Via")
        date = text("Date")
    }

    init() {}
}
