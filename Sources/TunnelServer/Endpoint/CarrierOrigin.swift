/// Where a client's carrier comes from.
struct CarrierOrigin: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The client's address: that of the connection, or the one that a front has named.
    var address: String
    /// The address of that front; nil without one.
    var front: String?

    init(_ address: String, front: String? = nil) {
        self.address = address
        self.front = front
    }

    init(stringLiteral address: String) {
        self.init(address)
    }

    var description: String { address }
}
